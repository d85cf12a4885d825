/* JSON records: what decode prints is read back; errors have a place; good records behind a broken one are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/json.h"
#include "tests/support/collect.h"
#include "tests/support/failing.h"

static struct wr_json_reader reader;
static struct wr_collect collect;

static int set_up(void **state) {
    (void)state;
    wr_json_reader_init(&reader);
    wr_collect_init(&collect);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_json_reader_fini(&reader);
    wr_collect_fini(&collect);
    return 0;
}

static const char *read_all(const char *text) {
    wr_collect_clear(&collect);
    wr_collect_feed(&collect, wr_codec_stream_feed_json, &reader, text, strlen(text), SIZE_MAX, 0);
    return wr_buf_str(&collect.text);
}

#define R(field, time, value, type, quality)                                                                                               \
    "{\"measurement\":\"m\",\"field\":\"" field "\",\"tags\":{},\"time_ns\":" time ",\"value\":" value ",\"type\":\"" type                 \
    "\",\"quality\":\"" quality "\"}\n"

static void what_decode_prints_is_read_back(void **state) {
    (void)state;
    static const char text[] = R("f", "1", "1.5", "float", "good") R("f", "-1", "-0", "float", "uncertain")
        R("i", "1", "9007199254740993", "int", "good") R("u", "1", "18446744073709551615", "uint", "good")
            R("b", "1", "true", "bool", "good") R("s", "1", "\"a \\\"b\\\"\\n\"", "string", "good") R("f", "1", "null", "float", "bad")
                R("f", "null", "1", "float", "good");
    assert_string_equal(read_all(text), text);
    assert_string_equal(wr_buf_str(&collect.decimals), "10-----0");
}

static void what_is_left_out_has_a_meaning(void **state) {
    (void)state;
    assert_string_equal(read_all("{\"measurement\":\"m\",\"value\":1}{\"value\":true,\"measurement\":\"m\"}\n\n "
                                 "{\"measurement\":\"m\",\"value\":\"x\",\"more\":[1,{\"a\":2}]}"
                                 "{\"measurement\":\"m\",\"value\":null,\"type\":\"int\"}"),
                        R("value", "null", "1", "float", "good") R("value", "null", "true", "bool", "good")
                            R("value", "null", "\"x\"", "string", "good") R("value", "null", "0", "int", "bad"));
}

static void tags_are_sorted_and_escapes_resolved(void **state) {
    (void)state;
    assert_string_equal(
        read_all("{\"measurement\":\"\\u00e9\",\"field\":\"a\\\\b\",\"tags\":{\"z\":\"\\ud83d\\ude00\",\"a\":\"\\/\\t\"},\"value\":2}"),
        "{\"measurement\":\"\xC3\xA9\",\"field\":\"a\\\\b\",\"tags\":{\"a\":\"/"
        "\\t\",\"z\":\"\xF0\x9F\x98\x80\"},\"time_ns\":null,\"value\":2,"
        "\"type\":\"float\",\"quality\":\"good\"}\n");
}

static void numbers_take_the_type_if_that_is_exact(void **state) {
    (void)state;
    assert_string_equal(
        read_all("{\"measurement\":\"m\",\"value\":5.0,\"type\":\"int\"}{\"measurement\":\"m\",\"value\":5e2,\"type\":\"uint\"}"
                 "{\"measurement\":\"m\",\"value\":1e999}"),
        R("value", "null", "5", "int", "good") R("value", "null", "500", "uint", "good") R("value", "null", "null", "float", "bad"));
    read_all("{\"measurement\":\"m\",\"value\":5.5,\"type\":\"int\"}\n{\"measurement\":\"m\",\"value\":-1,\"type\":\"uint\"}\n"
             "{\"measurement\":\"m\",\"value\":9223372036854775808,\"type\":\"int\"}\n{\"measurement\":\"m\",\"value\":\"1\",\"type\":"
             "\"float\"}\n"
             "{\"measurement\":\"m\",\"value\":1,\"type\":\"string\"}\n{\"measurement\":\"m\",\"value\":1,\"type\":\"bool\"}\n"
             "{\"measurement\":\"m\",\"value\":{},\"type\":\"int\"}\n");
    assert_int_equal(collect.refusals, 7);
    assert_int_equal(collect.readings, 0);
}

static void arrays_and_envelopes(void **state) {
    (void)state;
    static const char aggregate[] =
        "{\"measurement\":\"m\",\"field\":\"f\",\"tags\":{},\"time_ns\":1,\"window_ns\":10,\"n\":0,\"sum\":null,\"min\":null,"
        "\"max\":null,\"first\":null,\"last\":null,\"bad\":3}";
    char text[1024];
    snprintf(text, sizeof text,
             "[ {\"measurement\":\"m\",\"value\":1} , 7, [{\"measurement\":\"m\",\"value\":2}] ]\n"
             "{\"node\":\"n\",\"epoch\":\"0000000000000001\",\"seq\":1,\"records\":[%s , {\"rule\": \"hot [ ]\", \"value\" : 1}]}\n[]\n",
             aggregate);
    char expected[1024];
    snprintf(expected, sizeof expected,
             "%s!1:35 rejected(syntax): not a record at '7, [{\"measurement\":\"m\",\"value\":2}] ]'\n"
             "!1:38 rejected(syntax): not a record at '[{\"measurement\":\"m\",\"value\":2}] ]'\n%s\n%s\n",
             R("value", "null", "1", "float", "good"), aggregate, "{\"rule\":\"hot [ ]\",\"value\":1}");
    assert_string_equal(read_all(text), expected);
    /* A source takes readings only. */
    collect.sink.object = NULL;
    read_all(text);
    assert_int_equal(collect.refusals, 4);
}

static void errors_have_a_place(void **state) {
    (void)state;
    assert_string_equal(
        read_all(
            "x\n{\"measurement\":\"m\"}\n{\"value\":1}\n{\"measurement\":5,\"value\":1}\n{\"measurement\":\"m\",\"tags\":{\"a\":1},"
            "\"value\":1}\n"
            "{\"measurement\":\"m\",\"value\":01}\n{\"measurement\":\"m\",\"value\":1,}\n{\"measurement\":\"m\",\"value\":1,\"value\":2}\n"
            "{\"measurement\":\"m\",\"value\":1,\"time_ns\":1.5}\n{\"measurement\":\"m\",\"value\":1,\"type\":\"double\"}\n"
            "{\"measurement\":\"m\",\"value\":1,\"quality\":1}\n{\"measurement\":\"m\",\"value\":\"\\x\"}\n{\"measurement\":\"m\","
            "\"value\":\"\\ud800\"}\n"
            "{\"measurement\":\"\",\"value\":1}\n17\n"),
        "!1:1 rejected(syntax): not a value at 'x'\n"
        "!2:1 rejected(syntax): record without a value at '{\"measurement\":\"m\"}'\n"
        "!3:1 rejected(syntax): record without a measurement at '{\"value\":1}'\n"
        "!4:16 rejected(syntax): measurement is a string at '5,\"value\":1}'\n"
        "!5:32 rejected(syntax): the value of a tag is a string at '1},\"value\":1}'\n"
        "!6:28 rejected(syntax): not a number at '01}'\n"
        "!7:30 rejected(syntax): expected a name in quotes at '}'\n"
        "!8:30 rejected(syntax): the same key twice at '\"value\":2}'\n"
        "!9:40 rejected(time): not a time in nanoseconds at '1.5}'\n"
        "!10:37 rejected(syntax): not a type (float, int, uint, bool, string) at '\"double\"}'\n"
        "!11:40 rejected(syntax): not a quality (good, uncertain, bad) at '1}'\n"
        "!12:29 rejected(syntax): unknown escape at '\\x\"}'\n"
        "!13:29 rejected(syntax): half of a surrogate pair at '\\ud800\"}'\n"
        "!14:1 rejected(syntax): empty measurement\n"
        "!15:1 rejected(syntax): not a record at '17'\n");
}

static void good_lines_behind_a_broken_one_are_kept(void **state) {
    (void)state;
    assert_string_equal(
        read_all("{\"measurement\":\"m\",\"value\":1\n{\"measurement\":\"m\",\"value\":2}\n{\"measurement\":\"m\",\"value\":\"x\n"
                 "{\"measurement\":\"m\",\"value\":3}\n{\"measurement\":"),
        "!1:29 rejected(syntax): expected ',' or '}' at the end of the line\n" R(
            "value", "null", "2", "float",
            "good") "!3:30 rejected(syntax): control character in a string at the end of the line\n" R("value", "null", "3", "float",
                                                                                                       "good") "!5:16 rejected(syntax): "
                                                                                                               "unexpected end at the end "
                                                                                                               "of the line\n");
}

static void a_record_may_span_lines(void **state) {
    (void)state;
    assert_string_equal(read_all("{\n  \"measurement\": \"m\",\n  \"value\": 1.25\n}\n{\"measurement\":\"m\",\n\"value\":x}\n"),
                        R("value", "null", "1.25", "float", "good") "!6:9 rejected(syntax): not a value at 'x}'\n"
                                                                    "!6:1 rejected(syntax): not a record at '\"value\":x}'\n"
                                                                    "!6:8 rejected(syntax): not a value at ':x}'\n");
}

static void depth_is_limited(void **state) {
    (void)state;
    char text[3000];
    memset(text, '[', 1000);
    strcpy(text + 1000, "\n{\"measurement\":\"m\",\"value\":2}\n");
    assert_string_equal(read_all(text) + strlen(wr_buf_str(&collect.text)) - strlen(R("value", "null", "2", "float", "good")),
                        R("value", "null", "2", "float", "good"));
    assert_non_null(strstr(wr_buf_str(&collect.text), "!1:33 rejected(syntax): nested deeper than 32 levels"));
}

static void no_split_changes_anything(void **state) {
    (void)state;
    static const char text[] =
        "{\"measurement\":\"m\",\"tags\":{\"b\":\"1\",\"a\":\"\\u00e9\"},\"value\":-12.5e1}\n\n{\"measurement\":\"m\",\"value\":tru}\n"
        "[{\"measurement\":\"m\",\"value\":1},{\"measurement\":\"n\",\"value\":\"\\\"x\"},5]\n{\"records\":[{\"rule\":\"r\"} ]}\n"
        "{\"measurement\":\"m\",\n\"value\":null}\n{\"measurement\":\"m\",\"value\":18446744073709551615,\"type\":\"uint\"} 12";
    read_all(text);
    char *whole = strdup(wr_collect_without_columns(&collect));
    assert_non_null(whole);
    assert_int_equal(collect.readings, 5);
    assert_int_equal(collect.refusals, 3);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        for (size_t step = 0; step < 4; step++) {
            wr_collect_clear(&collect);
            collect.full_every = cut % 4 > 1 ? (unsigned)(cut % 4) : 0;
            wr_collect_feed(&collect, wr_codec_stream_feed_json, &reader, text, sizeof text - 1, cut, step);
            assert_string_equal(wr_collect_without_columns(&collect), whole);
        }
    }
    free(whole);
}

/* However the bytes come, it is known at the same byte that a value is whole, or that it never will be. */
static void progress_says_what_a_check_says(void **state) {
    (void)state;
    static const char *const texts[] = {"{\"a\":[1,{\"b\":null},[]],\"c\":\"}]\\\"\"} {",
                                        "[[{\"x\":-1.5e3},true],\n\n[{}]]",
                                        "{\"a\":1\n,\"b\" 2}\n{\"c\":3}",
                                        "{\"a\":\"x\ny\"}",
                                        "[1,]\n",
                                        "{\"a\"\n:\n tru}\n",
                                        " 12 ",
                                        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const size_t len = strlen(texts[i]);
        size_t expected = 1;
        for (;; expected++) {
            assert_true(expected <= len);
            struct wr_json_scan scan = wr_json_scan_begin(texts[i], texts[i] + expected, false);
            struct wr_word word;
            const enum wr_json_found found = wr_json_scan_check(&scan, &word);
            if (found == WR_JSON_FOUND || (found == WR_JSON_BAD && memchr(texts[i], '\n', expected)))
                break;
        }
        for (size_t step = 1; step < 6; step++) {
            struct wr_json_progress progress = {0};
            size_t have = step;
            while (!wr_json_scan_progress(&progress, texts[i], have < len ? have : len)) {
                assert_true(have < len);
                have += step;
            }
            assert_int_equal(have, (expected + step - 1) / step * step);
        }
    }
}

static void out_of_memory_loses_a_record_and_no_more(void **state) {
    (void)state;
    static const char text[] = "{\"measurement\":\"m\",\"value\":\"a\\n\"}\n{\"measurement\":\"m\",\"value\":2}\n{\"rule\": 1}\n";
    for (long n = 0;; n++) {
        wr_json_reader_fini(&reader);
        wr_json_reader_init(&reader);
        wr_collect_clear(&collect);
        assert_int_equal(wr_buf_reserve(&collect.text, 4096), WR_OK);
        assert_int_equal(wr_buf_reserve(&collect.decimals, 64), WR_OK);
        uint64_t line = 0;
        size_t consumed;
        wr_failing_allocations(n);
        assert_int_equal(wr_json_feed(&reader, text, sizeof text - 1, true, &line, &collect.sink, &consumed), WR_OK);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(collect.refusals, hit ? 1 : 0);
        assert_true(collect.readings >= (hit ? 1u : 2u));
        if (!hit)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_decode_prints_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_left_out_has_a_meaning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tags_are_sorted_and_escapes_resolved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_take_the_type_if_that_is_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arrays_and_envelopes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_have_a_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(good_lines_behind_a_broken_one_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_may_span_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(depth_is_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_split_changes_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(progress_says_what_a_check_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_loses_a_record_and_no_more, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
