/* Nodes that are no alarms: derived points, sets, sequences: their value, and giving it to those who read it. */
#include <math.h>

#include "rules/evaluator/evaluator_private.h"

/* -- sets --------------------------------------------------------------------------------------------------------------------------------- */

/* The element of a set for one member: its value, or what `when` says of it. */
static double element(struct wr_view *view, uint32_t member) {
    static const struct wr_instruction value = {.op = WR_OP_VALUE};
    static const struct wr_program plain = {.code = &value, .n = 1};
    const struct wr_rule *rule = view->rule;
    int64_t age_ns = view->evaluator->at.boot_ns - wr_signal_band(view->evaluator, member)->arrival_boot_ns;
    if (rule->no_data_after_ns > 0 && age_ns >= rule->no_data_after_ns)
        return NAN;
    view->member = member;
    double answer = wr_view_run(view, rule->when.n > 0 ? &rule->when : &plain);
    view->member = WR_SERIES_NONE;
    return answer;
}

static double set_value(struct wr_view *view) {
    const struct wr_instance_more *more = view->instance->more;
    double sum = 0, low = INFINITY, high = -INFINITY;
    uint32_t n = 0, hits = 0;
    for (uint32_t i = 0; more && i < more->n_members; i++) {
        double value = element(view, more->members[i]);
        if (isnan(value))
            continue;
        n++;
        hits += value > 0;
        sum += value;
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    if (view->rule->set == WR_FUNCTION_COUNT_OF)
        return view->rule->when.n > 0 ? hits : n;
    if (n == 0)
        return NAN;
    switch (view->rule->set) {
    case WR_FUNCTION_AVG_OF:
        return sum / n;
    case WR_FUNCTION_MAX_OF:
        return high;
    case WR_FUNCTION_MIN_OF:
        return low;
    default: /* WR_FUNCTION_SPREAD_OF */
        return high - low;
    }
}

/* -- sequences ---------------------------------------------------------------------------------------------------------------------------- */

/* The truth of a step's condition: 1, 0 or NaN. */
static double step_truth(struct wr_view *view, uint32_t step) {
    const struct wr_instruction value = {.op = WR_OP_VALUE, .a = (uint16_t)step};
    const struct wr_program program = {.code = &value, .n = 1};
    return wr_view_run(view, &program);
}

/* The first step has become true with this very sample, which counts once: from false, not from unknown. So neither a start nor a reload begins it. */
static bool is_begun(struct wr_view *view, struct wr_instance_more *more) {
    const struct wr_signal *signal = wr_instance_signal(view->evaluator, view->instance, 0);
    const uint64_t trigger = view->evaluator->trigger;
    if (!signal || signal->changed_at != trigger || signal->prev > 0 || more->begun_at == trigger || !(step_truth(view, 0) > 0))
        return false;
    more->begun_at = trigger;
    return true;
}

/* Before the output is told for the first time: as the telling will set its clock. */
int64_t wr_node_step_clock(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_signal *output = evaluator->outputs[instance->output];
    return output->met ? wr_signal_clock(output, evaluator->at.boot_ns) : wr_signal_now(evaluator, output);
}

/* One step further, or back to the start; true: look again. */
static bool advance_sequence(struct wr_view *view, struct wr_instance_more *more) {
    const struct wr_rule *rule = view->rule;
    const int64_t now_ns = wr_node_step_clock(view->evaluator, view->instance);
    if (more->step == rule->n_steps) { /* complete: holds as long as its last step does */
        const struct wr_rule_step *last = &rule->steps[rule->n_steps - 1];
        double truth = step_truth(view, rule->n_steps - 1);
        if (isnan(truth) || (truth > 0) != last->absent)
            return false;
        more->step = 0;
        return true;
    }
    if (more->step == 0) {
        if (!is_begun(view, more))
            return false;
        more->step = 1;
        more->step_since_ns = now_ns;
        return rule->n_steps > 1;
    }
    const struct wr_rule_step *step = &rule->steps[more->step];
    int64_t elapsed_ns = now_ns - more->step_since_ns;
    bool over = step->within_ns > 0 && elapsed_ns >= step->within_ns;
    bool met = step_truth(view, more->step) > 0 && (!over || elapsed_ns == step->within_ns);
    if (step->absent ? over && !met : met) {
        more->step++;
        more->step_since_ns = now_ns;
        return more->step < rule->n_steps;
    }
    if (over || (step->absent && met)) {
        more->step = 0;
        return true;
    }
    /* The first step again: what follows is awaited from here on; of something absent from the first time on. */
    if (more->step == 1 && !step->absent && is_begun(view, more))
        more->step_since_ns = now_ns;
    return false;
}

static double sequence_value(struct wr_view *view) {
    struct wr_instance_more *more = view->instance->more;
    if (!more || !wr_instance_signal(view->evaluator, view->instance, 0))
        return NAN;
    if (more->step_waits) { /* after a restart: what had passed of the step has passed */
        more->step_since_ns += wr_node_step_clock(view->evaluator, view->instance);
        more->step_waits = false;
    }
    for (uint32_t i = 0; i <= 2 * view->rule->n_steps && advance_sequence(view, more); i++)
        continue;
    return more->step == view->rule->n_steps;
}

/* -- vectors ------------------------------------------------------------------------------------------------------------------------------ */

/* A vector is complete when each of its series has spoken since the last one. Unknown while one of them is, and while the model learns. */
static double vector_value(struct wr_view *view) {
    struct wr_instance_more *more = view->instance->more;
    const uint32_t n = view->rule->n_operands;
    double vector[WR_RULE_OPERANDS];
    if (!more || !more->model)
        return NAN;
    for (uint32_t i = 0; i < n; i++) {
        const struct wr_signal *signal = wr_instance_signal(view->evaluator, view->instance, i);
        const struct wr_instruction value = {.op = WR_OP_VALUE, .a = (uint16_t)i};
        const struct wr_program program = {.code = &value, .n = 1};
        vector[i] = wr_view_run(view, &program);
        if (isnan(vector[i]))
            return NAN;
        more->seen |= (uint32_t)(signal && signal->sampled_at == view->evaluator->trigger) << i;
    }
    if (more->seen == (UINT32_C(1) << n) - 1) {
        struct wr_t2q_answer answer;
        more->seen = 0;
        if (wr_t2q_add(&view->rule->vector, more->model, vector, &answer))
            more->part = answer.part;
    }
    return more->part;
}

/* -- all ---------------------------------------------------------------------------------------------------------------------------------- */

double wr_node_value(struct wr_view *view) {
    switch (view->rule->kind) {
    case WR_RULE_SET:
        return set_value(view);
    case WR_RULE_SEQUENCE:
        return sequence_value(view);
    case WR_RULE_VECTOR:
        return vector_value(view);
    default:
        return wr_view_run(view, &view->rule->when);
    }
}

/* Whether a value has to be told: it is news, or somebody counts samples, or waits for one. */
static bool is_news(const struct wr_evaluator *evaluator, const struct wr_signal *signal, const struct wr_rule *rule, uint32_t id,
                    double value) {
    double before = wr_signal_band(evaluator, id)->value;
    bool sample = evaluator->at.series != WR_SERIES_NONE && !evaluator->at.over;
    return !signal->good || signal->fresh || before < value || before > value || (sample && (rule->every_sample || signal->n_wakes > 0));
}

void wr_node_tell(struct wr_evaluator *evaluator, struct wr_instance *instance, double value) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    const uint32_t id = instance->output | WR_SIGNAL_NODE;
    struct wr_signal *signal = evaluator->outputs[instance->output];
    struct wr_evaluator_band *band = wr_signal_band(evaluator, id);
    const bool sample = evaluator->at.series != WR_SERIES_NONE;
    /* Only a good sample is a sign of life: neither a window that a value leaves, nor a bad one. */
    const bool alive = sample && !evaluator->at.over && wr_signal_at(evaluator, evaluator->at.series)->good;
    int64_t boot_ns = evaluator->at.boot_ns;
    const int64_t at_ns = wr_signal_now(evaluator, signal);
    const struct wr_point *point = rule->output;
    if (point && (value < point->low || value > point->high))
        value = NAN; /* outside its declared range: bad, as with any point */
    if (isnan(value)) {
        if (signal->good) /* known up to now */
            band->arrival_boot_ns = wr_signal_last_good(evaluator, id);
        if (signal->good || signal->fresh || signal->n_wakes > 0) {
            signal->quality = WR_QUALITY_BAD;
            wr_signal_take_bad(evaluator, id, boot_ns);
        }
        return;
    }
    const bool corrects = wr_signal_is_corrected(evaluator, signal);
    if (rule->emit_ns > 0 && signal->ever && signal->good && at_ns - signal->told_ns < rule->emit_ns && !corrects)
        return;
    if (!is_news(evaluator, signal, rule, id, value)) {
        if (alive)
            band->arrival_boot_ns = boot_ns;
        return;
    }
    if (!corrects || !signal->ever)
        signal->told_ns = at_ns;
    signal->quality = WR_QUALITY_GOOD;
    wr_signal_take_good(evaluator, id, value, 0, at_ns, alive ? boot_ns : band->arrival_boot_ns);
}

bool wr_node_is_over(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    const struct wr_instance_more *more = instance->more;
    if (rule->kind != WR_RULE_SEQUENCE || !more || more->step == 0 || more->step == rule->n_steps || more->step_waits)
        return false;
    int64_t within_ns = rule->steps[more->step].within_ns;
    return within_ns > 0 && wr_node_step_clock(evaluator, instance) - more->step_since_ns > within_ns;
}

/* When the time of a sequence's step is over. */
static int64_t next_of_sequence(const struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_rule *rule) {
    const struct wr_instance_more *more = instance->more;
    if (!more || more->step == 0 || more->step == rule->n_steps || more->step_waits || rule->steps[more->step].within_ns == 0)
        return WR_NEVER_NS;
    int64_t elapsed_ns = wr_node_step_clock(evaluator, instance) - more->step_since_ns;
    return wr_clock_add_ns(evaluator->at.boot_ns, rule->steps[more->step].within_ns - elapsed_ns);
}

/* When the next member of a set falls silent. */
static int64_t next_of_set(const struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_rule *rule) {
    int64_t due = WR_NEVER_NS;
    for (uint32_t i = 0; rule->no_data_after_ns > 0 && instance->more && i < instance->more->n_members; i++) {
        int64_t at = wr_clock_add_ns(wr_signal_band(evaluator, instance->more->members[i])->arrival_boot_ns, rule->no_data_after_ns);
        if (at > evaluator->at.boot_ns && at < due)
            due = at;
    }
    return due;
}

int64_t wr_node_next_change(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    const struct wr_signal *signal = evaluator->outputs[instance->output];
    if (rule->kind == WR_RULE_SEQUENCE)
        return next_of_sequence(evaluator, instance, rule);
    if (rule->kind == WR_RULE_SET)
        return next_of_set(evaluator, instance, rule);
    if (rule->emit_ns == 0 || !signal->ever)
        return WR_NEVER_NS;
    /* What came since the last sample goes out when its time has come. */
    int64_t left_ns = signal->told_ns + rule->emit_ns - wr_signal_clock(signal, evaluator->at.boot_ns);
    return left_ns > 0 ? wr_clock_add_ns(evaluator->at.boot_ns, left_ns) : WR_NEVER_NS;
}
