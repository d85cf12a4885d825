/* The store's thread: the thin loop around store/. It owns the SQLite connection.
 *
 * In order of precedence: the journal of alarms, the uplink's requests, handovers, requests. A disk that refuses is tried again every
 * second; meanwhile handovers wait in their channel, the engine's windows stay open, and alarms go on. Nothing that the uplink asked for is
 * forgotten meanwhile: it would wait for the answer for ever. When a broken store is replaced while it runs, the uplink is told READY with
 * the new epoch, and fresh_stores asks the engine for the states of all alarms. What cannot be opened is tried again: store_opening.h.
 *
 * The thread does nothing but receive (which waits) and turn (which does not, but for the disk), so that a simulation can take the turns in its place.
 *
 * Threads: start, stop and restored alarms from the main thread; requests from any. Ownership: the channels are made by init and freed by fini.
 */
#ifndef WEIR_AGENT_LOOPS_STORE_LOOP_H
#define WEIR_AGENT_LOOPS_STORE_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "agent/loops/accounts.h"
#include "agent/loops/engine_loop.h"
#include "agent/loops/request.h"
#include "core/channel.h"
#include "core/series.h"
#include "core/symbol.h"
#include "store/raw_log.h"
#include "store/store.h"
#include "transport/uplink_messages.h"

#define WR_STORE_JOURNAL_CAPACITY 1024
#define WR_STORE_JOURNAL_BATCH 32
#define WR_STORE_RETRY_NS (1 * WR_NS_PER_S)

enum wr_store_state {
    WR_STORE_OPENING,
    WR_STORE_OPEN,
    WR_STORE_GONE,    /* its disk does not answer: it is closed, and opened again when it can be; what comes waits */
    WR_STORE_WITHOUT, /* its database cannot be opened now; it is tried again: store_opening.h */
    WR_STORE_FAILED,  /* there is no store at all: no memory for it */
};

enum wr_store_phase {
    WR_STORE_BEGINS,
    WR_STORE_RUNS,
    WR_STORE_STOPS, /* no more requests: what lies in the other channels is taken */
    WR_STORE_ENDED, /* closed, or never opened: no more turns */
};

/* What a wait brought. Entries of the journal and what the uplink asks are received into the loop: large, or kept there anyhow. */
enum wr_store_source { WR_STORE_NOTHING, WR_STORE_JOURNAL, WR_STORE_UPLINK, WR_STORE_ENGINE, WR_STORE_REQUEST };
struct wr_store_received {
    enum wr_store_source from;
    bool closed; /* instead of an element */
    struct wr_store_message message;
    struct wr_request *request;
};

/* The steps of the ladder of backpressure that the store takes part in; each goes on with those before it. */
enum wr_ladder_step {
    WR_LADDER_NONE,   /* what waits has room, or only what was acknowledged goes */
    WR_LADDER_WIDENS, /* above the high-water mark: the engine's windows are longer */
    WR_LADDER_MERGES, /* the oldest windows that wait are merged */
    WR_LADDER_EVICTS, /* the oldest that waits is lost */
};
const char *wr_ladder_step_name(enum wr_ladder_step step);

struct wr_store_loop {
    /* Set by the agent before the start. */
    const struct wr_clock *clock;
    const char *path;
    struct wr_store_options options;
    const struct wr_symbol_table *symbols;
    const struct wr_series_table *series; /* of kept raw readings; NULL: none are kept */
    uint64_t raw_budget_bytes;            /* for them */
    _Atomic int64_t keep_ns;              /* how long; 0: not at all. A reload may change it */
    const struct wr_accounts *accounts;   /* read at the start; later by request */

    /* Made by init. */
    struct wr_channel *from_engine; /* struct wr_store_message */
    struct wr_channel *journal;     /* struct wr_alarm_entry */
    struct wr_channel *requests;    /* struct wr_request * */
    struct wr_channel *from_uplink; /* struct wr_uplink_request */
    struct wr_channel *to_uplink;   /* struct wr_uplink_reply */
    struct wr_channel *opened;      /* closed after the first attempt to open */

    /* For other threads. */
    _Atomic int state;             /* enum wr_store_state */
    _Atomic uint64_t journalled;   /* number of the last journal entry on disk */
    _Atomic uint64_t high_water;   /* WR_STORE_PRESSURE_*: why windows that open are to be longer; 0: they are not, or there is no store */
    _Atomic uint64_t ladder;       /* enum wr_ladder_step */
    _Atomic uint64_t fresh_stores; /* times that the running store was replaced: snapshots have to be put again */
    struct wr_store_report report; /* once the state is WR_STORE_OPEN */
    struct wr_error open_error;    /* of the first attempt, once `opened` is closed */
    pthread_mutex_t trouble_lock;
    char trouble[512];               /* why there is none now */
    _Atomic uint64_t open_failures;  /* attempts */
    struct wr_alarm_entry *restored; /* snapshots found at opening, for the engine; the main thread frees them */
    uint32_t n_restored;
    struct wr_buf memories;                   /* states of windows found at opening: agent/loops/memories.h */
    const struct wr_store_stats *stats;       /* once it is open or without */
    const struct wr_raw_log_stats *raw_stats; /* from init on; NULL without series */

    /* The thread's own. */
    struct wr_store *store;
    struct wr_raw_log *raw;
    int64_t raw_due_boot_ns; /* the next look at their age */
    bool raw_refuses;
    uint64_t raw_dropped;         /* as told in the log */
    struct wr_handover *handover; /* partly taken */
    uint32_t handover_from;
    struct wr_alarm_entry alarms[WR_STORE_JOURNAL_BATCH];
    uint32_t n_alarms;
    uint32_t alarms_from;
    struct wr_uplink_request asked; /* of the uplink, refused by the disk for now */
    bool asked_waits;
    int64_t offer_waits[WR_LANES]; /* watermarks that could not be committed yet; 0: none */
    uint64_t epoch;                /* of the store that the uplink knows */
    int64_t told[WR_LANES];        /* the newest seq that the uplink was told of */
    int64_t retry_boot_ns;         /* after a refusal of the disk: nothing is taken before */
    uint64_t refusals;
    uint64_t commits_logged;
    uint64_t write_level;     /* as the log knows it */
    uint64_t salvage_logged;  /* enum wr_salvage_state */
    bool unreadable_logged;   /* once is enough: it is tried again each hour */
    uint64_t unreadable_again; /* as the uplink was told */
    uint64_t merged_segments; /* when it was looked at last */
    uint64_t evicted_segments;
    int64_t climbed_boot_ns; /* the last time that something was merged or evicted */
    bool ladder_high;        /* since it left the ground, it was above the high-water mark */
    int64_t counted_wall_ns; /* up to when the books are complete that the next commit writes */
    int64_t reopen_boot_ns;  /* while it is without: the next attempt, and how long after the last one */
    int64_t reopen_after_ns;
    bool final_seen;
    enum wr_store_phase phase;
    int idle; /* turns at the stop that found nothing more to do */
    pthread_t thread;
};

/* Before init: raw readings of these series may be kept, for so long; without it none are. */
void wr_store_loop_keep_raw(struct wr_store_loop *loop, const struct wr_series_table *series, uint64_t budget_bytes, int64_t keep_ns);
WR_MUST_USE enum wr_result wr_store_loop_init(struct wr_store_loop *loop, uint32_t handovers, uint32_t uplink_window, struct wr_error *err);
/* Starts the thread, which opens the store. */
WR_MUST_USE enum wr_result wr_store_loop_start(struct wr_store_loop *loop, struct wr_error *err);
/* Waits for the first attempt to open it, and says how that ended. WR_TIMEOUT: it still works at it. */
WR_MUST_USE enum wr_result wr_store_loop_wait_open(struct wr_store_loop *loop, int64_t deadline_boot_ns, struct wr_error *err);
/* After the engine has sent its final handover: takes everything that is left, commits, closes the store. */
WR_MUST_USE enum wr_result wr_store_loop_stop(struct wr_store_loop *loop, int64_t deadline_boot_ns);
void wr_store_loop_fini(struct wr_store_loop *loop);

/* The two halves of the thread, as of the engine's (wr_engine_loop_receive). The first turn opens the store; a stop begins with the requests closed;
 * after the turn that makes phase WR_STORE_ENDED there is none. */
void wr_store_loop_receive(struct wr_store_loop *loop, int64_t deadline_boot_ns, struct wr_store_received *ret_received);
WR_MUST_USE int64_t wr_store_loop_turn(struct wr_store_loop *loop, const struct wr_now *now, const struct wr_store_received *received);

/* A new uplink begins: it is told READY again. Runs on the store's thread, as a request. */
wr_request_run wr_store_loop_new_uplink;
/* Tells the store of accounts that another engine may fill: input is a struct wr_accounts * of the request. Until wr_store_loop_accounts it merges nothing: which lengths
 * hold is open until then. */
wr_request_run wr_store_loop_expect;
/* These are the accounts, and their lengths: those of the engine that runs. Input likewise. */
wr_request_run wr_store_loop_accounts;

#endif
