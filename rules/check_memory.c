/* Functions with memory: their windows, and the operator that computes them: the one of the node that the call has become. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/check.h"
#include "rules/sliding.h"

bool wr_check_duration(struct wr_scope *scope, struct wr_node *node, double low, double high, int64_t *ret_ns) {
    struct wr_node *length = wr_check_number(scope, node);
    if (!length || length->type == WR_NODE_IS_WRONG)
        return false;
    if (length->unit.ambiguous_m)
        length->unit = wr_unit_minute();
    const struct wr_unit second = wr_unit_second();
    if (!length->constant || !wr_unit_is_time(&length->unit)) {
        wr_scope_complain(scope, 105, node, "write 5m, 90s or 2h", "a duration is needed here");
        return false;
    }
    double seconds = wr_unit_convert(length->number, &length->unit, &second);
    if (!(seconds >= low && seconds <= high)) {
        wr_scope_complain(scope, 105, node, NULL, "a duration of %.9gs to %.9gd is needed here", low, high / 86400);
        return false;
    }
    *ret_ns = (int64_t)llround(seconds * 1e9);
    return true;
}

static bool read_count(struct wr_scope *scope, const struct wr_node *argument, struct wr_operator_call *call) {
    double n = argument->number;
    if (n < 1 || n > 1e6 || n > floor(n)) {
        wr_scope_complain(scope, 215, argument, NULL, "a window by count takes 1 to 1000000 samples");
        return false;
    }
    call->count = (uint32_t)n;
    return true;
}

#define WINDOW_LOW 1e-3
#define WINDOW_HIGH (400 * 86400.0)

static bool read_window(struct wr_scope *scope, const struct wr_node *at, const struct wr_window_arguments *window,
                        struct wr_operator_call *call) {
    if (!window->length && !window->tumbling) {
        wr_scope_complain(scope, 104, at, "write a window: 5m, `count 20`, `1h step=1m` or `tumbling=1m`",
                          "the window of '%.40s' is missing", at->text);
        return false;
    }
    if (window->tumbling && (window->length || window->step)) {
        wr_scope_complain(scope, 104, window->tumbling, "write tumbling=1m alone", "a window is sliding or tumbling, not both");
        return false;
    }
    if (window->tumbling)
        return wr_check_duration(scope, window->tumbling, WINDOW_LOW, WINDOW_HIGH, &call->tumbling_ns);
    if (window->length->kind == WR_NODE_COUNT) {
        if (window->step)
            wr_scope_complain(scope, 104, window->step, NULL, "`step=` is for windows by time");
        return read_count(scope, window->length, call) && !window->step;
    }
    if (!wr_check_duration(scope, window->length, WINDOW_LOW, WINDOW_HIGH, &call->span_ns) ||
        (window->step && !wr_check_duration(scope, window->step, WINDOW_LOW, WINDOW_HIGH, &call->step_ns)))
        return false;
    if (window->step && (call->step_ns > call->span_ns || call->span_ns % call->step_ns != 0)) {
        wr_scope_complain(scope, 215, window->step, NULL, "`step=` divides the window into equal parts");
        return false;
    }
    return true;
}

/* -- windows of the evaluator's own: up to 256 samples of a series ---------------------------------------------------------------------- */

/* The samples to make room for: twice what the declared period gives, so that jitter does not push any out; all of 256 when it is not known. 0: too many. */
static uint32_t capacity_of(const struct wr_point *point, int64_t span_ns, uint32_t count) {
    if (count > 0)
        return count <= WR_SLIDING_MAX ? count : 0;
    if (!point || point->every_ns <= 0)
        return WR_SLIDING_MAX;
    int64_t samples = (span_ns + point->every_ns - 1) / point->every_ns;
    if (samples > WR_SLIDING_MAX)
        return 0;
    return (uint32_t)(2 * samples + 4 < WR_SLIDING_MAX ? 2 * samples + 4 : WR_SLIDING_MAX);
}

bool wr_check_is_simple(const struct wr_scope *scope, const struct wr_node *call) {
    static const enum wr_function_id simple[] = {WR_FUNCTION_AVG,   WR_FUNCTION_MIN,  WR_FUNCTION_MAX,  WR_FUNCTION_SUM,
                                                 WR_FUNCTION_COUNT, WR_FUNCTION_RATE, WR_FUNCTION_DELTA};
    const struct wr_node *series = call->child;
    const struct wr_node *length = series ? series->next : NULL;
    char name[WR_SELECTOR_BYTES];
    bool known = false;
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        known |= simple[i] == call->function->id;
    if (!known || series->kind != WR_NODE_SERIES || !length || length->next ||
        (length->kind != WR_NODE_COUNT && length->kind != WR_NODE_NUMBER))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(series->text, "{"), series->text);
    if (scope->ruleset->nodes && wr_nodes_derived(scope->ruleset->nodes, name))
        return false;
    const struct wr_unit second = wr_unit_second();
    const struct wr_unit unit = length->unit.ambiguous_m ? wr_unit_minute() : length->unit;
    double seconds = length->kind == WR_NODE_NUMBER && wr_unit_is_time(&unit) ? wr_unit_convert(length->number, &unit, &second) : 0;
    char plain[WR_SELECTOR_BYTES];
    const struct wr_point *point = wr_ruleset_point(scope->ruleset, wr_ruleset_plain_name(name, plain, sizeof plain));
    bool counted = length->kind == WR_NODE_COUNT && length->number >= 1 && length->number <= WR_SLIDING_MAX;
    return counted || (seconds >= WINDOW_LOW && seconds <= WINDOW_HIGH && capacity_of(point, (int64_t)(seconds * 1e9), 0) > 0);
}

static bool add_window(struct wr_scope *scope, struct wr_node *node, struct wr_rule_window window) {
    struct wr_rule *rule = scope->rule;
    node->simple = true;
    for (node->memory = 0; node->memory < rule->n_windows; node->memory++) {
        const struct wr_rule_window *known = &rule->windows[node->memory];
        if (known->operand == window.operand && known->span_ns == window.span_ns &&
            (window.span_ns > 0 || known->capacity == window.capacity))
            return true;
    }
    if (rule->n_windows == WR_RULE_WINDOWS) {
        wr_scope_complain(scope, 107, node, NULL, "more than %d different windows in one rule", WR_RULE_WINDOWS);
        return false;
    }
    rule->windows[rule->n_windows++] = window;
    return true;
}

/* -- operators ---------------------------------------------------------------------------------------------------------------------------- */

/* A derived condition that is counted tells every evaluation. */
static void want_every_sample(struct wr_scope *scope, const struct wr_operand *operand) {
    if (operand->node != WR_NODE_NO)
        wr_nodes_get(scope->ruleset->nodes, operand->node)->every_sample = true;
}

bool wr_check_memory(struct wr_scope *scope, struct wr_node *node, struct wr_operator_call *call,
                     const struct wr_window_arguments *window) {
    struct wr_rule *rule = scope->rule;
    const struct wr_operand *operand = &rule->operands[node->operand];
    if (window && !read_window(scope, node, window, call))
        return false;
    call->point = operand->point;
    if (node->simple)
        return add_window(scope, node,
                          (struct wr_rule_window){node->operand, call->span_ns, capacity_of(call->point, call->span_ns, call->count)});
    struct wr_error err;
    struct wr_rule_operator *operators = wr_arena_take(&scope->ruleset->arena, sizeof *operators);
    if (!operators)
        return false;
    operators->operand = node->operand;
    if (wr_operator_plan(call, &operators->spec, &err) != WR_OK) {
        wr_scope_complain(scope, 215, node, NULL, "%s", err.text);
        return false;
    }
    if (operators->spec.every_sample)
        want_every_sample(scope, operand);
    node->memory = 0;
    rule->operators = operators;
    rule->n_operators = 1;
    return true;
}
