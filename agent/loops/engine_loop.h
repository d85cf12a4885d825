/* The engine's thread: the thin loop around wr_engine_take and wr_engine_timers.
 *
 * It waits for batches, the next timer, or a request; it never waits for the store: without a free handover windows stay open. It waits for
 * the actions only when their channel is full, so that no raise is ever lost; sources are held back meanwhile. A full journal channel holds
 * up nothing: the transition goes unjournalled, is counted, and the alarms' states are written again once there is room.
 *
 * The thread does nothing but receive (which waits) and turn (which does not), so that a simulation can take the turns in its place.
 *
 * Threads: start and stop from the agent's main thread; requests from any thread. Everything below `engine` belongs to the engine's thread, or to
 * whoever takes the turns.
 */
#ifndef WEIR_AGENT_LOOPS_ENGINE_LOOP_H
#define WEIR_AGENT_LOOPS_ENGINE_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "agent/loops/engine_figures.h"
#include "agent/loops/engine_shadow.h"
#include "agent/loops/request.h"
#include "agent/sources/intake_counters.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/handover.h"
#include "rules/engine/engine.h"

#define WR_ENGINE_INPUTS_MAX 64
#define WR_ENGINE_ALARM_ROOM 64
#define WR_ENGINE_TIMER_SLICE 256
#define WR_ENGINE_HANDOVER_AGE_NS (100 * WR_NS_PER_MS) /* a part-filled handover goes to the store after this */
#define WR_ENGINE_COUNTS_AGE_NS (1 * WR_NS_PER_S)      /* counts without aggregates: bounds what a crash leaves unbooked */
#define WR_ENGINE_SNAPSHOT_AGE_NS (60 * WR_NS_PER_S)   /* the states of all alarms are journalled this often */
#define WR_ENGINE_SNAPSHOT_SLICE 16
#define WR_ENGINE_SNAPSHOT_PAUSE_NS (5 * WR_NS_PER_MS) /* between two slices of an idle engine */
#define WR_ENGINE_KEPT_AGE_NS (60 * WR_NS_PER_S)       /* kept readings that do not fill a segment go to the store after this */
#define WR_ENGINE_SHOW_AGE_NS (20 * WR_NS_PER_MS)      /* the numbers for others are this fresh */

/* What a source is to the engine, in the slot whose number stands in its batches. A channel that is closed and drained has ended. */
struct wr_engine_input {
    struct wr_channel *batches; /* struct wr_batch *; NULL: nobody is in this slot */
    const struct wr_intake_counters *counters;
    uint32_t intake_account;
    bool ended;
};

/* Why windows that open are to be longer. */
#define WR_STORE_PRESSURE_ROOM 1   /* the outbox is above its high-water mark */
#define WR_STORE_PRESSURE_WRITES 2 /* the write budget grows tight */

/* engine -> store */
struct wr_store_message {
    struct wr_handover *handover; /* or NULL */
    struct wr_request *request;   /* or NULL: passed on by the engine, to be finished by the store */
    struct wr_kept *kept;         /* or NULL */
};

/* What a wait brought: one of these, or nothing. It is the turn's from then on. */
struct wr_engine_received {
    struct wr_request *request;
    struct wr_batch *batch;       /* of slot `input` */
    struct wr_handover *handover; /* back from the store */
    uint32_t input;
    bool ended; /* the channel of slot `input` is closed and drained */
};

enum wr_engine_phase {
    WR_ENGINE_RUNS,
    WR_ENGINE_SNAPSHOTS, /* every input has ended: the states of all alarms go to the journal */
    WR_ENGINE_FLUSHES,   /* then everything open to the store */
    WR_ENGINE_ENDED,     /* there is nothing left, or nobody takes it: no more turns */
};

struct wr_engine_stats_shown {
    _Atomic uint64_t turned_boot_ns; /* last turn of the loop: it turns at least once a second */
    _Atomic uint64_t taken;
    _Atomic uint64_t clamped;
    _Atomic uint64_t moved;
    _Atomic uint64_t historic;
    _Atomic uint64_t skewed;        /* streams now */
    _Atomic uint64_t skewed_series; /* the last that was found to be, and by how much it is behind (int64_t) */
    _Atomic int64_t skew_ns;
    _Atomic uint64_t late;
    _Atomic uint64_t bad;
    _Atomic uint64_t aggregates;
    _Atomic uint64_t widened;
    _Atomic uint64_t unkept;
    _Atomic uint64_t open_windows;
    _Atomic uint64_t alarms_active;
    _Atomic uint64_t alarms_unacked;
    _Atomic uint64_t instances;
    _Atomic uint64_t instances_refused;
    _Atomic uint64_t transitions;
    _Atomic uint64_t unjournalled; /* transitions that the journal had no room for */
    _Atomic uint64_t engine_bytes;
};

struct wr_engine_loop {
    /* Set by the agent before the start. */
    const struct wr_clock *clock;
    struct wr_engine *engine;
    struct wr_engine_input inputs[WR_ENGINE_INPUTS_MAX];
    uint32_t n_inputs;                    /* slots in use, with gaps */
    struct wr_channel *to_store;          /* struct wr_store_message */
    struct wr_channel *to_actions;        /* struct wr_alarm_entry */
    struct wr_channel *to_journal;        /* struct wr_alarm_entry */
    const _Atomic uint64_t *high_water;   /* WR_STORE_PRESSURE_*: while it is not 0, windows that open are longer; NULL: they never are */
    const _Atomic uint64_t *fresh_stores; /* when it goes up, the states of all alarms are written again; NULL: it never does */

    /* Made by init. */
    struct wr_channel *requests; /* struct wr_request * */
    struct wr_handover_pool handovers;
    struct wr_kept_pool kept_pool;
    struct wr_engine_stats_shown shown;

    /* Counts of engines and sources that a reload has ended, per account: counts that the store gets never go back. NULL: none yet. */
    uint64_t (*base)[WR_BOOKS];
    uint32_t n_base;
    _Atomic bool no_more; /* no input will come in addition to those that are there */

    /* The thread's own. */
    struct wr_handover *handover; /* being filled, or NULL */
    int64_t handover_since_boot_ns;
    int64_t counts_due_boot_ns;
    uint64_t counted_taken; /* readings at the last handover */
    struct wr_kept *kept;   /* being filled, or NULL */
    uint64_t unkept_before; /* of engines that a reload has ended, and what was in hand and nobody took */
    struct wr_alarm_entry alarm_room[WR_ENGINE_ALARM_ROOM];
    struct wr_engine_out out;
    struct wr_batch *waiting[WR_ENGINE_INPUTS_MAX]; /* taken from the channel, not yet (wholly) taken by the engine: oldest of a list */
    uint32_t waiting_from[WR_ENGINE_INPUTS_MAX];
    size_t turn;
    int64_t show_due_boot_ns;
    uint64_t fresh_stores_seen;
    bool resnapshot;         /* the journal was full: write all states again */
    bool journal_behind;     /* until that is done */
    uint64_t journal_missed; /* entries that found no room */
    bool snapshotting;
    uint32_t snapshot_cursor;
    int64_t snapshot_due_boot_ns;
    uint64_t journal_number; /* of the last entry sent to the journal */
    bool widens;             /* under the pressure of the outbox */
    struct wr_engine_figures figures;
    struct wr_engine_shadow shadow;
    bool clear; /* the last turn left nothing in hand: a batch may be taken */
    enum wr_engine_phase phase;
    int64_t end_due_boot_ns; /* until then the journal is waited for at the end */
    bool flushed;
    pthread_t thread;
};

WR_MUST_USE enum wr_result wr_engine_loop_init(struct wr_engine_loop *loop, uint32_t handovers, uint32_t max_counts, struct wr_error *err);
WR_MUST_USE enum wr_result wr_engine_loop_start(struct wr_engine_loop *loop, struct wr_error *err);

/* Puts a source into its slot, or (batches NULL) takes it out. Before the start, or in a request that runs on the engine's thread. */
void wr_engine_loop_set_input(struct wr_engine_loop *loop, uint32_t slot, struct wr_channel *batches,
                              const struct wr_intake_counters *counters, uint32_t intake_account);
/* The stop begins: when all inputs have ended, the thread flushes and ends. */
void wr_engine_loop_no_more_inputs(struct wr_engine_loop *loop);

/* Returns when every input has ended, the windows are flushed to the store and the thread is joined. WR_TIMEOUT: the store did not take
 * everything by the deadline; what is left stays open and is booked at the next start as lost. */
WR_MUST_USE enum wr_result wr_engine_loop_join(struct wr_engine_loop *loop, int64_t deadline_boot_ns);
void wr_engine_loop_fini(struct wr_engine_loop *loop);

/* The two halves of the thread. receive waits until the deadline for the one thing that the next turn shall take; a deadline that has passed: it tries.
 * turn takes it and does what is due, without waiting; it returns when it wants to run again though nothing is received (0: at once). The first
 * turn has received nothing. After the turn that makes phase WR_ENGINE_ENDED there is none. */
void wr_engine_loop_receive(struct wr_engine_loop *loop, int64_t deadline_boot_ns, struct wr_engine_received *ret_received);
WR_MUST_USE int64_t wr_engine_loop_turn(struct wr_engine_loop *loop, const struct wr_now *now, const struct wr_engine_received *received);

/* For requests that run on the engine's thread: hands what is filled to the store, now. False: no room. */
bool wr_engine_loop_handover(struct wr_engine_loop *loop);
/* For requests: sends transitions that a command made. */
void wr_engine_loop_drain_alarms(struct wr_engine_loop *loop);
/* For a reload: how many entries the actions have got, or will get, of all that was made up to now. */
uint64_t wr_engine_loop_told_actions(const struct wr_engine_loop *loop);
/* For a reload, on the engine's thread: flushes the present engine to the store, keeps its counts, and goes on with another one. WR_TIMEOUT:
 * the store did not take everything by the deadline; the present engine goes on. The old engine is the caller's to free. */
WR_MUST_USE enum wr_result wr_engine_loop_exchange(struct wr_engine_loop *loop, struct wr_engine *engine, uint32_t n_accounts,
                                                   uint32_t max_counts, int64_t deadline_boot_ns, struct wr_error *err);
/* The same where sources and windows stay: other rules for the present engine. Returns the old ones, which are the caller's. */
struct wr_evaluator *wr_engine_loop_exchange_rules(struct wr_engine_loop *loop, struct wr_evaluator *evaluator);
/* On the engine's thread: readings that are in channels and in hand, by slot. Takes them out of the channels to count them; they are worked off
 * before anything newer. */
void wr_engine_loop_count_in_channel(struct wr_engine_loop *loop, uint64_t *in_channel);

#endif
