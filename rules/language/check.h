/* The checker: types, dimensions, names and constants of a parsed expression, for one rule.
 *
 *   check.c            types and units of operators        check_name.c     names: series, derived points, cells of tables
 *   check_units.c      two sides to one unit               check_call.c     functions; check_argument.c what they are given
 *   check_signal.c     expressions that become signals     check_memory.c   windows and operators
 *   check_threshold.c  what a condition tells about its signals              check_spell.c    an expression in full
 *
 * Promise: every error of the expression is reported with its place; what is left has one unit on both sides of each operator (conversions are
 * put in, literals are converted at load), and its signals, operators and cells are in the rule's tables.
 * Threads: none. Ownership: nodes live in the arena of the rule set.
 */
#ifndef WEIR_RULES_LANGUAGE_CHECK_H
#define WEIR_RULES_LANGUAGE_CHECK_H

#include "rules/compile/compiled.h"
#include "rules/language/nodes.h"
#include "rules/language/parser.h"

struct wr_scope {
    struct wr_ruleset *ruleset;
    struct wr_rule *rule; /* whose tables are filled */
    void (*complain)(void *user, const struct wr_complaint *complaint);
    void *user;
    const char *source;         /* the text that is being checked, in the arena */
    struct wr_derived *derived; /* the derived point that is being compiled; NULL: none */
    bool failed;
};

/* Reports an error at a node's place. */
void wr_scope_complain(struct wr_scope *scope, unsigned code, const struct wr_node *node, const char *hint, const char *format, ...)
    WR_PRINTF(5, 6);

/* A condition: true or false, not constant. The checked tree, or NULL after complaints. */
struct wr_node *wr_check_condition(struct wr_scope *scope, struct wr_node *node);
/* A number, or true or false: what a derived point may be. Not constant. */
struct wr_node *wr_check_value(struct wr_scope *scope, struct wr_node *node);
/* A constant number (deadband). False after complaints. */
bool wr_check_constant(struct wr_scope *scope, struct wr_node *node);

/* What a checked expression tells about its operands: thresholds, which of them are opaque, ages. False after complaints. */
bool wr_check_thresholds(struct wr_scope *scope, const struct wr_node *node, bool truth);

/* -- between the checker's files -------------------------------------------------------------------------------------------------------- */

static inline bool wr_check_fixed(const struct wr_node *node) {
    return node->constant || node->fixed;
}

struct wr_node *wr_check_number(struct wr_scope *scope, struct wr_node *node);
/* A comparison, or a series without a unit that is true when it is not zero. */
struct wr_node *wr_check_truth(struct wr_scope *scope, struct wr_node *node);

/* Brings two numbers to one unit, converting the one that is fixed, else the right one. verb: "compare", "add" ... False after a complaint. */
bool wr_check_unify(struct wr_scope *scope, struct wr_node **left, struct wr_node **right, const char *verb, const struct wr_node *at);
/* The same for what must also be a position, or a difference, on both sides. */
bool wr_check_pair(struct wr_scope *scope, struct wr_node **left, struct wr_node **right, const struct wr_node *at);
/* The same for n numbers: all in the unit of one of them. */
bool wr_check_pairs(struct wr_scope *scope, struct wr_node **const *all, unsigned n, const struct wr_node *at);
/* NULL: no memory. */
struct wr_node *wr_check_convert(struct wr_scope *scope, struct wr_node *node, const struct wr_unit *to);

/* A name: makes the node a series with its operand, or a cell. */
void wr_check_name(struct wr_scope *scope, struct wr_node *node);
/* The operand that reads a node; WR_NODE_NONE after a complaint. */
uint32_t wr_check_operand(struct wr_scope *scope, const struct wr_rule *node, const struct wr_node *at);
/* A function; where a node stands for it, it becomes a name for that. */
void wr_check_call(struct wr_scope *scope, struct wr_node *node);
/* Whether a node will stand for it. */
bool wr_check_is_node_call(const struct wr_node *node);
/* The same for a function with memory, in the scope of the node that it becomes. */
bool wr_check_arguments(struct wr_scope *scope, struct wr_node *call);

/* An argument with a history: a SERIES node with its operand; an expression becomes a node of its own. NULL after complaints. */
struct wr_node *wr_check_signal(struct wr_scope *scope, struct wr_node *argument, enum wr_argument kind);
/* held: the condition as a node that is true after a delay. */
struct wr_node *wr_check_held(struct wr_scope *scope, struct wr_node *call, struct wr_node *condition, int64_t delay_ns);
/* A function with memory over a signal: a node of its own, so that a hundred rules with avg(power, 5m) look at one. */
struct wr_node *wr_check_memory_call(struct wr_scope *scope, struct wr_node *call);
/* avg_of and the like: the answer's node. */
struct wr_node *wr_check_set(struct wr_scope *scope, struct wr_node *call, struct wr_node *argument);

/* -- nodes: also for levels and sequences ------------------------------------------------------------------------------------------------ */

#define WR_CHECK_KEY_BYTES (2 * WR_EXPRESSION_BYTES + 1024)

/* An expression as a node, shared by its text, delay and the labels of the rule; NULL after complaints. */
struct wr_rule *wr_check_hide(struct wr_scope *scope, struct wr_node *expression, bool truth, int64_t delay_ns);
/* A new node with the labels of the rule that wants it; NULL: no memory. */
struct wr_rule *wr_check_node_new(struct wr_scope *scope, enum wr_rule_kind kind, const char *name, const char *shape);
/* What is known about its values: their unit. */
bool wr_check_node_output(struct wr_scope *scope, struct wr_rule *node, const struct wr_unit *unit);
/* Under what it is shared: into key[size], at least WR_CHECK_KEY_BYTES. */
const char *wr_check_node_key(const struct wr_scope *scope, const char *name, bool truth, char *key, size_t size);
/* Once everything that it reads is known. */
bool wr_check_node_add(struct wr_scope *scope, const char *key, struct wr_rule *node, const struct wr_node *at);

#define WR_CHECK_SPELL_BYTES (32 * WR_EXPRESSION_BYTES)
#define WR_CHECK_SPELL_LONG "with the derived points in it, written out, it has more than %d bytes"

/* Keeps canonical and shape of a rule or node as its own, and adds to them what the derived points stand for that it reads, itself or through others, each
 * once: " with vib_rms = rms(vib, 10s)". For derived points can be defined anew. WR_LIMIT: longer than WR_CHECK_SPELL_BYTES; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_check_spell(struct wr_scope *scope, struct wr_rule *rule);

/* Windows: positional argument, step= and tumbling=; NULL where not given. */
struct wr_window_arguments {
    struct wr_node *length;
    struct wr_node *step;
    struct wr_node *tumbling;
};
/* A call with memory over its signal (operand of the call): fills the operator of the rule. False after complaints. */
bool wr_check_memory(struct wr_scope *scope, struct wr_node *node, struct wr_operator_call *call, const struct wr_window_arguments *window);
/* A node that is counted tells each evaluation, and with it all that it reads: else a sample in between would be none to it. */
void wr_check_want_every_sample(const struct wr_scope *scope, const struct wr_operand *operand);
/* A constant duration in ns between low and high seconds. False after a complaint. */
bool wr_check_duration(struct wr_scope *scope, struct wr_node *node, double low, double high, int64_t *ret_ns);

#endif
