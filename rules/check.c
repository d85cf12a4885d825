#include "rules/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct wr_node *check(struct wr_scope *scope, struct wr_node *node);

void wr_scope_complain(struct wr_scope *scope, unsigned code, const struct wr_node *node, const char *hint, const char *format, ...) {
    struct wr_complaint complaint = {.code = code, .offset = node->offset, .len = node->len};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint.text, sizeof complaint.text, format, arguments);
    va_end(arguments);
    if (hint)
        snprintf(complaint.hint, sizeof complaint.hint, "%s", hint);
    scope->failed = true;
    scope->complain(scope->user, &complaint);
}

static struct wr_node *wrong(struct wr_node *node) {
    node->type = WR_NODE_IS_WRONG;
    return node;
}

/* The text of a node as written, for messages. */
static char *name_of(const struct wr_node *node, char *into, size_t size) {
    if (node->kind == WR_NODE_SERIES || node->kind == WR_NODE_CALL)
        snprintf(into, size, "'%.40s%s'", node->text, node->kind == WR_NODE_CALL ? "(...)" : "");
    else if (node->kind == WR_NODE_NUMBER)
        snprintf(into, size, "%.9g%s", node->number, node->unit.text);
    else
        snprintf(into, size, "this");
    return into;
}

/* The first series in the tree that has no declared point. */
static const struct wr_node *undeclared(const struct wr_scope *scope, const struct wr_node *node) {
    if (node->kind == WR_NODE_SERIES)
        return node->operand < scope->rule->n_operands && !scope->rule->operands[node->operand].point ? node : NULL;
    for (const struct wr_node *child = node->child; child; child = child->next) {
        const struct wr_node *found = undeclared(scope, child);
        if (found)
            return found;
    }
    return NULL;
}

static bool is_dimensionless(const struct wr_unit *unit) {
    const struct wr_unit plain = wr_unit_plain();
    return wr_unit_same_dimension(unit, &plain);
}

/* One side has a unit, the other is a bare number or an undeclared series. */
static void complain_plain(struct wr_scope *scope, const struct wr_node *plain, const struct wr_node *with_unit, const char *verb,
                           const struct wr_node *at) {
    char hint[200];
    char name[64];
    char described[64];
    const struct wr_node *series = undeclared(scope, plain);
    if (series) {
        const char *text = scope->rule->operands[series->operand].selector->name;
        const char *unit = with_unit->unit.text[0] ? with_unit->unit.text : "...";
        const char *quote = unit[0] == '%' ? "\"" : ""; /* YAML keeps % for itself */
        snprintf(hint, sizeof hint, "add to points: - {point: %s, unit: %s%s%s}", text, quote, unit, quote);
        wr_scope_complain(scope, 212, with_unit->kind == WR_NODE_NUMBER ? with_unit : at, hint,
                          "a limit with a unit, but '%.60s' has no declared point", text);
        return;
    }
    wr_unit_describe(described, sizeof described, &with_unit->unit);
    const struct wr_unit unit = strcmp(verb, "compare") == 0 ? with_unit->unit : wr_unit_difference(&with_unit->unit);
    snprintf(hint, sizeof hint, "write %.9g%s", plain->number, unit.text);
    bool literal = plain->kind == WR_NODE_NUMBER && with_unit->unit.text[0];
    wr_scope_complain(scope, 211, plain, literal ? hint : NULL, "%s has no unit, the other side is a %s", name_of(plain, name, sizeof name),
                      described);
}

static void settle_m(struct wr_node *node, const struct wr_node *other) {
    if (node->unit.ambiguous_m && wr_unit_is_time(&other->unit))
        node->unit = wr_unit_minute();
    node->unit.ambiguous_m = node->unit.ambiguous_m && !wr_unit_is_length(&other->unit);
}

/* Twelve digits: so that 46.4°F is 8°C and not 8.000000000000002. */
static double rounded(double value) {
    char text[40];
    snprintf(text, sizeof text, "%.12g", value);
    return strtod(text, NULL);
}

static struct wr_node *convert(struct wr_scope *scope, struct wr_node *node, const struct wr_unit *to) {
    if (wr_unit_same_scale(&node->unit, to)) {
        node->unit = *to;
        return node;
    }
    if (node->constant) {
        node->number = rounded(wr_unit_convert(node->number, &node->unit, to));
        node->unit = *to;
        return node;
    }
    struct wr_node *converted = wr_arena_take(&scope->ruleset->arena, sizeof *converted);
    if (!converted)
        return NULL;
    *converted = (struct wr_node){.kind = WR_NODE_CONVERT, .offset = node->offset, .len = node->len, .child = node, .next = node->next};
    converted->type = WR_NODE_IS_NUMBER;
    converted->unit = *to;
    converted->factor = node->unit.scale / to->scale;
    converted->addend = (node->unit.offset - to->offset) / to->scale;
    node->next = NULL;
    return converted;
}

bool wr_check_unify(struct wr_scope *scope, struct wr_node **left, struct wr_node **right, const char *verb, const struct wr_node *at) {
    struct wr_node *a = *left;
    struct wr_node *b = *right;
    settle_m(a, b);
    settle_m(b, a);
    bool same = wr_unit_same_dimension(&a->unit, &b->unit);
    bool bare_a = a->unit.plain && !b->unit.plain && (a->kind == WR_NODE_NUMBER || undeclared(scope, a));
    bool bare_b = b->unit.plain && !a->unit.plain && (b->kind == WR_NODE_NUMBER || undeclared(scope, b));
    bool named = a->unit.text[0] || b->unit.text[0];
    if ((bare_a || bare_b) && (!same || named)) {
        complain_plain(scope, bare_a ? a : b, bare_a ? b : a, verb, at);
        return false;
    }
    if (!same && (a->unit.ambiguous_m || b->unit.ambiguous_m)) {
        wr_scope_complain(scope, 214, a->unit.ambiguous_m ? a : b, "write 5min for minutes, 5metre for metres",
                          "is 'm' minutes or metres here?");
        return false;
    }
    if (!same) {
        char first[64];
        char second[64];
        wr_scope_complain(scope, 210, at, NULL, "cannot %s %s %s %s", verb, wr_unit_describe(first, sizeof first, &a->unit),
                          strcmp(verb, "compare") == 0 ? "with" : "and", wr_unit_describe(second, sizeof second, &b->unit));
        return false;
    }
    a->unit.ambiguous_m = b->unit.ambiguous_m = false;
    if (a->unit.point != b->unit.point)
        return true; /* the caller knows what a position and a difference mean together */
    if (a->constant && !b->constant)
        *left = convert(scope, a, &b->unit);
    else
        *right = convert(scope, b, &a->unit);
    return *left && *right;
}

/* Two children, linked again after one of them was replaced. */
static void relink(struct wr_node *node, struct wr_node *a, struct wr_node *b) {
    struct wr_node *rest = b ? b->next : NULL;
    node->child = a;
    a->next = b;
    if (b)
        b->next = rest;
}

struct wr_node *wr_check_number(struct wr_scope *scope, struct wr_node *node) {
    node = check(scope, node);
    if (!node || node->type == WR_NODE_IS_WRONG || node->type == WR_NODE_IS_NUMBER)
        return node;
    wr_scope_complain(scope, 110, node, NULL,
                      node->type == WR_NODE_IS_BOOL ? "a number is needed here, not true or false" : "a number is needed here, not a text");
    return wrong(node);
}

/* Both children as numbers; false when one is wrong. */
static bool numbers(struct wr_scope *scope, struct wr_node *node, struct wr_node **ret_a, struct wr_node **ret_b) {
    struct wr_node *second = node->child->next;
    node->child->next = NULL;
    struct wr_node *rest = second->next;
    second->next = NULL;
    *ret_a = wr_check_number(scope, node->child);
    *ret_b = wr_check_number(scope, second);
    if (!*ret_a || !*ret_b)
        return false;
    relink(node, *ret_a, *ret_b);
    (*ret_b)->next = rest;
    return (*ret_a)->type != WR_NODE_IS_WRONG && (*ret_b)->type != WR_NODE_IS_WRONG;
}

/* A position on a scale moves by a difference; the difference of two positions is a difference. */
static struct wr_node *check_sum(struct wr_scope *scope, struct wr_node *node) {
    struct wr_node *a;
    struct wr_node *b;
    bool add = node->kind == WR_NODE_ADD;
    if (!numbers(scope, node, &a, &b) || !wr_check_unify(scope, &a, &b, add ? "add" : "subtract", node))
        return wrong(node);
    if (a->unit.point && b->unit.point && add) {
        wr_scope_complain(scope, 213, node, "write the difference in K", "two temperatures on a scale cannot be added");
        return wrong(node);
    }
    if (!a->unit.point && b->unit.point && !add) {
        wr_scope_complain(scope, 213, node, NULL, "a temperature on a scale cannot be subtracted from a difference");
        return wrong(node);
    }
    if (a->unit.point != b->unit.point) {
        struct wr_node **difference = a->unit.point ? &b : &a;
        const struct wr_unit to = wr_unit_difference(a->unit.point ? &a->unit : &b->unit);
        *difference = convert(scope, *difference, &to);
        if (!*difference)
            return NULL;
        node->unit = a->unit.point ? a->unit : b->unit;
    } else {
        node->unit = a->unit.point ? wr_unit_difference(&a->unit) : a->unit;
    }
    relink(node, a, b);
    node->constant = a->constant && b->constant;
    if (node->constant)
        node->number = add ? a->number + b->number : a->number - b->number;
    return node;
}

static struct wr_node *check_product(struct wr_scope *scope, struct wr_node *node) {
    struct wr_node *a;
    struct wr_node *b;
    if (!numbers(scope, node, &a, &b))
        return wrong(node);
    if (a->unit.point || b->unit.point) {
        wr_scope_complain(scope, 213, a->unit.point ? a : b, "take a difference first",
                          "a temperature on a scale cannot be multiplied or divided");
        return wrong(node);
    }
    if (node->kind == WR_NODE_MODULO) {
        if (!wr_check_unify(scope, &a, &b, "divide", node))
            return wrong(node);
        relink(node, a, b);
        node->unit = a->unit;
    } else {
        node->unit = wr_unit_product(&a->unit, &b->unit, node->kind == WR_NODE_DIVIDE);
        if (is_dimensionless(&node->unit)) {
            node->unit.text[0] = '\0';
            node->unit.plain = fabs(node->unit.scale - 1) < 1e-12;
        }
    }
    node->constant = a->constant && b->constant;
    if (node->constant) {
        node->number = node->kind == WR_NODE_MULTIPLY ? a->number * b->number
                       : node->kind == WR_NODE_DIVIDE ? a->number / b->number
                                                      : fmod(a->number, b->number);
        if (!isfinite(node->number)) {
            wr_scope_complain(scope, 218, node, NULL, "the result is not a finite number");
            return wrong(node);
        }
    }
    return node;
}

/* series == "text" */
static struct wr_node *check_text(struct wr_scope *scope, struct wr_node *node) {
    struct wr_node *left = node->child;
    struct wr_node *right = left->next;
    if (left->kind == WR_NODE_TEXT) {
        relink(node, right, left);
        left->next = NULL;
        left = node->child;
        right = left->next;
    }
    right->type = WR_NODE_IS_TEXT;
    if (left->kind != WR_NODE_SERIES || (node->comparison != WR_EQUAL && node->comparison != WR_NOT_EQUAL)) {
        wr_scope_complain(scope, 105, node, NULL, "a text can only be compared with a series, by == or !=");
        return wrong(node);
    }
    wr_check_series(scope, left);
    left->unit = wr_unit_plain();
    return left->type == WR_NODE_IS_WRONG ? wrong(node) : node;
}

static bool compare_pair(struct wr_scope *scope, struct wr_node **a, struct wr_node **b, const struct wr_node *at) {
    if (!wr_check_unify(scope, a, b, "compare", at))
        return false;
    if ((*a)->unit.point == (*b)->unit.point)
        return true;
    const struct wr_node *difference = (*a)->unit.point ? *b : *a;
    const struct wr_node *point = (*a)->unit.point ? *a : *b;
    char hint[80];
    struct wr_unit kelvin = difference->unit;
    snprintf(hint, sizeof hint, "write %.9g%s", rounded(wr_unit_convert(difference->number, &kelvin, &point->unit)), point->unit.text);
    wr_scope_complain(scope, 213, difference, difference->constant ? hint : NULL,
                      "cannot compare a temperature (%s) with a temperature difference (%s)", point->unit.text, difference->unit.text);
    return false;
}

static struct wr_node *check_compare(struct wr_scope *scope, struct wr_node *node) {
    node->type = WR_NODE_IS_BOOL;
    node->unit = wr_unit_plain();
    if (node->child->kind == WR_NODE_TEXT || node->child->next->kind == WR_NODE_TEXT)
        return check_text(scope, node);
    struct wr_node *a;
    struct wr_node *b;
    if (!numbers(scope, node, &a, &b) || !compare_pair(scope, &a, &b, node))
        return wrong(node);
    relink(node, a, b);
    node->constant = a->constant && b->constant;
    if (node->constant)
        node->number = wr_program_compare(node->comparison, a->number, b->number);
    return node;
}

static struct wr_node *check_range(struct wr_scope *scope, struct wr_node *node) {
    node->type = WR_NODE_IS_BOOL;
    node->unit = wr_unit_plain();
    struct wr_node *value;
    struct wr_node *low;
    struct wr_node *high = node->child->next->next;
    if (!numbers(scope, node, &value, &low))
        return wrong(node);
    low->next = NULL;
    high = wr_check_number(scope, high);
    if (!high || high->type == WR_NODE_IS_WRONG || !compare_pair(scope, &value, &low, node) || !compare_pair(scope, &value, &high, node))
        return wrong(node);
    node->child = value;
    value->next = low;
    low->next = high;
    high->next = NULL;
    if (low->constant && high->constant && low->number > high->number) {
        wr_scope_complain(scope, 219, node, NULL, "the range ends below its start");
        return wrong(node);
    }
    node->constant = value->constant && low->constant && high->constant;
    if (node->constant)
        node->number = wr_program_range(node->outside, value->number, low->number, high->number);
    return node;
}

/* A comparison, or a series without a unit that is true when it is not zero. */
static struct wr_node *check_truth(struct wr_scope *scope, struct wr_node *node) {
    node = check(scope, node);
    if (!node || node->type == WR_NODE_IS_BOOL || node->type == WR_NODE_IS_WRONG)
        return node;
    if (node->kind == WR_NODE_SERIES && (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)) {
        wr_scope_complain(scope, 110, node, "a series is true by itself: write `door_open`, or `not door_open`", "'%s' is not needed",
                          node->text);
        return wrong(node);
    }
    if (node->kind == WR_NODE_SERIES && node->unit.plain)
        return node;
    char described[64];
    wr_scope_complain(scope, 110, node, "compare it with a limit", "true or false is needed here, not a %s",
                      node->type == WR_NODE_IS_TEXT ? "text" : wr_unit_describe(described, sizeof described, &node->unit));
    return wrong(node);
}

static struct wr_node *check_logic(struct wr_scope *scope, struct wr_node *node) {
    struct wr_node *second = node->child->next;
    node->child->next = NULL;
    struct wr_node *a = check_truth(scope, node->child);
    struct wr_node *b = second ? check_truth(scope, second) : NULL;
    if (!a || (second && !b))
        return NULL;
    relink(node, a, b);
    node->type = WR_NODE_IS_BOOL;
    if (a->constant || (b && b->constant)) {
        wr_scope_complain(scope, 217, a->constant ? a : b, NULL, "this never changes");
        return wrong(node);
    }
    return a->type == WR_NODE_IS_WRONG || (b && b->type == WR_NODE_IS_WRONG) ? wrong(node) : node;
}

static struct wr_node *check(struct wr_scope *scope, struct wr_node *node) {
    switch (node->kind) {
    case WR_NODE_NUMBER:
        return node;
    case WR_NODE_TEXT:
        node->type = WR_NODE_IS_TEXT;
        return node;
    case WR_NODE_SERIES:
        wr_check_series(scope, node);
        return node;
    case WR_NODE_CALL:
        wr_check_call(scope, node);
        return node;
    case WR_NODE_NEGATE: {
        struct wr_node *inner = wr_check_number(scope, node->child);
        if (!inner || inner->type == WR_NODE_IS_WRONG)
            return wrong(node);
        node->child = inner;
        node->unit = inner->unit;
        node->constant = inner->constant;
        node->number = -inner->number;
        if (inner->unit.point) {
            wr_scope_complain(scope, 213, node, NULL, "a temperature on a scale cannot be negated");
            return wrong(node);
        }
        return node;
    }
    case WR_NODE_ADD:
    case WR_NODE_SUBTRACT:
        return check_sum(scope, node);
    case WR_NODE_MULTIPLY:
    case WR_NODE_DIVIDE:
    case WR_NODE_MODULO:
        return check_product(scope, node);
    case WR_NODE_COMPARE:
        return check_compare(scope, node);
    case WR_NODE_RANGE:
        return check_range(scope, node);
    case WR_NODE_NOT:
    case WR_NODE_AND:
    case WR_NODE_OR:
        return check_logic(scope, node);
    default:
        wr_scope_complain(scope, 105, node, NULL, "this has a meaning only as the last argument of a function");
        return wrong(node);
    }
}

struct wr_node *wr_check_condition(struct wr_scope *scope, struct wr_node *node) {
    node = check_truth(scope, node);
    if (node && node->constant && node->type == WR_NODE_IS_BOOL)
        wr_scope_complain(scope, 217, node, NULL, "this never changes");
    return scope->failed ? NULL : node;
}

bool wr_check_constant(struct wr_scope *scope, struct wr_node *node) {
    node = wr_check_number(scope, node);
    if (node && node->type != WR_NODE_IS_WRONG && !node->constant)
        wr_scope_complain(scope, 105, node, NULL, "a constant is needed here");
    return node && !scope->failed;
}
