#include "rules/testing/mutants.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/quantity.h"
#include "rules/diagnostics/lines.h"
#include "rules/language/lexer.h"
#include "rules/language/units.h"

#define SMALL_COUNT 20 /* below it a count is moved by one, not by a tenth */
#define WITH_BYTES 80

struct finder {
    const struct wr_yaml *yaml;
    struct wr_arena *arena;
    struct wr_mutants *mutants;
    const char *rule;
    bool fallback;
    char path[WR_YAML_PATH_BYTES];
    bool too_many;
};

static uint32_t characters(const char *text, size_t bytes) {
    uint32_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* Where a place stands in the text. */
static size_t byte_of(const struct wr_yaml *yaml, struct wr_position place) {
    size_t start;
    size_t len;
    wr_lines_find(yaml->text, yaml->text_len, place.line, &start, &len);
    size_t at = 0;
    for (uint32_t column = 1; column < place.column && at < len; column++)
        at += wr_lines_character(yaml->text + start, len, at);
    return start + at;
}

/* Bytes offset..offset+len of the scalar at the present path become `with`. What stands otherwise in the file than in the scalar (escapes) is left alone. */
static void add(struct finder *finder, const char *scalar, size_t offset, size_t len, const char *with) {
    const struct wr_yaml *yaml = finder->yaml;
    if (strlen(with) == len && memcmp(with, scalar + offset, len) == 0)
        return;
    const struct wr_position place =
        wr_yaml_where(yaml, finder->path, characters(scalar, offset), len > 0 ? characters(scalar + offset, len) : 1);
    const size_t at = byte_of(yaml, place);
    if (place.line == 0 || at + len > yaml->text_len || memcmp(yaml->text + at, scalar + offset, len) != 0)
        return;
    if (finder->mutants->n == WR_MUTANTS) {
        finder->too_many = true;
        return;
    }
    const char *copy = wr_arena_string(finder->arena, with);
    if (copy)
        finder->mutants->list[finder->mutants->n++] =
            (struct wr_mutant){.rule = finder->rule, .fallback = finder->fallback, .at = at, .len = len, .with = copy, .place = place};
}

/* -- numbers ------------------------------------------------------------------------------------------------------------------------------ */

static void add_number(struct finder *finder, const char *scalar, const struct wr_token *token, double number) {
    char with[WITH_BYTES];
    snprintf(with, sizeof with, "%.6g%.*s", number, (int)token->unit_len, token->unit_len ? token->unit : "");
    add(finder, scalar, token->offset, token->len, with);
}

static bool is_time(const struct wr_token *token) {
    struct wr_unit unit;
    return token->unit_len > 0 && wr_unit_parse(token->unit, token->unit_len, &unit, NULL) == WR_OK &&
           (wr_unit_is_time(&unit) || unit.ambiguous_m);
}

/* A limit by a tenth, a window by half and twice, a small count by one. */
static void change_number(struct finder *finder, const char *scalar, const struct wr_token *token) {
    const double number = token->number;
    const bool whole = token->unit_len == 0 && number == floor(number);
    if (is_time(token) && number > 0) {
        add_number(finder, scalar, token, number * 2);
        add_number(finder, scalar, token, number / 2);
    } else if (number == 0 || (whole && number < SMALL_COUNT)) {
        add_number(finder, scalar, token, number + 1);
        if (number > 0)
            add_number(finder, scalar, token, number - 1);
    } else {
        add_number(finder, scalar, token, whole ? round(number * 1.1) : number * 1.1);
        add_number(finder, scalar, token, whole ? round(number * 0.9) : number * 0.9);
    }
}

static void add_duration(struct finder *finder, const char *scalar, size_t offset, size_t len, int64_t ns) {
    char with[WITH_BYTES];
    wr_quantity_format_duration(with, sizeof with, ns);
    add(finder, scalar, offset, len, ns == 0 ? "0s" : with);
}

/* -- expressions -------------------------------------------------------------------------------------------------------------------------- */

static const struct {
    enum wr_token_kind kind;
    const char *with[2];
} swaps[] = {
    {WR_TOKEN_AND, {"or"}},
    {WR_TOKEN_OR, {"and"}},
    {WR_TOKEN_IN, {"outside"}},
    {WR_TOKEN_OUTSIDE, {"in"}},
    {WR_TOKEN_PLUS, {"-"}},
    {WR_TOKEN_TIMES, {"/"}},
    {WR_TOKEN_SLASH, {"*"}},
    {WR_TOKEN_LESS, {"<=", ">="}},
    {WR_TOKEN_LESS_EQUAL, {"<", ">"}},
    {WR_TOKEN_GREATER, {">=", "<="}},
    {WR_TOKEN_GREATER_EQUAL, {">", "<"}},
    {WR_TOKEN_EQUAL, {"!="}},
    {WR_TOKEN_NOT_EQUAL, {"=="}},
};

/* True: the token decides something, and was changed. */
static bool change_operator(struct finder *finder, const char *scalar, const struct wr_token *token) {
    for (size_t i = 0; i < sizeof swaps / sizeof swaps[0]; i++) {
        if (swaps[i].kind != token->kind)
            continue;
        for (size_t k = 0; k < 2 && swaps[i].with[k]; k++)
            add(finder, scalar, token->offset, token->len, swaps[i].with[k]);
        return true;
    }
    return false;
}

/* Whether a value ends here, so that a minus behind it subtracts. */
static bool ends_value(enum wr_token_kind kind) {
    return kind == WR_TOKEN_NUMBER || kind == WR_TOKEN_DURATION || kind == WR_TOKEN_NAME || kind == WR_TOKEN_BRACES ||
           kind == WR_TOKEN_CLOSE;
}

static void change_expression(struct finder *finder, const char *scalar, bool condition) {
    struct wr_lexer lexer = {.text = scalar, .len = (uint32_t)strlen(scalar)};
    enum wr_token_kind last = WR_TOKEN_END;
    struct wr_token token;
    bool decides = false;
    for (wr_lexer_next(&lexer, &token); token.kind != WR_TOKEN_END && token.kind != WR_TOKEN_ERROR; wr_lexer_next(&lexer, &token)) {
        if (change_operator(finder, scalar, &token)) {
            decides |= token.kind != WR_TOKEN_PLUS && token.kind != WR_TOKEN_TIMES && token.kind != WR_TOKEN_SLASH;
        } else if (token.kind == WR_TOKEN_NOT) {
            const size_t space = strspn(scalar + token.offset + token.len, " ");
            add(finder, scalar, token.offset, token.len + space, "");
            decides = true;
        } else if (token.kind == WR_TOKEN_MINUS) {
            add(finder, scalar, token.offset, token.len, ends_value(last) ? "+" : "");
        } else if (token.kind == WR_TOKEN_NUMBER) {
            change_number(finder, scalar, &token);
        } else if (token.kind == WR_TOKEN_DURATION) {
            add_duration(finder, scalar, token.offset, token.len, (int64_t)(token.number * 2e9));
            add_duration(finder, scalar, token.offset, token.len, (int64_t)(token.number * 5e8));
        }
        last = token.kind;
    }
    if (!condition || decides || strchr(scalar, '\n') || !scalar[0])
        return;
    char with[WR_YAML_PATH_BYTES];
    if (snprintf(with, sizeof with, "not (%s)", scalar) < (int)sizeof with)
        add(finder, scalar, 0, strlen(scalar), with);
}

/* -- other values --------------------------------------------------------------------------------------------------------------------------- */

static void change_condition(struct finder *finder, const char *scalar) {
    change_expression(finder, scalar, true);
}

static void change_formula(struct finder *finder, const char *scalar) {
    change_expression(finder, scalar, false);
}

static void change_delay(struct finder *finder, const char *scalar) {
    int64_t ns;
    if (wr_quantity_duration(scalar, &ns, NULL) != WR_OK || ns == 0)
        return;
    add_duration(finder, scalar, 0, strlen(scalar), 0);
    add_duration(finder, scalar, 0, strlen(scalar), ns / 2);
    add_duration(finder, scalar, 0, strlen(scalar), ns * 2);
}

/* A number with its unit: a deadband. */
static void change_quantity(struct finder *finder, const char *scalar) {
    struct wr_lexer lexer = {.text = scalar, .len = (uint32_t)strlen(scalar)};
    struct wr_token token;
    wr_lexer_next(&lexer, &token);
    if (token.kind != WR_TOKEN_NUMBER || token.number == 0)
        return;
    add_number(finder, scalar, &token, 0);
    add_number(finder, scalar, &token, token.number / 2);
    add_number(finder, scalar, &token, token.number * 2);
}

static void change_truth(struct finder *finder, const char *scalar) {
    add(finder, scalar, 0, strlen(scalar), strcmp(scalar, "true") == 0 ? "false" : "true");
}

static void change_severity(struct finder *finder, const char *scalar) {
    static const char *const next[][2] = {{"low", "medium"}, {"medium", "high"}, {"high", "medium"}, {"critical", "high"}};
    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++)
        if (strcmp(scalar, next[i][0]) == 0)
            add(finder, scalar, 0, strlen(scalar), next[i][1]);
}

static void change_no_data(struct finder *finder, const char *scalar) {
    static const char *const words[] = {"hold", "raise", "clear"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        add(finder, scalar, 0, strlen(scalar), words[i]);
}

/* "20:00" an hour earlier and later. */
static void change_clock(struct finder *finder, const char *scalar) {
    unsigned hour;
    unsigned minute;
    if (sscanf(scalar, "%2u:%2u", &hour, &minute) != 2 || hour > 23 || minute > 59)
        return;
    for (unsigned by = 1; by <= 23; by += 22) {
        char with[WITH_BYTES];
        snprintf(with, sizeof with, "%02u:%02u", (hour + by) % 24, minute);
        add(finder, scalar, 0, strlen(scalar), with);
    }
}

/* -- the file ------------------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *key;
    void (*change)(struct finder *finder, const char *scalar);
} keys[] = {
    {"when", change_condition},    {"clear", change_condition}, {"valid_if", change_condition}, {"step", change_condition},
    {"of", change_formula},        {"on_delay", change_delay},  {"off_delay", change_delay},    {"no_data_after", change_delay},
    {"re_alarm", change_delay},    {"within", change_delay},    {"linger", change_delay},       {"deadband", change_quantity},
    {"severity", change_severity}, {"latch", change_truth},     {"auto_ack", change_truth},     {"absent", change_truth},
    {"no_data", change_no_data},   {"from", change_clock},      {"to", change_clock},
};

static void walk(struct finder *finder, const struct wr_yaml_field *fields, const void *record, unsigned depth);

static void walk_list(struct finder *finder, const struct wr_yaml_field *field, const char *at, unsigned depth) {
    const size_t cut = strlen(finder->path);
    const char *records;
    unsigned n;
    memcpy(&records, at + field->offset, sizeof records);
    memcpy(&n, at + field->count_offset, sizeof n);
    for (unsigned i = 0; i < n; i++) {
        const char *record = records + (size_t)i * field->record_bytes;
        if (strcmp(field->key, "rules") == 0 && depth == 0)
            memcpy(&finder->rule, record + field->fields[0].offset, sizeof finder->rule); /* the first key is its name */
        snprintf(finder->path + cut, sizeof finder->path - cut, "[%u]", i);
        walk(finder, field->fields, record, depth + 1);
        finder->path[cut] = '\0';
    }
    if (depth == 0)
        finder->rule = NULL;
}

static void change(struct finder *finder, const struct wr_yaml_field *field, const char *at) {
    const char *scalar;
    memcpy(&scalar, at + field->offset, sizeof scalar);
    for (size_t i = 0; scalar && i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].key, field->key) == 0)
            keys[i].change(finder, scalar);
}

static bool is_changed(const char *section) {
    static const char *const sections[] = {"rules", "derive", "defaults", "suppress", "schedules"};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        if (strcmp(section, sections[i]) == 0)
            return true;
    return false;
}

static void walk(struct finder *finder, const struct wr_yaml_field *fields, const void *record, unsigned depth) {
    const char *at = record;
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        const size_t cut = strlen(finder->path);
        if (depth == 0 && !is_changed(field->key))
            continue;
        snprintf(finder->path + cut, sizeof finder->path - cut, "%s%s", cut > 0 ? "." : "", field->key);
        if (depth == 0)
            finder->fallback = strcmp(field->key, "defaults") == 0;
        if (field->kind == WR_YAML_RECORDS) {
            walk_list(finder, field, at, depth);
        } else if (field->kind == WR_YAML_RECORD) {
            const void *inner;
            memcpy(&inner, at + field->offset, sizeof inner);
            if (inner)
                walk(finder, field->fields, inner, depth + 1);
        } else if (field->kind == WR_YAML_STRING && depth > 0) {
            change(finder, field, at);
        }
        finder->path[cut] = '\0';
    }
}

/* In the order of the file; of one place shorter first, then by what it becomes, so that the order is always the same. */
static int by_place(const void *a, const void *b) {
    const struct wr_mutant *left = a;
    const struct wr_mutant *right = b;
    if (left->at != right->at)
        return left->at > right->at ? 1 : -1;
    if (left->len != right->len)
        return left->len > right->len ? 1 : -1;
    return strcmp(left->with, right->with);
}

enum wr_result wr_mutants_find(const struct wr_yaml *yaml, struct wr_arena *arena, struct wr_mutants *ret_mutants, struct wr_error *err) {
    struct finder finder = {.yaml = yaml, .arena = arena, .mutants = ret_mutants};
    *ret_mutants = (struct wr_mutants){.list = wr_arena_take(arena, WR_MUTANTS * sizeof *ret_mutants->list)};
    if (ret_mutants->list)
        walk(&finder, yaml->fields, yaml->record, 0);
    if (ret_mutants->n > 1)
        qsort(ret_mutants->list, ret_mutants->n, sizeof *ret_mutants->list, by_place);
    if (arena->failed)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for mutants");
    if (finder.too_many)
        return wr_error_set(err, WR_LIMIT, "%s: more than %d mutants: split the file", yaml->file, WR_MUTANTS);
    return WR_OK;
}
