/* The parser: the text of an expression into its tree (grammar in docs/rules.md).
 *
 * Promise: one error a text, with its place, then NULL. Threads: none; pure. Ownership: nodes and texts live in the arena.
 * Limits: WR_EXPRESSION_BYTES of text, WR_EXPRESSION_DEPTH levels (the parser recurses), WR_EXPRESSION_NODES nodes.
 */
#ifndef WEIR_RULES_LANGUAGE_PARSER_H
#define WEIR_RULES_LANGUAGE_PARSER_H

#include "rules/language/arena.h"
#include "rules/language/ast.h"

#define WR_EXPRESSION_BYTES 4096
#define WR_EXPRESSION_DEPTH 40
#define WR_EXPRESSION_NODES 512

/* What was wrong: code (docs/diagnostics.md), place in bytes, text and hint. */
struct wr_complaint {
    unsigned code;
    uint32_t offset;
    uint32_t len;
    char text[256];
    char hint[256]; /* empty: none */
};

/* NULL with *ret_complaint set; with code 0 when memory ran out. */
struct wr_node *wr_parse_expression(const char *text, size_t len, struct wr_arena *arena, struct wr_complaint *ret_complaint);

#endif
