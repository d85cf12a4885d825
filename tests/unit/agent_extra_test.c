/* A sink before a sink: tags and measurement that the codec cannot know, for line protocol and JSON alike; equal origins for equal series only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/codec.h"
#include "agent/codec/extra.h"
#include "tests/support/collect.h"
#include "tests/support/failing.h"

static struct wr_collect collect;
static struct wr_extra extra;
static struct wr_buf origins; /* of all records, a newline behind each */
static const struct wr_sink *inner;

static enum wr_result note_origin(void *user, const struct wr_record *record) {
    (void)user;
    for (size_t i = 0; i < record->origin.len; i++)
        assert_int_equal(wr_buf_append(&origins, record->origin.text[i] ? &record->origin.text[i] : "~", 1), WR_OK);
    assert_int_equal(wr_buf_text(&origins, "\n"), WR_OK);
    return collect.sink.record(collect.sink.user, record);
}

static struct wr_sink noting;

static int set_up(void **state) {
    (void)state;
    wr_collect_init(&collect);
    wr_buf_init(&origins, 0);
    noting = collect.sink;
    noting.record = note_origin;
    inner = &noting;
    wr_extra_init(&extra, inner);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_extra_fini(&extra);
    wr_buf_fini(&origins);
    wr_collect_fini(&collect);
    return 0;
}

static struct wr_word word(const char *text) {
    return (struct wr_word){text, strlen(text)};
}

static void feed(const struct wr_config_source *source, const char *text) {
    struct wr_codec codec;
    struct wr_error err;
    uint64_t line = 0;
    size_t consumed;
    assert_int_equal(wr_codec_init(&codec, source, NULL, 65536, &err), WR_OK);
    assert_int_equal(wr_codec_feed(&codec, text, strlen(text), true, &line, &extra.sink, &consumed), WR_OK);
    assert_int_equal(consumed, strlen(text));
    wr_codec_fini(&codec);
}

static void set(const char *measurement, const char *name, const char *value) {
    const struct wr_tag tags[] = {{word(name), word(value)}, {word("empty"), word("")}};
    assert_int_equal(wr_extra_set(&extra, word(measurement), tags, 2), WR_OK);
}

#define R(measurement, tags, value)                                                                                                        \
    "{\"measurement\":\"" measurement "\",\"field\":\"v\",\"tags\":{" tags "},\"time_ns\":null,\"value\":" value                           \
    ",\"type\":\"float\",\"quality\":\"good\"}\n"

static void lines_and_json_get_the_tags(void **state) {
    (void)state;
    struct wr_config_json mapping = {0};
    const struct wr_config_source line = {.name = (char *)"src", .format = WR_SOURCE_FORMAT_LINE};
    const struct wr_config_source json = {.name = (char *)"src", .format = WR_SOURCE_FORMAT_JSON, .json = &mapping};
    const struct wr_config_source plain = {.name = (char *)"src", .format = WR_SOURCE_FORMAT_JSON};
    feed(&line, "m,b=2 v=1");
    set("", "a", "1");
    feed(&line, "m,b=2 v=2\nm,a=9,b=2 v=3\n!");
    feed(&json, "{\"v\":4}");
    feed(&plain, "{\"measurement\":\"m\",\"field\":\"v\",\"value\":5}");
    set("topic", "a", "x y");
    feed(&line, "m v=6");
    feed(&json, "{\"v\":7}{\"v\":8}");
    assert_string_equal(wr_buf_str(&collect.text),
                        R("m", "\"b\":\"2\"", "1") R("m", "\"a\":\"1\",\"b\":\"2\"", "2") R("m", "\"a\":\"1\",\"b\":\"2\"", "3") //
                        "!3:2 rejected(syntax): no fields at the end of the line\n" R("src", "\"a\":\"1\"", "4") R("m", "\"a\":\"1\"", "5")
                            R("topic", "\"a\":\"x y\"", "6") R("topic", "\"a\":\"x y\"", "7") R("topic", "\"a\":\"x y\"", "8"));
    assert_string_equal(wr_buf_str(&origins), "m,b=2\n~a~1~~m,b=2\n~a~1~~m,a=9,b=2\n~a~1~~\n~a~1~~\"m\"~{}\ntopic~a~x y~~m\ntopic~a~x y~~\n"
                                              "topic~a~x y~~\n");
}

static void limits_leave_no_words(void **state) {
    (void)state;
    struct wr_tag tags[WR_SERIES_TAGS + 1];
    char names[WR_SERIES_TAGS + 1][8];
    for (int i = 0; i <= WR_SERIES_TAGS; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        tags[i] = (struct wr_tag){word(names[i]), word("v")};
    }
    const struct wr_config_source line = {.name = (char *)"src", .format = WR_SOURCE_FORMAT_LINE};
    assert_int_equal(wr_extra_set(&extra, word("m"), tags, WR_SERIES_TAGS + 1), WR_LIMIT);
    feed(&line, "m v=1");
    assert_int_equal(wr_extra_set(&extra, word(""), tags, WR_SERIES_TAGS), WR_OK);
    feed(&line, "m,t1=x v=2\nm,x=y v=3");
    assert_string_equal(strchr(wr_buf_str(&collect.text), '!'),
                        "!2:1 rejected(too_long): more than 32 tags, those of the source counted\n");
    assert_int_equal(collect.readings, 2);
    static char long_text[WR_SERIES_KEY_BYTES];
    memset(long_text, 'x', sizeof long_text - 1);
    assert_int_equal(wr_extra_set(&extra, word(long_text), tags, 1), WR_LIMIT);
    assert_int_equal(extra.n_tags, 0);
}

static void out_of_memory_refuses_the_record(void **state) {
    (void)state;
    const struct wr_config_source line = {.name = (char *)"src", .format = WR_SOURCE_FORMAT_LINE};
    struct wr_codec codec;
    struct wr_error err;
    assert_int_equal(wr_buf_reserve(&origins, 4096), WR_OK);
    assert_int_equal(wr_buf_reserve(&collect.text, 4096), WR_OK);
    assert_int_equal(wr_buf_reserve(&collect.decimals, 64), WR_OK);
    static char text[600];
    snprintf(text, sizeof text, "m,a=%0400d v=1\n", 1);
    assert_int_equal(wr_codec_init(&codec, &line, NULL, 65536, &err), WR_OK);
    for (long n = 0;; n++) {
        wr_extra_fini(&extra);
        wr_extra_init(&extra, inner);
        collect.readings = collect.refusals = 0;
        uint64_t lines = 0;
        size_t consumed;
        const struct wr_tag tag = {word("t"), word("v")};
        wr_failing_allocations(n);
        const enum wr_result result = wr_extra_set(&extra, word(""), &tag, 1);
        if (result == WR_OK)
            assert_int_equal(wr_codec_feed(&codec, text, strlen(text), true, &lines, &extra.sink, &consumed), WR_OK);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_true(result == WR_OK || (hit && result == WR_NO_MEMORY && extra.n_tags == 0));
        if (result == WR_OK)
            assert_int_equal(hit ? collect.refusals : collect.readings, 1);
        if (!hit)
            break;
    }
    wr_codec_fini(&codec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_and_json_get_the_tags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_leave_no_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_refuses_the_record, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
