/* Instances: one node for one tuple of labels, found by its text. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"
#include "rules/language/table.h"

static uint32_t *bucket_of(const struct wr_evaluator *evaluator, uint32_t rule, const char *text, uint64_t hash) {
    uint32_t mask = evaluator->n_buckets - 1;
    uint32_t at = (uint32_t)(hash ^ hash >> 32) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t index = evaluator->buckets[at];
        if (index == WR_INSTANCE_NONE)
            return &evaluator->buckets[at];
        const struct wr_instance *instance = &evaluator->instances[index];
        if (instance->id == hash && instance->rule == rule && strcmp(instance->text, text) == 0)
            return &evaluator->buckets[at];
    }
}

uint32_t wr_evaluator_find(const struct wr_evaluator *evaluator, uint32_t rule, const char *text) {
    if (evaluator->n_buckets == 0)
        return WR_INSTANCE_NONE;
    return *bucket_of(evaluator, rule, text, wr_alarm_id(evaluator->rules->rules[rule]->name, text));
}

/* Room for one more: instances, timers and buckets, all or nothing. */
static bool grow_instances(struct wr_evaluator *evaluator) {
    if (evaluator->n_instances < evaluator->cap_instances || evaluator->free_instances != WR_INSTANCE_NONE)
        return true;
    uint32_t cap = evaluator->cap_instances ? evaluator->cap_instances * 2 : 16;
    uint32_t n_buckets = cap * 2;
    uint32_t *buckets = malloc(n_buckets * sizeof *buckets);
    if (!buckets)
        return false;
    struct wr_instance *instances = realloc(evaluator->instances, cap * sizeof *instances);
    if (instances)
        evaluator->instances = instances;
    if (!instances || wr_timer_reserve(&evaluator->timers, cap) != WR_OK) {
        free(buckets);
        return false;
    }
    evaluator->bytes += (cap - evaluator->cap_instances) * (sizeof *instances + sizeof(struct wr_timer) + 3 * sizeof(uint32_t));
    evaluator->cap_instances = cap;
    free(evaluator->buckets);
    evaluator->buckets = buckets;
    evaluator->n_buckets = n_buckets;
    memset(buckets, 0xFF, n_buckets * sizeof *buckets);
    for (uint32_t i = 0; i < evaluator->n_instances; i++) /* there is no free place among them */
        *bucket_of(evaluator, instances[i].rule, instances[i].text, instances[i].id) = i;
    return true;
}

/* The rows of its tables, its set, its sequence. */
static bool make_more(struct wr_evaluator *evaluator, const struct wr_rule *rule, struct wr_instance *instance) {
    const bool own = rule->kind == WR_RULE_SET || rule->kind == WR_RULE_SEQUENCE || rule->kind == WR_RULE_VECTOR;
    if (rule->n_cells == 0 && !own)
        return true;
    instance->more = calloc(1, sizeof *instance->more);
    if (!instance->more)
        return false;
    evaluator->bytes += sizeof *instance->more;
    instance->more->part = NAN;
    if (rule->kind == WR_RULE_VECTOR) {
        instance->more->model = calloc(1, sizeof *instance->more->model);
        if (!instance->more->model)
            return false;
        evaluator->bytes += sizeof *instance->more->model;
    }
    for (uint32_t i = 0; i < rule->n_cells; i++) {
        const struct wr_table *table = rule->cells[i].table;
        char key[WR_ALARM_INSTANCE_BYTES];
        bool has = wr_template_label(instance->text, wr_table_key(table), key, sizeof key);
        instance->more->rows[i] = has ? wr_table_row(table, key, strlen(key)) : WR_TABLE_NONE;
        if (instance->more->rows[i] == WR_TABLE_NONE) {
            evaluator->stats.rows_missing++;
            snprintf(evaluator->stats.problem, sizeof evaluator->stats.problem, "rule %.63s{%.60s}: the table %.60s has no row for it",
                     rule->name, instance->text, wr_table_name(table));
        }
    }
    return true;
}

void wr_instance_more_free(struct wr_instance_more *more) {
    if (!more)
        return;
    free(more->members);
    free(more->model);
    free(more);
}

/* A free place, or one behind the last. */
static uint32_t take_place(struct wr_evaluator *evaluator) {
    uint32_t index = evaluator->free_instances;
    if (index == WR_INSTANCE_NONE)
        return evaluator->n_instances++;
    evaluator->free_instances = evaluator->instances[index].next;
    return index;
}

void wr_instance_remove(struct wr_evaluator *evaluator, uint32_t index) {
    struct wr_instance *instance = &evaluator->instances[index];
    const uint32_t mask = evaluator->n_buckets - 1;
    wr_annunciator_forget(evaluator->annunciator, index, &evaluator->at.now);
    uint32_t hole = (uint32_t)(bucket_of(evaluator, instance->rule, instance->text, instance->id) - evaluator->buckets);
    evaluator->per_rule[instance->rule]--;
    evaluator->stats.instances -= wr_instance_rule(evaluator, instance)->kind == WR_RULE_ALARM;
    evaluator->bytes -= strlen(instance->text) + 1;
    wr_timer_disarm(&evaluator->timers, index);
    wr_instance_more_free(instance->more);
    free(instance->text);
    *instance = (struct wr_instance){.rule = WR_INSTANCE_NONE, .output = WR_INSTANCE_NONE, .next = evaluator->free_instances};
    evaluator->free_instances = index;
    /* What stands behind it in the row of buckets moves up, so that it is still found. */
    evaluator->buckets[hole] = WR_INSTANCE_NONE;
    for (uint32_t at = (hole + 1) & mask; evaluator->buckets[at] != WR_INSTANCE_NONE; at = (at + 1) & mask) {
        uint32_t moved = evaluator->buckets[at];
        evaluator->buckets[at] = WR_INSTANCE_NONE;
        const struct wr_instance *other = &evaluator->instances[moved];
        *bucket_of(evaluator, other->rule, other->text, other->id) = moved;
    }
}

enum wr_result wr_evaluator_instance(struct wr_evaluator *evaluator, uint32_t rule, const char *text, int64_t boot_ns,
                                     uint32_t *ret_index) {
    uint32_t known = wr_evaluator_find(evaluator, rule, text);
    if (known != WR_INSTANCE_NONE) {
        *ret_index = known;
        return WR_OK;
    }
    const char *name = evaluator->rules->rules[rule]->name;
    const struct wr_rule *node = evaluator->rules->rules[rule];
    if (evaluator->per_rule[rule] >= (node->max_instances ? node->max_instances : evaluator->rules->max_instances)) {
        evaluator->stats.instances_refused++;
        snprintf(evaluator->stats.problem, sizeof evaluator->stats.problem, "%s{%s}: the rule has %u instances already: max_instances",
                 name, text, evaluator->per_rule[rule]);
        return WR_LIMIT;
    }
    struct wr_instance fresh = {.rule = rule,
                                .output = WR_INSTANCE_NONE,
                                .text = strdup(text),
                                .made_boot_ns = boot_ns,
                                .true_boot_ns = boot_ns,
                                .transition = evaluator->forgotten_transition,
                                .next = WR_INSTANCE_NONE};
    bool made = fresh.text && make_more(evaluator, node, &fresh) && grow_instances(evaluator) && wr_node_make_output(evaluator, &fresh);
    if (!made) {
        free(fresh.text);
        wr_instance_more_free(fresh.more);
        evaluator->stats.no_memory++;
        return WR_NO_MEMORY;
    }
    fresh.id = wr_alarm_id(name, text);
    for (uint32_t i = 0; i < WR_RULE_OPERANDS; i++)
        fresh.signals[i] = WR_SERIES_NONE;
    uint32_t index = take_place(evaluator);
    evaluator->instances[index] = fresh;
    *bucket_of(evaluator, rule, text, fresh.id) = index;
    evaluator->per_rule[rule]++;
    evaluator->stats.instances += node->kind == WR_RULE_ALARM;
    evaluator->bytes += strlen(text) + 1;
    *ret_index = index;
    if (fresh.output != WR_INSTANCE_NONE) {
        evaluator->outputs[fresh.output]->owner = index;
        wr_node_join_readers(evaluator, index, boot_ns);
    }
    wr_instance_join_wider(evaluator, index, boot_ns);
    return WR_OK;
}

bool wr_evaluator_text_fits(const struct wr_rule *rule, const char *text) {
    char value[WR_ALARM_INSTANCE_BYTES];
    uint32_t labels = text[0] != '\0';
    for (const char *c = text; *c; c++) {
        if (*c == '\\' && c[1])
            c++;
        else
            labels += *c == ',';
    }
    for (uint32_t i = 0; i < rule->n_by; i++)
        if (!wr_template_label(text, rule->by[i], value, sizeof value))
            return false;
    return labels == rule->n_by;
}
