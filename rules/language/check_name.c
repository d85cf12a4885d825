/* Names of an expression: a derived point, a column of a table, or a series. */
#include <stdio.h>
#include <string.h>

#include "rules/compile/derive_compile.h"
#include "rules/language/check.h"
#include "rules/language/table.h"

static const struct wr_selector *intern_selector(struct wr_ruleset *ruleset, const char *text) {
    uint32_t hash = 2166136261u;
    for (const char *c = text; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    const struct wr_selector **slot = &ruleset->selectors[hash % WR_SELECTOR_CACHE];
    const char *known = *slot ? (const char *)(*slot + 1) : NULL; /* the text stands behind it */
    if (known && strcmp(known, text) == 0)
        return *slot;
    size_t len = strlen(text);
    struct wr_selector *selector = wr_arena_take(&ruleset->arena, sizeof *selector + len + 1);
    if (!selector || wr_selector_parse(text, len, selector, NULL, NULL) != WR_OK)
        return NULL;
    memcpy(selector + 1, text, len + 1);
    *slot = selector;
    return selector;
}

/* The operand of a text or a node, or room for it; NULL after a complaint. */
static struct wr_operand *operand_of(struct wr_scope *scope, const struct wr_node *at, const char *text, uint32_t node, bool *ret_new) {
    struct wr_rule *rule = scope->rule;
    *ret_new = false;
    for (uint32_t i = 0; i < rule->n_operands; i++)
        if (rule->operands[i].node == node && (node != WR_NODE_NO || strcmp(rule->operands[i].text, text) == 0))
            return &rule->operands[i];
    if (rule->n_operands == WR_RULE_OPERANDS) {
        wr_scope_complain(scope, 107, at, "derive: a point from some of them, and use that",
                          "more than %d different series and conditions in one %s", WR_RULE_OPERANDS,
                          rule->kind == WR_RULE_ALARM ? "rule" : "expression");
        return NULL;
    }
    *ret_new = true;
    rule->operands[rule->n_operands] = (struct wr_operand){.text = text, .node = node};
    return &rule->operands[rule->n_operands++];
}

static void take_series(struct wr_scope *scope, struct wr_node *node) {
    char name[WR_SELECTOR_BYTES];
    bool is_new;
    struct wr_operand *operand = operand_of(scope, node, node->text, WR_NODE_NO, &is_new);
    if (!operand)
        return;
    if (is_new) {
        operand->selector = intern_selector(scope->ruleset, node->text);
        if (!operand->selector) {
            scope->rule->n_operands--; /* or the next use of the name would find half an operand */
            scope->failed = true;
            return;
        }
        operand->point = wr_ruleset_point(scope->ruleset, wr_ruleset_plain_name(operand->selector->name, name, sizeof name));
    }
    node->operand = (uint32_t)(operand - scope->rule->operands);
    node->unit = operand->point ? operand->point->unit : wr_unit_plain();
    node->type = WR_NODE_IS_NUMBER;
}

uint32_t wr_check_operand(struct wr_scope *scope, const struct wr_rule *node, const struct wr_node *at) {
    bool is_new;
    struct wr_operand *operand = operand_of(scope, at, node->name, node->index, &is_new);
    if (!operand)
        return WR_NODE_NONE;
    operand->point = node->output;
    return (uint32_t)(operand - scope->rule->operands);
}

/* -- derived points ---------------------------------------------------------------------------------------------------------------------- */

static bool has_label(const struct wr_rule *rule, const char *label) {
    for (uint32_t i = 0; i < rule->n_by; i++)
        if (strcmp(rule->by[i], label) == 0)
            return true;
    return false;
}

/* a -> b -> a */
static void complain_cycle(struct wr_scope *scope, const struct wr_node *node, const struct wr_derived *again) {
    char path[200];
    size_t n = (size_t)snprintf(path, sizeof path, "%.40s", again->name);
    for (const struct wr_derived *derived = scope->derived; derived && n < sizeof path;
         derived = derived == again ? NULL : derived->within) {
        char rest[200];
        snprintf(rest, sizeof rest, "%s", path);
        n = (size_t)snprintf(path, sizeof path, "%.40s -> %s", derived->name, rest);
    }
    wr_scope_complain(scope, 334, node, NULL, "the derived point '%.60s' needs itself: %s", again->name, path);
}

static void take_derived(struct wr_scope *scope, struct wr_node *node, struct wr_derived *derived) {
    if (strchr(node->text, '{')) {
        wr_scope_complain(scope, 109, node, "take the series itself, or `by` with that label",
                          "'%.60s' is a derived point: labels in braces are for series", derived->name);
        return;
    }
    if (derived->begun && !derived->done) {
        complain_cycle(scope, node, derived);
        return;
    }
    if (!wr_derive_compile(scope->ruleset, derived, scope->derived)) {
        scope->failed = true; /* said at its own place, or no memory */
        return;
    }
    const struct wr_rule *point = derived->node;
    for (uint32_t i = 0; i < point->n_by; i++)
        if (!has_label(scope->rule, point->by[i])) {
            char hint[120];
            snprintf(hint, sizeof hint, "add the label to `by`: by: %.60s", point->by[i]);
            wr_scope_complain(scope, 335, node, hint, "there is one '%.60s' for each '%.60s', which is not in `by` here", derived->name,
                              point->by[i]);
            return;
        }
    node->operand = wr_check_operand(scope, point, node);
    if (node->operand == WR_NODE_NONE)
        return;
    node->unit = point->truth ? wr_unit_plain() : point->output->unit;
    node->type = point->truth ? WR_NODE_IS_BOOL : WR_NODE_IS_NUMBER;
}

/* -- cells of tables --------------------------------------------------------------------------------------------------------------------- */

static bool add_cell(struct wr_scope *scope, struct wr_node *node, const struct wr_table *table, uint32_t column) {
    struct wr_rule *rule = scope->rule;
    for (node->operand = 0; node->operand < rule->n_cells; node->operand++)
        if (rule->cells[node->operand].table == table && rule->cells[node->operand].column == column)
            return true;
    if (rule->n_cells == WR_RULE_CELLS) {
        wr_scope_complain(scope, 107, node, NULL, "more than %d different cells of tables in one rule", WR_RULE_CELLS);
        return false;
    }
    if (!rule->cells)
        rule->cells = wr_arena_take(&scope->ruleset->arena, WR_RULE_CELLS * sizeof *rule->cells);
    if (!rule->cells) {
        scope->failed = true;
        return false;
    }
    rule->cells[rule->n_cells++] = (struct wr_rule_cell){table, column};
    return true;
}

static void take_cell(struct wr_scope *scope, struct wr_node *node, const struct wr_table *table, uint32_t column) {
    uint32_t n;
    const struct wr_table_column *described = &wr_table_columns(table, &n)[column];
    const char *key = wr_table_key(table);
    if (!has_label(scope->rule, key)) {
        char hint[120];
        snprintf(hint, sizeof hint, "add by: %.60s", key);
        wr_scope_complain(scope, 336, node, hint, "the table '%.60s' is looked up by '%.60s', which is not in `by`", wr_table_name(table),
                          key);
        return;
    }
    if (!described->number) {
        wr_scope_complain(scope, 105, node, "texts of tables are for messages", "the column '%.60s' holds texts", node->text);
        return;
    }
    if (!add_cell(scope, node, table, column))
        return;
    node->kind = WR_NODE_CELL;
    node->fixed = true;
    node->unit = described->unit;
    node->unit.ambiguous_m = false;
    node->type = WR_NODE_IS_NUMBER;
}

/* `rooms.hi` where there is a table `rooms`. True: it is dealt with. */
static bool try_table(struct wr_scope *scope, struct wr_node *node, const struct wr_derived *derived) {
    const char *dot = strchr(node->text, '.');
    char name[WR_SELECTOR_BYTES];
    const char *near;
    if (!dot || strchr(node->text, '{') || (size_t)(dot - node->text) >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(dot - node->text), node->text);
    const struct wr_table *table = wr_ruleset_table(scope->ruleset, name, NULL);
    if (!table)
        return false;
    uint32_t column = wr_table_column(table, dot + 1, &near);
    const struct wr_point *point = wr_ruleset_point(scope->ruleset, node->text);
    const struct wr_place *place = point ? &point->place : derived ? &derived->place : NULL;
    if (column == WR_TABLE_NONE && place)
        return false;
    if (wr_table_broken(table)) {
        scope->failed = true; /* what is wrong with it has been said */
        return true;
    }
    if (column == WR_TABLE_NONE) {
        char hint[120];
        snprintf(hint, sizeof hint, "did you mean '%.40s.%.60s'?", name, near ? near : "");
        wr_scope_complain(scope, 337, node, near ? hint : NULL, "the table '%.60s' has no column '%.60s'", name, dot + 1);
        return true;
    }
    if (place) {
        wr_scope_complain(scope, 338, node, "rename one of them", "'%.60s' is a column of the table '%.60s', and the point of %.60s:%u:%u",
                          node->text, name, place->file, place->at.line, place->at.column);
        return true;
    }
    take_cell(scope, node, table, column);
    return true;
}

void wr_check_name(struct wr_scope *scope, struct wr_node *node) {
    node->type = WR_NODE_IS_WRONG;
    char name[WR_SELECTOR_BYTES];
    size_t len = strcspn(node->text, "{");
    snprintf(name, sizeof name, "%.*s", (int)len, node->text);
    struct wr_derived *derived = scope->ruleset->nodes ? wr_nodes_derived(scope->ruleset->nodes, name) : NULL;
    if (try_table(scope, node, derived))
        return;
    if (derived)
        take_derived(scope, node, derived);
    else
        take_series(scope, node);
}
