/* The floor of JSON: what tests/bench/floor.c is for line protocol, for records of two fields. Frozen like it, with its input (input_json of
 * tests/bench/input.h): do not make it faster or slower; make another program.
 *
 *   {"ts":1700000000.001,"sensor":"s0042","temp":12.31,"hum":61.2}
 *
 * The input: 10 k sensors, 60 records a sensor and window, 62.7 bytes, one connection, writes and reads of 64 KB, three limits a sensor, on temp.
 * It knows one order of members and validates nothing, not even their names; keeps no order, stores nothing. A sensor is looked up once for both of
 * its aggregates.
 * What makes it fast: eight bytes at a time instead of one, and the aggregates are fetched ahead while the next records are parsed.
 *
 * Listens on 127.0.0.1, takes one connection, reads to its end, prints: records, CPU ns a record (user and system, whole process), checksums.
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

struct aggregate {
    uint64_t n;
    double sum, min, max, last;
};

/* Three cache lines, of which a record touches all. */
struct sensor {
    _Alignas(64) uint64_t hash;
    int64_t window_start_ns;
    struct aggregate temp, hum;
    uint64_t key_len;
    double limits[3];
    char key[16];
};

struct line {
    const char *key;
    uint64_t key_len;
    uint64_t hash;
    double temp, hum;
    int64_t time_ns;
};

static struct sensor table[SLOTS];
static uint64_t alarms, closed;
static double checksum;
static const double powers[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};

static struct sensor *look_up(const struct line *line) {
    for (uint64_t i = line->hash & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1)) {
        struct sensor *slot = &table[i];
        if (slot->hash == line->hash && slot->key_len == line->key_len && memcmp(slot->key, line->key, line->key_len) == 0)
            return slot;
        if (slot->key_len == 0) {
            if (line->key_len > sizeof slot->key)
                exit(2);
            *slot = (struct sensor){
                .hash = line->hash, .key_len = line->key_len, .window_start_ns = INT64_MIN / 2, .limits = {1000, 2000, 3000}};
            memcpy(slot->key, line->key, line->key_len);
            return slot;
        }
    }
}

static void add(struct aggregate *a, double value) {
    a->n++;
    a->sum += value;
    a->min = value < a->min ? value : a->min;
    a->max = value > a->max ? value : a->max;
    a->last = value;
}

static void close_window(struct aggregate *a, double value) {
    closed += a->n > 0;
    checksum += a->sum;
    *a = (struct aggregate){.min = value, .max = value};
}

static void take(const struct line *line) {
    struct sensor *sensor = look_up(line);
    for (int i = 0; i < 3; i++)
        alarms += line->temp > sensor->limits[i];
    if ((uint64_t)(line->time_ns - sensor->window_start_ns) >= (uint64_t)WINDOW_NS) {
        close_window(&sensor->temp, line->temp);
        close_window(&sensor->hum, line->hum);
        sensor->window_start_ns = line->time_ns - line->time_ns % WINDOW_NS;
    }
    add(&sensor->temp, line->temp);
    add(&sensor->hum, line->hum);
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

/* D.DD up to the `end` character; returns where that is. */
static const char *read_value(const char *at, char end, double *ret_value) {
    uint64_t word = word_at(at);
    unsigned len = bytes_before(word, end), point = bytes_before(word, '.');
    if (len < 8 && point > 0 && point < len) {
        uint64_t before = (UINT64_C(1) << 8 * point) - 1;
        uint64_t digits = (word & before) | (word >> 8 & ~before); /* without the point, and what follows it */
        uint64_t mantissa = eight_digits(digits << 8 * (9 - len)); /* to the end of the word: zeros come in before */
        *ret_value = (double)(int64_t)mantissa / powers[len - 1 - point];
        return at + len;
    }
    int64_t mantissa = 0;
    double scale = 1;
    for (; *at != end && *at != '.'; at++)
        mantissa = mantissa * 10 + (*at - '0');
    if (*at == '.')
        for (at++; *at != end; at++, scale *= 10)
            mantissa = mantissa * 10 + (*at - '0');
    *ret_value = (double)mantissa / scale;
    return at;
}

/* Seconds since 1970 with three decimals, up to a comma; returns the comma. */
static const char *read_time(const char *at, int64_t *ret_time_ns) {
    if (at[10] == '.' && at[14] == ',') {
        uint64_t high = eight_digits(word_at(at));
        uint64_t low = (uint64_t)((at[8] - '0') * 10 + (at[9] - '0'));
        uint64_t ms = (uint64_t)((at[11] - '0') * 100 + (at[12] - '0') * 10 + (at[13] - '0'));
        *ret_time_ns = (int64_t)(((high * 100 + low) * 1000 + ms) * 1000000);
        return at + 14;
    }
    double seconds;
    const char *end = read_value(at, ',', &seconds);
    *ret_time_ns = (int64_t)(seconds * 1e9);
    return end;
}

/* {"ts":T,"sensor":"S","temp":D.DD,"hum":D.DD}; returns the next line. */
static const char *parse(const char *at, struct line *line) {
    at = read_time(find(at, ':') + 1, &line->time_ns);
    line->key = find(at, ':') + 2;
    at = find(line->key, '"');
    line->key_len = (uint64_t)(at - line->key);
    line->hash = XXH3_64bits(line->key, line->key_len);
    char *slot = (char *)&table[line->hash & (SLOTS - 1)];
    __builtin_prefetch(slot, 1);
    __builtin_prefetch(slot + 64, 1);
    __builtin_prefetch(slot + 128);
    at = read_value(find(at, ':') + 1, ',', &line->temp);
    at = read_value(find(at, ':') + 1, '}', &line->hum);
    return at + 2;
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
        closed += table[i].temp.n > 0 ? 2 : 0; /* both fields come together */
        checksum += table[i].temp.sum + table[i].hum.sum;
    }
    printf("records %llu cpu_ns_a_record %.2f system_ns_a_record %.2f windows %llu alarms %llu sum %.2f\n", (unsigned long long)lines,
           (user_ns + system_ns) / (double)lines, system_ns / (double)lines, (unsigned long long)closed, (unsigned long long)alarms,
           checksum);
    return 0;
}
