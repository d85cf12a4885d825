/* The evaluator: the running state of a rule set: which series feed which rule instances, their windows, timers and alarm states.
 *
 * Promise: pure: time is an argument, nothing waits, nothing logs. A value that stays between the limits nearest to it costs one compare
 * (wr_evaluator_quiet). Work is done only when a series that a rule reads gets a sample, or a timer expires. When an instance, window or
 * timer cannot be made (memory, max_instances) that is counted, and everything else goes on.
 *
 * How the hot path goes, for each reading of the engine:
 *   if (reading.series >= attached)
 *       attached = wr_evaluator_attach(evaluator, wr_series_count(table), &now), bands = wr_evaluator_bands(evaluator);
 *   if (reading.series < attached &&
 *       (quality is bad || !wr_evaluator_quiet(&bands[series], number, arrival)))
 *       wr_evaluator_take(...);
 * wr_evaluator_quiet writes value and arrival into the band even though nobody is called: so `age` and no_data_after know when a quiet
 * series last spoke, and messages know its value, without a call per sample. Where the number alone is not enough (windows, arithmetic, a
 * delay that runs, an age that has passed, bad data before) the band is empty, so every sample is taken.
 *
 * Threads: the engine's thread only. Ownership: the evaluator keeps the rule set it was made for, until it is replaced (reload) or freed.
 * Order of calls: new, restore (snapshots of a former run), then take and timers in any order, snapshot at exit.
 * Units: nanoseconds; event time is wall time, boot time drives the timers.
 */
#ifndef WEIR_RULES_EVALUATOR_EVALUATOR_H
#define WEIR_RULES_EVALUATOR_EVALUATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "core/clock.h"
#include "core/reading.h"
#include "core/result.h"
#include "core/series.h"
#include "core/symbol.h"
#include "rules/alarms/alarm_kpi.h"

struct wr_ruleset; /* rules/compile/ruleset.h: what the files say, compiled and immutable */
struct wr_selector;
struct wr_evaluator;

/* Where transitions go: an array of the caller's, at least one long. When it is full, what is left to evaluate waits inside for the next
 * call (next_timer is then in the past), so nothing is lost and no room is too small. */
struct wr_alarm_out {
    struct wr_alarm_entry *entries;
    uint32_t n;
    uint32_t cap;
};

/* Per series, dense by id: all that the hot path looks at. The band is the open interval of values that can flip nothing and lie inside the
 * declared range, given the present states; empty (low > high) when every sample must be seen. value and arrival are the last sample's,
 * good or uncertain: written by wr_evaluator_quiet, or by take. */
struct wr_evaluator_band {
    double low;
    double high;
    double value;
    int64_t arrival_boot_ns;
};

/* True when the value flips nothing: then it is remembered, and nothing else needs to be done for it. number: wr_reading_number; NaN (text) is
 * never quiet. Call it for good and uncertain readings only. */
static inline bool wr_evaluator_quiet(struct wr_evaluator_band *band, double number, int64_t arrival_boot_ns) {
    if (!(number > band->low && number < band->high)) /* NOLINT(clang-analyzer-core.NullDereference): bands exist for attached ids */
        return false;
    band->value = number;
    band->arrival_boot_ns = arrival_boot_ns;
    return true;
}

struct wr_evaluator_stats {
    uint32_t rules;
    uint32_t instances; /* of alarms; what they read beside series is not counted */
    uint32_t active;    /* alarms that are not normal or pending */
    uint32_t unacked;
    uint64_t evaluations;
    uint64_t instances_refused; /* max_instances, or a tuple of labels too long for its name */
    uint64_t joins_refused;     /* a second series for the same operand of the same instance: see problem */
    uint64_t rows_missing;      /* instances for which a table has no row: their condition stays unknown */
    uint64_t window_overflows;  /* samples pushed out of a sliding window by number before their time */
    uint64_t forgotten;         /* instances that nobody spoke for */
    uint64_t no_memory;
    size_t bytes;
    char problem[WR_ERROR_TEXT_BYTES]; /* the last refusal, in words; empty: none */
};

/* The rule set must outlive the evaluator, or be handed over with it. */
WR_MUST_USE enum wr_result wr_evaluator_new(struct wr_ruleset *rules, const struct wr_series_table *series,
                                            const struct wr_symbol_table *symbols, struct wr_evaluator **ret_evaluator,
                                            struct wr_error *err);
void wr_evaluator_free(struct wr_evaluator *evaluator);

/* Whether a rule reads series of this name (measurement, or measurement.field). */
bool wr_evaluator_reads(const struct wr_evaluator *evaluator, const char *name);
bool wr_evaluator_has_rule(const struct wr_evaluator *evaluator, const char *name);

/* The figures of ISA-18.2; at most max alarms are looked at in a call, *cursor starts at 0; true: call again. */
bool wr_evaluator_measure(const struct wr_evaluator *evaluator, uint32_t *cursor, uint32_t max, const struct wr_now *now,
                          struct wr_alarm_kpis *kpis);

/* Brings back one alarm from its snapshot, of which nothing but snap and snap_len is read: the store keeps no more. Downtime counts as
 * unknown. Unknown rules are ignored: WR_NOT_FOUND. */
WR_MUST_USE enum wr_result wr_evaluator_restore(struct wr_evaluator *evaluator, const struct wr_alarm_entry *entry,
                                                const struct wr_now *now);
/* The same in a run that has been going on for some time: what has happened since is the truth. WR_EXISTS: an alarm that has left its first state
 * since, or no alarm but a group, the answer to a command, or progress: these have begun anew. */
WR_MUST_USE enum wr_result wr_evaluator_restore_late(struct wr_evaluator *evaluator, const struct wr_alarm_entry *entry,
                                                     const struct wr_now *now);

/* Makes everything known for series ids below count: called by the engine when it first meets an id. Returns the number of ids attached, which
 * is less than series_count only when memory ran out (counted): readings of ids beyond it have no rules until a later call succeeds. */
uint32_t wr_evaluator_attach(struct wr_evaluator *evaluator, uint32_t series_count, const struct wr_now *now);

/* The bands; valid for ids below the count attached, until the next attach, migrate or free. */
struct wr_evaluator_band *wr_evaluator_bands(struct wr_evaluator *evaluator);

/* One sample, already clamped and known not to be late. May set reading->quality to bad (outside the point's range). The engine calls it when
 * wr_evaluator_quiet says no, or the quality is bad. arrival_boot_ns: when it became readable. WR_FULL: out was full before the sample could
 * be looked at; empty out and call again with the same reading, before any other of its series. */
WR_MUST_USE enum wr_result wr_evaluator_take(struct wr_evaluator *evaluator, struct wr_reading *reading, int64_t arrival_boot_ns,
                                             const struct wr_now *now, struct wr_alarm_out *out);

/* Runs timers that are due, at most max of them; *ret_more tells whether more are due. WR_FULL: out is full and more are due; empty out and
 * call again. */
WR_MUST_USE enum wr_result wr_evaluator_timers(struct wr_evaluator *evaluator, const struct wr_now *now, uint32_t max,
                                               struct wr_alarm_out *out, bool *ret_more);
/* Boot time of the next timer, or WR_NEVER_NS. */
int64_t wr_evaluator_next_timer(const struct wr_evaluator *evaluator);

/* Declared for the series by a point; the defaults otherwise (lateness -1: the window's own). */
int64_t wr_evaluator_lateness(const struct wr_evaluator *evaluator, uint32_t series);

enum wr_alarm_command_kind {
    WR_ALARM_COMMAND_ACK,
    WR_ALARM_COMMAND_RESET,
    WR_ALARM_COMMAND_SHELVE,
    WR_ALARM_COMMAND_UNSHELVE,
    WR_ALARM_COMMAND_OUT_OF_SERVICE,
    WR_ALARM_COMMAND_RETURN,
};

/* An operator's command. The texts are never NULL. */
struct wr_alarm_command {
    enum wr_alarm_command_kind kind;
    const char *alarm; /* `rule` for all its instances, or `rule{k=v}`; `*` and globs take several rules */
    const char *by_whom;
    const char *why;       /* shelve and out of service need it */
    int64_t until_wall_ns; /* of a shelving */
    const char *key;       /* the same key again is the same answer, and nothing is done twice; empty: none */
    /* What has come of it so far; all zero at first. */
    bool begun;
    bool repeated; /* the key was known */
    uint32_t from; /* where it goes on after WR_FULL */
    uint32_t changed;
    uint32_t refused;
    enum wr_result refusal; /* the last one */
    char problem[224];
};

/* WR_OK: at least one alarm was changed. WR_NOT_FOUND; WR_INVALID (not in a state that takes it, or something is missing), WR_DENIED (the rule forbids it): none
 * was changed; WR_EXISTS: the key belongs to another command. Entries in out. WR_FULL: there is more; empty out and call again with the same struct. */
WR_MUST_USE enum wr_result wr_evaluator_command(struct wr_evaluator *evaluator, struct wr_alarm_command *command, const struct wr_now *now,
                                                struct wr_alarm_out *out, struct wr_error *err);

/* Walks the alarms that are not normal (pending ones too), and those that an operator has silenced, as of the last call of timers or take: *cursor starts at 0; false at the end. With normal_too
 * also those that were raised before. For status and `weir alarms`. alarm.from and to are the state, cause is 0, wall_ns and event_ns tell since when; value and message are of now; there is no
 * snapshot. */
bool wr_evaluator_next_alarm(const struct wr_evaluator *evaluator, bool normal_too, uint32_t *cursor, struct wr_alarm_entry *ret_entry);

/* The same a place at a time, for who walks in slices; PASSED: no such alarm stands there. selector: those that it takes; NULL: all. */
enum wr_evaluator_look { WR_EVALUATOR_END, WR_EVALUATOR_PASSED, WR_EVALUATOR_ALARM };
enum wr_evaluator_look wr_evaluator_look_alarm(const struct wr_evaluator *evaluator, bool normal_too, const struct wr_selector *selector,
                                               uint32_t *cursor, struct wr_alarm_entry *ret_entry);

/* Whether `rule{room=A1}` takes this alarm: by its name, which may be a glob, and the labels of `by`. instance: "room=A1,site=riga". */
bool wr_evaluator_selects(const struct wr_selector *selector, const char *rule, const char *instance);

/* Walks what is to be stored: alarms that are not normal, or whose transition number must survive, the progress of nodes, groups, and the answers to commands with a key. Each that is shown
 * counts as stored: for the one who journals it. */
bool wr_evaluator_next_snapshot(const struct wr_evaluator *evaluator, uint32_t *cursor, struct wr_alarm_entry *ret_entry);

/* Reload: takes over values and windows, and the state of rules whose name, `by` and condition match, from `old`, at most max series and
 * instances a call (slices). Where only limits or deadband changed, state and acknowledgement are kept; alarms of rules that are gone or
 * changed are closed with cause rule_changed, in out. *ret_more: call again (WR_FULL too, after out was emptied). Until it is false neither
 * evaluator may be given samples or timers; then the caller frees `old`. WR_NO_MEMORY: keep the old one; with max 0 nothing is taken over yet, and
 * after WR_OK memory is no matter any more. */
WR_MUST_USE enum wr_result wr_evaluator_migrate(struct wr_evaluator *evaluator, struct wr_evaluator *old, const struct wr_now *now,
                                                uint32_t max, struct wr_alarm_out *out, bool *ret_more);

void wr_evaluator_stats(const struct wr_evaluator *evaluator, struct wr_evaluator_stats *ret_stats);

#endif
