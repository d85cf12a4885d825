/* Diagnostics: their exact text, for all that can stand in a source line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/nearest.h"
#include "rules/diagnostics/diagnostics.h"
#include "tests/support/failing.h"

static void expect_text(struct wr_diagnostics *diagnostics, const char *expected) {
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_diagnostics_render(diagnostics, WR_DIAGNOSTICS_TEXT, &out), WR_OK);
    assert_string_equal(wr_buf_str(&out), expected);
    wr_buf_fini(&out);
    wr_diagnostics_fini(diagnostics);
}

static void add(struct wr_diagnostics *diagnostics, const char *text, size_t len, struct wr_position at, const char *hint,
                const char *message) {
    wr_diagnostics_add(diagnostics, WR_DIAGNOSTIC_ERROR, 102, "a.yaml", text, len, at, hint, "%s", message);
}

static struct wr_diagnostics one(const char *text, struct wr_position at, const char *hint, const char *message) {
    struct wr_diagnostics diagnostics;
    wr_diagnostics_init(&diagnostics);
    add(&diagnostics, text, strlen(text), at, hint, message);
    return diagnostics;
}

static void test_caret_and_hint(void **state) {
    (void)state;
    const char *text = "rules:\n    when: held(door_open, 2m) and raise(room_temp, 5m) > 1.5K\n";
    struct wr_diagnostics d = one(text, (struct wr_position){2, 35, 5}, "did you mean 'rise'?", "unknown function 'raise'");
    expect_text(&d, "a.yaml:2:35: error W102: unknown function 'raise'\n"
                    "    2 |     when: held(door_open, 2m) and raise(room_temp, 5m) > 1.5K\n"
                    "      |                                   ^^^^^ did you mean 'rise'?\n");
}

static void test_without_excerpt(void **state) {
    (void)state;
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    add(&d, NULL, 0, (struct wr_position){3, 4, 2}, "try this", "no");
    expect_text(&d, "a.yaml:3:4: error W102: no: try this\n");
    wr_diagnostics_init(&d);
    add(&d, "abc\n", 4, (struct wr_position){0}, NULL, "whole file");
    expect_text(&d, "a.yaml: error W102: whole file\n");
}

static void test_no_length_no_carets(void **state) {
    (void)state;
    struct wr_diagnostics d = one("abc\n", (struct wr_position){1, 2, 0}, "hint", "m");
    expect_text(&d, "a.yaml:1:2: error W102: m: hint\n    1 | abc\n");
}

static void test_odd_characters(void **state) {
    (void)state;
    /* Tabs, a control character and a broken byte before the place; columns count characters. */
    struct wr_diagnostics d = one("\t\x01\xFF"
                                  "é: x\r\nnext",
                                  (struct wr_position){1, 6, 1}, NULL, "m");
    expect_text(&d, "a.yaml:1:6: error W102: m\n"
                    "    1 |  \\x01\\xffé: x\n"
                    "      |            ^\n");
    d = one("a°C b\n", (struct wr_position){1, 5, 1}, NULL, "m\nforged: line");
    expect_text(&d, "a.yaml:1:5: error W102: m\\x0aforged: line\n"
                    "    1 | a°C b\n"
                    "      |     ^\n");
}

static void test_ends_of_lines(void **state) {
    (void)state;
    struct wr_diagnostics d = one("a\r\nb\rc\nd", (struct wr_position){3, 1, 9}, NULL, "m");
    expect_text(&d, "a.yaml:3:1: error W102: m\n    3 | c\n      | ^\n");
    d = one("a\n", (struct wr_position){9, 1, 1}, NULL, "behind the end");
    expect_text(&d, "a.yaml:9:1: error W102: behind the end\n    9 | \n      | ^\n");
}

static void test_long_line_is_cut_around_the_place(void **state) {
    (void)state;
    char text[601];
    memset(text, 'x', 600);
    text[600] = '\0';
    memcpy(text + 300, "HERE", 4);
    struct wr_diagnostics d = one(text, (struct wr_position){1, 301, 4}, NULL, "m");
    assert_non_null(strstr(d.list[0].excerpt, "xHEREx"));
    assert_true(strlen(d.list[0].excerpt) <= 110);
    assert_memory_equal(d.list[0].excerpt + d.list[0].caret, "HERE", 4);
    assert_int_equal(d.list[0].carets, 4);
    wr_diagnostics_fini(&d);
}

static void test_sorted_by_file_line_and_column(void **state) {
    (void)state;
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    wr_diagnostics_add(&d, WR_DIAGNOSTIC_ERROR, 1, "b", NULL, 0, (struct wr_position){1, 1, 0}, NULL, "five");
    wr_diagnostics_add(&d, WR_DIAGNOSTIC_WARNING, 1, "a", NULL, 0, (struct wr_position){2, 9, 0}, NULL, "four");
    wr_diagnostics_add(&d, WR_DIAGNOSTIC_ERROR, 1, "a", NULL, 0, (struct wr_position){2, 3, 0}, NULL, "two");
    wr_diagnostics_add(&d, WR_DIAGNOSTIC_ERROR, 1, "a", NULL, 0, (struct wr_position){2, 3, 0}, NULL, "three");
    wr_diagnostics_add(&d, WR_DIAGNOSTIC_ERROR, 1, "a", NULL, 0, (struct wr_position){1, 30, 0}, NULL, "one");
    assert_int_equal(d.errors, 4);
    assert_int_equal(d.warnings, 1);
    expect_text(&d, "a:1:30: error W001: one\na:2:3: error W001: two\na:2:3: error W001: three\n"
                    "a:2:9: warning W001: four\nb:1:1: error W001: five\n");
}

static void test_bounded(void **state) {
    (void)state;
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    for (int i = 0; i < WR_DIAGNOSTICS_MAX + 10; i++)
        wr_diagnostics_add(&d, WR_DIAGNOSTIC_ERROR, 1, "a", NULL, 0, (struct wr_position){1, 1, 0}, NULL, "m");
    assert_int_equal(d.n, WR_DIAGNOSTICS_MAX);
    assert_int_equal(d.errors, WR_DIAGNOSTICS_MAX + 10);
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_diagnostics_render(&d, WR_DIAGNOSTICS_TEXT, &out), WR_OK);
    assert_non_null(strstr(wr_buf_str(&out), "\n... and 10 more (266 errors and 0 warnings in all)\n"));
    wr_buf_fini(&out);
    wr_diagnostics_fini(&d);
}

static void test_json(void **state) {
    (void)state;
    struct wr_diagnostics d = one("a\"b\n", (struct wr_position){1, 2, 1}, "h", "say \"x\"");
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_diagnostics_render(&d, WR_DIAGNOSTICS_JSON, &out), WR_OK);
    assert_string_equal(wr_buf_str(&out),
                        "[{\"file\":\"a.yaml\",\"line\":1,\"column\":2,\"length\":1,\"level\":\"error\",\"code\":\"W102\","
                        "\"message\":\"say \\\"x\\\"\",\"hint\":\"h\"}]\n");
    wr_buf_fini(&out);
    wr_diagnostics_fini(&d);
}

static void test_nearest(void **state) {
    (void)state;
    const char *const names[] = {"on_delay", "off_delay", NULL, "rise", "age", "of"};
    const size_t n = sizeof names / sizeof names[0];
    assert_string_equal(wr_nearest_name("raise", names, n), "rise");
    assert_string_equal(wr_nearest_name("on_dealy", names, n), "on_delay");
    assert_string_equal(wr_nearest_name("agee", names, n), "age");
    assert_string_equal(wr_nearest_name("fo", names, n), "of");
    assert_null(wr_nearest_name("pressure", names, n));
    assert_null(wr_nearest_name("", names, n));
    assert_null(wr_nearest_name("x", names, n));
    char lengthy[2000];
    memset(lengthy, 'o', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    assert_null(wr_nearest_name(lengthy, names, n));
}

static void test_each_allocation_may_fail(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        struct wr_diagnostics d = one("abc\n", (struct wr_position){1, 1, 1}, "hint", "m");
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(d.errors, 1);
        assert_int_equal(d.out_of_memory, hit);
        assert_int_equal(d.n, hit ? 0 : 1);
        wr_diagnostics_fini(&d);
        if (!hit)
            break;
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caret_and_hint),
        cmocka_unit_test(test_without_excerpt),
        cmocka_unit_test(test_no_length_no_carets),
        cmocka_unit_test(test_odd_characters),
        cmocka_unit_test(test_ends_of_lines),
        cmocka_unit_test(test_long_line_is_cut_around_the_place),
        cmocka_unit_test(test_sorted_by_file_line_and_column),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
