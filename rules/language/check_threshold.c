/* What a checked expression tells about its signals: at which values it can flip, and where every sample counts. */
#include <math.h>
#include <string.h>

#include "rules/language/check.h"

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

static bool same_number(double a, double b) {
    return !(a < b || a > b);
}

/* Programs of numbers and cells only. */
static bool same_program(const struct wr_program *a, const struct wr_program *b) {
    if (a->n != b->n)
        return false;
    for (uint16_t i = 0; i < a->n; i++) {
        const struct wr_instruction *x = &a->code[i];
        const struct wr_instruction *y = &b->code[i];
        if (x->op != y->op || x->a != y->a || x->b != y->b || !same_number(x->number, y->number) || !same_number(x->addend, y->addend))
            return false;
    }
    return true;
}

/* A threshold that each instance has to work out: cells of tables. */
static bool add_limit(struct wr_scope *scope, struct wr_operand *operand, const struct wr_node *limit) {
    struct wr_program *program = wr_arena_take(&scope->ruleset->arena, sizeof *program);
    bool too_deep;
    if (!program || !wr_program_compile(limit, false, &scope->ruleset->arena, program, &too_deep))
        return false;
    for (uint32_t i = 0; i < operand->n_limits; i++)
        if (same_program(operand->limits[i].program, program))
            return true;
    struct wr_limit *more = wr_arena_take(&scope->ruleset->arena, (operand->n_limits + 1) * sizeof *more);
    if (!more)
        return false;
    if (operand->n_limits > 0)
        memcpy(more, operand->limits, operand->n_limits * sizeof *more);
    more[operand->n_limits++] = (struct wr_limit){.program = program};
    operand->limits = more;
    return true;
}

static bool add_fixed(struct wr_scope *scope, const struct wr_node *series, const struct wr_node *limit) {
    struct wr_operand *operand = &scope->rule->operands[series->operand];
    return limit->constant ? add_threshold(scope, operand, limit->number) : add_limit(scope, operand, limit);
}

static bool is_age(const struct wr_node *node) {
    return node->kind == WR_NODE_CALL && node->function->id == WR_FUNCTION_AGE;
}

static bool refuse_age(struct wr_scope *scope, const struct wr_node *node) {
    wr_scope_complain(scope, 216, node, "write age(series) > 30s", "age can only be compared by < <= > >= with a constant duration");
    return false;
}

static bool add_age(struct wr_scope *scope, const struct wr_node *node) {
    const struct wr_node *left = node->child;
    const struct wr_node *right = left->next;
    const struct wr_node *age = is_age(left) ? left : right;
    const struct wr_node *limit = is_age(left) ? right : left;
    struct wr_rule *rule = scope->rule;
    if (!limit->constant || node->comparison == WR_EQUAL || node->comparison == WR_NOT_EQUAL || limit->number < 0 || limit->number > 4e8)
        return refuse_age(scope, node);
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

static bool find_thresholds(struct wr_scope *scope, const struct wr_node *node);

/* Children of which only the truth counts: a series among them flips at zero. */
static bool find_in_logic(struct wr_scope *scope, const struct wr_node *child, bool only_first) {
    for (bool truth = true; child; child = child->next, truth = !only_first)
        if (truth && child->kind == WR_NODE_SERIES) {
            if (!add_threshold(scope, &scope->rule->operands[child->operand], 0))
                return false;
        } else if (!find_thresholds(scope, child)) {
            return false;
        }
    return true;
}

static bool find_thresholds(struct wr_scope *scope, const struct wr_node *node) {
    struct wr_operand *operands = scope->rule->operands;
    const struct wr_node *first = node->child;
    if (wr_check_fixed(node))
        return true;
    if (node->kind == WR_NODE_SERIES) {
        operands[node->operand].opaque = true;
        return true;
    }
    if (node->kind == WR_NODE_COMPARE && first->next->type != WR_NODE_IS_TEXT) {
        const struct wr_node *second = first->next;
        if (is_age(first) || is_age(second))
            return add_age(scope, node);
        if (first->kind == WR_NODE_SERIES && wr_check_fixed(second))
            return add_fixed(scope, first, second);
        if (second->kind == WR_NODE_SERIES && wr_check_fixed(first))
            return add_fixed(scope, second, first);
    }
    if (node->kind == WR_NODE_RANGE && first->kind == WR_NODE_SERIES && wr_check_fixed(first->next) && wr_check_fixed(first->next->next))
        return add_fixed(scope, first, first->next) && add_fixed(scope, first, first->next->next);
    if (is_age(node))
        return refuse_age(scope, node);
    bool logic = node->kind == WR_NODE_AND || node->kind == WR_NODE_OR || node->kind == WR_NODE_NOT;
    bool call = node->kind == WR_NODE_CALL;
    bool condition = call && node->function->id == WR_FUNCTION_IF;
    if (logic || condition || (call && node->function->how == WR_HOW_VOTE))
        return find_in_logic(scope, first, condition);
    for (const struct wr_node *child = first; child; child = child->next)
        if (!find_thresholds(scope, child))
            return false;
    return true;
}

bool wr_check_thresholds(struct wr_scope *scope, const struct wr_node *node, bool truth) {
    if (truth && node->kind == WR_NODE_SERIES)
        return add_threshold(scope, &scope->rule->operands[node->operand], 0);
    return find_thresholds(scope, node);
}
