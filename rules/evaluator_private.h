/* The evaluator's inside, shared by its files:
 *   evaluator.c           life, bands, queries           evaluator_step.c      one instance: condition, delays, state, message
 *   evaluator_attach.c    series meet rules: instances   evaluator_snapshot.c  restore, snapshots, commands
 *   evaluator_take.c      samples and timers             evaluator_migrate.c   reload
 *
 * Each series has a clock of its own, on which delays and windows are measured: event time, as the series' samples carry it. A sample that is
 * live (its stamp within WR_EVALUATOR_LIVE_NS of its arrival by the local wall clock, and the one before it too) moves the clock by boot
 * time instead: so a step of the wall clock moves no delay and no window. Between samples the clock goes on by boot time. Quiet samples do not
 * move it: while they are quiet nothing is measured on it, and the next sample that is taken makes up for them.
 *
 * Invariants (wr_evaluator_is_valid):
 *   V1  wr_alarm_state_is_valid(state, condition) of every instance; pending exactly while its on_delay runs on the way from normal
 *   V2  thresholds of a series are sorted; its band holds no threshold
 *   V3  a series is quiet (band not empty) only while it is good, not fresh and nobody wakes on it
 *   V4  an instance is queued exactly when its flag says so; between calls of the engine the queue is empty unless out was full
 */
#ifndef WEIR_RULES_EVALUATOR_PRIVATE_H
#define WEIR_RULES_EVALUATOR_PRIVATE_H

#include "rules/alarm_state.h"
#include "rules/compiled.h"
#include "rules/evaluator.h"
#include "rules/sliding.h"
#include "rules/timer.h"

#define WR_EVALUATOR_LIVE_NS INT64_C(100000000)
#define WR_EVALUATOR_TIME_MAX_NS INT64_C(4000000000000000000) /* 1843 to 2096: so that differences of times fit */
#define WR_INSTANCE_NONE UINT32_MAX

enum wr_delay { WR_DELAY_NONE, WR_DELAY_ON, WR_DELAY_OFF };

struct wr_instance {
    uint32_t rule;
    uint8_t state;        /* enum wr_alarm_state */
    uint8_t delay;        /* enum wr_delay: the one that runs */
    uint8_t operand;      /* the delay is measured on the clock of this operand's series */
    bool condition;       /* after delays */
    bool frozen;          /* the delay stands still: since_ns is what has passed of it */
    bool unknown;         /* the raw condition */
    bool no_data;         /* unknown for no_data_after: no_data applies */
    bool waking;          /* wants every sample of its series now */
    bool queued;
    uint32_t next;        /* in the queue */
    int64_t since_ns;     /* start of the delay, by the clock of its series */
    int64_t true_boot_ns; /* since when the condition has been true, by boot time: for {duration} */
    int64_t changed_wall_ns; /* when it came into its state, for people */
    int64_t made_boot_ns; /* stands for the last arrival of a series that has not come yet */
    uint64_t transition;
    uint64_t id;
    char *text; /* "room=A1,site=riga" */
    uint32_t series[WR_RULE_OPERANDS];
    struct wr_sliding *windows[WR_RULE_WINDOWS];
};
_Static_assert(sizeof(struct wr_instance) <= 256, "an instance takes at most 256 bytes");

struct wr_link {
    uint32_t instance;
    uint32_t operand;
};

struct wr_threshold {
    double at;
    uint32_t instance;
};

struct wr_series_state {
    const struct wr_point *point; /* or NULL */
    uint32_t n_links;
    uint32_t n_thresholds;
    uint32_t n_wakes;
    uint32_t n_windows;
    struct wr_link *links;
    struct wr_threshold *thresholds; /* sorted */
    uint32_t *wakes;                 /* instances that want every sample; room for n_links */
    struct wr_sliding **windows;
    bool met;      /* the clock runs */
    bool live;     /* the last sample was */
    bool good;     /* the last sample was good or uncertain */
    bool ever;     /* band value and arrival hold */
    bool fresh;    /* everybody looks at the next sample */
    bool has_prev;
    bool text;
    uint32_t symbol;
    double prev;
    int64_t clock_ns; /* at clock_boot_ns, where the sample stamped clock_event_ns came */
    int64_t clock_event_ns;
    int64_t clock_boot_ns;
    int64_t bad_boot_ns; /* last arrival of a bad sample */
};

/* What is being looked at: a sample, or a timer (series WR_SERIES_NONE, arrival 0). */
struct wr_trigger {
    uint32_t series;
    int64_t boot_ns;
    int64_t arrival_boot_ns;
    int64_t event_ns;
    struct wr_now now;
};

struct wr_evaluator {
    struct wr_ruleset *rules;
    const struct wr_series_table *table;
    const struct wr_symbol_table *symbols;
    uint32_t attached;
    uint32_t cap_series;
    struct wr_evaluator_band *bands;
    struct wr_series_state **series;
    uint32_t n_instances;
    uint32_t cap_instances;
    struct wr_instance *instances;
    uint32_t *buckets; /* instances by (rule, text): open addressing, a power of two */
    uint32_t n_buckets;
    uint32_t *per_rule; /* instances of each rule */
    struct wr_timer_heap timers;
    uint32_t queue_head;
    uint32_t queue_tail;
    struct wr_trigger at;
    uint32_t migrated_series;
    uint32_t migrated_instances;
    struct wr_evaluator_stats stats; /* the counters */
    size_t bytes;
};

static inline const struct wr_rule *wr_instance_rule(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    return evaluator->rules->rules[instance->rule];
}

/* Every change of state goes through here, so that active and unacked alarms are counted without a walk. */
static inline void wr_instance_set_state(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_state state) {
    const enum wr_alarm_state before = (enum wr_alarm_state)instance->state;
    evaluator->stats.active += (uint32_t)wr_alarm_state_is_active(state) - (uint32_t)wr_alarm_state_is_active(before);
    evaluator->stats.unacked += (uint32_t)wr_alarm_state_wants_ack(state) - (uint32_t)wr_alarm_state_wants_ack(before);
    instance->state = (uint8_t)state;
}

/* NULL: the operand's series has not come yet. */
static inline struct wr_series_state *wr_instance_series(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand) {
    return instance->series[operand] == WR_SERIES_NONE ? NULL : evaluator->series[instance->series[operand]];
}

/* evaluator.c */
void wr_evaluator_refresh_band(struct wr_evaluator *evaluator, uint32_t series);
uint32_t wr_evaluator_lower_bound(const struct wr_series_state *series, double value);
bool wr_evaluator_is_valid(const struct wr_evaluator *evaluator); /* for tests */

/* evaluator_attach.c */
WR_MUST_USE enum wr_result wr_evaluator_instance(struct wr_evaluator *evaluator, uint32_t rule, const char *text, int64_t boot_ns, uint32_t *ret_index);
uint32_t wr_evaluator_find(const struct wr_evaluator *evaluator, uint32_t rule, const char *text);
bool wr_evaluator_text_fits(const struct wr_rule *rule, const char *text);

/* evaluator_step.c */
int64_t wr_instance_elapsed(const struct wr_evaluator *evaluator, const struct wr_instance *instance, int64_t boot_ns);
/* Stops the delay's clock, keeps what has passed: before the clock of its series changes. */
void wr_instance_freeze(struct wr_evaluator *evaluator, struct wr_instance *instance, int64_t boot_ns);
/* Evaluates and does what follows; at most one entry, for which out has room. */
void wr_instance_step(struct wr_evaluator *evaluator, struct wr_instance *instance, struct wr_alarm_out *out);
/* Operator: false when the state does not take it. Room for one entry. */
bool wr_instance_command(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_event event, const char *by_whom,
                         struct wr_alarm_out *out);
/* Says which samples it wants and when its timer fires. */
void wr_instance_settle(struct wr_evaluator *evaluator, struct wr_instance *instance);
void wr_instance_fill(struct wr_evaluator *evaluator, const struct wr_instance *instance, enum wr_alarm_state from, enum wr_alarm_cause cause,
                      struct wr_alarm_entry *entry);
void wr_instance_encode(const struct wr_evaluator *evaluator, const struct wr_instance *instance, struct wr_alarm_entry *entry);

/* evaluator_take.c */
void wr_evaluator_enqueue(struct wr_evaluator *evaluator, uint32_t instance);
/* True: the queue is empty. */
bool wr_evaluator_run_queue(struct wr_evaluator *evaluator, struct wr_alarm_out *out);

#endif
