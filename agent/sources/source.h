/* A source: whatever brings readings into the agent. One small table of functions per kind; the pipeline knows nothing else of it.
 *
 * Promise: a source fills batches of its own pool and sends them to the engine by its own channel. What it cannot take, it refuses and
 * counts before `received`; what it received, it hands over, or books as dropped. A source that reads a stream never drops: without a free
 * batch it stops reading. Each has one thread, which never waits for anything but its input, a free batch, or the word to stop.
 *
 * Life: create, start, stop, free. start opens and listens: what can fail for reasons outside (an address in use, no such file) fails here.
 * stop: no new input; what is readable already is taken until the deadline; everything is handed over; the thread is joined. What
 * was read and found no free batch by then is booked as received and dropped(stop). The channel is closed by its owner, after stop.
 * A source that came to its end (stdin, a recording) says so in counters->finished and keeps still until stop.
 *
 * Threads: all functions from the thread that owns the source.
 * Ownership: everything in the environment belongs to the caller and outlives the source. The pool has at least WR_BATCH_POOL_MIN batches,
 * the channel has room for all of them, so that a send with a batch in hand cannot fail.
 */
#ifndef WEIR_AGENT_SOURCES_SOURCE_H
#define WEIR_AGENT_SOURCES_SOURCE_H

#include "agent/config/config.h"
#include "agent/sources/intake_counters.h"
#include "core/batch.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/scheduler_loop.h"
#include "core/series.h"
#include "core/symbol.h"

struct wr_http_gate;

struct wr_source_env {
    const struct wr_config_source *config;
    const struct wr_config_limits *limits;
    struct wr_series_table *series;
    struct wr_symbol_table *symbols;
    const struct wr_clock *clock; /* of arrivals; waiting uses the real one */
    struct wr_batch_pool *pool;   /* carries the source's index */
    struct wr_channel *to_engine; /* struct wr_batch *, policy REJECT, capacity of the pool */
    struct wr_intake_counters *counters;
    /* For sources that poll: work that blocks runs on the workers, when the scheduler says so. */
    struct wr_pool *workers;
    struct wr_scheduler_loop *scheduler;
    /* What the agent knows of itself, for the source `system`; NULL where there is no agent around it. */
    struct wr_metrics *metrics;
    /* The ledger as the store has it; the caller frees the array. WR_TIMEOUT, WR_CLOSED: the store does not answer now. */
    enum wr_result (*balances)(void *agent, int64_t deadline_boot_ns, struct wr_account_balance **ret_balances, uint32_t *ret_n);
    void *agent;
    struct wr_http_gate *http; /* what comes in over the section `http` */
};

struct wr_source;

struct wr_source_ops {
    enum wr_source_kind kind;
    const char *name;
    enum wr_result (*create)(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err);
    enum wr_result (*start)(struct wr_source *source, struct wr_error *err);
    /* Optional: a stop with this deadline will follow. For what takes a while to end, so that many of them end together. */
    void (*prepare_stop)(struct wr_source *source, int64_t deadline_boot_ns);
    /* WR_OK; WR_TIMEOUT: readings were dropped because the engine did not take them in time. Once, and only after a start that succeeded. */
    enum wr_result (*stop)(struct wr_source *source, int64_t deadline_boot_ns);
    /* Started and not stopped: stops at once. NULL is fine. */
    void (*free)(struct wr_source *source);
    /* For `weir status`, NULL where there is nothing to say: what keeps it from receiving, "" when nothing does. */
    void (*trouble)(struct wr_source *source, char *text, size_t size);
    /* For `weir check`: where its readings come from, in a few words, each with a blank before it. */
    enum wr_result (*describe)(const struct wr_config_source *config, struct wr_buf *into);
    /* Upper bound of its memory, batches not counted. */
    size_t (*bytes)(const struct wr_config_source *config, const struct wr_config_limits *limits);
};

/* Each kind begins its own struct with this. */
struct wr_source {
    const struct wr_source_ops *ops;
    struct wr_source_env env;
};

/* The functions of a kind; NULL: this build goes without it (CMakeLists.txt, weir_feature), and the config has refused it. */
const struct wr_source_ops *wr_source_ops(enum wr_source_kind kind);

/* Puts the same question to whatever kind it is. */
WR_MUST_USE enum wr_result wr_source_create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err);
WR_MUST_USE enum wr_result wr_source_start(struct wr_source *source, struct wr_error *err);
void wr_source_prepare_stop(struct wr_source *source, int64_t deadline_boot_ns);
WR_MUST_USE enum wr_result wr_source_stop(struct wr_source *source, int64_t deadline_boot_ns);
void wr_source_free(struct wr_source *source);
/* Returns text; "" also for a kind that knows no trouble. From any thread that keeps the source from being freed. */
const char *wr_source_trouble(struct wr_source *source, char *text, size_t size);
WR_MUST_USE enum wr_result wr_source_describe(const struct wr_config_source *config, struct wr_buf *into);
size_t wr_source_bytes(const struct wr_config_source *config, const struct wr_config_limits *limits);

#endif
