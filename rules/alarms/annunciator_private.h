/* The annunciator's inside, shared by its files:
 *   annunciator.c           life, records, transitions      annunciator_settle.c    silences that end, what is owed
 *   annunciator_order.c     operators                       annunciator_suppress.c  causes
 *   annunciator_group.c     groups and floods               annunciator_notice.c    what a group says
 *   annunciator_snapshot.c  restart and reload              annunciator_figures.c   counts
 *
 * Invariants (wr_annunciator_is_valid):
 *   A1  a record stands at the place that its alarm's index says
 *   A2  the silent bits of shelved and out of service agree with the notes; grouped is never set on high or critical
 *   A3  active and unacked of a tuple are the numbers of records that name it, and of those that want an acknowledgement
 *   A4  active of a cause is the number of records whose condition holds it up
 *   A5  a record, a group and a cause with something to do have a timer that is not too late
 *   A6  n_notes is the number of notes in records
 *   A7  grouped is only what is in a tuple
 */
#ifndef WEIR_RULES_ALARMS_ANNUNCIATOR_PRIVATE_H
#define WEIR_RULES_ALARMS_ANNUNCIATOR_PRIVATE_H

#include <stdlib.h>

#include "rules/alarms/alarm_state.h"
#include "rules/alarms/annunciator.h"
#include "rules/compile/compiled.h"
#include "rules/engine/slab.h"
#include "rules/evaluator/evaluator.h"
#include "rules/evaluator/timer.h"

#define WR_ANNUNCIATOR_NONE UINT32_MAX
#define WR_ANNUNCIATOR_REST_NS (60 * WR_NS_PER_S)               /* a record with nothing in it is kept so long */
#define WR_ANNUNCIATOR_TIME_MAX_NS INT64_C(4000000000000000000) /* so that differences of times fit */
#define WR_CAUSE_BUCKETS 256
#define WR_CAUSE_BYTES 512
#define WR_SILENT_HARD (WR_ALARM_SILENT_SHELVED | WR_ALARM_SILENT_SUPPRESSED | WR_ALARM_SILENT_INVALID | WR_ALARM_SILENT_OUT_OF_SERVICE)

/* What an operator said. */
struct wr_note {
    int64_t since_wall_ns;
    int64_t until_wall_ns; /* 0: none */
    char by_whom[64];
    char why[WR_ALARM_WHY_BYTES];
};

struct wr_annunciated {
    uint32_t free;  /* the slab's, while the place is free */
    uint32_t alarm; /* WR_ANNUNCIATOR_NONE: a free place */
    uint32_t rule;
    uint32_t tuple; /* of its group; WR_ANNUNCIATOR_NONE: it is in none */
    uint8_t state;
    uint8_t severity;
    uint8_t silent;           /* in force now */
    uint8_t chatter_severity; /* the highest since it chatters: a higher one is told */
    bool invalid;             /* what the evaluator said last of valid_if; the bit follows with an entry */
    bool heard;               /* who listens believes it to be active */
    bool ring;                /* is told again, since a silence ended */
    bool causing;             /* its condition is counted in causes */
    bool raised_since;        /* since the back-off began */
    bool may_tell;            /* the back-off is over: the next raise is told */
    int64_t shelved_until_boot_ns;
    int64_t raised_boot_ns[WR_CHATTER_RAISES - 1]; /* the last raises, the newest first; WR_NEVER_NS: none */
    int64_t chatter_until_boot_ns;                 /* 0: does not chatter */
    int64_t backoff_ns;
    int64_t re_alarm_boot_ns; /* WR_NEVER_NS: does not ring again */
    int64_t active_boot_ns;   /* since when its condition has been true */
    int64_t unacked_boot_ns;  /* since when somebody has to acknowledge it */
    int64_t touched_boot_ns;
    uint64_t key; /* of the last operator's command */
    struct wr_note *shelved;
    struct wr_note *out_of_service;
};

/* An instance of a cause, by the values of the labels that must be equal. */
struct wr_cause {
    uint32_t suppress; /* index in the rule set */
    uint32_t active;
    uint32_t next; /* in its bucket */
    uint32_t hash;
    int64_t until_boot_ns; /* lingers so long after the last one was gone */
    char *values;          /* NULL: a free place */
};

/* The alarms of one group with the same values of its labels. */
struct wr_tuple {
    bool in_use;
    uint32_t index;
    uint32_t group;   /* WR_ANNUNCIATOR_NONE: a reload took it away, to be closed */
    uint32_t hash;    /* of name and labels */
    uint32_t active;  /* alarms in it that are not normal */
    uint32_t unacked; /* of them */
    uint32_t fresh;   /* raises and escalations since the last notice */
    uint32_t raises;  /* since it was normal */
    uint8_t told;     /* enum wr_alarm_state in the last notice */
    uint8_t severity; /* the highest since it was normal */
    bool flood;
    bool flood_told;
    uint32_t n_stamps;
    uint32_t stamp;       /* the next place in stamps */
    int64_t *stamps;      /* boot times of the last flood_start raises; NULL: no flood_start */
    int64_t due_boot_ns;  /* when what is fresh may be told */
    int64_t last_boot_ns; /* of the last notice */
    int64_t idle_boot_ns; /* since when nothing is in it */
    int64_t first_wall_ns;
    uint64_t transition;
    char first[128]; /* first out: `rule{room=A1}` */
    char names[160]; /* those that came since the last notice, as many as fit */
    char name[WR_ALARM_NAME_BYTES];
    char labels[WR_ALARM_INSTANCE_BYTES];
};

struct wr_annunciator {
    const struct wr_ruleset *rules;
    struct wr_annunciator_host host;
    uint32_t *record_of; /* by alarm; WR_ANNUNCIATOR_NONE */
    uint32_t cap_alarms;
    struct wr_slab records;
    struct wr_timer_heap timers; /* by record */
    struct wr_slab causes;
    struct wr_timer_heap cause_timers;
    uint32_t *buckets; /* causes by hash; NULL without suppress */
    uint32_t sweep;    /* the next record to look at; WR_ANNUNCIATOR_NONE: no sweep is under way */
    struct wr_tuple **tuples;
    uint32_t n_tuples;
    uint32_t cap_tuples;
    struct wr_timer_heap tuple_timers;
    struct wr_alarm_kpi *kpi;
    uint32_t n_notes;
    uint64_t refused;
};

static inline struct wr_annunciated *wr_annunciated_at(const struct wr_annunciator *annunciator, uint32_t index) {
    return (struct wr_annunciated *)annunciator->records.chunks[index >> WR_SLAB_SHIFT] + (index & (WR_SLAB_CHUNK - 1));
}
static inline struct wr_cause *wr_cause_at(const struct wr_annunciator *annunciator, uint32_t index) {
    return (struct wr_cause *)annunciator->causes.chunks[index >> WR_SLAB_SHIFT] + (index & (WR_SLAB_CHUNK - 1));
}
/* The condition of an alarm in this state is true. */
static inline bool wr_annunciated_condition(uint8_t state) {
    return state == WR_ALARM_UNACK || state == WR_ALARM_ACKED;
}
/* Another note, or none, in a record's place. */
static inline void wr_note_put(struct wr_annunciator *annunciator, struct wr_note **place, struct wr_note *note) {
    annunciator->n_notes += (uint32_t)(note != NULL) - (uint32_t)(*place != NULL);
    free(*place);
    *place = note;
}
static inline bool wr_alarm_out_has_room(const struct wr_alarm_out *out) {
    return out->n < out->cap;
}

/* annunciator.c */
/* NULL: there is none. */
struct wr_annunciated *wr_annunciated_find(const struct wr_annunciator *annunciator, uint32_t alarm);
/* Makes it from what the host says; NULL: no memory, or too many. */
struct wr_annunciated *wr_annunciated_make(struct wr_annunciator *annunciator, uint32_t alarm, const struct wr_now *now);
/* When there is something to do; WR_NEVER_NS: nothing is. */
int64_t wr_annunciated_due(const struct wr_annunciated *record, int64_t now_boot_ns);
/* Arms the timer of the next thing to do. */
void wr_annunciated_arm(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_now *now);
void wr_annunciated_arm_at(struct wr_annunciator *annunciator, const struct wr_annunciated *record, int64_t due_boot_ns);
/* Nothing in it that matters, and when something did last. */
bool wr_annunciated_is_idle(const struct wr_annunciated *record);
int64_t wr_annunciated_last(const struct wr_annunciated *record);
/* Follows its state: causes, groups, since when. */
void wr_annunciated_follow(struct wr_annunciator *annunciator, struct wr_annunciated *record, uint8_t state, const char *labels,
                           const struct wr_now *now);
/* A silence is over. Where others than the alarm's own behaviour had set it, whoever has not acknowledged hears it again; and what nothing silences any
 * more is in its group again. */
void wr_annunciated_end_silence(struct wr_annunciator *annunciator, struct wr_annunciated *record, uint8_t bit, const char *labels,
                                const struct wr_now *now);
/* What was told, or not: who listens believes it, and the figures count it. */
void wr_annunciated_told(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_alarm *alarm,
                         const struct wr_now *now);
/* An entry of the annunciator's own, with the bits that are in force but for `without`. */
void wr_annunciated_tell(struct wr_annunciator *annunciator, struct wr_annunciated *record, enum wr_alarm_cause cause, uint8_t without,
                         const struct wr_note *note, const struct wr_now *now, struct wr_alarm_entry *entry);
void wr_annunciated_drop(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_now *now);

/* annunciator_settle.c: does what is due; false: out was full. */
bool wr_annunciated_settle(struct wr_annunciator *annunciator, struct wr_annunciated *record, const struct wr_now *now,
                           struct wr_alarm_out *out);
/* A raise, for chattering. True: it is told although it chatters. */
bool wr_annunciated_raised(struct wr_annunciated *record, enum wr_alarm_cause cause, const struct wr_now *now);

/* annunciator_suppress.c */
WR_MUST_USE enum wr_result wr_suppress_init(struct wr_annunciator *annunciator);
void wr_suppress_fini(struct wr_annunciator *annunciator);
/* The alarm's condition begins or ends to explain others. */
void wr_suppress_cause(struct wr_annunciator *annunciator, struct wr_annunciated *record, const char *labels, bool holds,
                       const struct wr_now *now);
/* The rule of the cause that suppresses it; NULL: none does. */
const struct wr_rule *wr_suppress_look(const struct wr_annunciator *annunciator, const struct wr_annunciated *record, const char *labels,
                                       const struct wr_now *now);
/* A linger that is over. */
void wr_suppress_timer(struct wr_annunciator *annunciator, uint32_t cause, const struct wr_now *now);
/* A4, unless memory was short once. */
bool wr_suppress_is_valid(const struct wr_annunciator *annunciator);
void wr_suppress_take_over(struct wr_annunciator *annunciator, const struct wr_annunciator *old, const struct wr_now *now);

/* annunciator_group.c */
void wr_group_fini(struct wr_annunciator *annunciator);
/* A raise (or with new_raise false an escalation) that would be told: joins its group. True: the group speaks for it. */
bool wr_group_raise(struct wr_annunciator *annunciator, struct wr_annunciated *record, const char *labels, bool new_raise,
                    const struct wr_now *now);
/* The same without news: after a restart or a reload. */
void wr_group_join(struct wr_annunciator *annunciator, struct wr_annunciated *record, const char *labels, const struct wr_now *now);
/* Its state or silence has changed: leaves, if it does not belong there any more. `wanted_ack` is what the tuple has counted. */
void wr_group_follow(struct wr_annunciator *annunciator, struct wr_annunciated *record, bool wanted_ack, const struct wr_now *now);
/* Makes the tuple if there is none. NULL: too many, or no memory. */
struct wr_tuple *wr_group_tuple(struct wr_annunciator *annunciator, const char *name, const char *labels, const struct wr_now *now);
/* The group of a name; WR_ANNUNCIATOR_NONE. */
uint32_t wr_group_find(const struct wr_ruleset *rules, const char *name);

/* annunciator_snapshot.c */
void wr_group_encode(const struct wr_tuple *tuple, struct wr_alarm_entry *entry);

/* annunciator_notice.c */
/* When the tuple has something to say, or its place becomes free; and what is due. False: out was full. */
int64_t wr_notice_due(const struct wr_annunciator *annunciator, const struct wr_tuple *tuple);
bool wr_notice_timer(struct wr_annunciator *annunciator, uint32_t tuple, const struct wr_now *now, struct wr_alarm_out *out);

#endif
