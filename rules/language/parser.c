#include "rules/language/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/result.h"
#include "rules/language/lexer.h"

struct parser {
    struct wr_lexer lexer;
    struct wr_token token; /* the next one */
    uint32_t last_end;     /* where the token before it ended */
    struct wr_arena *arena;
    struct wr_complaint *complaint;
    bool failed;
    unsigned depth;
    unsigned nodes;
};

static struct wr_node *parse_or(struct parser *parser);

WR_PRINTF(5, 6)
static struct wr_node *refuse_at(struct parser *parser, unsigned code, uint32_t offset, uint32_t len, const char *format, ...) {
    if (parser->failed)
        return NULL;
    parser->failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parser->complaint->text, sizeof parser->complaint->text, format, arguments);
    va_end(arguments);
    parser->complaint->code = code;
    parser->complaint->offset = offset;
    parser->complaint->len = len;
    return NULL;
}

static void advance(struct parser *parser) {
    parser->last_end = parser->token.offset + parser->token.len;
    wr_lexer_next(&parser->lexer, &parser->token);
    if (parser->token.kind == WR_TOKEN_ERROR)
        refuse_at(parser, 100, parser->token.offset, parser->token.len, "%s", parser->token.reason);
}

static bool accept(struct parser *parser, enum wr_token_kind kind) {
    if (parser->failed || parser->token.kind != kind)
        return false;
    advance(parser);
    return true;
}

/* The token that stands where something else should. */
static struct wr_node *refuse_token(struct parser *parser, const char *wanted) {
    const struct wr_token *token = &parser->token;
    if (token->kind == WR_TOKEN_END)
        return refuse_at(parser, 101, token->offset, 0, "expected %s, but the expression ends here", wanted);
    char shown[40];
    wr_error_escape(shown, sizeof shown, parser->lexer.text + token->offset, token->len);
    return refuse_at(parser, 101, token->offset, token->len, "expected %s instead of '%s'", wanted, shown);
}

static struct wr_node *node_new(struct parser *parser, enum wr_node_kind kind, uint32_t offset) {
    if (parser->failed)
        return NULL;
    if (++parser->nodes > WR_EXPRESSION_NODES)
        return refuse_at(parser, 107, offset, 0, "an expression of more than %d parts", WR_EXPRESSION_NODES);
    struct wr_node *node = wr_arena_take(parser->arena, sizeof *node);
    if (!node) {
        parser->failed = true;
        parser->complaint->code = 0;
        return NULL;
    }
    node->kind = kind;
    node->offset = offset;
    node->unit = wr_unit_plain();
    return node;
}

/* Children one to three; NULL when one of them failed. */
static struct wr_node *node_over(struct parser *parser, enum wr_node_kind kind, uint32_t offset, struct wr_node *a, struct wr_node *b,
                                 struct wr_node *c) {
    struct wr_node *node = node_new(parser, kind, offset);
    if (!node || !a || parser->failed)
        return NULL;
    node->child = a;
    a->next = b;
    if (b)
        b->next = c;
    node->len = parser->last_end - offset;
    return node;
}

static struct wr_node *parse_number(struct parser *parser) {
    struct wr_token token = parser->token;
    struct wr_node *node = node_new(parser, WR_NODE_NUMBER, token.offset);
    if (!node)
        return NULL;
    node->len = token.len;
    node->number = token.number;
    node->constant = true;
    if (token.kind == WR_TOKEN_DURATION) {
        node->unit = wr_unit_second();
    } else if (token.unit_len > 0) {
        struct wr_error err;
        if (wr_unit_parse(token.unit, token.unit_len, &node->unit, &err) != WR_OK)
            return refuse_at(parser, 106, token.offset + token.len - token.unit_len, token.unit_len, "%s", err.text);
    }
    advance(parser);
    return node;
}

/* count 20 */
static struct wr_node *parse_count(struct parser *parser, uint32_t offset) {
    struct wr_node *node = node_new(parser, WR_NODE_COUNT, offset);
    if (!node)
        return NULL;
    node->number = parser->token.number;
    if (parser->token.unit_len > 0)
        return refuse_token(parser, "a number of samples without a unit");
    advance(parser);
    node->len = parser->last_end - offset;
    return node;
}

static bool is_word(const struct wr_token *token, const char *word) {
    return token->kind == WR_TOKEN_NAME && token->text_len == strlen(word) && memcmp(token->text, word, token->text_len) == 0;
}

/* One argument: an expression, `count 20`, or name=expression. */
static struct wr_node *parse_argument(struct parser *parser) {
    struct wr_lexer ahead = parser->lexer;
    struct wr_token first = parser->token;
    struct wr_token second;
    wr_lexer_next(&ahead, &second);
    if (is_word(&first, "count") && second.kind == WR_TOKEN_NUMBER) {
        advance(parser);
        return parse_count(parser, first.offset);
    }
    if (is_word(&first, "count") && (second.kind == WR_TOKEN_NAME || second.kind == WR_TOKEN_TEXT || second.kind == WR_TOKEN_DURATION)) {
        advance(parser);
        return refuse_token(parser, "a number of samples behind `count`, as in count 20,");
    }
    if (first.kind != WR_TOKEN_NAME || second.kind != WR_TOKEN_ASSIGN)
        return parse_or(parser);
    const char *name = wr_arena_text(parser->arena, first.text, first.text_len);
    advance(parser);
    advance(parser);
    struct wr_node *value = parse_or(parser);
    struct wr_node *named = node_over(parser, WR_NODE_NAMED, first.offset, value, NULL, NULL);
    if (named)
        named->text = name;
    return named;
}

/* A comma stands between arguments; before name=... it may be left out: `1h step=1m`. */
static struct wr_node *parse_call(struct parser *parser, uint32_t offset, const char *name) {
    struct wr_node *call = node_new(parser, WR_NODE_CALL, offset);
    if (!call)
        return NULL;
    call->text = name;
    struct wr_node **tail = &call->child;
    if (accept(parser, WR_TOKEN_CLOSE)) {
        call->len = parser->last_end - offset;
        return call;
    }
    for (;;) {
        struct wr_node *argument = parse_argument(parser);
        if (!argument)
            return NULL;
        *tail = argument;
        tail = &argument->next;
        if (accept(parser, WR_TOKEN_CLOSE))
            break;
        if (!accept(parser, WR_TOKEN_COMMA) && parser->token.kind != WR_TOKEN_NAME)
            return refuse_token(parser, "a comma or )");
    }
    call->len = parser->last_end - offset;
    return call;
}

/* name{.name}[{...}]: the selector's own reader has the last word. */
static struct wr_node *parse_series(struct parser *parser, uint32_t offset) {
    for (;;) {
        struct wr_token part = parser->token;
        if (part.kind < WR_TOKEN_NAME || part.kind == WR_TOKEN_BRACES || part.kind > WR_TOKEN_MOD)
            return refuse_token(parser, "a name");
        advance(parser);
        if (parser->token.kind != WR_TOKEN_DOT || parser->token.offset != parser->last_end)
            break;
        advance(parser);
    }
    if (parser->token.kind == WR_TOKEN_BRACES)
        advance(parser);
    struct wr_node *node = node_new(parser, WR_NODE_SERIES, offset);
    if (!node)
        return NULL;
    node->len = parser->last_end - offset;
    struct wr_selector selector;
    struct wr_error err;
    size_t at = 0;
    if (wr_selector_parse(parser->lexer.text + offset, node->len, &selector, &at, &err) != WR_OK)
        return refuse_at(parser, 108, offset + (uint32_t)at, 1, "%s", err.text);
    node->text = wr_arena_text(parser->arena, parser->lexer.text + offset, node->len);
    return node;
}

static struct wr_node *parse_name(struct parser *parser) {
    struct wr_token name = parser->token;
    struct wr_lexer ahead = parser->lexer;
    struct wr_token second;
    wr_lexer_next(&ahead, &second);
    if (second.kind != WR_TOKEN_OPEN)
        return parse_series(parser, name.offset);
    const char *text = wr_arena_text(parser->arena, name.text, name.text_len);
    advance(parser);
    advance(parser);
    return text ? parse_call(parser, name.offset, text) : node_new(parser, WR_NODE_CALL, name.offset);
}

static struct wr_node *parse_primary(struct parser *parser) {
    struct wr_token token = parser->token;
    if (parser->failed)
        return NULL;
    switch (token.kind) {
    case WR_TOKEN_NUMBER:
    case WR_TOKEN_DURATION:
        return parse_number(parser);
    case WR_TOKEN_NAME:
        return parse_name(parser);
    case WR_TOKEN_TEXT: {
        struct wr_node *node = node_new(parser, WR_NODE_TEXT, token.offset);
        if (!node)
            return NULL;
        node->text = wr_arena_text(parser->arena, token.text, token.text_len);
        node->len = token.len;
        advance(parser);
        return node;
    }
    case WR_TOKEN_OPEN: {
        advance(parser);
        struct wr_node *inner = parse_or(parser);
        if (inner && !accept(parser, WR_TOKEN_CLOSE))
            return refuse_token(parser, ")");
        return inner;
    }
    default:
        return refuse_token(parser, "a value");
    }
}

/* -5 is a number: so a negative position on a scale (-15°C) needs no arithmetic. */
static struct wr_node *parse_unary(struct parser *parser) {
    uint32_t offset = parser->token.offset;
    if (!accept(parser, WR_TOKEN_MINUS))
        return parse_primary(parser);
    if (++parser->depth > WR_EXPRESSION_DEPTH)
        return refuse_at(parser, 107, offset, 1, "more than %d levels", WR_EXPRESSION_DEPTH);
    struct wr_node *operand = parse_unary(parser);
    parser->depth--;
    if (operand && operand->kind == WR_NODE_NUMBER) {
        operand->number = -operand->number;
        operand->len += operand->offset - offset;
        operand->offset = offset;
        return operand;
    }
    return node_over(parser, WR_NODE_NEGATE, offset, operand, NULL, NULL);
}

static struct wr_node *parse_product(struct parser *parser) {
    uint32_t offset = parser->token.offset;
    struct wr_node *left = parse_unary(parser);
    while (left) {
        enum wr_node_kind kind;
        if (accept(parser, WR_TOKEN_TIMES))
            kind = WR_NODE_MULTIPLY;
        else if (accept(parser, WR_TOKEN_SLASH))
            kind = WR_NODE_DIVIDE;
        else if (accept(parser, WR_TOKEN_MOD))
            kind = WR_NODE_MODULO;
        else
            return left;
        struct wr_node *right = parse_unary(parser);
        left = right ? node_over(parser, kind, offset, left, right, NULL) : NULL;
    }
    return NULL;
}

static struct wr_node *parse_sum(struct parser *parser) {
    uint32_t offset = parser->token.offset;
    struct wr_node *left = parse_product(parser);
    while (left) {
        enum wr_node_kind kind;
        if (accept(parser, WR_TOKEN_PLUS))
            kind = WR_NODE_ADD;
        else if (accept(parser, WR_TOKEN_MINUS))
            kind = WR_NODE_SUBTRACT;
        else
            return left;
        struct wr_node *right = parse_product(parser);
        left = right ? node_over(parser, kind, offset, left, right, NULL) : NULL;
    }
    return NULL;
}

static struct wr_node *parse_range(struct parser *parser, uint32_t offset, struct wr_node *value, bool outside) {
    struct wr_node *low = parse_sum(parser);
    if (low && !accept(parser, WR_TOKEN_RANGE))
        return refuse_token(parser, ".. between the two ends of the range");
    struct wr_node *high = low ? parse_sum(parser) : NULL;
    struct wr_node *node = high ? node_over(parser, WR_NODE_RANGE, offset, value, low, high) : NULL;
    if (node)
        node->outside = outside;
    return node;
}

static struct wr_node *parse_comparison(struct parser *parser) {
    uint32_t offset = parser->token.offset;
    struct wr_node *left = parse_sum(parser);
    if (!left)
        return NULL;
    if (accept(parser, WR_TOKEN_IN))
        return parse_range(parser, offset, left, false);
    if (accept(parser, WR_TOKEN_OUTSIDE))
        return parse_range(parser, offset, left, true);
    enum wr_token_kind kind = parser->token.kind;
    if (kind == WR_TOKEN_ASSIGN)
        return refuse_token(parser, "==");
    if (kind < WR_TOKEN_LESS || kind > WR_TOKEN_NOT_EQUAL)
        return left;
    advance(parser);
    struct wr_node *right = parse_sum(parser);
    struct wr_node *node = right ? node_over(parser, WR_NODE_COMPARE, offset, left, right, NULL) : NULL;
    if (node)
        node->comparison = (enum wr_comparison)(kind - WR_TOKEN_LESS);
    return node;
}

static struct wr_node *parse_not(struct parser *parser) {
    uint32_t offset = parser->token.offset;
    if (!accept(parser, WR_TOKEN_NOT))
        return parse_comparison(parser);
    struct wr_node *inner = parse_comparison(parser);
    return node_over(parser, WR_NODE_NOT, offset, inner, NULL, NULL);
}

static struct wr_node *parse_and(struct parser *parser) {
    uint32_t offset = parser->token.offset;
    struct wr_node *left = parse_not(parser);
    while (left && accept(parser, WR_TOKEN_AND)) {
        struct wr_node *right = parse_not(parser);
        left = right ? node_over(parser, WR_NODE_AND, offset, left, right, NULL) : NULL;
    }
    return left;
}

static struct wr_node *parse_or(struct parser *parser) {
    uint32_t offset = parser->token.offset;
    if (++parser->depth > WR_EXPRESSION_DEPTH)
        return refuse_at(parser, 107, offset, 1, "more than %d levels", WR_EXPRESSION_DEPTH);
    struct wr_node *left = parse_and(parser);
    while (left && accept(parser, WR_TOKEN_OR)) {
        struct wr_node *right = parse_and(parser);
        left = right ? node_over(parser, WR_NODE_OR, offset, left, right, NULL) : NULL;
    }
    parser->depth--;
    return left;
}

struct wr_node *wr_parse_expression(const char *text, size_t len, struct wr_arena *arena, struct wr_complaint *ret_complaint) {
    *ret_complaint = (struct wr_complaint){0};
    struct parser parser = {.arena = arena, .complaint = ret_complaint};
    if (len > WR_EXPRESSION_BYTES)
        return refuse_at(&parser, 107, 0, 0, "an expression of more than %d bytes", WR_EXPRESSION_BYTES);
    parser.lexer = (struct wr_lexer){.text = text, .len = (uint32_t)len};
    advance(&parser);
    struct wr_node *node = parse_or(&parser);
    if (node && parser.token.kind != WR_TOKEN_END)
        node = refuse_token(&parser, "the end of the expression");
    if (parser.failed || arena->failed)
        return NULL;
    return node;
}
