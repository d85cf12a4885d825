/* The alarm latency probe: its own TCP connection to a line source; each line it writes flips one alarm.
 *
 *   bench_probe warm PORT COUNT    a harmless value for each of COUNT series: probe,k=N value=1
 *   bench_probe flip PORT COUNT    value=100, one series after the other, 2 to 5 ms apart, stamped just before the write
 *   bench_probe wake COUNT         the machine's own wake-up: the same rhythm over a socketpair to another process, without an agent
 *
 * flip prints the stamps of the first and the last line, wake prints the latencies in ns, one a line.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MIN_NS 2000000
#define PAUSE_SPREAD_NS 3000000

static int64_t wall_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void rest(void) {
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    struct timespec pause = {0, PAUSE_MIN_NS + (long)(state % PAUSE_SPREAD_NS)};
    nanosleep(&pause, NULL);
}

static void must(int ok, const char *what) {
    if (ok)
        return;
    perror(what);
    exit(2);
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    must(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    return fd;
}

static void warm(int fd, unsigned count) {
    char line[64];
    for (unsigned k = 0; k < count; k++) {
        int len = snprintf(line, sizeof line, "probe,k=%u value=1\n", k);
        must(write(fd, line, (size_t)len) == len, "write");
    }
}

static void flip(int fd, unsigned count) {
    char line[64];
    int64_t first_ns = 0, stamp_ns = 0;
    for (unsigned k = 0; k < count; k++) {
        rest();
        int len = snprintf(line, sizeof line, "probe,k=%u value=100 ", k);
        stamp_ns = wall_ns();
        len += snprintf(line + len, sizeof line - (size_t)len, "%lld\n", (long long)stamp_ns);
        must(write(fd, line, (size_t)len) == len, "write");
        if (k == 0)
            first_ns = stamp_ns;
    }
    printf("first %lld last %lld\n", (long long)first_ns, (long long)stamp_ns);
}

static void wake(unsigned count) {
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    pid_t writer = fork();
    must(writer >= 0, "fork");
    int64_t stamp_ns;
    if (writer == 0) {
        for (unsigned i = 0; i < count; i++) {
            rest();
            stamp_ns = wall_ns();
            must(write(ends[0], &stamp_ns, sizeof stamp_ns) == sizeof stamp_ns, "write");
        }
        _exit(0);
    }
    close(ends[0]);
    while (read(ends[1], &stamp_ns, sizeof stamp_ns) == sizeof stamp_ns)
        printf("%lld\n", (long long)(wall_ns() - stamp_ns));
    waitpid(writer, NULL, 0);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "warm") == 0 && argc == 4)
        warm(connect_to(atoi(argv[2])), (unsigned)atoi(argv[3]));
    else if (strcmp(what, "flip") == 0 && argc == 4)
        flip(connect_to(atoi(argv[2])), (unsigned)atoi(argv[3]));
    else if (strcmp(what, "wake") == 0 && argc == 3)
        wake((unsigned)atoi(argv[2]));
    else {
        fprintf(stderr, "usage: bench_probe warm|flip PORT COUNT | wake COUNT\n");
        return 2;
    }
    return 0;
}
