/* The JSON writer. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "tests/support/failing.h"

static struct wr_buf buf;

static int begin(void **state) {
    (void)state;
    wr_buf_init(&buf, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    wr_buf_fini(&buf);
    return 0;
}

static void nesting_and_commas(void **state) {
    (void)state;
    struct wr_json json;
    wr_json_begin(&json, &buf);
    wr_json_object(&json, NULL);
    wr_json_object(&json, "empty");
    wr_json_object_end(&json);
    wr_json_array(&json, "list");
    wr_json_int(&json, NULL, -1);
    wr_json_object(&json, NULL);
    wr_json_bool(&json, "yes", true);
    wr_json_bool(&json, "no", false);
    wr_json_object_end(&json);
    wr_json_array(&json, NULL);
    wr_json_array_end(&json);
    wr_json_null(&json, NULL);
    wr_json_array_end(&json);
    wr_json_raw(&json, "raw", "[1,2]", 5);
    wr_json_double(&json, "d", 0.5);
    wr_json_object_end(&json);
    assert_int_equal(wr_json_end(&json), WR_OK);
    assert_string_equal(wr_buf_str(&buf), "{\"empty\":{},\"list\":[-1,{\"yes\":true,\"no\":false},[],null],\"raw\":[1,2],\"d\":0.5}");
}

static const char *string(const char *text, size_t len) {
    struct wr_json json;
    wr_buf_clear(&buf);
    wr_json_begin(&json, &buf);
    wr_json_bytes(&json, NULL, text, len);
    assert_int_equal(wr_json_end(&json), WR_OK);
    return wr_buf_str(&buf);
}

static void strings_are_always_valid(void **state) {
    (void)state;
    assert_string_equal(string("", 0), "\"\"");
    assert_string_equal(string("a/b", 3), "\"a/b\"");
    assert_string_equal(string("\"\\\b\f\n\r\t", 7), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    assert_string_equal(string("a\0b\x1F\x7F", 5), "\"a\\u0000b\\u001f\x7F\"");
    assert_string_equal(string("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9), "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"");
    assert_string_equal(string("a\xFF"
                               "b\xC3",
                               4),
                        "\"a\xEF\xBF\xBD"
                        "b\xEF\xBF\xBD\"");
    assert_string_equal(string("\xED\xA0\x80", 3), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""); /* a surrogate */
}

static void integers_are_exact(void **state) {
    (void)state;
    struct wr_json json;
    wr_i128 least = wr_i128_signed(wr_u128_words((uint64_t)INT64_MIN, 0));
    wr_json_begin(&json, &buf);
    wr_json_array(&json, NULL);
    wr_json_int(&json, NULL, 0);
    wr_json_int(&json, NULL, INT64_MIN);
    wr_json_int(&json, NULL, INT64_MAX);
    wr_json_uint(&json, NULL, UINT64_MAX);
    wr_json_i128(&json, NULL, least);
    wr_json_i128(&json, NULL, wr_i128_signed(wr_u128_words(INT64_MAX, UINT64_MAX)));
    wr_json_i128(&json, NULL, wr_i128_signed(wr_u128_words(1, 0)));
    wr_json_i128(&json, NULL, wr_i128_of(-5));
    wr_json_array_end(&json);
    assert_int_equal(wr_json_end(&json), WR_OK);
    assert_string_equal(wr_buf_str(&buf), "[0,-9223372036854775808,9223372036854775807,18446744073709551615,"
                                          "-170141183460469231731687303715884105728,170141183460469231731687303715884105727,"
                                          "18446744073709551616,-5]");
}

static void doubles_are_short(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {1.0, "1"},
        {-1.5, "-1.5"},
        {21.37, "21.37"},
        {0.1, "0.1"},
        {-0.001, "-0.001"},
        {0.0001, "0.0001"},
        {1e-5, "1e-05"},
        {100000.0, "100000"},
        {123456789012345.0, "123456789012345"},
        {999999999999999.0, "999999999999999"},
        {1e15, "1e+15"},
        {9007199254740993.0, "9007199254740992"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {1e300, "1e+300"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {-1e-310, "-1e-310"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        assert_int_equal(wr_json_format_double(text, cases[i].value), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void failures_stick(void **state) {
    (void)state;
    struct wr_buf small;
    struct wr_json json;
    wr_buf_init(&small, 10);
    wr_json_begin(&json, &small);
    wr_json_array(&json, NULL);
    wr_json_string(&json, NULL, "much too long");
    wr_json_int(&json, NULL, 1);
    wr_json_array_end(&json);
    assert_int_equal(wr_json_end(&json), WR_LIMIT);
    assert_null(strchr(wr_buf_str(&small), '1')); /* nothing more was written */
    wr_buf_fini(&small);

    wr_failing_allocations(0);
    wr_json_begin(&json, &buf);
    wr_json_object(&json, NULL);
    wr_json_object_end(&json);
    assert_int_equal(wr_json_end(&json), WR_NO_MEMORY);
    wr_failing_off();
}

static void too_deep_is_a_failure(void **state) {
    (void)state;
    struct wr_json json;
    for (int levels = WR_JSON_DEPTH - 1; levels <= WR_JSON_DEPTH + 5; levels++) {
        wr_json_begin(&json, &buf);
        for (int i = 0; i < levels; i++)
            wr_json_array(&json, NULL);
        for (int i = 0; i < levels; i++)
            wr_json_array_end(&json);
        assert_int_equal(wr_json_end(&json), levels < WR_JSON_DEPTH ? WR_OK : WR_LIMIT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nesting_and_commas, begin, end),
        cmocka_unit_test_setup_teardown(strings_are_always_valid, begin, end),
        cmocka_unit_test_setup_teardown(integers_are_exact, begin, end),
        cmocka_unit_test_setup_teardown(doubles_are_short, begin, end),
        cmocka_unit_test_setup_teardown(failures_stick, begin, end),
        cmocka_unit_test_setup_teardown(too_deep_is_a_failure, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
