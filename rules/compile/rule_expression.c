/* Expressions of a record: parsed, and where the checker's complaints go. */
#include <stdio.h>
#include <string.h>

#include "rules/compile/rule_compile.h"

static void complain(void *user, const struct wr_complaint *complaint) {
    struct wr_compile *compile = user;
    const bool placed = compile->text != NULL; /* else the whole value is meant */
    wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, complaint->code, compile->key, compile->text, placed ? complaint->offset : 0,
                        placed ? complaint->len : 0, complaint->hint[0] ? complaint->hint : NULL, "%s", complaint->text);
}

struct wr_node *wr_compile_parse(struct wr_compile *compile, const char *key, const char *text) {
    struct wr_complaint complaint;
    snprintf(compile->key, sizeof compile->key, "%s", key);
    compile->text = text;
    if (!compile->source || strcmp(compile->source, text) != 0)
        compile->source = wr_compile_copy(compile, text);
    struct wr_node *node = wr_parse_expression(text, strlen(text), &compile->ruleset->arena, &complaint);
    if (!node && complaint.code)
        complain(compile, &complaint);
    return node;
}

struct wr_scope wr_compile_scope(struct wr_compile *compile) {
    return (struct wr_scope){
        .ruleset = compile->ruleset, .rule = compile->rule, .complain = complain, .user = compile, .source = compile->source};
}

bool wr_compile_program(struct wr_compile *compile, const struct wr_node *node, bool truth, struct wr_program *ret_program) {
    bool too_deep = false;
    if (wr_program_compile(node, truth, &compile->ruleset->arena, ret_program, &too_deep))
        return true;
    if (too_deep)
        WR_COMPILE_ERROR(compile, 107, compile->key, NULL, "an expression nested too deep");
    return false;
}

bool wr_compile_when(struct wr_compile *compile, const struct wr_node *node, bool truth) {
    struct wr_rule *rule = compile->rule;
    if (!wr_compile_program(compile, node, truth, &rule->when))
        return false;
    rule->source = compile->source;
    rule->parts = wr_program_parts(node, truth, &rule->when, &compile->ruleset->arena);
    return rule->parts != NULL;
}

const char *wr_compile_canonical(struct wr_compile *compile, const struct wr_node *node, bool shape) {
    struct wr_buf text;
    wr_buf_init(&text, 4 * WR_EXPRESSION_BYTES);
    const char *copy = NULL;
    enum wr_result result = wr_node_canonical(node, shape, &text);
    if (result == WR_OK)
        copy = wr_arena_string(&compile->ruleset->arena, wr_buf_str(&text));
    wr_buf_fini(&text);
    if (result == WR_LIMIT)
        WR_COMPILE_ERROR(compile, 107, compile->key, NULL, "an expression of more than %d bytes, written out", 4 * WR_EXPRESSION_BYTES);
    else if (!copy)
        compile->ruleset->arena.failed = true;
    return copy;
}

const char *wr_compile_joined(struct wr_compile *compile, const char *first, const char *word, const char *text) {
    size_t size = strlen(first) + strlen(word) + strlen(text) + 1;
    char *all = wr_arena_take(&compile->ruleset->arena, size);
    if (all)
        snprintf(all, size, "%s%s%s", first, word, text);
    return all ? all : first;
}

void wr_compile_append(struct wr_compile *compile, const char *word, const char *text) {
    struct wr_rule *rule = compile->rule;
    if (!text || !rule->canonical || !rule->shape)
        return;
    rule->canonical = wr_compile_joined(compile, rule->canonical, word, text);
    rule->shape = wr_compile_joined(compile, rule->shape, word, text);
}
