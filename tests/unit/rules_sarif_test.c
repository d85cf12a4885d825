/* Diagnostics as SARIF, and the codes as docs/diagnostics.md has them. The structure as a whole is checked by tests/system/rule_tools_test.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rules/diagnostics/diagnostic_codes.h"
#include "rules/diagnostics/sarif.h"
#include "tests/support/failing.h"

static struct wr_diagnostics list;

static void add(enum wr_diagnostic_level level, unsigned code, const char *file, struct wr_position at, const char *hint) {
    wr_diagnostics_add(&list, level, code, file, "line\n", 5, at, hint, "message %u", code);
}

static int set_up(void **state) {
    (void)state;
    wr_diagnostics_init(&list);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    wr_diagnostics_fini(&list);
    return 0;
}

static void has(const char *part) {
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_diagnostics_render(&list, WR_DIAGNOSTICS_SARIF, &out), WR_OK);
    if (!strstr(wr_buf_str(&out), part))
        fail_msg("no %s in %s", part, wr_buf_str(&out));
    wr_buf_fini(&out);
}

static void nothing_found(void **state) {
    (void)state;
    has("{\"$schema\":\"https://json.schemastore.org/"
        "sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"weir check\"");
    has("\"rules\":[]");
    has("\"results\":[]}]}\n");
}

static void a_result_has_its_rule_and_its_place(void **state) {
    (void)state;
    add(WR_DIAGNOSTIC_WARNING, 404, "rules/b c.yaml", (struct wr_position){7, 5, 3}, NULL);
    add(WR_DIAGNOSTIC_ERROR, 102, "/etc/weir/\xc3\xa4.yaml", (struct wr_position){31, 35, 5}, "did you mean 'rise'?");
    add(WR_DIAGNOSTIC_ERROR, 102, "rules/b c.yaml", (struct wr_position){1, 2, 0}, NULL);
    add(WR_DIAGNOSTIC_ERROR, 300, "z", (struct wr_position){0, 0, 0}, NULL);
    has("\"rules\":[{\"id\":\"W102\",\"shortDescription\":{\"text\":\"unknown function\"},\"help\":{\"text\":\"the hint names the nearest "
        "one\"},"
        "\"helpUri\":\"https://");
    has("/docs/diagnostics.md#expressions-w1xx-w2xx\"},{\"id\":\"W404\",");
    has("{\"ruleId\":\"W102\",\"ruleIndex\":0,\"level\":\"error\",\"message\":{\"text\":\"message 102: did you mean "
        "'rise'?\"},\"locations\":[{"
        "\"physicalLocation\":{\"artifactLocation\":{\"uri\":\"file:///etc/weir/%C3%A4.yaml\"},"
        "\"region\":{\"startLine\":31,\"startColumn\":35,\"endColumn\":40}}}]}");
    has("{\"uri\":\"rules/b%20c.yaml\"},\"region\":{\"startLine\":1,\"startColumn\":2}");
    has("{\"ruleId\":\"W404\",\"ruleIndex\":1,\"level\":\"warning\",\"message\":{\"text\":\"message 404\"}");
    has("{\"uri\":\"z\"},\"region\":{\"startLine\":1}}"); /* scanners want a line */
}

static void what_has_no_room_is_counted(void **state) {
    (void)state;
    for (int i = 0; i < WR_DIAGNOSTICS_MAX + 3; i++)
        add(WR_DIAGNOSTIC_ERROR, 100, "a", (struct wr_position){1, 1, 1}, NULL);
    has("\"toolExecutionNotifications\":[{\"level\":\"warning\",\"message\":{\"text\":\"3 more findings are not listed\"}}]");
}

static void a_code_that_the_page_does_not_know(void **state) {
    (void)state;
    add(WR_DIAGNOSTIC_ERROR, 1, "a", (struct wr_position){1, 1, 1}, NULL);
    has("{\"id\":\"W001\",\"shortDescription\":{\"text\":\"W001\"},\"helpUri\":\"https://");
    has("/docs/diagnostics.md\"}");
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    add(WR_DIAGNOSTIC_ERROR, 102, "/a b", (struct wr_position){1, 1, 1}, "hint");
    for (long n = 0;; n++) {
        struct wr_buf out;
        wr_buf_init(&out, 0);
        wr_failing_allocations(n);
        const enum wr_result result = wr_diagnostics_render(&list, WR_DIAGNOSTICS_SARIF, &out);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        wr_buf_fini(&out);
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
        assert_true(n < 100);
    }
}

static void the_codes_are_those_of_the_page(void **state) {
    (void)state;
    assert_true(wr_diagnostic_codes_n > 70);
    assert_null(wr_diagnostic_codes_find(1));
    const struct wr_diagnostic_code *code = wr_diagnostic_codes_find(321); /* the second of a row */
    assert_non_null(code);
    assert_string_equal(code->summary, "a rule, or a point, is given twice");
    assert_string_equal(code->advice, "the message names the first place");
    code = wr_diagnostic_codes_find(514); /* a link is its text */
    assert_string_equal(code->advice, "the item that the error quotes; format-json.md");
    for (size_t i = 0; i < wr_diagnostic_codes_n; i++) {
        assert_ptr_equal(wr_diagnostic_codes_find(wr_diagnostic_codes[i].code), &wr_diagnostic_codes[i]); /* none twice */
        assert_true(wr_diagnostic_codes[i].summary[0] && wr_diagnostic_codes[i].anchor[0]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_result_has_its_rule_and_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_room_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_code_that_the_page_does_not_know, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_codes_are_those_of_the_page, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
