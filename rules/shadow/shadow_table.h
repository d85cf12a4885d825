/* What two rule sets did, alarm by alarm: those in force, and those in the shadow (shadow.h). Only whether an alarm is active counts: its condition is true behind its delays
 * (as agent/replay/tally.h has it), for nobody acknowledges in the shadow. An alarm differs while it was raised another number of times, or is active in one alone.
 *
 * Promise: memory is had at birth, nothing is allocated by a transition. Beyond WR_SHADOW_ALARMS alarms the sums of the rules go on, and what is not compared is counted.
 * Threads: one at a time. Ownership: new/free; names are copied. Limits: WR_SHADOW_ALARMS; instances are cut to WR_SHADOW_INSTANCE_BYTES (to be shown: alarms are told apart by id).
 */
#ifndef WEIR_RULES_SHADOW_SHADOW_TABLE_H
#define WEIR_RULES_SHADOW_SHADOW_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "rules/compile/ruleset.h"

#define WR_SHADOW_ALARMS 4096
#define WR_SHADOW_INSTANCE_BYTES 96

enum wr_shadow_side { WR_SHADOW_IN_FORCE, WR_SHADOW_BESIDE, WR_SHADOW_SIDES };

struct wr_shadow_sum {
    uint64_t raised;
    uint64_t cleared;
    uint32_t active;
};

struct wr_shadow_rule {
    char name[WR_ALARM_NAME_BYTES];
    bool known[WR_SHADOW_SIDES]; /* which sets have it */
    struct wr_shadow_sum sums[WR_SHADOW_SIDES];
    uint32_t differ; /* alarms of it that differ */
};

struct wr_shadow_alarm {
    uint64_t id;
    uint32_t rule;
    uint32_t raised[WR_SHADOW_SIDES];
    bool active[WR_SHADOW_SIDES];
    char instance[WR_SHADOW_INSTANCE_BYTES];
};

struct wr_shadow_table {
    uint32_t n_rules; /* those of the shadow in their order, then those that are in force alone */
    struct wr_shadow_rule *rules;
    uint32_t n_names; /* of buckets: a power of two */
    uint32_t *names;  /* by name: open addressing; 0: empty, else index + 1 */
    uint32_t n_alarms;
    struct wr_shadow_alarm *alarms; /* in the order of their first raise */
    uint32_t *ids;                  /* by id, likewise: 2 * WR_SHADOW_ALARMS of them */
    struct wr_shadow_sum sums[WR_SHADOW_SIDES];
    uint32_t differ;
    uint64_t not_compared; /* transitions of alarms for which there was no room */
};

WR_MUST_USE enum wr_result wr_shadow_table_new(const struct wr_ruleset *beside, const struct wr_ruleset *in_force,
                                               struct wr_shadow_table **ret_table);
/* NULL is fine. */
void wr_shadow_table_free(struct wr_shadow_table *table);

/* A transition of one side, in the order of time. */
void wr_shadow_table_take(struct wr_shadow_table *table, enum wr_shadow_side side, const struct wr_alarm *alarm);
/* An alarm in force as it stands: one that is active already, and was not seen to be raised, counts as raised. */
void wr_shadow_table_find(struct wr_shadow_table *table, const struct wr_alarm *alarm);

bool wr_shadow_alarm_differs(const struct wr_shadow_alarm *alarm);
/* For n rules of both sets together. */
size_t wr_shadow_table_bytes(uint32_t n_rules);

#endif
