/* The words of an expression: one token a call, each with its place in the text.
 *
 * Promise: every byte belongs to a token or to white space, or is an error with a reason. A unit is glued to its number: `8°C`, `5L/min`; a
 * compound duration is one token: `1m30s`. The braces of a selector are given as one token, text and all, for rules/language/selector.h to read.
 * Threads: none. Ownership: tokens point into the text, which need not end with NUL.
 */
#ifndef WEIR_RULES_LANGUAGE_LEXER_H
#define WEIR_RULES_LANGUAGE_LEXER_H

#include <stddef.h>
#include <stdint.h>

enum wr_token_kind {
    WR_TOKEN_END,
    WR_TOKEN_ERROR,    /* reason tells */
    WR_TOKEN_NUMBER,   /* number, and the unit's text (unit_len 0: none) */
    WR_TOKEN_DURATION, /* compound: number in seconds */
    WR_TOKEN_TEXT,     /* "..." : text without the quotes */
    WR_TOKEN_NAME,
    WR_TOKEN_BRACES, /* {...} */
    WR_TOKEN_AND,
    WR_TOKEN_OR,
    WR_TOKEN_NOT,
    WR_TOKEN_IN,
    WR_TOKEN_OUTSIDE,
    WR_TOKEN_MOD,
    WR_TOKEN_PLUS,
    WR_TOKEN_MINUS,
    WR_TOKEN_TIMES,
    WR_TOKEN_SLASH,
    WR_TOKEN_LESS,
    WR_TOKEN_LESS_EQUAL,
    WR_TOKEN_GREATER,
    WR_TOKEN_GREATER_EQUAL,
    WR_TOKEN_EQUAL,
    WR_TOKEN_NOT_EQUAL,
    WR_TOKEN_ASSIGN,
    WR_TOKEN_DOT,
    WR_TOKEN_RANGE, /* .. */
    WR_TOKEN_COMMA,
    WR_TOKEN_OPEN,
    WR_TOKEN_CLOSE,
};

struct wr_token {
    enum wr_token_kind kind;
    uint32_t offset; /* bytes */
    uint32_t len;
    const char *text;
    uint32_t text_len;
    const char *unit;
    uint32_t unit_len;
    double number;
    const char *reason;
};

struct wr_lexer {
    const char *text;
    uint32_t len;
    uint32_t at;
};

void wr_lexer_next(struct wr_lexer *lexer, struct wr_token *ret_token);

#endif
