/* The evaluator's inside, shared by its files:
 *   evaluator.c           life, bands, queries           evaluator_step.c      one instance: condition, delays, what follows
 *   evaluator_instance.c  instances by their labels      evaluator_alarm.c     an alarm's state, its entries
 *   evaluator_signal.c    a signal takes a sample        evaluator_node.c      derived points, sets, sequences: what goes out to others
 *   evaluator_take.c      samples, timers, the queue     evaluator_snapshot.c  restore, snapshots
 *   evaluator_view.c      the values that a program sees evaluator_migrate.c   reload
 *   evaluator_attach.c    signals meet nodes             evaluator_memory.c    states of operators over a restart
 *   evaluator_room.c      what a signal holds
 *   evaluator_forget.c    instances that nobody speaks for evaluator_progress.c  how far nodes have come, over a restart
 *   evaluator_command.c   operators                     migration.c           a reload in its two parts
 *
 * A **signal** is what a node reads: a series, or what another node says for one tuple of labels. Its id is that of the series, or WR_SIGNAL_NODE and an index. An
 * **instance** is one node (rules/compile/compiled.h: an alarm, a derived point, a set, a sequence) for one tuple of `by`. A sample of a signal puts the instances that
 * it concerns into the queue, which runs by rank: so a node has seen everything it reads when it looks.
 *
 * Each signal has a clock of its own, on which delays and windows are measured: event time, as its samples carry it. A sample that is
 * live (its stamp within WR_EVALUATOR_LIVE_NS of its arrival by the local wall clock, and the one before it too) moves the clock by boot
 * time instead: so a step of the wall clock moves no delay and no window. Between samples the clock goes on by boot time. Quiet samples do not
 * move it: while they are quiet nothing is measured on it, and the next sample that is taken makes up for them. The clock of a node's signal goes with those of
 * the series it is computed from: it shows the newest of their stamps, and so old data needs no real time for it either.
 *
 * Invariants (wr_evaluator_is_valid):
 *   V1  wr_alarm_state_is_valid(state, condition) of every alarm; pending exactly while its on_delay runs on the way from normal
 *   V2  thresholds of a signal are sorted; its band holds no threshold
 *   V3  a series is quiet (band not empty) only while it is good, not fresh and nobody wakes on it
 *   V4  an instance is queued exactly when its flag says so; between calls of the engine the queue is empty unless out was full
 *   V5  a node reads only nodes of a lower rank
 */
#ifndef WEIR_RULES_EVALUATOR_EVALUATOR_PRIVATE_H
#define WEIR_RULES_EVALUATOR_EVALUATOR_PRIVATE_H

#include <stddef.h>

#include "rules/alarms/alarm_state.h"
#include "rules/alarms/annunciator.h"
#include "rules/alarms/command_log.h"
#include "rules/compile/compiled.h"
#include "rules/evaluator/evaluator.h"
#include "rules/evaluator/timer.h"

#define WR_EVALUATOR_LIVE_NS INT64_C(100000000)
#define WR_EVALUATOR_TIME_MAX_NS INT64_C(4000000000000000000) /* 1843 to 2096: so that differences of times fit */
#define WR_INSTANCE_NONE UINT32_MAX
#define WR_SIGNAL_NODE (UINT32_C(1) << 31) /* in the id of a signal: a node's output */
#define WR_SET_MEMBERS 1024
#define WR_RECALLED_BUCKETS 1024
#define WR_FORGET_NS (INT64_C(7) * 86400 * WR_NS_PER_S)
#define WR_FORGET_AGAIN_NS (INT64_C(3600) * WR_NS_PER_S) /* while somebody still reads it */

enum wr_delay { WR_DELAY_NONE, WR_DELAY_ON, WR_DELAY_OFF };

/* What only some instances have. */
struct wr_instance_more {
    uint32_t rows[WR_RULE_CELLS]; /* of tables, one a cell; WR_TABLE_NO_ROW: there is none */
    /* a set */
    uint32_t n_members;
    uint32_t cap_members;
    uint32_t *members; /* signals */
    /* a vector */
    struct wr_t2q *model;
    uint32_t seen; /* operands that have had a sample since the last vector, a bit each */
    double part;   /* what the model said of it; NaN: nothing yet */
    /* a sequence */
    uint32_t step;         /* so many steps are met */
    uint64_t begun_at;     /* the trigger at which it began last */
    int64_t step_since_ns; /* since the last of them, by the clock of the output */
    bool step_waits;       /* after a restart: step_since_ns is relative to the first sample that comes */
};

struct wr_instance {
    uint32_t rule;      /* the node: index in rules->rules; WR_INSTANCE_NONE: a free place */
    uint32_t output;    /* of a node that is no alarm: its signal, an index in outputs; WR_INSTANCE_NONE */
    uint8_t state;      /* enum wr_alarm_state */
    uint8_t delay;      /* enum wr_delay: the one that runs */
    uint8_t operand;    /* the delay is measured on the clock of this operand's signal */
    uint8_t level;      /* the present one, counted from 1; 0: none */
    bool condition : 1; /* after delays */
    bool frozen : 1;    /* the delay stands still: since_ns is what has passed of it */
    bool unknown : 1;   /* the raw condition */
    bool no_data : 1;   /* unknown for no_data_after: no_data applies */
    bool waking : 1;    /* wants every sample of its signals now */
    bool queued : 1;
    bool invalid : 1;        /* its valid_if is not true */
    bool historic : 1;       /* old data has moved it, or was kept from it: the next live sample looks again */
    bool told : 1;           /* the condition as it was told last, by a raise or an end on live data */
    bool kept : 1;           /* of a node: the store has a snapshot of it */
    uint32_t next;           /* in the queue; of a free place the next one */
    int64_t since_ns;        /* start of the delay, by the clock of its signal */
    int64_t true_boot_ns;    /* since when the condition has been true, by boot time: for {duration} */
    int64_t changed_wall_ns; /* when it came into its state, for people */
    int64_t made_boot_ns;    /* stands for the last arrival of a signal that has not come yet */
    uint64_t transition;
    uint64_t id;
    char *text;                    /* "room=A1,site=riga" */
    struct wr_instance_more *more; /* or NULL */
    uint32_t signals[WR_RULE_OPERANDS];
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

/* What stands before a saved state. */
struct wr_memory_head {
    uint16_t version;
    uint16_t waits; /* so many starts it has waited for its signal */
    uint32_t bytes;
    int64_t span_ns; /* of the window */
};

/* The state of an operator, shared by all instances that want the same of this signal. */
struct wr_signal_operator {
    struct wr_operator_spec spec;
    uint32_t users;
    unsigned char *before; /* the state before the last sample, for its correction: behind the state; NULL: its signal is of one series */
    bool begun;            /* before holds */
    _Alignas(8) struct wr_memory_head head; /* stands before the state when it is saved: rules/evaluator/evaluator_memory.c */
    _Alignas(8) unsigned char state[];
};

_Static_assert(offsetof(struct wr_signal_operator, state) == offsetof(struct wr_signal_operator, head) + sizeof(struct wr_memory_head),
               "the head stands right before the state");

/* Bytes of a state, and of a copy of it where samples are corrected: only for what counts samples. */
static inline size_t wr_operator_room(const struct wr_operator_spec *spec, bool joined) {
    const size_t bytes = (spec->bytes + (size_t)7) & ~(size_t)7;
    return joined && spec->every_sample ? 2 * bytes : bytes;
}

struct wr_signal {
    const struct wr_point *point; /* or NULL */
    uint32_t n_links;
    uint32_t n_node_links; /* the first so many links are those of nodes that are no alarms */
    uint32_t cap_links;    /* room: of links and wakes */
    uint32_t n_thresholds;
    uint32_t cap_thresholds;
    uint32_t n_wakes;
    uint32_t n_operators;
    struct wr_link *links;
    struct wr_threshold *thresholds; /* sorted */
    uint32_t *wakes;                 /* instances that want every sample */
    struct wr_signal_operator **operators;
    bool met;   /* the clock runs */
    bool live;  /* the last sample was */
    bool good;  /* the last sample was good or uncertain */
    bool ever;  /* band value and arrival hold */
    bool fresh; /* everybody looks at the next sample */
    bool has_prev;
    bool text;
    bool sample_known; /* the last sample has had a value */
    bool unlinked;     /* an instance that read it was forgotten: with the next sample it meets its rules anew */
    uint8_t quality;   /* of the last sample */
    uint32_t symbol;
    uint32_t owner;        /* of a node's output: its instance */
    uint32_t clock_source; /* of a node's output: the series that moved its clock last; clock_event_ns is then that series' clock */
    double prev;
    int64_t clock_ns; /* at clock_boot_ns, where the sample stamped clock_event_ns came */
    int64_t clock_event_ns;
    int64_t clock_boot_ns;
    int64_t bad_boot_ns;     /* last arrival of a bad sample */
    uint32_t sample_series;  /* of a node's output: the series whose sample began its last one; WR_SERIES_NONE: a timer */
    int64_t sample_event_ns; /* its stamp */
    int64_t sample_at_ns;    /* where it stands on the clock */
    int64_t offset_ns;       /* of a node's output: wall time minus boot time when its clock began */
    int64_t told_ns;         /* of a node with `emit`: its last sample, by its clock */
    uint64_t changed_at;     /* the trigger at which its value changed last */
    uint64_t sampled_at;     /* the trigger at which it had its last good sample */
};

/* What is being looked at: a sample, or a timer (signal WR_SERIES_NONE, arrival 0). */
struct wr_trigger {
    uint32_t series;
    bool historic; /* old data: drives no outputs */
    bool over;     /* before the sample is taken: what timers would have done up to it, which is no sample of anything */
    int64_t boot_ns;
    int64_t arrival_boot_ns;
    int64_t event_ns;
    int64_t clock_ns; /* of the series, at this sample */
    struct wr_now now;
};

/* An operand of a node. */
struct wr_node_reader {
    uint32_t rule;
    uint32_t operand;
};

struct wr_node_meaning {
    uint64_t meaning; /* hash of its canonical text */
    uint32_t node;
};

struct wr_evaluator {
    struct wr_ruleset *rules;
    const struct wr_series_table *table;
    const struct wr_symbol_table *symbols;
    uint32_t attached;
    uint32_t cap_series;
    struct wr_evaluator_band *bands;
    struct wr_signal **series;
    uint32_t n_outputs;
    uint32_t cap_outputs;
    struct wr_evaluator_band *output_bands;
    struct wr_signal **outputs;
    uint32_t n_instances;
    uint32_t cap_instances;
    struct wr_instance *instances;
    uint32_t free_instances; /* chained by next; WR_INSTANCE_NONE */
    int64_t free_outputs;    /* chained by the arrival in their band; WR_INSTANCE_NONE */
    uint64_t forgotten_transition;
    uint32_t *buckets; /* instances by (rule, text): open addressing, a power of two */
    uint32_t n_buckets;
    struct wr_schedule_answer *scheduled; /* of each schedule, until its next edge */
    uint32_t *per_rule;                   /* instances of each node */
    struct wr_node_reader *node_readers;  /* who reads the output of a node, by node: from node_first[node] to node_first[node + 1] */
    uint32_t *node_first;
    struct wr_timer_heap timers;
    struct {
        uint32_t head;
        uint32_t tail;
    } queues[WR_RULE_RANKS + 1];
    uint32_t n_queued;
    struct wr_recalled **recalled; /* states of operators from before a restart, by key; NULL: none wait */
    size_t recalled_bytes;
    uint32_t drop_bucket;             /* of recalled: the next to be looked at for what has waited too long */
    struct wr_node_meaning *meanings; /* sorted; NULL: no snapshot of a node has come */
    struct wr_trigger at;
    uint64_t trigger;                   /* counts them */
    struct wr_annunciator *annunciator; /* who is told: alarms by the index of their instance */
    struct wr_command_log commands;
    uint32_t *heirs; /* while migrating: the new node for each old one, or WR_NODE_NO */
    uint32_t migrated_series;
    uint32_t migrated_instances;
    uint32_t migrated_settled;
    struct wr_evaluator_stats stats; /* the counters */
    size_t bytes;
};

static inline const struct wr_rule *wr_instance_rule(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    return evaluator->rules->rules[instance->rule];
}

/* Every sample of the operand counts, not only one that crosses a limit. */
static inline bool wr_operand_is_opaque(const struct wr_rule *rule, uint32_t operand) {
    return rule->every_sample || rule->operands[operand].opaque;
}

static inline struct wr_signal *wr_signal_at(const struct wr_evaluator *evaluator, uint32_t id) {
    return id & WR_SIGNAL_NODE ? evaluator->outputs[id & ~WR_SIGNAL_NODE] : evaluator->series[id];
}

/* Its value and last good arrival; for a series also the band of quiet values. */
static inline struct wr_evaluator_band *wr_signal_band(const struct wr_evaluator *evaluator, uint32_t id) {
    return id & WR_SIGNAL_NODE ? &evaluator->output_bands[id & ~WR_SIGNAL_NODE] : &evaluator->bands[id];
}

/* Every change of state goes through here, so that active and unacked alarms are counted without a walk. */
static inline void wr_instance_set_state(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_state state) {
    const enum wr_alarm_state before = (enum wr_alarm_state)instance->state;
    evaluator->stats.active += (uint32_t)wr_alarm_state_is_active(state) - (uint32_t)wr_alarm_state_is_active(before);
    evaluator->stats.unacked += (uint32_t)wr_alarm_state_wants_ack(state) - (uint32_t)wr_alarm_state_wants_ack(before);
    instance->state = (uint8_t)state;
}

/* NULL: the operand's signal has not come yet. */
static inline struct wr_signal *wr_instance_signal(const struct wr_evaluator *evaluator, const struct wr_instance *instance,
                                                   uint32_t operand) {
    return instance->signals[operand] == WR_SERIES_NONE ? NULL : wr_signal_at(evaluator, instance->signals[operand]);
}

/* evaluator.c */
void wr_evaluator_refresh_band(struct wr_evaluator *evaluator, uint32_t signal);
uint32_t wr_evaluator_lower_bound(const struct wr_signal *signal, double value);
bool wr_evaluator_is_valid(const struct wr_evaluator *evaluator); /* for tests */
void wr_signal_free(struct wr_signal *signal);

/* evaluator_attach.c */
/* The output of a node: a signal with room for all that may read it. True for an alarm, which has none. */
bool wr_node_make_output(struct wr_evaluator *evaluator, struct wr_instance *instance);
/* Whoever reads the node gets its output. */
void wr_node_join_readers(struct wr_evaluator *evaluator, uint32_t index, int64_t boot_ns);
/* A series that was unlinked meets its rules again. */
void wr_evaluator_rejoin(struct wr_evaluator *evaluator, uint32_t id);
/* The same for a node's output. Moves instances. */
void wr_node_rejoin(struct wr_evaluator *evaluator, uint32_t index);
/* A new instance gets the outputs of nodes with fewer labels, as far as they exist. */
void wr_instance_join_wider(struct wr_evaluator *evaluator, uint32_t index, int64_t boot_ns);

/* evaluator_instance.c */
WR_MUST_USE enum wr_result wr_evaluator_instance(struct wr_evaluator *evaluator, uint32_t rule, const char *text, int64_t boot_ns,
                                                 uint32_t *ret_index);
uint32_t wr_evaluator_find(const struct wr_evaluator *evaluator, uint32_t rule, const char *text);
bool wr_evaluator_text_fits(const struct wr_rule *rule, const char *text);
/* Gives its place back. Nobody refers to it any more. */
void wr_instance_remove(struct wr_evaluator *evaluator, uint32_t index);
void wr_instance_more_free(struct wr_instance_more *more);

/* evaluator_forget.c */
/* Boot time from which on it may be forgotten, if nothing comes; WR_NEVER_NS. */
int64_t wr_instance_forget_at(const struct wr_evaluator *evaluator, const struct wr_instance *instance);
/* Room for one entry. */
void wr_instance_forget(struct wr_evaluator *evaluator, uint32_t index, struct wr_alarm_out *out);
/* An entry without a snapshot: what the store has of it goes. There is room in out. */
void wr_instance_put_gone(const struct wr_instance *instance, struct wr_alarm_out *out);

/* evaluator_signal.c */
/* Moves the clock of a series for a sample; returns the sample's time on it. */
int64_t wr_signal_move_clock(struct wr_evaluator *evaluator, struct wr_signal *signal, int64_t event_ns, int64_t arrival_ns,
                             const struct wr_now *now);
/* The clock of a signal at a boot time. */
int64_t wr_signal_clock(const struct wr_signal *signal, int64_t boot_ns);
/* Of a node's signal: where on its clock stands what is told now. A sample has moved the clock; that of a series which is behind the others stands at its stamp. */
int64_t wr_signal_now(const struct wr_evaluator *evaluator, const struct wr_signal *signal);
/* What is computed from several series has one sample a stamp: the series begins it that makes it known, or unknown; until that one comes again, what the
 * others say at the stamp corrects it. Unknown as before is no sample. True: the sample that is looked at corrects. Never so with a series, which has no
 * sample_series. */
bool wr_signal_is_corrected(const struct wr_evaluator *evaluator, const struct wr_signal *signal);
/* A delay that was over before this sample came is over, whatever the sample says: as if its timer had fired in between. */
void wr_signal_enqueue_over(struct wr_evaluator *evaluator, uint32_t id);
/* A sample at time at_ns of its clock: into operators and value, and whoever it concerns into the queue. arrival_ns: when what it tells arrived; of a value
 * that changed by time alone that is earlier than now. */
void wr_signal_take_good(struct wr_evaluator *evaluator, uint32_t id, double value, uint32_t symbol, int64_t at_ns, int64_t arrival_ns);
void wr_signal_take_bad(struct wr_evaluator *evaluator, uint32_t id, int64_t arrival_ns);

/* evaluator_room.c */
WR_MUST_USE struct wr_signal *wr_signal_new(struct wr_evaluator *evaluator, const struct wr_point *point);
/* The arrays of a signal, in one block: thresholds, links, wakes. Grows them to this many. */
bool wr_signal_reserve(struct wr_evaluator *evaluator, struct wr_signal *signal, uint32_t links, uint32_t thresholds);
/* The same where nobody knew how many would come: a node that serves many instances grows by doubling. */
bool wr_signal_grow(struct wr_evaluator *evaluator, struct wr_signal *signal, uint32_t links, uint32_t thresholds);
void wr_signal_sort(struct wr_signal *signal);
/* Puts the thresholds from here on into their places among the sorted ones before them. */
void wr_signal_insert(struct wr_signal *signal, uint32_t from);
/* The state of an operator on a signal, made if nobody asked for it before. Without memory the operator stays unknown. */
void wr_signal_want(struct wr_evaluator *evaluator, uint32_t id, struct wr_signal *signal, const struct wr_operator_spec *spec);

/* evaluator_take.c */
void wr_evaluator_enqueue(struct wr_evaluator *evaluator, uint32_t instance);
/* True: the queue is empty. */
bool wr_evaluator_run_queue(struct wr_evaluator *evaluator, struct wr_alarm_out *out);
/* From here on something else is looked at. The queue is empty. */
void wr_evaluator_set_trigger(struct wr_evaluator *evaluator, const struct wr_trigger *trigger);
/* The same for what no sample set off: a timer, a command. */
void wr_evaluator_set_now(struct wr_evaluator *evaluator, const struct wr_now *now);

/* evaluator_view.c: whose values a program sees, and how. */
struct wr_view {
    struct wr_evaluator *evaluator;
    const struct wr_instance *instance;
    const struct wr_rule *rule;
    uint32_t member; /* of a set: stands for operand 0; WR_SERIES_NONE */
    bool last;       /* for messages: the last good value stands for one that is missing */
};
struct wr_view wr_view_of(struct wr_evaluator *evaluator, const struct wr_instance *instance);
double wr_view_run(struct wr_view *view, const struct wr_program *program);
/* Boot time of the last good sample; of the instance's birth when there was none. */
/* The last sign of life: of a node, as long as its value is known, that of its inputs, which may move no limit and so not reach it: the oldest of them; of a set
 * the newest member. */
int64_t wr_signal_last_good(const struct wr_evaluator *evaluator, uint32_t id);
int64_t wr_view_last_good(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand);
/* The same for any sample. */
int64_t wr_view_last_arrival(const struct wr_evaluator *evaluator, const struct wr_instance *instance, uint32_t operand);
/* Silent for no_data_after: its last value does not count any more. */
bool wr_view_is_silent(const struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_rule *rule,
                       uint32_t operand);
/* A schedule at a wall time. */
static inline const struct wr_schedule_answer *wr_view_schedule(const struct wr_evaluator *evaluator, const struct wr_schedule *schedule,
                                                                int64_t wall_ns) {
    return wr_schedule_ask(schedule, wall_ns, &evaluator->scheduled[schedule->index]);
}
/* The boot time at which an operator, an hour or a schedule may change the answer without a sample; WR_NEVER_NS. */
int64_t wr_view_next_change(const struct wr_evaluator *evaluator, const struct wr_instance *instance);

/* evaluator_step.c */
int64_t wr_instance_elapsed(const struct wr_evaluator *evaluator, const struct wr_instance *instance, int64_t boot_ns);
/* Stops the delay's clock, keeps what has passed: before the clock of its signal changes. */
void wr_instance_freeze(struct wr_evaluator *evaluator, struct wr_instance *instance, int64_t boot_ns);
/* Evaluates and does what follows; at most one entry, for which out has room. */
void wr_instance_step(struct wr_evaluator *evaluator, struct wr_instance *instance, struct wr_alarm_out *out);
/* Says which samples it wants and when its timer fires. */
void wr_instance_settle(struct wr_evaluator *evaluator, struct wr_instance *instance);

/* evaluator_alarm.c */
/* Puts an event to the state machine; true when it made an entry, for which out has room. */
bool wr_instance_put_event(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_event event, const char *by_whom,
                           struct wr_alarm_out *out);
void wr_instance_emit(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_state from, enum wr_alarm_cause cause,
                      const char *by_whom, struct wr_alarm_out *out);
/* Operator: false when the state does not take it. Room for one entry. */
bool wr_instance_command(struct wr_evaluator *evaluator, struct wr_instance *instance, enum wr_alarm_event event, const char *by_whom,
                         struct wr_alarm_out *out);
void wr_instance_fill(struct wr_evaluator *evaluator, const struct wr_instance *instance, enum wr_alarm_state from,
                      enum wr_alarm_cause cause, struct wr_alarm_entry *entry);

/* A number of a comparison in the unit in which it is told. */
double wr_leaf_told(const struct wr_leaf *leaf, double value);

/* What the annunciator sees of an alarm, and its entries (rules/alarms/annunciator.h). */
void wr_instance_look(void *evaluator, uint32_t index, struct wr_annunciator_view *ret_view);
void wr_instance_tell(void *evaluator, uint32_t index, enum wr_alarm_cause cause, const struct wr_now *now, struct wr_alarm_entry *entry);

/* evaluator_node.c */
/* Evaluates what is no alarm: its value, before delays. */
double wr_node_value(struct wr_view *view);
/* Gives a value to those who read it; NaN: unknown. */
void wr_node_tell(struct wr_evaluator *evaluator, struct wr_instance *instance, double value);
/* The time by which a sequence measures its steps: the clock of its output, which goes with all that it reads. */
int64_t wr_node_step_clock(const struct wr_evaluator *evaluator, const struct wr_instance *instance);
/* A sequence whose step's time was over before this sample. */
bool wr_node_is_over(const struct wr_evaluator *evaluator, const struct wr_instance *instance);
/* When a sequence's time is over, or a held-back sample goes out; WR_NEVER_NS. */
int64_t wr_node_next_change(const struct wr_evaluator *evaluator, const struct wr_instance *instance);

/* evaluator_memory.c */
/* A new operator of a signal: goes on with the state that was saved for it, if there is one. */
void wr_evaluator_remember(struct wr_evaluator *evaluator, uint32_t id, struct wr_signal_operator *op);
void wr_evaluator_forget_recalled(struct wr_evaluator *evaluator);

/* evaluator_progress.c */
/* How far a node has come, for a snapshot; false: there is nothing to tell. */
bool wr_node_encode(struct wr_evaluator *evaluator, struct wr_instance *instance, struct wr_alarm_entry *ret_entry);
bool wr_node_is_snapshot(const struct wr_alarm_entry *entry);
WR_MUST_USE enum wr_result wr_node_restore(struct wr_evaluator *evaluator, const struct wr_alarm_entry *entry, const struct wr_now *now);

/* evaluator_snapshot.c */
void wr_instance_encode(const struct wr_evaluator *evaluator, const struct wr_instance *instance, struct wr_alarm_entry *entry);

#endif
