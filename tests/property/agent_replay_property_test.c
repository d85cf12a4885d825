/* The tally of a replay against a plain list of what happened, over random transitions of a few alarms; and the comparison of two of them: each episode is
 * counted once on each side, pairs overlap, and a set compared with itself has no difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/replay/compare.h"
#include "tests/support/random.h"

#define ALARMS 7
#define STEPS 400
#define RUNS 300

struct model {
    uint8_t state;
    bool active;
    bool told;
    int64_t since_ns;
    struct wr_tally_sum sum;
};

static void model_step(struct model *model, uint8_t to, bool told, int64_t at_ns) {
    const bool active = to == WR_ALARM_UNACK || to == WR_ALARM_ACKED;
    if (active && !model->active) {
        if (model->sum.raised == 0)
            model->sum.first_ns = at_ns;
        model->sum.raised++;
        model->told = false;
        model->sum.last_ns = at_ns;
        model->since_ns = at_ns;
    } else if (!active && model->active) {
        model->sum.active_ns += at_ns - model->since_ns;
        if (at_ns - model->since_ns > model->sum.longest_ns)
            model->sum.longest_ns = at_ns - model->since_ns;
    }
    if (active && told && !model->told)
        model->sum.told++;
    model->told |= active && told;
    model->active = active;
    model->state = to;
}

static void fill(struct wr_random *random, struct wr_tally *tally, struct model *models, int64_t *ret_end_ns) {
    int64_t now_ns = 0;
    memset(models, 0, ALARMS * sizeof *models);
    for (int i = 0; i < STEPS; i++) {
        const bool stale = wr_random_below(random, 4) == 0;
        struct wr_alarm alarm = {.cause = stale ? WR_ALARM_DATA_STALE : WR_ALARM_RAISED, .historic = wr_random_below(random, 4) == 0};
        const unsigned which = (unsigned)wr_random_below(random, ALARMS);
        now_ns += (int64_t)wr_random_below(random, 3);
        alarm.from = models[which].state;
        alarm.to = (uint8_t)wr_random_below(random, WR_ALARM_STATES);
        alarm.silent = wr_random_below(random, 4) == 0 ? WR_ALARM_SILENT_SHELVED : 0;
        alarm.wall_ns = now_ns;
        snprintf(alarm.rule, sizeof alarm.rule, "r%u", which % 3);
        snprintf(alarm.instance, sizeof alarm.instance, "k=%u", which);
        alarm.id = wr_alarm_id(alarm.rule, alarm.instance);
        wr_tally_take(tally, &alarm);
        model_step(&models[which], alarm.to, !alarm.silent && !alarm.historic && !stale, now_ns);
    }
    *ret_end_ns = now_ns;
    for (int i = 0; i < ALARMS; i++)
        if (models[i].active) {
            model_step(&models[i], WR_ALARM_NORMAL, false, now_ns);
            models[i].sum.lasts = true;
        }
    assert_int_equal(wr_tally_close(tally, now_ns), WR_OK);
}

static void same_sum(const struct wr_tally_sum *a, const struct wr_tally_sum *b) {
    assert_int_equal(a->raised, b->raised);
    assert_int_equal(a->told, b->told);
    assert_int_equal(a->first_ns, b->first_ns);
    assert_int_equal(a->last_ns, b->last_ns);
    assert_int_equal(a->active_ns, b->active_ns);
    assert_int_equal(a->longest_ns, b->longest_ns);
    assert_int_equal(a->lasts, b->lasts);
}

static void check_alarms(const struct wr_tally *tally, const struct model *models) {
    for (uint32_t i = 0; i < tally->n; i++) {
        unsigned which;
        assert_int_equal(sscanf(tally->alarms[i].instance, "k=%u", &which), 1);
        same_sum(&tally->alarms[i].sum, &models[which].sum);
    }
}

struct told {
    uint64_t only_new, only_old, moved;
};

static void count(void *user, const struct wr_tally_alarm *alarm, const struct wr_tally_episode *new_one,
                  const struct wr_tally_episode *old_one) {
    struct told *told = user;
    assert_true(new_one || old_one);
    assert_int_equal(alarm->rule[0], 'r');
    told->only_new += !old_one;
    told->only_old += !new_one;
    told->moved += new_one && old_one;
    if (new_one && old_one)
        assert_true(new_one->start_ns <= old_one->end_ns && old_one->start_ns <= new_one->end_ns);
}

static void check_compare(const struct wr_tally *mine, const struct wr_tally *other) {
    for (unsigned rule = 0; rule < 4; rule++) {
        char name[8];
        uint32_t first, n;
        struct told told = {0};
        snprintf(name, sizeof name, "r%u", rule);
        const uint64_t raised = wr_tally_rule(mine, name, &first, &n).raised;
        const uint64_t raised_other = wr_tally_rule(other, name, &first, &n).raised;
        const struct wr_compare_sum sum = wr_compare_rule(mine, other, name, count, &told);
        assert_int_equal(sum.both + sum.only_new, raised);
        assert_int_equal(sum.both + sum.only_old, raised_other);
        assert_int_equal(told.only_new, sum.only_new);
        assert_int_equal(told.only_old, sum.only_old);
        assert_int_equal(told.moved, sum.moved);
        const struct wr_compare_sum turned = wr_compare_rule(other, mine, name, NULL, NULL);
        assert_int_equal(turned.both, sum.both);
        assert_int_equal(turned.shift_ns, -sum.shift_ns);
        const struct wr_compare_sum itself = wr_compare_rule(mine, mine, name, NULL, NULL);
        assert_int_equal(itself.both, raised);
        assert_int_equal(itself.only_new + itself.only_old + itself.moved, 0);
    }
}

static void against_a_plain_list(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int run = 0; run < RUNS; run++) {
        struct wr_tally tallies[2];
        struct model models[ALARMS];
        int64_t end_ns;
        for (int side = 0; side < 2; side++) {
            wr_tally_init(&tallies[side], true);
            fill(&random, &tallies[side], models, &end_ns);
            check_alarms(&tallies[side], models);
        }
        check_compare(&tallies[0], &tallies[1]);
        wr_tally_fini(&tallies[0]);
        wr_tally_fini(&tallies[1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_a_plain_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
