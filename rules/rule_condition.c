/* when, clear and deadband of a rule: parsed, checked, compiled. */
#include <stdio.h>
#include <string.h>

#include "rules/rule_compile.h"

static void complain(void *user, const struct wr_complaint *complaint) {
    struct wr_compile *compile = user;
    const bool placed = compile->text != NULL; /* else the whole value is meant */
    wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, complaint->code, compile->key, compile->text, placed ? complaint->offset : 0,
                        placed ? complaint->len : 0, complaint->hint[0] ? complaint->hint : NULL, "%s", complaint->text);
}

static struct wr_node *parse(struct wr_compile *compile, const char *key, const char *text) {
    struct wr_complaint complaint;
    compile->key = key;
    compile->text = text;
    struct wr_node *node = wr_parse_expression(text, strlen(text), &compile->ruleset->arena, &complaint);
    if (!node && complaint.code)
        complain(compile, &complaint);
    return node;
}

static bool compile_program(struct wr_compile *compile, const struct wr_node *node, bool truth, struct wr_program *ret_program) {
    bool too_deep = false;
    if (wr_program_compile(node, truth, &compile->ruleset->arena, ret_program, &too_deep))
        return true;
    if (too_deep)
        WR_COMPILE_ERROR(compile, 107, compile->key, NULL, "an expression nested too deep");
    return false;
}

static bool compile_condition(struct wr_compile *compile, struct wr_node *node, struct wr_program *ret_program,
                              struct wr_node **ret_checked) {
    struct wr_scope scope = {.ruleset = compile->ruleset, .rule = compile->rule, .complain = complain, .user = compile};
    struct wr_node *checked = wr_check_condition(&scope, node);
    *ret_checked = checked;
    return checked && wr_check_thresholds(&scope, checked) && compile_program(compile, checked, true, ret_program);
}

/* The comparison that tells when the alarm may end, from the one that raises it: x > 8 with 1 gives x <= 8 - 1. */
static struct wr_node *turn_around(struct wr_compile *compile, struct wr_node *when, const struct wr_node *deadband) {
    static const enum wr_comparison opposite[] = {
        [WR_LESS] = WR_GREATER_EQUAL, [WR_LESS_EQUAL] = WR_GREATER, [WR_GREATER] = WR_LESS_EQUAL, [WR_GREATER_EQUAL] = WR_LESS};
    struct wr_arena *arena = &compile->ruleset->arena;
    bool range = when->kind == WR_NODE_RANGE;
    bool constant_left = !range && when->child->kind == WR_NODE_NUMBER;
    /* The limits, and whether the deadband is added to or taken from each. */
    struct wr_node **limit = constant_left ? &when->child : &when->child->next;
    bool above = range ? !when->outside : when->comparison == WR_GREATER || when->comparison == WR_GREATER_EQUAL;
    bool add = (range ? when->outside : !above) != constant_left;
    for (int i = 0; i < (range ? 2 : 1); i++) {
        struct wr_node *moved = wr_arena_take(arena, sizeof *moved);
        struct wr_node *copy = wr_arena_take(arena, sizeof *copy);
        if (!moved || !copy)
            return NULL;
        *copy = *deadband;
        copy->kind = WR_NODE_NUMBER; /* checked already: its value and unit are all that counts */
        copy->child = copy->next = NULL;
        *moved = (struct wr_node){.kind = add ? WR_NODE_ADD : WR_NODE_SUBTRACT, .offset = when->offset, .len = when->len, .child = *limit};
        moved->unit = wr_unit_plain();
        moved->next = (*limit)->next;
        (*limit)->next = copy;
        *limit = moved;
        limit = &moved->next;
        add = !add;
    }
    when->comparison = range ? when->comparison : opposite[when->comparison];
    when->outside = !when->outside;
    return when;
}

static void compile_deadband(struct wr_compile *compile, const struct wr_file_rule *record) {
    struct wr_rule *rule = compile->rule;
    struct wr_scope scope = {.ruleset = compile->ruleset, .rule = rule, .complain = complain, .user = compile};
    struct wr_node *deadband = parse(compile, "deadband", record->deadband);
    if (!deadband || !wr_check_constant(&scope, deadband))
        return;
    if (!(deadband->number >= 0)) {
        WR_COMPILE_ERROR(compile, 323, "deadband", NULL, "a deadband is not negative");
        return;
    }
    if (deadband->unit.point) {
        WR_COMPILE_ERROR(compile, 323, "deadband", "write 1K", "a deadband is a difference, not a position on the scale");
        return;
    }
    struct wr_node *when = parse(compile, "when", record->when);
    if (!when)
        return;
    bool fits =
        when->kind == WR_NODE_RANGE || (when->kind == WR_NODE_COMPARE && when->comparison != WR_EQUAL && when->comparison != WR_NOT_EQUAL);
    if (!fits) {
        WR_COMPILE_ERROR(compile, 323, "deadband", "write clear: and a condition", "a deadband needs a `when` of one comparison");
        return;
    }
    /* From here on what is wrong is the deadband's unit: the comparison itself is checked already. */
    struct wr_node *checked;
    compile->key = "deadband";
    compile->text = NULL;
    struct wr_node *clear = turn_around(compile, when, deadband);
    if (clear)
        compile_condition(compile, clear, &rule->clear, &checked);
}

static unsigned count_leaves(const struct wr_node *node) {
    if (node->kind == WR_NODE_COMPARE || node->kind == WR_NODE_RANGE)
        return 1;
    unsigned n = 0;
    for (const struct wr_node *child = node->child; child; child = child->next)
        n += count_leaves(child);
    return n;
}

static bool add_leaf(struct wr_compile *compile, const struct wr_node *node, struct wr_leaf *leaf) {
    const struct wr_node *value = node->child;
    const struct wr_node *low = value->next;
    if (node->kind == WR_NODE_COMPARE && value->constant) {
        value = low;
        low = node->child;
    }
    leaf->unit = wr_arena_string(&compile->ruleset->arena, value->unit.text);
    if (!leaf->unit || !compile_program(compile, node, true, &leaf->truth))
        return false;
    if (low->type == WR_NODE_IS_TEXT)
        return true;
    return compile_program(compile, value, false, &leaf->value) && compile_program(compile, low, false, &leaf->low) &&
           (node->kind == WR_NODE_COMPARE || compile_program(compile, low->next, false, &leaf->high));
}

static bool add_leaves(struct wr_compile *compile, const struct wr_node *node, struct wr_leaf *leaves, uint32_t *n) {
    if (*n == WR_RULE_LEAVES)
        return true;
    if (node->kind == WR_NODE_COMPARE || node->kind == WR_NODE_RANGE)
        return add_leaf(compile, node, &leaves[(*n)++]);
    for (const struct wr_node *child = node->child; child; child = child->next)
        if (!add_leaves(compile, child, leaves, n))
            return false;
    return true;
}

static void collect_leaves(struct wr_compile *compile, const struct wr_node *node) {
    unsigned n = count_leaves(node);
    n = n < WR_RULE_LEAVES ? n : WR_RULE_LEAVES;
    struct wr_leaf *leaves = wr_arena_take(&compile->ruleset->arena, (n + 1) * sizeof *leaves);
    uint32_t filled = 0;
    if (leaves && add_leaves(compile, node, leaves, &filled)) {
        compile->rule->leaves = leaves;
        compile->rule->n_leaves = filled;
    }
}

static const char *canonical(struct wr_compile *compile, const struct wr_node *when, const struct wr_node *clear, const char *deadband,
                             bool shape) {
    struct wr_buf text;
    wr_buf_init(&text, 4 * WR_EXPRESSION_BYTES);
    const char *copy = NULL;
    if (wr_node_canonical(when, shape, &text) != WR_OK || (clear && wr_buf_text(&text, " clear ") != WR_OK) ||
        (clear && wr_node_canonical(clear, shape, &text) != WR_OK) ||
        (deadband && wr_buf_printf(&text, " deadband %s", shape ? "#" : deadband) != WR_OK))
        goto out;
    copy = wr_arena_string(&compile->ruleset->arena, wr_buf_str(&text));
out:
    wr_buf_fini(&text);
    if (!copy)
        compile->ruleset->arena.failed = true;
    return copy;
}

void wr_compile_condition(struct wr_compile *compile, const struct wr_file_rule *record) {
    struct wr_rule *rule = compile->rule;
    rule->when_text = wr_compile_copy(compile, record->when);
    struct wr_node *clear = record->clear ? parse(compile, "clear", record->clear) : NULL;
    struct wr_node *when = parse(compile, "when", record->when);
    if (!when || (record->clear && !clear))
        return;
    rule->canonical = canonical(compile, when, clear, record->deadband, false);
    rule->shape = canonical(compile, when, clear, record->deadband, true);
    struct wr_node *checked;
    if (compile_condition(compile, when, &rule->when, &checked))
        collect_leaves(compile, checked);
    if (record->clear && record->deadband)
        WR_COMPILE_ERROR(compile, 324, "deadband", NULL, "`deadband` and `clear` exclude each other");
    else if (record->deadband && checked)
        compile_deadband(compile, record);
    if (clear) {
        compile->key = "clear";
        compile->text = record->clear;
        compile_condition(compile, clear, &rule->clear, &checked);
    }
}
