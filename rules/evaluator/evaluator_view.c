/* What a program of an instance sees: values, windows, ages, cells, times; and when they change by themselves. */
#include <math.h>
#include <string.h>

#include "core/timezone.h"
#include "rules/evaluator/evaluator_private.h"
#include "rules/language/schedule.h"
#include "rules/language/table.h"

#define HOUR_EDGE_NS (15 * 60 * WR_NS_PER_S) /* all zones begin their hours at a quarter */

int64_t wr_signal_last_good(const struct wr_evaluator *evaluator, uint32_t id) {
    const struct wr_signal *signal = wr_signal_at(evaluator, id);
    int64_t own_ns = wr_signal_band(evaluator, id)->arrival_boot_ns;
    if (!(id & WR_SIGNAL_NODE) || !signal->good)
        return own_ns;
    const struct wr_instance *owner = &evaluator->instances[signal->owner];
    const struct wr_instance_more *more = owner->more;
    bool set = wr_instance_rule(evaluator, owner)->kind == WR_RULE_SET;
    int64_t inputs_ns = set ? INT64_MIN : INT64_MAX;
    for (uint32_t i = 0; set && more && i < more->n_members; i++) {
        int64_t at = wr_signal_band(evaluator, more->members[i])->arrival_boot_ns;
        inputs_ns = at > inputs_ns ? at : inputs_ns;
    }
    for (uint32_t i = 0; !set && i < wr_instance_rule(evaluator, owner)->n_operands; i++) {
        int64_t at = owner->signals[i] == WR_SERIES_NONE ? INT64_MAX : wr_signal_last_good(evaluator, owner->signals[i]);
        inputs_ns = at < inputs_ns ? at : inputs_ns;
    }
    return inputs_ns > own_ns && inputs_ns != INT64_MAX ? inputs_ns : own_ns;
}

int64_t wr_view_last_good(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand) {
    const struct wr_signal *signal = wr_instance_signal(evaluator, instance, operand);
    return !signal || !signal->ever ? instance->made_boot_ns : wr_signal_last_good(evaluator, instance->signals[operand]);
}

int64_t wr_view_last_arrival(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand) {
    const struct wr_signal *signal = wr_instance_signal(evaluator, instance, operand);
    int64_t good = wr_view_last_good(evaluator, instance, operand);
    return signal && signal->bad_boot_ns > good ? signal->bad_boot_ns : good;
}

bool wr_view_is_silent(const struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_rule *rule,
                       uint32_t operand) {
    return rule->no_data_after_ns > 0 && evaluator->at.boot_ns - wr_view_last_good(evaluator, instance, operand) >= rule->no_data_after_ns;
}

/* -- values ------------------------------------------------------------------------------------------------------------------------------- */

/* The signal of an operand; of a set's element the member that is looked at. WR_SERIES_NONE: it has not come yet. */
static uint32_t signal_of(const struct wr_view *view, uint32_t operand) {
    return view->member != WR_SERIES_NONE ? view->member : view->instance->signals[operand];
}

static struct wr_signal_operator *operator_of(const struct wr_evaluator *evaluator, const struct wr_instance *instance,
                                              const struct wr_rule_operator *wanted) {
    const struct wr_signal *signal = wr_instance_signal(evaluator, instance, wanted->operand);
    for (uint32_t i = 0; signal && i < signal->n_operators; i++)
        if (wr_operator_same(&signal->operators[i]->spec, &wanted->spec))
            return signal->operators[i];
    return NULL;
}

static double load_operator(const struct wr_view *view, const struct wr_instruction *instruction) {
    const struct wr_rule_operator *wanted = &view->rule->operators[instruction->a];
    struct wr_signal_operator *op = operator_of(view->evaluator, view->instance, wanted);
    if (!op || wr_view_is_silent(view->evaluator, view->instance, view->rule, wanted->operand))
        return NAN;
    const struct wr_signal *signal = wr_instance_signal(view->evaluator, view->instance, wanted->operand);
    if (signal->met)
        wr_operator_advance(&op->spec, op->state, wr_signal_clock(signal, view->evaluator->at.boot_ns));
    double answer = wr_operator_answer(&op->spec, op->state, (enum wr_function_id)instruction->b, instruction->number);
    return isfinite(answer) ? answer : NAN;
}

/* Before the first sample, after a restart too, an age is at least the time since then: not known to be below its limit. */
static double load_age(const struct wr_view *view, const struct wr_instruction *instruction) {
    const struct wr_signal *signal = wr_instance_signal(view->evaluator, view->instance, instruction->a);
    int64_t age = view->evaluator->at.boot_ns - wr_view_last_arrival(view->evaluator, view->instance, instruction->a);
    bool seen = signal && (signal->ever || signal->bad_boot_ns > 0);
    if (!seen && age < (int64_t)llround(instruction->number * 1e9) + instruction->b)
        return NAN;
    return age > 0 ? (double)age / 1e9 : 0;
}

static double load_cell(const struct wr_view *view, const struct wr_instruction *instruction) {
    const struct wr_rule_cell *cell = &view->rule->cells[instruction->a];
    return view->instance->more ? wr_table_number(cell->table, view->instance->more->rows[instruction->a], cell->column) : NAN;
}

static double load_time(const struct wr_view *view, const struct wr_instruction *instruction) {
    int64_t wall_ns = view->evaluator->at.event_ns;
    if (instruction->b == WR_FUNCTION_TIME)
        return (double)wall_ns / 1e9;
    struct wr_timezone_time local = wr_timezone_local(instruction->zone, wall_ns);
    return instruction->b == WR_FUNCTION_HOUR ? local.hour : local.weekday;
}

/* Something happened to the operand at this very sample. */
static double load_pulse(const struct wr_view *view, const struct wr_instruction *instruction, const struct wr_signal *signal,
                         double value) {
    bool now = signal->changed_at == view->evaluator->trigger;
    if (!now || !signal->has_prev)
        return 0;
    switch (instruction->b) {
    case WR_FUNCTION_RISES:
        return value != 0 && !(signal->prev < 0 || signal->prev > 0);
    case WR_FUNCTION_FALLS:
        return !(value < 0 || value > 0) && (signal->prev < 0 || signal->prev > 0);
    default:
        return 1;
    }
}

static double text_is(const struct wr_view *view, const struct wr_signal *signal, const char *text) {
    return strcmp(wr_symbol_text(view->evaluator->symbols, signal->symbol, NULL), text) == 0;
}

static double load_signal(const struct wr_view *view, const struct wr_instruction *instruction) {
    uint32_t id = signal_of(view, instruction->a);
    const struct wr_signal *signal = id == WR_SERIES_NONE ? NULL : wr_signal_at(view->evaluator, id);
    if (!signal)
        return NAN;
    if (instruction->op == WR_OP_QUALITY)
        return signal->ever || signal->bad_boot_ns > 0 ? WR_QUALITY_BAD - signal->quality : NAN;
    bool any = instruction->op == WR_OP_PULSE && instruction->b == WR_FUNCTION_CHANGED; /* a text may change too */
    if (!signal->ever || (!any && signal->text != (instruction->op == WR_OP_TEXT_IS)))
        return NAN;
    bool silent = view->member == WR_SERIES_NONE && wr_view_is_silent(view->evaluator, view->instance, view->rule, instruction->a);
    bool missing = !view->last && (!signal->good || silent);
    double value = wr_signal_band(view->evaluator, id)->value;
    switch (instruction->op) {
    case WR_OP_VALUE:
        return missing ? NAN : value;
    case WR_OP_LAST:
        return silent && !view->last ? NAN : value;
    case WR_OP_PREV:
        return !signal->has_prev || (silent && !view->last) ? NAN : signal->prev;
    case WR_OP_DELTA:
        return missing || !signal->has_prev ? NAN : value - signal->prev;
    case WR_OP_PULSE:
        return missing ? NAN : load_pulse(view, instruction, signal, value);
    default: /* WR_OP_TEXT_IS */
        return missing ? NAN : text_is(view, signal, instruction->text);
    }
}

static double load(void *user, const struct wr_instruction *instruction) {
    const struct wr_view *view = user;
    switch (instruction->op) {
    case WR_OP_OPERATOR:
        return load_operator(view, instruction);
    case WR_OP_AGE:
        return load_age(view, instruction);
    case WR_OP_CELL:
        return load_cell(view, instruction);
    case WR_OP_TIME:
        return load_time(view, instruction);
    default:
        return load_signal(view, instruction);
    }
}

struct wr_view wr_view_of(struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    return (struct wr_view){
        .evaluator = evaluator, .instance = instance, .rule = wr_instance_rule(evaluator, instance), .member = WR_SERIES_NONE};
}

double wr_view_run(struct wr_view *view, const struct wr_program *program) {
    return wr_program_run(program, load, view);
}

/* -- what changes by itself --------------------------------------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The boot time of a wall time. Timers are set anew with each sample, so a clock that is set in between is made up for. */
static int64_t boot_of(const struct wr_evaluator *evaluator, int64_t wall_ns) {
    return wr_clock_add_ns(evaluator->at.boot_ns, wall_ns - evaluator->at.now.wall_ns);
}

static int64_t next_of_operators(const struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_rule *rule) {
    int64_t boot_ns = evaluator->at.boot_ns;
    int64_t due = WR_NEVER_NS;
    for (uint32_t i = 0; i < rule->n_operators; i++) {
        const struct wr_signal_operator *op = operator_of(evaluator, instance, &rule->operators[i]);
        const struct wr_signal *signal = wr_instance_signal(evaluator, instance, rule->operators[i].operand);
        int64_t next = op && signal->met ? wr_operator_next(&op->spec, op->state) : INT64_MAX;
        if (next != INT64_MAX)
            due = earlier(due, wr_clock_add_ns(boot_ns, next - wr_signal_clock(signal, boot_ns)));
    }
    return due;
}

/* The time that schedules and hours are judged by: that of the sample. Where it is older than now, an edge may lie in between: then what was judged is looked at
 * again at once. Old data is judged by its own time, and has no edge to wait for. */
static int64_t judged_ns(const struct wr_evaluator *evaluator) {
    const struct wr_trigger *at = &evaluator->at;
    return !at->historic && at->event_ns < at->now.wall_ns ? at->event_ns : at->now.wall_ns;
}

int64_t wr_view_next_change(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    int64_t due = next_of_operators(evaluator, instance, rule);
    if (rule->active)
        due = earlier(due, boot_of(evaluator, wr_view_schedule(evaluator, rule->active, judged_ns(evaluator))->edge_ns));
    if (rule->by_hour) {
        int64_t wall_ns = judged_ns(evaluator);
        due = earlier(due, boot_of(evaluator, wall_ns - wall_ns % HOUR_EDGE_NS + HOUR_EDGE_NS));
    }
    return due;
}
