/* Instances that nobody speaks for any more are forgotten, so that a tag full of serial numbers does not hold memory, or the places of max_instances, for ever.
 *
 * Forgotten is an alarm that is normal, and a node that nobody reads, when none of its signals has had a sample for `forget`. Its number of transitions is not
 * lost on receivers: new instances count on from the highest number that was forgotten. A series that speaks again after that meets its rules anew. */
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

/* -- when --------------------------------------------------------------------------------------------------------------------------------- */

/* Boot time from which on it may be forgotten, if nothing comes; WR_NEVER_NS: something else holds it. */
int64_t wr_instance_forget_at(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    int64_t forget_ns = rule->forget_ns > 0 ? rule->forget_ns : WR_FORGET_NS;
    int64_t newest = instance->made_boot_ns;
    if (instance->state != WR_ALARM_NORMAL || instance->delay != WR_DELAY_NONE)
        return WR_NEVER_NS;
    if (wr_annunciator_holds(evaluator->annunciator, (uint32_t)(instance - evaluator->instances)))
        return wr_clock_add_ns(evaluator->at.boot_ns, WR_FORGET_AGAIN_NS); /* an operator has something to say of it */
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        int64_t at = wr_view_last_arrival(evaluator, instance, i);
        newest = at > newest ? at : newest;
    }
    for (uint32_t i = 0; instance->more && i < instance->more->n_members; i++) {
        int64_t at = wr_signal_band(evaluator, instance->more->members[i])->arrival_boot_ns;
        newest = at > newest ? at : newest;
    }
    int64_t due = wr_clock_add_ns(newest, forget_ns);
    bool read = instance->output != WR_INSTANCE_NONE && evaluator->outputs[instance->output]->n_links > 0;
    return read && due <= evaluator->at.boot_ns ? wr_clock_add_ns(evaluator->at.boot_ns, WR_FORGET_AGAIN_NS) : due;
}

/* -- how ---------------------------------------------------------------------------------------------------------------------------------- */

static void unlink_signal(struct wr_evaluator *evaluator, uint32_t id, uint32_t index) {
    struct wr_signal *signal = wr_signal_at(evaluator, id);
    uint32_t n = 0, nodes = 0;
    for (uint32_t i = 0; i < signal->n_links; i++) {
        if (signal->links[i].instance == index)
            continue;
        nodes += i < signal->n_node_links;
        signal->links[n++] = signal->links[i];
    }
    signal->n_node_links = nodes;
    signal->n_links = n;
    n = 0;
    for (uint32_t i = 0; i < signal->n_thresholds; i++)
        if (signal->thresholds[i].instance != index)
            signal->thresholds[n++] = signal->thresholds[i];
    signal->n_thresholds = n;
    n = 0;
    for (uint32_t i = 0; i < signal->n_wakes; i++)
        if (signal->wakes[i] != index)
            signal->wakes[n++] = signal->wakes[i];
    signal->n_wakes = n;
    signal->unlinked = true;
    wr_evaluator_refresh_band(evaluator, id);
}

/* Whoever reads the output has none from now on. */
static void free_output(struct wr_evaluator *evaluator, struct wr_instance *instance) {
    if (instance->output == WR_INSTANCE_NONE)
        return;
    wr_signal_free(evaluator->outputs[instance->output]);
    evaluator->outputs[instance->output] = NULL;
    evaluator->output_bands[instance->output].arrival_boot_ns = evaluator->free_outputs;
    evaluator->free_outputs = instance->output;
}

void wr_instance_put_gone(const struct wr_instance *instance, struct wr_alarm_out *out) {
    struct wr_alarm_entry *entry = &out->entries[out->n++];
    memset(entry, 0, sizeof *entry);
    entry->alarm.id = instance->id;
}

void wr_instance_forget(struct wr_evaluator *evaluator, uint32_t index, struct wr_alarm_out *out) {
    struct wr_instance *instance = &evaluator->instances[index];
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    for (uint32_t i = 0; i < rule->n_operands; i++)
        if (instance->signals[i] != WR_SERIES_NONE)
            unlink_signal(evaluator, instance->signals[i], index);
    for (uint32_t i = 0; instance->more && i < instance->more->n_members; i++)
        unlink_signal(evaluator, instance->more->members[i], index);
    free_output(evaluator, instance);
    if (rule->kind == WR_RULE_ALARM ? instance->transition > 0 : instance->kept)
        wr_instance_put_gone(instance, out);
    if (instance->transition > evaluator->forgotten_transition)
        evaluator->forgotten_transition = instance->transition;
    wr_instance_remove(evaluator, index);
    evaluator->stats.forgotten++;
}
