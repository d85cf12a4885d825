/* Random readings are printed as line protocol, JSON and CSV, fed in random pieces to a sink that is often full, and must come back equal. Random
 * numbers are compared with the C library. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/csv.h"
#include "agent/codec/json.h"
#include "agent/codec/line.h"
#include "agent/codec/number.h"
#include "agent/codec/number_short.h"
#include "core/record_json.h"
#include "tests/support/collect.h"
#include "tests/support/random.h"

static struct wr_random seed;

/* -- numbers ----------------------------------------------------------------------------------------------------------------------- */

static size_t random_number(char *text, size_t size) {
    size_t len = 0;
    const uint64_t kind = wr_random_below(&seed, 4);
    if (wr_random_below(&seed, 3) == 0)
        text[len++] = wr_random_below(&seed, 4) == 0 ? '+' : '-';
    const size_t before = kind == 0 ? wr_random_below(&seed, 4) : wr_random_below(&seed, 20);
    const size_t after = kind == 3 ? 0 : wr_random_below(&seed, kind == 0 ? 4 : 25);
    for (size_t i = 0; i < before; i++)
        text[len++] = (char)('0' + wr_random_below(&seed, 10));
    if (kind != 3 && (after > 0 || wr_random_below(&seed, 2) == 0))
        text[len++] = '.';
    for (size_t i = 0; i < after; i++)
        text[len++] = (char)('0' + wr_random_below(&seed, 10));
    if (before + after == 0)
        text[len++] = '7';
    if (kind == 2)
        len +=
            (size_t)snprintf(text + len, size - len, "%c%d", wr_random_below(&seed, 2) ? 'e' : 'E', (int)wr_random_below(&seed, 700) - 350);
    text[len] = '\0';
    return len;
}

static void numbers_are_those_of_the_c_library(void **state) {
    (void)state;
    for (int i = 0; i < 300000; i++) {
        char text[128];
        const size_t len = random_number(text, sizeof text);
        memcpy(text + len, ",xxxxxxxxxxxxxxx", 17);
        struct wr_number number;
        const char *behind = wr_number_read(text, text + len + 16, &number);
        char *expected_end;
        const double expected = strtod(text, &expected_end);
        if (behind != expected_end || memcmp(&number.value, &expected, sizeof expected) != 0)
            fail_msg("%s: %.17g, the library says %.17g", text, number.value, expected);
        double quick;
        uint8_t decimals;
        const char *digits = text + (text[0] == '-' || text[0] == '+');
        behind = wr_number_read_short(digits, text + len + 16, &quick, &decimals);
        if (behind && *behind == ',') {
            assert_ptr_equal(behind, expected_end);
            assert_true(quick == fabs(expected));
            assert_int_equal(decimals, number.decimals);
        }
        if (number.decimals != WR_DECIMALS_UNKNOWN) {
            char again[400];
            snprintf(again, sizeof again, "%.*f", number.decimals, number.value);
            assert_true(strtod(again, NULL) == expected);
        }
    }
}

/* Any bytes: the quick scanners find what a loop finds. */
static void scanners_find_what_a_loop_finds(void **state) {
    (void)state;
    for (int i = 0; i < 100000; i++) {
        char text[64];
        const size_t len = wr_random_below(&seed, sizeof text);
        for (size_t k = 0; k < len; k++)
            text[k] = "abcdefgh=,\\ \n\xAC\xBD\x80"[wr_random_below(&seed, wr_random_below(&seed, 8) == 0 ? 16 : 9)];
        const char *expected = text;
        while (expected < text + len && !memchr("=,\\ \n", *expected, 5))
            expected++;
        assert_ptr_equal(wr_scan_any(text, text + len, "=,\\ \n", 5), expected);
        const char *newline = memchr(text, '\n', len);
        assert_ptr_equal(wr_scan_any(text, text + len, "\n", 1), newline ? newline : text + len);
        const uint64_t number = wr_random_u64(&seed) % UINT64_C(10000000000000000);
        char digits[32];
        snprintf(digits, sizeof digits, "%016llu", (unsigned long long)number);
        assert_true(wr_scan_16_digits(digits) && wr_scan_digits16(digits) == number);
        digits[wr_random_below(&seed, 16)] = "/:\xB0 -"[wr_random_below(&seed, 5)];
        assert_false(wr_scan_16_digits(digits));
    }
}

/* -- readings ------------------------------------------------------------------------------------------------------------------------ */

/* Words over an alphabet of what needs escapes; no newline, no NUL, and no backslash at the end, where the next separator would belong to it. */
static struct wr_word random_word(char *text, bool may_be_empty) {
    static const char alphabet[] = "ab,= \\\"\xC3\xA9#{}:1";
    size_t len = may_be_empty ? wr_random_below(&seed, 8) : 1 + wr_random_below(&seed, 7);
    for (size_t i = 0; i < len; i++)
        text[i] = alphabet[wr_random_below(&seed, sizeof alphabet - 1)];
    /* é whole or not at all: what is no UTF-8 cannot come back out of JSON */
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\xC3' && (i + 1 == len || text[i + 1] != '\xA9'))
            text[i] = 'x';
        else if (text[i] == '\xA9' && (i == 0 || text[i - 1] != '\xC3'))
            text[i] = 'y';
    }
    return (struct wr_word){text, len};
}

struct made {
    char texts[16][8];
    struct wr_word measurement;
    struct wr_word field;
    struct wr_tag tags[4];
    size_t n_tags;
    struct wr_reading reading;
    struct wr_word text;
    char number[40];
};

static void make(struct made *made) {
    memset(made, 0, sizeof *made);
    made->measurement = random_word(made->texts[0], false);
    if (made->measurement.text[0] == '#' || made->measurement.text[0] == ' ')
        made->texts[0][0] = 'm';
    made->field = random_word(made->texts[1], false);
    made->n_tags = wr_random_below(&seed, 4);
    for (size_t i = 0; i < made->n_tags; i++) {
        made->tags[i].name = random_word(made->texts[2 + 2 * i], false);
        made->texts[2 + 2 * i][0] = (char)('a' + i); /* no name twice */
        made->tags[i].value = random_word(made->texts[3 + 2 * i], false);
    }
    struct wr_reading *reading = &made->reading;
    reading->event_ns = (int64_t)wr_random_u64(&seed) >> wr_random_below(&seed, 60);
    if (reading->event_ns == WR_EVENT_NONE)
        reading->event_ns = 0;
    reading->decimals = WR_DECIMALS_UNKNOWN;
    reading->type = (uint8_t)(1 + wr_random_below(&seed, 5));
    switch ((enum wr_type)reading->type) {
    case WR_TYPE_FLOAT: {
        union wr_value any = {.bits = wr_random_u64(&seed)};
        reading->value.f = wr_random_below(&seed, 2) ? (double)(int64_t)any.bits / 1e17 : any.f;
        if (!isfinite(reading->value.f)) {
            reading->value.f = (double)NAN;
            reading->quality = WR_QUALITY_BAD;
        }
        wr_json_format_double(made->number, reading->value.f);
        break;
    }
    case WR_TYPE_INT:
        reading->value.i = (int64_t)wr_random_u64(&seed) >> wr_random_below(&seed, 64);
        break;
    case WR_TYPE_UINT:
        reading->value.u = wr_random_u64(&seed) >> wr_random_below(&seed, 64);
        break;
    case WR_TYPE_BOOL:
        reading->value.u = wr_random_below(&seed, 2);
        break;
    default:
        made->text = random_word(made->texts[15], true);
    }
}

static void put_json(const struct made *made, struct wr_buf *into) {
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    struct wr_tag tags[4];
    memcpy(tags, made->tags, sizeof tags);
    assert_int_equal(wr_series_key_make(made->measurement, made->field, tags, made->n_tags, key, &len, NULL), WR_OK);
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_record_reading_json(&json, key, len, &made->reading, made->text.text, made->text.len);
    assert_int_equal(wr_json_end(&json), WR_OK);
    assert_int_equal(wr_buf_text(into, "\n"), WR_OK);
}

static void put_escaped(struct wr_buf *into, struct wr_word word, const char *special) {
    for (size_t i = 0; i < word.len; i++) {
        if (strchr(special, word.text[i]))
            assert_int_equal(wr_buf_text(into, "\\"), WR_OK);
        assert_int_equal(wr_buf_append(into, &word.text[i], 1), WR_OK);
    }
}

static void put_line(const struct made *made, struct wr_buf *into) {
    put_escaped(into, made->measurement, ", =\\");
    for (size_t i = 0; i < made->n_tags; i++) {
        assert_int_equal(wr_buf_text(into, ","), WR_OK);
        put_escaped(into, made->tags[i].name, ", =\\");
        assert_int_equal(wr_buf_text(into, "="), WR_OK);
        put_escaped(into, made->tags[i].value, ", =\\");
    }
    assert_int_equal(wr_buf_text(into, " "), WR_OK);
    put_escaped(into, made->field, ", =\\");
    assert_int_equal(wr_buf_text(into, "="), WR_OK);
    const struct wr_reading *reading = &made->reading;
    switch ((enum wr_type)reading->type) {
    case WR_TYPE_FLOAT:
        assert_int_equal(wr_buf_text(into, reading->quality == WR_QUALITY_BAD ? "NaN" : made->number), WR_OK);
        break;
    case WR_TYPE_INT:
        assert_int_equal(wr_buf_printf(into, "%lldi", (long long)reading->value.i), WR_OK);
        break;
    case WR_TYPE_UINT:
        assert_int_equal(wr_buf_printf(into, "%lluu", (unsigned long long)reading->value.u), WR_OK);
        break;
    case WR_TYPE_BOOL:
        assert_int_equal(wr_buf_text(into, reading->value.u ? "true" : "F"), WR_OK);
        break;
    default:
        assert_int_equal(wr_buf_text(into, "\""), WR_OK);
        put_escaped(into, made->text, "\"\\");
        assert_int_equal(wr_buf_text(into, "\""), WR_OK);
    }
    assert_int_equal(wr_buf_printf(into, " %lld%s", (long long)reading->event_ns, wr_random_below(&seed, 4) ? "\n" : "\r\n"), WR_OK);
}

static void put_cell(struct wr_buf *into, struct wr_word word, const char *behind) {
    assert_int_equal(wr_buf_text(into, "\""), WR_OK);
    for (size_t i = 0; i < word.len; i++) {
        assert_int_equal(wr_buf_append(into, &word.text[i], 1), WR_OK);
        if (word.text[i] == '"')
            assert_int_equal(wr_buf_text(into, "\""), WR_OK);
    }
    assert_int_equal(wr_buf_printf(into, "\"%s", behind), WR_OK);
}

#define ROUNDS 300
#define READINGS 40

static void feed_in_pieces(struct wr_collect *collect, wr_codec_stream_feed *feed, void *codec, const struct wr_buf *text,
                           const struct wr_buf *expected) {
    wr_collect_clear(collect);
    collect->full_every = (unsigned)wr_random_below(&seed, 4);
    collect->full_every = collect->full_every == 1 ? 0 : collect->full_every;
    wr_collect_feed(collect, feed, codec, (const char *)text->data, text->len, wr_random_below(&seed, text->len + 1),
                    wr_random_below(&seed, 64));
    if (strcmp(wr_buf_str(&collect->text), wr_buf_str(expected)) != 0)
        fail_msg("wrote\n%s\nexpected\n%s\ngot\n%s", wr_buf_str(text), wr_buf_str(expected), wr_buf_str(&collect->text));
}

static void what_is_written_is_read(void **state) {
    (void)state;
    static struct wr_line_parser line;
    static struct wr_json_reader json;
    struct wr_collect collect;
    struct wr_buf text;
    struct wr_buf expected;
    wr_line_parser_init(&line, WR_PRECISION_NS, 65536);
    wr_json_reader_init(&json);
    wr_collect_init(&collect);
    wr_buf_init(&text, 0);
    wr_buf_init(&expected, 0);
    for (int round = 0; round < ROUNDS; round++) {
        wr_buf_clear(&text);
        wr_buf_clear(&expected);
        for (int i = 0; i < READINGS; i++) {
            struct made made;
            make(&made);
            put_line(&made, &text);
            put_json(&made, &expected);
        }
        feed_in_pieces(&collect, wr_codec_stream_feed_line, &line, &text, &expected);
        feed_in_pieces(&collect, wr_codec_stream_feed_json, &json, &expected, &expected);
    }
    wr_buf_fini(&text);
    wr_buf_fini(&expected);
    wr_collect_fini(&collect);
    wr_json_reader_fini(&json);
    wr_line_parser_fini(&line);
}

/* CSV: texts and floats, a tag from a column, any quoting. */
static void what_csv_holds_is_read(void **state) {
    (void)state;
    static struct wr_csv csv;
    struct wr_collect collect;
    struct wr_buf text;
    struct wr_buf expected;
    wr_collect_init(&collect);
    wr_buf_init(&text, 0);
    wr_buf_init(&expected, 0);
    for (int round = 0; round < ROUNDS; round++) {
        wr_buf_clear(&text);
        wr_buf_clear(&expected);
        struct made made;
        make(&made);
        char tag_name[] = "where";
        char *tags[] = {tag_name};
        struct wr_config_csv options = {.time_format = (char *)"ns", .measurement = (char *)"m", .tags = tags, .n_tags = 1};
        made.measurement = (struct wr_word){"m", 1};
        char name[8];
        memcpy(name, made.texts[1], sizeof name);
        const struct wr_word field = {name, made.field.len};
        assert_int_equal(wr_buf_text(&text, "t,where,"), WR_OK);
        put_cell(&text, field, "\n");
        for (int i = 0; i < READINGS; i++) {
            char number[40];
            make(&made);
            made.measurement = (struct wr_word){"m", 1};
            made.field = field;
            made.n_tags = wr_random_below(&seed, 2);
            made.tags[0].name = (struct wr_word){tag_name, 5};
            made.tags[0].value = random_word(made.texts[3], false);
            assert_int_equal(wr_buf_printf(&text, "%lld,", (long long)made.reading.event_ns), WR_OK);
            put_cell(&text, made.n_tags ? made.tags[0].value : (struct wr_word){"", 0}, ",");
            if (wr_random_below(&seed, 2)) {
                made.text = random_word(made.texts[15], false);
                made.texts[15][0] = 'x'; /* a text, not a number */
                made.reading.type = WR_TYPE_SYMBOL;
                made.reading.quality = WR_QUALITY_GOOD;
                put_cell(&text, made.text, "\r\n");
            } else {
                made.reading.type = WR_TYPE_FLOAT;
                made.reading.quality = WR_QUALITY_GOOD;
                made.reading.value.f = (double)(int64_t)wr_random_u64(&seed) / 1e12;
                const size_t len = wr_json_format_double(number, made.reading.value.f);
                if (wr_random_below(&seed, 2))
                    put_cell(&text, (struct wr_word){number, len}, "\n");
                else
                    assert_int_equal(wr_buf_printf(&text, "%s\n", number), WR_OK);
            }
            put_json(&made, &expected);
        }
        struct wr_error err;
        assert_int_equal(wr_csv_init(&csv, &options, "m", &err), WR_OK);
        feed_in_pieces(&collect, wr_codec_stream_feed_csv, &csv, &text, &expected);
        wr_csv_fini(&csv);
    }
    wr_buf_fini(&text);
    wr_buf_fini(&expected);
    wr_collect_fini(&collect);
}

int main(void) {
    seed = wr_random_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_c_library),
        cmocka_unit_test(scanners_find_what_a_loop_finds),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_csv_holds_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
