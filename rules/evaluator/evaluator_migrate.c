/* Reload: what an evaluator for a new rule set takes over from the one it replaces. */
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

/* States of operators go over as they are: both sides keep a block. */
static void migrate_operators(struct wr_signal *into, struct wr_signal *from) {
    for (uint32_t i = 0; i < into->n_operators; i++)
        for (uint32_t k = 0; k < from->n_operators; k++) {
            struct wr_signal_operator *fresh = into->operators[i];
            if (!wr_operator_same(&fresh->spec, &from->operators[k]->spec))
                continue;
            from->operators[k]->users = fresh->users;
            into->operators[i] = from->operators[k];
            from->operators[k] = fresh;
            break;
        }
}

/* Values, clocks and windows: what is known about a signal does not depend on the rules. */
static void migrate_signal(struct wr_signal *into, struct wr_signal *from) {
    into->met = from->met;
    into->live = from->live;
    into->good = from->good;
    into->ever = from->ever;
    into->has_prev = from->has_prev;
    into->sample_known = from->sample_known;
    into->sample_series = from->sample_series;
    into->sample_event_ns = from->sample_event_ns;
    into->sample_at_ns = from->sample_at_ns;
    into->offset_ns = from->offset_ns;
    into->text = from->text;
    into->quality = from->quality;
    into->symbol = from->symbol;
    into->prev = from->prev;
    into->clock_ns = from->clock_ns;
    into->clock_event_ns = from->clock_event_ns;
    into->clock_source = from->clock_source;
    into->clock_boot_ns = from->clock_boot_ns;
    into->bad_boot_ns = from->bad_boot_ns;
    into->told_ns = from->told_ns;
    migrate_operators(into, from);
    into->fresh = true;
}

static void migrate_series(struct wr_evaluator *evaluator, const struct wr_evaluator *old, uint32_t id) {
    struct wr_signal *into = evaluator->series[id];
    struct wr_signal *from = old->series[id];
    evaluator->bands[id].value = old->bands[id].value;
    evaluator->bands[id].arrival_boot_ns = old->bands[id].arrival_boot_ns;
    if (!into || !from)
        return;
    migrate_signal(into, from);
    wr_evaluator_refresh_band(evaluator, id);
}

/* -- nodes -------------------------------------------------------------------------------------------------------------------------------- */

struct named_node {
    const struct wr_rule *rule;
    uint32_t index;
};

static int by_meaning(const void *a, const void *b) {
    return strcmp(((const struct named_node *)a)->rule->canonical, ((const struct named_node *)b)->rule->canonical);
}

/* Which of the new nodes means the same as each of the old ones, alarms left out: those go by name. */
static bool find_heirs(struct wr_evaluator *evaluator, const struct wr_evaluator *old) {
    const struct wr_ruleset *after = evaluator->rules;
    const struct wr_ruleset *before = old->rules;
    uint32_t n = after->n_nodes - after->n_rules;
    struct named_node *names = malloc((n + 1) * sizeof *names);
    evaluator->heirs = malloc((before->n_nodes + 1) * sizeof *evaluator->heirs);
    if (!names || !evaluator->heirs) {
        free(names);
        free(evaluator->heirs);
        evaluator->heirs = NULL;
        return false;
    }
    for (uint32_t i = 0; i < n; i++)
        names[i] = (struct named_node){after->rules[after->n_rules + i], after->n_rules + i};
    qsort(names, n, sizeof *names, by_meaning);
    for (uint32_t i = 0; i < before->n_nodes; i++) {
        const struct named_node wanted = {.rule = before->rules[i]};
        const struct named_node *found = i < before->n_rules || n == 0 ? NULL : bsearch(&wanted, names, n, sizeof *names, by_meaning);
        evaluator->heirs[i] = WR_NODE_NO;
        while (found && found > names && by_meaning(found - 1, &wanted) == 0)
            found--;
        for (; found && found < names + n && by_meaning(found, &wanted) == 0; found++)
            if (found->rule->kind == wanted.rule->kind && wr_rule_same_by(found->rule, wanted.rule))
                evaluator->heirs[i] = found->index;
    }
    free(names);
    return true;
}

/* A derived point, a set or a sequence: its output with what hangs on it, its delay, its step. */
static void migrate_node(struct wr_evaluator *evaluator, struct wr_evaluator *old, const struct wr_instance *from, const struct wr_now *now,
                         struct wr_alarm_out *out) {
    uint32_t index;
    uint32_t heir = evaluator->heirs[from->rule];
    if (heir == WR_NODE_NO || wr_evaluator_instance(evaluator, heir, from->text, from->made_boot_ns, &index) != WR_OK) {
        if (from->kept)
            wr_instance_put_gone(from, out);
        return;
    }
    struct wr_instance *into = &evaluator->instances[index];
    migrate_signal(evaluator->outputs[into->output], old->outputs[from->output]);
    evaluator->output_bands[into->output].value = old->output_bands[from->output].value;
    evaluator->output_bands[into->output].arrival_boot_ns = old->output_bands[from->output].arrival_boot_ns;
    into->condition = from->condition;
    into->unknown = from->unknown;
    into->made_boot_ns = from->made_boot_ns;
    into->true_boot_ns = from->true_boot_ns;
    into->kept = from->kept;
    into->delay = from->delay;
    into->operand = from->operand;
    into->frozen = from->delay != WR_DELAY_NONE;
    into->since_ns = into->frozen ? wr_instance_elapsed(old, from, now->boot_ns) : 0;
    if (into->more && from->more) {
        struct wr_t2q *model = into->more->model;
        into->more->model = from->more->model;
        from->more->model = model;
        into->more->seen = from->more->seen;
        into->more->part = from->more->part;
        into->more->step = from->more->step;
        into->more->step_since_ns = from->more->step_since_ns;
        into->more->step_waits = from->more->step_waits;
    }
}

/* -- alarms ------------------------------------------------------------------------------------------------------------------------------- */

/* The alarm of a rule that is gone or means something else. Its number goes on when the name stays. */
static void close_alarm(struct wr_evaluator *evaluator, struct wr_evaluator *old, struct wr_instance *closed, struct wr_instance *heir,
                        const struct wr_now *now, struct wr_alarm_out *out) {
    enum wr_alarm_state from = (enum wr_alarm_state)closed->state;
    if (heir)
        heir->transition = closed->transition;
    if (!wr_alarm_state_is_active(from) && (heir || closed->transition == 0))
        return;
    struct wr_alarm_entry *entry = &out->entries[out->n++];
    wr_instance_set_state(old, closed, WR_ALARM_NORMAL);
    closed->transition++;
    wr_evaluator_set_now(old, now);
    wr_instance_fill(old, closed, from, WR_ALARM_RULE_CHANGED, entry);
    wr_annunciator_take(old->annunciator, (uint32_t)(closed - old->instances), closed->rule, entry, now);
    if (!heir)
        return; /* without a snapshot: forgotten */
    heir->transition = closed->transition;
    wr_instance_encode(evaluator, heir, entry);
}

/* same: the condition is the same too, so a running delay goes on, on the same series, whose clock was taken over before. */
static void take_over(struct wr_evaluator *evaluator, struct wr_evaluator *old, const struct wr_instance *from, struct wr_instance *into,
                      bool same, const struct wr_now *now) {
    wr_instance_set_state(evaluator, into, (enum wr_alarm_state)from->state);
    into->condition = from->condition;
    into->no_data = from->no_data;
    into->unknown = from->unknown;
    into->level = from->level;
    into->invalid = from->invalid;
    into->historic = from->historic;
    into->told = from->told;
    into->made_boot_ns = from->made_boot_ns;
    into->true_boot_ns = from->true_boot_ns;
    into->changed_wall_ns = from->changed_wall_ns;
    into->transition = from->transition;
    into->delay = from->delay;
    into->operand = same ? from->operand : 0;
    into->frozen = from->delay != WR_DELAY_NONE && (!same || from->frozen || into->signals[from->operand] != from->signals[from->operand]);
    into->since_ns = !same ? 0 : into->frozen ? wr_instance_elapsed(old, from, now->boot_ns) : from->since_ns;
    if (wr_annunciator_take_over(evaluator->annunciator, (uint32_t)(into - evaluator->instances), old->annunciator,
                                 (uint32_t)(from - old->instances), now) != WR_OK)
        evaluator->stats.no_memory++;
}

static bool migrate_instance(struct wr_evaluator *evaluator, struct wr_evaluator *old, struct wr_instance *from, const struct wr_now *now,
                             struct wr_alarm_out *out) {
    if (from->rule == WR_INSTANCE_NONE)
        return true;
    if (out->n >= out->cap)
        return false;
    const struct wr_rule *before = wr_instance_rule(old, from);
    if (before->kind != WR_RULE_ALARM) {
        migrate_node(evaluator, old, from, now, out);
        return true;
    }
    uint32_t index = wr_ruleset_find(evaluator->rules, before->name);
    const struct wr_rule *after = index == UINT32_MAX ? NULL : evaluator->rules->rules[index];
    struct wr_instance *heir = NULL;
    if (from->state == WR_ALARM_NORMAL && from->transition == 0 && !after)
        return true;
    if (after && wr_rule_same_by(before, after)) {
        uint32_t at;
        if (wr_evaluator_instance(evaluator, index, from->text, from->made_boot_ns, &at) == WR_OK)
            heir = &evaluator->instances[at];
    }
    if (heir && strcmp(before->shape, after->shape) == 0)
        take_over(evaluator, old, from, heir, strcmp(before->canonical, after->canonical) == 0, now);
    else
        close_alarm(evaluator, old, from, heir, now, out);
    return true;
}

enum wr_result wr_evaluator_migrate(struct wr_evaluator *evaluator, struct wr_evaluator *old, const struct wr_now *now, uint32_t max,
                                    struct wr_alarm_out *out, bool *ret_more) {
    *ret_more = true;
    if (evaluator->migrated_series == 0 && evaluator->migrated_instances == 0) {
        if (!wr_evaluator_run_queue(old, out))
            return WR_FULL;
        if (wr_evaluator_attach(evaluator, old->attached, now) < old->attached || evaluator->stats.no_memory > 0)
            return WR_NO_MEMORY; /* an alarm without a place here would be closed */
        if (!evaluator->heirs && !find_heirs(evaluator, old))
            return WR_NO_MEMORY;
    }
    for (uint32_t done = 0; done < max; done++) {
        if (evaluator->migrated_series < old->attached) {
            migrate_series(evaluator, old, evaluator->migrated_series++);
        } else if (evaluator->migrated_instances < old->n_instances) {
            if (!migrate_instance(evaluator, old, &old->instances[evaluator->migrated_instances], now, out))
                return WR_FULL;
            evaluator->migrated_instances++;
        } else if (evaluator->migrated_settled < evaluator->n_instances) {
            if (evaluator->migrated_settled == 0)
                wr_evaluator_set_now(evaluator, now);
            wr_instance_settle(evaluator, &evaluator->instances[evaluator->migrated_settled++]); /* none is a free place yet */
        } else {
            evaluator->forgotten_transition = old->forgotten_transition;
            wr_annunciator_inherit(evaluator->annunciator, old->annunciator, now);
            struct wr_command_log commands = evaluator->commands;
            evaluator->commands = old->commands;
            old->commands = commands;
            if (!evaluator->recalled) { /* what still waits for its signal goes on waiting */
                evaluator->recalled = old->recalled;
                evaluator->recalled_bytes = old->recalled_bytes;
                old->recalled = NULL;
            }
            free(evaluator->heirs);
            evaluator->heirs = NULL;
            evaluator->migrated_series = evaluator->migrated_instances = evaluator->migrated_settled = 0;
            *ret_more = false;
            return WR_OK;
        }
    }
    return WR_OK;
}
