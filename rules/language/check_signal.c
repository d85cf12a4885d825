/* Arguments with a history: a series or a derived point as it is; an expression as a node of its own, shared by its canonical text and `by`. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rules/language/check.h"

#define KEY_BYTES (2 * WR_EXPRESSION_BYTES)
#define TRUTH_OF "truth of "

/* Canonical text, delay and labels: what makes two hidden nodes one. */
static enum wr_result write_name(const struct wr_node *node, bool shape, int64_t delay_ns, struct wr_buf *into) {
    WR_TRY(wr_buf_text(into, delay_ns > 0 ? "held(" : ""));
    WR_TRY(wr_node_canonical(node, shape, into));
    if (delay_ns > 0)
        WR_TRY(shape ? wr_buf_text(into, ", #)") : wr_buf_printf(into, ", %.9gs)", (double)delay_ns / 1e9));
    return WR_OK;
}

static const char *name_of(struct wr_scope *scope, const struct wr_node *node, bool shape, int64_t delay_ns) {
    struct wr_buf text;
    wr_buf_init(&text, KEY_BYTES);
    const char *name = NULL;
    enum wr_result result = write_name(node, shape, delay_ns, &text);
    if (result == WR_OK)
        name = wr_arena_string(&scope->ruleset->arena, wr_buf_str(&text));
    wr_buf_fini(&text);
    if (result == WR_LIMIT)
        wr_scope_complain(scope, 107, node, NULL, "an expression of more than %d bytes, written out", KEY_BYTES);
    else if (!name)
        scope->ruleset->arena.failed = true;
    return name;
}

const char *wr_check_node_key(const struct wr_scope *scope, const char *name, bool truth, char *key, size_t size) {
    size_t n = (size_t)snprintf(key, size, "%s\x1f%c", name, truth ? 't' : 'n');
    for (uint32_t i = 0; i < scope->rule->n_by && n < size; i++)
        n += (size_t)snprintf(key + n, size - n, "\x1f%s", scope->rule->by[i]);
    return key;
}

struct wr_rule *wr_check_node_new(struct wr_scope *scope, enum wr_rule_kind kind, const char *name, const char *shape) {
    struct wr_rule *node = wr_arena_take(&scope->ruleset->arena, sizeof *node);
    if (!node || !name || !shape)
        return NULL;
    const struct wr_rule *rule = scope->rule;
    node->kind = (uint8_t)kind;
    node->place = rule->place;
    node->n_by = rule->n_by;
    memcpy(node->by, rule->by, sizeof node->by);
    node->name = node->canonical = node->when_text = name;
    node->shape = shape;
    node->forget_ns = WR_RULE_FORGET_NS;
    return node;
}

static struct wr_rule *node_new(struct wr_scope *scope, enum wr_rule_kind kind, const struct wr_node *expression, int64_t delay_ns) {
    struct wr_rule *node =
        wr_check_node_new(scope, kind, name_of(scope, expression, false, delay_ns), name_of(scope, expression, true, delay_ns));
    if (node)
        node->on_delay_ns = delay_ns;
    return node;
}

/* What is known about the values of a node: their unit. */
bool wr_check_node_output(struct wr_scope *scope, struct wr_rule *node, const struct wr_unit *unit) {
    struct wr_point *output = wr_arena_take(&scope->ruleset->arena, sizeof *output);
    if (!output)
        return false;
    *output =
        (struct wr_point){.name = node->name, .unit = *unit, .low = -INFINITY, .high = INFINITY, .lateness_ns = -1, .place = node->place};
    node->output = output;
    return true;
}

bool wr_check_node_add(struct wr_scope *scope, const char *key, struct wr_rule *node, const struct wr_node *at) {
    if (node->n_operands == 0) {
        wr_scope_complain(scope, 332, at, "for hours and weekdays give the rule a schedule: active: NAME",
                          "it reads no series: nothing would ever evaluate it");
        return false;
    }
    uint32_t rank = wr_nodes_rank(scope->ruleset->nodes, node);
    if (rank >= WR_RULE_RANKS) {
        wr_scope_complain(scope, 107, at, NULL, "expressions with a history in expressions with a history: more than %d levels",
                          WR_RULE_RANKS);
        return false;
    }
    node->rank = (uint8_t)rank;
    enum wr_result result = wr_check_spell(scope, node);
    if (result == WR_LIMIT)
        wr_scope_complain(scope, 107, at, NULL, WR_CHECK_SPELL_LONG, WR_CHECK_SPELL_BYTES);
    return result == WR_OK && wr_nodes_add(scope->ruleset->nodes, &scope->ruleset->arena, key, node);
}

/* The parts of a program. Its root becomes a name for this node in the expression around it: the parts keep it as it is now. */
static bool keep_parts(struct wr_scope *scope, const struct wr_node *node, bool truth, struct wr_rule *hidden) {
    struct wr_node *root = wr_arena_take(&scope->ruleset->arena, sizeof *root);
    hidden->parts = wr_program_parts(node, truth, &hidden->when, &scope->ruleset->arena);
    if (!root || !hidden->parts)
        return false;
    *root = *node;
    for (uint16_t i = 0; i < hidden->when.n; i++)
        if (hidden->parts[i] == node)
            hidden->parts[i] = root;
    hidden->source = scope->source;
    return true;
}

/* What the node says: its program and the parts of it. */
static bool compile(struct wr_scope *scope, const struct wr_node *at, const struct wr_node *node, bool truth, struct wr_rule *hidden) {
    bool too_deep = false;
    if (wr_program_compile(node, truth, &scope->ruleset->arena, &hidden->when, &too_deep))
        return keep_parts(scope, node, truth, hidden);
    scope->failed = true;
    if (too_deep)
        wr_scope_complain(scope, 107, at, NULL, "an expression nested too deep");
    return false;
}

static bool fill(struct wr_scope *scope, struct wr_rule *hidden, struct wr_node *expression, bool truth) {
    struct wr_node *checked = truth ? wr_check_condition(scope, expression) : wr_check_value(scope, expression);
    if (!checked)
        return false;
    if (!truth && checked->type == WR_NODE_IS_BOOL) {
        wr_scope_complain(scope, 110, expression, NULL, "a number is needed here, not true or false");
        return false;
    }
    hidden->truth = truth;
    const struct wr_unit plain = wr_unit_plain();
    return wr_check_node_output(scope, hidden, truth ? &plain : &checked->unit) && wr_check_thresholds(scope, checked, truth) &&
           compile(scope, expression, checked, truth, hidden);
}

/* A call that is a node itself stands for itself, so that no two nodes mean the same: by its meaning a node finds what it knew before a reload. */
static struct wr_rule *own_node(struct wr_scope *scope, struct wr_node *call) {
    struct wr_scope inner = *scope;
    struct wr_rule *reader = node_new(scope, WR_RULE_DERIVED, call, 0); /* reads the one node, and is left behind */
    inner.rule = reader;
    inner.failed = false;
    if (reader)
        wr_check_call(&inner, call);
    if (reader && !inner.failed && call->type == WR_NODE_IS_BOOL)
        return wr_nodes_get(scope->ruleset->nodes, reader->operands[call->operand].node);
    scope->failed = true;
    return NULL;
}

static const char *truth_of(struct wr_scope *scope, const char *text) {
    size_t size = strlen(text) + sizeof TRUTH_OF;
    char *said = wr_arena_take(&scope->ruleset->arena, size);
    if (said)
        snprintf(said, size, "%s%s", TRUTH_OF, text);
    return said;
}

/* A number where a truth is wanted: its node, and the one that tells whether it is above zero, have one text. */
static bool rename_truth(struct wr_scope *scope, struct wr_rule *hidden) {
    hidden->canonical = truth_of(scope, hidden->canonical);
    hidden->shape = truth_of(scope, hidden->shape);
    return hidden->canonical && hidden->shape;
}

/* An expression as a node; NULL after complaints. */
struct wr_rule *wr_check_hide(struct wr_scope *scope, struct wr_node *expression, bool truth, int64_t delay_ns) {
    char key[WR_CHECK_KEY_BYTES];
    const bool call = delay_ns == 0 && wr_check_is_node_call(expression);
    if (call && wr_function_find(expression->text)->answer == WR_ANSWER_TRUTH)
        return own_node(scope, expression);
    const char *name = name_of(scope, expression, false, delay_ns);
    if (!name || !scope->ruleset->nodes) {
        scope->failed = true;
        return NULL;
    }
    wr_check_node_key(scope, name, truth, key, sizeof key);
    struct wr_rule *hidden = wr_nodes_find(scope->ruleset->nodes, key);
    if (hidden)
        return hidden;
    struct wr_node *rest = expression->next;
    expression->next = NULL;
    hidden = node_new(scope, WR_RULE_DERIVED, expression, delay_ns);
    struct wr_scope inner = *scope;
    inner.rule = hidden;
    inner.failed = false;
    bool good = hidden && (!call || rename_truth(scope, hidden)) && fill(&inner, hidden, expression, truth) &&
                wr_check_node_add(&inner, key, hidden, expression);
    expression->next = rest;
    if (!good)
        scope->failed = true;
    return good ? hidden : NULL;
}

/* The node becomes a name for the operand that reads it. */
static struct wr_node *stand_for(struct wr_scope *scope, struct wr_node *node, const struct wr_rule *hidden) {
    node->type = WR_NODE_IS_WRONG;
    node->operand = hidden ? wr_check_operand(scope, hidden, node) : WR_NODE_NONE;
    if (node->operand == WR_NODE_NONE)
        return NULL;
    node->kind = WR_NODE_SERIES;
    node->text = hidden->name;
    node->child = NULL;
    node->type = hidden->truth ? WR_NODE_IS_BOOL : WR_NODE_IS_NUMBER;
    node->unit = hidden->output->unit;
    return node;
}

struct wr_node *wr_check_signal(struct wr_scope *scope, struct wr_node *argument, enum wr_argument kind) {
    bool truth = kind == WR_ARGUMENT_CONDITION;
    if (argument->kind != WR_NODE_SERIES && !wr_check_is_node_call(argument))
        return stand_for(scope, argument, wr_check_hide(scope, argument, truth, 0));
    if (argument->kind == WR_NODE_CALL)
        wr_check_call(scope, argument);
    else
        wr_check_name(scope, argument);
    if (argument->type == WR_NODE_IS_WRONG)
        return NULL;
    if (argument->kind == WR_NODE_CELL) {
        wr_scope_complain(scope, 105, argument, NULL, "the column '%.60s' of a table has no history", argument->text);
        return NULL;
    }
    if (kind == WR_ARGUMENT_SIGNAL && argument->type == WR_NODE_IS_BOOL) {
        wr_scope_complain(scope, 110, argument, NULL, "a number is needed here, not true or false");
        return NULL;
    }
    if (truth && argument->type != WR_NODE_IS_BOOL && !argument->unit.plain) {
        char described[64];
        wr_scope_complain(scope, 110, argument, "compare it with a limit", "true or false is needed here, not a %s",
                          wr_unit_describe(described, sizeof described, &argument->unit));
        return NULL;
    }
    return argument;
}

struct wr_node *wr_check_held(struct wr_scope *scope, struct wr_node *call, struct wr_node *condition, int64_t delay_ns) {
    condition->next = NULL;
    return stand_for(scope, call, wr_check_hide(scope, condition, true, delay_ns));
}

/* -- across series ----------------------------------------------------------------------------------------------------------------------- */

/* The one operand: a series that the rule set knows only by its selector. */
static bool fill_set(struct wr_scope *scope, struct wr_rule *set, struct wr_node *call, struct wr_node *argument) {
    bool condition = call->function->id == WR_FUNCTION_COUNT_OF;
    struct wr_unit unit = wr_unit_plain();
    if (condition && argument->kind == WR_NODE_SERIES) {
        wr_check_name(scope, argument);
        bool counted = argument->type == WR_NODE_IS_NUMBER && argument->kind == WR_NODE_SERIES && set->operands[0].selector;
        if (counted && !argument->unit.plain) { /* how many there are */
            set->operands[0].opaque = true;
            set->set = call->function->id;
            return wr_check_node_output(scope, set, &unit);
        }
    }
    if (condition) {
        struct wr_node *checked = wr_check_condition(scope, argument);
        if (!checked || !wr_check_thresholds(scope, checked, true))
            return false;
        bool plain = set->n_operands == 1 && set->operands[0].selector && set->n_ages == 0; /* ages are among the thresholds */
        if (!plain) {
            wr_scope_complain(scope, 105, argument, "write count_of(series > limit)",
                              "'%s' takes a condition over the present value of one series", call->text);
            return false;
        }
        if (!compile(scope, argument, checked, true, set))
            return false;
    } else {
        if (argument->kind == WR_NODE_SERIES)
            wr_check_name(scope, argument);
        if (argument->type == WR_NODE_IS_WRONG)
            return false;
        if (argument->kind != WR_NODE_SERIES || !set->operands[0].selector) {
            wr_scope_complain(scope, 105, argument, NULL, "'%s' takes a series here", call->text);
            return false;
        }
        set->operands[0].opaque = true;
        unit = call->function->id == WR_FUNCTION_SPREAD_OF ? wr_unit_difference(&argument->unit) : argument->unit;
    }
    set->set = call->function->id;
    return wr_check_node_output(scope, set, &unit);
}

/* -- calls that are nodes ------------------------------------------------------------------------------------------------------------------ */

/* A mean lies where its values lie: range and resolution of the signal hold for it, a hair wider for what rounding does. */
static void inherit_range(struct wr_rule *hidden, enum wr_function_id function) {
    static const enum wr_function_id within[] = {WR_FUNCTION_AVG,      WR_FUNCTION_MIN,   WR_FUNCTION_MAX,  WR_FUNCTION_MEDIAN,
                                                 WR_FUNCTION_QUANTILE, WR_FUNCTION_FIRST, WR_FUNCTION_EWMA, WR_FUNCTION_RMS};
    struct wr_point *output = (struct wr_point *)hidden->output; /* made for this node a moment ago */
    const struct wr_point *point = hidden->operands[0].point;
    bool fits = false;
    for (size_t i = 0; i < sizeof within / sizeof within[0]; i++)
        fits |= within[i] == function;
    if (!fits || !point || !isfinite(point->low) || !isfinite(point->high))
        return;
    double hair = 1e-9 * (fabs(point->low) + fabs(point->high));
    double most = fmax(fabs(point->low), fabs(point->high));
    output->low = (function == WR_FUNCTION_RMS ? 0 : point->low) - hair;
    output->high = (function == WR_FUNCTION_RMS ? most : point->high) + hair;
    output->resolution = point->resolution;
}

static bool fill_memory(struct wr_scope *scope, struct wr_rule *hidden, struct wr_node *call) {
    if (!wr_check_arguments(scope, call))
        return false;
    hidden->truth = call->type == WR_NODE_IS_BOOL;
    if (!wr_check_node_output(scope, hidden, &call->unit))
        return false;
    if (hidden->kind == WR_RULE_VECTOR)
        return true;
    inherit_range(hidden, call->function->id);
    return wr_check_thresholds(scope, call, hidden->truth) && compile(scope, call, call, hidden->truth, hidden);
}

/* The node of a call: known, or filled now. argument: of a set. */
static struct wr_node *call_node(struct wr_scope *scope, struct wr_node *call, struct wr_node *argument) {
    char key[WR_CHECK_KEY_BYTES];
    struct wr_node *rest = call->next;
    call->next = NULL;
    const char *name = name_of(scope, call, false, 0);
    struct wr_rule *node = NULL;
    if (name && scope->ruleset->nodes) {
        wr_check_node_key(scope, name, false, key, sizeof key);
        node = wr_nodes_find(scope->ruleset->nodes, key);
    }
    if (name && scope->ruleset->nodes && !node) {
        struct wr_scope inner = *scope;
        node = node_new(scope, argument ? WR_RULE_SET : WR_RULE_DERIVED, call, 0);
        inner.rule = node;
        inner.failed = false;
        bool good = node && (argument ? fill_set(&inner, node, call, argument) : fill_memory(&inner, node, call));
        node = good && !inner.failed && wr_check_node_add(&inner, key, node, call) ? node : NULL;
    }
    scope->failed |= node == NULL;
    call->next = rest;
    return stand_for(scope, call, node);
}

struct wr_node *wr_check_memory_call(struct wr_scope *scope, struct wr_node *call) {
    return call_node(scope, call, NULL);
}

struct wr_node *wr_check_set(struct wr_scope *scope, struct wr_node *call, struct wr_node *argument) {
    return call_node(scope, call, argument);
}
