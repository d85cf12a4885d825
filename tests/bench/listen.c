/* Senders over many connections, TCP or TLS, and over UDP, one thread for all of them.
 *
 *   bench_listen tls PORT CA CONNECTIONS LINES PAUSE_MS PROBES
 *       opens CONNECTIONS TLS connections and one for the probe, says `open N seconds S`; on each of them LINES lines of the bench's input (its series
 *       shared out) in one write every PAUSE_MS, evenly spread; meanwhile the probe flips PROBES alarms, 2 to 5 ms apart, stamped just
 *       before the write (tests/bench/probe.c). Ends with the last flip. Prints: lines (those of the probe too), seconds.
 *   bench_listen tcp PORT CONNECTIONS LINES PAUSE_MS PROBES
 *       the same over plain TCP.
 *   bench_listen udp PORT LINES SERIES LINES_A_DATAGRAM RATE
 *       lines a second in datagrams, sent every millisecond. Prints: lines, datagrams, seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/input.h"
#include "transport/tls.h"

#define SERIES 10000
#define PAUSE_NS 200000
#define PROBE_MIN_NS 2000000
#define PROBE_SPREAD_NS 3000000

struct sender {
    struct wr_tls_stream *stream; /* NULL: plain TCP */
    int fd;
};

static void must(int ok, const char *what) {
    if (ok)
        return;
    perror(what);
    exit(2);
}

static void nap(void) {
    struct timespec pause = {0, PAUSE_NS};
    nanosleep(&pause, NULL);
}

static int connect_to(int port, int type) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type, 0);
    int one = 1;
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    return fd;
}

/* -- TCP and TLS ------------------------------------------------------------------------------------------------------------------------- */

static struct sender open_sender(struct wr_tls *tls, int port) {
    struct sender sender = {.fd = connect_to(port, SOCK_STREAM)};
    struct wr_error err = {0};
    must(fcntl(sender.fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    if (!tls)
        return sender;
    const int64_t deadline = wr_clock_boot_ns(wr_clock_real()) + 30 * WR_NS_PER_S;
    if (wr_tls_handshake(tls, sender.fd, "localhost", deadline, -1, &sender.stream, &err) != WR_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    return sender;
}

static enum wr_result send_some(struct sender *sender, const char *text, size_t len, size_t *ret_n, struct wr_error *err) {
    if (sender->stream)
        return wr_tls_write(sender->stream, text, len, ret_n, err);
    const ssize_t n = send(sender->fd, text, len, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
        return WR_FULL;
    if (n < 0)
        return wr_error_set(err, WR_IO, "send: %s", strerror(errno));
    *ret_n = (size_t)n;
    return WR_OK;
}

static void send_all(struct sender *sender, const char *text, size_t len) {
    struct wr_error err = {0};
    while (len > 0) {
        size_t n = 0;
        const enum wr_result result = send_some(sender, text, len, &n, &err);
        struct pollfd wait = {.fd = sender->fd, .events = POLLOUT};
        if (result == WR_FULL)
            (void)poll(&wait, 1, 1000);
        else if (result != WR_OK) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        text += n;
        len -= n;
    }
}

static int64_t next_probe(int64_t now_ns) {
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return now_ns + PROBE_MIN_NS + (int64_t)(state % PROBE_SPREAD_NS);
}

static void flip(struct sender *probe, unsigned k) {
    char line[64];
    int len = snprintf(line, sizeof line, "probe,k=%u value=100 ", k);
    len += snprintf(line + len, sizeof line - (size_t)len, "%lld\n", (long long)wr_clock_wall_ns(wr_clock_real()));
    send_all(probe, line, (size_t)len);
}

static void warm(struct sender *probe, unsigned count) {
    char line[64];
    for (unsigned k = 0; k < count; k++)
        send_all(probe, line, (size_t)snprintf(line, sizeof line, "probe,k=%u value=1\n", k));
}

/* ca NULL: plain TCP. */
static void send_over(int port, const char *ca, unsigned n, unsigned lines, unsigned pause_ms, unsigned probes) {
    const struct wr_clock *clock = wr_clock_real();
    const struct wr_tls_config config = {.ca = ca};
    struct sender *senders = calloc(n + 1, sizeof *senders);
    char *text = malloc((size_t)lines * INPUT_LINE_MAX);
    struct wr_tls *tls = NULL;
    must(n > 0 && senders && text && (!ca || wr_tls_new(&config, clock, &tls, NULL) == WR_OK), "start");
    int64_t begin_ns = wr_clock_boot_ns(clock);
    for (unsigned i = 0; i <= n; i++)
        senders[i] = open_sender(tls, port);
    printf("open %u seconds %.3f\n", n, 1e-9 * (double)(wr_clock_boot_ns(clock) - begin_ns));
    warm(&senders[n], probes);
    fflush(stdout);
    begin_ns = wr_clock_boot_ns(clock);
    int64_t probe_ns = begin_ns + WR_NS_PER_S; /* let it settle */
    uint64_t sent = 0;
    for (unsigned flips = 0; flips < probes;) {
        const int64_t now_ns = wr_clock_boot_ns(clock);
        const uint64_t due = (uint64_t)((double)(now_ns - begin_ns) * 1e-6 / pause_ms * n);
        if (now_ns >= probe_ns) {
            flip(&senders[n], flips++);
            probe_ns = next_probe(now_ns);
        } else if (sent < due) {
            char *end = text;
            const int64_t wall_ns = wr_clock_wall_ns(clock);
            for (unsigned i = 0; i < lines; i++)
                end = input_line(end, "temps", sent * lines + i, SERIES, wall_ns);
            send_all(&senders[sent++ % n], text, (size_t)(end - text));
        } else {
            nap();
        }
    }
    printf("lines %llu seconds %.3f\n", (unsigned long long)(sent * lines + 2 * probes),
           1e-9 * (double)(wr_clock_boot_ns(clock) - begin_ns));
    for (unsigned i = 0; i <= n; i++) {
        wr_tls_close(senders[i].stream);
        close(senders[i].fd);
    }
    wr_tls_free(tls);
    free(senders);
    free(text);
}

/* -- UDP --------------------------------------------------------------------------------------------------------------------------------- */

static void send_udp(int port, uint64_t lines, uint64_t series, unsigned per, uint64_t rate) {
    const struct wr_clock *clock = wr_clock_real();
    int fd = connect_to(port, SOCK_DGRAM);
    char *text = malloc((size_t)per * INPUT_LINE_MAX);
    must(text != NULL, "malloc");
    const int64_t start_ns = input_start_ns(wr_clock_wall_ns(clock), lines, series);
    const int64_t begin_ns = wr_clock_boot_ns(clock);
    uint64_t sent = 0, datagrams = 0;
    while (sent < lines) {
        const uint64_t due = (uint64_t)((double)(wr_clock_boot_ns(clock) - begin_ns) * 1e-9 * (double)rate);
        if (sent + per > due) {
            nap();
            continue;
        }
        char *end = text;
        for (unsigned i = 0; i < per && sent < lines; i++, sent++)
            end = input_line(end, "temps", sent, series, input_time_ns(start_ns, sent, series));
        must(send(fd, text, (size_t)(end - text), 0) == end - text, "send");
        datagrams++;
    }
    printf("lines %llu datagrams %llu seconds %.3f\n", (unsigned long long)sent, (unsigned long long)datagrams,
           1e-9 * (double)(wr_clock_boot_ns(clock) - begin_ns));
    close(fd);
    free(text);
}

static unsigned number(const char *text) {
    return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv) {
    if (argc == 8 && strcmp(argv[1], "tls") == 0)
        send_over((int)number(argv[2]), argv[3], number(argv[4]), number(argv[5]), number(argv[6]), number(argv[7]));
    else if (argc == 7 && strcmp(argv[1], "tcp") == 0)
        send_over((int)number(argv[2]), NULL, number(argv[3]), number(argv[4]), number(argv[5]), number(argv[6]));
    else if (argc == 7 && strcmp(argv[1], "udp") == 0)
        send_udp((int)number(argv[2]), number(argv[3]), number(argv[4]), number(argv[5]), number(argv[6]));
    else {
        fprintf(stderr, "usage: bench_listen tls PORT CA CONNECTIONS LINES PAUSE_MS PROBES | tcp PORT CONNECTIONS LINES PAUSE_MS PROBES | "
                        "udp PORT LINES SERIES LINES_A_DATAGRAM RATE\n");
        return 2;
    }
    return 0;
}
