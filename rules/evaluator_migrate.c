/* Reload: what an evaluator for a new rule set takes over from the one it replaces. */
#include <string.h>

#include "rules/evaluator_private.h"

static void migrate_windows(struct wr_series_state *into, const struct wr_series_state *from) {
    for (uint32_t i = 0; i < into->n_windows; i++)
        for (uint32_t k = 0; k < from->n_windows; k++) {
            struct wr_sliding *window = into->windows[i];
            const struct wr_sliding *old = from->windows[k];
            bool same = window->span_ns == old->span_ns && (window->span_ns > 0 || window->capacity == old->capacity);
            for (uint32_t s = 0; same && window->n < window->capacity && s < old->n; s++) {
                const struct wr_sliding_sample *sample = &old->ring[(old->first + s) % old->capacity];
                (void)wr_sliding_add(window, sample->at_ns, sample->value);
            }
        }
}

/* Values, clocks and windows: what is known about a series does not depend on the rules. */
static void migrate_series(struct wr_evaluator *evaluator, const struct wr_evaluator *old, uint32_t id) {
    struct wr_series_state *into = evaluator->series[id];
    const struct wr_series_state *from = old->series[id];
    evaluator->bands[id].value = old->bands[id].value;
    evaluator->bands[id].arrival_boot_ns = old->bands[id].arrival_boot_ns;
    if (!into || !from)
        return;
    into->met = from->met;
    into->live = from->live;
    into->good = from->good;
    into->ever = from->ever;
    into->has_prev = from->has_prev;
    into->text = from->text;
    into->symbol = from->symbol;
    into->prev = from->prev;
    into->clock_ns = from->clock_ns;
    into->clock_event_ns = from->clock_event_ns;
    into->clock_boot_ns = from->clock_boot_ns;
    into->bad_boot_ns = from->bad_boot_ns;
    migrate_windows(into, from);
    into->fresh = true;
    wr_evaluator_refresh_band(evaluator, id);
}

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
    old->at = (struct wr_trigger){.series = WR_SERIES_NONE, .boot_ns = now->boot_ns, .event_ns = now->wall_ns, .now = *now};
    wr_instance_fill(old, closed, from, WR_ALARM_RULE_CHANGED, entry);
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
    into->made_boot_ns = from->made_boot_ns;
    into->true_boot_ns = from->true_boot_ns;
    into->changed_wall_ns = from->changed_wall_ns;
    into->transition = from->transition;
    into->delay = from->delay;
    into->operand = same ? from->operand : 0;
    into->frozen = from->delay != WR_DELAY_NONE && (!same || from->frozen || into->series[from->operand] != from->series[from->operand]);
    into->since_ns = !same ? 0 : into->frozen ? wr_instance_elapsed(old, from, now->boot_ns) : from->since_ns;
}

static bool migrate_instance(struct wr_evaluator *evaluator, struct wr_evaluator *old, struct wr_instance *from, const struct wr_now *now,
                             struct wr_alarm_out *out) {
    const struct wr_rule *before = wr_instance_rule(old, from);
    uint32_t index = wr_ruleset_find(evaluator->rules, before->name);
    const struct wr_rule *after = index == UINT32_MAX ? NULL : evaluator->rules->rules[index];
    struct wr_instance *heir = NULL;
    if (out->n >= out->cap)
        return false;
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
        if (wr_evaluator_attach(evaluator, old->attached, now) < old->attached)
            return WR_NO_MEMORY;
    }
    for (uint32_t done = 0; done < max; done++) {
        if (evaluator->migrated_series < old->attached) {
            migrate_series(evaluator, old, evaluator->migrated_series++);
        } else if (evaluator->migrated_instances < old->n_instances) {
            if (!migrate_instance(evaluator, old, &old->instances[evaluator->migrated_instances], now, out))
                return WR_FULL;
            evaluator->migrated_instances++;
        } else {
            evaluator->at = (struct wr_trigger){.series = WR_SERIES_NONE, .boot_ns = now->boot_ns, .event_ns = now->wall_ns, .now = *now};
            for (uint32_t i = 0; i < evaluator->n_instances; i++)
                wr_instance_settle(evaluator, &evaluator->instances[i]);
            evaluator->migrated_series = evaluator->migrated_instances = 0;
            *ret_more = false;
            return WR_OK;
        }
    }
    return WR_OK;
}
