/* The life of nodes: a restart, states of windows saved and recalled, instances forgotten, no memory. */
#include "tests/support/failing.h"
#include "tests/support/rules_fixture.h"

#include "rules/evaluator/evaluator_memory.h"

#define S FIXTURE_SECOND
#define M FIXTURE_MINUTE
#define POINTS "points:\n  - {point: t, unit: °C, range: \"-40..60\", resolution: 0.1, every: 30s}\n"

/* A new process: snapshots come back; with memories the states of windows too. Ten minutes have passed meanwhile. */
static void restart(struct rules_fixture *f, const char *text, bool memories) {
    struct rules_fixture next;
    struct wr_alarm_entry entry;
    struct wr_evaluator_memory memory;
    uint32_t cursor = 0;
    uint64_t at = 0;
    fixture_init(&next, text);
    next.now = f->now;
    next.now.boot_ns = 50 * S;
    next.now.wall_ns += 10 * M;
    struct wr_alarm_out out = fixture_out(f);
    bool more;
    assert_int_equal(wr_evaluator_timers(f->evaluator, &f->now, 1, &out, &more), WR_OK);
    while (wr_evaluator_next_snapshot(f->evaluator, &cursor, &entry))
        assert_int_equal(wr_evaluator_restore(next.evaluator, &entry, &next.now), WR_OK);
    while (memories && wr_evaluator_next_memory(f->evaluator, &at, &memory))
        assert_int_equal(wr_evaluator_recall(next.evaluator, memory.key, memory.body, memory.len), WR_OK);
    fixture_fini(f);
    *f = next;
}

/* Two restarts without a sample between them: what had passed of a step is what it was. */
static void progress_over_two_restarts(void **state) {
    (void)state;
    static const char text[] = "rules:\n"
                               "  - rule: no_flow\n"
                               "    by: pump\n"
                               "    sequence:\n"
                               "      - {step: rises(running)}\n"
                               "      - {step: flow > 5, within: 4m, absent: true}\n";
    struct rules_fixture f;
    fixture_init(&f, text);
    uint32_t running = fixture_series(&f, "running", "pump=1");
    fixture_value(&f, fixture_series(&f, "flow", "pump=1"), 0);
    fixture_value(&f, running, 0);
    fixture_value(&f, running, 1);
    fixture_pass(&f, M);
    fixture_value(&f, running, 1);
    restart(&f, text, false);
    restart(&f, text, false);
    fixture_value(&f, fixture_series(&f, "flow", "pump=1"), 0);
    fixture_value(&f, fixture_series(&f, "running", "pump=1"), 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 3 * M - 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, S);
    assert_string_equal(fixture_told(&f), "raised unack"); /* one minute before, three after */
    fixture_fini(&f);
}

/* What has passed of a level's delay, of a held condition and of a sequence goes on; downtime does not count. */
static void progress(void **state) {
    (void)state;
    static const char text[] = POINTS "rules:\n"
                                      "  - {rule: open, when: \"held(door, 2m)\", by: room}\n"
                                      "  - rule: warm\n"
                                      "    value: t\n"
                                      "    by: room\n"
                                      "    levels:\n"
                                      "      - {name: H, when: value > 8°C, on_delay: 3m}\n"
                                      "  - rule: no_flow\n"
                                      "    by: room\n"
                                      "    sequence:\n"
                                      "      - {step: rises(pump)}\n"
                                      "      - {step: flow > 5, within: 4m, absent: true}\n";
    struct rules_fixture f;
    fixture_init(&f, text);
    const char *const names[] = {"door", "t", "pump", "flow"};
    uint32_t ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = fixture_series(&f, names[i], "room=A");
    fixture_value(&f, ids[2], 0);
    fixture_value(&f, ids[3], 0);
    fixture_value(&f, ids[0], 1);
    fixture_value(&f, ids[1], 9);
    fixture_value(&f, ids[2], 1);
    fixture_pass(&f, M);
    fixture_value(&f, ids[2], 1);
    assert_string_equal(fixture_told(&f), "");
    restart(&f, text, false);
    for (int i = 0; i < 4; i++) {
        ids[i] = fixture_series(&f, names[i], "room=A");
        fixture_value(&f, ids[i], (const double[]){1, 9, 1, 0}[i]);
    }
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, M - 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 1);
    assert_string_equal(f.log[0].alarm.rule, "open"); /* one minute before, one after */
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_pass(&f, M);
    assert_string_equal(f.log[0].alarm.rule, "warm");
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_pass(&f, M);
    assert_string_equal(f.log[0].alarm.rule, "no_flow");
    assert_string_equal(fixture_told(&f), "raised unack");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* A window of half an hour goes on with what it had; what has left it meanwhile has left it. */
static void windows(void **state) {
    (void)state;
    static const char text[] = POINTS "rules:\n  - {rule: few, when: \"count(t, 30m) < 20\", by: room}\n"
                                      "  - {rule: mean, when: \"avg(abs(t - 1°C), 30m) > 6K\", by: room}\n";
    for (int memories = 0; memories < 2; memories++) {
        struct rules_fixture f;
        fixture_init(&f, text);
        uint32_t t = fixture_series(&f, "t", "room=A");
        fixture_run(&f, t, 9, 50, 30 * S); /* 25 minutes */
        assert_int_equal(fixture_state(&f, "few", "room=A"), WR_ALARM_RTN_UNACK);
        fixture_told(&f);
        restart(&f, text, memories == 1);
        t = fixture_series(&f, "t", "room=A");
        fixture_value(&f, t, 2);
        /* with the old samples there are forty, and their mean is high */
        assert_int_equal(fixture_state(&f, "few", "room=A"), memories ? WR_ALARM_RTN_UNACK : WR_ALARM_UNACK);
        assert_int_equal(fixture_state(&f, "mean", "room=A"), memories ? WR_ALARM_UNACK : WR_ALARM_RTN_UNACK);
        fixture_pass(&f, 31 * M);
        assert_int_equal(fixture_state(&f, "few", "room=A"), WR_ALARM_UNACK);
        fixture_fini(&f);
    }
}

/* Two clean stops before the series has spoken again: its window still waits. */
static void windows_over_two_restarts(void **state) {
    (void)state;
    static const char text[] = POINTS "rules:\n  - {rule: few, when: \"count(t, 2h) < 20\", by: room}\n";
    struct rules_fixture f;
    fixture_init(&f, text);
    fixture_run(&f, fixture_series(&f, "t", "room=A"), 9, 50, 30 * S);
    fixture_run(&f, fixture_series(&f, "t", "room=B"), 9, 50, 30 * S);
    restart(&f, text, true);
    fixture_value(&f, fixture_series(&f, "t", "room=B"), 9); /* one that has come is saved from its signal, once */
    restart(&f, text, true);
    fixture_value(&f, fixture_series(&f, "t", "room=A"), 9);
    fixture_value(&f, fixture_series(&f, "t", "room=B"), 9);
    assert_int_equal(fixture_state(&f, "few", "room=A"), WR_ALARM_RTN_UNACK);
    assert_int_equal(fixture_state(&f, "few", "room=B"), WR_ALARM_RTN_UNACK);
    fixture_fini(&f);
}

/* Entries with an id and nothing to restore: the store drops what it has. */
static uint32_t gone(const struct rules_fixture *f) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n_log; i++)
        n += f->log[i].snap_len == 0 && f->log[i].alarm.id != 0;
    return n;
}

/* Of the whole walk, as the journal makes it. */
static void journal(struct rules_fixture *f, uint32_t *ret_going, uint32_t *ret_gone) {
    struct wr_alarm_entry entry;
    *ret_going = *ret_gone = 0;
    for (uint32_t cursor = 0; wr_evaluator_next_snapshot(f->evaluator, &cursor, &entry);)
        ++*(entry.snap_len > 0 ? ret_going : ret_gone);
}

/* What the store has of a node goes when the node is at rest, forgotten or without an heir; who only looks at the alarms does not hinder that. */
static void what_is_stored_of_a_node_goes_with_it(void **state) {
    (void)state;
    static const char text[] = "rules:\n  - {rule: open, when: \"held(door, 2m)\", by: room, forget: 1h}\n";
    struct rules_fixture f;
    struct wr_alarm_entry entry;
    uint32_t going, ended, cursor = 0;
    fixture_init(&f, text);
    uint32_t door = fixture_series(&f, "door", "room=A");
    fixture_value(&f, door, 1);
    journal(&f, &going, &ended);
    assert_int_equal(going, 1);
    fixture_value(&f, door, 0);
    while (wr_evaluator_next_alarm(f.evaluator, true, &cursor, &entry))
        assert_int_equal(entry.snap_len, 0);
    journal(&f, &going, &ended);
    assert_int_equal(going, 0);
    assert_int_equal(ended, 1);
    fixture_value(&f, door, 1);
    journal(&f, &going, &ended);
    assert_int_equal(going, 1);
    f.n_log = 0;
    struct wr_ruleset *rules = fixture_load("rules:\n  - {rule: other, when: x > 1}\n");
    struct wr_evaluator *next;
    assert_int_equal(wr_evaluator_new(rules, f.table, f.symbols, &next, NULL), WR_OK);
    for (bool more = true; more;) {
        struct wr_alarm_out out = fixture_out(&f);
        assert_int_equal(wr_evaluator_migrate(next, f.evaluator, &f.now, 100, &out, &more), WR_OK);
        fixture_keep(&f, &out);
    }
    assert_int_equal(gone(&f), 1); /* the node; the alarm never was one */
    wr_evaluator_free(next);
    wr_ruleset_free(rules);
    fixture_fini(&f);
}

/* What is computed from two series is unknown until both have spoken again: that is no reason to forget its window. Downtime is neither true nor false. */
static void derived_windows(void **state) {
    (void)state;
    static const char text[] = POINTS "  - {point: u, unit: °C, range: \"-40..60\", every: 30s}\n"
                                      "rules:\n  - {rule: few, when: \"count(t - u, 1h) < 20\", by: room}\n"
                                      "  - {rule: busy, when: \"duty(t > 8°C, 30m) > 60%\", by: room}\n";
    struct rules_fixture f;
    fixture_init(&f, text);
    uint32_t t = fixture_series(&f, "t", "room=A");
    uint32_t u = fixture_series(&f, "u", "room=A");
    for (int i = 0; i < 40; i++) { /* twenty minutes, ten of them warm */
        fixture_value(&f, u, 1);
        fixture_value(&f, t, i < 20 ? 2 : 9);
        fixture_pass(&f, 30 * S);
    }
    assert_int_equal(fixture_state(&f, "few", "room=A"), WR_ALARM_RTN_UNACK);
    assert_int_equal(fixture_state(&f, "busy", "room=A"), WR_ALARM_NORMAL); /* a half */
    restart(&f, text, true);
    t = fixture_series(&f, "t", "room=A");
    u = fixture_series(&f, "u", "room=A");
    fixture_value(&f, t, 9);
    fixture_value(&f, u, 1);
    fixture_value(&f, t, 9);
    assert_int_equal(fixture_state(&f, "few", "room=A"), WR_ALARM_RTN_UNACK);
    assert_int_equal(fixture_state(&f, "busy", "room=A"), WR_ALARM_NORMAL); /* the ten minutes in between do not count as warm */
    fixture_fini(&f);
}

/* A histogram of another range is not taken for this one. */
static void other_range(void **state) {
    (void)state;
    static const char before[] = "points:\n  - {point: c, range: \"0..50\", resolution: 0.5, every: 1s}\n"
                                 "rules:\n  - {rule: odd, when: \"median(c, 1h, step=1m) > 15\"}\n";
    static const char after[] = "points:\n  - {point: c, range: \"10..60\", resolution: 0.5, every: 1s}\n"
                                "rules:\n  - {rule: odd, when: \"median(c, 1h, step=1m) > 15\"}\n";
    struct rules_fixture f;
    fixture_init(&f, before);
    fixture_run(&f, fixture_series(&f, "c", ""), 11, 600, S);
    assert_int_equal(fixture_state(&f, "odd", ""), WR_ALARM_NORMAL);
    restart(&f, after, true);
    fixture_run(&f, fixture_series(&f, "c", ""), 11, 120, S);
    assert_int_equal(fixture_state(&f, "odd", ""), WR_ALARM_NORMAL);
    fixture_fini(&f);
}

/* Saved bytes that are cut, changed, or of another version are left out. */
static void damaged(void **state) {
    (void)state;
    static const char text[] = POINTS "rules:\n  - {rule: few, when: \"count(t, 30m) < 20\", by: room}\n";
    struct rules_fixture f;
    fixture_init(&f, text);
    uint32_t t = fixture_series(&f, "t", "room=A");
    fixture_run(&f, t, 9, 50, 30 * S);
    uint64_t at = 0;
    struct wr_evaluator_memory memory;
    assert_true(wr_evaluator_next_memory(f.evaluator, &at, &memory));
    const size_t head = sizeof(struct wr_memory_head);
    for (int i = 0; i < 3; i++) {
        struct rules_fixture next;
        uint8_t body[65536];
        assert_true(memory.len <= sizeof body);
        memcpy(body, memory.body, memory.len);
        if (i == 1)
            body[0] ^= 0x40;
        if (i == 2)
            memset(body + head, 0xFF, memory.len - head);
        fixture_init(&next, text);
        enum wr_result result = wr_evaluator_recall(next.evaluator, memory.key, body, i == 0 ? memory.len - 8 : memory.len);
        assert_int_equal(result, WR_OK);
        fixture_value(&next, fixture_series(&next, "t", "room=A"), 9);
        assert_int_equal(fixture_state(&next, "few", "room=A"), WR_ALARM_UNACK); /* one sample */
        fixture_fini(&next);
    }
    assert_int_equal(wr_evaluator_recall(f.evaluator, 1, (const uint8_t *)"x", 1), WR_CORRUPT);
    fixture_fini(&f);
}

/* A delay that was over before a sample came, which only recordings and late data meet: what it looks at once more is no sample. */
static void over_is_no_sample(void **state) {
    (void)state;
    static const int64_t at_s[] = {0, 1, 2, 20};
    static const double values[] = {1, -1, 1, -1}; /* p > 0: one of the last three in the end */
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: few, when: \"hits(p > 0, 2, 3)\", on_delay: 5s}\n");
    const uint32_t p = fixture_series(&f, "p", "");
    for (size_t i = 0; i < 4; i++) {
        const struct wr_reading reading = {.series = p, .type = WR_TYPE_FLOAT, .value = {.f = values[i]}, .decimals = WR_DECIMALS_UNKNOWN};
        fixture_feed(&f, reading, FIXTURE_WALL - (FIXTURE_MINUTE * 60) + at_s[i] * FIXTURE_SECOND);
    }
    assert_string_equal(fixture_told(&f), "raised unack; cleared rtn_unack");
    fixture_fini(&f);
}

/* So many states still wait. */
static unsigned waiting(const struct rules_fixture *f) {
    struct wr_evaluator_memory memory;
    unsigned n = 0;
    for (uint64_t at = 0; wr_evaluator_next_memory(f->evaluator, &at, &memory);)
        n++;
    return n;
}

/* All buckets are looked at once, as in an hour of calls. */
static unsigned drop(struct rules_fixture *f, int64_t after_ns) {
    unsigned n = 0;
    for (int i = 0; i < WR_RECALLED_BUCKETS; i++)
        n += wr_evaluator_drop_recalled(f->evaluator, f->now.boot_ns + after_ns);
    return n;
}

/* States whose signal does not come wait for a day, or as long as their window is; and for so many starts. */
static void nobody_comes(void **state) {
    (void)state;
    static const char text[] = POINTS "rules:\n  - {rule: hour, when: \"count(t, 1h, step=1m) < 20\", by: room}\n"
                                      "  - {rule: week, when: \"count(t, 7d, step=1h) < 20\", by: room}\n";
    struct rules_fixture f;
    fixture_init(&f, text);
    fixture_run(&f, fixture_series(&f, "t", "room=A"), 9, 50, 30 * S);
    restart(&f, text, true);
    assert_int_equal(waiting(&f), 2);
    assert_int_equal(drop(&f, 0), 0);
    assert_int_equal(drop(&f, 24 * 60 * M - 1), 0);
    assert_int_equal(drop(&f, 24 * 60 * M), 1);
    assert_int_equal(drop(&f, 7 * 24 * 60 * M - 1), 0);
    assert_int_equal(waiting(&f), 1);
    assert_int_equal(drop(&f, 7 * 24 * 60 * M), 1);
    assert_int_equal(waiting(&f), 0);
    assert_int_equal(f.evaluator->recalled_bytes, 0);
    fixture_fini(&f);
    fixture_init(&f, text);
    fixture_run(&f, fixture_series(&f, "t", "room=A"), 9, 50, 30 * S);
    for (int i = 0; i < 16; i++)
        restart(&f, text, true);
    uint64_t at = 0;
    struct wr_evaluator_memory memory;
    assert_true(wr_evaluator_next_memory(f.evaluator, &at, &memory));
    struct rules_fixture next;
    fixture_init(&next, text);
    assert_int_equal(wr_evaluator_recall(next.evaluator, memory.key, memory.body, memory.len), WR_LIMIT);
    fixture_fini(&next);
    fixture_value(&f, fixture_series(&f, "t", "room=A"), 9); /* it comes at last: claimed, and the count begins anew */
    at = 0;
    assert_true(wr_evaluator_next_memory(f.evaluator, &at, &memory));
    assert_int_equal(((const struct wr_memory_head *)(const void *)memory.body)->waits, 0);
    assert_int_equal(waiting(&f), 2);
    fixture_fini(&f);
}

/* Nodes are forgotten after what reads them; what speaks again meets its rules anew. */
static void forgotten(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "rules:\n  - {rule: mean, when: \"avg(t, 5m) > 8°C\", by: room, forget: 1h}\n"
                            "  - {rule: any, when: max_of(t) > 20°C, forget: 1h}\n");
    uint32_t a = fixture_series(&f, "t", "room=A");
    uint32_t b = fixture_series(&f, "t", "room=B");
    fixture_value(&f, a, 5);
    fixture_value(&f, b, 5);
    struct wr_evaluator_stats stats;
    wr_evaluator_stats(f.evaluator, &stats);
    for (int i = 0; i < 9 * 30; i++) { /* B speaks every fifty minutes */
        fixture_pass(&f, 49 * M);
        fixture_value(&f, b, 5);
        fixture_pass(&f, M);
    }
    wr_evaluator_stats(f.evaluator, &stats);
    assert_int_equal(stats.forgotten, 2); /* mean{room=A}, and its window */
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_value(&f, a, 30);
    assert_int_equal(fixture_state(&f, "mean", "room=A"), WR_ALARM_UNACK);
    assert_int_equal(fixture_state(&f, "any", ""), WR_ALARM_UNACK);
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* The alarm is forgotten, its window is not yet: when the series speaks again the alarm is there again. */
static void forgotten_alone(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, POINTS "derive:\n  - {point: all, of: max_of(t)}\n"
                            "rules:\n  - {rule: mean, when: \"avg(t, 5m) > 8°C\", by: room, forget: 1h}\n"
                            "  - {rule: above, when: \"avg(t, 5m) > all - 1K\", by: room, forget: 1h}\n");
    uint32_t t = fixture_series(&f, "t", "room=A");
    fixture_value(&f, t, 5);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_command(&f, WR_ALARM_COMMAND_ACK, "above{room=A}", NULL);
    fixture_pass(&f, 30 * M);
    struct wr_evaluator_stats stats;
    for (int i = 0; i < 2; i++) {
        fixture_value(&f, t, 5);
        fixture_pass(&f, 2 * 60 * M);
        wr_evaluator_stats(f.evaluator, &stats);
        assert_int_equal(stats.instances, i == 0); /* above is acked, and stays; later it is normal */
        assert_int_equal(wr_evaluator_find(f.evaluator, wr_ruleset_find(f.rules, "mean"), "room=A"), WR_INSTANCE_NONE);
        assert_true(wr_evaluator_is_valid(f.evaluator));
        f.n_log = 0;
        fixture_value(&f, t, 30);
        assert_int_equal(fixture_state(&f, "mean", "room=A"), WR_ALARM_UNACK);
        assert_true(fixture_state(&f, "above", "room=A") != WR_ALARM_NORMAL); /* it reads a point of all rooms too */
        fixture_pass(&f, M);
        fixture_value(&f, t, -30);
        fixture_command(&f, WR_ALARM_COMMAND_ACK, "mean{room=A}", NULL);
        assert_int_equal(fixture_state(&f, "mean", "room=A"), WR_ALARM_NORMAL);
        assert_true(wr_evaluator_is_valid(f.evaluator));
    }
    fixture_fini(&f);
}

/* Each allocation fails in turn: what cannot be made is counted, everything else goes on. */
static void no_memory(void **state) {
    (void)state;
    static const char text[] = POINTS "  - {point: u, unit: °C}\nderive:\n  - {point: d, of: \"t - u\", by: room}\n"
                                      "rules:\n"
                                      "  - {rule: mean, when: \"avg(t, 5m) > 8°C and held(d > 1K, 10s)\", by: room}\n"
                                      "  - {rule: set, when: \"count_of(t > 8°C) >= 2\"}\n"
                                      "  - {rule: spread, when: spread_of(u) > 4K, by: room}\n"
                                      "  - rule: order\n"
                                      "    by: room\n"
                                      "    sequence:\n"
                                      "      - {step: t > 9°C}\n"
                                      "      - {step: u > 9°C, within: 1m}\n";
    long n = 0;
    for (;; n++) {
        struct rules_fixture f;
        fixture_init(&f, text);
        uint32_t ids[6];
        for (int i = 0; i < 6; i++)
            ids[i] = fixture_series(&f, i % 2 ? "u" : "t", (const char *[]){"room=A", "room=B", "room=C"}[i / 2]);
        wr_failing_allocations(n);
        f.attached = wr_evaluator_attach(f.evaluator, 6, &f.now);
        bool hit = wr_failing_hit();
        wr_failing_off();
        if (f.attached < 6)
            f.attached = wr_evaluator_attach(f.evaluator, 6, &f.now);
        assert_int_equal(f.attached, 6);
        for (int k = 0; k < 8; k++) {
            for (int i = 0; i < 6; i++)
                fixture_value(&f, ids[i], (k * 3 + i) % 12);
            fixture_pass(&f, 10 * S);
        }
        struct wr_evaluator_stats stats;
        wr_evaluator_stats(f.evaluator, &stats);
        assert_true(!hit || stats.no_memory > 0);
        assert_true(wr_evaluator_is_valid(f.evaluator));
        fixture_fini(&f);
        if (!hit)
            break;
    }
    assert_true(n > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_is_no_sample),
        cmocka_unit_test(progress_over_two_restarts),
        cmocka_unit_test(progress),
        cmocka_unit_test(windows),
        cmocka_unit_test(windows_over_two_restarts),
        cmocka_unit_test(what_is_stored_of_a_node_goes_with_it),
        cmocka_unit_test(damaged),
        cmocka_unit_test(nobody_comes),
        cmocka_unit_test(derived_windows),
        cmocka_unit_test(other_range),
        cmocka_unit_test(forgotten),
        cmocka_unit_test(forgotten_alone),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
