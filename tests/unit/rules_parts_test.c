/* The parts of the evaluator by themselves: the state table cell by cell, timers against naive ones, memory that runs out. */
#include <math.h>

#include "tests/support/failing.h"
#include "tests/support/random.h"
#include "tests/support/rules_fixture.h"

/* docs/alarms.md, written down a second time: state, event, next state without and with latch; "-" where nothing happens. */
static const struct {
    enum wr_alarm_state from;
    enum wr_alarm_event event;
    int plain;
    int latched;
    enum wr_alarm_cause cause;
} cells[] = {
    {WR_ALARM_NORMAL, WR_ALARM_EVENT_START, WR_ALARM_PENDING, WR_ALARM_PENDING, 0},
    {WR_ALARM_NORMAL, WR_ALARM_EVENT_TRUE, WR_ALARM_UNACK, WR_ALARM_UNACK, WR_ALARM_RAISED},
    {WR_ALARM_PENDING, WR_ALARM_EVENT_TRUE, WR_ALARM_UNACK, WR_ALARM_UNACK, WR_ALARM_RAISED},
    {WR_ALARM_PENDING, WR_ALARM_EVENT_FALSE, WR_ALARM_NORMAL, WR_ALARM_NORMAL, 0},
    {WR_ALARM_UNACK, WR_ALARM_EVENT_FALSE, WR_ALARM_RTN_UNACK, WR_ALARM_LATCHED_UNACK, WR_ALARM_CLEARED},
    {WR_ALARM_UNACK, WR_ALARM_EVENT_ACK, WR_ALARM_ACKED, WR_ALARM_ACKED, WR_ALARM_ACKNOWLEDGED},
    {WR_ALARM_ACKED, WR_ALARM_EVENT_FALSE, WR_ALARM_NORMAL, WR_ALARM_LATCHED_ACK, WR_ALARM_CLEARED},
    {WR_ALARM_ACKED, WR_ALARM_EVENT_ESCALATE, WR_ALARM_UNACK, WR_ALARM_UNACK, WR_ALARM_ESCALATED},
    {WR_ALARM_RTN_UNACK, WR_ALARM_EVENT_TRUE, WR_ALARM_UNACK, WR_ALARM_UNACK, WR_ALARM_RAISED},
    {WR_ALARM_RTN_UNACK, WR_ALARM_EVENT_ACK, WR_ALARM_NORMAL, WR_ALARM_NORMAL, WR_ALARM_ACKNOWLEDGED},
    {WR_ALARM_LATCHED_UNACK, WR_ALARM_EVENT_TRUE, WR_ALARM_UNACK, WR_ALARM_UNACK, WR_ALARM_RAISED},
    {WR_ALARM_LATCHED_UNACK, WR_ALARM_EVENT_ACK, WR_ALARM_LATCHED_ACK, WR_ALARM_LATCHED_ACK, WR_ALARM_ACKNOWLEDGED},
    {WR_ALARM_LATCHED_ACK, WR_ALARM_EVENT_TRUE, WR_ALARM_UNACK, WR_ALARM_UNACK, WR_ALARM_RAISED},
    {WR_ALARM_LATCHED_ACK, WR_ALARM_EVENT_RESET, WR_ALARM_NORMAL, WR_ALARM_NORMAL, WR_ALARM_RESET},
};

static void state_table(void **state) {
    (void)state;
    for (int from = 0; from < WR_ALARM_STATES; from++)
        for (int event = 0; event < WR_ALARM_EVENTS; event++)
            for (int latch = 0; latch < 2; latch++) {
                size_t i = 0;
                size_t n = sizeof cells / sizeof cells[0];
                while (i < n && !((int)cells[i].from == from && (int)cells[i].event == event))
                    i++;
                struct wr_alarm_step step;
                bool happens = wr_alarm_state_step((enum wr_alarm_state)from, (enum wr_alarm_event)event, latch, false, &step);
                assert_int_equal(happens, i < n);
                if (!happens)
                    continue;
                assert_int_equal(step.to, latch ? cells[i].latched : cells[i].plain);
                assert_int_equal(step.cause, cells[i].cause);
                assert_true(wr_alarm_state_is_valid(step.to, step.to == WR_ALARM_UNACK || step.to == WR_ALARM_ACKED));
            }
    struct wr_alarm_step step;
    assert_true(wr_alarm_state_step(WR_ALARM_NORMAL, WR_ALARM_EVENT_TRUE, false, true, &step));
    assert_int_equal(step.to, WR_ALARM_ACKED);
    assert_int_equal(step.cause, WR_ALARM_RAISED);
    assert_false(wr_alarm_state_is_valid(WR_ALARM_NORMAL, true));
    assert_false(wr_alarm_state_is_valid(WR_ALARM_STATES, false));
}

static void timers(void **state) {
    (void)state;
    struct wr_random dice = wr_random_begin();
    int64_t due[64];
    struct wr_timer_heap heap;
    wr_timer_init(&heap);
    assert_int_equal(wr_timer_reserve(&heap, 64), WR_OK);
    for (int i = 0; i < 64; i++)
        due[i] = WR_NEVER_NS;
    for (int64_t now = 0; now < 20000; now++) {
        uint32_t id = (uint32_t)(wr_random_below(&dice, 64));
        int64_t at = now + (int64_t)(wr_random_below(&dice, 200));
        if (wr_random_below(&dice, 8) == 0) {
            wr_timer_disarm(&heap, id);
            due[id] = WR_NEVER_NS;
        } else {
            wr_timer_arm(&heap, id, at);
            due[id] = at < due[id] ? at : due[id];
        }
        int64_t next = WR_NEVER_NS;
        for (int i = 0; i < 64; i++)
            next = due[i] < next ? due[i] : next;
        assert_int_equal(wr_timer_next(&heap), next);
        while (wr_timer_take(&heap, now, &id)) {
            assert_true(due[id] <= now);
            due[id] = WR_NEVER_NS;
        }
        assert_true(wr_timer_is_valid(&heap));
    }
    wr_timer_fini(&heap);
}

static const char *const text = "points:\n  - {point: t, unit: °C, range: \"-40..60\"}\nrules:\n"
                                "  - {rule: a, when: t > 8°C, by: room, deadband: 1K, message: \"{room} {value}\", then: [{log: true}]}\n"
                                "  - {rule: b, when: \"avg(t, 5m) > 8°C or max(u, count 3) > 2\", by: room}\n";

/* Whichever allocation fails: no rule set, no leak, and the next load works. */
static void load_without_memory(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct wr_diagnostics diagnostics;
        struct wr_ruleset *rules = NULL;
        wr_diagnostics_init(&diagnostics);
        wr_failing_allocations(n);
        enum wr_result result = wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &diagnostics, &rules, NULL);
        bool hit = wr_failing_hit();
        wr_failing_off();
        wr_diagnostics_fini(&diagnostics);
        if (!hit)
            assert_int_equal(result, WR_OK);
        else if (result != WR_OK)
            assert_true(result == WR_NO_MEMORY && !rules);
        wr_ruleset_free(rules);
        if (!hit)
            return;
    }
}

/* Whichever allocation of the evaluator fails: what can run runs, it is counted, and nothing leaks or breaks. */
static void run_without_memory(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct rules_fixture f;
        fixture_init(&f, text);
        uint32_t ids[40];
        for (int i = 0; i < 40; i++) {
            char tags[32];
            snprintf(tags, sizeof tags, "room=%d", i / 2);
            ids[i] = fixture_series(&f, i % 2 ? "u" : "t", tags);
        }
        wr_failing_allocations(n);
        uint32_t attached = wr_evaluator_attach(f.evaluator, 40, &f.now);
        bool hit = wr_failing_hit();
        wr_failing_off();
        struct wr_evaluator_stats stats;
        wr_evaluator_stats(f.evaluator, &stats);
        assert_true(hit ? stats.no_memory > 0 : stats.no_memory == 0 && attached == 40 && stats.instances >= 40);
        f.attached = attached;
        for (int i = 0; i < 40; i++)
            fixture_value(&f, ids[i], 9);
        assert_true(wr_evaluator_is_valid(f.evaluator));
        assert_int_equal(f.attached, 40);
        assert_true(hit ? f.n_log > 0 : f.n_log == 40);
        wr_failing_allocations(0);
        for (int i = 0; i < 40; i++) /* nothing is allocated for a sample */
            fixture_value(&f, ids[i], i % 3);
        fixture_pass(&f, 10 * FIXTURE_MINUTE);
        assert_int_equal(wr_failing_count(), 0);
        wr_failing_off();
        fixture_fini(&f);
        if (!hit)
            return;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_table),
        cmocka_unit_test(timers),
        cmocka_unit_test(load_without_memory),
        cmocka_unit_test(run_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
