/* Lint: each warning where it is due, in levels, in conditions within conditions and in rows of tables; and nothing where all is well. */
#include "tests/support/rules_fixture.h"

#include <unistd.h>

#include "tests/support/failing.h"

static char shown[16384];

/* The warnings over the rules; points and a table stand before them. */
static const char *warnings_of(const char *rules) {
    static char csv[64], text[8192];
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *set = NULL;
    struct wr_error err = {0};
    struct wr_buf out;
    snprintf(csv, sizeof csv, "/tmp/weir-lint-%ld.csv", (long)getpid());
    FILE *file = fopen(csv, "we");
    assert_non_null(file);
    fputs("room,hi[°C],lo[°C]\nA1,8,2\nA2,85,2\nA3,90,3\nA4,,1\n", file);
    fclose(file);
    snprintf(text, sizeof text,
             "weir: 1\n"
             "tables: [{name: rooms, csv: %s, key: room}]\n"
             "points:\n"
             "  - {point: t, unit: °C, range: \"-40..60\", resolution: 0.5, every: 1m}\n"
             "  - {point: p, unit: bar}\n"
             "rules:\n%s",
             csv, rules);
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&out, 0);
    const enum wr_result result = wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &diagnostics, &set, &err);
    assert_int_equal(wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &out), WR_OK);
    snprintf(shown, sizeof shown, "%s", wr_buf_str(&out));
    if (result != WR_OK)
        fail_msg("%s", shown);
    wr_buf_fini(&out);
    wr_diagnostics_fini(&diagnostics);
    wr_ruleset_free(set);
    (void)unlink(csv);
    return shown;
}

static void warns(const char *rules, const char *part) {
    if (!strstr(warnings_of(rules), part))
        fail_msg("no '%s' in:\n%s", part, shown);
}

static void is_silent(const char *rules) {
    assert_string_equal(warnings_of(rules), "");
}

#define RULE(name, rest) "  - {rule: " name ", respond: x, " rest "}\n"
#define HIGH "severity: high, consequence: y, time_to_respond: 30m, "

static void what_a_rule_lacks(void **state) {
    (void)state;
    warns("  - {rule: a, when: p > 5bar}\n", "r.yaml:7:12: warning W401: rule 'a': without `respond` it is an event, not an alarm\n"
                                             "    7 |   - {rule: a, when: p > 5bar}\n"
                                             "      |            ^ add respond: what to do\n");
    warns(RULE("a", "when: p > 5bar, severity: high, time_to_respond: 5m"), "W402: rule 'a': severity high needs");
    warns(RULE("a", "when: p > 5bar, severity: critical, consequence: y"), "W402: rule 'a': severity critical needs");
    warns(RULE("a", "value: p, levels: [{name: H, when: value > 5bar}, {name: HH, when: value > 9bar, severity: high}]"),
          "W402: rule 'a': severity high needs");
    is_silent(RULE("a", HIGH "when: p > 5bar"));
    is_silent(RULE("a", "when: p > 5bar, severity: medium"));
}

static void percent_by_hand(void **state) {
    (void)state;
#define DERIVED(of) RULE("a", "when: p > 5bar") "derive:\n  - {point: d, of: \"" of "\", unit: \"%\"}\n"
    warns(DERIVED("p{k=a} / p{k=b} * 100"), "W408: a ratio of 0.4 is 40% already");
    warns(DERIVED("100 * p{k=a} / p{k=b}"), "W408: ");
    warns(DERIVED("100 * (x / y)"), "W408: ");
    is_silent(DERIVED("x * 100"));
    is_silent(DERIVED("p{k=a} / p{k=b}"));
}

static void delays_that_leave_no_time(void **state) {
    (void)state;
    warns(RULE("a", HIGH "when: p > 5bar, on_delay: 16m"), "W403: rule 'a': on_delay takes more than half of time_to_respond");
    is_silent(RULE("a", HIGH "when: p > 5bar, on_delay: 15m"));
    warns(RULE("a", HIGH "value: p, levels: [{name: H, when: value > 5bar, on_delay: 1m}, {name: HH, when: value > 9bar, on_delay: 20m}]"),
          "W403: rule 'a': on_delay of level 'HH' takes more than half");
    is_silent(
        RULE("a", HIGH "value: p, levels: [{name: H, when: value > 5bar, on_delay: 20m, severity: low}, {name: HH, when: value > 9bar}]"));
}

static void deadbands(void **state) {
    (void)state;
    const char *chatters = "W404: rule 'a': the deadband is below twice the resolution of 't': it will chatter";
    warns(RULE("a", "when: t > 8°C, deadband: 0.9K"), chatters);
    is_silent(RULE("a", "when: t > 8°C, deadband: 1K"));
    is_silent(RULE("a", "when: t > 8°C"));
    warns(RULE("a", "when: 8°C < t, deadband: 0.5K"), chatters);
    warns(RULE("a", "when: t outside 2°C..8°C, deadband: 0.5K"), chatters);
    warns(RULE("a", "when: t > 8°C, clear: t < 7.5°C"), chatters);
    is_silent(RULE("a", "when: t > 8°C, clear: p < 7.5bar"));
    warns(RULE("a", "value: t, levels: [{name: H, when: value > 8°C, deadband: 0.5K}]"), chatters);
    warns(RULE("a", "when: t < rooms.lo, by: room, deadband: 0.5K"), chatters);
    is_silent(RULE("a", "when: t < rooms.lo, by: room, deadband: 1K"));
    is_silent(RULE("a", "when: t > 8°C, deadband: 0.5K, off_delay: 1m")); /* `every` of t is that */
    warns(RULE("a", "when: t > 8°C, deadband: 0.5K, off_delay: 59s"), chatters);
    is_silent(RULE("a", "value: t, levels: [{name: H, when: value > 8°C, deadband: 0.5K, off_delay: 2m}]"));
}

static void limits_out_of_range(void **state) {
    (void)state;
    warns(RULE("a", "when: t > 61°C"), "W406: rule 'a': the limit 61°C is outside the range of 't'");
    warns(RULE("a", "when: t in 20°C..100°C"), "W406: rule 'a': the limit 100°C");
    is_silent(RULE("a", "when: t > 60°C"));
    is_silent(RULE("a", "when: p > 6000bar"));
    warns(RULE("a", "when: \"held(t > 151°F, 2m)\""), "W406: rule 'a': the limit 66.1111111°C is outside");
    warns(RULE("a", "value: t, levels: [{name: H, when: value > 8°C}, {name: HH, when: value > 99°C}]"), "W406: rule 'a': the limit 99°C");
    warns(RULE("a", "sequence: [{step: t > 70°C}, {step: p > 5bar, within: 1m}]"), "W406: rule 'a': the limit 70°C");
    /* What two rules share is told once. */
    const char *text = warnings_of(RULE("a", "when: \"held(t > 99°C, 2m)\"") RULE("b", "when: \"held(t > 99°C, 2m) and p > 5bar\""));
    assert_non_null(strstr(text, "rule 'a': the limit 99°C"));
    assert_null(strstr(text, "rule 'b'"));
}

static void limits_of_tables(void **state) {
    (void)state;
    warns(RULE("a", "when: t > rooms.hi, by: room"),
          "W406: rule 'a': the limit 85°C of row 'A2' of table 'rooms' is outside the range of 't', and 1 more row\n");
    is_silent(RULE("a", "when: t < rooms.lo, by: room"));
    warns(RULE("a", "when: t > rooms.lo + 58K, by: room"), "the limit 61°C of row 'A3' of table 'rooms' is outside the range of 't'");
    is_silent(RULE("a", "when: p > 5bar or t > rooms.lo, by: room"));
}

static void the_same_twice(void **state) {
    (void)state;
    warns(RULE("a", "when: p > 5bar") RULE("b", "when: \"p  > 5bar\""), "W405: rule 'b': the same condition as rule 'a'");
    is_silent(RULE("a", "when: p > 5bar") RULE("b", "when: p > 5bar, by: line"));
    is_silent(RULE("a", "when: p > 5bar") RULE("b", "when: p > 6bar"));
    is_silent(RULE("a", "when: p > 5bar") RULE("b", "when: p > 5bar, deadband: 1bar"));
}

static void too_many_are_urgent(void **state) {
    (void)state;
    char rules[4096];
    for (int high = 1; high <= 2; high++) {
        size_t len = 0;
        for (int i = 0; i < 20; i++)
            len += (size_t)snprintf(rules + len, sizeof rules - len, RULE("r%d", "%swhen: p > %dbar"), i, i < high ? HIGH : "", i + 1);
        if (high == 1)
            is_silent(rules);
        else
            warns(rules, "W407: rule 'r0': 2 of 20 rules are high or critical: more than 5 %");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_by_hand), cmocka_unit_test(what_a_rule_lacks),   cmocka_unit_test(delays_that_leave_no_time),
        cmocka_unit_test(deadbands),       cmocka_unit_test(limits_out_of_range), cmocka_unit_test(limits_of_tables),
        cmocka_unit_test(the_same_twice),  cmocka_unit_test(too_many_are_urgent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
