/* The shadow against what is obvious: its table against a model that counts by hand; and beside rules in force, which must not notice it, while the same rules in the shadow never
 * differ from them. WEIR_SEED repeats a run. */
#include "rules/shadow/shadow.h"
#include "tests/support/random.h"
#include "tests/support/rules_fixture.h"

#define STEPS 20000
#define ALARMS 40
#define RULES 4

static struct wr_random dice;

static uint64_t below(uint64_t end) {
    return wr_random_below(&dice, end);
}

/* -- the table ------------------------------------------------------------------------------------------------------------------------------ */

static const char both[] = "rules:\n"
                           "  - {rule: a, when: x > 8}\n"
                           "  - {rule: b, when: x > 8}\n"
                           "  - {rule: c, when: x > 8}\n";
static const char other[] = "rules:\n"
                            "  - {rule: c, when: x > 8}\n"
                            "  - {rule: d, when: x > 8}\n";

struct counted {
    enum wr_alarm_state state;
    uint32_t raised;
};

static bool is_active(enum wr_alarm_state state) {
    return state == WR_ALARM_UNACK || state == WR_ALARM_ACKED;
}

/* Alarm i is of rule i % RULES. */
static struct wr_alarm alarm_of(uint32_t i, enum wr_alarm_state from, enum wr_alarm_state to) {
    struct wr_alarm alarm = {.from = (uint8_t)from, .to = (uint8_t)to, .transition = 1};
    snprintf(alarm.rule, sizeof alarm.rule, "%c", (char)('a' + i % RULES));
    snprintf(alarm.instance, sizeof alarm.instance, "room=%u", i);
    alarm.id = wr_alarm_id(alarm.rule, alarm.instance);
    return alarm;
}

static void table_as_counted(void **state) {
    (void)state;
    static struct counted counted[WR_SHADOW_SIDES][ALARMS];
    struct wr_ruleset *in_force = fixture_load(both), *beside = fixture_load(other);
    struct wr_shadow_table *table;
    assert_int_equal(wr_shadow_table_new(beside, in_force, &table), WR_OK);
    assert_int_equal(table->n_rules, RULES);
    for (int step = 0; step < STEPS; step++) {
        const uint32_t i = (uint32_t)below(ALARMS), side = (uint32_t)below(WR_SHADOW_SIDES);
        struct counted *one = &counted[side][i];
        const enum wr_alarm_state to = (enum wr_alarm_state)below(WR_ALARM_STATES);
        const struct wr_alarm alarm = alarm_of(i, one->state, to);
        if (side == WR_SHADOW_IN_FORCE && is_active(to) && below(4) == 0)
            wr_shadow_table_find(table, &alarm); /* found as it is, or seen as it comes */
        else
            wr_shadow_table_take(table, (enum wr_shadow_side)side, &alarm);
        one->raised += is_active(to) && !is_active(one->state);
        one->state = to;
        uint32_t differ = 0, active[WR_SHADOW_SIDES] = {0}, of_rule[RULES] = {0};
        uint64_t raised[WR_SHADOW_SIDES] = {0};
        for (uint32_t k = 0; k < ALARMS; k++) {
            const struct counted *a = &counted[0][k], *b = &counted[1][k];
            const bool differs = a->raised != b->raised || is_active(a->state) != is_active(b->state);
            differ += differs;
            of_rule[k % RULES] += differs;
            for (int s = 0; s < WR_SHADOW_SIDES; s++) {
                active[s] += is_active(counted[s][k].state);
                raised[s] += counted[s][k].raised;
            }
        }
        assert_int_equal(table->differ, differ);
        for (int s = 0; s < WR_SHADOW_SIDES; s++) {
            assert_int_equal(table->sums[s].active, active[s]);
            assert_int_equal(table->sums[s].raised, raised[s]);
            assert_int_equal(table->sums[s].raised - table->sums[s].cleared, active[s]);
        }
        for (uint32_t k = 0; k < RULES; k++)
            assert_int_equal(table->rules[k].differ, of_rule[(unsigned)(table->rules[k].name[0] - 'a')]);
    }
    const struct wr_alarm group = {.rule = "group:g", .to = WR_ALARM_UNACK};
    wr_shadow_table_take(table, WR_SHADOW_IN_FORCE, &group); /* of no rule: no matter */
    assert_int_equal(table->n_alarms, ALARMS);
    wr_shadow_table_free(table);
    wr_ruleset_free(in_force);
    wr_ruleset_free(beside);
}

/* Beyond its alarms the sums go on, and what is not compared is counted. */
static void table_is_full(void **state) {
    (void)state;
    struct wr_ruleset *rules = fixture_load(both);
    struct wr_shadow_table *table;
    assert_int_equal(wr_shadow_table_new(rules, rules, &table), WR_OK);
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < RULES * (WR_SHADOW_ALARMS + 100); i += RULES) {
            const struct wr_alarm alarm =
                round == 0 ? alarm_of(i, WR_ALARM_NORMAL, WR_ALARM_UNACK) : alarm_of(i, WR_ALARM_UNACK, WR_ALARM_NORMAL);
            wr_shadow_table_take(table, WR_SHADOW_BESIDE, &alarm);
        }
    assert_int_equal(table->differ, WR_SHADOW_ALARMS);
    assert_int_equal(table->not_compared, 200);
    assert_true(table->sums[WR_SHADOW_BESIDE].raised == WR_SHADOW_ALARMS + 100 && table->sums[WR_SHADOW_BESIDE].active == 0);
    wr_shadow_table_free(table);
    wr_ruleset_free(rules);
}

/* -- beside rules in force ------------------------------------------------------------------------------------------------------------------ */

static const char rules[] = "points:\n"
                            "  - {point: y, range: 0..10}\n"
                            "rules:\n"
                            "  - {rule: r0, when: x > 8, by: room, on_delay: 5s, off_delay: 3s, deadband: 1}\n"
                            "  - {rule: r1, when: x > 8, by: room, latch: true, no_data: raise, no_data_after: 20s}\n"
                            "  - {rule: r2, when: x outside 2..8, by: room, off_delay: 4s, auto_ack: true}\n"
                            "  - {rule: r3, when: \"avg(x, 10s) > 6\", by: room, on_delay: 2s}\n"
                            "  - {rule: r4, when: y > 5, on_delay: 4s}\n"
                            "  - {rule: r5, when: delta(x) > 1 or age(x) >= 12s, by: room}\n";
static const char stricter[] = "rules:\n"
                               "  - {rule: r0, when: x > 4, by: room, on_delay: 5s}\n"
                               "  - {rule: extra, when: x < 3, by: room}\n";

/* Feeds both; in the second one's rules no shadow runs. */
static void same_sample(struct rules_fixture *fixture, struct rules_fixture *alone, struct wr_shadow *shadow, uint32_t series,
                        double value) {
    const struct wr_reading reading = {.event_ns = fixture->now.wall_ns,
                                       .series = series,
                                       .type = WR_TYPE_FLOAT,
                                       .value = {.f = value},
                                       .decimals = WR_DECIMALS_UNKNOWN,
                                       .quality = isfinite(value) ? WR_QUALITY_GOOD : WR_QUALITY_BAD};
    const struct wr_reading before = reading;
    fixture_feed(fixture, reading, reading.event_ns);
    fixture_feed(alone, reading, reading.event_ns);
    wr_shadow_take(shadow, &reading, fixture->now.boot_ns, &fixture->now);
    while (wr_shadow_next_timer(shadow) <= fixture->now.boot_ns) /* what waited for room */
        (void)wr_shadow_timers(shadow, &fixture->now, 16);
    assert_memory_equal(&reading, &before, sizeof reading);
}

static void run_timers(struct rules_fixture *fixture, struct rules_fixture *alone, struct wr_shadow *shadow) {
    fixture_timers(fixture);
    fixture_timers(alone);
    while (wr_shadow_next_timer(shadow) <= fixture->now.boot_ns)
        (void)wr_shadow_timers(shadow, &fixture->now, 16); /* as many as there: of those that are due at once the order may decide */
}

/* What the rules in force said, which must be what they say alone. */
static void compare_logs(struct rules_fixture *fixture, struct rules_fixture *alone, struct wr_shadow *shadow) {
    assert_int_equal(fixture->n_log, alone->n_log);
    for (uint32_t i = 0; i < fixture->n_log; i++) {
        const struct wr_alarm *a = &fixture->log[i].alarm, *b = &alone->log[i].alarm;
        assert_true(strcmp(a->rule, b->rule) == 0 && strcmp(a->instance, b->instance) == 0 && strcmp(a->message, b->message) == 0);
        assert_true(a->transition == b->transition && a->from == b->from && a->to == b->to && a->cause == b->cause &&
                    a->silent == b->silent);
        assert_int_equal(fixture->log[i].snap_len, alone->log[i].snap_len);
        assert_memory_equal(fixture->log[i].snap, alone->log[i].snap, fixture->log[i].snap_len);
        wr_shadow_saw(shadow, a);
    }
    fixture->n_log = alone->n_log = 0;
}

static void beside(const char *text, bool same) {
    struct rules_fixture fixture, alone;
    struct wr_ruleset *in_shadow = fixture_load(text);
    struct wr_shadow *shadow;
    struct wr_shadow_figures figures;
    uint32_t series[4], differed = 0;
    fixture_init(&fixture, rules);
    fixture_init(&alone, rules);
    assert_int_equal(wr_shadow_new(in_shadow, fixture.rules, fixture.table, fixture.symbols, &fixture.now, &shadow, NULL), WR_OK);
    for (uint32_t i = 0; i < 4; i++) {
        char room[16];
        snprintf(room, sizeof room, "room=%u", i);
        series[i] = i < 3 ? fixture_series(&fixture, "x", room) : fixture_series(&fixture, "y", "");
        assert_int_equal(series[i], i < 3 ? fixture_series(&alone, "x", room) : fixture_series(&alone, "y", ""));
    }
    /* All from the same moment on: a series that never came is as old as its rules. */
    fixture.attached = wr_evaluator_attach(fixture.evaluator, 4, &fixture.now);
    alone.attached = wr_evaluator_attach(alone.evaluator, 4, &alone.now);
    while (wr_shadow_prepare(shadow, fixture.evaluator, &fixture.now)) {
    }
    for (int step = 0; step < STEPS / 4; step++) {
        const double value = below(50) == 0 ? (double)NAN : (double)below(13);
        if (below(2) == 0)
            same_sample(&fixture, &alone, shadow, series[below(4)], value);
        fixture.now.boot_ns += FIXTURE_SECOND;
        fixture.now.wall_ns += FIXTURE_SECOND;
        alone.now = fixture.now;
        run_timers(&fixture, &alone, shadow);
        compare_logs(&fixture, &alone, shadow);
        wr_shadow_figures(shadow, &figures);
        if (same && figures.differ > 0) {
            struct wr_buf told;
            wr_buf_init(&told, 0);
            assert_int_equal(wr_shadow_text(shadow, 10, &told), WR_OK);
            fail_msg("step %d: %s", step, wr_buf_str(&told));
        }
        differed += figures.differ > 0;
    }
    assert_true(figures.sums[WR_SHADOW_IN_FORCE].raised > 100 && figures.skipped == 0 && figures.refused == 0 && !figures.preparing);
    assert_true(same || (differed > 100 && figures.sums[WR_SHADOW_BESIDE].raised > 100));
    wr_shadow_free(shadow);
    wr_ruleset_free(in_shadow);
    fixture_fini(&fixture);
    fixture_fini(&alone);
}

static void the_same_rules_never_differ(void **state) {
    (void)state;
    beside(rules, true);
}

static void others_do_and_nobody_notices(void **state) {
    (void)state;
    beside(stricter, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_as_counted),
        cmocka_unit_test(table_is_full),
        cmocka_unit_test(the_same_rules_never_differ),
        cmocka_unit_test(others_do_and_nobody_notices),
    };
    dice = wr_random_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
