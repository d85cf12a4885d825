#include "rules/language/check.h"

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

static bool is_dimensionless(const struct wr_unit *unit) {
    const struct wr_unit plain = wr_unit_plain();
    return wr_unit_same_dimension(unit, &plain);
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
        *difference = wr_check_convert(scope, *difference, &to);
        if (!*difference)
            return NULL;
        node->unit = a->unit.point ? a->unit : b->unit;
    } else {
        node->unit = a->unit.point ? wr_unit_difference(&a->unit) : a->unit;
    }
    relink(node, a, b);
    node->constant = a->constant && b->constant;
    node->fixed = wr_check_fixed(a) && wr_check_fixed(b);
    if (node->constant)
        node->number = add ? a->number + b->number : a->number - b->number;
    return node;
}

/* A series of which nobody has said in what it is. */
static bool is_loose(const struct wr_node *node) {
    return node->unit.plain && !wr_check_fixed(node);
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
    }
    node->constant = a->constant && b->constant;
    node->fixed = wr_check_fixed(a) && wr_check_fixed(b);
    if (node->constant) {
        node->number = node->kind == WR_NODE_MULTIPLY ? a->number * b->number
                       : node->kind == WR_NODE_DIVIDE ? a->number / b->number
                                                      : fmod(a->number, b->number);
        if (!isfinite(node->number)) {
            wr_scope_complain(scope, 218, node, NULL, "the result is not a finite number");
            return wrong(node);
        }
    }
    if (!is_dimensionless(&node->unit) || node->kind == WR_NODE_MODULO)
        return node;
    /* kW by kW is a ratio, and kW by W, too: 0.4 is 40%. A bare series times a ratio is still bare. */
    struct wr_unit ratio = wr_unit_plain();
    ratio.composed = node->unit.composed;
    ratio.plain = (a->unit.plain && b->unit.plain) || is_loose(a) || is_loose(b);
    return wr_check_convert(scope, node, &ratio);
}

/* quality(x): it has no other constants than its words. False: it stands beside a number. */
static bool is_quality_by_words(struct wr_scope *scope, const struct wr_node *a, const struct wr_node *b) {
    const bool first = a->kind == WR_NODE_CALL && strcmp(a->text, "quality") == 0 && b->constant;
    const bool second = b->kind == WR_NODE_CALL && strcmp(b->text, "quality") == 0 && a->constant;
    if (first || second)
        wr_scope_complain(scope, 105, first ? b : a, "write quality(x) == \"good\", or < \"good\" for what is worse",
                          "a quality is \"good\", \"uncertain\" or \"bad\", not a number");
    return !first && !second;
}

/* quality(x) == "good": the words are numbers, so that < and > have a meaning too. */
static struct wr_node *check_quality(struct wr_scope *scope, struct wr_node *node) {
    static const char *const words[] = {"bad", "uncertain", "good"};
    struct wr_node *text = node->child->next;
    wr_check_call(scope, node->child);
    for (size_t i = 0; i < 3; i++)
        if (strcmp(words[i], text->text) == 0) {
            text->kind = WR_NODE_NUMBER;
            text->type = WR_NODE_IS_NUMBER;
            text->number = (double)i;
            text->constant = true;
            return node->child->type == WR_NODE_IS_WRONG ? wrong(node) : node;
        }
    wr_scope_complain(scope, 105, text, "one of \"good\", \"uncertain\", \"bad\"", "no quality: \"%.40s\"", text->text);
    return wrong(node);
}

/* series == "text" */
static struct wr_node *check_text(struct wr_scope *scope, struct wr_node *node) {
    static const enum wr_comparison turned[] = {
        [WR_LESS] = WR_GREATER, [WR_LESS_EQUAL] = WR_GREATER_EQUAL, [WR_GREATER] = WR_LESS, [WR_GREATER_EQUAL] = WR_LESS_EQUAL,
        [WR_EQUAL] = WR_EQUAL,  [WR_NOT_EQUAL] = WR_NOT_EQUAL};
    struct wr_node *left = node->child;
    struct wr_node *right = left->next;
    if (left->kind == WR_NODE_TEXT) {
        relink(node, right, left);
        left->next = NULL;
        left = node->child;
        right = left->next;
        node->comparison = turned[node->comparison];
    }
    if (left->kind == WR_NODE_CALL && strcmp(left->text, "quality") == 0)
        return check_quality(scope, node);
    right->type = WR_NODE_IS_TEXT;
    if (left->kind == WR_NODE_SERIES && (node->comparison == WR_EQUAL || node->comparison == WR_NOT_EQUAL)) {
        wr_check_name(scope, left);
        left->unit = wr_unit_plain();
        if (left->type == WR_NODE_IS_WRONG)
            return wrong(node);
        if (left->kind == WR_NODE_SERIES && scope->rule->operands[left->operand].selector)
            return node;
    }
    wr_scope_complain(scope, 105, node, NULL, "a text can only be compared with a series, by == or !=");
    return wrong(node);
}

/* 1: true; 0: false; -1: another expression. */
static int truth_word(const struct wr_node *node) {
    if (node->kind != WR_NODE_SERIES)
        return -1;
    return strcmp(node->text, "true") == 0 ? 1 : strcmp(node->text, "false") == 0 ? 0 : -1;
}

/* x == true is x, x == false is not x. */
static struct wr_node *check_truth_word(struct wr_scope *scope, struct wr_node *node) {
    struct wr_node *left = node->child;
    struct wr_node *right = left->next;
    bool word_left = truth_word(left) >= 0;
    if (node->comparison != WR_EQUAL && node->comparison != WR_NOT_EQUAL) {
        wr_scope_complain(scope, 110, node, NULL, "true and false can only be compared by == and !=");
        return wrong(node);
    }
    if (word_left && truth_word(right) >= 0) {
        wr_scope_complain(scope, 217, node, NULL, "this never changes");
        return wrong(node);
    }
    bool wanted = (truth_word(word_left ? left : right) == 1) == (node->comparison == WR_EQUAL);
    left->next = NULL;
    struct wr_node *inner = wr_check_truth(scope, word_left ? right : left);
    if (!inner || inner->type == WR_NODE_IS_WRONG)
        return wrong(node);
    if (wanted)
        return inner;
    node->kind = WR_NODE_NOT;
    node->child = inner;
    inner->next = NULL;
    return node;
}

static struct wr_node *check_compare(struct wr_scope *scope, struct wr_node *node) {
    node->type = WR_NODE_IS_BOOL;
    node->unit = wr_unit_plain();
    if (node->child->kind == WR_NODE_TEXT || node->child->next->kind == WR_NODE_TEXT)
        return check_text(scope, node);
    if (truth_word(node->child) >= 0 || truth_word(node->child->next) >= 0)
        return check_truth_word(scope, node);
    struct wr_node *a;
    struct wr_node *b;
    if (!numbers(scope, node, &a, &b) || !is_quality_by_words(scope, a, b) || !wr_check_pair(scope, &a, &b, node))
        return wrong(node);
    relink(node, a, b);
    node->constant = a->constant && b->constant;
    node->fixed = wr_check_fixed(a) && wr_check_fixed(b);
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
    if (!numbers(scope, node, &value, &low) || !is_quality_by_words(scope, value, low))
        return wrong(node);
    low->next = NULL;
    high = wr_check_number(scope, high);
    struct wr_node **all[] = {&value, &low, &high};
    if (!high || high->type == WR_NODE_IS_WRONG || !wr_check_pairs(scope, all, 3, node))
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
    node->fixed = wr_check_fixed(value) && wr_check_fixed(low) && wr_check_fixed(high);
    if (node->constant)
        node->number = wr_program_range(node->outside, value->number, low->number, high->number);
    return node;
}

/* A comparison, or a series without a unit that is true when it is not zero. */
struct wr_node *wr_check_truth(struct wr_scope *scope, struct wr_node *node) {
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
    struct wr_node *a = wr_check_truth(scope, node->child);
    struct wr_node *b = second ? wr_check_truth(scope, second) : NULL;
    if (!a || (second && !b))
        return NULL;
    relink(node, a, b);
    node->type = WR_NODE_IS_BOOL;
    bool wrong_side = a->type == WR_NODE_IS_WRONG || (b && b->type == WR_NODE_IS_WRONG);
    if (!wrong_side && (wr_check_fixed(a) || (b && wr_check_fixed(b)))) {
        wr_scope_complain(scope, 217, wr_check_fixed(a) ? a : b, NULL, "this never changes");
        return wrong(node);
    }
    return wrong_side ? wrong(node) : node;
}

static struct wr_node *check(struct wr_scope *scope, struct wr_node *node) {
    switch (node->kind) {
    case WR_NODE_NUMBER:
        return node;
    case WR_NODE_TEXT:
        node->type = WR_NODE_IS_TEXT;
        return node;
    case WR_NODE_SERIES:
        wr_check_name(scope, node);
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
        node->fixed = inner->fixed;
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

static struct wr_node *settled(struct wr_scope *scope, struct wr_node *node) {
    if (node && wr_check_fixed(node) && node->type != WR_NODE_IS_WRONG)
        wr_scope_complain(scope, 217, node, NULL, "this never changes");
    return scope->failed ? NULL : node;
}

struct wr_node *wr_check_condition(struct wr_scope *scope, struct wr_node *node) {
    return settled(scope, wr_check_truth(scope, node));
}

struct wr_node *wr_check_value(struct wr_scope *scope, struct wr_node *node) {
    node = check(scope, node);
    if (node && node->type == WR_NODE_IS_TEXT)
        wr_scope_complain(scope, 110, node, NULL, "a number is needed here, not a text");
    return settled(scope, node);
}

bool wr_check_constant(struct wr_scope *scope, struct wr_node *node) {
    node = wr_check_number(scope, node);
    if (node && node->type != WR_NODE_IS_WRONG && !node->constant)
        wr_scope_complain(scope, 105, node, NULL, "a constant is needed here");
    return node && !scope->failed;
}
