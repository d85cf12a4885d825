/* The floor: the smallest C loop that reads, parses, looks up and aggregates the bench's input. Frozen with that input: it is what all
 * other figures are divided by. It does no validation, knows one line shape, keeps no order, stores nothing.
 *
 * Listens on 127.0.0.1, takes one connection, reads to its end, prints: lines, CPU ns a line (user and system, whole process), a checksum.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#define READ_BYTES 65536
#define SLOTS 32768 /* power of two, for 10 k series */
#define WINDOW_NS INT64_C(60000000000)

struct aggregate {
    uint64_t hash;
    int64_t window;
    uint64_t n;
    double sum, min, max, last;
    double limits[3];
    uint32_t key_len;
    char key[28];
};

static struct aggregate table[SLOTS];
static uint64_t alarms, closed;

static struct aggregate *look_up(const char *key, uint32_t len) {
    uint64_t hash = XXH3_64bits(key, len);
    for (uint64_t i = hash & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1)) {
        struct aggregate *slot = &table[i];
        if (slot->hash == hash && slot->key_len == len && memcmp(slot->key, key, len) == 0)
            return slot;
        if (slot->key_len == 0) {
            *slot = (struct aggregate){.hash = hash, .key_len = len, .window = INT64_MIN, .limits = {1000, 2000, 3000}};
            memcpy(slot->key, key, len);
            return slot;
        }
    }
}

static void take(struct aggregate *a, double value, int64_t time_ns) {
    for (int i = 0; i < 3; i++)
        alarms += value > a->limits[i];
    int64_t window = time_ns / WINDOW_NS;
    if (window != a->window) {
        closed += a->n > 0;
        a->window = window;
        a->n = 0;
        a->sum = 0;
        a->min = a->max = value;
    }
    a->n++;
    a->sum += value;
    if (value < a->min)
        a->min = value;
    if (value > a->max)
        a->max = value;
    a->last = value;
}

/* measurement,tags value=D.DD NNNNNNNNNNNNNNNNNNN */
static const char *take_line(const char *at, const char *end) {
    const char *space = memchr(at, ' ', (size_t)(end - at));
    const char *number = memchr(space, '=', (size_t)(end - space));
    int64_t mantissa = 0;
    double scale = 1;
    const char *digit = number + 1;
    for (; *digit != ' ' && *digit != '.'; digit++)
        mantissa = mantissa * 10 + (*digit - '0');
    if (*digit == '.')
        for (digit++; *digit != ' '; digit++, scale *= 10)
            mantissa = mantissa * 10 + (*digit - '0');
    int64_t time_ns = 0;
    for (digit++; *digit != '\n'; digit++)
        time_ns = time_ns * 10 + (*digit - '0');
    take(look_up(at, (uint32_t)(space - at)), (double)mantissa / scale, time_ns);
    return digit + 1;
}

static int accept_one(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) < 0)
        exit(2);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    int fd = accept(listener, NULL, NULL);
    close(listener);
    return fd;
}

int main(void) {
    static char buffer[2 * READ_BYTES];
    int fd = accept_one();
    uint64_t lines = 0;
    size_t held = 0;
    ssize_t got;
    while ((got = read(fd, buffer + held, READ_BYTES)) > 0) {
        const char *end = buffer + held + got;
        const char *last = memrchr(buffer, '\n', (size_t)(end - buffer));
        const char *at = buffer;
        if (last)
            for (; at <= last; lines++)
                at = take_line(at, end);
        held = (size_t)(end - at);
        memmove(buffer, at, held);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double ns = 1e9 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                1e3 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    printf("lines %llu cpu_ns_a_line %.2f windows %llu alarms %llu\n", (unsigned long long)lines, ns / (double)lines,
           (unsigned long long)closed, (unsigned long long)alarms);
    return 0;
}
