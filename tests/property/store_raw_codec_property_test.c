/* The codec of raw readings against what went in: random readings of all types and habits come back bit for bit, by series; any damage is noticed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/codec_format.h"
#include "store/raw_codec.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"

#define SERIES 60
#define ROUNDS 300

static struct wr_random dice;
static struct wr_series_table *table;
static struct wr_symbol_table *symbols;
static uint32_t texts[50];

static struct {
    uint32_t id;
    uint8_t type;
    uint8_t habit;  /* how its values look */
    uint8_t rhythm; /* how its times do */
    int64_t at_ns;
    int64_t walk;
} series[SERIES];

static uint32_t below(uint32_t n) {
    return (uint32_t)wr_random_below(&dice, n);
}

static void make_tables(void) {
    assert_int_equal(wr_series_table_new(1000, &table, NULL), WR_OK);
    assert_int_equal(wr_symbol_table_new(1000, &symbols, NULL), WR_OK);
    for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "text %u%s", i, i % 7 ? "" : " with \xc3\xa4 and more of it");
        assert_int_equal(wr_symbol_intern(symbols, text, i == 0 ? 0 : strlen(text), &texts[i]), WR_OK);
    }
    for (uint32_t i = 0; i < SERIES; i++) {
        char key[64];
        size_t len = (size_t)snprintf(key, sizeof key, "m%u%cf%u%croom%cr%u", below(4), 0, i, 0, 0, below(9)) + 1;
        assert_int_equal(wr_series_intern(table, key, len, &series[i].id), WR_OK);
        series[i].type = (uint8_t)(WR_TYPE_FLOAT + (below(2) ? 0 : below(5)));
        series[i].habit = (uint8_t)below(12);
        if (i == 0) {
            series[i].type = WR_TYPE_FLOAT;
            series[i].habit = 10;
        }
        series[i].rhythm = (uint8_t)below(6);
        series[i].at_ns = INT64_C(1770000000) * 1000000000 + (series[i].rhythm == 5 ? (int64_t)below(1000000000) : 0);
    }
}

static int64_t next_time(uint32_t i, int64_t shared_ns) {
    switch (series[i].rhythm) {
    case 0: /* each second */
        return series[i].at_ns += 1000000000;
    case 1: /* each 100 ms or so, in ms */
        return series[i].at_ns += (95 + below(10)) * INT64_C(1000000);
    case 2: /* at the time of others */
        return shared_ns;
    case 3: /* now and then a gap */
        return series[i].at_ns += below(20) ? 60 * INT64_C(1000000000) : 3600 * INT64_C(1000000000);
    case 4: /* anything */
        return (int64_t)wr_random_u64(&dice) >> below(60);
    default: /* the arrival, in ns */
        return series[i].at_ns += 1000000000 + (int64_t)below(2000000);
    }
}

static double next_float(uint32_t i, uint8_t *decimals) {
    static const double extremes[] = {0.0,      -0.0,      1e15, -1e15, 4.9e-324, 1.7976931348623157e308, 0.1, 1.0 / 3, 1e22,
                                      INFINITY, -INFINITY, NAN,  1e300, 3.5e38,   9007199254740993.0};
    const int64_t walk = series[i].walk += (int64_t)below(21) - 10;
    *decimals = WR_DECIMALS_UNKNOWN;
    switch (series[i].habit) {
    case 0:
        *decimals = 1;
        return (double)(200 + walk) / 10;
    case 1:
        *decimals = (uint8_t)below(4);
        return (double)(2000 + walk) / wr_decimal_powers[*decimals];
    case 2: /* a register times 0.1 */
        return (double)(2000 + walk) * 0.1;
    case 3: /* a float, widened */
        return (double)((float)walk * 0.37f);
    case 4: { /* a mean, printed */
        char text[40];
        snprintf(text, sizeof text, "%.15g", (double)(3000 + walk) / 6);
        const char *point = strchr(text, '.');
        *decimals = point ? (uint8_t)strlen(point + 1) : 0;
        return strtod(text, NULL);
    }
    case 5: {
        union wr_value value = {.u = wr_random_u64(&dice)};
        return value.f;
    }
    case 6:
        *decimals = 2;
        return (double)walk / 4;
    case 7:
        return sin((double)walk);
    case 8: /* a sensor that often fails */
        *decimals = 1;
        return below(5) ? (double)(200 + walk) / 10 : -200;
    case 9: { /* what was computed from decimals */
        union wr_value value = {.f = (double)(2000 + walk) / 1000};
        value.i += (int64_t)below(40) / 4 - 5;
        return value.f;
    }
    case 10: /* single peaks */
        *decimals = (uint8_t)(below(100) ? 3 : 4);
        return (double)(31000 + walk + (below(3) ? 0 : 100000 + (int64_t)below(9000))) / wr_decimal_powers[*decimals];
    default:
        return extremes[below(sizeof extremes / sizeof extremes[0])];
    }
}

static struct wr_reading next_reading(uint32_t i, int64_t shared_ns) {
    struct wr_reading reading = {.event_ns = next_time(i, shared_ns),
                                 .series = series[i].id,
                                 .type = series[i].type,
                                 .quality = (uint8_t)(below(30) ? 0 : below(3)),
                                 .decimals = 0,
                                 .flags = below(50) ? 0 : WR_READING_HISTORIC};
    switch ((enum wr_type)series[i].type) {
    case WR_TYPE_FLOAT:
        reading.value.f = next_float(i, &reading.decimals);
        break;
    case WR_TYPE_BOOL:
        reading.value.u = below(2);
        break;
    case WR_TYPE_SYMBOL:
        reading.value.symbol = texts[below(below(2) ? 3 : sizeof texts / sizeof texts[0])];
        break;
    default:
        reading.value.u = series[i].habit < 4 ? (uint64_t)(series[i].walk += below(5)) * 25 : wr_random_u64(&dice);
        if (series[i].habit % 4 == 1 && below(4) == 0)
            reading.value.u = 65535;
    }
    return reading;
}

static size_t random_readings(struct wr_reading *readings) {
    const bool peaks = below(20) == 0; /* of the first series alone, enough of them that its values stand in three columns */
    const size_t n = peaks || below(10) == 0 ? WR_SEGMENT_READINGS : 1 + below(1500);
    const uint32_t used = peaks ? 1 : 1 + below(SERIES);
    for (size_t i = 0; i < n; i++) {
        const int64_t shared_ns = INT64_C(1770000000123456789) + (int64_t)(i / used) * INT64_C(1000003000);
        readings[i] = next_reading(below(3) ? (uint32_t)(i % used) : below(used), shared_ns);
    }
    return n;
}

static void assert_same(const struct wr_raw_reading *got, const struct wr_reading *put) {
    const struct wr_series *of = wr_series_get(table, put->series);
    assert_int_equal(got->key_len, of->key_len);
    assert_memory_equal(got->key, of->key, of->key_len);
    assert_int_equal(got->type, put->type);
    assert_int_equal(got->quality, put->quality);
    assert_int_equal(got->flags, put->flags);
    assert_true(got->time_ns == put->event_ns);
    if (put->type == WR_TYPE_SYMBOL) {
        assert_string_equal(got->text, wr_symbol_text(symbols, put->value.symbol, NULL));
        return;
    }
    assert_null(got->text);
    assert_true(got->value.u == put->value.u);
    if (got->decimals == WR_DECIMALS_UNKNOWN)
        return;
    assert_in_range(got->decimals, 0, WR_DECIMALS_MAX);
    int64_t mantissa;
    assert_true(wr_decimal_scale(got->value.f, got->decimals, &mantissa));
    assert_true((double)mantissa / wr_decimal_powers[got->decimals] == got->value.f);
}

/* The model: of each series in the order of keys, its readings in their order. */
static void assert_decodes(struct wr_raw_decoder *decoder, const uint8_t *body, size_t len, const struct wr_reading *readings, size_t n) {
    struct wr_codec_header header;
    struct wr_raw_reading got;
    struct wr_error err = {0};
    assert_int_equal(wr_raw_decode_begin(decoder, body, len, &header, &err), WR_OK);
    assert_int_equal(header.n, n);
    const char *before = NULL;
    size_t before_len = 0;
    size_t at = n;
    uint32_t run = 0;
    uint32_t id = WR_SERIES_NONE;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(wr_raw_decode(decoder, &got, &err), WR_OK);
        if (got.key != before) {
            for (size_t k = at + 1; k < n && before; k++)
                assert_true(readings[k].series != id); /* nothing of it is left out */
            if (before)
                assert_true(memcmp(before, got.key, before_len < got.key_len ? before_len : got.key_len) <= 0);
            size_t key_len;
            assert_ptr_equal(wr_raw_decode_run(decoder, run++, &key_len), got.key);
            assert_int_equal(key_len, got.key_len);
            before = got.key;
            before_len = got.key_len;
            id = wr_series_find(table, got.key, got.key_len);
            at = SIZE_MAX;
        }
        do
            at++;
        while (at < n && readings[at].series != id);
        assert_true(at < n);
        assert_same(&got, &readings[at]);
        assert_true(got.time_ns >= header.t0_ns && got.time_ns <= header.t1_ns);
    }
    size_t key_len;
    assert_null(wr_raw_decode_run(decoder, run, &key_len));
    assert_int_equal(wr_raw_decode(decoder, &got, &err), WR_EMPTY);
}

static struct wr_reading readings[WR_SEGMENT_READINGS];

static void readings_come_back(void **state) {
    (void)state;
    struct wr_raw_encoder *encoder;
    struct wr_raw_decoder *decoder;
    assert_int_equal(wr_raw_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_raw_decoder_new(&decoder), WR_OK);
    for (int round = 0; round < ROUNDS; round++) {
        const size_t n = random_readings(readings);
        struct wr_codec_header header = {.epoch = 7, .seq = round + 1, .boot_ns = 5, .wall_ns = 6};
        const uint8_t *body;
        size_t len;
        assert_int_equal(wr_raw_encode(encoder, &header, readings, n, table, symbols, &body, &len), WR_OK);
        assert_decodes(decoder, body, len, readings, n);
    }
    wr_raw_encoder_free(encoder);
    wr_raw_decoder_free(decoder);
}

/* A CRC keeps accidents out; behind it the decoder has to stand any bytes. */
static void damage_is_noticed(void **state) {
    (void)state;
    struct wr_raw_encoder *encoder;
    struct wr_raw_decoder *decoder;
    assert_int_equal(wr_raw_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_raw_decoder_new(&decoder), WR_OK);
    for (int round = 0; round < 300; round++) {
        const size_t n = 1 + below(300);
        for (size_t i = 0; i < n; i++)
            readings[i] = next_reading(below(SERIES), 0);
        struct wr_codec_header header = {.epoch = 7, .seq = round + 1};
        struct wr_raw_reading got;
        struct wr_error err = {0};
        const uint8_t *body;
        size_t len;
        assert_int_equal(wr_raw_encode(encoder, &header, readings, n, table, symbols, &body, &len), WR_OK);
        uint8_t *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, body, len);
        copy[below((uint32_t)len)] ^= (uint8_t)(1U << below(8));
        assert_int_not_equal(wr_raw_decode_begin(decoder, copy, len, &header, &err), WR_OK);
        assert_int_not_equal(wr_raw_decode_begin(decoder, copy, below((uint32_t)len), &header, &err), WR_OK);
        assert_int_equal(wr_raw_decode(decoder, &got, &err), WR_EMPTY);
        copy[WR_CODEC_HEADER_BYTES + below((uint32_t)len - WR_CODEC_HEADER_BYTES)] ^= (uint8_t)(1U << below(8));
        memcpy(copy, body, WR_CODEC_HEADER_BYTES);
        wr_codec_header_write(copy, len, &header); /* as if it were right */
        enum wr_result result = wr_raw_decode_begin(decoder, copy, len, &header, &err);
        while (result == WR_OK)
            result = wr_raw_decode(decoder, &got, &err);
        assert_true(result == WR_EMPTY || result == WR_CORRUPT);
        free(copy);
    }
    wr_raw_encoder_free(encoder);
    wr_raw_decoder_free(decoder);
}

/* -- version 1 ----------------------------------------------------------------------------------------------------------------------------- */

#define OLD 900

static double old_float(uint32_t i, uint8_t *decimals) {
    const int k = (int)(i * 7919 % 401) - 200;
    char text[40];
    *decimals = WR_DECIMALS_UNKNOWN;
    switch (i % 9) {
    case 0: /* decimals, now and then one that is far off */
        *decimals = 1;
        return i % 5 ? (double)(200 + k / 7) / 10 : -200;
    case 1:
        *decimals = (uint8_t)(i % 4);
        return (double)(2000 + k) / wr_decimal_powers[i % 4];
    case 2: /* neighbours of decimals */
        return (2000 + k) * 0.1;
    case 3: /* fractions */
        snprintf(text, sizeof text, "%.12f", (double)(3000 + k) / 6);
        *decimals = 12;
        return strtod(text, NULL);
    case 4: /* means of floats, printed */
        snprintf(text, sizeof text, "%.14g", (double)((float)(150 + k) / 10) / 2 + 0.025);
        *decimals = (uint8_t)strlen(strchr(text, '.') + 1);
        return strtod(text, NULL);
    case 5:
        return (double)((float)k * 0.37f);
    case 6:
        return 1.0 / (double)(k * 2 + 1);
    case 7:
        return i % 10 == 7 ? NAN : i % 10 == 1 ? INFINITY : i % 10 == 3 ? -0.0 : 1e300;
    default:
        *decimals = 2;
        return (double)k / 4;
    }
}

/* What tests/data/store/raw-v1.weir was made from, by the last program that wrote version 1. */
static void old_readings(void) {
    static uint32_t ids[18];
    for (uint32_t i = 0; i < 18; i++) {
        char key[64];
        size_t len = (size_t)snprintf(key, sizeof key, "old%c%s%u%croom%cr%u", 0, "f", i, 0, 0, i % 4) + 1;
        assert_int_equal(wr_series_intern(table, key, len, &ids[i]), WR_OK);
    }
    for (uint32_t i = 0; i < OLD; i++) {
        const uint32_t of = i % 18;
        const int64_t round = (int64_t)(i / 18);
        const int64_t at_ns = INT64_C(1770000000) * 1000000000 + round * 1000000000;
        struct wr_reading *reading = &readings[i];
        *reading = (struct wr_reading){.series = ids[of], .type = WR_TYPE_FLOAT, .quality = (uint8_t)(i % 31 == 0 ? i % 3 : 0)};
        reading->event_ns = of < 9 ? at_ns : of == 9 ? at_ns + (int64_t)(i * 7919 % 5) * 1000000 : at_ns + (int64_t)(i * 7919 % 2000003);
        reading->flags = i % 47 == 0 ? WR_READING_HISTORIC : 0;
        if (of < 9) {
            reading->value.f = old_float(i, &reading->decimals);
        } else if (of == 9 || of == 10) {
            reading->type = of == 9 ? WR_TYPE_INT : WR_TYPE_UINT;
            reading->value.i = (of == 9 ? -25 : INT64_MAX / 50) * (int64_t)(i % 50);
        } else if (of == 11) {
            reading->type = WR_TYPE_BOOL;
            reading->value.u = i % 7 < 3;
        } else if (of == 12) {
            reading->type = WR_TYPE_SYMBOL;
            reading->value.symbol = texts[i * 31 % 20];
        } else {
            reading->value.f = old_float(i + of, &reading->decimals);
        }
    }
}

static void version_1_is_read(void **state) {
    (void)state;
    static uint8_t body[65536];
    struct wr_raw_decoder *decoder;
    FILE *file = fopen(WEIR_TEST_DATA "/store/raw-v1.weir", "rb");
    assert_non_null(file);
    const size_t len = fread(body, 1, sizeof body, file);
    fclose(file);
    assert_int_equal(body[4], 1);
    old_readings();
    assert_int_equal(wr_raw_decoder_new(&decoder), WR_OK);
    assert_decodes(decoder, body, len, readings, OLD);
    wr_raw_decoder_free(decoder);
}

static enum wr_result once(const struct wr_reading *some, size_t n) {
    struct wr_raw_encoder *encoder = NULL;
    struct wr_raw_decoder *decoder = NULL;
    struct wr_codec_header header = {.seq = 1};
    struct wr_raw_reading got;
    struct wr_error err = {0};
    const uint8_t *body;
    size_t len;
    enum wr_result result = wr_raw_encoder_new(&encoder);
    if (result == WR_OK)
        result = wr_raw_decoder_new(&decoder);
    if (result == WR_OK)
        result = wr_raw_encode(encoder, &header, some, n, table, symbols, &body, &len);
    if (result == WR_OK)
        result = wr_raw_decode_begin(decoder, body, len, &header, &err);
    while (result == WR_OK)
        result = wr_raw_decode(decoder, &got, &err);
    wr_raw_encoder_free(encoder);
    wr_raw_decoder_free(decoder);
    return result;
}

static void any_allocation_may_fail(void **state) {
    (void)state;
    for (size_t i = 0; i < 500; i++)
        readings[i] = next_reading((uint32_t)(i % SERIES), 0);
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = once(readings, 500);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (!hit) {
            assert_int_equal(result, WR_EMPTY);
            assert_true(n > 5);
            return;
        }
        assert_int_equal(result, WR_NO_MEMORY);
    }
}

int main(void) {
    dice = wr_random_begin();
    make_tables();
    const struct CMUnitTest tests[] = {cmocka_unit_test(readings_come_back), cmocka_unit_test(damage_is_noticed),
                                       cmocka_unit_test(version_1_is_read), cmocka_unit_test(any_allocation_may_fail)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wr_series_table_free(table);
    wr_symbol_table_free(symbols);
    return failed;
}
