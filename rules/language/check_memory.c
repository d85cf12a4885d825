/* Functions with memory: their windows, and the operator that computes them: the one of the node that the call has become. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/language/check.h"

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
    if (window->length->kind == WR_NODE_SERIES && strcmp(window->length->text, "count") == 0) {
        wr_scope_complain(scope, 104, window->length, "write count 20", "`count` needs the number of samples");
        return false;
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

void wr_check_want_every_sample(const struct wr_scope *scope, const struct wr_operand *operand) {
    if (operand->node == WR_NODE_NO)
        return;
    struct wr_rule *node = wr_nodes_get(scope->ruleset->nodes, operand->node);
    if (node->every_sample)
        return; /* and so do those that it reads */
    node->every_sample = true;
    for (uint32_t i = 0; i < node->n_operands; i++)
        wr_check_want_every_sample(scope, &node->operands[i]);
}

bool wr_check_memory(struct wr_scope *scope, struct wr_node *node, struct wr_operator_call *call,
                     const struct wr_window_arguments *window) {
    struct wr_rule *rule = scope->rule;
    const struct wr_operand *operand = &rule->operands[node->operand];
    if (window && !read_window(scope, node, window, call))
        return false;
    call->point = operand->point;
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
        wr_check_want_every_sample(scope, operand);
    node->memory = 0;
    rule->operators = operators;
    rule->n_operators = 1;
    return true;
}
