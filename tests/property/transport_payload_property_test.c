/* Random segments in every format for other receivers, read back by readers that share nothing with the encoders: tests/support/payload_reader.py, in
 * Python, has its own line-protocol, SenML and CBOR readers, and is told the aggregates as numbers and hex digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/series.h"
#include "tests/support/random.h"
#include "transport/payload.h"

#define SEGMENTS 120
#define RECORDS_MAX 24

static struct wr_random seed;

static bool one_in(uint64_t n) {
    return wr_random_below(&seed, n) == 0;
}

/* ---- random aggregates ---- */

static size_t random_word(char *into, size_t most) {
    static const char *const pieces[] = {"a",
                                         "B7",
                                         "_",
                                         "-",
                                         ".",
                                         " ",
                                         ",",
                                         "=",
                                         "\"",
                                         "\\",
                                         "#",
                                         ":",
                                         "/",
                                         "\xC3\xA9",
                                         "\xE2\x98\x83",
                                         "\xFF",
                                         "\n",
                                         "\t",
                                         "\x7F",
                                         "room",
                                         "value",
                                         "\xF0\x9F\x8C\xA1",
                                         "\xC0\x80"};
    size_t len = 0;
    size_t n = 1 + wr_random_below(&seed, most);
    for (size_t i = 0; i < n; i++) {
        const char *piece = pieces[wr_random_below(&seed, one_in(2) ? 3 : sizeof pieces / sizeof pieces[0])];
        memcpy(into + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return len;
}

static struct wr_word random_name(char *into, const char *usual) {
    if (one_in(3))
        return (struct wr_word){usual, strlen(usual)};
    return (struct wr_word){into, random_word(into, 6)};
}

static size_t random_key(char key[WR_SERIES_KEY_BYTES]) {
    static const char *const own[] = {"node", "site", "window", "room", "a"};
    char words[10][64];
    struct wr_tag tags[4];
    size_t len = 0;
    enum wr_result result;
    do {
        size_t n = wr_random_below(&seed, 5);
        for (size_t i = 0; i < n; i++) {
            tags[i].name = random_name(words[2 * i], own[wr_random_below(&seed, 5)]);
            tags[i].value = random_name(words[2 * i + 1], "A1");
        }
        result = wr_series_key_make(random_name(words[8], "room_temp"), random_name(words[9], "value"), tags, n, key, &len, NULL);
    } while (result != WR_OK); /* a tag twice */
    return len;
}

static double random_double(void) {
    switch (wr_random_below(&seed, 8)) {
    case 0: {
        union wr_value any = {.u = wr_random_u64(&seed)}; /* NaN and infinities among them */
        return any.f;
    }
    case 1:
        return one_in(2) ? INFINITY : -0.0;
    case 2:
        return 1e308;
    default:
        return (double)((int64_t)wr_random_below(&seed, 2000000) - 1000000) / 100.0;
    }
}

static union wr_value random_value(enum wr_type type) {
    if (type == WR_TYPE_FLOAT)
        return (union wr_value){.f = random_double()};
    if (type == WR_TYPE_BOOL)
        return (union wr_value){.u = wr_random_below(&seed, 2)};
    uint64_t any = wr_random_u64(&seed);
    return (union wr_value){.u = one_in(2) ? any : any % 1000};
}

static struct wr_sum random_sum(enum wr_type type) {
    struct wr_sum sum = wr_sum_zero();
    for (uint64_t i = wr_random_below(&seed, 4); i-- > 0;)
        wr_sum_add(&sum, type, random_value(type), 2);
    return sum;
}

static struct wr_aggregate random_aggregate(const char *key, size_t key_len, char texts[2][64]) {
    struct wr_aggregate made = {
        .key = key,
        .key_len = (uint16_t)key_len,
        .type = (uint8_t)(1 + wr_random_below(&seed, 5)),
        .flags = one_in(4) ? (uint8_t)wr_random_below(&seed, 16) : 0,
        .start_ns = (int64_t)wr_random_below(&seed, 4) * 60 * WR_NS_PER_S + 1700000000 * WR_NS_PER_S,
        .window_ns = one_in(5) ? 300 * WR_NS_PER_S : 60 * WR_NS_PER_S,
        .n = one_in(6) ? 0 : 1 + wr_random_below(&seed, 1000),
        .bad = one_in(3) ? wr_random_below(&seed, 5) : 0,
    };
    if (one_in(5))
        made.start_ns += (int64_t)wr_random_below(&seed, 1000000000);
    if (one_in(12))
        made.start_ns = (int64_t)wr_random_below(&seed, UINT64_C(400000000) * WR_NS_PER_S); /* 1970 to 1982 */
    if (one_in(20))
        made.start_ns = -made.start_ns;
    if (one_in(10))
        made.window_ns = one_in(2) ? 0 : 1500 * WR_NS_PER_MS;
    if (made.type == WR_TYPE_SYMBOL) {
        for (int i = 0; i < 2; i++)
            texts[i][random_word(texts[i], 6)] = '\0';
        made.first_text = texts[0];
        made.last_text = texts[1];
        return made;
    }
    made.sum = random_sum((enum wr_type)made.type);
    made.min = random_value((enum wr_type)made.type);
    made.max = random_value((enum wr_type)made.type);
    made.first = random_value((enum wr_type)made.type);
    made.last = random_value((enum wr_type)made.type);
    return made;
}

/* ---- telling the reader ---- */

static void tell_word(FILE *to, const char *word) {
    for (; *word != '\0'; word++)
        (void)fprintf(to, "%02x", (unsigned)(unsigned char)*word);
    (void)fputc(' ', to);
}

static void tell_value(FILE *to, enum wr_type type, union wr_value value) {
    if (type == WR_TYPE_FLOAT)
        (void)fprintf(to, " %a", value.f);
    else if (type == WR_TYPE_UINT || type == WR_TYPE_BOOL)
        (void)fprintf(to, " %" PRIu64, value.u);
    else
        (void)fprintf(to, " %" PRId64, value.i);
}

/* Two lines an aggregate: the words of its key in hex digits, then its numbers. The exact sum is told in two halves. */
static void tell(FILE *to, const struct wr_aggregate *aggregate) {
    for (const char *word = aggregate->key; word < aggregate->key + aggregate->key_len; word += strlen(word) + 1)
        tell_word(to, word);
    (void)fprintf(to, "\n%s %u %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64, wr_type_name((enum wr_type)aggregate->type),
                  (unsigned)aggregate->flags, aggregate->start_ns, aggregate->window_ns, aggregate->n, aggregate->bad);
    if (aggregate->type == WR_TYPE_SYMBOL) {
        (void)fputc(' ', to);
        tell_word(to, aggregate->first_text);
        tell_word(to, aggregate->last_text);
    } else {
        const struct wr_sum *sum = &aggregate->sum;
        bool whole = sum->exact && sum->decimals == 0;
        (void)fprintf(to, " %a %" PRId64 " %" PRIu64, wr_sum_double(sum),
                      whole ? (int64_t)wr_u128_high(wr_i128_unsigned(sum->scaled)) : INT64_MIN,
                      whole ? wr_u128_low(wr_i128_unsigned(sum->scaled)) : 0);
        const union wr_value values[] = {aggregate->min, aggregate->max, aggregate->first, aggregate->last};
        for (size_t i = 0; i < 4; i++)
            tell_value(to, (enum wr_type)aggregate->type, values[i]);
    }
    (void)fputc('\n', to);
}

static void write_payload(const char *dir, int number, enum wr_payload_format format, const struct wr_segment *segment,
                          const struct wr_aggregate *aggregates) {
    struct wr_place place;
    struct wr_buf into;
    struct wr_payload payload;
    char path[128];
    wr_buf_init(&into, WR_PAYLOAD_BYTES_MAX);
    assert_int_equal(wr_place_init(&place, "weir/1", one_in(2) ? "riga" : "-", "gw-7", NULL), WR_OK);
    wr_payload_begin(&payload, format, &into, &place, segment);
    for (uint32_t i = 0; i < segment->n; i++)
        wr_payload_aggregate(&payload, &aggregates[i]);
    assert_int_equal(wr_payload_end(&payload, NULL), WR_OK);
    assert_true(into.len <= segment->n * (4 * WR_SERIES_KEY_BYTES));
    (void)snprintf(path, sizeof path, "%s/%d.%s", dir, number, wr_payload_name(format));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(into.data, 1, into.len, file), into.len);
    assert_int_equal(fclose(file), 0);
    wr_buf_fini(&into);
}

static void other_readers_understand_every_format(void **state) {
    (void)state;
    static char keys[RECORDS_MAX][WR_SERIES_KEY_BYTES], texts[RECORDS_MAX][2][64];
    struct wr_aggregate aggregates[RECORDS_MAX];
    char dir[] = "/tmp/weir-payloads-XXXXXX";
    char path[128];
    char command[512];
    seed = wr_random_begin();
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/aggregates", dir);
    FILE *truth = fopen(path, "we");
    assert_non_null(truth);
    for (int number = 0; number < SEGMENTS; number++) {
        struct wr_segment segment = {.epoch = wr_random_u64(&seed),
                                     .seq = (int64_t)wr_random_below(&seed, INT64_MAX),
                                     .lane = WR_LANE_WINDOWS,
                                     .kind = WR_SEGMENT_AGGREGATES,
                                     .n = 1 + (uint32_t)wr_random_below(&seed, RECORDS_MAX)};
        size_t len = 0;
        (void)fprintf(truth, "segment %d %" PRIu32 "\n", number, segment.n);
        for (uint32_t i = 0; i < segment.n; i++) {
            const char *key = i > 0 && one_in(2) ? aggregates[i - 1].key : keys[i];
            if (key == keys[i])
                len = random_key(keys[i]);
            aggregates[i] = random_aggregate(key, key == keys[i] ? len : aggregates[i - 1].key_len, texts[i]);
            tell(truth, &aggregates[i]);
        }
        for (int format = WR_PAYLOAD_INFLUX; format < WR_PAYLOAD_FORMATS; format++)
            write_payload(dir, number, (enum wr_payload_format)format, &segment, aggregates);
    }
    assert_int_equal(fclose(truth), 0);
    (void)snprintf(command, sizeof command, "/usr/bin/python3 %s/tests/support/payload_reader.py %s && rm -r %s", WEIR_SOURCE_DIR, dir,
                   dir);
    if (system(command) != 0) /* NOLINT(cert-env33-c) */
        fail_msg("see above; the payloads are in %s", dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(other_readers_understand_every_format)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
