#include "rules/shadow/shadow_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fingerprint.h"

#define IDS (2 * WR_SHADOW_ALARMS)

/* -- rules by name ------------------------------------------------------------------------------------------------------------------------- */

/* The bucket of a name: of its rule, or the empty one where it would be. */
static uint32_t *bucket_of(const struct wr_shadow_table *table, const char *name) {
    const uint64_t hash = wr_fingerprint_add(WR_FINGERPRINT_START, name, strlen(name));
    uint32_t at = (uint32_t)(hash ^ hash >> 32) & (table->n_names - 1);
    while (table->names[at] != 0 && strcmp(table->rules[table->names[at] - 1].name, name) != 0)
        at = (at + 1) & (table->n_names - 1);
    return &table->names[at];
}

static void add_rules(struct wr_shadow_table *table, enum wr_shadow_side side, const struct wr_ruleset *rules) {
    for (uint32_t i = 0; rules && i < wr_ruleset_count(rules); i++) {
        const char *name = wr_ruleset_info(rules, i).name;
        uint32_t *bucket = bucket_of(table, name);
        if (*bucket == 0) {
            snprintf(table->rules[table->n_rules].name, sizeof table->rules[0].name, "%s", name);
            *bucket = ++table->n_rules;
        }
        table->rules[*bucket - 1].known[side] = true;
    }
}

static uint32_t count(const struct wr_ruleset *rules) {
    return rules ? wr_ruleset_count(rules) : 0;
}

enum wr_result wr_shadow_table_new(const struct wr_ruleset *beside, const struct wr_ruleset *in_force, struct wr_shadow_table **ret_table) {
    const uint32_t most = count(beside) + count(in_force);
    struct wr_shadow_table *table = calloc(1, sizeof *table);
    if (!table)
        return WR_NO_MEMORY;
    table->n_names = 16;
    while (table->n_names < 2 * most)
        table->n_names *= 2;
    table->rules = calloc(most + 1, sizeof *table->rules);
    table->names = calloc(table->n_names, sizeof *table->names);
    table->alarms = calloc(WR_SHADOW_ALARMS, sizeof *table->alarms); /* pages are had when they are written to */
    table->ids = calloc(IDS, sizeof *table->ids);
    if (!table->rules || !table->names || !table->alarms || !table->ids) {
        wr_shadow_table_free(table);
        return WR_NO_MEMORY;
    }
    add_rules(table, WR_SHADOW_BESIDE, beside);
    add_rules(table, WR_SHADOW_IN_FORCE, in_force);
    *ret_table = table;
    return WR_OK;
}

void wr_shadow_table_free(struct wr_shadow_table *table) {
    if (!table)
        return;
    free(table->rules);
    free(table->names);
    free(table->alarms);
    free(table->ids);
    free(table);
}

size_t wr_shadow_table_bytes(uint32_t n_rules) {
    return sizeof(struct wr_shadow_table) + n_rules * (sizeof(struct wr_shadow_rule) + 4 * sizeof(uint32_t)) +
           WR_SHADOW_ALARMS * sizeof(struct wr_shadow_alarm) + IDS * sizeof(uint32_t);
}

/* -- alarms by id -------------------------------------------------------------------------------------------------------------------------- */

/* NULL: it is of no rule that is known (the notices of a group), or there is no room for it. */
static struct wr_shadow_alarm *find(struct wr_shadow_table *table, const struct wr_alarm *alarm, uint32_t rule) {
    uint32_t at = (uint32_t)(alarm->id ^ alarm->id >> 32) & (IDS - 1);
    while (table->ids[at] != 0 && table->alarms[table->ids[at] - 1].id != alarm->id)
        at = (at + 1) & (IDS - 1);
    if (table->ids[at] != 0)
        return &table->alarms[table->ids[at] - 1];
    if (table->n_alarms == WR_SHADOW_ALARMS)
        return NULL;
    struct wr_shadow_alarm *made = &table->alarms[table->n_alarms];
    *made = (struct wr_shadow_alarm){.id = alarm->id, .rule = rule};
    snprintf(made->instance, sizeof made->instance, "%s", alarm->instance);
    table->ids[at] = ++table->n_alarms;
    return made;
}

bool wr_shadow_alarm_differs(const struct wr_shadow_alarm *alarm) {
    return alarm->active[WR_SHADOW_IN_FORCE] != alarm->active[WR_SHADOW_BESIDE] ||
           alarm->raised[WR_SHADOW_IN_FORCE] != alarm->raised[WR_SHADOW_BESIDE];
}

/* -- what happens -------------------------------------------------------------------------------------------------------------------------- */

static bool is_active(uint8_t state) {
    return state == WR_ALARM_UNACK || state == WR_ALARM_ACKED;
}

static void sum_up(struct wr_shadow_sum *sum, bool active) {
    sum->raised += active;
    sum->cleared += !active;
    if (active)
        sum->active++;
    else if (sum->active > 0) /* it may have been active before anybody looked */
        sum->active--;
}

static void become(struct wr_shadow_table *table, enum wr_shadow_side side, const struct wr_alarm *alarm, bool active, bool only_if_new) {
    const uint32_t found = *bucket_of(table, alarm->rule);
    if (found == 0)
        return;
    struct wr_shadow_rule *rule = &table->rules[found - 1];
    struct wr_shadow_alarm *known = find(table, alarm, found - 1);
    if (known && only_if_new && known->active[side])
        return;
    if (!known)
        table->not_compared++;
    sum_up(&rule->sums[side], active);
    sum_up(&table->sums[side], active);
    if (!known)
        return;
    const bool before = wr_shadow_alarm_differs(known);
    known->active[side] = active;
    known->raised[side] += active;
    const bool after = wr_shadow_alarm_differs(known);
    rule->differ += (uint32_t)after - (uint32_t)before;
    table->differ += (uint32_t)after - (uint32_t)before;
}

void wr_shadow_table_take(struct wr_shadow_table *table, enum wr_shadow_side side, const struct wr_alarm *alarm) {
    const bool active = is_active(alarm->to);
    if (active != is_active(alarm->from))
        become(table, side, alarm, active, false);
}

void wr_shadow_table_find(struct wr_shadow_table *table, const struct wr_alarm *alarm) {
    if (is_active(alarm->to))
        become(table, WR_SHADOW_IN_FORCE, alarm, true, true);
}
