/* One instance, one step: what its condition says now, what its delays make of it, and what that means for its state. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/evaluator_private.h"

/* Whose values a program sees. */
struct view {
    struct wr_evaluator *evaluator;
    const struct wr_instance *instance;
    const struct wr_rule *rule;
    bool last; /* for messages: the last good value stands for one that is missing */
};

/* -- time -------------------------------------------------------------------------------------------------------------------------------- */

/* The clock of an operand's series; boot time stands for it until the first sample. */
static int64_t clock_of(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand, int64_t boot_ns) {
    const struct wr_series_state *series = wr_instance_series(evaluator, instance, operand);
    if (!series || !series->met)
        return boot_ns;
    return boot_ns > series->clock_boot_ns ? wr_clock_add_ns(series->clock_ns, boot_ns - series->clock_boot_ns) : series->clock_ns;
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

/* The delay runs on the clock of the series that set it off. */
static void start_delay(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_delay delay) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    instance->delay = (uint8_t)delay;
    instance->frozen = false;
    instance->operand = 0;
    for (uint32_t i = rule->n_operands; i-- > 0;)
        if (instance->series[i] != WR_SERIES_NONE &&
            (evaluator->at.series == WR_SERIES_NONE || instance->series[i] == evaluator->at.series))
            instance->operand = (uint8_t)i;
    instance->since_ns = clock_of(evaluator, instance, instance->operand, evaluator->at.boot_ns);
}

static void go_on(struct wr_evaluator *evaluator, struct wr_instance *instance) {
    if (!instance->frozen)
        return;
    instance->since_ns = clock_of(evaluator, instance, instance->operand, evaluator->at.boot_ns) - instance->since_ns;
    instance->frozen = false;
}

/* Boot time of the last good sample; of the instance's birth when there was none. */
static int64_t last_good(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand) {
    const struct wr_series_state *series = wr_instance_series(evaluator, instance, operand);
    if (!series || !series->ever)
        return instance->made_boot_ns;
    return evaluator->bands[instance->series[operand]].arrival_boot_ns;
}

/* The same for any sample. */
static int64_t last_arrival(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand) {
    const struct wr_series_state *series = wr_instance_series(evaluator, instance, operand);
    int64_t good = last_good(evaluator, instance, operand);
    return series && series->bad_boot_ns > good ? series->bad_boot_ns : good;
}

/* Silent for no_data_after: its last value does not count any more. */
static bool is_silent(const struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_rule *rule,
                      uint32_t operand) {
    return rule->no_data_after_ns > 0 && evaluator->at.boot_ns - last_good(evaluator, instance, operand) >= rule->no_data_after_ns;
}

/* -- values ------------------------------------------------------------------------------------------------------------------------------ */

static double text_is(const struct view *view, const struct wr_series_state *series, const char *text) {
    return strcmp(wr_symbol_text(view->evaluator->symbols, series->symbol, NULL), text) == 0;
}

static double load_window(const struct view *view, const struct wr_instruction *instruction) {
    const struct wr_rule_window *spec = &view->rule->windows[instruction->a];
    struct wr_sliding *window = view->instance->windows[instruction->a];
    const struct wr_point *point = view->rule->operands[spec->operand].point;
    if (!window || is_silent(view->evaluator, view->instance, view->rule, spec->operand))
        return NAN;
    wr_sliding_advance(window, clock_of(view->evaluator, view->instance, spec->operand, view->evaluator->at.boot_ns));
    double answer = wr_sliding_answer(window, (enum wr_function_id)instruction->b, point && point->counter, point ? point->wrap : 0);
    return isfinite(answer) ? answer : NAN;
}

/* Before the first sample, after a restart too, an age is at least the time since then: not known to be below its limit. */
static double load_age(const struct view *view, const struct wr_instruction *instruction) {
    const struct wr_series_state *series = wr_instance_series(view->evaluator, view->instance, instruction->a);
    int64_t age = view->evaluator->at.boot_ns - last_arrival(view->evaluator, view->instance, instruction->a);
    bool seen = series && (series->ever || series->bad_boot_ns > 0);
    if (!seen && age < (int64_t)llround(instruction->number * 1e9) + instruction->b)
        return NAN;
    return age > 0 ? (double)age / 1e9 : 0;
}

static double load(void *user, const struct wr_instruction *instruction) {
    const struct view *view = user;
    if (instruction->op == WR_OP_WINDOW)
        return load_window(view, instruction);
    const struct wr_instance *instance = view->instance;
    if (instruction->op == WR_OP_AGE)
        return load_age(view, instruction);
    const struct wr_series_state *series = wr_instance_series(view->evaluator, instance, instruction->a);
    if (!series || !series->ever || series->text != (instruction->op == WR_OP_TEXT_IS))
        return NAN;
    bool silent = is_silent(view->evaluator, instance, view->rule, instruction->a);
    bool missing = !view->last && (!series->good || silent);
    double value = view->evaluator->bands[instance->series[instruction->a]].value;
    switch (instruction->op) {
    case WR_OP_VALUE:
        return missing ? NAN : value;
    case WR_OP_LAST:
        return silent && !view->last ? NAN : value;
    case WR_OP_PREV:
        return !series->has_prev || (silent && !view->last) ? NAN : series->prev;
    case WR_OP_DELTA:
        return missing || !series->has_prev ? NAN : value - series->prev;
    default: /* WR_OP_TEXT_IS */
        return missing ? NAN : text_is(view, series, instruction->text);
    }
}

/* Hysteresis: once the condition holds, it ends when `when` is false and `clear` is true. */
static double raw_condition(struct view *view) {
    view->evaluator->stats.evaluations++;
    double when = wr_program_run(&view->rule->when, load, view);
    if (!view->instance->condition || isnan(when) || when > 0 || view->rule->clear.n == 0)
        return when;
    double clear = wr_program_run(&view->rule->clear, load, view);
    return isnan(clear) ? NAN : 1 - clear;
}

/* Some series that is missing has been so for no_data_after. */
static bool is_expired(const struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_rule *rule) {
    for (uint32_t i = 0; i < rule->n_operands; i++)
        if (is_silent(evaluator, instance, rule, i))
            return true;
    return false;
}

/* -- entries ----------------------------------------------------------------------------------------------------------------------------- */

/* The comparison that decided: the first that is true, else the first. */
static const struct wr_leaf *deciding_leaf(struct view *view) {
    for (uint32_t i = 0; i < view->rule->n_leaves; i++)
        if (wr_program_run(&view->rule->leaves[i].truth, load, view) > 0)
            return &view->rule->leaves[i];
    return view->rule->n_leaves > 0 ? &view->rule->leaves[0] : NULL;
}

static void fill_value(struct view *view, struct wr_alarm *alarm) {
    const struct wr_leaf *leaf = deciding_leaf(view);
    view->last = true;
    double value = NAN;
    double limit = NAN;
    if (leaf && leaf->value.n > 0) {
        value = wr_program_run(&leaf->value, load, view);
        limit = wr_program_run(&leaf->low, load, view);
        if (leaf->high.n > 0 && value > limit)
            limit = wr_program_run(&leaf->high, load, view);
        snprintf(alarm->unit, sizeof alarm->unit, "%s", leaf->unit);
    } else if (!leaf && wr_instance_series(view->evaluator, view->instance, 0)) {
        const struct wr_instruction first = {.op = WR_OP_VALUE};
        value = load(view, &first);
    }
    view->last = false;
    alarm->has_value = isfinite(value);
    alarm->value = alarm->has_value ? value : 0;
    alarm->has_limit = isfinite(limit);
    alarm->limit = alarm->has_limit ? limit : 0;
}

void wr_instance_fill(struct wr_evaluator *evaluator, const struct wr_instance *instance, enum wr_alarm_state from,
                      enum wr_alarm_cause cause, struct wr_alarm_entry *entry) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    struct view view = {.evaluator = evaluator, .instance = instance, .rule = rule};
    struct wr_alarm *alarm = &entry->alarm;
    memset(entry, 0, sizeof *entry);
    snprintf(alarm->rule, sizeof alarm->rule, "%s", rule->name);
    snprintf(alarm->instance, sizeof alarm->instance, "%s", instance->text);
    alarm->id = instance->id;
    alarm->transition = instance->transition;
    alarm->from = (uint8_t)from;
    alarm->to = instance->state;
    alarm->cause = (uint8_t)cause;
    alarm->severity = (uint8_t)rule->severity;
    alarm->data = instance->unknown ? WR_ALARM_DATA_STALE_NOW : WR_ALARM_DATA_OK;
    fill_value(&view, alarm);
    const struct wr_trigger *at = &evaluator->at;
    alarm->event_ns = at->event_ns;
    alarm->wall_ns = at->now.wall_ns;
    alarm->arrival_boot_ns = at->arrival_boot_ns;
    alarm->decided_boot_ns = at->now.boot_ns;
    wr_template_message(&rule->message, alarm, at->boot_ns - instance->true_boot_ns, alarm->message, sizeof alarm->message);
}

static void emit(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_state from, enum wr_alarm_cause cause,
                 const char *by_whom, struct wr_alarm_out *out) {
    struct wr_alarm_entry *entry = &out->entries[out->n++];
    instance->transition++;
    wr_instance_fill(evaluator, instance, from, cause, entry);
    snprintf(entry->alarm.by_whom, sizeof entry->alarm.by_whom, "%s", by_whom);
    wr_instance_encode(evaluator, instance, entry);
}

/* -- the step ---------------------------------------------------------------------------------------------------------------------------- */

/* Puts an event to the state machine; true when it made an entry. */
static bool put_event(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_event event, const char *by_whom,
                      struct wr_alarm_out *out) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    enum wr_alarm_state from = (enum wr_alarm_state)instance->state;
    struct wr_alarm_step step;
    if (!wr_alarm_state_step(from, event, rule->latch, rule->auto_ack, &step))
        return false;
    wr_instance_set_state(evaluator, instance, step.to);
    instance->changed_wall_ns = evaluator->at.now.wall_ns;
    if (step.cause)
        emit(evaluator, instance, from, step.cause, by_whom, out);
    return step.cause != 0;
}

/* The raw condition is known: delays. `at_once`: no_data decided, and has waited long enough. */
static bool put_condition(struct wr_evaluator *evaluator, struct wr_instance *instance, bool raw, bool at_once, struct wr_alarm_out *out) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    if (raw == instance->condition) {
        instance->delay = WR_DELAY_NONE;
        instance->frozen = false;
        return !raw && put_event(evaluator, instance, WR_ALARM_EVENT_FALSE, "", out); /* pending falls back */
    }
    int64_t delay_ns = at_once ? 0 : raw ? rule->on_delay_ns : rule->off_delay_ns;
    if (instance->delay == WR_DELAY_NONE) {
        if (raw)
            instance->true_boot_ns = evaluator->at.boot_ns;
        if (delay_ns > 0) {
            start_delay(evaluator, instance, raw ? WR_DELAY_ON : WR_DELAY_OFF);
            if (raw)
                put_event(evaluator, instance, WR_ALARM_EVENT_START, "", out);
        }
    }
    go_on(evaluator, instance);
    if (delay_ns > 0 && wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns) < delay_ns)
        return false;
    /* What has passed of it counts as true, also where event time ran ahead of boot time. */
    if (raw && delay_ns > 0) {
        int64_t true_boot_ns = evaluator->at.boot_ns - wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns);
        instance->true_boot_ns = true_boot_ns < instance->true_boot_ns ? true_boot_ns : instance->true_boot_ns;
    }
    instance->delay = WR_DELAY_NONE;
    instance->condition = raw;
    return put_event(evaluator, instance, raw ? WR_ALARM_EVENT_TRUE : WR_ALARM_EVENT_FALSE, "", out);
}

static void set_waking(struct wr_evaluator *evaluator, struct wr_instance *instance, bool waking) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    uint32_t index = (uint32_t)(instance - evaluator->instances);
    if (instance->waking == waking)
        return;
    instance->waking = waking;
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        struct wr_series_state *series = wr_instance_series(evaluator, instance, i);
        if (!series || rule->operands[i].opaque)
            continue; /* an opaque operand wakes always */
        if (waking) {
            series->wakes[series->n_wakes++] = index;
        } else {
            for (uint32_t k = 0; k < series->n_wakes; k++)
                if (series->wakes[k] == index) {
                    series->wakes[k] = series->wakes[--series->n_wakes];
                    break;
                }
        }
        wr_evaluator_refresh_band(evaluator, instance->series[i]);
    }
}

/* Whether the next sample matters whatever its value: a delay runs on its time, or an age or a silence ends with it. */
static bool wants_waking(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    if (instance->delay != WR_DELAY_NONE)
        return true;
    for (uint32_t i = 0; i < rule->n_ages; i++)
        if (evaluator->at.boot_ns - last_arrival(evaluator, instance, rule->ages[i].operand) >= rule->ages[i].after_ns)
            return true;
    for (uint32_t i = 0; i < rule->n_operands; i++)
        if (instance->series[i] != WR_SERIES_NONE && is_silent(evaluator, instance, rule, i))
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
    int64_t due = WR_NEVER_NS;
    if (instance->delay != WR_DELAY_NONE && !instance->frozen) {
        int64_t delay_ns = instance->delay == WR_DELAY_ON ? rule->on_delay_ns : rule->off_delay_ns;
        due = wr_clock_add_ns(boot_ns, delay_ns - wr_instance_elapsed(evaluator, instance, boot_ns));
    }
    for (uint32_t i = 0; rule->no_data_after_ns > 0 && i < rule->n_operands; i++) {
        int64_t at = wr_clock_add_ns(last_good(evaluator, instance, i), rule->no_data_after_ns);
        if (at > boot_ns)
            due = earlier(due, at);
    }
    for (uint32_t i = 0; i < rule->n_ages; i++) {
        int64_t at = wr_clock_add_ns(last_arrival(evaluator, instance, rule->ages[i].operand), rule->ages[i].after_ns);
        if (at > boot_ns)
            due = earlier(due, at);
    }
    for (uint32_t i = 0; i < rule->n_windows; i++) {
        int64_t leave = instance->windows[i] ? wr_sliding_next_leave(instance->windows[i]) : INT64_MAX;
        if (leave != INT64_MAX)
            due = earlier(due, wr_clock_add_ns(boot_ns, leave - clock_of(evaluator, instance, rule->windows[i].operand, boot_ns)));
    }
    return due > boot_ns ? due : boot_ns + 1;
}

void wr_instance_settle(struct wr_evaluator *evaluator, struct wr_instance *instance) {
    set_waking(evaluator, instance, wants_waking(evaluator, instance));
    wr_timer_arm(&evaluator->timers, (uint32_t)(instance - evaluator->instances), next_due(evaluator, instance));
}

void wr_instance_step(struct wr_evaluator *evaluator, struct wr_instance *instance, struct wr_alarm_out *out) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    struct view view = {.evaluator = evaluator, .instance = instance, .rule = rule};
    double raw = raw_condition(&view);
    bool was = instance->no_data;
    instance->unknown = isnan(raw);
    instance->no_data = instance->unknown && (was || is_expired(evaluator, instance, rule)); /* ends when something is known again */
    bool at_once = instance->no_data && rule->no_data != WR_NO_DATA_HOLD;
    bool told = false;
    if (at_once)
        told = put_condition(evaluator, instance, rule->no_data == WR_NO_DATA_RAISE, true, out);
    else if (instance->unknown)
        wr_instance_freeze(evaluator, instance, evaluator->at.boot_ns);
    else
        told = put_condition(evaluator, instance, raw > 0, false, out);
    if (!told && was != instance->no_data)
        emit(evaluator, instance, (enum wr_alarm_state)instance->state, was ? WR_ALARM_DATA_RETURNED : WR_ALARM_DATA_STALE, "", out);
    wr_instance_settle(evaluator, instance);
}

bool wr_instance_command(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_event event, const char *by_whom,
                         struct wr_alarm_out *out) {
    if (!put_event(evaluator, instance, event, by_whom, out))
        return false;
    /* Back in normal while the condition is on its way: that is pending. */
    if (instance->delay == WR_DELAY_ON)
        put_event(evaluator, instance, WR_ALARM_EVENT_START, by_whom, out);
    return true;
}
