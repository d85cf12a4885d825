#include "rules/language/nodes.h"

#include <string.h>

/* One table for both: the keys of nodes hold a character that no name has. */
struct entry {
    struct entry *next;
    const char *key;
    struct wr_rule *node;
    struct wr_derived *derived;
};

struct wr_nodes {
    struct entry **buckets;
    size_t mask;
    uint32_t n;
    uint32_t cap;
    struct wr_rule **list;
};

struct wr_nodes *wr_nodes_new(struct wr_arena *arena, size_t n_expected) {
    struct wr_nodes *nodes = wr_arena_take(arena, sizeof *nodes);
    size_t n = 64;
    while (n < n_expected)
        n *= 2;
    if (nodes)
        nodes->buckets = wr_arena_take(arena, n * sizeof(struct entry *));
    if (!nodes || !nodes->buckets)
        return NULL;
    nodes->mask = n - 1;
    return nodes;
}

static struct entry **bucket_of(const struct wr_nodes *nodes, const char *key) {
    uint32_t hash = 2166136261u;
    for (const char *c = key; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return &nodes->buckets[(hash ^ hash >> 16) & nodes->mask];
}

static struct entry *find(const struct wr_nodes *nodes, const char *key, bool derived) {
    struct entry *entry = *bucket_of(nodes, key);
    while (entry && ((entry->derived != NULL) != derived || strcmp(entry->key, key) != 0))
        entry = entry->next;
    return entry;
}

static bool add(struct wr_nodes *nodes, struct wr_arena *arena, struct entry content) {
    struct entry **bucket = bucket_of(nodes, content.key);
    struct entry *entry = wr_arena_take(arena, sizeof *entry);
    if (!entry)
        return false;
    *entry = content;
    entry->next = *bucket;
    *bucket = entry;
    return true;
}

struct wr_rule *wr_nodes_find(const struct wr_nodes *nodes, const char *key) {
    const struct entry *entry = find(nodes, key, false);
    return entry ? entry->node : NULL;
}

static bool joins(const struct wr_nodes *nodes, const struct wr_rule *node) {
    bool joined = node->kind == WR_RULE_SET || node->n_operands > 1;
    for (uint32_t i = 0; i < node->n_operands; i++)
        joined = joined || (node->operands[i].node != WR_NODE_NO && nodes->list[node->operands[i].node]->joined);
    return joined;
}

bool wr_nodes_add(struct wr_nodes *nodes, struct wr_arena *arena, const char *key, struct wr_rule *node) {
    if (nodes->n == nodes->cap) {
        uint32_t cap = nodes->cap ? nodes->cap * 2 : 16;
        struct wr_rule **list = wr_arena_take(arena, cap * sizeof *list);
        if (!list)
            return false;
        if (nodes->n > 0)
            memcpy(list, nodes->list, nodes->n * sizeof *list);
        nodes->list = list;
        nodes->cap = cap;
    }
    const char *copy = wr_arena_string(arena, key);
    if (!copy || !add(nodes, arena, (struct entry){.key = copy, .node = node}))
        return false;
    node->index = nodes->n;
    node->joined = joins(nodes, node);
    nodes->list[nodes->n++] = node;
    return true;
}

uint32_t wr_nodes_count(const struct wr_nodes *nodes) {
    return nodes->n;
}

struct wr_rule *wr_nodes_get(const struct wr_nodes *nodes, uint32_t index) {
    return nodes->list[index];
}

struct wr_derived *wr_nodes_derived(const struct wr_nodes *nodes, const char *name) {
    const struct entry *entry = find(nodes, name, true);
    return entry ? entry->derived : NULL;
}

bool wr_nodes_add_derived(struct wr_nodes *nodes, struct wr_arena *arena, struct wr_derived *derived) {
    return find(nodes, derived->name, true) || add(nodes, arena, (struct entry){.key = derived->name, .derived = derived});
}

uint32_t wr_nodes_rank(const struct wr_nodes *nodes, const struct wr_rule *rule) {
    uint32_t rank = 0;
    for (uint32_t i = 0; i < rule->n_operands; i++)
        if (rule->operands[i].node != WR_NODE_NO && nodes->list[rule->operands[i].node]->rank >= rank)
            rank = nodes->list[rule->operands[i].node]->rank + 1u;
    return rank;
}
