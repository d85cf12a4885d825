/* sequence: conditions that come one after another. The sequence is a node that is true while its last step holds; the alarm reads it. */
#include <stdio.h>
#include <string.h>

#include "rules/compile/rule_compile.h"

static bool read_step(struct wr_compile *compile, const struct wr_file_step *record, unsigned index, struct wr_rule_step *step) {
    static const char *const truth[] = {"false", "true"};
    char key[64];
    size_t errors = compile->diagnostics->errors;
    snprintf(key, sizeof key, "sequence[%u].within", index);
    step->within_ns = wr_compile_duration(compile, key, record->within, NULL, 0);
    if (record->within && step->within_ns == 0)
        WR_COMPILE_ERROR(compile, 322, key, NULL, "`within` is a time above zero");
    snprintf(key, sizeof key, "sequence[%u].absent", index);
    step->absent = wr_compile_word(compile, key, record->absent, NULL, truth, 2, 0) == 1;
    snprintf(key, sizeof key, "sequence[%u]", index);
    if (index == 0 && (step->absent || record->within))
        WR_COMPILE_ERROR(compile, 339, key, "begin with what starts the sequence", "the first step has no `within` and no `absent`");
    else if (step->absent && !record->within)
        WR_COMPILE_ERROR(compile, 339, key, "add within: 20s", "`absent` needs `within`: for how long it must not come");
    return compile->diagnostics->errors == errors;
}

/* The condition as a node, also where it is a bare series: a step is met when it becomes true. */
static bool read_condition(struct wr_compile *compile, struct wr_rule *sequence, const struct wr_file_step *record, unsigned index) {
    char key[64];
    snprintf(key, sizeof key, "sequence[%u].step", index);
    struct wr_node *node = wr_compile_parse(compile, key, record->step);
    struct wr_scope scope = wr_compile_scope(compile);
    const struct wr_rule *step = node ? wr_check_hide(&scope, node, true, 0) : NULL;
    if (!step)
        return false;
    sequence->operands[sequence->n_operands++] =
        (struct wr_operand){.text = step->name, .node = step->index, .point = step->output, .opaque = true};
    return true;
}

static const char *describe(struct wr_compile *compile, const struct wr_rule *sequence, bool shape) {
    struct wr_buf text;
    wr_buf_init(&text, 256 * WR_EXPRESSION_BYTES);
    enum wr_result result = wr_buf_text(&text, "sequence");
    for (uint32_t i = 0; i < sequence->n_steps && result == WR_OK; i++) {
        const struct wr_rule *node = wr_nodes_get(compile->ruleset->nodes, sequence->operands[i].node);
        const struct wr_rule_step *step = &sequence->steps[i];
        result = wr_buf_printf(&text, "%s %s", i > 0 ? "," : "", shape ? node->own_shape : node->name);
        if (result == WR_OK && !shape && step->within_ns > 0)
            result = wr_buf_printf(&text, " within %.9gs", (double)step->within_ns / 1e9);
        if (result == WR_OK && step->absent)
            result = wr_buf_text(&text, " absent");
    }
    const char *described = result == WR_OK ? wr_arena_string(&compile->ruleset->arena, wr_buf_str(&text)) : NULL;
    wr_buf_fini(&text);
    compile->ruleset->arena.failed |= described == NULL;
    return described;
}

/* The node of the sequence: known by its text, or added now. */
static const struct wr_rule *settle(struct wr_compile *compile, struct wr_rule *sequence) {
    struct wr_scope scope = wr_compile_scope(compile);
    const struct wr_unit plain = wr_unit_plain();
    const struct wr_node at = {0};
    sequence->shape = describe(compile, sequence, true);
    sequence->name = sequence->canonical = sequence->when_text = describe(compile, sequence, false);
    if (!sequence->name || !sequence->shape)
        return NULL;
    size_t size = strlen(sequence->name) + WR_CHECK_KEY_BYTES;
    char *key = wr_arena_take(&compile->ruleset->arena, size);
    if (!key)
        return NULL;
    wr_check_node_key(&scope, sequence->name, true, key, size);
    const struct wr_rule *known = wr_nodes_find(compile->ruleset->nodes, key);
    if (known)
        return known;
    return wr_check_node_output(&scope, sequence, &plain) && wr_check_node_add(&scope, key, sequence, &at) ? sequence : NULL;
}

bool wr_compile_sequence(struct wr_compile *compile, const struct wr_file_rule *record) {
    struct wr_rule *rule = compile->rule;
    struct wr_scope scope = wr_compile_scope(compile);
    if (record->n_sequence < 2 || record->n_sequence > WR_RULE_STEPS) {
        WR_COMPILE_ERROR(compile, 339, "sequence", NULL, "a sequence has 2 to %d steps", WR_RULE_STEPS);
        return false;
    }
    struct wr_rule *sequence = wr_check_node_new(&scope, WR_RULE_SEQUENCE, "", "");
    if (!sequence)
        return false;
    sequence->steps = wr_arena_take(&compile->ruleset->arena, record->n_sequence * sizeof *sequence->steps);
    if (!sequence->steps)
        return false;
    sequence->truth = true;
    bool good = true;
    for (unsigned i = 0; i < record->n_sequence; i++) {
        good &= read_step(compile, &record->sequence[i], i, &sequence->steps[i]);
        good &= read_condition(compile, sequence, &record->sequence[i], i);
    }
    sequence->n_steps = record->n_sequence;
    const struct wr_rule *node = good ? settle(compile, sequence) : NULL;
    if (!node)
        return false;
    struct wr_node name = {.kind = WR_NODE_SERIES, .type = WR_NODE_IS_BOOL, .text = node->name};
    name.operand = wr_check_operand(&scope, node, &name);
    rule->canonical = node->own;
    rule->shape = node->own_shape;
    return name.operand != WR_NODE_NONE && wr_check_thresholds(&scope, &name, true) &&
           wr_compile_program(compile, &name, true, &rule->when) /* without parts: the sequence is explained step by step */;
}
