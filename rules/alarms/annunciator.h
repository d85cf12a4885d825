/* The annunciator: who is told of an alarm, and when. It stands between the evaluator's transitions and everybody else.
 *
 * It never changes a state: that is the evaluator's. It marks transitions as silent (alarm.silent) and adds entries of its own:
 *   shelved         by an operator, with a reason, until a time, at most the rule's shelve_max: ends by itself
 *   out of service  by an operator, with a reference, until he returns it
 *   suppressed      while an alarm that explains it is active (`suppress`), or its valid_if is not true
 *   chattering      raised three times within a minute: it is told again after 1, 2, 4 ... 60 minutes, until such a time passes without a raise
 *   grouped         in a flood, or because its group speaks for it; never high and critical ones
 *   repeated        it rings again each re_alarm while it is unacknowledged and its condition true
 *
 * Promise: who listens is told in the end what is so. When a silence ends, an alarm that is active and was not told is told then (cause raised, from
 * and to the same state), one that somebody still believes to be active is told as cleared. A silence set by an operator or by another alarm rings
 * again for whatever is still unacknowledged. An alarm for which there is no memory is told plainly: never lost.
 * `take` adds nothing: entries of its own come from `timers` (due at once where there is something to tell) and `order`.
 *
 * Source: ISA-18.2 / IEC 62682 (shelving, designed suppression, out of service, chattering, floods).
 * Threads: the engine's. Ownership: the rule set and the host must outlive it. Memory: a record of about 150 bytes for each alarm that is not normal, chatters, is
 * silenced or was so within a minute; nothing for the others but 4 bytes.
 * Limits: WR_ANNUNCIATOR_ALARMS records, WR_ANNUNCIATOR_TUPLES groups at once: beyond them alarms are told plainly, and counted. WR_ANNUNCIATOR_NOTES.
 * Units: boot time ns; what an operator says is wall time ns.
 */
#ifndef WEIR_RULES_ALARMS_ANNUNCIATOR_H
#define WEIR_RULES_ALARMS_ANNUNCIATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "core/clock.h"
#include "core/result.h"
#include "rules/alarms/alarm_kpi.h"

#define WR_ANNUNCIATOR_ALARMS (1u << 20)
#define WR_ANNUNCIATOR_TUPLES 1024
#define WR_ANNUNCIATOR_NOTES 4096     /* alarms that operators may have silenced at once */
#define WR_ANNUNCIATOR_PART_BYTES 480 /* of a snapshot */

#define WR_CHATTER_RAISES 3
#define WR_CHATTER_WITHIN_NS (60 * WR_NS_PER_S)
#define WR_CHATTER_BACKOFF_MAX_NS (3600 * WR_NS_PER_S)

struct wr_alarm_out;
struct wr_annunciator;
struct wr_ruleset;

/* What an alarm is now. */
struct wr_annunciator_view {
    uint32_t rule;
    const char *labels; /* as struct wr_alarm.instance */
    uint8_t state;      /* enum wr_alarm_state */
    uint8_t severity;
};

/* The evaluator, as the annunciator sees it. Alarms are its dense indexes. */
struct wr_annunciator_host {
    void *user;
    void (*look)(void *user, uint32_t alarm, struct wr_annunciator_view *ret_view);
    /* Fills the entry with the alarm as it is now: from and to its state, its transition counted up, its snapshot with wr_annunciator_encode at the end. */
    void (*tell)(void *user, uint32_t alarm, enum wr_alarm_cause cause, const struct wr_now *now, struct wr_alarm_entry *entry);
};

WR_MUST_USE enum wr_result wr_annunciator_new(const struct wr_ruleset *rules, const struct wr_annunciator_host *host,
                                              struct wr_annunciator **ret_annunciator, struct wr_error *err);
/* NULL is fine. */
void wr_annunciator_free(struct wr_annunciator *annunciator);

/* A transition of the evaluator's, filled but for its snapshot: sets entry->alarm.silent. WR_ALARM_SILENT_INVALID, if set, is what the evaluator knows. */
void wr_annunciator_take(struct wr_annunciator *annunciator, uint32_t alarm, uint32_t rule, struct wr_alarm_entry *entry,
                         const struct wr_now *now);
/* valid_if changed without a transition. */
void wr_annunciator_invalid(struct wr_annunciator *annunciator, uint32_t alarm, bool invalid, const struct wr_now *now);
/* The evaluator forgets the alarm: its index may come again. */
void wr_annunciator_forget(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_now *now);

/* As wr_evaluator_timers: at most max steps; WR_FULL: out is full and more is due. */
WR_MUST_USE enum wr_result wr_annunciator_timers(struct wr_annunciator *annunciator, const struct wr_now *now, uint32_t max,
                                                 struct wr_alarm_out *out, bool *ret_more);
int64_t wr_annunciator_next_timer(const struct wr_annunciator *annunciator);

enum wr_alarm_order_kind { WR_ALARM_ORDER_SHELVE, WR_ALARM_ORDER_UNSHELVE, WR_ALARM_ORDER_OUT_OF_SERVICE, WR_ALARM_ORDER_RETURN };

struct wr_alarm_order {
    enum wr_alarm_order_kind kind;
    const char *by_whom;
    const char *why;
    int64_t until_wall_ns; /* of a shelving */
    uint64_t key;          /* as wr_annunciator_set_key; 0: none */
};

/* An operator's order on one alarm; the entry is what comes of it. WR_INVALID: makes no sense now, or something is missing; WR_DENIED: the rule forbids it;
 * WR_LIMIT, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_annunciator_order(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_alarm_order *order,
                                                const struct wr_now *now, struct wr_alarm_entry *entry, struct wr_error *err);

/* An operator has something to say of it: it must not be forgotten. */
bool wr_annunciator_holds(const struct wr_annunciator *annunciator, uint32_t alarm);

/* What a list shows of an alarm: silent, until, who and why. */
void wr_annunciator_show(const struct wr_annunciator *annunciator, uint32_t alarm, struct wr_alarm *into);

/* Whether the operator's command with this key (a hash, not 0) changed this alarm last, and says so. So a command that is said twice because a crash came
 * between its effect and its answer is done once. */
bool wr_annunciator_has_key(const struct wr_annunciator *annunciator, uint32_t alarm, uint64_t key);
void wr_annunciator_set_key(struct wr_annunciator *annunciator, uint32_t alarm, uint64_t key, const struct wr_now *now);

/* Its part of the alarm's snapshot: bytes written to into[WR_ANNUNCIATOR_PART_BYTES], 0: there is nothing to keep. */
uint16_t wr_annunciator_encode(const struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_now *now, uint8_t *into);
/* After a restart, once the alarm is in its state. WR_CORRUPT. */
WR_MUST_USE enum wr_result wr_annunciator_restore(struct wr_annunciator *annunciator, uint32_t alarm, const uint8_t *part, size_t len,
                                                  const struct wr_now *now);

/* Snapshots of groups, which have transitions of their own: *cursor starts at 0; false at the end. */
bool wr_annunciator_next_snapshot(const struct wr_annunciator *annunciator, uint32_t *cursor, struct wr_alarm_entry *ret_entry);
/* WR_CORRUPT; WR_NOT_FOUND: there is no such group any more. */
bool wr_annunciator_is_group_snapshot(const struct wr_alarm_entry *entry);
WR_MUST_USE enum wr_result wr_annunciator_restore_group(struct wr_annunciator *annunciator, const struct wr_alarm_entry *entry,
                                                        const struct wr_now *now);

/* Reload: an alarm goes over with everything that is said of it, once it is in its state in the new evaluator. The old one stays as it is. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_annunciator_take_over(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_annunciator *old,
                                                    uint32_t old_alarm, const struct wr_now *now);
/* At its end: the figures, and the groups that are still there. */
void wr_annunciator_inherit(struct wr_annunciator *annunciator, struct wr_annunciator *old, const struct wr_now *now);

/* The figures of ISA-18.2; looks at max records a call, *cursor starts at 0; true: call again. */
bool wr_annunciator_measure(const struct wr_annunciator *annunciator, uint32_t *cursor, uint32_t max, const struct wr_now *now,
                            struct wr_alarm_kpis *kpis);

struct wr_annunciator_stats {
    uint32_t records;
    uint32_t tuples;
    uint32_t causes;
    uint64_t refused; /* told plainly, since a limit or memory did not allow a record */
    size_t bytes;
};
void wr_annunciator_stats(const struct wr_annunciator *annunciator, struct wr_annunciator_stats *ret_stats);

/* Upper bounds: for each alarm, and for everything else of an annunciator of these rules. */
size_t wr_annunciator_bytes_per_alarm(void);
size_t wr_annunciator_bytes(const struct wr_ruleset *rules);

/* Groups and counts agree: for tests. */
bool wr_annunciator_is_valid(const struct wr_annunciator *annunciator);

#endif
