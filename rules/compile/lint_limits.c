/* Limits that are never reached, or always; deadbands that are too small. Also in levels, in conditions within conditions, and in the rows of tables. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/compile/lint.h"

/* -- limits --------------------------------------------------------------------------------------------------------------------------------- */

static bool is_outside(const struct wr_point *point, double limit) {
    return limit < point->low || limit > point->high;
}

static void lint_numbers(const struct wr_lint *lint, const struct wr_rule *alarm, const struct wr_operand *operand) {
    const struct wr_point *point = operand->point;
    for (uint32_t k = 0; k < operand->n_thresholds; k++)
        if (is_outside(point, operand->thresholds[k])) {
            wr_lint_warn(lint, 406, alarm, NULL, "the limit %.9g%s is outside the range of '%s'", operand->thresholds[k], point->unit.text,
                         point->name);
            return;
        }
}

/* The one table that a limit is taken from; NULL: there are several, whose rows meet in instances only. */
static const struct wr_table *table_of(const struct wr_rule *node, const struct wr_program *limit) {
    const struct wr_table *table = NULL;
    for (uint16_t i = 0; i < limit->n; i++) {
        if (limit->code[i].op != WR_OP_CELL)
            continue;
        const struct wr_table *other = node->cells[limit->code[i].a].table;
        if (table && other != table)
            return NULL;
        table = other;
    }
    return table;
}

struct row {
    const struct wr_rule *node;
    uint32_t row;
};

static double load_cell(void *user, const struct wr_instruction *instruction) {
    const struct row *at = user;
    if (instruction->op != WR_OP_CELL)
        return NAN;
    const struct wr_rule_cell *cell = &at->node->cells[instruction->a];
    return wr_table_number(cell->table, at->row, cell->column);
}

/* Each row of the table: the first one that is out of range is named, the others are counted. */
static void lint_rows(const struct wr_lint *lint, const struct wr_rule *alarm, const struct wr_rule *node, const struct wr_operand *operand,
                      const struct wr_program *limit) {
    const struct wr_table *table = table_of(node, limit);
    const uint32_t key = table ? wr_table_column(table, wr_table_key(table), NULL) : 0;
    uint32_t n = 0;
    uint32_t first = 0;
    double value = 0;
    for (uint32_t i = 0; table && i < wr_table_rows(table); i++) {
        struct row at = {node, i};
        const double number = wr_program_run(limit, load_cell, &at);
        if (isnan(number) || !is_outside(operand->point, number))
            continue;
        if (n++ > 0)
            continue;
        first = i;
        value = number;
    }
    char more[32] = "";
    if (n > 1)
        snprintf(more, sizeof more, ", and %u more row%s", n - 1, n > 2 ? "s" : "");
    if (n > 0)
        wr_lint_warn(lint, 406, alarm, NULL, "the limit %.9g%s of row '%.60s' of table '%.60s' is outside the range of '%s'%s", value,
                     operand->point->unit.text, wr_table_text(table, first, key), wr_table_name(table), operand->point->name, more);
}

/* -- deadbands ------------------------------------------------------------------------------------------------------------------------------- */

/* What a comparison's signal is compared with; n 0: it is no such comparison. */
static struct wr_program limit_of(const struct wr_program *program, uint16_t *ret_operand) {
    const struct wr_program none = {0};
    if (program->n < 3 || program->code[program->n - 1].op != WR_OP_COMPARE)
        return none;
    const struct wr_program right = wr_program_slice(program, (uint16_t)(program->n - 2));
    const struct wr_program left = wr_program_slice(program, (uint16_t)(program->n - 2 - right.n));
    const bool on_left = right.n == 1 && right.code[0].op == WR_OP_VALUE;
    const struct wr_program *signal = on_left ? &right : &left;
    if (signal->n != 1 || signal->code[0].op != WR_OP_VALUE)
        return none;
    *ret_operand = signal->code[0].a;
    return on_left ? left : right;
}

/* How far `clear` lies from `when`; NaN: it is not known without a table, or not a deadband. */
static double deadband_of(const struct wr_rule *node, uint16_t *ret_operand) {
    uint16_t other;
    if (node->when.kernel == WR_KERNEL_RANGE && node->clear.kernel == WR_KERNEL_RANGE) {
        *ret_operand = node->when.operand;
        return fabs(node->when.low - node->clear.low);
    }
    const struct wr_program limit = limit_of(&node->when, ret_operand);
    const struct wr_program clear = limit_of(&node->clear, &other);
    if (limit.n == 0 || clear.n == 0 || *ret_operand != other)
        return NAN;
    if (limit.n == 1 && clear.n == 1 && limit.code[0].op == WR_OP_NUMBER && clear.code[0].op == WR_OP_NUMBER)
        return fabs(limit.code[0].number - clear.code[0].number);
    /* rooms.hi, and rooms.hi - 1 K */
    const struct wr_instruction *last = &clear.code[clear.n - 1];
    const bool moved = clear.n == limit.n + 2 && (last->op == WR_OP_SUBTRACT || last->op == WR_OP_ADD) && last[-1].op == WR_OP_NUMBER;
    return moved ? fabs(last[-1].number) : NAN;
}

/* What ends it is not the noise of one sample. */
static bool outlasts_noise(const struct wr_rule *node, const struct wr_point *point) {
    return node->off_delay_ns > 0 && node->off_delay_ns >= point->every_ns;
}

static void lint_deadband(const struct wr_lint *lint, const struct wr_rule *alarm, const struct wr_rule *node) {
    uint16_t operand = 0;
    const double deadband = node->clear.n > 0 ? deadband_of(node, &operand) : NAN;
    const struct wr_point *point = isnan(deadband) ? NULL : node->operands[operand].point;
    if (point && point->resolution > 0 && deadband < 2 * point->resolution * (1 - 1e-9) && !outlasts_noise(node, point))
        wr_lint_warn(lint, 404, alarm, "a larger deadband, or an off_delay that outlasts a sample",
                     "the deadband is below twice the resolution of '%s': it will chatter", point->name);
}

/* -- all of it ------------------------------------------------------------------------------------------------------------------------------- */

static void lint_node(struct wr_lint *lint, const struct wr_rule *alarm, const struct wr_rule *node) {
    for (uint32_t i = 0; i < node->n_operands; i++) {
        const struct wr_operand *operand = &node->operands[i];
        if (operand->node != WR_NODE_NO && !lint->seen[operand->node]) {
            lint->seen[operand->node] = true;
            lint_node(lint, alarm, lint->ruleset->rules[operand->node]);
        }
        if (!operand->point)
            continue;
        lint_numbers(lint, alarm, operand);
        for (uint32_t k = 0; k < operand->n_limits; k++)
            lint_rows(lint, alarm, node, operand, operand->limits[k].program);
    }
    lint_deadband(lint, alarm, node);
}

void wr_lint_limits(struct wr_lint *lint, const struct wr_rule *rule) {
    lint_node(lint, rule, rule);
}
