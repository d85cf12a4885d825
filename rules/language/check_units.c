/* Units of two sides: brought together, or the error that says why they do not fit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/language/check.h"

/* The text of a node as written, for messages. */
static char *name_of(const struct wr_node *node, char *into, size_t size) {
    if (node->kind == WR_NODE_SERIES || node->kind == WR_NODE_CALL || node->kind == WR_NODE_CELL)
        snprintf(into, size, "'%.40s%s'", node->text, node->kind == WR_NODE_CALL ? "(...)" : "");
    else if (node->kind == WR_NODE_NUMBER)
        snprintf(into, size, "%.9g%s", node->number, node->unit.text);
    else
        snprintf(into, size, "this");
    return into;
}

/* Whether the unit of a function's answer comes from what it looks at. */
static bool takes_unit(const struct wr_function *function) {
    return !function || function->answer <= WR_ANSWER_TIMES_TIME;
}

static const struct wr_function *function_of(const struct wr_rule *node) {
    const enum wr_opcode op = node->when.n == 1 ? (enum wr_opcode)node->when.code[0].op : WR_OP_VALUE;
    for (const struct wr_function *function = wr_functions; function->name; function++)
        if ((op == WR_OP_OPERATOR && function->id == (enum wr_function_id)node->when.code[0].b) ||
            (node->kind == WR_RULE_SET && function->id == node->set))
            return function;
    return NULL;
}

/* The series without a declared point from which this operand has its unit, or NULL. */
static const char *undeclared_operand(const struct wr_scope *scope, const struct wr_operand *operand) {
    if (operand->selector)
        return operand->point ? NULL : operand->selector->name;
    const struct wr_rule *node = wr_nodes_get(scope->ruleset->nodes, operand->node);
    if (node->truth || !node->output->unit.plain || !takes_unit(function_of(node)))
        return NULL;
    for (uint32_t i = 0; i < node->n_operands; i++) {
        const char *name = undeclared_operand(scope, &node->operands[i]);
        if (name)
            return name;
    }
    return NULL;
}

/* The same of a tree: the first. */
static const char *undeclared(const struct wr_scope *scope, const struct wr_node *node) {
    if (node->kind == WR_NODE_SERIES)
        return node->operand < scope->rule->n_operands ? undeclared_operand(scope, &scope->rule->operands[node->operand]) : NULL;
    if (node->kind == WR_NODE_CALL && !takes_unit(node->function))
        return NULL;
    for (const struct wr_node *child = node->child; child; child = child->next) {
        const char *found = undeclared(scope, child);
        if (found)
            return found;
    }
    return NULL;
}

/* One side has a unit, the other is a bare number or an undeclared series. */
static void complain_plain(struct wr_scope *scope, const struct wr_node *plain, const struct wr_node *with_unit, const char *verb,
                           const struct wr_node *at) {
    char hint[200];
    char name[64];
    char described[64];
    const char *text = undeclared(scope, plain);
    if (text) {
        const char *unit = with_unit->unit.text[0] ? with_unit->unit.text : "...";
        const char *quote = unit[0] == '%' ? "\"" : ""; /* YAML keeps % for itself */
        snprintf(hint, sizeof hint, "add to points: - {point: %s, unit: %s%s%s}", text, quote, unit, quote);
        wr_scope_complain(scope, 212, with_unit->kind == WR_NODE_NUMBER ? with_unit : at, hint,
                          "a limit with a unit, but '%.60s' has no declared point", text);
        return;
    }
    wr_unit_describe(described, sizeof described, &with_unit->unit);
    const struct wr_unit unit = strcmp(verb, "compare") == 0 ? with_unit->unit : wr_unit_difference(&with_unit->unit);
    if (strncmp(unit.text, "1/", 2) == 0) /* no number may stand before that */
        snprintf(hint, sizeof hint, "write %.9g%%%s", plain->number * 100, unit.text + 1);
    else
        snprintf(hint, sizeof hint, "write %.9g%s", plain->number, unit.text);
    if (plain->kind == WR_NODE_CELL) {
        const char *column = strchr(plain->text, '.');
        snprintf(hint, sizeof hint, "write the unit behind the column's name in the CSV: %.60s[%s]", column ? column + 1 : plain->text,
                 unit.text);
        wr_scope_complain(scope, 211, plain, unit.text[0] ? hint : NULL, "the column %s has no unit, the other side is a %s",
                          name_of(plain, name, sizeof name), described);
        return;
    }
    bool literal = plain->kind == WR_NODE_NUMBER && with_unit->unit.text[0];
    wr_scope_complain(scope, 211, plain, literal ? hint : NULL, "%s has no unit, the other side is a %s", name_of(plain, name, sizeof name),
                      described);
}

static void settle_m(struct wr_node *node, const struct wr_node *other) {
    if (node->unit.ambiguous_m && wr_unit_is_time(&other->unit))
        node->unit = wr_unit_minute();
    node->unit.ambiguous_m = node->unit.ambiguous_m && !wr_unit_is_length(&other->unit);
}

/* Remembers the unit in which a number was written. False: no memory. */
static bool keep_written(struct wr_scope *scope, struct wr_node *node) {
    struct wr_unit *written = node->written ? NULL : wr_arena_take(&scope->ruleset->arena, sizeof *written);
    if (written) {
        *written = node->unit;
        node->written = written;
    }
    return node->written != NULL;
}

struct wr_node *wr_check_convert(struct wr_scope *scope, struct wr_node *node, const struct wr_unit *to) {
    if (node->constant && strcmp(node->unit.text, to->text) != 0 && !keep_written(scope, node))
        return NULL;
    if (wr_unit_same_scale(&node->unit, to)) {
        node->unit = *to;
        return node;
    }
    if (node->constant) {
        node->number = wr_unit_rounded(wr_unit_convert(node->number, &node->unit, to));
        node->unit = *to;
        return node;
    }
    struct wr_node *converted = wr_arena_take(&scope->ruleset->arena, sizeof *converted);
    if (!converted)
        return NULL;
    *converted = (struct wr_node){.kind = WR_NODE_CONVERT, .offset = node->offset, .len = node->len, .child = node, .next = node->next};
    converted->type = WR_NODE_IS_NUMBER;
    converted->fixed = node->fixed;
    converted->memory = WR_NODE_NONE;
    converted->unit = *to;
    converted->factor = node->unit.scale / to->scale;
    converted->addend = (node->unit.offset - to->offset) / to->scale;
    node->next = NULL;
    return converted;
}

/* Where a unit could have been written, but was not. */
static bool is_bare(const struct wr_scope *scope, const struct wr_node *node) {
    if (node->kind == WR_NODE_SERIES) {
        const struct wr_operand *operand = &scope->rule->operands[node->operand];
        if (!operand->selector && !takes_unit(function_of(wr_nodes_get(scope->ruleset->nodes, operand->node))))
            return true; /* a number of things */
    }
    if (node->kind == WR_NODE_CALL && !takes_unit(node->function))
        return true;
    return node->kind == WR_NODE_NUMBER || node->kind == WR_NODE_CELL || undeclared(scope, node);
}

/* What is fixed is converted, so that it costs nothing later; a constant before a cell. */
static int fixed_rank(const struct wr_node *node) {
    return node->constant ? 2 : node->fixed ? 1 : 0;
}

bool wr_check_unify(struct wr_scope *scope, struct wr_node **left, struct wr_node **right, const char *verb, const struct wr_node *at) {
    struct wr_node *a = *left;
    struct wr_node *b = *right;
    settle_m(a, b);
    settle_m(b, a);
    bool same = wr_unit_same_dimension(&a->unit, &b->unit);
    bool bare_a = a->unit.plain && !b->unit.plain && is_bare(scope, a);
    bool bare_b = b->unit.plain && !a->unit.plain && is_bare(scope, b);
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
        wr_scope_complain(scope, 210, at, NULL, "cannot %s %s%s %s %s%s", verb, a->unit.plain ? "a " : "",
                          wr_unit_describe(first, sizeof first, &a->unit), strcmp(verb, "compare") == 0 ? "with" : "and",
                          b->unit.plain ? "a " : "", wr_unit_describe(second, sizeof second, &b->unit));
        return false;
    }
    a->unit.ambiguous_m = b->unit.ambiguous_m = false;
    if (a->unit.point != b->unit.point)
        return true; /* the caller knows what a position and a difference mean together */
    if (fixed_rank(a) > fixed_rank(b))
        *left = wr_check_convert(scope, a, &b->unit);
    else
        *right = wr_check_convert(scope, b, &a->unit);
    return *left && *right;
}

bool wr_check_pair(struct wr_scope *scope, struct wr_node **a, struct wr_node **b, const struct wr_node *at) {
    if (!wr_check_unify(scope, a, b, "compare", at))
        return false;
    if ((*a)->unit.point == (*b)->unit.point)
        return true;
    const struct wr_node *difference = (*a)->unit.point ? *b : *a;
    const struct wr_node *point = (*a)->unit.point ? *a : *b;
    char hint[80];
    struct wr_unit kelvin = difference->unit;
    snprintf(hint, sizeof hint, "write %.9g%s", wr_unit_rounded(wr_unit_convert(difference->number, &kelvin, &point->unit)),
             point->unit.text);
    wr_scope_complain(scope, 213, difference, difference->constant ? hint : NULL,
                      "cannot compare a temperature (%s) with a temperature difference (%s)", point->unit.text, difference->unit.text);
    return false;
}

bool wr_check_pairs(struct wr_scope *scope, struct wr_node **const *all, unsigned n, const struct wr_node *at) {
    unsigned least = 0; /* fixed: what is not is left as it is, and all others are converted to that */
    for (unsigned i = 1; i < n; i++)
        if (fixed_rank(*all[i]) < fixed_rank(*all[least]))
            least = i;
    for (unsigned i = 0; i < n; i++)
        if (i != least && !wr_check_pair(scope, all[i < least ? i : least], all[i < least ? least : i], at))
            return false;
    return true;
}
