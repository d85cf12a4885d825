/* The generator of the bench's input (tests/bench/input.h): line protocol, or JSON, over one TCP connection.
 *
 *   bench_generator fast PORT LINES SERIES         writes of 64 KB, as fast as the reader takes them; the text is made before
 *   bench_generator json PORT LINES SERIES         the same with JSON records, of SERIES sensors
 *   bench_generator http PORT LINES SERIES         the lines in bodies of 5000 to /write, the next one when the last is answered
 *   bench_generator paced PORT LINES SERIES RATE   lines a second, written every millisecond, stamped when written
 *   bench_generator flood PORT LINES SERIES        `flood` instead of `temps`, without time stamps, as fast as the reader takes them
 *   bench_generator idle PORT CONNECTIONS          opens them, says so, holds them until it is killed
 *
 * Prints: lines, bytes, seconds of writing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/input.h"

#define WRITE_BYTES 65536
#define PAUSE_NS 1000000
#define BODY_LINES 5000

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("connect");
        exit(2);
    }
    return fd;
}

static void write_all(int fd, const char *at, size_t len) {
    while (len > 0) {
        ssize_t sent = write(fd, at, len);
        if (sent <= 0) {
            perror("write");
            exit(1);
        }
        at += sent;
        len -= (size_t)sent;
    }
}

static char *text_for(uint64_t lines) {
    char *text = malloc(lines * INPUT_LINE_MAX + 1);
    if (!text) {
        fprintf(stderr, "no memory for the text\n");
        exit(2);
    }
    return text;
}

static void report(uint64_t lines, size_t bytes, int64_t begin_ns) {
    printf("lines %llu bytes %zu seconds %.3f\n", (unsigned long long)lines, bytes, 1e-9 * (double)(now_ns(CLOCK_MONOTONIC) - begin_ns));
}

static void write_in_pieces(int fd, const char *at, size_t len) {
    for (size_t done = 0; done < len; done += WRITE_BYTES)
        write_all(fd, at + done, len - done < WRITE_BYTES ? len - done : WRITE_BYTES);
}

static void send_fast(int fd, uint64_t lines, uint64_t series, int json) {
    int64_t start_ns = input_start_ns(now_ns(CLOCK_REALTIME), lines, series);
    char *text = text_for(lines);
    char *end = text;
    for (uint64_t i = 0; i < lines; i++) {
        const int64_t time_ns = input_time_ns(start_ns, i, series);
        end = json ? input_json(end, i, series, time_ns) : input_line(end, "temps", i, series, time_ns);
    }
    size_t len = (size_t)(end - text);
    int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
    write_in_pieces(fd, text, len);
    report(lines, len, begin_ns);
    free(text);
}

static void await_204(int fd) {
    char reply[4096];
    size_t len = 0;
    while (len < 4 || memcmp(reply + len - 4, "\r\n\r\n", 4) != 0) {
        const ssize_t got = read(fd, reply + len, sizeof reply - len);
        if (got <= 0 || len + (size_t)got == sizeof reply) {
            fprintf(stderr, "no whole answer\n");
            exit(1);
        }
        len += (size_t)got;
    }
    if (memcmp(reply, "HTTP/1.1 204", 12) != 0) {
        fprintf(stderr, "%.*s\n", (int)len, reply);
        exit(1);
    }
}

static void send_http(int fd, uint64_t lines, uint64_t series) {
    int64_t start_ns = input_start_ns(now_ns(CLOCK_REALTIME), lines, series);
    char *text = text_for(lines);
    size_t *ends = calloc(lines / BODY_LINES + 1, sizeof *ends);
    if (!ends)
        exit(2);
    char *end = text;
    for (uint64_t i = 0; i < lines; i++) {
        end = input_line(end, "temps", i, series, input_time_ns(start_ns, i, series));
        ends[i / BODY_LINES] = (size_t)(end - text);
    }
    int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
    size_t at = 0;
    for (uint64_t body = 0; body * BODY_LINES < lines; body++) {
        char head[128];
        const int n =
            snprintf(head, sizeof head, "POST /write?precision=ns HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n", ends[body] - at);
        write_all(fd, head, (size_t)n);
        write_in_pieces(fd, text + at, ends[body] - at);
        at = ends[body];
        await_204(fd);
    }
    report(lines, at, begin_ns);
    free(ends);
    free(text);
}

static void send_paced(int fd, uint64_t lines, uint64_t series, uint64_t rate) {
    char text[WRITE_BYTES];
    int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
    uint64_t sent = 0;
    size_t bytes = 0;
    while (sent < lines) {
        uint64_t due = (uint64_t)((double)(now_ns(CLOCK_MONOTONIC) - begin_ns) * 1e-9 * (double)rate);
        int64_t wall_ns = now_ns(CLOCK_REALTIME);
        char *end = text;
        for (; sent < due && sent < lines && end + INPUT_LINE_MAX <= text + sizeof text; sent++)
            end = input_line(end, "temps", sent, series, wall_ns);
        write_all(fd, text, (size_t)(end - text));
        bytes += (size_t)(end - text);
        if (sent >= due) {
            struct timespec pause = {0, PAUSE_NS};
            nanosleep(&pause, NULL);
        }
    }
    report(sent, bytes, begin_ns);
}

/* The same text again and again: one reading of every series. */
static void send_flood(int fd, uint64_t lines, uint64_t series) {
    char *text = text_for(series);
    char *end = text;
    for (uint64_t i = 0; i < series; i++)
        end = input_line(end, "flood", i, series, INPUT_NO_TIME);
    size_t bytes = 0;
    uint64_t sent = 0;
    int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
    for (; sent < lines; sent += series, bytes += (size_t)(end - text))
        for (char *at = text; at < end; at += WRITE_BYTES)
            write_all(fd, at, end - at < WRITE_BYTES ? (size_t)(end - at) : WRITE_BYTES);
    report(sent, bytes, begin_ns);
    free(text);
}

static void hold_idle(int port, uint64_t connections) {
    for (uint64_t i = 0; i < connections; i++)
        (void)connect_to(port);
    printf("open %llu\n", (unsigned long long)connections);
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    uint64_t numbers[4] = {0};
    for (int i = 2; i < argc && i < 6; i++)
        numbers[i - 2] = strtoull(argv[i], NULL, 10);
    int port = (int)numbers[0];
    if (strcmp(how, "fast") == 0 && argc == 5)
        send_fast(connect_to(port), numbers[1], numbers[2], 0);
    else if (strcmp(how, "json") == 0 && argc == 5)
        send_fast(connect_to(port), numbers[1], numbers[2], 1);
    else if (strcmp(how, "http") == 0 && argc == 5)
        send_http(connect_to(port), numbers[1], numbers[2]);
    else if (strcmp(how, "paced") == 0 && argc == 6)
        send_paced(connect_to(port), numbers[1], numbers[2], numbers[3]);
    else if (strcmp(how, "flood") == 0 && argc == 5)
        send_flood(connect_to(port), numbers[1], numbers[2]);
    else if (strcmp(how, "idle") == 0 && argc == 4)
        hold_idle(port, numbers[1]);
    else {
        fprintf(stderr, "usage: bench_generator fast|json|http|paced|flood|idle PORT ...\n");
        return 2;
    }
    return 0;
}
