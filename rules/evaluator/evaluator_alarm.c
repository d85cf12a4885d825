/* An alarm's state, and the entries that tell of it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

/* -- entries ------------------------------------------------------------------------------------------------------------------------------ */

/* The comparison that decided: the first that is true, else the first. */
static const struct wr_leaf *deciding_leaf(struct wr_view *view) {
    for (uint32_t i = 0; i < view->rule->n_leaves; i++)
        if (wr_view_run(view, &view->rule->leaves[i].truth) > 0)
            return &view->rule->leaves[i];
    return view->rule->n_leaves > 0 ? &view->rule->leaves[0] : NULL;
}

double wr_leaf_told(const struct wr_leaf *leaf, double value) {
    const bool same = leaf->factor >= 1 && leaf->factor <= 1 && leaf->addend >= 0 && leaf->addend <= 0;
    return same ? value : wr_unit_rounded(value * leaf->factor + leaf->addend);
}

/* What a leaf compares: true when it has a value. */
static void fill_leaf(struct wr_view *view, struct wr_alarm *alarm, const struct wr_leaf *leaf) {
    view->last = true;
    double value = wr_view_run(view, &leaf->value);
    double limit = wr_view_run(view, &leaf->low);
    if (leaf->high.n > 0 && value > limit)
        limit = wr_view_run(view, &leaf->high);
    view->last = false;
    snprintf(alarm->unit, sizeof alarm->unit, "%s", leaf->unit);
    alarm->has_value = isfinite(value);
    alarm->value = alarm->has_value ? wr_leaf_told(leaf, value) : 0;
    alarm->has_limit = isfinite(limit);
    alarm->limit = alarm->has_limit ? wr_leaf_told(leaf, limit) : 0;
}

/* Of a rule whose condition is another node (a level, a sequence, held(x > 8, 2m)) the node's comparison tells. */
static bool fill_of(struct wr_view *view, struct wr_alarm *alarm, unsigned depth) {
    const struct wr_leaf *leaf = deciding_leaf(view);
    if (leaf && leaf->value.n > 0) {
        fill_leaf(view, alarm, leaf);
        return true;
    }
    for (uint32_t i = 0; !leaf && depth < WR_RULE_RANKS && i < view->rule->n_operands; i++) {
        uint32_t operand = view->rule->n_levels > 0 && view->instance->level > 0 ? view->instance->level - 1u : i;
        const struct wr_signal *signal = wr_instance_signal(view->evaluator, view->instance, operand);
        if (!signal || !(view->instance->signals[operand] & WR_SIGNAL_NODE))
            continue;
        struct wr_view inner = wr_view_of(view->evaluator, &view->evaluator->instances[signal->owner]);
        if (fill_of(&inner, alarm, depth + 1))
            return true;
    }
    if (leaf || view->rule->n_operands == 0 || view->rule->operands[0].node != WR_NODE_NO)
        return false;
    const struct wr_instruction first = {.op = WR_OP_VALUE};
    const struct wr_program program = {.code = &first, .n = 1};
    view->last = true;
    double value = wr_view_run(view, &program);
    view->last = false;
    alarm->has_value = isfinite(value);
    alarm->value = alarm->has_value ? value : 0;
    return true;
}

static enum wr_severity severity_of(const struct wr_instance *instance, const struct wr_rule *rule) {
    return instance->level > 0 && instance->level <= rule->n_levels ? rule->levels[instance->level - 1].severity : rule->severity;
}

void wr_instance_fill(struct wr_evaluator *evaluator, const struct wr_instance *instance, enum wr_alarm_state from,
                      enum wr_alarm_cause cause, struct wr_alarm_entry *entry) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    struct wr_view view = wr_view_of(evaluator, instance);
    struct wr_alarm *alarm = &entry->alarm;
    memset(entry, 0, sizeof *entry);
    snprintf(alarm->rule, sizeof alarm->rule, "%s", rule->name);
    snprintf(alarm->instance, sizeof alarm->instance, "%s", instance->text);
    alarm->id = instance->id;
    alarm->transition = instance->transition;
    alarm->from = (uint8_t)from;
    alarm->to = instance->state;
    alarm->cause = (uint8_t)cause;
    alarm->severity = (uint8_t)severity_of(instance, rule);
    if (instance->level > 0 && instance->level <= rule->n_levels)
        snprintf(alarm->level, sizeof alarm->level, "%s", rule->levels[instance->level - 1].name);
    alarm->data = instance->unknown ? WR_ALARM_DATA_STALE_NOW : WR_ALARM_DATA_OK;
    alarm->silent = instance->invalid ? WR_ALARM_SILENT_INVALID : 0;
    alarm->historic = evaluator->at.historic && rule->backfill == WR_BACKFILL_LOG;
    (void)fill_of(&view, alarm, 0);
    const struct wr_trigger *at = &evaluator->at;
    alarm->event_ns = at->event_ns;
    alarm->wall_ns = at->now.wall_ns;
    alarm->arrival_boot_ns = at->arrival_boot_ns;
    alarm->decided_boot_ns = at->now.boot_ns;
    wr_template_message(&rule->message, alarm, at->boot_ns - instance->true_boot_ns, alarm->message, sizeof alarm->message);
}

void wr_instance_emit(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_state from, enum wr_alarm_cause cause,
                      const char *by_whom, struct wr_alarm_out *out) {
    struct wr_alarm_entry *entry = &out->entries[out->n++];
    instance->transition++;
    wr_instance_fill(evaluator, instance, from, cause, entry);
    if (entry->alarm.historic)
        instance->historic = true;
    else if (cause == WR_ALARM_RAISED || cause == WR_ALARM_CLEARED)
        instance->told = cause == WR_ALARM_RAISED;
    wr_annunciator_take(evaluator->annunciator, (uint32_t)(instance - evaluator->instances), instance->rule, entry, &evaluator->at.now);
    snprintf(entry->alarm.by_whom, sizeof entry->alarm.by_whom, "%s", by_whom);
    wr_instance_encode(evaluator, instance, entry);
}

void wr_instance_look(void *user, uint32_t index, struct wr_annunciator_view *ret_view) {
    const struct wr_evaluator *evaluator = user;
    const struct wr_instance *instance = &evaluator->instances[index];
    *ret_view = (struct wr_annunciator_view){.rule = instance->rule,
                                             .labels = instance->text,
                                             .state = instance->state,
                                             .severity = (uint8_t)severity_of(instance, wr_instance_rule(evaluator, instance))};
}

/* The time was set before: by timers, or by a command. */
void wr_instance_tell(void *user, uint32_t index, enum wr_alarm_cause cause, const struct wr_now *now, struct wr_alarm_entry *entry) {
    struct wr_evaluator *evaluator = user;
    struct wr_instance *instance = &evaluator->instances[index];
    (void)now;
    instance->transition++;
    wr_instance_fill(evaluator, instance, (enum wr_alarm_state)instance->state, cause, entry);
    wr_instance_encode(evaluator, instance, entry);
}

/* -- events ------------------------------------------------------------------------------------------------------------------------------- */

bool wr_instance_put_event(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_event event, const char *by_whom,
                           struct wr_alarm_out *out) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    enum wr_alarm_state from = (enum wr_alarm_state)instance->state;
    struct wr_alarm_step step;
    if (!wr_alarm_state_step(from, event, rule->latch, rule->auto_ack, &step))
        return false;
    wr_instance_set_state(evaluator, instance, step.to);
    instance->changed_wall_ns = evaluator->at.now.wall_ns;
    if (step.cause)
        wr_instance_emit(evaluator, instance, from, step.cause, by_whom, out);
    return step.cause != 0;
}

bool wr_instance_command(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_event event, const char *by_whom,
                         struct wr_alarm_out *out) {
    if (!wr_instance_put_event(evaluator, instance, event, by_whom, out))
        return false;
    /* Back in normal while the condition is on its way: that is pending, and the snapshot that the store gets with this entry has to say so. */
    if (instance->delay == WR_DELAY_ON) {
        struct wr_alarm_entry *told = &out->entries[out->n - 1];
        wr_instance_put_event(evaluator, instance, WR_ALARM_EVENT_START, by_whom, out);
        wr_instance_encode(evaluator, instance, told);
    }
    return true;
}
