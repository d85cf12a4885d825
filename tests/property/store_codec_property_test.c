/* The codec against what went in: random aggregates of all types, extremes included, come back bit for bit; any damage is noticed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/series.h"
#include "store/codec.h"
#include "store/crc32c.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"

#define SERIES 40
#define ROUNDS 3000

static struct wr_random dice;

static uint64_t random_u64(void) {
    return wr_random_u64(&dice);
}

static uint32_t below(uint32_t n) {
    return (uint32_t)(random_u64() % n);
}

struct series {
    char key[WR_SERIES_KEY_BYTES];
    uint16_t len;
    uint8_t type;
    uint8_t habit; /* how its values look */
};

static struct series series[SERIES];
static struct wr_symbol_table *symbols;

static void make_series(void) {
    for (uint32_t i = 0; i < SERIES; i++) {
        char name[8][24];
        struct wr_tag tags[3];
        size_t n = below(4);
        snprintf(name[0], sizeof name[0], "m%u", below(5));
        snprintf(name[1], sizeof name[1], "f%u", i);
        for (size_t t = 0; t < n; t++) {
            snprintf(name[2 + 2 * t], sizeof name[0], "tag%zu", t);
            snprintf(name[3 + 2 * t], sizeof name[0], "value%u", below(1000));
            tags[t] = (struct wr_tag){{name[2 + 2 * t], strlen(name[2 + 2 * t])}, {name[3 + 2 * t], strlen(name[3 + 2 * t])}};
        }
        size_t len;
        assert_int_equal(wr_series_key_make((struct wr_word){name[0], strlen(name[0])}, (struct wr_word){name[1], strlen(name[1])}, tags, n,
                                            series[i].key, &len, NULL),
                         WR_OK);
        series[i].len = (uint16_t)len;
        series[i].type = (uint8_t)(WR_TYPE_FLOAT + below(5));
        series[i].habit = (uint8_t)below(10);
    }
}

static const double extremes[] = {0.0,
                                  -0.0,
                                  1e15,
                                  -1e15,
                                  999999999999999.0,
                                  1e-320,
                                  4.9e-324,
                                  1.7976931348623157e308,
                                  -1.7976931348623157e308,
                                  3.4028234663852886e38,
                                  3.5e38,
                                  0.1,
                                  1.0 / 3,
                                  9007199254740993.0,
                                  1e22,
                                  1e300};

/* A number as a sensor prints it with so many digits, and how many of them stand after the point. */
static double printed(double value, int digits, uint8_t *decimals) {
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits, value);
    const char *point = strchr(text, '.');
    *decimals = strchr(text, 'e') ? WR_DECIMALS_UNKNOWN : point ? (uint8_t)strlen(point + 1) : 0;
    if (*decimals > WR_DECIMALS_MAX)
        *decimals = WR_DECIMALS_UNKNOWN;
    return strtod(text, NULL);
}

/* The mean of four tenths, computed in floats. */
static double float_mean(void) {
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (double)((float)((int)below(1400) - 400) / 10);
    return sum / 4;
}

static double random_double(uint8_t habit, uint8_t *decimals) {
    *decimals = WR_DECIMALS_UNKNOWN;
    switch (habit) {
    case 0: { /* a short decimal */
        *decimals = (uint8_t)below(5);
        return (double)((int64_t)below(100000) - 50000) / wr_decimal_powers[*decimals];
    }
    case 1: /* quarters */
        *decimals = 2;
        return (double)below(4000) / 4;
    case 2: /* a register times 0.1: neighbours of decimals */
        return (double)below(4000) * 0.1;
    case 3: /* a float, widened */
        return (double)((float)below(100000) * 0.37f);
    case 4: /* noise */
        return (double)(int64_t)random_u64() / 1e13;
    case 5: { /* any bits that are a number */
        union wr_value value;
        do
            value.u = random_u64();
        while (!isfinite(value.f));
        return value.f;
    }
    case 7: { /* means of a few samples */
        static const uint32_t parts[] = {3, 6, 7, 12, 60, 600, 9973};
        uint32_t q = parts[below(below(4) ? 2 : sizeof parts / sizeof parts[0])];
        return printed(((double)below(2000 * q) - 500.0 * q) / q, below(30) ? 15 : 13, decimals);
    }
    case 8:
        return printed(float_mean(), 14, decimals);
    case 6: /* many places */
        *decimals = 15;
        return (double)below(1000000000) / 1e15;
    default:
        return extremes[below(sizeof extremes / sizeof extremes[0])];
    }
}

static union wr_value random_value(const struct series *of, uint8_t *decimals) {
    union wr_value value = {0};
    switch ((enum wr_type)of->type) {
    case WR_TYPE_FLOAT:
        value.f = random_double(of->habit, decimals);
        break;
    case WR_TYPE_INT:
        value.i = of->habit < 5 ? (int64_t)below(2000) * 10 - 9000 : (int64_t)random_u64();
        break;
    case WR_TYPE_UINT:
        value.u = of->habit < 5 ? below(100) : random_u64();
        break;
    case WR_TYPE_BOOL:
        value.u = below(2);
        break;
    case WR_TYPE_SYMBOL:
        value.symbol = below(wr_symbol_count(symbols));
        break;
    case WR_TYPE_NONE:
        break;
    }
    return value;
}

static bool less(uint8_t type, union wr_value a, union wr_value b) {
    return type == WR_TYPE_FLOAT ? a.f < b.f : type == WR_TYPE_INT ? a.i < b.i : a.u < b.u;
}

static struct wr_aggregate random_aggregate(uint32_t i) {
    const struct series *of = &series[below(SERIES)];
    struct wr_aggregate aggregate = {.key = of->key,
                                     .key_len = of->len,
                                     .type = of->type,
                                     .quality = (uint8_t)below(3),
                                     .flags = (uint8_t)below(16),
                                     .window_ns = below(4)   ? 60 * WR_NS_PER_S
                                                  : below(2) ? 0
                                                             : (int64_t)(random_u64() >> 1),
                                     .start_ns = (int64_t)i * (below(3) ? WR_NS_PER_S : 1),
                                     .bad = below(10) ? 0 : random_u64() >> below(64),
                                     .sum = wr_sum_zero()};
    if (below(50) == 0)
        aggregate.start_ns = (int64_t)random_u64();
    uint32_t n = below(12);
    for (uint32_t k = 0; k < n; k++) {
        uint8_t decimals = WR_DECIMALS_UNKNOWN;
        union wr_value value = random_value(of, &decimals);
        if (k == 0)
            aggregate.min = aggregate.max = aggregate.first = value;
        aggregate.last = value;
        if (decimals > aggregate.decimals)
            aggregate.decimals = decimals;
        if (of->type == WR_TYPE_SYMBOL)
            continue;
        if (less(of->type, value, aggregate.min))
            aggregate.min = value;
        if (less(of->type, aggregate.max, value))
            aggregate.max = value;
        wr_sum_add(&aggregate.sum, (enum wr_type)of->type, value, decimals);
    }
    aggregate.n = n > 0 && below(20) == 0 ? random_u64() : n; /* the format has no opinion about n */
    if (aggregate.n == 0)
        aggregate.min = aggregate.max = aggregate.first = aggregate.last = (union wr_value){0};
    return aggregate;
}

/* a / 10^da == b / 10^db, exactly. */
static bool same_sum(const struct wr_sum *a, const struct wr_sum *b) {
    if (a->exact != b->exact)
        return false;
    if (!a->exact) {
        union wr_value x = {.f = wr_sum_double(a)};
        union wr_value y = {.f = wr_sum_double(b)};
        return x.bits == y.bits;
    }
    wr_i128 x = a->scaled;
    wr_i128 y = b->scaled;
    for (uint8_t d = a->decimals; d < b->decimals; d++)
        (void)wr_i128_multiply_overflow(x, 10, &x);
    for (uint8_t d = b->decimals; d < a->decimals; d++)
        (void)wr_i128_multiply_overflow(y, 10, &y);
    return wr_i128_equal(x, y);
}

static bool same(const struct wr_aggregate *a, const struct wr_aggregate *b) {
    if (a->key_len != b->key_len || memcmp(a->key, b->key, a->key_len) != 0 || a->type != b->type || a->quality != b->quality ||
        a->flags != b->flags || a->start_ns != b->start_ns || a->window_ns != b->window_ns || a->n != b->n || a->bad != b->bad)
        return false;
    if (a->n == 0)
        return true;
    if (a->type == WR_TYPE_SYMBOL)
        return strcmp(wr_symbol_text(symbols, a->first.symbol, NULL), b->first_text) == 0 &&
               strcmp(wr_symbol_text(symbols, a->last.symbol, NULL), b->last_text) == 0;
    return a->min.bits == b->min.bits && a->max.bits == b->max.bits && a->first.bits == b->first.bits && a->last.bits == b->last.bits &&
           same_sum(&a->sum, &b->sum);
}

/* What the decoder's order is: key, window; then as given. */
static int by_key(const void *left, const void *right) {
    const struct wr_aggregate *a = *(const struct wr_aggregate *const *)left;
    const struct wr_aggregate *b = *(const struct wr_aggregate *const *)right;
    size_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    int difference = memcmp(a->key, b->key, shorter);
    if (difference == 0)
        difference = (a->key_len > b->key_len) - (a->key_len < b->key_len);
    if (difference == 0)
        difference = (a->window_ns > b->window_ns) - (a->window_ns < b->window_ns);
    return difference != 0 ? difference : (a > b) - (a < b);
}

static int setup(void **state) {
    (void)state;
    dice = wr_random_begin();
    assert_int_equal(wr_symbol_table_new(64, &symbols, NULL), WR_OK);
    for (int i = 0; i < 20; i++) {
        char text[300];
        uint32_t id;
        memset(text, 'a' + i, sizeof text);
        assert_int_equal(wr_symbol_intern(symbols, text, below(sizeof text), &id), WR_OK);
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    wr_symbol_table_free(symbols);
    return 0;
}

static struct wr_aggregate given[WR_SEGMENT_RECORDS];

static void test_what_goes_in_comes_out(void **state) {
    (void)state;
    struct wr_encoder *encoder;
    struct wr_decoder *decoder;
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    for (int round = 0; round < ROUNDS; round++) {
        make_series();
        uint32_t n = 1 + below(below(8) ? 60 : WR_SEGMENT_RECORDS);
        const struct wr_aggregate *sorted[WR_SEGMENT_RECORDS];
        for (uint32_t i = 0; i < n; i++) {
            given[i] = random_aggregate(i);
            sorted[i] = &given[i];
        }
        qsort(sorted, n, sizeof sorted[0], by_key);
        struct wr_codec_header header = {.kind = WR_SEGMENT_AGGREGATES, .lane = WR_LANE_WINDOWS, .epoch = random_u64(), .seq = round + 1};
        struct wr_codec_header read;
        const uint8_t *body;
        size_t len;
        struct wr_error err;
        assert_int_equal(wr_encode_aggregates(encoder, &header, given, n, symbols, &body, &len), WR_OK);
        if (wr_decode_begin(decoder, body, len, &read, &err) != WR_OK)
            fail_msg("%s", err.text);
        assert_true(read.epoch == header.epoch && read.seq == header.seq && read.n == n && read.t0_ns == header.t0_ns);
        for (uint32_t i = 0; i < n; i++) {
            struct wr_aggregate got;
            if (wr_decode_aggregate(decoder, &got, &err) != WR_OK)
                fail_msg("%s", err.text);
            if (!same(sorted[i], &got))
                fail_msg("round %d: record %u of %u (%s, type %u) came back different", round, i, n, got.key, got.type);
        }
        struct wr_aggregate none;
        assert_int_equal(wr_decode_aggregate(decoder, &none, &err), WR_EMPTY);
    }
    wr_encoder_free(encoder);
    wr_decoder_free(decoder);
}

static void test_every_flipped_bit_is_noticed(void **state) {
    (void)state;
    struct wr_encoder *encoder;
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    make_series();
    for (uint32_t i = 0; i < 50; i++)
        given[i] = random_aggregate(i);
    struct wr_codec_header header = {.kind = WR_SEGMENT_AGGREGATES, .lane = WR_LANE_WINDOWS};
    const uint8_t *body;
    size_t len;
    assert_int_equal(wr_encode_aggregates(encoder, &header, given, 50, symbols, &body, &len), WR_OK);
    uint8_t *copy = malloc(len);
    memcpy(copy, body, len);
    for (size_t bit = 0; bit < len * 8; bit++) {
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(wr_codec_check(copy, len, &header, NULL), WR_OK);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(wr_codec_check(copy, cut, &header, NULL), WR_OK);
    assert_int_equal(wr_codec_check(copy, len, &header, NULL), WR_OK);
    free(copy);
    wr_encoder_free(encoder);
}

static void test_texts_come_back(void **state) {
    (void)state;
    struct wr_encoder *encoder;
    struct wr_decoder *decoder;
    struct wr_buf packed;
    wr_buf_init(&packed, 0);
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    char text[400];
    for (int i = 0; i < 100; i++) {
        memset(text, '0' + i % 10, sizeof text);
        assert_int_equal(wr_encode_pack_text(&packed, text, (size_t)i * 4), WR_OK);
    }
    struct wr_codec_header header = {.kind = WR_SEGMENT_ALARMS};
    const uint8_t *body;
    size_t len;
    assert_int_equal(wr_encode_texts(encoder, &header, packed.data, packed.len, 100, &body, &len), WR_OK);
    assert_int_equal(wr_decode_begin(decoder, body, len, &header, NULL), WR_OK);
    for (int i = 0; i < 100; i++) {
        const char *got;
        size_t got_len;
        assert_int_equal(wr_decode_text(decoder, &got, &got_len, NULL), WR_OK);
        memset(text, '0' + i % 10, sizeof text);
        assert_int_equal(got_len, i * 4);
        assert_memory_equal(got, text, got_len);
        assert_int_equal(got[got_len], 0);
    }
    const char *got;
    size_t got_len;
    assert_int_equal(wr_decode_text(decoder, &got, &got_len, NULL), WR_EMPTY);
    wr_buf_fini(&packed);
    wr_encoder_free(encoder);
    wr_decoder_free(decoder);
}

static enum wr_result round_trip(void) {
    struct wr_encoder *encoder = NULL;
    struct wr_decoder *decoder = NULL;
    struct wr_codec_header header = {.kind = WR_SEGMENT_AGGREGATES, .lane = WR_LANE_WINDOWS};
    const uint8_t *body;
    size_t len;
    enum wr_result result = wr_encoder_new(&encoder);
    if (result == WR_OK)
        result = wr_decoder_new(&decoder);
    if (result == WR_OK)
        result = wr_encode_aggregates(encoder, &header, given, 50, symbols, &body, &len);
    if (result == WR_OK)
        result = wr_decode_begin(decoder, body, len, &header, NULL);
    wr_encoder_free(encoder);
    wr_decoder_free(decoder);
    return result;
}

static void test_failing_allocations(void **state) {
    (void)state;
    make_series();
    for (uint32_t i = 0; i < 50; i++)
        given[i] = random_aggregate(i);
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        enum wr_result result = round_trip();
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
    }
}

static void test_crc32c(void **state) {
    (void)state;
    uint8_t bytes[300];
    for (size_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(wr_crc32c(0, bytes, 32), 0x46DD794E); /* RFC 3720, B.4 */
    memset(bytes, 0xff, 32);
    assert_int_equal(wr_crc32c(0, bytes, 32), 0x62A8AB43);
    memset(bytes, 0, 32);
    assert_int_equal(wr_crc32c(0, bytes, 32), 0x8A9136AA);
    assert_int_equal(wr_crc32c_tables(0, "123456789", 9), 0xE3069283);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_u64();
    for (size_t len = 0; len <= sizeof bytes; len++) {
        size_t cut = below((uint32_t)len + 1);
        uint32_t whole = wr_crc32c(0, bytes, len);
        assert_int_equal(whole, wr_crc32c_tables(0, bytes, len));
        assert_int_equal(whole, wr_crc32c(wr_crc32c(0, bytes, cut), bytes + cut, len - cut));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_every_flipped_bit_is_noticed),
        cmocka_unit_test(test_texts_come_back),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_crc32c),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
