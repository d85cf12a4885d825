/* One instance, one step: what its condition says now, and what its delays make of it. */
#include <math.h>

#include "rules/evaluator/evaluator_private.h"
#include "rules/language/schedule.h"

/* -- time --------------------------------------------------------------------------------------------------------------------------------- */

/* The clock of an operand's signal; boot time stands for it until the first sample. */
static int64_t clock_of(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand, int64_t boot_ns) {
    const struct wr_signal *signal = wr_instance_signal(evaluator, instance, operand);
    return signal && signal->met ? wr_signal_clock(signal, boot_ns) : boot_ns;
}

int64_t wr_instance_elapsed(const struct wr_evaluator *evaluator, const struct wr_instance *instance, int64_t boot_ns) {
    return instance->frozen ? instance->since_ns : clock_of(evaluator, instance, instance->operand, boot_ns) - instance->since_ns;
}

void wr_instance_freeze(struct wr_evaluator *evaluator, struct wr_instance *instance, int64_t boot_ns) {
    if (instance->delay == WR_DELAY_NONE || instance->frozen)
        return;
    instance->since_ns = wr_instance_elapsed(evaluator, instance, boot_ns);
    instance->frozen = true;
}

/* Whether the sample that is looked at is this operand's, or went into what the operand computes: then both clocks stand at the same time. */
static bool is_moved(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand) {
    const struct wr_signal *signal = wr_instance_signal(evaluator, instance, operand);
    if (!signal)
        return false;
    if (evaluator->at.series == WR_SERIES_NONE || instance->signals[operand] == evaluator->at.series)
        return true;
    return (instance->signals[operand] & WR_SIGNAL_NODE) && signal->met && signal->clock_source == evaluator->at.series &&
           signal->clock_event_ns == evaluator->at.clock_ns;
}

/* The delay runs on the clock of the signal that set it off. */
static void start_delay(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_delay delay) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    instance->delay = (uint8_t)delay;
    instance->frozen = false;
    instance->operand = 0;
    for (uint32_t i = rule->n_operands; i-- > 0;)
        if (is_moved(evaluator, instance, i))
            instance->operand = (uint8_t)i;
    instance->since_ns = clock_of(evaluator, instance, instance->operand, evaluator->at.boot_ns);
}

static void go_on(struct wr_evaluator *evaluator, struct wr_instance *instance) {
    if (!instance->frozen)
        return;
    instance->since_ns = clock_of(evaluator, instance, instance->operand, evaluator->at.boot_ns) - instance->since_ns;
    instance->frozen = false;
}

/* -- the condition ------------------------------------------------------------------------------------------------------------------------ */

/* Of a rule with levels: true when any is; *ret_level is the highest. */
static double level_condition(struct wr_view *view, uint8_t *ret_level) {
    double any = 0;
    for (uint32_t i = 0; i < view->rule->n_levels; i++) {
        const struct wr_program program = {.code = &(const struct wr_instruction){.op = WR_OP_VALUE, .a = (uint16_t)i}, .n = 1};
        double truth = wr_view_run(view, &program);
        if (truth > 0) {
            *ret_level = (uint8_t)(i + 1);
            any = 1;
        } else if (isnan(truth) && any == 0) {
            any = NAN;
        }
    }
    return any;
}

/* Hysteresis: once the condition holds, it ends when `when` is false and `clear` is true. */
static double raw_condition(struct wr_view *view, uint8_t *ret_level) {
    const struct wr_rule *rule = view->rule;
    view->evaluator->stats.evaluations++;
    *ret_level = 0;
    if (rule->active && !wr_view_schedule(view->evaluator, rule->active, view->evaluator->at.event_ns)->active)
        return 0;
    if (rule->n_levels > 0)
        return level_condition(view, ret_level);
    double when = rule->kind == WR_RULE_ALARM ? wr_view_run(view, &rule->when) : wr_node_value(view);
    if (!view->instance->condition || isnan(when) || when > 0 || rule->clear.n == 0)
        return when;
    double clear = wr_view_run(view, &rule->clear);
    return isnan(clear) ? NAN : 1 - clear;
}

/* Some signal that is missing has been so for no_data_after. */
static bool is_expired(const struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_rule *rule) {
    for (uint32_t i = 0; i < rule->n_operands; i++)
        if (wr_view_is_silent(evaluator, instance, rule, i))
            return true;
    return false;
}

/* The raw condition is known: delays. True when the condition, or the state of an alarm on its way, may have changed by it: *ret_event. */
static bool run_delays(struct wr_evaluator *evaluator, struct wr_instance *instance, bool raw, bool at_once,
                       enum wr_alarm_event *ret_event) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    if (raw == instance->condition) {
        instance->delay = WR_DELAY_NONE;
        instance->frozen = false;
        *ret_event = WR_ALARM_EVENT_FALSE;
        return !raw; /* pending falls back */
    }
    int64_t delay_ns = at_once ? 0 : raw ? rule->on_delay_ns : rule->off_delay_ns;
    bool started = false;
    if (instance->delay == WR_DELAY_NONE) {
        if (raw)
            instance->true_boot_ns = evaluator->at.boot_ns;
        if (delay_ns > 0) {
            start_delay(evaluator, instance, raw ? WR_DELAY_ON : WR_DELAY_OFF);
            started = raw;
        }
    }
    go_on(evaluator, instance);
    if (delay_ns > 0 && wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns) < delay_ns) {
        *ret_event = WR_ALARM_EVENT_START;
        return started;
    }
    /* What has passed of it counts as true, also where event time ran ahead of boot time. */
    if (raw && delay_ns > 0) {
        int64_t true_boot_ns = evaluator->at.boot_ns - wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns);
        instance->true_boot_ns = true_boot_ns < instance->true_boot_ns ? true_boot_ns : instance->true_boot_ns;
    }
    instance->delay = WR_DELAY_NONE;
    instance->condition = raw;
    *ret_event = raw ? WR_ALARM_EVENT_TRUE : WR_ALARM_EVENT_FALSE;
    return true;
}

/* -- what it waits for -------------------------------------------------------------------------------------------------------------------- */

static void set_waking(struct wr_evaluator *evaluator, struct wr_instance *instance, bool waking) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    uint32_t index = (uint32_t)(instance - evaluator->instances);
    if (instance->waking == waking)
        return;
    instance->waking = waking;
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        struct wr_signal *signal = wr_instance_signal(evaluator, instance, i);
        if (!signal || wr_operand_is_opaque(rule, i))
            continue; /* an opaque operand wakes always */
        if (waking) {
            signal->wakes[signal->n_wakes++] = index;
        } else {
            for (uint32_t k = 0; k < signal->n_wakes; k++)
                if (signal->wakes[k] == index) {
                    signal->wakes[k] = signal->wakes[--signal->n_wakes];
                    break;
                }
        }
        wr_evaluator_refresh_band(evaluator, instance->signals[i]);
    }
}

/* Whether the next sample matters whatever its value: a delay runs on its time, or an age or a silence ends with it. */
static bool wants_waking(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    if (instance->delay != WR_DELAY_NONE || instance->historic)
        return true;
    for (uint32_t i = 0; i < rule->n_ages; i++)
        if (evaluator->at.boot_ns - wr_view_last_arrival(evaluator, instance, rule->ages[i].operand) >= rule->ages[i].after_ns)
            return true;
    for (uint32_t i = 0; i < rule->n_operands; i++)
        if (instance->signals[i] != WR_SERIES_NONE && wr_view_is_silent(evaluator, instance, rule, i))
            return true;
    return false;
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The next boot time at which the result may change though no sample comes. */
static int64_t next_due(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    int64_t boot_ns = evaluator->at.boot_ns;
    int64_t due = wr_view_next_change(evaluator, instance);
    if (instance->delay != WR_DELAY_NONE && !instance->frozen) {
        int64_t delay_ns = instance->delay == WR_DELAY_ON ? rule->on_delay_ns : rule->off_delay_ns;
        due = earlier(due, wr_clock_add_ns(boot_ns, delay_ns - wr_instance_elapsed(evaluator, instance, boot_ns)));
    }
    for (uint32_t i = 0; rule->no_data_after_ns > 0 && i < rule->n_operands; i++) {
        int64_t at = wr_clock_add_ns(wr_view_last_good(evaluator, instance, i), rule->no_data_after_ns);
        if (at > boot_ns)
            due = earlier(due, at);
    }
    for (uint32_t i = 0; i < rule->n_ages; i++) {
        int64_t at = wr_clock_add_ns(wr_view_last_arrival(evaluator, instance, rule->ages[i].operand), rule->ages[i].after_ns);
        if (at > boot_ns)
            due = earlier(due, at);
    }
    if (rule->kind != WR_RULE_ALARM)
        due = earlier(due, wr_node_next_change(evaluator, instance));
    due = earlier(due, wr_instance_forget_at(evaluator, instance));
    return due > boot_ns ? due : boot_ns + 1;
}

void wr_instance_settle(struct wr_evaluator *evaluator, struct wr_instance *instance) {
    set_waking(evaluator, instance, wants_waking(evaluator, instance));
    wr_timer_arm(&evaluator->timers, (uint32_t)(instance - evaluator->instances), next_due(evaluator, instance));
}

/* -- the step ----------------------------------------------------------------------------------------------------------------------------- */

/* A node that is no alarm: its value goes to those who read it. */
static void step_node(struct wr_evaluator *evaluator, struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    struct wr_view view = wr_view_of(evaluator, instance);
    enum wr_alarm_event event;
    uint8_t level;
    double value = raw_condition(&view, &level);
    instance->unknown = isnan(value);
    if (rule->on_delay_ns > 0 || rule->off_delay_ns > 0 || rule->clear.n > 0) {
        if (instance->unknown)
            wr_instance_freeze(evaluator, instance, evaluator->at.boot_ns);
        else
            (void)run_delays(evaluator, instance, value > 0, false, &event);
        value = instance->unknown ? NAN : instance->condition;
    }
    wr_node_tell(evaluator, instance, value);
}

/* valid_if: what is not valid is evaluated and journalled, but not annunciated. */
static bool step_validity(struct wr_view *view, struct wr_instance *instance, bool told, struct wr_alarm_out *out) {
    bool was = instance->invalid;
    if (view->rule->valid_if.n == 0)
        return told;
    instance->invalid = !(wr_view_run(view, &view->rule->valid_if) > 0);
    if (told && was != instance->invalid) /* what was told bears the old one */
        wr_annunciator_invalid(view->evaluator->annunciator, (uint32_t)(instance - view->evaluator->instances), instance->invalid,
                               &view->evaluator->at.now);
    if (told || was == instance->invalid || !wr_alarm_state_is_active((enum wr_alarm_state)instance->state))
        return told;
    wr_instance_emit(view->evaluator, instance, (enum wr_alarm_state)instance->state, was ? WR_ALARM_UNSUPPRESSED : WR_ALARM_SUPPRESSED, "",
                     out);
    return true;
}

/* The level goes up or down while the condition holds. */
static bool step_level(struct wr_evaluator *evaluator, struct wr_instance *instance, uint8_t level, bool told, struct wr_alarm_out *out) {
    uint8_t before = instance->level;
    if (level == before || (level == 0 && wr_alarm_state_is_active((enum wr_alarm_state)instance->state)))
        return told; /* what has returned shows the level that it had */
    instance->level = level;
    if (told || before == 0 || level == 0 || !instance->condition)
        return told;
    if (level > before && wr_instance_put_event(evaluator, instance, WR_ALARM_EVENT_ESCALATE, "", out))
        return true;
    wr_instance_emit(evaluator, instance, (enum wr_alarm_state)instance->state, level > before ? WR_ALARM_ESCALATED : WR_ALARM_DEESCALATED,
                     "", out);
    return true;
}

static void step_alarm(struct wr_evaluator *evaluator, struct wr_instance *instance, struct wr_alarm_out *out) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    struct wr_view view = wr_view_of(evaluator, instance);
    enum wr_alarm_event event = WR_ALARM_EVENT_FALSE;
    uint8_t level;
    double raw = raw_condition(&view, &level);
    bool was = instance->no_data;
    instance->unknown = isnan(raw);
    instance->no_data = instance->unknown && (was || is_expired(evaluator, instance, rule)); /* ends when something is known again */
    bool at_once = instance->no_data && rule->no_data != WR_NO_DATA_HOLD;
    bool any = false;
    if (at_once)
        any = run_delays(evaluator, instance, rule->no_data == WR_NO_DATA_RAISE, true, &event);
    else if (instance->unknown)
        wr_instance_freeze(evaluator, instance, evaluator->at.boot_ns);
    else
        any = run_delays(evaluator, instance, raw > 0, false, &event);
    if (any && event == WR_ALARM_EVENT_TRUE && level > 0)
        instance->level = level;
    bool told = any && wr_instance_put_event(evaluator, instance, event, "", out);
    if (!instance->unknown && rule->n_levels > 0)
        told = step_level(evaluator, instance, level, told, out);
    if (!told && was != instance->no_data) {
        wr_instance_emit(evaluator, instance, (enum wr_alarm_state)instance->state, was ? WR_ALARM_DATA_RETURNED : WR_ALARM_DATA_STALE, "",
                         out);
        told = true;
    }
    told = step_validity(&view, instance, told, out);
    /* What old data has changed, and live data confirms, is told now. */
    if (instance->historic && !evaluator->at.historic && !instance->unknown && !told) {
        instance->historic = false;
        if (instance->told != instance->condition)
            wr_instance_emit(evaluator, instance, (enum wr_alarm_state)instance->state,
                             instance->condition ? WR_ALARM_RAISED : WR_ALARM_CLEARED, "", out);
    }
}

void wr_instance_step(struct wr_evaluator *evaluator, struct wr_instance *instance, struct wr_alarm_out *out) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    if (rule->kind != WR_RULE_ALARM)
        step_node(evaluator, instance);
    else if (!evaluator->at.historic || rule->backfill != WR_BACKFILL_IGNORE)
        step_alarm(evaluator, instance, out);
    else
        instance->historic = true;
    wr_instance_settle(evaluator, instance);
}
