/* Results, error texts, UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/result.h"
#include "core/utf8.h"

static void every_result_has_its_own_name(void **state) {
    (void)state;
    for (int a = WR_OK; a <= WR_PROTOCOL; a++)
        for (int b = a + 1; b <= WR_PROTOCOL + 1; b++)
            assert_string_not_equal(wr_result_name((enum wr_result)a), wr_result_name((enum wr_result)b));
}

static void set_and_wrap_build_one_text(void **state) {
    (void)state;
    struct wr_error err = {0};
    assert_int_equal(wr_error_set(&err, WR_LIMIT, "%d tags", 33), WR_LIMIT);
    assert_int_equal(wr_error_wrap(&err, "line %d", 7), WR_LIMIT);
    assert_int_equal(wr_error_wrap(&err, "source floor"), WR_LIMIT);
    assert_string_equal(err.text, "source floor: line 7: 33 tags");
    assert_int_equal(err.code, WR_LIMIT);
}

static void no_error_buffer_is_fine(void **state) {
    (void)state;
    assert_int_equal(wr_error_set(NULL, WR_FULL, "x"), WR_FULL);
    assert_int_equal(wr_error_wrap(NULL, "x"), WR_IO);
}

static void the_text_may_be_its_own_argument(void **state) {
    (void)state;
    struct wr_error err = {0};
    assert_int_equal(wr_error_set(&err, WR_IO, "inner"), WR_IO);
    assert_int_equal(wr_error_set(&err, WR_IO, "outer (%s)", err.text), WR_IO);
    assert_string_equal(err.text, "outer (inner)");
}

static void long_texts_are_cut_at_a_character(void **state) {
    (void)state;
    struct wr_error err = {0};
    char text[3 * WR_ERROR_TEXT_BYTES];
    for (size_t shift = 0; shift < 3; shift++) { /* one of the shifts cuts inside the two-byte character */
        memset(text, 'a', shift);
        for (size_t at = shift; at + 2 < sizeof text; at += 2)
            memcpy(text + at, "\xC3\xA4", 3);
        assert_int_equal(wr_error_set(&err, WR_INVALID, "%s", text), WR_INVALID);
        assert_in_range(strlen(err.text), WR_ERROR_TEXT_BYTES - 3, WR_ERROR_TEXT_BYTES - 1);
        assert_int_equal(wr_error_wrap(&err, "context"), WR_INVALID);
        assert_memory_equal(err.text, "context: ", 9);
        for (size_t at = 0; at < strlen(err.text);) {
            size_t len = wr_utf8_length(err.text + at, strlen(err.text) - at);
            assert_true(len > 0);
            at += len;
        }
    }
    assert_int_equal(wr_error_wrap(&err, "%s", text), WR_INVALID); /* the context alone is too long */
    assert_in_range(strlen(err.text), WR_ERROR_TEXT_BYTES - 3, WR_ERROR_TEXT_BYTES - 1);
}

static const char *escaped(const char *text, size_t len, size_t size) {
    static char into[64];
    memset(into, '#', sizeof into);
    return wr_error_escape(into, size, text, len);
}

static void escape_shows_what_cannot_be_printed(void **state) {
    (void)state;
    assert_string_equal(escaped("plain", 5, 64), "plain");
    assert_string_equal(escaped("gr\xC3\xBC\xC3\x9F", 6, 64), "gr\xC3\xBC\xC3\x9F");
    assert_string_equal(escaped("a\nb\0c\x7F", 6, 64), "a\\x0ab\\x00c\\x7f");
    assert_string_equal(escaped("\xFF\xC3", 2, 64), "\\xff\\xc3");
    assert_string_equal(escaped("\xC2\x9B", 2, 64), "\\xc2\\x9b"); /* CSI moves the cursor */
}

static void escape_cuts_with_dots(void **state) {
    (void)state;
    assert_string_equal(escaped("12345678", 8, 9), "12345678");
    assert_string_equal(escaped("12345678", 8, 8), "1234...");
    assert_string_equal(escaped("abc\x01zzz", 7, 9), "abc...");
    assert_string_equal(escaped("ab\xC3\xA4xyzxyz", 10, 7), "ab...");
    assert_string_equal(escaped("12345678", 8, 3), "..");
    assert_string_equal(escaped("12345678", 8, 1), "");
    assert_int_equal(escaped("1", 1, 0)[0], '#');
}

static void utf8_knows_valid_characters(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        size_t expected;
    } cases[] = {
        {"", 0, 0},
        {"\0", 1, 1},
        {"a", 1, 1},
        {"\x7F", 1, 1},
        {"\x80", 1, 0},
        {"\xC1\x81", 2, 0},         /* overlong A */
        {"\xC2\x80", 2, 2},         /* U+0080 */
        {"\xDF\xBF", 2, 2},         /* U+07FF */
        {"\xC2", 1, 0},             /* ends too early */
        {"\xC2x", 2, 0},            /* no continuation */
        {"\xE0\x9F\xBF", 3, 0},     /* overlong */
        {"\xE0\xA0\x80", 3, 3},     /* U+0800 */
        {"\xED\x9F\xBF", 3, 3},     /* U+D7FF */
        {"\xED\xA0\x80", 3, 0},     /* surrogate */
        {"\xEF\xBF\xBD", 3, 3},     /* U+FFFD */
        {"\xEF\xBF", 2, 0},         /* ends too early */
        {"\xF0\x8F\xBF\xBF", 4, 0}, /* overlong */
        {"\xF0\x90\x80\x80", 4, 4}, /* U+10000 */
        {"\xF4\x8F\xBF\xBF", 4, 4}, /* U+10FFFF */
        {"\xF4\x90\x80\x80", 4, 0}, /* above */
        {"\xF5\x80\x80\x80", 4, 0}, /* above */
        {"\xF0\x90\x80", 3, 0},     /* ends too early */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (wr_utf8_length(cases[i].text, cases[i].len) != cases[i].expected)
            fail_msg("case %zu: %zu", i, wr_utf8_length(cases[i].text, cases[i].len));
}

static void utf8_cuts_between_characters(void **state) {
    (void)state;
    const char *text = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z"; /* 1, 2, 3, 4 and 1 bytes */
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t max = 0; max < sizeof expected / sizeof expected[0]; max++)
        assert_int_equal(wr_utf8_cut(text, strlen(text), max), expected[max]);
    assert_int_equal(wr_utf8_cut("\x80\x80\x80\x80\x80", 5, 4), 4); /* no UTF-8: bytes count alone */
    assert_int_equal(wr_utf8_cut("\xC3", 1, 0), 0);
    char into[4];
    assert_string_equal(wr_utf8_copy(into, sizeof into, text), "a\xC3\xA4");
    assert_string_equal(wr_utf8_copy(into, 3, text), "a");
    assert_string_equal(wr_utf8_copy(into, 1, text), "");
    into[0] = '#';
    wr_utf8_copy(into, 0, text);
    assert_int_equal(into[0], '#');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_result_has_its_own_name),
        cmocka_unit_test(set_and_wrap_build_one_text),
        cmocka_unit_test(no_error_buffer_is_fine),
        cmocka_unit_test(the_text_may_be_its_own_argument),
        cmocka_unit_test(long_texts_are_cut_at_a_character),
        cmocka_unit_test(escape_shows_what_cannot_be_printed),
        cmocka_unit_test(escape_cuts_with_dots),
        cmocka_unit_test(utf8_knows_valid_characters),
        cmocka_unit_test(utf8_cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
