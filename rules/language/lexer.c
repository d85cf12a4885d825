#include "rules/language/lexer.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 64

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Letters, and every byte of a character beyond ASCII: °, µ, Ω and names in any script. */
static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_unit_letter(char c) {
    return (is_letter(c) && c != '_') || c == '%';
}

static char peek(const struct wr_lexer *lexer, uint32_t ahead) {
    return ahead < lexer->len - lexer->at ? lexer->text[lexer->at + ahead] : '\0';
}

/* Bytes of "1m30s" from here, or 0: at least two amounts, each with a unit of time. */
static uint32_t compound(const struct wr_lexer *lexer, double *ret_seconds) {
    static const struct {
        const char *name;
        double seconds;
    } amounts[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"m", 60}, {"s", 1}};
    uint32_t at = 0;
    int groups = 0;
    *ret_seconds = 0;
    while (is_digit(peek(lexer, at))) {
        double number = 0;
        while (is_digit(peek(lexer, at)))
            number = number * 10 + (peek(lexer, at++) - '0');
        size_t n = sizeof amounts / sizeof amounts[0];
        size_t i = 0;
        size_t len = 0;
        for (; i < n; i++) {
            len = strlen(amounts[i].name);
            if (len <= lexer->len - lexer->at - at && memcmp(lexer->text + lexer->at + at, amounts[i].name, len) == 0)
                break;
        }
        if (i == n)
            return 0;
        at += (uint32_t)len;
        *ret_seconds += number * amounts[i].seconds;
        groups++;
    }
    return groups > 1 && !is_unit_letter(peek(lexer, at)) && peek(lexer, at) != '/' ? at : 0;
}

/* Bytes of the unit from `at`: names with a power, joined by "/". */
static uint32_t unit_length(const struct wr_lexer *lexer, uint32_t at) {
    uint32_t start = at;
    for (;;) {
        if (!is_unit_letter(peek(lexer, at)))
            return at - start;
        while (is_unit_letter(peek(lexer, at)))
            at++;
        if (peek(lexer, at) == '^' && is_digit(peek(lexer, at + 1)))
            at++;
        while (is_digit(peek(lexer, at)))
            at++;
        if (peek(lexer, at) != '/' || !is_unit_letter(peek(lexer, at + 1)))
            return at - start;
        at++;
    }
}

static void lex_number(struct wr_lexer *lexer, struct wr_token *token) {
    double seconds;
    uint32_t n = compound(lexer, &seconds);
    if (n > 0) {
        token->kind = WR_TOKEN_DURATION;
        token->number = seconds;
        lexer->at += n;
        return;
    }
    while (is_digit(peek(lexer, n)))
        n++;
    if (peek(lexer, n) == '.' && is_digit(peek(lexer, n + 1)))
        for (n++; is_digit(peek(lexer, n));)
            n++;
    /* An exponent needs a sign or a digit: 1e6 is a number, 1eV has a unit. */
    if (peek(lexer, n) == 'e' || peek(lexer, n) == 'E') {
        uint32_t sign = peek(lexer, n + 1) == '-' || peek(lexer, n + 1) == '+';
        if (is_digit(peek(lexer, n + 1 + sign)))
            for (n += 1 + sign; is_digit(peek(lexer, n));)
                n++;
    }
    char digits[NUMBER_BYTES];
    if (n >= sizeof digits) {
        token->kind = WR_TOKEN_ERROR;
        token->reason = "a number with more than 63 digits";
        lexer->at += n;
        return;
    }
    memcpy(digits, lexer->text + lexer->at, n);
    digits[n] = '\0';
    token->kind = WR_TOKEN_NUMBER;
    token->number = strtod(digits, NULL);
    token->unit = lexer->text + lexer->at + n;
    token->unit_len = unit_length(lexer, n);
    lexer->at += n + token->unit_len;
    if (!isfinite(token->number)) {
        token->kind = WR_TOKEN_ERROR;
        token->reason = "a number too large";
    }
}

static void lex_name(struct wr_lexer *lexer, struct wr_token *token) {
    static const struct {
        const char *word;
        enum wr_token_kind kind;
    } words[] = {{"and", WR_TOKEN_AND}, {"or", WR_TOKEN_OR},           {"not", WR_TOKEN_NOT},
                 {"in", WR_TOKEN_IN},   {"outside", WR_TOKEN_OUTSIDE}, {"mod", WR_TOKEN_MOD}};
    uint32_t n = 0;
    while (is_letter(peek(lexer, n)) || is_digit(peek(lexer, n)))
        n++;
    token->kind = WR_TOKEN_NAME;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i].word) == n && memcmp(words[i].word, lexer->text + lexer->at, n) == 0)
            token->kind = words[i].kind;
    token->text = lexer->text + lexer->at;
    token->text_len = n;
    lexer->at += n;
}

/* Up to the closing character; quotes inside braces may hold a brace. */
static void lex_enclosed(struct wr_lexer *lexer, struct wr_token *token, enum wr_token_kind kind, char close, const char *reason) {
    uint32_t n = 1;
    bool quoted = false;
    for (; n < lexer->len - lexer->at && (quoted || peek(lexer, n) != close); n++)
        if (kind == WR_TOKEN_BRACES && peek(lexer, n) == '"')
            quoted = !quoted;
    if (n >= lexer->len - lexer->at) {
        token->kind = WR_TOKEN_ERROR;
        token->reason = reason;
        lexer->at = lexer->len;
        return;
    }
    token->kind = kind;
    token->text = lexer->text + lexer->at + 1;
    token->text_len = n - 1;
    lexer->at += n + 1;
}

static const struct {
    const char *text;
    enum wr_token_kind kind;
} signs[] = {
    {"<=", WR_TOKEN_LESS_EQUAL}, {">=", WR_TOKEN_GREATER_EQUAL}, {"==", WR_TOKEN_EQUAL},  {"!=", WR_TOKEN_NOT_EQUAL},
    {"..", WR_TOKEN_RANGE},      {"<", WR_TOKEN_LESS},           {">", WR_TOKEN_GREATER}, {"=", WR_TOKEN_ASSIGN},
    {"+", WR_TOKEN_PLUS},        {"-", WR_TOKEN_MINUS},          {"*", WR_TOKEN_TIMES},   {"/", WR_TOKEN_SLASH},
    {".", WR_TOKEN_DOT},         {",", WR_TOKEN_COMMA},          {"(", WR_TOKEN_OPEN},    {")", WR_TOKEN_CLOSE},
};

static void lex_sign(struct wr_lexer *lexer, struct wr_token *token) {
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        uint32_t len = (uint32_t)strlen(signs[i].text);
        if (len <= lexer->len - lexer->at && memcmp(lexer->text + lexer->at, signs[i].text, len) == 0) {
            token->kind = signs[i].kind;
            lexer->at += len;
            return;
        }
    }
    char c = peek(lexer, 0);
    token->kind = WR_TOKEN_ERROR;
    token->reason = c == '%'                ? "% is a unit and stands right behind its number: write 5%; the remainder is `mod`"
                    : c == '!'              ? "write `not`, or !=, instead of !"
                    : c == '&' || c == '|'  ? "write `and` and `or`"
                    : c == '?' || c == ':'  ? "there is no ? : here"
                    : (unsigned char)c < 32 ? "a control character"
                                            : "a character that has no meaning here";
    lexer->at++;
}

void wr_lexer_next(struct wr_lexer *lexer, struct wr_token *ret_token) {
    while (lexer->at < lexer->len && strchr(" \t\r\n", lexer->text[lexer->at]) && lexer->text[lexer->at])
        lexer->at++;
    struct wr_token token = {.offset = lexer->at};
    char c = peek(lexer, 0);
    if (lexer->at >= lexer->len)
        token.kind = WR_TOKEN_END;
    else if (is_digit(c))
        lex_number(lexer, &token);
    else if (is_letter(c))
        lex_name(lexer, &token);
    else if (c == '"' || c == '\'')
        lex_enclosed(lexer, &token, WR_TOKEN_TEXT, c, "the closing quote is missing");
    else if (c == '{')
        lex_enclosed(lexer, &token, WR_TOKEN_BRACES, '}', "the closing } is missing");
    else
        lex_sign(lexer, &token);
    token.len = lexer->at - token.offset;
    *ret_token = token;
}
