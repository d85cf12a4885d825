/* The generator of the bench's input: line protocol over one TCP connection, in writes of 64 KB.
 *
 *   bench_generator PORT LINES SERIES [RATE [SPAN_S]]
 *
 * Series take turns; all series get a reading, then time moves on by one second of event time; 60 readings a series and 60 s window. Lines
 * have 52.8 bytes on average. Event time ends now, so nothing is in the future; with a RATE (lines a second) time stamps are those of the
 * writing, and writes are paced every millisecond. The text is made before the clock starts where there is no rate.
 * Prints: lines, bytes, seconds of writing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WRITE_BYTES 65536

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int connect_to(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
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

/* A smooth value with two decimals between 10.00 and 99.99, different for each series, the same in each run. */
static int print_line(char *into, uint64_t i, uint64_t series, int64_t time_ns) {
    uint64_t s = i % series, round = i / series;
    uint64_t hundredths = 1000 + (s * 7919 + round * 13 + (round * round) % 17) % 9000;
    return sprintf(into, "temps,sensor=sn%05llu value=%llu.%02llu %lld\n", (unsigned long long)s, (unsigned long long)(hundredths / 100),
                   (unsigned long long)(hundredths % 100), (long long)time_ns);
}

/* Text in memory first, then writes of 64 KB as fast as the reader takes them. */
static void send_fast(int fd, uint64_t lines, uint64_t series) {
    int64_t rounds = (int64_t)(lines / series) + 1;
    int64_t start_ns = now_ns(CLOCK_REALTIME) / 60000000000 * 60000000000 - rounds / 60 * 60000000000 - 60000000000;
    char *text = malloc(lines * 80 + 1);
    size_t len = 0;
    if (!text)
        exit(2);
    for (uint64_t i = 0; i < lines; i++)
        len += (size_t)print_line(text + len, i, series, start_ns + (int64_t)(i / series) * 1000000000 + (int64_t)(i % series));
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    for (size_t at = 0; at < len; at += WRITE_BYTES)
        write_all(fd, text + at, len - at < WRITE_BYTES ? len - at : WRITE_BYTES);
    printf("lines %llu bytes %zu seconds %.3f\n", (unsigned long long)lines, len, 1e-9 * (double)(now_ns(CLOCK_MONOTONIC) - begin));
    free(text);
}

static void send_paced(int fd, uint64_t lines, uint64_t series, uint64_t rate) {
    char text[WRITE_BYTES];
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    uint64_t sent = 0;
    size_t bytes = 0;
    while (sent < lines) {
        uint64_t due = (uint64_t)((double)(now_ns(CLOCK_MONOTONIC) - begin) * 1e-9 * (double)rate);
        int64_t wall_ns = now_ns(CLOCK_REALTIME);
        size_t len = 0;
        for (; sent < due && sent < lines && len < sizeof text - 80; sent++)
            len += (size_t)print_line(text + len, sent, series, wall_ns);
        write_all(fd, text, len);
        bytes += len;
        if (sent >= due) {
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
    }
    printf("lines %llu bytes %zu seconds %.3f\n", (unsigned long long)lines, bytes, 1e-9 * (double)(now_ns(CLOCK_MONOTONIC) - begin));
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: bench_generator PORT LINES SERIES [RATE]\n");
        return 2;
    }
    int fd = connect_to(atoi(argv[1]));
    uint64_t lines = strtoull(argv[2], NULL, 10), series = strtoull(argv[3], NULL, 10);
    uint64_t rate = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    if (rate)
        send_paced(fd, lines, series, rate);
    else
        send_fast(fd, lines, series);
    close(fd);
    return 0;
}
