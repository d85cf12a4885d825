#include "rules/testing/acts.h"

#include <string.h>

#include "core/clock.h"

#define WAITING_MAX 64 /* of one alarm: more are counted as at once */

/* One that waits for its time. */
struct waiting {
    uint32_t action;
    uint8_t cause;
    int64_t due_ns;
};

/* The actions of one alarm. */
struct acting {
    const struct wr_action_spec *actions;
    uint32_t n;
    enum wr_action_kind kind;
    int64_t from_ns;
    int64_t to_ns;
    struct waiting waiting[WAITING_MAX]; /* of each action in the order of their times */
    uint32_t n_waiting;
    uint32_t ran;
};

static void run(struct acting *acting, int64_t t_ns) {
    acting->ran += t_ns >= acting->from_ns && t_ns <= acting->to_ns;
}

/* Runs those whose time has come by t. */
static void run_due(struct acting *acting, int64_t t_ns) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < acting->n_waiting; i++) {
        if (acting->waiting[i].due_ns <= t_ns)
            run(acting, acting->waiting[i].due_ns);
        else
            acting->waiting[kept++] = acting->waiting[i];
    }
    acting->n_waiting = kept;
}

static void drop_needless(struct acting *acting, enum wr_alarm_state state) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < acting->n_waiting; i++)
        if (!wr_action_is_needless(acting->actions[acting->waiting[i].action].unless, state))
            acting->waiting[kept++] = acting->waiting[i];
    acting->n_waiting = kept;
}

/* As agent/actions/action_delay.h: what the last of an action that waits tells is not told again. */
static bool waits_already(const struct acting *acting, uint32_t action, uint8_t cause) {
    uint32_t i = acting->n_waiting;
    while (i > 0 && acting->waiting[i - 1].action != action)
        i--;
    return i > 0 && acting->waiting[i - 1].cause == cause;
}

static void take(struct acting *acting, const struct wr_alarm *told, int64_t t_ns) {
    run_due(acting, t_ns);
    drop_needless(acting, (enum wr_alarm_state)told->to);
    for (uint32_t i = 0; i < acting->n; i++) {
        const struct wr_action_spec *action = &acting->actions[i];
        if (action->kind != acting->kind || !wr_action_is_wanted(action, told))
            continue;
        if (action->after_ns == 0 || acting->n_waiting == WAITING_MAX)
            run(acting, t_ns);
        else if (!waits_already(acting, i, told->cause))
            acting->waiting[acting->n_waiting++] = (struct waiting){i, told->cause, wr_clock_add_ns(t_ns, action->after_ns)};
    }
}

/* Everything that one alarm told, from its first transition on. */
static uint32_t count_alarm(const struct wr_world *world, uint32_t first, struct acting *acting) {
    const struct wr_alarm *alarm = &world->told[first];
    const uint32_t rule = wr_ruleset_find_teller(world->rules, alarm->rule);
    acting->n = 0;
    acting->ran = 0;
    acting->actions = rule == UINT32_MAX ? NULL : wr_ruleset_actions(world->rules, rule, &acting->n);
    acting->n_waiting = 0;
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
        if (told->transition == 1 && wr_evaluator_selects(selector, told->rule, told->instance)) /* its first */
            n += count_alarm(world, i, &acting);
    }
    return n;
}
