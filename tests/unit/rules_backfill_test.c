/* Old data, devices whose clocks are off, and clocks that are set: what alarms come of them. The engine with the real evaluator. */
#include "tests/support/engine_fixture.h"
#include "tests/support/rules_fixture.h"

#define S WR_TEST_S
#define HOUR (3600 * S)

static struct wr_test_engine test;
static struct wr_ruleset *ruleset;
static struct wr_alarm_entry seen[256];
static uint32_t n_seen;
static uint32_t temp;

static void start(const char *text) {
    struct wr_error err;
    test = (struct wr_test_engine){.n_sources = 1};
    n_seen = 0;
    ruleset = fixture_load(text);
    wr_test_engine_window(&test, 60 * S, 5 * S, NULL);
    wr_test_engine_start(&test);
    struct wr_evaluator *evaluator;
    if (wr_evaluator_new(ruleset, test.series, NULL, &evaluator, &err) != WR_OK)
        fail_msg("%s", err.text);
    (void)wr_engine_swap_evaluator(test.engine, evaluator);
    temp = wr_test_engine_series(&test, "temp");
}

static void stop(void) {
    wr_test_engine_stop(&test);
    wr_ruleset_free(ruleset);
}

static void keep(void) {
    for (uint32_t i = 0; i < test.out.alarms.n; i++)
        seen[n_seen++] = test.out.alarms.entries[i];
    assert_true(n_seen < 200);
    test.out.alarms.n = 0;
}

/* Time passes, with the timers of the rules. */
static void pass(int64_t ns) {
    const int64_t end_ns = test.now.boot_ns + ns;
    for (bool more = true; more;) {
        int64_t due_ns = wr_engine_next_timer(test.engine);
        due_ns = due_ns > end_ns ? end_ns : due_ns < test.now.boot_ns ? test.now.boot_ns : due_ns;
        test.now.wall_ns += due_ns - test.now.boot_ns;
        test.now.boot_ns = due_ns;
        test.handover->n = 0;
        test.out.handover = test.handover;
        more = wr_engine_timers(test.engine, &test.now, 64, &test.out) || due_ns < end_ns;
        keep();
    }
}

static void send(int64_t stamp_ns, double value) {
    test.batch = (struct wr_batch){.n = 1, .arrival_boot_ns = test.now.boot_ns, .wall_offset_ns = test.now.wall_ns - test.now.boot_ns};
    test.batch.wall_trusted = test.now.wall_trusted;
    test.batch.readings[0] = wr_test_reading(temp, stamp_ns, value);
    test.handover->n = 0;
    test.out.handover = test.handover;
    while (wr_engine_take(test.engine, &test.batch, 0, &test.now, &test.out) == 0)
        keep();
    keep();
}

/* The transitions of a rule since the last call, as "raised* cleared": a star is historic. */
static const char *told(const char *rule) {
    static char text[512];
    text[0] = '\0';
    for (uint32_t i = 0; i < n_seen; i++)
        if (strcmp(seen[i].alarm.rule, rule) == 0) {
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s", text[0] ? " " : "",
                     wr_alarm_cause_name((enum wr_alarm_cause)seen[i].alarm.cause), seen[i].alarm.historic ? "*" : "");
            seen[i].alarm.rule[0] = '\0';
        }
    return text;
}

#define THREE                                                                                                                              \
    "rules:\n"                                                                                                                             \
    "  - {rule: log, when: temp > 10, auto_ack: true}\n"                                                                                   \
    "  - {rule: live, when: temp > 10, auto_ack: true, backfill: evaluate}\n"                                                              \
    "  - {rule: never, when: temp > 10, auto_ack: true, backfill: ignore}\n"

/* Half an hour of memory, too warm for its second quarter and at its end or not, sent within two seconds. */
static void dump(bool warm_at_the_end) {
    const int64_t begin_ns = test.now.wall_ns;
    pass(1800 * S);
    for (int i = 1; i <= 180; i++) {
        const bool warm = (i >= 45 && i < 90) || (warm_at_the_end && i >= 150);
        pass(10 * WR_NS_PER_MS);
        send(begin_ns + i * 10 * S, warm ? 20 : 5);
    }
}

static void old_alarms_are_logged_evaluated_or_ignored(void **state) {
    (void)state;
    start(THREE);
    send(test.now.wall_ns, 5);
    dump(false);
    assert_string_equal(told("log"), "raised* cleared*");
    assert_string_equal(told("live"), "raised cleared");
    assert_string_equal(told("never"), "");
    pass(10 * S);
    send(test.now.wall_ns, 5);
    assert_string_equal(told("log"), "");
    send(test.now.wall_ns, 20);
    assert_string_equal(told("log"), "raised");
    assert_string_equal(told("never"), "raised");
    stop();
}

/* What began in the past and lasts is told once it is known to last. */
static void an_old_alarm_that_lasts_is_told(void **state) {
    (void)state;
    start(THREE);
    send(test.now.wall_ns, 5);
    dump(true);
    assert_string_equal(told("log"), "raised* cleared* raised* raised");
    assert_string_equal(told("live"), "raised cleared raised");
    assert_string_equal(told("never"), "raised");
    pass(10 * S);
    send(test.now.wall_ns, 5);
    assert_string_equal(told("log"), "cleared");
    assert_string_equal(told("never"), "cleared");
    stop();
}

/* A raise that was told is cleared by old data: that is told with the first live reading. */
static void the_end_of_an_alarm_that_was_told_is_told(void **state) {
    (void)state;
    start(THREE);
    send(test.now.wall_ns, 20);
    assert_string_equal(told("log"), "raised");
    dump(false);
    assert_string_equal(told("log"), "cleared* raised* cleared* cleared");
    stop();
}

/* The whole life of a device whose clock is an hour off: its alarms come. */
static void a_skewed_device_alarms(void **state) {
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        start("rules:\n  - {rule: warm, when: temp > 10, on_delay: 5s, off_delay: 3s, auto_ack: true}\n");
        for (int i = 0; i < 20; i++) {
            pass(S);
            send(test.now.wall_ns + sign * HOUR, 5);
        }
        for (int i = 0; i < 6; i++) {
            assert_string_equal(told("warm"), "");
            pass(S);
            send(test.now.wall_ns + sign * HOUR, 20);
        }
        assert_string_equal(told("warm"), "raised");
        assert_true(n_seen > 0 && seen[n_seen - 1].alarm.event_ns == test.now.wall_ns);
        for (int i = 0; i < 5; i++) {
            pass(S);
            send(test.now.wall_ns + sign * HOUR, 5);
        }
        assert_string_equal(told("warm"), "cleared");
        stop();
    }
}

/* It is too warm from its very first reading: told as old first, then as it is. */
static void a_skewed_device_that_begins_with_an_alarm(void **state) {
    (void)state;
    start(THREE);
    for (int i = 0; i < 20; i++) {
        pass(S);
        send(test.now.wall_ns - HOUR, 20);
    }
    assert_string_equal(told("log"), "raised* raised");
    assert_string_equal(told("never"), "raised");
    stop();
}

/* Neither our clock nor that of the device fires an alarm, or loses one, by being set while one runs. */
static void setting_a_clock_fires_nothing(void **state) {
    (void)state;
    static const int64_t steps_s[] = {3600, -3600, -86400, 86400, 40, -40, 7};
    for (int of_device = 0; of_device < 2; of_device++) {
        start("points:\n  - {point: temp, every: 1s}\n"
              "rules:\n  - {rule: warm, when: temp > 10, on_delay: 10s, auto_ack: true}\n  - {rule: silent, when: age(temp) > 30s}\n");
        int64_t ahead_ns = 0;
        for (size_t step = 0; step < sizeof steps_s / sizeof steps_s[0]; step++) {
            for (int i = 0; i < 20; i++) {
                pass(S);
                send(test.now.wall_ns + ahead_ns, 5);
            }
            ahead_ns += (of_device ? 1 : -1) * steps_s[step] * S;
            if (!of_device)
                test.now.wall_ns += steps_s[step] * S;
        }
        for (int i = 0; i < 60; i++) { /* time enough also for one that was set back */
            pass(S);
            send(test.now.wall_ns + ahead_ns, 5);
        }
        assert_string_equal(told("warm"), "");
        assert_string_equal(told("silent"), "");
        for (int i = 0; i < 12; i++) {
            pass(S);
            send(test.now.wall_ns + ahead_ns, 20);
        }
        assert_string_equal(told("warm"), "raised");
        stop();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_alarms_are_logged_evaluated_or_ignored), cmocka_unit_test(an_old_alarm_that_lasts_is_told),
        cmocka_unit_test(the_end_of_an_alarm_that_was_told_is_told),  cmocka_unit_test(a_skewed_device_alarms),
        cmocka_unit_test(a_skewed_device_that_begins_with_an_alarm),  cmocka_unit_test(setting_a_clock_fires_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
