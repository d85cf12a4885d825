#include "rules/alarms/annunciator_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 64 /* a call does not take longer than that, however many the caller allows: an entry is some microseconds of work */

/* -- life -------------------------------------------------------------------------------------------------------------------------------- */

enum wr_result wr_annunciator_new(const struct wr_ruleset *rules, const struct wr_annunciator_host *host,
                                  struct wr_annunciator **ret_annunciator, struct wr_error *err) {
    struct wr_annunciator *annunciator = calloc(1, sizeof *annunciator);
    if (!annunciator)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the annunciation of alarms");
    annunciator->rules = rules;
    annunciator->host = *host;
    wr_timer_init(&annunciator->timers);
    wr_timer_init(&annunciator->tuple_timers);
    annunciator->kpi = malloc(sizeof *annunciator->kpi);
    if (!annunciator->kpi || wr_slab_init(&annunciator->records, sizeof(struct wr_annunciated), WR_ANNUNCIATOR_ALARMS) != WR_OK ||
        wr_suppress_init(annunciator) != WR_OK) {
        wr_annunciator_free(annunciator);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the annunciation of alarms");
    }
    annunciator->kpi->began_boot_ns = WR_NEVER_NS; /* the first that happens begins the clock */
    *ret_annunciator = annunciator;
    return WR_OK;
}

void wr_annunciator_free(struct wr_annunciator *annunciator) {
    if (!annunciator)
        return;
    for (uint32_t i = 0; annunciator->records.chunks && i < annunciator->records.fresh; i++) {
        struct wr_annunciated *record = wr_annunciated_at(annunciator, i);
        if (record->alarm == WR_ANNUNCIATOR_NONE)
            continue;
        free(record->shelved);
        free(record->out_of_service);
    }
    wr_group_fini(annunciator);
    wr_suppress_fini(annunciator);
    wr_slab_fini(&annunciator->records);
    wr_timer_fini(&annunciator->timers);
    free(annunciator->record_of);
    free(annunciator->kpi);
    free(annunciator);
}

/* -- records ----------------------------------------------------------------------------------------------------------------------------- */

static uint32_t index_of(const struct wr_annunciator *annunciator, uint32_t alarm) {
    return alarm < annunciator->cap_alarms ? annunciator->record_of[alarm] : WR_ANNUNCIATOR_NONE;
}

struct wr_annunciated *wr_annunciated_find(const struct wr_annunciator *annunciator, uint32_t alarm) {
    uint32_t index = index_of(annunciator, alarm);
    return index == WR_ANNUNCIATOR_NONE ? NULL : wr_annunciated_at(annunciator, index);
}

static bool reserve(struct wr_annunciator *annunciator, uint32_t alarm) {
    if (alarm < annunciator->cap_alarms)
        return true;
    uint32_t cap = annunciator->cap_alarms ? annunciator->cap_alarms : 64;
    while (cap <= alarm && cap < WR_ANNUNCIATOR_NONE / 2)
        cap *= 2;
    uint32_t *more = cap > alarm ? realloc(annunciator->record_of, (size_t)cap * sizeof *more) : NULL;
    if (!more)
        return false;
    for (uint32_t i = annunciator->cap_alarms; i < cap; i++)
        more[i] = WR_ANNUNCIATOR_NONE;
    annunciator->record_of = more;
    annunciator->cap_alarms = cap;
    return true;
}

struct wr_annunciated *wr_annunciated_make(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_now *now) {
    struct wr_annunciated *record = wr_annunciated_find(annunciator, alarm);
    if (record)
        return record;
    uint32_t index = reserve(annunciator, alarm) ? wr_slab_take(&annunciator->records) : WR_SLAB_NONE;
    if (index == WR_SLAB_NONE) {
        annunciator->refused++;
        return NULL;
    }
    record = wr_annunciated_at(annunciator, index);
    *record = (struct wr_annunciated){.alarm = WR_ANNUNCIATOR_NONE};
    if (wr_timer_reserve(&annunciator->timers, annunciator->records.fresh) != WR_OK) {
        wr_slab_give(&annunciator->records, index);
        annunciator->refused++;
        return NULL;
    }
    *record = (struct wr_annunciated){
        .alarm = alarm,
        .tuple = WR_ANNUNCIATOR_NONE,
        .raised_boot_ns = {WR_NEVER_NS, WR_NEVER_NS},
        .re_alarm_boot_ns = WR_NEVER_NS,
        .touched_boot_ns = now->boot_ns,
        .active_boot_ns = now->boot_ns,
        .unacked_boot_ns = now->boot_ns,
    };
    annunciator->record_of[alarm] = index;
    return record;
}

void wr_annunciated_drop(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_now *now) {
    uint32_t index = annunciator->record_of[record->alarm];
    bool wanted_ack = wr_alarm_state_wants_ack((enum wr_alarm_state)record->state);
    struct wr_annunciator_view view;
    if (record->causing) {
        annunciator->host.look(annunciator->host.user, record->alarm, &view);
        wr_suppress_cause(annunciator, record, view.labels, false, now);
    }
    record->state = WR_ALARM_NORMAL;
    wr_group_follow(annunciator, record, wanted_ack, now);
    wr_timer_disarm(&annunciator->timers, index);
    annunciator->record_of[record->alarm] = WR_ANNUNCIATOR_NONE;
    wr_note_put(annunciator, &record->shelved, NULL);
    wr_note_put(annunciator, &record->out_of_service, NULL);
    *record = (struct wr_annunciated){.alarm = WR_ANNUNCIATOR_NONE};
    wr_slab_give(&annunciator->records, index);
}

void wr_annunciated_arm_at(struct wr_annunciator *annunciator, const struct wr_annunciated *record, int64_t due_boot_ns) {
    wr_timer_arm(&annunciator->timers, annunciator->record_of[record->alarm], due_boot_ns);
}

/* Whether somebody is owed a word: a silence is over, or what they believe is not so. */
static bool is_owed(const struct wr_annunciated *record) {
    return record->silent == 0 && (record->ring || record->heard != wr_annunciated_condition(record->state));
}

int64_t wr_annunciated_last(const struct wr_annunciated *record) {
    const int64_t raised = record->raised_boot_ns[0];
    return raised != WR_NEVER_NS && raised > record->touched_boot_ns ? raised : record->touched_boot_ns;
}

bool wr_annunciated_is_idle(const struct wr_annunciated *record) {
    return (record->state == WR_ALARM_NORMAL || record->state == WR_ALARM_PENDING) && record->silent == 0 && !record->heard &&
           record->chatter_until_boot_ns == 0 && record->tuple == WR_ANNUNCIATOR_NONE;
}

int64_t wr_annunciated_due(const struct wr_annunciated *record, int64_t now_boot_ns) {
    int64_t due = WR_NEVER_NS;
    const bool is_invalid = (record->silent & WR_ALARM_SILENT_INVALID) != 0;
    if (is_owed(record) || (is_invalid && !record->invalid) ||
        (!is_invalid && record->invalid && wr_alarm_state_is_active((enum wr_alarm_state)record->state)))
        due = now_boot_ns;
    if (record->shelved && record->shelved_until_boot_ns < due)
        due = record->shelved_until_boot_ns;
    if (record->chatter_until_boot_ns != 0 && record->chatter_until_boot_ns < due)
        due = record->chatter_until_boot_ns;
    if (record->re_alarm_boot_ns < due)
        due = record->re_alarm_boot_ns;
    if (due == WR_NEVER_NS && wr_annunciated_is_idle(record))
        due = wr_clock_add_ns(wr_annunciated_last(record), WR_ANNUNCIATOR_REST_NS);
    return due;
}

void wr_annunciated_arm(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_now *now) {
    wr_annunciated_arm_at(annunciator, record, wr_annunciated_due(record, now->boot_ns));
}

/* -- transitions ------------------------------------------------------------------------------------------------------------------------- */

void wr_annunciated_follow(struct wr_annunciator *annunciator, struct wr_annunciated *record, uint8_t state, const char *labels,
                           const struct wr_now *now) {
    bool wanted_ack = wr_alarm_state_wants_ack((enum wr_alarm_state)record->state);
    bool condition = wr_annunciated_condition(state);
    if (condition && !wr_annunciated_condition(record->state))
        record->active_boot_ns = now->boot_ns;
    if (wr_alarm_state_wants_ack((enum wr_alarm_state)state) && !wanted_ack)
        record->unacked_boot_ns = now->boot_ns;
    record->state = state;
    if (state != WR_ALARM_UNACK) {
        record->re_alarm_boot_ns = WR_NEVER_NS;
        record->ring = false;
    }
    if (condition != record->causing)
        wr_suppress_cause(annunciator, record, labels, condition, now);
    wr_group_follow(annunciator, record, wanted_ack, now);
}

void wr_annunciated_end_silence(struct wr_annunciator *annunciator, struct wr_annunciated *record, uint8_t bit, const char *labels,
                                const struct wr_now *now) {
    record->silent &= (uint8_t)~bit;
    if (bit & WR_SILENT_HARD)
        record->ring = record->ring || record->state == WR_ALARM_UNACK;
    if (record->silent == 0 && wr_alarm_state_is_active((enum wr_alarm_state)record->state))
        wr_group_join(annunciator, record, labels, now);
}

/* Whether this cause says that the alarm is active, or is not. */
static bool says_so(enum wr_alarm_cause cause) {
    return cause == WR_ALARM_RAISED || cause == WR_ALARM_ESCALATED || cause == WR_ALARM_DEESCALATED || cause == WR_ALARM_CLEARED ||
           cause == WR_ALARM_ACKNOWLEDGED || cause == WR_ALARM_RESET || cause == WR_ALARM_REPEATED;
}

void wr_annunciated_told(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_alarm *alarm,
                         const struct wr_now *now) {
    enum wr_alarm_cause cause = (enum wr_alarm_cause)alarm->cause;
    if (alarm->historic) {
        record->heard = wr_annunciated_condition(record->state); /* old data tells nobody, then or later */
        return;
    }
    if (!wr_alarm_is_annunciated(alarm) || !says_so(cause))
        return;
    record->heard = wr_annunciated_condition(record->state);
    record->ring = false;
    if (cause != WR_ALARM_RAISED && cause != WR_ALARM_ESCALATED)
        return;
    if (annunciator->kpi->began_boot_ns == WR_NEVER_NS)
        wr_alarm_kpi_init(annunciator->kpi, now->boot_ns);
    wr_alarm_kpi_told(annunciator->kpi, alarm->id, (enum wr_severity)alarm->severity, now->boot_ns);
    int64_t re_alarm_ns = annunciator->rules->rules[record->rule]->re_alarm_ns;
    if (record->state == WR_ALARM_UNACK && re_alarm_ns > 0)
        record->re_alarm_boot_ns = wr_clock_add_ns(now->boot_ns, re_alarm_ns);
}

/* A raise or an escalation that nothing else silences: joins its group, which may speak for it. */
static void join(struct wr_annunciator *annunciator, struct wr_annunciated *record, enum wr_alarm_cause cause, uint8_t without,
                 const char *labels, const struct wr_now *now) {
    record->silent &= (uint8_t)~WR_ALARM_SILENT_GROUPED;
    if ((record->silent & (uint8_t)~without) == 0 && wr_group_raise(annunciator, record, labels, cause == WR_ALARM_RAISED, now))
        record->silent |= WR_ALARM_SILENT_GROUPED;
}

/* The evaluator tells of nothing else than valid_if: when that is true again, the silence is over; beside a transition an entry of its own follows. */
static void follow_validity(struct wr_annunciator *annunciator, struct wr_annunciated *record, struct wr_alarm *told,
                            const struct wr_now *now) {
    if (told->cause != WR_ALARM_SUPPRESSED && told->cause != WR_ALARM_UNSUPPRESSED)
        return;
    snprintf(told->why, sizeof told->why, "valid_if");
    if (!record->invalid)
        wr_annunciated_end_silence(annunciator, record, WR_ALARM_SILENT_INVALID, told->instance, now);
}

void wr_annunciator_take(struct wr_annunciator *annunciator, uint32_t alarm, uint32_t rule, struct wr_alarm_entry *entry,
                         const struct wr_now *now) {
    struct wr_alarm *told = &entry->alarm;
    enum wr_alarm_cause cause = (enum wr_alarm_cause)told->cause;
    struct wr_annunciated *record = wr_annunciated_make(annunciator, alarm, now);
    if (!record)
        return;
    uint8_t without = 0;
    record->rule = rule;
    record->severity = told->severity;
    record->touched_boot_ns = now->boot_ns;
    record->invalid = (told->silent & WR_ALARM_SILENT_INVALID) != 0;
    if (record->invalid)
        record->silent |= WR_ALARM_SILENT_INVALID;
    if (wr_alarm_state_is_active((enum wr_alarm_state)told->to) && wr_suppress_look(annunciator, record, told->instance, now))
        record->silent |= WR_ALARM_SILENT_SUPPRESSED;
    wr_annunciated_follow(annunciator, record, told->to, told->instance, now);
    follow_validity(annunciator, record, told, now);
    if ((cause == WR_ALARM_RAISED || cause == WR_ALARM_ESCALATED) && !told->historic) {
        if (wr_annunciated_raised(record, cause, now))
            without = WR_ALARM_SILENT_CHATTERING;
        join(annunciator, record, cause, without, told->instance, now);
    }
    told->silent = record->silent & (uint8_t)~without;
    wr_annunciated_told(annunciator, record, told, now);
    if (told->to == WR_ALARM_NORMAL)
        record->silent &= (uint8_t)~WR_ALARM_SILENT_GROUPED;
    if (cause == WR_ALARM_RULE_CHANGED)
        wr_annunciated_drop(annunciator, record, now);
    else
        wr_annunciated_arm(annunciator, record, now);
}

void wr_annunciated_tell(struct wr_annunciator *annunciator, struct wr_annunciated *record, enum wr_alarm_cause cause, uint8_t without,
                         const struct wr_note *note, const struct wr_now *now, struct wr_alarm_entry *entry) {
    struct wr_annunciator_view view;
    struct wr_alarm soon = {.cause = (uint8_t)cause, .severity = record->severity};
    annunciator->host.look(annunciator->host.user, record->alarm, &view);
    if (cause == WR_ALARM_RAISED)
        join(annunciator, record, cause, without, view.labels, now);
    soon.silent = record->silent & (uint8_t)~without;
    soon.id = wr_alarm_id(annunciator->rules->rules[record->rule]->name, view.labels);
    record->touched_boot_ns = now->boot_ns;
    record->ring = record->ring && cause != WR_ALARM_RAISED;
    wr_annunciated_told(annunciator, record, &soon, now); /* before the snapshot is made */
    annunciator->host.tell(annunciator->host.user, record->alarm, cause, now, entry);
    entry->alarm.silent = soon.silent;
    if (note) {
        snprintf(entry->alarm.by_whom, sizeof entry->alarm.by_whom, "%s", note->by_whom);
        snprintf(entry->alarm.why, sizeof entry->alarm.why, "%s", note->why);
        entry->alarm.until_wall_ns = note->until_wall_ns;
    }
}

void wr_annunciator_invalid(struct wr_annunciator *annunciator, uint32_t alarm, bool invalid, const struct wr_now *now) {
    struct wr_annunciated *record = wr_annunciated_find(annunciator, alarm);
    if (!record)
        return; /* its next transition tells */
    record->invalid = invalid;
    wr_annunciated_arm(annunciator, record, now);
}

void wr_annunciator_forget(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_now *now) {
    struct wr_annunciated *record = wr_annunciated_find(annunciator, alarm);
    if (record)
        wr_annunciated_drop(annunciator, record, now);
}

/* -- timers ------------------------------------------------------------------------------------------------------------------------------ */

/* Looks at the next records anew, since causes have come or gone. False: out is full. */
static bool sweep(struct wr_annunciator *annunciator, const struct wr_now *now, uint32_t *steps, struct wr_alarm_out *out) {
    while (annunciator->sweep != WR_ANNUNCIATOR_NONE && *steps > 0) {
        if (annunciator->sweep >= annunciator->records.fresh) {
            annunciator->sweep = WR_ANNUNCIATOR_NONE;
            return true;
        }
        struct wr_annunciated *record = wr_annunciated_at(annunciator, annunciator->sweep);
        --*steps;
        if (record->alarm != WR_ANNUNCIATOR_NONE && !wr_annunciated_settle(annunciator, record, now, out))
            return false;
        annunciator->sweep++;
    }
    return true;
}

enum wr_result wr_annunciator_timers(struct wr_annunciator *annunciator, const struct wr_now *now, uint32_t max, struct wr_alarm_out *out,
                                     bool *ret_more) {
    uint32_t index;
    uint32_t steps = max < STEPS_MAX ? max : STEPS_MAX;
    *ret_more = true;
    while (steps > 0 && wr_timer_take(&annunciator->timers, now->boot_ns, &index)) {
        steps--;
        if (!wr_annunciated_settle(annunciator, wr_annunciated_at(annunciator, index), now, out))
            return WR_FULL;
    }
    while (steps > 0 && wr_timer_take(&annunciator->cause_timers, now->boot_ns, &index)) {
        steps--;
        wr_suppress_timer(annunciator, index, now);
    }
    if (!sweep(annunciator, now, &steps, out))
        return WR_FULL;
    while (steps > 0 && wr_timer_take(&annunciator->tuple_timers, now->boot_ns, &index)) {
        steps--;
        if (!wr_notice_timer(annunciator, index, now, out))
            return WR_FULL;
    }
    *ret_more = wr_annunciator_next_timer(annunciator) <= now->boot_ns;
    return WR_OK;
}

int64_t wr_annunciator_next_timer(const struct wr_annunciator *annunciator) {
    if (annunciator->sweep != WR_ANNUNCIATOR_NONE)
        return 0;
    int64_t next = wr_timer_next(&annunciator->timers);
    int64_t cause = wr_timer_next(&annunciator->cause_timers);
    int64_t tuple = wr_timer_next(&annunciator->tuple_timers);
    next = cause < next ? cause : next;
    return tuple < next ? tuple : next;
}
