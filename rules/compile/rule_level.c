/* levels: one alarm that escalates. Each level is a node with delays and hysteresis of its own; the alarm reads them, the lowest first. */
#include <stdio.h>
#include <string.h>

#include "rules/compile/rule_compile.h"

struct level {
    const struct wr_file_level *record;
    struct wr_condition_text text;
    int64_t on_delay_ns;
    int64_t off_delay_ns;
    char prefix[32];
};

/* What makes two levels one node: condition, hysteresis, delays. */
static bool name_level(struct wr_compile *compile, struct wr_rule *node, const struct level *level) {
    struct wr_buf text;
    wr_buf_init(&text, 16 * WR_EXPRESSION_BYTES);
    struct wr_arena *arena = &compile->ruleset->arena;
    if (wr_buf_printf(&text, "%s on %.9gs off %.9gs", node->canonical, (double)level->on_delay_ns / 1e9,
                      (double)level->off_delay_ns / 1e9) == WR_OK)
        node->name = node->canonical = node->when_text = wr_arena_string(arena, wr_buf_str(&text));
    else
        arena->failed = true;
    wr_buf_fini(&text);
    return !arena->failed;
}

/* The condition of a level as a node; NULL after complaints. */
static struct wr_rule *compile_node(struct wr_compile *compile, const struct level *level) {
    struct wr_compile inner = *compile;
    struct wr_scope outer = wr_compile_scope(compile);
    const struct wr_unit plain = wr_unit_plain();
    inner.rule = wr_check_node_new(&outer, WR_RULE_DERIVED, "", "");
    if (!inner.rule || !wr_compile_condition(&inner, &level->text) || !name_level(&inner, inner.rule, level))
        return NULL;
    struct wr_rule *node = inner.rule;
    node->on_delay_ns = level->on_delay_ns;
    node->off_delay_ns = level->off_delay_ns;
    node->truth = true;
    char *key = wr_arena_take(&compile->ruleset->arena, strlen(node->name) + WR_CHECK_KEY_BYTES);
    if (!key)
        return NULL;
    wr_check_node_key(&outer, node->name, true, key, strlen(node->name) + WR_CHECK_KEY_BYTES);
    struct wr_rule *known = wr_nodes_find(compile->ruleset->nodes, key);
    const struct wr_node at = {0};
    outer = wr_compile_scope(&inner);
    if (known)
        return known;
    return wr_check_node_output(&outer, node, &plain) && wr_check_node_add(&outer, key, node, &at) ? node : NULL;
}

/* One operand a level, in their order, also where two levels are the same. */
static void read_operand(struct wr_rule *rule, const struct wr_rule *node) {
    struct wr_operand *operand = &rule->operands[rule->n_operands++];
    *operand = (struct wr_operand){.text = node->name, .node = node->index, .point = node->output, .opaque = true};
}

/* What the message says: the comparison of the highest level that holds. The alarm reads its series for that alone: nothing wakes it. */
static bool add_leaves(struct wr_compile *compile, const struct level *level, uint32_t operand) {
    struct wr_scope scope = wr_compile_scope(compile);
    struct wr_node *when = wr_compile_condition_part(compile, &level->text, "when", level->record->when);
    struct wr_node *checked = when ? wr_check_condition(&scope, when) : NULL;
    return checked && wr_compile_leaves(compile, checked, operand);
}

static bool read_level(struct wr_compile *compile, const struct wr_file_rule *record, const struct wr_file_defaults *defaults,
                       unsigned index, struct level *level) {
    static const char *const severities[] = {"low", "medium", "high", "critical"};
    const struct wr_file_level *from = &record->levels[index];
    struct wr_rule_level *into = &compile->rule->levels[index];
    char key[64];
    size_t errors = compile->diagnostics->errors;
    snprintf(level->prefix, sizeof level->prefix, "levels[%u].", index);
    level->record = from;
    level->text = (struct wr_condition_text){level->prefix, from->when, from->clear, from->deadband, record->value};
    snprintf(key, sizeof key, "%sname", level->prefix);
    into->name = wr_compile_copy(compile, from->name);
    if (strlen(from->name) == 0 || strlen(from->name) >= WR_ALARM_LEVEL_BYTES)
        WR_COMPILE_ERROR(compile, 322, key, NULL, "the name of a level is 1 to %d bytes long", WR_ALARM_LEVEL_BYTES - 1);
    for (unsigned i = 0; i < index; i++)
        if (strcmp(record->levels[i].name, from->name) == 0)
            WR_COMPILE_ERROR(compile, 320, key, NULL, "two levels are called '%.20s'", from->name);
    snprintf(key, sizeof key, "%sseverity", level->prefix);
    into->severity = (enum wr_severity)wr_compile_word(compile, key, from->severity, NULL, severities, 4, (int)compile->rule->severity);
    snprintf(key, sizeof key, "%son_delay", level->prefix);
    level->on_delay_ns = wr_compile_duration(compile, from->on_delay ? key : "on_delay", from->on_delay ? from->on_delay : record->on_delay,
                                             from->on_delay ? NULL : defaults->on_delay, 0);
    snprintf(key, sizeof key, "%soff_delay", level->prefix);
    level->off_delay_ns =
        wr_compile_duration(compile, from->off_delay ? key : "off_delay", from->off_delay ? from->off_delay : record->off_delay,
                            from->off_delay ? NULL : defaults->off_delay, 0);
    return compile->diagnostics->errors == errors;
}

static const char *join(struct wr_compile *compile, const char *canonical, const char *name, const char *part) {
    char word[WR_ALARM_LEVEL_BYTES + 16];
    snprintf(word, sizeof word, "%slevel %.*s ", canonical[0] ? " " : "", WR_ALARM_LEVEL_BYTES, name);
    return wr_compile_joined(compile, canonical, word, part);
}

bool wr_compile_levels(struct wr_compile *compile, const struct wr_file_rule *record, const struct wr_file_defaults *defaults) {
    struct wr_rule *rule = compile->rule;
    struct level levels[WR_RULE_LEVELS];
    bool good = true;
    if (record->n_levels > WR_RULE_LEVELS) {
        WR_COMPILE_ERROR(compile, 107, "levels", NULL, "more than %d levels", WR_RULE_LEVELS);
        return false;
    }
    rule->levels = wr_arena_take(&compile->ruleset->arena, record->n_levels * sizeof *rule->levels);
    if (!rule->levels)
        return false;
    rule->canonical = rule->shape = "";
    for (unsigned i = 0; i < record->n_levels; i++) {
        good &= read_level(compile, record, defaults, i, &levels[i]);
        const struct wr_rule *node = compile_node(compile, &levels[i]);
        good &= node != NULL;
        if (!node)
            continue;
        read_operand(rule, node);
        rule->canonical = join(compile, rule->canonical, record->levels[i].name, node->own);
        rule->shape = join(compile, rule->shape, record->levels[i].name, node->own_shape);
    }
    rule->n_levels = record->n_levels;
    for (unsigned i = record->n_levels; good && i-- > 0;)
        good = add_leaves(compile, &levels[i], i);
    rule->on_delay_ns = rule->off_delay_ns = 0; /* they are the levels' */
    return good;
}
