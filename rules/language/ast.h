/* The tree of an expression: made by the parser, annotated by the checker, read by the compiler.
 *
 * Ownership: nodes live in the arena of their rule set. Places are byte offsets in the text of the expression.
 */
#ifndef WEIR_RULES_LANGUAGE_AST_H
#define WEIR_RULES_LANGUAGE_AST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "rules/language/arena.h"
#include "rules/language/selector.h"
#include "rules/language/units.h"

enum wr_node_kind {
    WR_NODE_NUMBER,
    WR_NODE_TEXT,
    WR_NODE_SERIES, /* text: the selector as written */
    WR_NODE_CALL,   /* text: the function's name; children: arguments */
    WR_NODE_NAMED,  /* name=expr among arguments */
    WR_NODE_COUNT,  /* `count 20`: number */
    WR_NODE_NEGATE,
    WR_NODE_NOT,
    WR_NODE_AND,
    WR_NODE_OR,
    WR_NODE_ADD,
    WR_NODE_SUBTRACT,
    WR_NODE_MULTIPLY,
    WR_NODE_DIVIDE,
    WR_NODE_MODULO,
    WR_NODE_COMPARE, /* two children, comparison */
    WR_NODE_RANGE,   /* three children: value, low, high; outside */
    WR_NODE_CONVERT, /* put in by the checker: child * factor + addend */
    WR_NODE_CELL,    /* made by the checker from a name: cell `operand` of the rule */
};

enum wr_comparison { WR_LESS, WR_LESS_EQUAL, WR_GREATER, WR_GREATER_EQUAL, WR_EQUAL, WR_NOT_EQUAL };

enum wr_node_type { WR_NODE_IS_NUMBER, WR_NODE_IS_BOOL, WR_NODE_IS_TEXT, WR_NODE_IS_WRONG };

struct wr_function; /* rules/language/functions.h */
struct wr_timezone; /* core/timezone.h */

#define WR_NODE_NONE UINT32_MAX

struct wr_node {
    enum wr_node_kind kind;
    uint32_t offset;
    uint32_t len;
    struct wr_node *child; /* first */
    struct wr_node *next;  /* sibling */
    double number;
    const char *text;
    enum wr_comparison comparison;
    bool outside;
    /* Set by the checker. */
    enum wr_node_type type;
    struct wr_unit unit;
    const struct wr_unit *written; /* the unit from which a constant was converted; NULL: it was not */
    bool constant; /* `number` is its value, in `unit` */
    bool fixed;    /* constant, or the same for an instance as long as it lives: cells of tables and arithmetic on them */
    const struct wr_function *function;
    const struct wr_timezone *zone; /* of hour and weekday; NULL: UTC */
    uint32_t operand;  /* of a series or a call; a cell of a table */
    uint32_t memory;   /* index of the operator; WR_NODE_NONE: none */
    double argument;   /* a number that an instruction carries: quantile, degrade, step of round */
    double factor;
    double addend;
};

const char *wr_comparison_text(enum wr_comparison comparison);

/* One canonical text: the same for expressions that differ in spaces, quotes and brackets only. With shape, numbers stand as #: two
 * expressions of the same shape differ in limits only. */
WR_MUST_USE enum wr_result wr_node_canonical(const struct wr_node *node, bool shape, struct wr_buf *into);

#endif
