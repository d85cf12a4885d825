/* `weir explain`: each part of a condition with its value now, through hidden nodes, levels, sequences, sets; delays, silences, series. */
#include "tests/support/rules_fixture.h"

#include "rules/explain/explain.h"
#include "tests/support/failing.h"

static const char rules[] =
    "weir: 1\n"
    "points:\n"
    "  - {point: temp, unit: °C, resolution: 0.1}\n"
    "  - {point: out, unit: °C}\n"
    "derive:\n"
    "  - {point: lift, of: temp - out, unit: K, by: room}\n"
    "rules:\n"
    "  - {rule: warm, when: temp > 8°C, by: room, on_delay: 5m, deadband: 1K, severity: high, no_data_after: 10m, no_data: hold,\n"
    "     message: \"{room} at {value}\", respond: \"open {room}\", consequence: spoilt, time_to_respond: 1h}\n"
    "  - {rule: door, when: \"held(open, 2m) and not (avg(temp, 10m) <= 46.4°F) or mode == 'auto'\", by: room}\n"
    "  - {rule: lifted, when: lift > 3K, by: room}\n"
    "  - {rule: steps, value: temp, by: room, levels: [{name: H, when: value > 8°C, on_delay: 1m}, {name: HH, when: value > 20°C}]}\n"
    "  - {rule: order, by: room, sequence: [{step: rises(open)}, {step: temp > 8°C, within: 90s}]}\n"
    "  - {rule: spread, when: spread_of(temp) > 5K}\n"
    "  - {rule: quiet, when: temp > 1°C, by: room, valid_if: open > 0}\n";

static struct rules_fixture fixture;
static struct wr_buf text;
static uint32_t temp, open_door;

static int set_up(void **state) {
    (void)state;
    fixture_init(&fixture, rules);
    wr_buf_init(&text, 0);
    temp = fixture_series(&fixture, "temp", "room=A1");
    open_door = fixture_series(&fixture, "open", "room=A1");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    wr_buf_fini(&text);
    fixture_fini(&fixture);
    return 0;
}

static enum wr_result ask(const char *alarm, bool json, struct wr_error *err) {
    wr_buf_clear(&text);
    return wr_explain(fixture.evaluator, alarm, &fixture.now, json, &text, err);
}

static void explain(const char *alarm) {
    struct wr_error err = {0};
    if (ask(alarm, false, &err) != WR_OK)
        fail_msg("%s", err.text);
}

static void has(const char *part) {
    if (!strstr(wr_buf_str(&text), part))
        fail_msg("no '%s' in:\n%s", part, wr_buf_str(&text));
}

static void a_delay_that_runs(void **state) {
    (void)state;
    fixture_value(&fixture, temp, 9.5);
    fixture_pass(&fixture, 2 * FIXTURE_MINUTE);
    explain("warm{room=A1}");
    has("warm{room=A1}, high: pending since 2026-03-02T08:00:00.000Z\n  rules.yaml:8\n");
    has("  9.5 °C, limit 8 °C\n");
    has("  delay: true for 2m of 5m\n");
    has("  message: A1 at 9.5 °C\n  consequence: spoilt\n  respond: open A1\n");
    has("condition\n  temp > 8°C  true\n    temp      9.5 °C\n  clear       false  at 7 °C\n");
    has("series\n  temp{room=A1}  9.5 °C  2m ago, good\n");
    fixture_pass(&fixture, 3 * FIXTURE_MINUTE);
    explain("warm");
    has(": unack since 2026-03-02T08:05:00.000Z\n");
    assert_null(strstr(wr_buf_str(&text), "delay:"));
}

/* Names, messages, series and their texts are what a sensor has sent: nothing that a terminal obeys, and no line of its own. */
static void what_a_sensor_sends_is_no_command(void **state) {
    (void)state;
    fixture_value(&fixture, fixture_series(&fixture, "temp", "room=\033[2J\nB"), 9.5);
    fixture_text(&fixture, fixture_series(&fixture, "mode", "room=\033[2J\nB"), "\033[7mauto");
    explain("warm");
    has("warm{room=\\x1b[2J\\x0aB}, high: pending");
    has("  message: \\x1b[2J\\x0aB at 9.5 °C\n");
    has("  respond: open \\x1b[2J\\x0aB\n");
    has("  temp{room=\\x1b[2J\\x0aB}  9.5 °C");
    explain("door");
    has("\\x1b[7mauto");
    assert_null(strchr(wr_buf_str(&text), '\033'));
}

static void what_is_missing(void **state) {
    (void)state;
    fixture_value(&fixture, temp, 9.5);
    fixture_pass(&fixture, FIXTURE_SECOND);
    fixture_value(&fixture, temp, NAN);
    explain("warm{room=A1}");
    has("  data: stale\n  delay: true for 1s of 5m, stands still: unknown\n");
    has("  temp > 8°C  unknown\n    temp      missing\n");
    has("  temp{room=A1}  9.5 °C  0.0s ago, bad  the last sample was bad: missing\n");
    fixture_pass(&fixture, 11 * FIXTURE_MINUTE);
    explain("warm{room=A1}");
    has("  data: stale, for longer than no_data_after\n");
}

static void conditions_within_conditions(void **state) {
    (void)state;
    const uint32_t mode = fixture_series(&fixture, "mode", "room=A1");
    uint32_t symbol;
    assert_int_equal(wr_symbol_intern(fixture.symbols, "manual", 6, &symbol), WR_OK);
    fixture_value(&fixture, temp, 9.5);
    fixture_value(&fixture, open_door, 1);
    const struct wr_reading reading = {.series = mode, .type = WR_TYPE_SYMBOL, .value = {.u = symbol}, .quality = WR_QUALITY_GOOD};
    fixture_feed(&fixture, reading, fixture.now.wall_ns);
    fixture_pass(&fixture, 30 * FIXTURE_SECOND);
    explain("door{room=A1}");
    has("  held(open, 2m) and not (avg(temp, 10m) <= 46.4°F) or mode == 'auto'  ");
    has("    held(open, 2m) and not (avg(temp, 10m) <= 46.4°F)");
    has("      held(open, 2m)");
    has("false  true for 30s of 2m\n        open");
    has("avg(temp, 10m)");
    has("9.5 °C\n");
    has("mode == 'auto'");
    has("false  it is 'manual'\n");
    has("  mode{room=A1}  'manual'  30s ago, good\n");
    has("  open{room=A1}");
    has("  temp{room=A1}");
}

static void derived_points(void **state) {
    (void)state;
    fixture_value(&fixture, temp, 9.5);
    explain("lifted{room=A1}");
    has("  lift > 3K       unknown\n    lift          missing\n      temp - out  missing\n");
    has("  out            missing  nothing has come yet\n");
    fixture_value(&fixture, fixture_series(&fixture, "out", "room=A1"), 2.5);
    explain("lifted{room=A1}");
    has("  lift > 3K       true\n    lift          7 K\n      temp - out  7 K\n        temp      9.5 °C\n        out       2.5 °C\n");
    explain("lift{room=A1}");
    has("lift{room=A1}, derived\n  rules.yaml:6\ncondition\n  temp - out  7 K\n");
}

static void levels_sequences_and_sets(void **state) {
    (void)state;
    fixture_value(&fixture, open_door, 0);
    fixture_value(&fixture, temp, 9.5);
    fixture_value(&fixture, fixture_series(&fixture, "temp", "room=A2"), 3.5);
    fixture_pass(&fixture, 30 * FIXTURE_SECOND);
    fixture_value(&fixture, open_door, 1);
    explain("steps{room=A1}");
    has("  level H         false  true for 30s of 1m\n    value > 8°C   true\n      value       9.5 °C\n  level HH        false\n");
    explain("order{room=A1}");
    has("    step 1         true  met\n      rises(open)  false\n    step 2         true  met within 1m30s\n      temp > 8°C   true\n");
    explain("spread");
    has("  spread_of(temp) > 5K  true\n    spread_of(temp)     6 K  over 2 series\n");
    has("series\n  temp{room=A1}  9.5 °C  30s ago, good\n  temp{room=A2}  3.5 °C  30s ago, good\n");
}

static void silences(void **state) {
    (void)state;
    fixture_value(&fixture, open_door, 0);
    fixture_value(&fixture, temp, 9.5);
    explain("quiet{room=A1}");
    has("  silent: invalid\n");
    has("  valid_if");
    has("false  nobody is told\n");
}

static void what_an_operator_silenced(void **state) {
    (void)state;
    struct wr_error err = {0};
    struct wr_alarm_out out = fixture_out(&fixture);
    fixture_value(&fixture, temp, 9.5);
    struct wr_alarm_command command = {.kind = WR_ALARM_COMMAND_SHELVE,
                                       .alarm = "steps{room=A1}",
                                       .by_whom = "ana",
                                       .why = "the door is being repaired",
                                       .until_wall_ns = fixture.now.wall_ns + 60 * FIXTURE_MINUTE,
                                       .key = ""};
    if (wr_evaluator_command(fixture.evaluator, &command, &fixture.now, &out, &err) != WR_OK)
        fail_msg("%s", err.text);
    explain("steps{room=A1}");
    has("  silent: shelved by ana until 2026-03-02T09:00:00.000Z: the door is being repaired\n");
}

static void names_that_are_none(void **state) {
    (void)state;
    struct wr_error err = {0};
    assert_int_equal(ask("warn", false, &err), WR_NOT_FOUND);
    assert_string_equal(err.text, "there is no rule 'warn': did you mean 'warm'?");
    assert_int_equal(ask("warm{room=A1}", false, &err), WR_NOT_FOUND);
    assert_string_equal(err.text, "warm has no alarm yet: nothing has come of temp");
    fixture_value(&fixture, temp, 9.5);
    assert_int_equal(ask("warm{room=A9}", false, &err), WR_NOT_FOUND);
    assert_string_equal(err.text, "there is no warm{room=A9}");
    assert_int_equal(ask("warm{room=A*}", false, &err), WR_NOT_FOUND);
    assert_int_equal(ask("warm{room=~A*}", false, &err), WR_OK);
    assert_int_equal(ask("warm{", false, &err), WR_INVALID);
}

static void many_are_cut(void **state) {
    (void)state;
    char tags[32];
    for (int i = 0; i < WR_EXPLAIN_INSTANCES + 3; i++) {
        snprintf(tags, sizeof tags, "room=B%d", i);
        fixture_value(&fixture, fixture_series(&fixture, "temp", tags), 9.5);
    }
    explain("warm");
    has("... and 4 more: name one, as in RULE{label=value}\n");
    explain("spread");
    has("... and 4 more lines\n"); /* of its series twenty are shown */
}

static void asking_changes_nothing(void **state) {
    (void)state;
    struct wr_evaluator_stats before, after;
    fixture_value(&fixture, temp, 9.5);
    fixture_value(&fixture, open_door, 1);
    fixture_pass(&fixture, 10 * FIXTURE_SECOND);
    const uint32_t log = fixture.n_log;
    const int64_t due = wr_evaluator_next_timer(fixture.evaluator);
    wr_evaluator_stats(fixture.evaluator, &before);
    static const char *const names[] = {"warm", "door", "steps", "order", "spread", "quiet"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        explain(names[i]);
    wr_evaluator_stats(fixture.evaluator, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(wr_evaluator_next_timer(fixture.evaluator), due);
    assert_true(wr_evaluator_is_valid(fixture.evaluator));
    fixture_pass(&fixture, 5 * FIXTURE_MINUTE);
    assert_true(fixture.n_log > log);
}

static void as_json(void **state) {
    (void)state;
    struct wr_error err = {0};
    fixture_value(&fixture, temp, 9.5);
    fixture_pass(&fixture, 2 * FIXTURE_MINUTE);
    assert_int_equal(ask("warm", true, &err), WR_OK);
    has("[{\"rule\":\"warm\",\"instance\":\"room=A1\",\"file\":\"rules.yaml\",\"line\":8,\"alarm\":{\"alarm\":\"warm{room=A1}\"");
    has("\"delay\":{\"which\":\"on_delay\",\"of_ns\":300000000000,\"left_ns\":180000000000,\"frozen\":false}");
    has("\"condition\":[{\"text\":\"temp > "
        "8°C\",\"depth\":0,\"value\":true},{\"text\":\"temp\",\"depth\":1,\"value\":9.5,\"unit\":\"°C\"}");
    has("\"series\":[{\"series\":\"temp{room=A1}\",\"value\":9.5,\"unit\":\"°C\",\"age_s\":120,\"quality\":\"good\"}],\"left_out\":0}]\n");
}

/* Whatever is missing in between: said so, and what is asked next is told whole. */
static void fails_at_each(const char *alarm, bool json, void (*arm)(long n)) {
    bool hit = true;
    for (long n = 0; hit; n++) {
        struct wr_error err = {0};
        wr_buf_fini(&text);
        wr_buf_init(&text, 0);
        arm(n);
        const enum wr_result result = ask(alarm, json, &err);
        hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        assert_string_equal(err.text, hit ? "no memory" : "");
    }
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    static const char *const names[] = {"warm", "door", "lifted", "lift", "steps", "order", "spread", "quiet"};
    fixture_value(&fixture, open_door, 0);
    fixture_value(&fixture, temp, 9.5);
    fixture_value(&fixture, fixture_series(&fixture, "temp", "room=A2"), 3.5);
    fixture_value(&fixture, fixture_series(&fixture, "out", "room=A1"), 2.5);
    fixture_pass(&fixture, 30 * FIXTURE_SECOND);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int json = 0; json < 2; json++) {
            fails_at_each(names[i], json == 1, wr_failing_allocations);
            fails_at_each(names[i], json == 1, wr_failing_pieces);
        }
    struct wr_error err = {0};
    wr_failing_allocations(0);
    assert_int_equal(ask("warn", false, &err), WR_NOT_FOUND);
    wr_failing_off();
    assert_string_equal(err.text, "there is no rule 'warn'"); /* without memory no other is proposed */
}

/* A condition with more parts than lines are shown, cut in the midst of each kind of part. */
static void long_conditions_are_cut(void **state) {
    (void)state;
    static const char *const parts[] = {"held(open, 2m)",       "mode != 'auto'", "spread_of(temp) > 5K",
                                        "avg(temp, 10m) > 8°C", "lift > 3K",      "open > 3"};
    struct rules_fixture cut;
    for (unsigned lead = 1; lead < 14; lead++) {
        char source[8192];
        int n = snprintf(source, sizeof source,
                         "points:\n  - {point: temp, unit: °C}\n  - {point: out, unit: °C}\n"
                         "derive:\n  - {point: lift, of: temp - out, unit: K, by: room}\n"
                         "rules:\n  - rule: long\n    valid_if: open > 0\n    by: room\n    value: temp\n    levels:\n");
        for (unsigned level = 0; level < 8; level++) {
            n += snprintf(source + n, sizeof source - (size_t)n, "      - {name: L%u, when: \"", level);
            for (unsigned i = 0; level == 0 && i < lead; i++)
                n += snprintf(source + n, sizeof source - (size_t)n, "x > %u or ", 100 + i);
            for (unsigned i = 0; i < 18; i++)
                n += snprintf(source + n, sizeof source - (size_t)n, "%s or ", parts[i % (sizeof parts / sizeof parts[0])]);
            n += snprintf(source + n, sizeof source - (size_t)n, "value > %u°C\"}\n", 50 + level);
        }
        fixture_init(&cut, source);
        const uint32_t series = fixture_series(&cut, "temp", "room=A1");
        const uint32_t mode = fixture_series(&cut, "mode", "room=A1");
        fixture_value(&cut, series, 9.5);
        fixture_value(&cut, fixture_series(&cut, "open", "room=A1"), 1);
        fixture_text(&cut, mode, "manual");
        struct wr_error err = {0};
        wr_buf_clear(&text);
        if (wr_explain(cut.evaluator, "long", &cut.now, false, &text, &err) != WR_OK)
            fail_msg("%s", err.text);
        has("... and ");
        has(" more lines\n");
        has("x > 100");
        fixture_fini(&cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_delay_that_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_sensor_sends_is_no_command, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conditions_within_conditions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(derived_points, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels_sequences_and_sets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silences, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_an_operator_silenced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asking_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(as_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_conditions_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
