/* The shadow: a rule set that runs beside the one in force and acts on nothing. It sees the same readings, has windows, delays and alarm states of its own, and what it would have
 * raised and cleared is counted and compared with what the rules in force do (shadow_table.h). So a version is looked at before it is put in force.
 *
 * Promise: nothing of the rules in force is changed, but read: neither a state nor a window, nor the reading that both are shown. No transition of the shadow leaves it: there
 * are no actions, no journal, no ledger. What it cannot do (memory, max_instances) it counts, as any evaluator.
 * It begins with nothing: an alarm that was active before comes to it with its first readings, behind its delays and windows. Series that exist already, and alarms in force,
 * are taken up in slices (wr_shadow_prepare), so that a start holds up nobody; what comes for a series before its turn is counted as skipped.
 * Nobody acknowledges, resets or shelves in the shadow.
 *
 * Threads: the engine's; a report on the engine's thread too. Ownership: the rule set and the tables must outlive it. Memory: that of an evaluator, and wr_shadow_bytes.
 * Limits: WR_SHADOW_SLICE_SERIES, WR_SHADOW_SLICE_ALARMS a call. Units: as of the evaluator.
 */
#ifndef WEIR_RULES_SHADOW_SHADOW_H
#define WEIR_RULES_SHADOW_SHADOW_H

#include "core/buf.h"
#include "core/json.h"
#include "rules/evaluator/evaluator.h"
#include "rules/shadow/shadow_table.h"

#define WR_SHADOW_SLICE_SERIES 64
#define WR_SHADOW_SLICE_ALARMS 32

struct wr_shadow;

/* in_force: its names are copied; NULL: none. */
WR_MUST_USE enum wr_result wr_shadow_new(struct wr_ruleset *rules, const struct wr_ruleset *in_force, const struct wr_series_table *series,
                                         const struct wr_symbol_table *symbols, const struct wr_now *now, struct wr_shadow **ret_shadow,
                                         struct wr_error *err);
/* NULL is fine. */
void wr_shadow_free(struct wr_shadow *shadow);

/* Whether it reads series of this name (measurement, or measurement.field). */
bool wr_shadow_reads(const struct wr_shadow *shadow, const char *name);
/* One slice of what is to be taken up; true: there is more. */
bool wr_shadow_prepare(struct wr_shadow *shadow, const struct wr_evaluator *in_force, const struct wr_now *now);
/* A reading as the rules in force were shown it. */
void wr_shadow_take(struct wr_shadow *shadow, const struct wr_reading *reading, int64_t arrival_boot_ns, const struct wr_now *now);
/* Timers that are due, at most max of them; true: more are. */
bool wr_shadow_timers(struct wr_shadow *shadow, const struct wr_now *now, uint32_t max);
/* Boot time of the next timer; WR_NEVER_NS. */
int64_t wr_shadow_next_timer(const struct wr_shadow *shadow);
/* A transition of the rules in force. */
void wr_shadow_saw(struct wr_shadow *shadow, const struct wr_alarm *alarm);
/* Readings that it was not shown, for want of time. */
void wr_shadow_skip(struct wr_shadow *shadow, uint64_t readings);

struct wr_shadow_figures {
    uint32_t rules;
    uint64_t readings;
    uint64_t skipped;
    uint64_t refused; /* what max_instances or memory did not allow: then it is no full picture, as with skipped */
    struct wr_shadow_sum sums[WR_SHADOW_SIDES];
    uint32_t differ;
    uint64_t not_compared;
    int64_t since_wall_ns;
    bool preparing;
};
void wr_shadow_figures(const struct wr_shadow *shadow, struct wr_shadow_figures *ret_figures);

/* The members of its report, into an object that the caller has opened: the sums, and at most `most` rules and `most` alarms that differ. */
void wr_shadow_json(const struct wr_shadow *shadow, uint32_t most, struct wr_json *json);
/* The same in lines. */
WR_MUST_USE enum wr_result wr_shadow_text(const struct wr_shadow *shadow, uint32_t most, struct wr_buf *into);

/* Beside its evaluator and its rules. */
size_t wr_shadow_bytes(uint32_t n_rules);

#endif
