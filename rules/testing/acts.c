#include "rules/testing/acts.h"

#include <string.h>

#include "core/clock.h"

#define ACTIONS_MAX 64 /* of one rule that may wait: more are counted as at once */

/* The actions of one alarm. */
struct acting {
    const struct wr_action_spec *actions;
    uint32_t n;
    enum wr_action_kind kind;
    int64_t from_ns;
    int64_t to_ns;
    int64_t due_ns[ACTIONS_MAX]; /* of those that wait; WR_NEVER_NS */
    uint32_t ran;
};

static void run(struct acting *acting, int64_t t_ns) {
    acting->ran += t_ns >= acting->from_ns && t_ns <= acting->to_ns;
}

/* Those that wait and whose time has come by t. */
static void run_due(struct acting *acting, int64_t t_ns) {
    for (uint32_t i = 0; i < acting->n && i < ACTIONS_MAX; i++)
        if (acting->due_ns[i] <= t_ns) {
            run(acting, acting->due_ns[i]);
            acting->due_ns[i] = WR_NEVER_NS;
        }
}

static void take(struct acting *acting, const struct wr_alarm *told, int64_t t_ns) {
    run_due(acting, t_ns);
    for (uint32_t i = 0; i < acting->n && i < ACTIONS_MAX; i++)
        if (wr_action_is_needless(acting->actions[i].unless, (enum wr_alarm_state)told->to))
            acting->due_ns[i] = WR_NEVER_NS;
    for (uint32_t i = 0; i < acting->n; i++) {
        const struct wr_action_spec *action = &acting->actions[i];
        if (action->kind != acting->kind || !wr_action_is_wanted(action, told))
            continue;
        if (action->after_ns == 0 || i >= ACTIONS_MAX)
            run(acting, t_ns);
        else if (acting->due_ns[i] == WR_NEVER_NS)
            acting->due_ns[i] = wr_clock_add_ns(t_ns, action->after_ns);
    }
}

/* Everything that one alarm told, from its first transition on. */
static uint32_t count_alarm(const struct wr_world *world, uint32_t first, struct acting *acting) {
    const struct wr_alarm *alarm = &world->told[first];
    const uint32_t rule = wr_ruleset_find_teller(world->rules, alarm->rule);
    acting->n = 0;
    acting->ran = 0;
    acting->actions = rule == UINT32_MAX ? NULL : wr_ruleset_actions(world->rules, rule, &acting->n);
    for (uint32_t i = 0; i < ACTIONS_MAX; i++)
        acting->due_ns[i] = WR_NEVER_NS;
    for (uint32_t i = first; acting->n > 0 && i < world->n_told; i++)
        if (world->told[i].id == alarm->id && !world->told[i].historic)
            take(acting, &world->told[i], wr_world_when(world, &world->told[i]));
    run_due(acting, acting->to_ns);
    return acting->ran;
}

uint32_t wr_world_actions(const struct wr_world *world, const struct wr_selector *selector, enum wr_action_kind kind, int64_t from_ns,
                          int64_t to_ns) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < world->n_told; i++) {
        const struct wr_alarm *told = &world->told[i];
        struct acting acting = {.kind = kind, .from_ns = from_ns, .to_ns = to_ns};
        if (told->transition == 1 && wr_test_selects(selector, told->rule, told->instance)) /* its first */
            n += count_alarm(world, i, &acting);
    }
    return n;
}
