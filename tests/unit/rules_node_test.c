/* Nodes: derived points, conditions with memory, sets, votes, levels, sequences. One scenario for each promise. */
#include "tests/support/rules_fixture.h"

#define S FIXTURE_SECOND
#define M FIXTURE_MINUTE
#define POINTS                                                                                                                             \
    "points:\n"                                                                                                                            \
    "  - {point: t, unit: °C, range: \"-40..60\", resolution: 0.1, every: 30s}\n"                                                         \
    "  - {point: flow, unit: L/min}\n"

/* held(c, d): true for so long without a break; unknown stands still; a timer ends it. */
static void held(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: open, when: \"held(door, 2m)\", by: room}\n");
    uint32_t door = fixture_series(&f, "door", "room=A");
    fixture_value(&f, door, 1);
    fixture_pass(&f, 119 * S);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, door, 0);
    fixture_value(&f, door, 1);
    fixture_pass(&f, 119 * S);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 1 * S);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, door, 0);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* The example of the language: both at once. */
static void held_and_rise(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "rules:\n  - {rule: warming, when: \"held(door, 2m) and rise(t, 5m) > 1.5K\", by: room}\n");
    uint32_t door = fixture_series(&f, "door", "room=A");
    uint32_t t = fixture_series(&f, "t", "room=A");
    fixture_value(&f, t, 4);
    fixture_value(&f, door, 1);
    for (int i = 1; i <= 3; i++) {
        fixture_pass(&f, 30 * S);
        fixture_value(&f, t, 4 + i * 0.6);
    }
    assert_string_equal(fixture_told(&f), ""); /* warmer, but not open for long enough */
    fixture_pass(&f, 30 * S);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_pass(&f, 4 * M); /* the coldest samples leave the window */
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_fini(&f);
}

/* A hundred rules on one window are one window: samples that cross no limit evaluate it once. */
static void shared_window(void **state) {
    (void)state;
    struct rules_fixture f;
    char text[16384] = POINTS "rules:\n";
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "  - {rule: r%d, when: \"avg(t, 5m) > %d°C\", by: room}\n", i,
                 10 + i % 50);
    fixture_init(&f, text);
    uint32_t t = fixture_series(&f, "t", "room=A");
    fixture_value(&f, t, 5);
    struct wr_evaluator_stats before, after;
    wr_evaluator_stats(f.evaluator, &before);
    for (int i = 0; i < 20; i++) {
        fixture_pass(&f, 30 * S);
        fixture_value(&f, t, 5 + 0.1 * (i % 3));
    }
    wr_evaluator_stats(f.evaluator, &after);
    assert_true(after.evaluations - before.evaluations <= 2 * 20 + 20);
    assert_string_equal(fixture_told(&f), "");
    fixture_run(&f, t, 12, 12, 30 * S);
    assert_string_equal(f.n_log == 4 ? "" : "?", ""); /* limits 10 and 11, twice each */
    fixture_fini(&f);
}

/* hits(c, n, m): each sample counts, also one that changes nothing. */
static void hits(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "rules:\n  - {rule: often, when: \"hits(t > 8°C, 3, 5)\", by: room}\n");
    uint32_t t = fixture_series(&f, "t", "room=A");
    const double values[] = {9, 9, 5, 5, 9, 9, 9};
    for (int i = 0; i < 7; i++) {
        fixture_value(&f, t, values[i]);
        assert_string_equal(fixture_told(&f), i == 4 ? "raised unack" : ""); /* 9 9 5 5 9 */
        fixture_pass(&f, 30 * S);
    }
    fixture_run(&f, t, 5, 3, 30 * S);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_fini(&f);
}

/* rises, falls and changed are true at that sample only. */
static void edges(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: up, when: rises(x), auto_ack: true}\n"
                     "  - {rule: down, when: falls(x > 5), auto_ack: true}\n"
                     "  - {rule: change, when: changed(mode), auto_ack: true}\n");
    uint32_t x = fixture_series(&f, "x", "");
    uint32_t mode = fixture_series(&f, "mode", "");
    fixture_value(&f, x, 0);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, x, 7);
    assert_string_equal(fixture_told(&f), "raised acked");
    fixture_value(&f, x, 8);
    assert_string_equal(fixture_told(&f), "cleared normal");
    fixture_value(&f, x, 3);
    assert_string_equal(fixture_told(&f), "raised acked");
    fixture_value(&f, x, 3);
    assert_string_equal(fixture_told(&f), "cleared normal");
    fixture_text(&f, mode, "auto");
    fixture_text(&f, mode, "auto");
    assert_string_equal(fixture_told(&f), "");
    fixture_text(&f, mode, "hand");
    assert_string_equal(fixture_told(&f), "raised acked");
    fixture_text(&f, mode, "hand");
    assert_string_equal(fixture_told(&f), "cleared normal");
    fixture_fini(&f);
}

/* A derived point: computed once, read by several rules, with its own limits; unknown where an input is, or too old. */
static void derived(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "  - {point: wall, unit: °C}\n"
                            "derive:\n"
                            "  - {point: margin, of: \"wall - t\", unit: K, by: room, max_age: 60s}\n"
                            "rules:\n"
                            "  - {rule: close, when: margin < 2K, by: room, no_data: clear, no_data_after: 5m}\n"
                            "  - {rule: closer, when: margin < 1K, by: room, on_delay: 1m}\n");
    uint32_t t = fixture_series(&f, "t", "room=A");
    uint32_t wall = fixture_series(&f, "wall", "room=A");
    fixture_value(&f, t, 10);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, wall, 15);
    fixture_value(&f, wall, 11.5);
    assert_string_equal(f.log[0].alarm.rule, "close");
    assert_true(f.log[0].alarm.has_value && fabs(f.log[0].alarm.value - 1.5) < 1e-9);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, t, 11);
    assert_int_equal(fixture_state(&f, "closer", "room=A"), WR_ALARM_PENDING);
    fixture_pass(&f, 30 * S);
    fixture_value(&f, t, 11);
    fixture_value(&f, wall, 11.5);
    fixture_pass(&f, 30 * S);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_pass(&f, 4 * M); /* older than max_age: unknown, which holds */
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 2 * M);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* One derived point without labels serves every room, whichever of them comes first. */
static void derived_for_all(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "  - {point: sky, unit: °C}\n"
                            "derive:\n"
                            "  - {point: mast, of: sky, unit: °C}\n"
                            "rules:\n"
                            "  - {rule: hot, when: t > mast + 5K, by: room}\n");
    uint32_t a = fixture_series(&f, "t", "room=A");
    uint32_t b = fixture_series(&f, "t", "room=B");
    uint32_t sky = fixture_series(&f, "sky", "mast=1");
    fixture_value(&f, a, 30);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, sky, 20);
    assert_string_equal(f.log[0].alarm.instance, "room=A");
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, b, 26);
    assert_string_equal(f.log[0].alarm.instance, "room=B");
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, sky, 28);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack; cleared rtn_unack");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* Across series: all that the selector takes, within the labels of `by`. */
static void sets(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "rules:\n"
                            "  - {rule: spread, when: spread_of(t) > 5K, by: room}\n"
                            "  - {rule: two, when: \"count_of(t > 8°C) >= 2\"}\n"
                            "  - {rule: mean, when: \"avg_of(t{probe!=3}) > 10°C\", by: room}\n");
    uint32_t a = fixture_series(&f, "t", "probe=1,room=A");
    uint32_t b = fixture_series(&f, "t", "probe=2,room=A");
    uint32_t c = fixture_series(&f, "t", "probe=3,room=B");
    fixture_value(&f, a, 4);
    fixture_value(&f, b, 7);
    fixture_value(&f, c, 20); /* another room: no spread with A */
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, b, 9.5);
    assert_int_equal(fixture_state(&f, "spread", "room=A"), WR_ALARM_UNACK);
    assert_int_equal(fixture_state(&f, "two", ""), WR_ALARM_UNACK);
    assert_string_equal(fixture_told(&f), "raised unack; raised unack");
    fixture_value(&f, a, 12);
    assert_int_equal(fixture_state(&f, "spread", "room=A"), WR_ALARM_RTN_UNACK);
    assert_int_equal(fixture_state(&f, "mean", "room=A"), WR_ALARM_UNACK); /* 10.75 */
    fixture_fini(&f);
}

/* 2 of 3; a dead sensor lowers what is needed by one, where the rule says so. */
static void vote(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: strict, when: \"vote(2, a > 12, b > 12, c > 12)\"}\n"
                     "  - {rule: degrading, when: \"vote(2, a > 12, b > 12, c > 12, degrade=1)\"}\n");
    uint32_t a = fixture_series(&f, "a", "");
    uint32_t b = fixture_series(&f, "b", "");
    uint32_t c = fixture_series(&f, "c", "");
    fixture_value(&f, a, 13);
    fixture_value(&f, b, 5);
    fixture_value(&f, c, 5);
    fixture_told(&f);
    assert_int_equal(fixture_state(&f, "strict", ""), WR_ALARM_NORMAL);
    fixture_value(&f, c, NAN); /* dead: with one left out, one of two is enough */
    assert_int_equal(fixture_state(&f, "strict", ""), WR_ALARM_NORMAL);
    assert_int_equal(fixture_state(&f, "degrading", ""), WR_ALARM_UNACK);
    fixture_value(&f, b, 14);
    assert_int_equal(fixture_state(&f, "strict", ""), WR_ALARM_UNACK);
    fixture_fini(&f);
}

/* Levels: one alarm that escalates; each level has its own delay and deadband. */
static void levels(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "rules:\n"
                            "  - rule: freezer\n"
                            "    value: t\n"
                            "    by: room\n"
                            "    message: \"{level} at {value}\"\n"
                            "    levels:\n"
                            "      - {name: H, when: value > -15°C, on_delay: 10m, deadband: 1K, severity: medium}\n"
                            "      - {name: HH, when: value > -10°C, on_delay: 1m, deadband: 1K, severity: high}\n");
    uint32_t t = fixture_series(&f, "t", "room=A");
    fixture_run(&f, t, -14, 19, 30 * S);
    assert_string_equal(fixture_told(&f), "");
    fixture_run(&f, t, -14, 1, 30 * S);
    assert_string_equal(f.log[0].alarm.level, "H");
    assert_int_equal(f.log[0].alarm.severity, WR_SEVERITY_MEDIUM);
    assert_string_equal(f.log[0].alarm.message, "H at -14 °C");
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_command(&f, WR_ALARM_COMMAND_ACK, "freezer{room=A}", NULL);
    fixture_told(&f);
    fixture_run(&f, t, -9, 2, 30 * S);
    assert_string_equal(f.log[0].alarm.level, "HH");
    assert_int_equal(f.log[0].alarm.severity, WR_SEVERITY_HIGH);
    assert_string_equal(fixture_told(&f), "escalated unack");
    fixture_value(&f, t, -10.5); /* within the deadband of HH */
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, t, -12);
    assert_string_equal(f.log[0].alarm.level, "H");
    assert_string_equal(fixture_told(&f), "deescalated unack");
    fixture_value(&f, t, -20);
    assert_string_equal(f.log[0].alarm.level, "H");
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_value(&f, t, 0);
    fixture_pass(&f, M); /* from nothing straight to HH */
    assert_string_equal(f.log[0].alarm.level, "HH");
    assert_string_equal(fixture_told(&f), "raised unack");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* A, then not B within 20 s: by a timer; it ends when B comes after all. */
static void absence(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "rules:\n"
                            "  - rule: no_flow\n"
                            "    by: pump\n"
                            "    sequence:\n"
                            "      - {step: rises(running)}\n"
                            "      - {step: flow > 5L/min, within: 20s, absent: true}\n");
    uint32_t running = fixture_series(&f, "running", "pump=1");
    uint32_t flow = fixture_series(&f, "flow", "pump=1");
    fixture_value(&f, flow, 0);
    fixture_value(&f, running, 0);
    fixture_value(&f, running, 1);
    fixture_pass(&f, 19 * S);
    fixture_value(&f, flow, 6); /* in time */
    fixture_pass(&f, 60 * S);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, running, 0);
    fixture_value(&f, flow, 0);
    fixture_value(&f, running, 1);
    fixture_pass(&f, 10 * S);
    fixture_value(&f, running, 1);
    fixture_pass(&f, 10 * S - 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 1);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, flow, 6);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* A, then B within a minute; not the other way round, and not too late. Old data in a burst counts by its own time. */
static void order(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - rule: both\n"
                     "    sequence:\n"
                     "      - {step: a > 5}\n"
                     "      - {step: b > 5, within: 1m}\n");
    uint32_t a = fixture_series(&f, "a", "");
    uint32_t b = fixture_series(&f, "b", "");
    fixture_value(&f, a, 0);
    fixture_value(&f, b, 6);
    fixture_value(&f, b, 0);
    fixture_value(&f, a, 6);
    fixture_pass(&f, 61 * S);
    fixture_value(&f, b, 6);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, b, 0);
    fixture_value(&f, a, 0);
    fixture_value(&f, a, 6);
    fixture_pass(&f, 59 * S);
    fixture_value(&f, b, 6);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, b, 0);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_fini(&f);
}

/* valid_if: not annunciated while it is not valid, and told when that changes. */
static void validity(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "rules:\n  - {rule: warm, when: t > 8°C, valid_if: running, by: room}\n");
    uint32_t t = fixture_series(&f, "t", "room=A");
    uint32_t running = fixture_series(&f, "running", "room=A");
    fixture_value(&f, running, 0);
    fixture_value(&f, t, 9);
    assert_int_equal(f.log[0].alarm.silent & WR_ALARM_SILENT_INVALID, WR_ALARM_SILENT_INVALID);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, running, 1);
    assert_int_equal(f.log[0].alarm.silent, 0);
    assert_string_equal(fixture_told(&f), "unsuppressed unack; raised unack"); /* it was silent: told now */
    fixture_value(&f, running, 0);
    assert_string_equal(fixture_told(&f), "suppressed unack");
    fixture_fini(&f);
}

/* A reload with the same rules: a delay inside of a condition and a window go on. */
static void reload_keeps_nodes(void **state) {
    (void)state;
    struct rules_fixture f;
    static const char text[] = POINTS "rules:\n"
                                      "  - {rule: warming, when: \"held(t > 8°C, 5m)\", by: room}\n"
                                      "  - {rule: mean, when: \"avg(t, 10m) > 20°C\", by: room}\n";
    fixture_init(&f, text);
    uint32_t t = fixture_series(&f, "t", "room=A");
    fixture_run(&f, t, 9, 6, 30 * S); /* three minutes */
    fixture_reload(&f, fixture_load(text), 3);
    assert_string_equal(fixture_told(&f), "");
    fixture_run(&f, t, 9, 3, 30 * S);
    assert_string_equal(fixture_told(&f), "");
    fixture_run(&f, t, 9, 2, 30 * S);
    assert_string_equal(fixture_told(&f), "raised unack"); /* five minutes in all */
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* A call that is a step of a sequence, and the same in a condition: one delay, which goes on. */
static void reload_keeps_steps(void **state) {
    (void)state;
    struct rules_fixture f;
    static const char text[] = "rules:\n"
                               "  - rule: order\n"
                               "    sequence:\n"
                               "      - {step: x > 8}\n"
                               "      - {step: \"held(y < 5, 120s)\", within: 5m}\n"
                               "  - {rule: both, when: \"x > 8 and held(y < 5, 120s)\"}\n";
    static const char more[] = "  - {rule: other, when: q > 1}\n";
    char next[sizeof text + sizeof more];
    snprintf(next, sizeof next, "%s%s", text, more);
    fixture_init(&f, text);
    uint32_t x = fixture_series(&f, "x", "");
    uint32_t y = fixture_series(&f, "y", "");
    fixture_value(&f, x, 1);
    fixture_value(&f, y, 4);
    fixture_value(&f, x, 9);
    for (int i = 0; i < 4; i++) {
        fixture_pass(&f, 30 * S - (i == 3));
        fixture_reload(&f, fixture_load(i % 2 ? text : next), 3);
        fixture_value(&f, y, 4);
        fixture_value(&f, x, 9);
        assert_string_equal(fixture_told(&f), "");
    }
    fixture_pass(&f, 1);
    assert_string_equal(fixture_told(&f), "raised unack; raised unack");
    for (int i = 0; i < 2; i++) {
        fixture_reload(&f, fixture_load(i % 2 ? text : next), 3);
        fixture_value(&f, y, 4);
        fixture_value(&f, x, 9);
        fixture_pass(&f, 30 * S);
        assert_string_equal(fixture_told(&f), ""); /* both stand */
    }
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* What is counted below other conditions: each sample, also one that changes nothing in between. */
static void counted_below(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "derive:\n"
                            "  - {point: calm, of: \"not held(t > 8°C, 10s)\"}\n"
                            "rules:\n"
                            "  - {rule: twice, when: \"hits(not held(t > 8°C, 10s), 2, 3)\"}\n"
                            "  - {rule: often, when: \"count_if(calm, 10m) >= 5\"}\n"
                            "  - {rule: few, when: \"hits(count_of(t > 8°C) < 1 and t > -5°C, 2, 3)\"}\n");
    uint32_t t = fixture_series(&f, "t", "");
    for (int i = 1; i <= 5; i++) {
        fixture_value(&f, t, 4);
        assert_string_equal(fixture_told(&f), i == 2 ? "raised unack; raised unack" : i == 5 ? "raised unack" : "");
        fixture_pass(&f, 30 * S);
    }
    fixture_fini(&f);
}

/* Neither the first value nor a reload is a change, and what has been so all along begins no sequence. */
static void no_edge(void **state) {
    (void)state;
    struct rules_fixture f;
    static const char text[] = "rules:\n"
                               "  - {rule: change, when: changed(mode), auto_ack: true}\n"
                               "  - rule: no_flow\n"
                               "    sequence:\n"
                               "      - {step: running > 0}\n"
                               "      - {step: flow > 5, within: 20s, absent: true}\n";
    fixture_init(&f, text);
    uint32_t mode = fixture_series(&f, "mode", "");
    uint32_t running = fixture_series(&f, "running", "");
    uint32_t flow = fixture_series(&f, "flow", "");
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 3; k++) {
            fixture_text(&f, mode, "auto");
            fixture_value(&f, running, 1);
            fixture_value(&f, flow, 0);
            fixture_pass(&f, 30 * S);
        }
        assert_string_equal(fixture_told(&f), "");
        if (i == 0)
            fixture_reload(&f, fixture_load(text), 3);
    }
    fixture_value(&f, running, 0);
    fixture_value(&f, running, 1);
    fixture_pass(&f, 20 * S);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_fini(&f);
}

/* A condition that never changes has a share too. */
static void steady_duty(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f,
                 "rules:\n  - {rule: busy, when: \"duty(pump > 0, 1h) > 80%\"}\n  - {rule: idle, when: \"duty(pump > 5, 1h) < 20%\"}\n");
    fixture_run(&f, fixture_series(&f, "pump", ""), 1, 60, 60 * S);
    assert_int_equal(fixture_state(&f, "busy", ""), WR_ALARM_UNACK);
    assert_int_equal(fixture_state(&f, "idle", ""), WR_ALARM_UNACK);
    fixture_fini(&f);
}

/* A sample that was on its way when the schedule began is judged by its own time, and looked at again. */
static void edge_in_flight(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "schedules:\n  - {name: open, tz: UTC, from: \"08:10\", to: \"18:00\"}\n"
                     "rules:\n  - {rule: load, when: power > 2, active: open}\n");
    uint32_t power = fixture_series(&f, "power", "");
    fixture_run(&f, power, 1, 10, 60 * S); /* to 08:10 */
    fixture_pass(&f, S);
    const struct wr_reading reading = {.series = power, .type = WR_TYPE_FLOAT, .value = {.f = 3}, .decimals = WR_DECIMALS_UNKNOWN};
    fixture_feed(&f, reading, f.now.wall_ns - 2 * S);
    fixture_pass(&f, S);
    fixture_run(&f, power, 3, 3, 60 * S);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_pass(&f, 10 * 60 * M);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held),
        cmocka_unit_test(held_and_rise),
        cmocka_unit_test(shared_window),
        cmocka_unit_test(hits),
        cmocka_unit_test(edges),
        cmocka_unit_test(derived),
        cmocka_unit_test(derived_for_all),
        cmocka_unit_test(sets),
        cmocka_unit_test(vote),
        cmocka_unit_test(levels),
        cmocka_unit_test(absence),
        cmocka_unit_test(order),
        cmocka_unit_test(validity),
        cmocka_unit_test(reload_keeps_nodes),
        cmocka_unit_test(reload_keeps_steps),
        cmocka_unit_test(counted_below),
        cmocka_unit_test(no_edge),
        cmocka_unit_test(steady_duty),
        cmocka_unit_test(edge_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
