/* The evaluator, one scenario for each point of its contract. */
#include "tests/support/rules_fixture.h"

#define S FIXTURE_SECOND
#define M FIXTURE_MINUTE
#define WARM                                                                                                                               \
    "points:\n"                                                                                                                            \
    "  - {point: t, unit: °C, range: \"-40..60\", every: 30s}\n"                                                                          \
    "rules:\n"

/* The example of the language: delay, deadband, latch, acknowledge, reset, silence. */
static void example(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f,
                 WARM "  - {rule: warm, when: t > 8°C, by: room, on_delay: 5m, deadband: 1K, off_delay: 2m, latch: true, no_data: raise,\n"
                      "     no_data_after: 10m, message: \"{room} at {value} for {duration} (limit {limit})\"}\n");
    uint32_t a1 = fixture_series(&f, "t", "room=A1");
    uint32_t a2 = fixture_series(&f, "t", "room=A2");
    int64_t start = f.now.boot_ns;
    for (int i = 0; i < 33; i++) {
        fixture_value(&f, a1, i < 10 ? 4.0 : i < 24 ? 9.0 : 6.9);
        if (i < 8 || i >= 30)
            fixture_value(&f, a2, 4.0);
        if (i == 19)
            assert_string_equal(fixture_told(&f), "");
        if (i == 20) { /* ten minutes in, five of them above */
            assert_int_equal(f.n_log, 1);
            assert_int_equal(f.log[0].alarm.event_ns, FIXTURE_WALL + 10 * M);
            assert_string_equal(f.log[0].alarm.message, "A1 at 9 °C for 5m (limit 8 °C)");
            assert_string_equal(fixture_told(&f), "raised unack");
        }
        if (i == 22) {
            assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_ACK, "warm{room=A1}", NULL), WR_OK);
            assert_string_equal(fixture_told(&f), "acknowledged acked");
        }
        if (i == 27) { /* 3m30 was the last of A2 */
            assert_int_equal(f.now.boot_ns, start + 13 * M + 30 * S);
            assert_int_equal(f.log[0].alarm.data, WR_ALARM_DATA_STALE_NOW);
            assert_string_equal(f.log[0].alarm.instance, "room=A2");
            assert_string_equal(fixture_told(&f), "raised unack");
        }
        if (i == 28) {
            assert_int_equal(fixture_state(&f, "warm", "room=A1"), WR_ALARM_LATCHED_ACK);
            assert_string_equal(fixture_told(&f), "cleared latched_ack");
        }
        if (i == 30)
            assert_string_equal(fixture_told(&f), "data_returned unack");
        fixture_pass(&f, 30 * S);
    }
    assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_RESET, "warm{room=A1}", NULL), WR_OK);
    assert_int_equal(fixture_state(&f, "warm", "room=A1"), WR_ALARM_NORMAL);
    assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_RESET, "warm{room=A1}", NULL), WR_INVALID);
    assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_ACK, "warm{room=A9}", NULL), WR_NOT_FOUND);
    assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_ACK, "cold", NULL), WR_NOT_FOUND);
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* A timer ends the delay when no sample comes. */
static void delay_without_samples(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, WARM "  - {rule: warm, when: t > 8°C, on_delay: 5m}\n");
    uint32_t t = fixture_series(&f, "t", "");
    fixture_value(&f, t, 9);
    assert_int_equal(fixture_state(&f, "warm", ""), WR_ALARM_PENDING);
    fixture_pass(&f, 5 * M - 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 1);
    assert_int_equal(f.log[0].alarm.arrival_boot_ns, 0);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_fini(&f);
}

/* Old data in a burst needs no real minutes; what was over before a sample came is over whatever the sample says. */
static void burst_of_old_data(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, WARM "  - {rule: warm, when: t > 8°C, on_delay: 5m}\n");
    uint32_t t = fixture_series(&f, "t", "");
    struct wr_reading reading = {.series = t, .type = WR_TYPE_FLOAT, .value = {.f = 9}};
    int64_t old = f.now.wall_ns - 24 * 60 * M;
    fixture_feed(&f, reading, old);
    fixture_feed(&f, reading, old + 4 * M);
    assert_string_equal(fixture_told(&f), "");
    reading.value.f = 3;
    fixture_feed(&f, reading, old + 6 * M);
    assert_string_equal(fixture_told(&f), "raised unack; cleared rtn_unack");
    reading.value.f = 9;
    fixture_feed(&f, reading, old + 10 * M);
    reading.value.f = 3;
    fixture_feed(&f, reading, old + 14 * M);
    assert_string_equal(fixture_told(&f), "");
    fixture_fini(&f);
}

/* A step of the wall clock fires nothing, moves no delay and empties no window. */
static void wall_step(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, WARM "  - {rule: warm, when: t > 8°C, on_delay: 5m}\n"
                          "  - {rule: few, when: \"count(t, 5m) < 3\", on_delay: 3m}\n"
                          "  - {rule: mute, when: age(t) > 1h}\n");
    uint32_t t = fixture_series(&f, "t", "");
    fixture_run(&f, t, 9, 5, 30 * S);
    f.now.wall_ns += 3600 * S;
    fixture_timers(&f);
    fixture_run(&f, t, 9, 2, 30 * S);
    f.now.wall_ns -= 7200 * S;
    fixture_run(&f, t, 9, 2, 30 * S);
    assert_string_equal(fixture_told(&f), "");
    fixture_run(&f, t, 9, 2, 30 * S);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_fini(&f);
}

/* Unknown freezes the delay; three valued logic looks at what is known. */
static void unknown(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, WARM "  - {rule: warm, when: t > 8°C, on_delay: 5m}\n"
                          "  - {rule: either, when: \"t > 8°C or door\"}\n"
                          "  - {rule: both, when: \"t > 8°C and door\"}\n");
    uint32_t t = fixture_series(&f, "t", "");
    uint32_t door = fixture_series(&f, "door", "");
    fixture_value(&f, t, 9); /* either is true though door is not known */
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_pass(&f, 2 * M);
    fixture_value(&f, t, NAN);
    fixture_pass(&f, 30 * M);
    assert_int_equal(fixture_state(&f, "warm", ""), WR_ALARM_PENDING);
    fixture_value(&f, t, -127); /* out of range: bad */
    fixture_value(&f, t, 9);
    fixture_pass(&f, 3 * M - 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 1);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, door, 1);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, t, NAN); /* both is unknown now and holds, either is true by the door */
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, door, 0); /* false and unknown is false */
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_fini(&f);
}

static void no_data_policies(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, WARM "  - {rule: h, when: t > 8°C, no_data: hold, no_data_after: 1m}\n"
                          "  - {rule: r, when: t > 8°C, no_data: raise, no_data_after: 2m, on_delay: 1h}\n"
                          "  - {rule: c, when: t > 8°C, no_data: clear, no_data_after: 3m, off_delay: 1h}\n");
    uint32_t t = fixture_series(&f, "t", "");
    fixture_value(&f, t, 9);
    assert_string_equal(fixture_told(&f), "raised unack; raised unack"); /* h and c; r is pending */
    fixture_pass(&f, 1 * M);
    assert_string_equal(f.log[0].alarm.rule, "h");
    assert_string_equal(fixture_told(&f), "data_stale unack");
    fixture_pass(&f, 1 * M);
    assert_string_equal(f.log[0].alarm.rule, "r");
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_pass(&f, 1 * M);
    assert_string_equal(f.log[0].alarm.rule, "c");
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_pass(&f, 60 * M);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, t, 3);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack; cleared rtn_unack; data_returned rtn_unack");
    fixture_fini(&f);
}

/* Quiet samples are not even shown to the evaluator, yet age and no_data know of them. */
static void quiet_samples_count(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, WARM "  - {rule: mute, when: age(t) > 3 * period(t)}\n"
                          "  - {rule: warm, when: t > 8°C, no_data: raise, no_data_after: 2m}\n");
    uint32_t t = fixture_series(&f, "t", "");
    fixture_run(&f, t, 4, 100, 30 * S);
    assert_string_equal(fixture_told(&f), "");
    assert_int_equal(f.quiet, 99);
    fixture_pass(&f, 60 * S);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 1);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, t, 4);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_value(&f, t, 4.5);
    assert_int_equal(f.quiet, 100);
    fixture_pass(&f, 2 * M);
    assert_string_equal(fixture_told(&f), "raised unack; raised unack");
    fixture_fini(&f);
}

/* A thousand limits on one series: a quiet value costs one compare, a step over three limits evaluates three. */
static void thousand_limits(void **state) {
    (void)state;
    struct rules_fixture f;
    static char text[100000];
    size_t n = (size_t)snprintf(text, sizeof text, "rules:\n");
    for (int i = 0; i < 1000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "  - {rule: r%d, when: x > %d, by: m}\n", i, i * 10);
    fixture_init(&f, text);
    uint32_t x = fixture_series(&f, "x", "m=1");
    fixture_value(&f, x, -5);
    uint64_t before = f.evaluator->stats.evaluations;
    for (int i = 0; i < 1000; i++)
        fixture_value(&f, x, -1 - i);
    assert_int_equal(f.evaluator->stats.evaluations, before);
    assert_int_equal(f.quiet, 1000);
    fixture_value(&f, x, 25);
    assert_int_equal(f.evaluator->stats.evaluations, before + 3);
    assert_string_equal(fixture_told(&f), "raised unack; raised unack; raised unack");
    f.room = 1; /* all the others, one entry at a time */
    fixture_value(&f, x, 1e6);
    assert_int_equal(f.n_log, 997);
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

static void hysteresis(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, WARM "  - {rule: out, when: t outside 2°C..8°C, deadband: 1K, auto_ack: true}\n"
                          "  - {rule: mine, when: t > 20°C, clear: \"t < 15°C and not door\", auto_ack: true}\n");
    uint32_t t = fixture_series(&f, "t", "");
    uint32_t door = fixture_series(&f, "door", "");
    fixture_value(&f, door, 1);
    const struct {
        double value;
        const char *told;
    } steps[] = {{5, ""},
                 {8, ""},
                 {8.1, "raised acked"},
                 {7.5, ""},
                 {7, "cleared normal"},
                 {1.9, "raised acked"},
                 {2.5, ""},
                 {3, "cleared normal"},
                 {21, "raised acked; raised acked"},
                 {14, ""},
                 {5, "cleared normal"}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        fixture_value(&f, t, steps[i].value);
        assert_string_equal(fixture_told(&f), steps[i].told);
    }
    fixture_value(&f, door, 0);
    assert_string_equal(fixture_told(&f), "cleared normal");
    fixture_fini(&f);
}

static void windows_and_functions(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "points:\n  - {point: e, unit: kWh, counter: true, wrap: 1000}\n  - {point: w, unit: W}\nrules:\n"
                     "  - {rule: mean, when: \"avg(w, 1m) > 2kW\", auto_ack: true}\n"
                     "  - {rule: power, when: \"rate(e, 1m) > 700kW\", auto_ack: true}\n"
                     "  - {rule: jump, when: \"abs(delta(w)) > 3kW\", auto_ack: true}\n"
                     "  - {rule: three, when: \"min(w, count 3) > 1kW\", auto_ack: true}\n"
                     "  - {rule: sums, when: \"sum(w, 1m) / count(w, 1m) > max(w, 1m) + 1W\"}\n"
                     "  - {rule: ratio, when: \"w / prev(w) > 150% and last(w) > 0W\", auto_ack: true}\n");
    uint32_t w = fixture_series(&f, "w", "");
    uint32_t e = fixture_series(&f, "e", "");
    fixture_run(&f, w, 500, 4, 10 * S);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, w, 4000); /* mean 1200, delta 3500, ratio 8 */
    assert_string_equal(fixture_told(&f), "raised acked; raised acked");
    fixture_pass(&f, 10 * S);
    fixture_value(&f, w, 4000); /* mean 1667 */
    assert_string_equal(fixture_told(&f), "cleared normal; cleared normal");
    fixture_pass(&f, 10 * S);
    fixture_value(&f, w, 4000); /* the first has left: mean 2250 */
    assert_int_equal(f.n_log, 2);
    assert_string_equal(f.log[0].alarm.rule, "mean");
    assert_true(f.log[0].alarm.value > 2249 && f.log[0].alarm.value < 2251 && f.log[0].alarm.limit > 1999 && f.log[0].alarm.limit < 2001);
    assert_string_equal(f.log[1].alarm.rule, "three");
    fixture_told(&f);
    fixture_pass(&f, 2 * M); /* the window is empty: unknown holds */
    assert_int_equal(fixture_state(&f, "mean", ""), WR_ALARM_ACKED);
    fixture_value(&f, e, 990);
    fixture_pass(&f, 30 * S);
    fixture_value(&f, e, 996); /* 6 kWh in 30 s: 720 kW */
    fixture_pass(&f, 20 * S);
    fixture_value(&f, e, 1); /* wrapped: 11 in 50 s: 792 kW */
    assert_string_equal(fixture_told(&f), "raised acked");
    fixture_fini(&f);
}

/* A sample that leaves its window can flip the result: by timer. */
static void window_runs_empty(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: few, when: \"count(x, 5m) < 3\"}\n");
    uint32_t x = fixture_series(&f, "x", "");
    fixture_run(&f, x, 1, 5, 1 * M); /* at 0..4 m; the time is 5 m, the first has just left */
    fixture_told(&f);
    assert_int_equal(fixture_state(&f, "few", ""), WR_ALARM_RTN_UNACK);
    fixture_pass(&f, 2 * M - 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 1);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_fini(&f);
}

static void texts(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: hand, when: mode != \"auto\", auto_ack: true}\n");
    uint32_t mode = fixture_series(&f, "mode", "");
    fixture_text(&f, mode, "auto");
    fixture_text(&f, mode, "manual");
    fixture_text(&f, mode, "auto");
    assert_string_equal(fixture_told(&f), "raised acked; cleared normal");
    fixture_fini(&f);
}

static void instances(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: r, when: \"a > b\", by: \"line, pump\"}\n");
    uint32_t a = fixture_series(&f, "a", "line=1,pump=x");
    uint32_t b = fixture_series(&f, "b", "line=1,pump=x");
    uint32_t other = fixture_series(&f, "b", "line=1,pump=y");
    uint32_t twice = fixture_series(&f, "b", "line=1,pump=x,probe=2");
    fixture_value(&f, a, 5);
    fixture_value(&f, other, 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, b, 1);
    assert_string_equal(f.log[0].alarm.instance, "line=1,pump=x");
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, twice, 9); /* not joined, counted, named */
    assert_string_equal(fixture_told(&f), "");
    struct wr_evaluator_stats stats;
    wr_evaluator_stats(f.evaluator, &stats);
    assert_int_equal(stats.joins_refused, 1);
    assert_int_equal(stats.instances, 2);
    assert_int_equal(stats.unacked, 1);
    assert_non_null(strstr(stats.problem, "b{line=1,pump=x}"));
    assert_non_null(strstr(stats.problem, "probe=2"));
    f.rules->max_instances = 2;
    uint32_t more = fixture_series(&f, "a", "line=2,pump=x");
    fixture_value(&f, more, 1);
    wr_evaluator_stats(f.evaluator, &stats);
    assert_int_equal(stats.instances_refused, 1);
    assert_int_equal(stats.instances, 2);
    fixture_fini(&f);
}

/* State, acknowledgement and numbers survive; downtime is unknown. */
static void restart(void **state) {
    (void)state;
    const char *text =
        WARM "  - {rule: warm, when: t > 8°C, by: room, on_delay: 5m}\n  - {rule: hot, when: t > 30°C, by: room, latch: true}\n";
    struct rules_fixture before;
    struct rules_fixture after;
    fixture_init(&before, text);
    fixture_init(&after, text);
    uint32_t a = fixture_series(&before, "t", "room=A");
    fixture_value(&before, a, 31);
    fixture_pass(&before, 3 * M);
    fixture_command(&before, WR_ALARM_COMMAND_ACK, "hot", NULL);
    uint32_t cursor = 0;
    struct wr_alarm_entry entry;
    unsigned n = 0;
    after.now.boot_ns = 77;
    for (; wr_evaluator_next_snapshot(before.evaluator, &cursor, &entry); n++) {
        memset(&entry.alarm, 0, sizeof entry.alarm); /* the store keeps the snapshot alone */
        assert_int_equal(wr_evaluator_restore(after.evaluator, &entry, &after.now), WR_OK);
    }
    assert_int_equal(n, 2);
    cursor = 0;
    assert_true(wr_evaluator_next_alarm(after.evaluator, false, &cursor, &entry) &&
                wr_evaluator_next_alarm(after.evaluator, false, &cursor, &entry));
    assert_int_equal(entry.alarm.wall_ns, FIXTURE_WALL + 3 * M); /* hot was acknowledged then */
    assert_false(wr_evaluator_next_alarm(after.evaluator, false, &cursor, &entry));
    assert_int_equal(fixture_state(&after, "warm", "room=A"), WR_ALARM_PENDING);
    assert_int_equal(fixture_state(&after, "hot", "room=A"), WR_ALARM_ACKED);
    fixture_pass(&after, 60 * M); /* no sample yet: nothing happens */
    assert_string_equal(fixture_told(&after), "");
    a = fixture_series(&after, "t", "room=A");
    fixture_value(&after, a, 31);
    fixture_pass(&after, 2 * M - 1);
    assert_string_equal(fixture_told(&after), "");
    fixture_pass(&after, 1); /* three minutes before, two after */
    assert_string_equal(fixture_told(&after), "raised unack");
    fixture_value(&after, a, 1);
    assert_int_equal(after.log[1].alarm.transition, 3); /* hot: raised, acknowledged, cleared */
    assert_string_equal(fixture_told(&after), "cleared rtn_unack; cleared latched_ack");
    fixture_fini(&after);
    cursor = 0;
    assert_true(wr_evaluator_next_snapshot(before.evaluator, &cursor, &entry));
    fixture_init(&after, WARM "  - {rule: another, when: t > 8°C, by: room}\n");
    assert_int_equal(wr_evaluator_restore(after.evaluator, &entry, &after.now), WR_NOT_FOUND);
    for (uint16_t len = entry.snap_len; len-- > 0;) {
        entry.snap_len = len;
        assert_int_equal(wr_evaluator_restore(after.evaluator, &entry, &after.now), WR_CORRUPT);
    }
    fixture_fini(&before);
    fixture_fini(&after);
}

static void reload(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f,
                 WARM "  - {rule: same, when: t > 8°C, on_delay: 5m}\n  - {rule: limit, when: t > 7°C}\n  - {rule: other, when: t > 6°C}\n"
                      "  - {rule: gone, when: t > 5°C}\n  - {rule: mean, when: \"avg(t, 10m) > 20°C\"}\n");
    uint32_t t = fixture_series(&f, "t", "");
    fixture_value(&f, t, 9);
    fixture_pass(&f, 3 * M);
    assert_string_equal(fixture_told(&f), "raised unack; raised unack; raised unack");
    fixture_command(&f, WR_ALARM_COMMAND_ACK, "limit", NULL);
    fixture_told(&f);
    struct wr_ruleset *rules =
        fixture_load(WARM "  - {rule: other, when: t < 6°C}\n  - {rule: limit, when: t > 10°C}\n"
                          "  - {rule: same, when: \"( t>8°C )\", on_delay: 5m}\n  - {rule: mean, when: \"avg(t, 10m) > 20°C\"}\n");
    struct wr_evaluator *next;
    assert_int_equal(wr_evaluator_new(rules, f.table, f.symbols, &next, NULL), WR_OK);
    bool more = true;
    while (more) {
        struct wr_alarm_out out = fixture_out(&f);
        out.cap = 1;
        enum wr_result result = wr_evaluator_migrate(next, f.evaluator, &f.now, 1, &out, &more);
        assert_true(result == WR_OK || result == WR_FULL);
        fixture_keep(&f, &out);
    }
    assert_string_equal(f.log[0].alarm.rule, "other");
    assert_true(f.log[0].snap_len > 0);
    assert_string_equal(f.log[1].alarm.rule, "gone");
    assert_int_equal(f.log[1].snap_len, 0);
    assert_string_equal(fixture_told(&f), "rule_changed normal; rule_changed normal");
    wr_evaluator_free(f.evaluator);
    wr_ruleset_free(f.rules);
    f.evaluator = next;
    f.rules = rules;
    assert_true(wr_evaluator_is_valid(next));
    fixture_pass(&f, 90 * S);
    fixture_value(&f, t, 9); /* the limit is 10 now: it clears; the delay goes on */
    assert_string_equal(f.log[0].alarm.rule, "limit");
    assert_string_equal(fixture_told(&f), "cleared normal");
    struct wr_signal_operator *kept = f.evaluator->series[t]->operators[0];
    assert_true(fabs(wr_operator_answer(&kept->spec, kept->state, WR_FUNCTION_COUNT, 0) - 2) < 1e-9);
    fixture_pass(&f, 5 * M);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_fini(&f);
}

/* An instance that nobody speaks for is forgotten after seven days; an alarm that is not normal is not. What speaks again begins anew, and counts on. */
static void forgotten(void **state) {
    (void)state;
    struct rules_fixture f;
    const int64_t day = 24 * 60 * M;
    fixture_init(&f, WARM "  - {rule: warm, when: t > 8°C, by: room}\n  - {rule: cold, when: t < 2°C, by: room}\n");
    uint32_t a = fixture_series(&f, "t", "room=A");
    uint32_t b = fixture_series(&f, "t", "room=B");
    uint32_t c = fixture_series(&f, "t", "room=C");
    fixture_value(&f, a, 9);
    fixture_value(&f, a, 5);
    fixture_command(&f, WR_ALARM_COMMAND_ACK, "warm{room=A}", NULL);
    fixture_value(&f, b, 9);
    fixture_value(&f, c, 5);
    f.n_log = 0;
    fixture_pass(&f, 6 * day);
    fixture_value(&f, c, 5.1); /* quiet, but it speaks */
    fixture_pass(&f, 2 * day);
    struct wr_evaluator_stats stats;
    wr_evaluator_stats(f.evaluator, &stats);
    assert_int_equal(stats.forgotten, 3); /* both of A, cold of B */
    assert_true(wr_evaluator_is_valid(f.evaluator));
    assert_int_equal(wr_evaluator_find(f.evaluator, wr_ruleset_find(f.rules, "warm"), "room=A"), WR_INSTANCE_NONE);
    assert_int_equal(fixture_state(&f, "warm", "room=B"), WR_ALARM_UNACK);
    assert_int_equal(fixture_state(&f, "warm", "room=C"), WR_ALARM_NORMAL);
    assert_int_equal(f.n_log, 1); /* the snapshot of warm{room=A} goes */
    assert_int_equal(f.log[0].alarm.transition, 0);
    assert_int_equal(f.log[0].snap_len, 0);
    f.n_log = 0;
    fixture_value(&f, a, 10);
    assert_int_equal(f.log[0].alarm.transition, 4);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, b, 1);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack; raised unack");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* A crash right after an answered command: the entry alone brings the alarm back, also where it is pending again because its condition is on its way. */
static void acknowledged_while_the_delay_runs(void **state) {
    (void)state;
    static const char text[] = WARM "  - {rule: warm, when: t > 8°C, by: room, on_delay: 5m}\n"
                                    "  - {rule: kept, when: t > 8°C, by: room, on_delay: 5m, latch: true}\n";
    struct rules_fixture f, after;
    fixture_init(&f, text);
    uint32_t t = fixture_series(&f, "t", "room=A");
    fixture_value(&f, t, 9);
    fixture_pass(&f, 5 * M);
    fixture_value(&f, t, 1);
    fixture_value(&f, t, 9);
    fixture_pass(&f, M);
    f.n_log = 0;
    fixture_command(&f, WR_ALARM_COMMAND_ACK, "warm", NULL);
    fixture_command(&f, WR_ALARM_COMMAND_ACK, "kept", NULL);
    fixture_command(&f, WR_ALARM_COMMAND_RESET, "kept", NULL);
    assert_int_equal(fixture_state(&f, "warm", "room=A"), WR_ALARM_PENDING);
    assert_int_equal(fixture_state(&f, "kept", "room=A"), WR_ALARM_PENDING);
    assert_int_equal(f.n_log, 3);
    fixture_init(&after, text);
    for (uint32_t i = 0; i < f.n_log; i++)
        assert_int_equal(wr_evaluator_restore(after.evaluator, &f.log[i], &after.now), WR_OK);
    assert_int_equal(fixture_state(&after, "warm", "room=A"), WR_ALARM_PENDING);
    assert_int_equal(fixture_state(&after, "kept", "room=A"), WR_ALARM_PENDING);
    fixture_value(&after, fixture_series(&after, "t", "room=A"), 9);
    fixture_pass(&after, 4 * M); /* one minute of its delay had passed */
    assert_int_equal(after.log[0].alarm.transition, 4);
    assert_string_equal(fixture_told(&after), "raised unack; raised unack");
    fixture_fini(&f);
    fixture_fini(&after);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example),
        cmocka_unit_test(delay_without_samples),
        cmocka_unit_test(burst_of_old_data),
        cmocka_unit_test(wall_step),
        cmocka_unit_test(unknown),
        cmocka_unit_test(forgotten),
        cmocka_unit_test(no_data_policies),
        cmocka_unit_test(quiet_samples_count),
        cmocka_unit_test(thousand_limits),
        cmocka_unit_test(hysteresis),
        cmocka_unit_test(windows_and_functions),
        cmocka_unit_test(window_runs_empty),
        cmocka_unit_test(texts),
        cmocka_unit_test(instances),
        cmocka_unit_test(restart),
        cmocka_unit_test(reload),
        cmocka_unit_test(acknowledged_while_the_delay_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
