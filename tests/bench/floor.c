/* The floor: the smallest C loop that reads, parses, looks up and aggregates the bench's input. It is what all other figures are divided by,
 * so it is frozen, with its input (tests/bench/generator.c): do not make it faster or slower; make another program.
 *
 * The input: 10 k series, 60 readings a series and window, lines of 52.8 bytes, one connection, writes and reads of 64 KB, three limits a series.
 * It knows one line shape and validates nothing, keeps no order, stores nothing; what other shapes there are takes the plain way.
 * What makes it fast: eight bytes at a time instead of one, and the aggregate is fetched ahead while the next lines are parsed.
 *
 * Listens on 127.0.0.1, takes one connection, reads to its end, prints: lines, CPU ns a line (user and system, whole process), checksums.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536
#define SLACK 64    /* words are read beyond the end of the text */
#define SLOTS 32768 /* power of two, for 10 k series */
#define AHEAD 16    /* lines between the parsing of a line and its taking */
#define WINDOW_NS INT64_C(60000000000)
#define ONES UINT64_C(0x0101010101010101)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie in memory");

/* Two cache lines: the first has all that a reading changes. */
struct aggregate {
    _Alignas(128) uint64_t hash;
    int64_t window_start_ns;
    uint64_t n;
    double sum, min, max, last;
    uint64_t key_len;
    double limits[3];
    char key[40];
};

struct line {
    const char *key;
    uint64_t key_len;
    uint64_t hash;
    double value;
    int64_t time_ns;
};

static struct aggregate table[SLOTS];
static uint64_t alarms, closed;
static double checksum;
static const double powers[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};

static struct aggregate *look_up(const struct line *line) {
    for (uint64_t i = line->hash & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1)) {
        struct aggregate *slot = &table[i];
        if (slot->hash == line->hash && slot->key_len == line->key_len && memcmp(slot->key, line->key, line->key_len) == 0)
            return slot;
        if (slot->key_len == 0) {
            if (line->key_len > sizeof slot->key)
                exit(2);
            *slot = (struct aggregate){
                .hash = line->hash, .key_len = line->key_len, .window_start_ns = INT64_MIN / 2, .limits = {1000, 2000, 3000}};
            memcpy(slot->key, line->key, line->key_len);
            return slot;
        }
    }
}

static void take(const struct line *line) {
    struct aggregate *a = look_up(line);
    double value = line->value;
    for (int i = 0; i < 3; i++)
        alarms += value > a->limits[i];
    if ((uint64_t)(line->time_ns - a->window_start_ns) >= (uint64_t)WINDOW_NS) {
        closed += a->n > 0;
        checksum += a->sum;
        a->window_start_ns = line->time_ns - line->time_ns % WINDOW_NS;
        a->n = 0;
        a->sum = 0;
        a->min = a->max = value;
    }
    a->n++;
    a->sum += value;
    a->min = value < a->min ? value : a->min;
    a->max = value > a->max ? value : a->max;
    a->last = value;
}

static uint64_t word_at(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The first byte of a word that is c: how many bytes lie before it; 8: none. */
static unsigned bytes_before(uint64_t word, char c) {
    uint64_t zero = word ^ (ONES * (unsigned char)c);
    uint64_t found = (zero - ONES) & ~zero & (ONES << 7);
    return found ? (unsigned)__builtin_ctzll(found) / 8 : 8;
}

static const char *find(const char *at, char c) {
    unsigned n;
    while ((n = bytes_before(word_at(at), c)) == 8)
        at += 8;
    return at + n;
}

/* Eight digits, the first in the lowest byte. */
static uint64_t eight_digits(uint64_t word) {
    word = (word & (ONES * 15)) * 2561 >> 8;
    word = (word & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
    return (word & UINT64_C(0x0000ffff0000ffff)) * 42949672960001 >> 32;
}

/* D.DD up to a space; returns the space. */
static const char *read_value(const char *at, double *ret_value) {
    uint64_t word = word_at(at);
    unsigned len = bytes_before(word, ' '), point = bytes_before(word, '.');
    if (len < 8 && point > 0 && point < len) {
        uint64_t before = (UINT64_C(1) << 8 * point) - 1;
        uint64_t digits = (word & before) | (word >> 8 & ~before); /* without the point, and what follows it */
        uint64_t mantissa = eight_digits(digits << 8 * (9 - len)); /* to the end of the word: zeros come in before */
        *ret_value = (double)(int64_t)mantissa / powers[len - 1 - point];
        return at + len;
    }
    int64_t mantissa = 0;
    double scale = 1;
    for (; *at != ' ' && *at != '.'; at++)
        mantissa = mantissa * 10 + (*at - '0');
    if (*at == '.')
        for (at++; *at != ' '; at++, scale *= 10)
            mantissa = mantissa * 10 + (*at - '0');
    *ret_value = (double)mantissa / scale;
    return at;
}

/* Nanoseconds since 1970 up to a newline; returns the newline. */
static const char *read_time(const char *at, int64_t *ret_time_ns) {
    if (at[19] == '\n') {
        uint64_t high = eight_digits(word_at(at)), middle = eight_digits(word_at(at + 8));
        uint64_t low = (uint64_t)((at[16] - '0') * 100 + (at[17] - '0') * 10 + (at[18] - '0'));
        *ret_time_ns = (int64_t)((high * 100000000 + middle) * 1000 + low);
        return at + 19;
    }
    int64_t time_ns = 0;
    for (; *at != '\n'; at++)
        time_ns = time_ns * 10 + (*at - '0');
    *ret_time_ns = time_ns;
    return at;
}

/* measurement,tags value=D.DD NNNNNNNNNNNNNNNNNNN; returns the next line. */
static const char *parse(const char *at, struct line *line) {
    const char *space = find(at, ' ');
    line->key = at;
    line->key_len = (uint64_t)(space - at);
    line->hash = XXH3_64bits(at, line->key_len);
    __builtin_prefetch(&table[line->hash & (SLOTS - 1)], 1);
    __builtin_prefetch((char *)&table[line->hash & (SLOTS - 1)] + 64);
    const char *value_end = read_value(find(space, '=') + 1, &line->value);
    return read_time(value_end + 1, &line->time_ns) + 1;
}

/* All lines up to the one that `last` ends. Returns how many. */
static uint64_t take_lines(const char *at, const char *last) {
    struct line ring[AHEAD];
    uint64_t parsed = 0, taken = 0;
    while (at <= last) {
        if (parsed - taken == AHEAD)
            take(&ring[taken++ % AHEAD]);
        at = parse(at, &ring[parsed++ % AHEAD]);
    }
    while (taken < parsed)
        take(&ring[taken++ % AHEAD]);
    return parsed;
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
    static char buffer[2 * READ_BYTES + SLACK];
    int fd = accept_one();
    uint64_t lines = 0;
    size_t held = 0;
    ssize_t got;
    while ((got = read(fd, buffer + held, READ_BYTES)) > 0) {
        size_t len = held + (size_t)got;
        const char *last = memrchr(buffer, '\n', len);
        size_t whole = last ? (size_t)(last - buffer) + 1 : 0;
        if (last)
            lines += take_lines(buffer, last);
        held = len - whole;
        memmove(buffer, buffer + whole, held);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double user_ns = 1e9 * (double)usage.ru_utime.tv_sec + 1e3 * (double)usage.ru_utime.tv_usec;
    double system_ns = 1e9 * (double)usage.ru_stime.tv_sec + 1e3 * (double)usage.ru_stime.tv_usec;
    for (size_t i = 0; i < SLOTS; i++) {
        closed += table[i].n > 0;
        checksum += table[i].sum;
    }
    printf("lines %llu cpu_ns_a_line %.2f system_ns_a_line %.2f windows %llu alarms %llu sum %.2f\n", (unsigned long long)lines,
           (user_ns + system_ns) / (double)lines, system_ns / (double)lines, (unsigned long long)closed, (unsigned long long)alarms,
           checksum);
    return 0;
}
