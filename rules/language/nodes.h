/* While a rule set is loaded: the nodes that are no alarms: derived points by name, and expressions that became signals by their canonical text and `by`,
 * so that a hundred rules with `held(door_open, 2m)` share one.
 *
 * Promise: a node is added after those that it reads: the order in which they are evaluated. Threads: one at a time. Ownership: everything lives in the
 * arena of the rule set.
 */
#ifndef WEIR_RULES_LANGUAGE_NODES_H
#define WEIR_RULES_LANGUAGE_NODES_H

#include "rules/compile/compiled.h"

struct wr_compile;
struct wr_file_derive;

/* A derived point as it stands in a file: compiled when the first expression names it, wherever that is. */
struct wr_derived {
    const char *name;
    const struct wr_file_derive *record;
    const struct wr_compile *compile; /* where it stands */
    struct wr_place place;
    struct wr_rule *node; /* once compiled; NULL then: it has errors */
    bool begun;
    bool done;
    struct wr_derived *within; /* which derived point was being compiled when this one was begun */
};

struct wr_nodes;

/* NULL: no memory. */
struct wr_nodes *wr_nodes_new(struct wr_arena *arena, size_t n_expected);

/* The node of a key, or NULL. */
struct wr_rule *wr_nodes_find(const struct wr_nodes *nodes, const char *key);
/* key is copied. False: no memory. */
bool wr_nodes_add(struct wr_nodes *nodes, struct wr_arena *arena, const char *key, struct wr_rule *node);
/* Its index among the nodes: known once it is added. */
uint32_t wr_nodes_count(const struct wr_nodes *nodes);
struct wr_rule *wr_nodes_get(const struct wr_nodes *nodes, uint32_t index);

/* Derived points: NULL when there is none of that name. */
struct wr_derived *wr_nodes_derived(const struct wr_nodes *nodes, const char *name);
/* The first of a name stays. False: no memory. */
bool wr_nodes_add_derived(struct wr_nodes *nodes, struct wr_arena *arena, struct wr_derived *derived);

/* The highest rank of what a node reads, plus one; 0: it reads series only. */
uint32_t wr_nodes_rank(const struct wr_nodes *nodes, const struct wr_rule *rule);

#endif
