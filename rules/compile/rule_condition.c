/* when, clear and deadband of a rule or a level: parsed, checked, compiled. */
#include <stdio.h>
#include <string.h>

#include "rules/compile/rule_compile.h"

static const char *key_of(const struct wr_condition_text *text, const char *key, char *into, size_t size) {
    snprintf(into, size, "%s%s", text->prefix, key);
    return into;
}

/* A copy of a tree that stands for one word of another text. */
static struct wr_node *copy_tree(struct wr_arena *arena, const struct wr_node *node, const struct wr_node *word, unsigned *n) {
    struct wr_node *copy = ++*n <= WR_EXPRESSION_NODES ? wr_arena_take(arena, sizeof *copy) : NULL;
    if (!copy)
        return NULL;
    *copy = *node;
    copy->offset = word->offset;
    copy->len = word->len;
    copy->next = NULL;
    struct wr_node **tail = &copy->child;
    for (const struct wr_node *child = node->child; child; child = child->next) {
        *tail = copy_tree(arena, child, word, n);
        if (!*tail)
            return NULL;
        tail = &(*tail)->next;
    }
    return copy;
}

/* Every `value` becomes what it stands for. False: too large, or no memory. */
static bool put_value(struct wr_arena *arena, struct wr_node *node, const struct wr_node *value, unsigned *n) {
    if (node->kind == WR_NODE_SERIES && strcmp(node->text, "value") == 0) {
        struct wr_node *copy = copy_tree(arena, value, node, n);
        if (!copy)
            return false;
        copy->next = node->next;
        *node = *copy;
        return true;
    }
    for (struct wr_node *child = node->child; child; child = child->next)
        if (!put_value(arena, child, value, n))
            return false;
    return true;
}

struct wr_node *wr_compile_condition_part(struct wr_compile *compile, const struct wr_condition_text *text, const char *key,
                                          const char *part) {
    char where[64];
    struct wr_node *value = NULL;
    if (text->value && !(value = wr_compile_parse(compile, "value", text->value)))
        return NULL;
    struct wr_node *node = wr_compile_parse(compile, key_of(text, key, where, sizeof where), part);
    unsigned n = 0;
    if (!node || !value || put_value(&compile->ruleset->arena, node, value, &n))
        return node;
    if (!compile->ruleset->arena.failed)
        WR_COMPILE_ERROR(compile, 107, compile->key, NULL, "with `value` put in, an expression of more than %d parts", WR_EXPRESSION_NODES);
    return NULL;
}

/* The checked tree; NULL after complaints. */
static struct wr_node *compile_truth(struct wr_compile *compile, struct wr_node *node, struct wr_program *ret_program) {
    struct wr_scope scope = wr_compile_scope(compile);
    struct wr_node *checked = wr_check_condition(&scope, node);
    if (!checked || !wr_check_thresholds(&scope, checked, true))
        return NULL;
    bool good = ret_program == &compile->rule->when ? wr_compile_when(compile, checked, true)
                                                    : wr_compile_program(compile, checked, true, ret_program);
    return good ? checked : NULL;
}

/* -- deadband ------------------------------------------------------------------------------------------------------------------------------ */

/* Which side of a checked comparison is the limit: 1 left, 0 right, -1: it is none. */
static int limit_side(const struct wr_node *checked) {
    if (checked->kind == WR_NODE_RANGE)
        return 0;
    if (checked->kind != WR_NODE_COMPARE || checked->comparison == WR_EQUAL || checked->comparison == WR_NOT_EQUAL)
        return -1;
    return wr_check_fixed(checked->child) ? 1 : 0;
}

/* The comparison that tells when the alarm may end, from the one that raises it: x > 8 with 1 gives x <= 8 - 1. */
static struct wr_node *turn_around(struct wr_compile *compile, struct wr_node *when, const struct wr_node *deadband, bool constant_left) {
    static const enum wr_comparison opposite[] = {
        [WR_LESS] = WR_GREATER_EQUAL, [WR_LESS_EQUAL] = WR_GREATER, [WR_GREATER] = WR_LESS_EQUAL, [WR_GREATER_EQUAL] = WR_LESS};
    struct wr_arena *arena = &compile->ruleset->arena;
    bool range = when->kind == WR_NODE_RANGE;
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

static void compile_deadband(struct wr_compile *compile, const struct wr_condition_text *text, int side) {
    char key[64];
    key_of(text, "deadband", key, sizeof key);
    struct wr_scope scope = wr_compile_scope(compile);
    struct wr_node *deadband = wr_compile_parse(compile, key, text->deadband);
    if (!deadband || !wr_check_constant(&scope, deadband))
        return;
    if (!(deadband->number >= 0)) {
        WR_COMPILE_ERROR(compile, 323, key, NULL, "a deadband is not negative");
        return;
    }
    if (deadband->unit.point) {
        WR_COMPILE_ERROR(compile, 323, key, "write 1K", "a deadband is a difference, not a position on the scale");
        return;
    }
    if (side < 0) {
        WR_COMPILE_ERROR(compile, 323, key, "write clear: and a condition", "a deadband needs a `when` of one comparison");
        return;
    }
    struct wr_node *when = wr_compile_condition_part(compile, text, "when", text->when);
    if (!when)
        return;
    if (limit_side(when) < 0) { /* (x > 8) == true is checked as x > 8, but not written so */
        WR_COMPILE_ERROR(compile, 323, key, "write clear: and a condition", "a deadband needs a `when` of one comparison");
        return;
    }
    /* From here on what is wrong is the deadband's unit: the comparison itself is checked already. */
    snprintf(compile->key, sizeof compile->key, "%s", key);
    compile->text = NULL;
    struct wr_node *clear = turn_around(compile, when, deadband, side == 1);
    if (clear)
        compile_truth(compile, clear, &compile->rule->clear);
}

/* -- leaves -------------------------------------------------------------------------------------------------------------------------------- */

static unsigned count_leaves(const struct wr_node *node) {
    if (node->kind == WR_NODE_COMPARE || node->kind == WR_NODE_RANGE)
        return 1;
    unsigned n = 0;
    for (const struct wr_node *child = node->child; child; child = child->next)
        n += count_leaves(child);
    return n;
}

/* An alarm on slope(t, 5m) > 0.5K/min speaks in K/min, not in K/s. What is declared is told as declared. */
static bool choose_unit(struct wr_compile *compile, const struct wr_unit *value, const struct wr_node *limit, struct wr_leaf *leaf) {
    const struct wr_unit *written = limit->kind == WR_NODE_CONVERT && wr_check_fixed(limit) ? &limit->child->unit : limit->written;
    const bool other = value->composed && written && written->text[0];
    leaf->factor = other ? value->scale / written->scale : 1;
    leaf->addend = other ? (value->offset - written->offset) / written->scale : 0;
    leaf->unit = wr_arena_string(&compile->ruleset->arena, other ? written->text : value->text);
    return leaf->unit != NULL;
}

static bool add_leaf(struct wr_compile *compile, const struct wr_node *node, uint32_t truth_operand, struct wr_leaf *leaf) {
    const struct wr_node *value = node->child;
    const struct wr_node *low = value->next;
    if (node->kind == WR_NODE_COMPARE && wr_check_fixed(value)) {
        value = low;
        low = node->child;
    }
    const struct wr_node level = {.kind = WR_NODE_SERIES, .type = WR_NODE_IS_BOOL, .operand = truth_operand};
    if (!choose_unit(compile, &value->unit, low, leaf) ||
        !wr_compile_program(compile, truth_operand != WR_NODE_NONE ? &level : node, true, &leaf->truth))
        return false;
    if (low->type == WR_NODE_IS_TEXT)
        return true;
    return wr_compile_program(compile, value, false, &leaf->value) && wr_compile_program(compile, low, false, &leaf->low) &&
           (node->kind == WR_NODE_COMPARE || wr_compile_program(compile, low->next, false, &leaf->high));
}

static bool add_leaves(struct wr_compile *compile, const struct wr_node *node, uint32_t truth_operand, struct wr_leaf *leaves,
                       uint32_t *n) {
    if (*n == WR_RULE_LEAVES)
        return true;
    if (node->kind == WR_NODE_COMPARE || node->kind == WR_NODE_RANGE)
        return add_leaf(compile, node, truth_operand, &leaves[(*n)++]);
    for (const struct wr_node *child = node->child; child; child = child->next)
        if (!add_leaves(compile, child, truth_operand, leaves, n))
            return false;
    return true;
}

bool wr_compile_leaves(struct wr_compile *compile, const struct wr_node *checked, uint32_t truth_operand) {
    struct wr_rule *rule = compile->rule;
    unsigned n = rule->n_leaves + count_leaves(checked);
    n = n < WR_RULE_LEAVES ? n : WR_RULE_LEAVES;
    struct wr_leaf *leaves = wr_arena_take(&compile->ruleset->arena, (n + 1) * sizeof *leaves);
    if (!leaves)
        return false;
    uint32_t filled = rule->n_leaves;
    if (filled > 0)
        memcpy(leaves, rule->leaves, filled * sizeof *leaves);
    if (!add_leaves(compile, checked, truth_operand, leaves, &filled))
        return false;
    rule->leaves = leaves;
    rule->n_leaves = filled;
    return true;
}

/* -- all together -------------------------------------------------------------------------------------------------------------------------- */

/* Before the tree is checked, which changes it. */
static bool name_condition(struct wr_compile *compile, const struct wr_node *when, const struct wr_node *clear, const char *deadband) {
    struct wr_rule *rule = compile->rule;
    rule->canonical = wr_compile_canonical(compile, when, false);
    rule->shape = wr_compile_canonical(compile, when, true);
    const char *texts[] = {clear ? wr_compile_canonical(compile, clear, false) : "",
                           clear ? wr_compile_canonical(compile, clear, true) : ""};
    if (!rule->canonical || !rule->shape || !texts[0] || !texts[1])
        return false;
    rule->canonical = wr_compile_joined(compile, rule->canonical, clear ? " clear " : "", texts[0]);
    rule->shape = wr_compile_joined(compile, rule->shape, clear ? " clear " : "", texts[1]);
    rule->canonical = wr_compile_joined(compile, rule->canonical, deadband ? " deadband " : "", deadband ? deadband : "");
    rule->shape = wr_compile_joined(compile, rule->shape, deadband ? " deadband #" : "", "");
    return true;
}

bool wr_compile_condition(struct wr_compile *compile, const struct wr_condition_text *text) {
    struct wr_rule *rule = compile->rule;
    size_t errors = compile->diagnostics->errors;
    char key[64];
    struct wr_node *clear = text->clear ? wr_compile_condition_part(compile, text, "clear", text->clear) : NULL;
    struct wr_node *when = wr_compile_condition_part(compile, text, "when", text->when);
    if (!when || (text->clear && !clear))
        return false;
    if (!name_condition(compile, when, clear, text->deadband))
        return false;
    struct wr_node *checked = compile_truth(compile, when, &rule->when);
    bool good = checked && wr_compile_leaves(compile, checked, WR_NODE_NONE);
    if (text->clear && text->deadband)
        WR_COMPILE_ERROR(compile, 324, key_of(text, "deadband", key, sizeof key), NULL, "`deadband` and `clear` exclude each other");
    else if (text->deadband && checked)
        compile_deadband(compile, text, limit_side(checked));
    if (clear) {
        key_of(text, "clear", compile->key, sizeof compile->key);
        compile->text = text->clear;
        good &= compile_truth(compile, clear, &rule->clear) != NULL;
    }
    return good && compile->diagnostics->errors == errors;
}
