/* Series and functions of an expression: names, arguments, windows; and what a condition tells about its series. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/check.h"
#include "rules/sliding.h"

static const struct wr_selector *intern_selector(struct wr_ruleset *ruleset, const char *text) {
    uint32_t hash = 2166136261u;
    for (const char *c = text; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    const struct wr_selector **slot = &ruleset->selectors[hash % WR_SELECTOR_CACHE];
    const char *known = *slot ? (const char *)(*slot + 1) : NULL; /* the text stands behind it */
    if (known && strcmp(known, text) == 0)
        return *slot;
    size_t len = strlen(text);
    struct wr_selector *selector = wr_arena_take(&ruleset->arena, sizeof *selector + len + 1);
    if (!selector || wr_selector_parse(text, len, selector, NULL, NULL) != WR_OK)
        return NULL;
    memcpy(selector + 1, text, len + 1);
    *slot = selector;
    return selector;
}

void wr_check_series(struct wr_scope *scope, struct wr_node *node) {
    struct wr_rule *rule = scope->rule;
    node->type = WR_NODE_IS_WRONG;
    for (node->operand = 0; node->operand < rule->n_operands; node->operand++)
        if (strcmp(rule->operands[node->operand].text, node->text) == 0)
            break;
    if (node->operand == rule->n_operands) {
        if (rule->n_operands == WR_RULE_OPERANDS) {
            wr_scope_complain(scope, 107, node, NULL, "more than %d different series in one rule", WR_RULE_OPERANDS);
            return;
        }
        const struct wr_selector *selector = intern_selector(scope->ruleset, node->text);
        if (!selector) {
            scope->failed = true;
            return;
        }
        char name[WR_SELECTOR_BYTES];
        rule->operands[rule->n_operands++] = (struct wr_operand){
            .text = node->text,
            .selector = selector,
            .node = WR_NODE_NO,
            .point = wr_ruleset_point(scope->ruleset, wr_ruleset_plain_name(selector->name, name, sizeof name)),
        };
    }
    const struct wr_point *point = rule->operands[node->operand].point;
    node->unit = point ? point->unit : wr_unit_plain();
    node->type = WR_NODE_IS_NUMBER;
}

static void wrong_arguments(struct wr_scope *scope, struct wr_node *node) {
    char hint[80];
    snprintf(hint, sizeof hint, "write %s", node->function->usage);
    wr_scope_complain(scope, 104, node, hint, "wrong arguments for '%s'", node->text);
}

static uint32_t add_window(struct wr_scope *scope, const struct wr_node *node, struct wr_rule_window window) {
    struct wr_rule *rule = scope->rule;
    for (uint32_t i = 0; i < rule->n_windows; i++)
        if (rule->windows[i].operand == window.operand && rule->windows[i].span_ns == window.span_ns &&
            (window.span_ns > 0 || rule->windows[i].capacity == window.capacity))
            return i;
    if (rule->n_windows == WR_RULE_WINDOWS) {
        wr_scope_complain(scope, 107, node, NULL, "more than %d different windows in one rule", WR_RULE_WINDOWS);
        return 0;
    }
    rule->windows[rule->n_windows] = window;
    return rule->n_windows++;
}

/* The samples to make room for: twice what the declared period gives, so that jitter does not push any out; all of 256 when it is not known. */
static bool time_capacity(struct wr_scope *scope, const struct wr_node *node, const struct wr_point *point, int64_t span_ns,
                          uint32_t *ret) {
    *ret = WR_SLIDING_MAX;
    if (!point || point->every_ns <= 0)
        return true;
    int64_t samples = (span_ns + point->every_ns - 1) / point->every_ns;
    if (samples > WR_SLIDING_MAX) {
        wr_scope_complain(scope, 215, node, "take a shorter window, or `count 256`",
                          "a window of %lld samples (by the period of '%s'): at most %d are supported in this version", (long long)samples,
                          point->name, WR_SLIDING_MAX);
        return false;
    }
    *ret = (uint32_t)(2 * samples + 4 < WR_SLIDING_MAX ? 2 * samples + 4 : WR_SLIDING_MAX);
    return true;
}

static bool check_window(struct wr_scope *scope, struct wr_node *node, struct wr_node *series, struct wr_node *argument) {
    struct wr_rule_window window = {.operand = series->operand};
    const struct wr_point *point = scope->rule->operands[series->operand].point;
    if (argument->kind == WR_NODE_COUNT) {
        double n = argument->number;
        if (n < 1 || n > WR_SLIDING_MAX || n > floor(n)) {
            wr_scope_complain(scope, 215, argument, NULL, "a window by count takes 1 to %d samples in this version", WR_SLIDING_MAX);
            return false;
        }
        window.capacity = (uint32_t)n;
    } else {
        struct wr_node *length = wr_check_number(scope, argument);
        if (!length || length->type == WR_NODE_IS_WRONG)
            return false;
        if (length->unit.ambiguous_m)
            length->unit = wr_unit_minute();
        const struct wr_unit second = wr_unit_second();
        double seconds = length->constant && wr_unit_is_time(&length->unit) ? wr_unit_convert(length->number, &length->unit, &second) : 0;
        if (!(seconds >= 1e-3 && seconds <= 366 * 86400.0)) {
            wr_scope_complain(scope, 105, argument, "write 5m, 90s, 2h or `count 20`", "a window is a duration of 1ms to 366d, or a count");
            return false;
        }
        window.span_ns = (int64_t)llround(seconds * 1e9);
        if (!time_capacity(scope, argument, point, window.span_ns, &window.capacity))
            return false;
    }
    node->window = add_window(scope, argument, window);
    return true;
}

static struct wr_unit answer_unit(enum wr_function_id function, const struct wr_unit *unit) {
    const struct wr_unit second = wr_unit_second();
    const struct wr_unit difference = wr_unit_difference(unit);
    switch (function) {
    case WR_FUNCTION_AGE:
    case WR_FUNCTION_PERIOD:
        return second;
    case WR_FUNCTION_COUNT:
        return wr_unit_plain();
    case WR_FUNCTION_DELTA:
    case WR_FUNCTION_RESOLUTION:
        return difference;
    case WR_FUNCTION_RATE:
        /* An undeclared counter changes by so many a second: a bare number, too. */
        return unit->plain ? wr_unit_plain() : wr_unit_product(&difference, &second, true);
    default:
        return *unit;
    }
}

/* period and resolution are what the point declares: constants. */
static void check_declared(struct wr_scope *scope, struct wr_node *node, const struct wr_point *point) {
    bool period = node->function->id == WR_FUNCTION_PERIOD;
    double value = !point ? 0 : period ? (double)point->every_ns / 1e9 : point->resolution;
    if (value <= 0) {
        char hint[160];
        snprintf(hint, sizeof hint, "add to points: - {point: %.80s, %s}", scope->rule->operands[node->operand].selector->name,
                 period ? "every: 30s" : "resolution: 0.1");
        wr_scope_complain(scope, 212, node, hint, "'%s' is not declared for '%.60s'", period ? "every" : "resolution", node->child->text);
        node->type = WR_NODE_IS_WRONG;
    }
    node->constant = true;
    node->number = value;
}

static void check_arguments(struct wr_scope *scope, struct wr_node *node, unsigned n) {
    const struct wr_function *function = node->function;
    struct wr_node *first = node->child;
    bool windowed = function->form == WR_FORM_WINDOW || (function->form == WR_FORM_MAYBE_WINDOW && n == 2);
    if (n != (windowed ? 2u : 1u)) {
        wrong_arguments(scope, node);
        return;
    }
    if (function->form == WR_FORM_NUMBER) {
        struct wr_node *inner = wr_check_number(scope, first);
        if (!inner || inner->type == WR_NODE_IS_WRONG)
            return;
        if (inner->unit.point) {
            wr_scope_complain(scope, 213, inner, "take a difference first",
                              "the absolute value of a temperature on a scale has no meaning");
            return;
        }
        node->child = inner;
        node->unit = inner->unit;
        node->constant = inner->constant;
        node->number = fabs(inner->number);
        node->type = WR_NODE_IS_NUMBER;
        return;
    }
    if (first->kind != WR_NODE_SERIES) {
        wr_scope_complain(scope, 105, first, NULL, "'%s' takes a series here, not an expression", node->text);
        return;
    }
    struct wr_node *second = first->next;
    wr_check_series(scope, first);
    if (first->type == WR_NODE_IS_WRONG || (windowed && !check_window(scope, node, first, second)))
        return;
    node->operand = first->operand;
    if (function->id == WR_FUNCTION_SUM && first->unit.point) {
        wr_scope_complain(scope, 213, node, "use avg", "the sum of temperatures on a scale has no meaning");
        return;
    }
    node->unit = answer_unit(function->id, &first->unit);
    node->type = WR_NODE_IS_NUMBER;
    if (function->id == WR_FUNCTION_PERIOD || function->id == WR_FUNCTION_RESOLUTION)
        check_declared(scope, node, scope->rule->operands[first->operand].point);
}

void wr_check_call(struct wr_scope *scope, struct wr_node *node) {
    node->type = WR_NODE_IS_WRONG;
    node->window = UINT32_MAX;
    node->function = wr_function_find(node->text);
    struct wr_node name = *node;
    name.len = (uint32_t)strlen(node->text);
    if (!node->function) {
        char hint[80];
        const char *near = wr_function_nearest(node->text);
        snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
        wr_scope_complain(scope, 102, &name, near ? hint : NULL, "unknown function '%.60s'", node->text);
        return;
    }
    if (node->function->form == WR_FORM_LATER) {
        wr_scope_complain(scope, 103, &name, NULL, "the function '%s' is not supported in this version", node->text);
        return;
    }
    unsigned n = 0;
    for (const struct wr_node *argument = node->child; argument; argument = argument->next, n++)
        if (argument->kind == WR_NODE_NAMED) {
            wr_scope_complain(scope, 103, argument, NULL, "the argument '%s=' is not supported in this version", argument->text);
            return;
        }
    check_arguments(scope, node, n);
}

/* -- what a condition tells about its series ------------------------------------------------------------------------------------------ */

static bool add_threshold(struct wr_scope *scope, struct wr_operand *operand, double at) {
    for (uint32_t i = 0; i < operand->n_thresholds; i++)
        if (!(operand->thresholds[i] < at || operand->thresholds[i] > at))
            return true;
    double *more = wr_arena_take(&scope->ruleset->arena, (operand->n_thresholds + 1) * sizeof *more);
    if (!more)
        return false;
    if (operand->n_thresholds > 0)
        memcpy(more, operand->thresholds, operand->n_thresholds * sizeof *more);
    more[operand->n_thresholds++] = at;
    operand->thresholds = more;
    return true;
}

static bool is_age(const struct wr_node *node) {
    return node->kind == WR_NODE_CALL && node->function->id == WR_FUNCTION_AGE;
}

static bool add_age(struct wr_scope *scope, const struct wr_node *node) {
    const struct wr_node *left = node->child;
    const struct wr_node *right = left->next;
    const struct wr_node *age = is_age(left) ? left : right;
    const struct wr_node *limit = is_age(left) ? right : left;
    struct wr_rule *rule = scope->rule;
    if (!limit->constant || node->comparison == WR_EQUAL || node->comparison == WR_NOT_EQUAL || limit->number < 0 || limit->number > 4e8) {
        wr_scope_complain(scope, 216, node, "write age(series) > 30s", "age can only be compared by < <= > >= with a constant duration");
        return false;
    }
    if (rule->n_ages == WR_RULE_AGES) {
        wr_scope_complain(scope, 107, node, NULL, "more than %d ages in one rule", WR_RULE_AGES);
        return false;
    }
    /* age > c is still false at c, age >= c is true there. */
    bool at_limit = is_age(left) ? node->comparison == WR_GREATER_EQUAL || node->comparison == WR_LESS
                                 : node->comparison == WR_LESS_EQUAL || node->comparison == WR_GREATER;
    rule->ages[rule->n_ages++] = (struct wr_age){.operand = age->operand, .after_ns = (int64_t)llround(limit->number * 1e9) + !at_limit};
    return true;
}

static bool find_thresholds(struct wr_scope *scope, const struct wr_node *node) {
    struct wr_operand *operands = scope->rule->operands;
    const struct wr_node *first = node->child;
    if (node->constant)
        return true;
    if (node->kind == WR_NODE_SERIES) {
        operands[node->operand].opaque = true;
        return true;
    }
    if (node->kind == WR_NODE_COMPARE && first->next->type != WR_NODE_IS_TEXT) {
        const struct wr_node *second = first->next;
        if (is_age(first) || is_age(second))
            return add_age(scope, node);
        if (first->kind == WR_NODE_SERIES && second->constant)
            return add_threshold(scope, &operands[first->operand], second->number);
        if (second->kind == WR_NODE_SERIES && first->constant)
            return add_threshold(scope, &operands[second->operand], first->number);
    }
    if (node->kind == WR_NODE_RANGE && first->kind == WR_NODE_SERIES && first->next->constant && first->next->next->constant)
        return add_threshold(scope, &operands[first->operand], first->next->number) &&
               add_threshold(scope, &operands[first->operand], first->next->next->number);
    if (is_age(node)) {
        wr_scope_complain(scope, 216, node, "write age(series) > 30s", "age can only be compared by < <= > >= with a constant duration");
        return false;
    }
    bool logic = node->kind == WR_NODE_AND || node->kind == WR_NODE_OR || node->kind == WR_NODE_NOT;
    for (const struct wr_node *child = first; child; child = child->next) {
        if (logic && child->kind == WR_NODE_SERIES) {
            if (!add_threshold(scope, &operands[child->operand], 0))
                return false;
        } else if (!find_thresholds(scope, child)) {
            return false;
        }
    }
    return true;
}

bool wr_check_thresholds(struct wr_scope *scope, const struct wr_node *node) {
    if (node->kind == WR_NODE_SERIES)
        return add_threshold(scope, &scope->rule->operands[node->operand], 0);
    return find_thresholds(scope, node);
}
