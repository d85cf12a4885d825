/* The checker: types, dimensions, names and constants of a parsed expression, for one rule.
 *
 * Promise: every error of the expression is reported with its place; what is left has one unit on both sides of each operator (conversions are
 * put in, literals are converted at load), and its series and windows are in the rule's tables.
 * Threads: none. Ownership: nodes live in the arena of the rule set.
 */
#ifndef WEIR_RULES_CHECK_H
#define WEIR_RULES_CHECK_H

#include "rules/compiled.h"
#include "rules/parser.h"

struct wr_scope {
    struct wr_ruleset *ruleset;
    struct wr_rule *rule;
    void (*complain)(void *user, const struct wr_complaint *complaint);
    void *user;
    bool failed;
};

/* Reports an error at a node's place. */
void wr_scope_complain(struct wr_scope *scope, unsigned code, const struct wr_node *node, const char *hint, const char *format, ...)
    WR_PRINTF(5, 6);

/* A condition: true or false, not constant. The checked tree, or NULL after complaints. */
struct wr_node *wr_check_condition(struct wr_scope *scope, struct wr_node *node);

/* A constant number (deadband). False after complaints. */
bool wr_check_constant(struct wr_scope *scope, struct wr_node *node);

/* Brings two numbers to one unit, converting the constant one, else the right one. verb: "compare", "add" ... False after a complaint. */
bool wr_check_unify(struct wr_scope *scope, struct wr_node **left, struct wr_node **right, const char *verb, const struct wr_node *at);

/* What a checked condition tells about its operands: thresholds, which of them are opaque, ages. False after complaints. */
bool wr_check_thresholds(struct wr_scope *scope, const struct wr_node *node);

/* Call (check_call.c): fills operand, window, unit and type. */
void wr_check_call(struct wr_scope *scope, struct wr_node *node);
void wr_check_series(struct wr_scope *scope, struct wr_node *node);
struct wr_node *wr_check_number(struct wr_scope *scope, struct wr_node *node);

#endif
