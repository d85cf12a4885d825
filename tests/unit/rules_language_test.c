/* The rule language: units, expressions, diagnostics word for word, templates, listing. */
#include <math.h>

#include "rules/compile/compiled.h"
#include "rules/language/parser.h"
#include "tests/support/rules_fixture.h"

static double converted(double value, const char *from, const char *to) {
    struct wr_unit a;
    struct wr_unit b;
    assert_int_equal(wr_unit_parse(from, strlen(from), &a, NULL), WR_OK);
    assert_int_equal(wr_unit_parse(to, strlen(to), &b, NULL), WR_OK);
    assert_true(wr_unit_same_dimension(&a, &b));
    return wr_unit_convert(value, &a, &b);
}

static void units(void **state) {
    (void)state;
    const struct {
        double value;
        const char *from;
        const char *to;
        double expected;
    } table[] = {
        {46.4, "°F", "°C", 8},
        {0, "°C", "K", 273.15},
        {1200, "mbar", "bar", 1.2},
        {5, "%", "ppm", 50000},
        {36, "km/h", "m/s", 10},
        {1, "kWh", "MJ", 3.6},
        {60, "L/min", "m3/h", 3.6},
        {1, "m³", "L", 1000},
        {3000, "rpm", "Hz", 50},
        {5, "%/min", "1/h", 3},
        {1, "psi", "kPa", 6.894757293168361},
        {2, "kN", "N", 2000},
        {9.81, "m/s2", "m/s^2", 9.81},
        {1, "d", "h", 24},
        {7, "µm", "um", 7},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_true(fabs(converted(table[i].value, table[i].from, table[i].to) - table[i].expected) < 1e-9 * (1 + fabs(table[i].expected)));
    struct wr_unit unit;
    struct wr_error err;
    assert_int_equal(wr_unit_parse("barr", 4, &unit, &err), WR_INVALID);
    assert_string_equal(err.text, "unknown unit 'barr': did you mean 'bar'?");
    assert_int_equal(wr_unit_parse("°C/min", 7, &unit, &err), WR_INVALID);
    assert_int_equal(wr_unit_parse("", 0, &unit, &err), WR_INVALID);
    assert_int_equal(wr_unit_parse("m9/s", 4, &unit, &err), WR_INVALID);
    assert_int_equal(wr_unit_parse("m4*m4*m4", 8, &unit, &err), WR_INVALID);
}

static void canonical_text(void **state) {
    (void)state;
    const char *const table[][3] = {
        {"a > 5 and b<3 or not c", "(((a>5) and (b<3)) or (not c))", "(((a>#) and (b<#)) or (not c))"},
        {"a + 2 * b - c / -4 mod d > 1e3", "(((a + (2 * b)) - ((c / -4) mod d))>1000)", "(((a + (# * b)) - ((c / #) mod d))>#)"},
        {"x outside 2°C..8°C", "(x outside 2°C outside 8°C)", "(x outside # outside #)"},
        {"avg(t{room=A1}, 1m30s) >= 5L/min", "(avg(t{room=A1}, 90s)>=5L/min)", "(avg(t{room=A1}, #)>=#)"},
        {"max(t.field, count 20) != 5", "(max(t.field, count 20)!=5)", "(max(t.field, count #)!=#)"},
        {"-(a) < -15°C", "((-a)<-15°C)", "((-a)<#)"},
        {"median(v, 7d, step=1m) == \"x y\"", "(median(v, 7d, step=1m)==\"x y\")", "(median(v, #, step=#)==\"x y\")"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wr_arena arena;
        struct wr_complaint complaint;
        wr_arena_init(&arena);
        struct wr_node *node = wr_parse_expression(table[i][0], strlen(table[i][0]), &arena, &complaint);
        if (!node)
            fail_msg("%s: %s", table[i][0], complaint.text);
        for (int shape = 0; shape < 2; shape++) {
            struct wr_buf text;
            wr_buf_init(&text, 0);
            assert_int_equal(wr_node_canonical(node, shape, &text), WR_OK);
            assert_string_equal(wr_buf_str(&text), table[i][1 + shape]);
            wr_buf_fini(&text);
        }
        wr_arena_fini(&arena);
    }
}

/* Renders what loading this text says. */
static const char *complaints_of(const char *text, size_t *ret_errors) {
    static char shown[16384];
    const char *const allow[] = {"/usr/bin/beep"};
    const struct wr_ruleset_options options = {.exec_allow = allow, .n_exec_allow = 1};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_buf buf;
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&buf, 0);
    enum wr_result result = wr_ruleset_load_text("r.yaml", text, strlen(text), &options, &diagnostics, &rules, NULL);
    assert_int_equal(result, diagnostics.errors > 0 ? WR_INVALID : WR_OK);
    assert_int_equal(wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &buf), WR_OK);
    snprintf(shown, sizeof shown, "%s", wr_buf_str(&buf));
    *ret_errors = diagnostics.errors;
    wr_buf_fini(&buf);
    wr_diagnostics_fini(&diagnostics);
    wr_ruleset_free(rules);
    return shown;
}

#define POINTS                                                                                                                             \
    "points:\n"                                                                                                                            \
    "  - {point: t, unit: °C, range: \"-40..60\", resolution: 0.1, every: 30s}\n"                                                         \
    "  - {point: p, unit: bar}\n"                                                                                                          \
    "  - {point: hum, unit: \"%\"}\n"                                                                                                      \
    "rules:\n"

/* One rule, one condition: the code, and what stands in the text. */
static void wrong_conditions(void **state) {
    (void)state;
    const struct {
        const char *when;
        const char *expected;
    } table[] = {
        {"raise(t, 5m) > 1K",
         "7:11: error W102: unknown function 'raise'\n    7 |     when: raise(t, 5m) > 1K\n      |           ^^^^^ did you mean 'rise'?\n"},
        {"avg(t, 5m, stop=1m) > 8°C", "7:22: error W111: 'avg' has no argument 'stop='\n    7 |     when: avg(t, 5m, stop=1m) > 8°C\n      "
                                      "|                      ^^^^^^^ did you mean "
                                      "'step='?\n"},
        {"avg(t) > 8°C", "7:11: error W104: the window of 'avg' is missing\n"},
        {"avg(t, 5m, 6m) > 8°C", "7:11: error W104: too many arguments for 'avg'\n"},
        {"rises() and x", "7:11: error W104: an argument is missing for 'rises'\n"},
        {"t > 8°G", "7:16: error W106: unknown unit '°G'"},
        {"t > 3bar", "7:11: error W210: cannot compare temperature (°C) with pressure (bar)\n"},
        {"t + p > 3bar", "W210: cannot add temperature (°C) and pressure (bar)\n"},
        {"t > 8", "7:15: error W211: 8 has no unit, the other side is a temperature (°C)\n    7 |     when: t > 8\n      |               ^ "
                  "write 8°C\n"},
        {"hum > 80", "W211: 80 has no unit, the other side is a ratio (%)"},
        {"door > 8°C",
         "W212: a limit with a unit, but 'door' has no declared point\n    7 |     when: door > 8°C\n      |                  ^^^ add to "
         "points: - {point: door, unit: °C}\n"},
        {"t > 280K",
         "W213: cannot compare a temperature (°C) with a temperature difference (K)\n    7 |     when: t > 280K\n      |               "
         "^^^^ write 6.85°C\n"},
        {"t + t > 8°C", "W213: two temperatures on a scale cannot be added"},
        {"t * 2 > 8°C", "W213: a temperature on a scale cannot be multiplied or divided"},
        {"p > 5m", "7:15: error W214: is 'm' minutes or metres here?"},
        {"avg(t, count 0) > 8°C", "W215: a window by count takes 1 to 1000000 samples"},
        {"avg(t, 10m step=3m) > 8°C", "W215: `step=` divides the window into equal parts"},
        {"age(t) > age(p)", "W216: age can only be compared by < <= > >= with a constant duration"},
        {"age(t) + 3s > 5s", "W216: age can only be compared"},
        {"3 > 2", "W217: this never changes"},
        {"t > 8°C and 1 > 2", "W217: this never changes"},
        {"t in 8°C..2°C", "W219: the range ends below its start"},
        {"t", "W110: true or false is needed here, not a temperature (°C)"},
        {"x and (y > 3) + 1 > 2", "W110: a number is needed here, not true or false"},
        {"t > 8°C +", "7:20: error W101: expected a value, but the expression ends here\n"},
        {"(t > 8°C", "7:19: error W101: expected ), but the expression ends here\n"},
        {"t = 8°C", "7:13: error W101: expected == instead of '='\n"},
        {"t > 8°C t", "W101: expected the end of the expression instead of 't'"},
        {"t > 8 % 3", "W100: % is a unit and stands right behind its number"},
        {"t ? 3", "W100: there is no ? : here"},
        {"t && x", "W100: write `and` and `or`"},
        {"t{room > 8°C", "W100: the closing } is missing"},
        {"t{room} > 8°C", "W108: "},
        {"mode > \"x\"", "W105: a text can only be compared with a series, by == or !="},
        {"resolution(p) > 1bar", "W212: 'resolution' is not declared for 'p'"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[1024];
        size_t errors;
        bool quote = strpbrk(table[i].when, "{\"") != NULL;
        snprintf(text, sizeof text, "%s  - rule: r\n    when: %s%s%s\n", POINTS, quote ? "'" : "", table[i].when, quote ? "'" : "");
        const char *shown = complaints_of(text, &errors);
        if (errors != 1 || !strstr(shown, table[i].expected))
            fail_msg("%s\ngave %zu errors:\n%sexpected:\n%s", table[i].when, errors, shown, table[i].expected);
    }
}

static void wrong_rules(void **state) {
    (void)state;
    const struct {
        const char *rest;
        const char *expected;
    } table[] = {
        {"    severity: hihg\n",
         "8:15: error W322: 'hihg' is not low, medium, high or critical\n    8 |     severity: hihg\n      |               ^^^^ did "
         "you mean 'high'?\n"},
        {"    message: \"{roon} {value}\"\n    by: room\n", "8:16: error W327: unknown name 'roon' in a template"},
        {"    message: \"{value\"\n", "W327: the closing } is missing"},
        {"    no_data: raise\n", "W325: `no_data: raise` needs `no_data_after`"},
        {"    deadband: 3\n",
         "W211: 3 has no unit, the other side is a temperature (°C)\n    8 |     deadband: 3\n      |               ^ write 3K\n"},
        {"    deadband: 1°C\n", "W323: a deadband is a difference, not a position on the scale"},
        {"    deadband: -1K\n", "W323: a deadband is not negative"},
        {"    deadband: 1bar\n", "W210: cannot subtract temperature (°C) and pressure (bar)"},
        {"    deadband: 1K\n    clear: t < 3°C\n", "W324: `deadband` and `clear` exclude each other"},
        {"    on_delay: 5\n", "W322: "},
        {"    on_dealy: 5s\n", "8:5: error W301: unknown key 'on_dealy' in rule 'r'"},
        {"    latch: yep\n", "W322: 'yep' is not false or true"},
        {"    by: \"a, a\"\n", "W326: the label 'a' stands twice in `by`"},
        {"    valid_if: t\n", "8:15: error W110: true or false is needed here, not a temperature (°C)"},
        {"    re_alarm: 30\n", "8:15: error W322: "},
        {"    active: night\n", "8:13: error W349: there is no schedule 'night'"},
        {"    forget: 0s\n", "8:13: error W322: `forget` is a time above zero"},
        {"    max_instances: 0\n", "8:20: error W322: a number of alarms, 1 to 1000000"},
        {"    backfill: sometimes\n", "W322: 'sometimes' is not log, evaluate or ignore"},
        {"    value: t\n", "W333: `value` goes with `levels`"},
        {"    sequence:\n      - {step: x}\n      - {step: y}\n", "W333: `when` and `sequence` exclude each other"},
        {"    respond: \"to {rooms.spare}\"\n", "8:19: error W327: unknown name 'rooms.spare' in a template"},
        {"    respond: \"after {duration}\"\n", "8:22: error W327: {duration} is known in `message` only"},
        {"    consequence: \"{duration}\"\n", "W327: {duration} is known in `message` only"},
        {"    then:\n      - {at: [risen], log: true}\n", "9:15: error W329: no moment of an alarm: 'risen'"},
        {"    then:\n      - {at: [raised]}\n", "W329: an action is one of log: true, exec, mqtt, webhook or file"},
        {"    then:\n      - {exec: {argv: [/bin/sh, -c, x]}}\n", "W328: '/bin/sh' is not in the allow-list for exec"},
        {"    then:\n      - {exec: {argv: [beep]}}\n", "W328: `argv` starts with the absolute path of a program"},
        {"    then:\n      - {mqtt: {topic: \"a/{rom}\"}}\n    by: room\n", "W327: unknown name 'rom'"},
        {"    then:\n      - {mqtt: {topic: \"a/#\"}}\n", "W329: a topic to publish on is not empty and has no + or #"},
        {"  - {rule: r, when: t > 9°C}\n", "8:12: error W320: the rule 'r' is given twice: first at r.yaml:6:11"},
        {"  - {rule: s}\n", "W331: the rule has no `when`, no `levels` and no `sequence`"},
        {"  - {rule: \"s s\", when: t > 9°C}\n", "W322: the name of a rule is"},
        {"suppress:\n  - {cause: r}\n", "W352: no alarm of another rule can match: nothing would be suppressed"},
        {"weir: 2\n", "W103: this version reads the rule language 1"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[1024];
        size_t errors;
        snprintf(text, sizeof text, "%s  - rule: r\n    when: t > 8°C\n%s", POINTS, table[i].rest);
        const char *shown = complaints_of(text, &errors);
        if (errors != 1 || !strstr(shown, table[i].expected))
            fail_msg("%s\ngave %zu errors:\n%sexpected:\n%s", table[i].rest, errors, shown, table[i].expected);
    }
}

static void wrong_points(void **state) {
    (void)state;
    const char *const table[][2] = {
        {"{point: x, unit: barr}", "W106: unknown unit 'barr': did you mean 'bar'?"},
        {"{point: x, range: \"5..2\"}", "W330: "},
        {"{point: x, unit: bar, range: \"5°C..8°C\"}", "W330: "},
        {"{point: x, wrap: 100}", "W322: `wrap` is for counters"},
        {"{point: x, lateness: 5}", "W322: "},
        {"{point: \"x{a=b}\"}", "W322: a point is the name of a series"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[300];
        size_t errors;
        snprintf(text, sizeof text, "points:\n  - %s\n", table[i][0]);
        const char *shown = complaints_of(text, &errors);
        if (errors != 1 || !strstr(shown, table[i][1]))
            fail_msg("%s gave:\n%s", table[i][0], shown);
    }
    size_t errors;
    assert_non_null(strstr(complaints_of("points:\n  - {point: x}\n  - {point: x.value}\n", &errors),
                           "3:13: error W321: the point 'x' is given twice: first at r.yaml:2:13"));
}

static void lint(void **state) {
    (void)state;
    size_t errors;
    const char *shown =
        complaints_of(POINTS "  - {rule: a, when: t > 70°C, severity: high, deadband: 0.1K, on_delay: 20m, time_to_respond: 30m}\n"
                             "  - {rule: b, when: t > 70°C, deadband: 0.1K, respond: x}\n",
                      &errors);
    assert_int_equal(errors, 0);
    const char *const codes[] = {"W401", "W402", "W403", "W404", "W405", "W406"};
    for (size_t i = 0; i < 6; i++)
        assert_non_null(strstr(shown, codes[i]));
}

/* Units are converted at load: the thresholds stand in the unit of the series. */
static void conversions(void **state) {
    (void)state;
    const struct {
        const char *when;
        double low;
        double high;
    } table[] = {{"t > 46.4°F", 8, 8},      {"p < 1200mbar", 1.2, 1.2}, {"p outside 100kPa..1MPa", 1, 10},
                 {"hum > 0.5 * 1", 50, 50}, {"3bar < p", 3, 3},         {"t < 5°C + 2K", 7, 7}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[600];
        snprintf(text, sizeof text, "%s  - rule: r\n    when: %s\n", POINTS, table[i].when);
        struct wr_ruleset *rules = fixture_load(text);
        const struct wr_operand *operand = &rules->rules[0]->operands[0];
        assert_false(operand->opaque);
        assert_true(fabs(operand->thresholds[0] - table[i].low) < 1e-12);
        assert_true(fabs(operand->thresholds[operand->n_thresholds - 1] - table[i].high) < 1e-12);
        wr_ruleset_free(rules);
    }
}

static void templates(void **state) {
    (void)state;
    struct wr_alarm alarm = {.rule = "warm", .instance = "room=A/1\\,x,site=riga", .has_value = true, .value = 9.25, .unit = "°C"};
    char text[64];
    assert_int_equal(wr_template_expand("a/{site}/{room}/{rule}/{node}{{", WR_TEMPLATE_TOPIC, &alarm, "gw-1", "-", text, sizeof text),
                     WR_OK);
    assert_string_equal(text, "a/riga/A_1,x/warm/gw-1{");
    assert_int_equal(wr_template_expand("a/{room}/{rule}", WR_TEMPLATE_TOPIC, &alarm, "", "", text, 8), WR_LIMIT);
    assert_true(wr_template_label(alarm.instance, "room", text, sizeof text));
    assert_string_equal(text, "A/1,x");
    assert_false(wr_template_label(alarm.instance, "roo", text, sizeof text));
}

static void listing(void **state) {
    (void)state;
    struct wr_ruleset *rules =
        fixture_load(POINTS "  - {rule: a, when: t > 8°C, by: room, severity: medium, then: [{at: [raised, cleared], log: true}]}\n"
                            "  - {rule: b, when: \"avg(t, 5m) > 8°C\"}\n");
    uint32_t n;
    assert_int_equal(wr_ruleset_count(rules), 2);
    assert_int_equal(wr_ruleset_points(rules), 3);
    assert_int_equal(wr_ruleset_find(rules, "b"), 1);
    assert_int_equal(wr_ruleset_find(rules, "c"), UINT32_MAX);
    struct wr_rule_info a = wr_ruleset_info(rules, 0);
    struct wr_rule_info b = wr_ruleset_info(rules, 1);
    assert_string_equal(a.by[0], "room");
    assert_int_equal(a.severity, WR_SEVERITY_MEDIUM);
    assert_true(a.quiet && !b.quiet && b.bytes_per_instance > a.bytes_per_instance);
    assert_int_equal(b.max_instances, 1);
    const struct wr_action_spec *actions = wr_ruleset_actions(rules, 0, &n);
    assert_int_equal(n, 1);
    assert_true(wr_action_wants(&actions[0], WR_ALARM_RAISED) && !wr_action_wants(&actions[0], WR_ALARM_RESET));
    wr_ruleset_free(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units),       cmocka_unit_test(canonical_text), cmocka_unit_test(wrong_conditions),
        cmocka_unit_test(wrong_rules), cmocka_unit_test(wrong_points),   cmocka_unit_test(lint),
        cmocka_unit_test(conversions), cmocka_unit_test(templates),      cmocka_unit_test(listing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
