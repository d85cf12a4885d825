/* An expression in full: its text, and what the derived points in it stand for. */
#include <string.h>

#include "rules/language/check.h"

/* What it reads, itself or through others. Of a node that is no derived point the text stands in that of its reader. */
static enum wr_result add_derived(struct wr_ruleset *ruleset, const struct wr_rule *reader, bool shape, struct wr_buf *into) {
    for (uint32_t i = 0; i < reader->n_operands; i++) {
        if (reader->operands[i].node == WR_NODE_NO)
            continue;
        struct wr_rule *node = wr_nodes_get(ruleset->nodes, reader->operands[i].node);
        if (node->walk == ruleset->walks)
            continue;
        node->walk = ruleset->walks;
        if (node->has_name)
            WR_TRY(wr_buf_printf(into, " with %s", shape ? node->own_shape : node->own));
        WR_TRY(add_derived(ruleset, node, shape, into));
    }
    return WR_OK;
}

static enum wr_result spell(struct wr_ruleset *ruleset, const struct wr_rule *rule, bool shape, const char **ret_text) {
    const char *own = shape ? rule->own_shape : rule->own;
    struct wr_buf all;
    wr_buf_init(&all, WR_CHECK_SPELL_BYTES);
    ruleset->walks++;
    enum wr_result result = wr_buf_text(&all, own);
    if (result == WR_OK)
        result = add_derived(ruleset, rule, shape, &all);
    const char *text = own;
    if (result == WR_OK && all.len > strlen(own)) {
        text = wr_arena_string(&ruleset->arena, wr_buf_str(&all));
        result = text ? WR_OK : WR_NO_MEMORY;
    }
    wr_buf_fini(&all);
    if (result == WR_OK)
        *ret_text = text;
    return result;
}

enum wr_result wr_check_spell(struct wr_scope *scope, struct wr_rule *rule) {
    rule->own = rule->canonical;
    rule->own_shape = rule->shape;
    enum wr_result result = spell(scope->ruleset, rule, false, &rule->canonical);
    if (result == WR_OK)
        result = spell(scope->ruleset, rule, true, &rule->shape);
    scope->ruleset->arena.failed |= result == WR_NO_MEMORY;
    return result;
}
