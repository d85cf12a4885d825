/* The pool: an elastic set of threads for work that blocks, fed by a bounded queue.
 *
 * Promise: each task that wr_pool_submit took ends exactly once: `run` returns, or `dropped` is called with the reason: WR_FULL (the
 * queue's policy), WR_CANCELED or WR_TIMEOUT (its context ended while it waited), WR_CLOSED (no thread took it before the stop). Tasks start
 * in the order they came. A task that runs past its deadline is never killed, but told to `overrun`, once, by name: within a watch if it
 * still runs, else when it returns. wr_pool_stop leaves no thread behind, or names what did not stop.
 *
 * How many threads: between threads_min and threads_max. A watcher looks each watch_ns: above 80 % of what the strategy measures it starts
 * at most four more, below 30 % for as long as linger_ns at most four idle ones go. QUEUE measures how full the queue is; LATENCY how
 * long tasks wait for a thread, against latency_ns; MIXED the larger of both. A queue with tasks is never without a thread, at once: so a
 * pool with threads_min 0 costs nothing but its watcher, which sleeps until there is something to do.
 *
 * Threads: any; wr_pool_stop and wr_pool_free by the owner. `run` is called on a thread of the pool; `dropped` there, or by submit or stop on
 * their caller's; `overrun` on a thread of the pool or the watcher's. A task may submit others, but must not wait for room. Threads
 * are called NAME, the watcher, and NAME-0, NAME-1, ...
 * Ownership: a task's name must live until it has ended. The pool's context is its own: a child of it, or NULL, is what tasks are given.
 * Limits: WR_POOL_THREADS_MAX threads with WR_THREAD_STACK_BYTES of stack each; a queue as a channel.
 * Units: CLOCK_BOOTTIME nanoseconds.
 * The steps of the shutdown, P1 to P10 in core/pool.c and core/pool_watch.c, are modelled in tests/model/pool.pml.
 */
#ifndef WEIR_CORE_POOL_H
#define WEIR_CORE_POOL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/channel.h"
#include "core/context.h"
#include "core/metrics.h"
#include "core/pool_size.h"
#include "core/result.h"

#define WR_POOL_THREADS_MAX 64
#define WR_POOL_WATCH_NS INT64_C(100000000)

struct wr_pool;

struct wr_pool_options {
    const char *name; /* of threads and metrics, at most 12 characters; must outlive the pool */
    struct wr_pool_rules rules;
    size_t queue; /* capacity, > 0 */
    enum wr_channel_policy policy;
    int64_t watch_ns; /* 0: WR_POOL_WATCH_NS */
    /* A task ran past its deadline, by over_ns so far. May be NULL; must not stop the pool. */
    void (*overrun)(void *user, const char *task, int64_t over_ns);
    void *user;
};

struct wr_pool_task {
    const char *name;
    void (*run)(struct wr_context *context, void *user); /* the context ends at the deadline, when its parent ends, and with the pool */
    void (*dropped)(void *user, enum wr_result why);     /* may be NULL */
    void *user;
    struct wr_context *context; /* a child of wr_pool_context, or NULL: that itself. The task keeps a reference */
    int64_t deadline_boot_ns;   /* waiting for a thread counts; WR_NEVER_NS: none */
};

/* Counted by the pool, for metrics: read at any time until it is freed. */
struct wr_pool_counters {
    _Atomic uint64_t submitted; /* taken by submit */
    _Atomic uint64_t refused;   /* not taken: full, closed or no memory */
    _Atomic uint64_t done;
    _Atomic uint64_t dropped;
    _Atomic uint64_t overruns;
    _Atomic uint64_t threads; /* now */
    _Atomic uint64_t busy;    /* threads with a task, now */
    _Atomic uint64_t threads_started;
    _Atomic uint64_t threads_failed; /* could not be started; tried again at the next watch */
    struct wr_histogram wait;        /* from submit to the start of run */
    struct wr_histogram run;
};

/* Makes the queue and starts the watcher. WR_INVALID, WR_LIMIT: options; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_pool_new(const struct wr_pool_options *options, struct wr_pool **ret_pool, struct wr_error *err);

/* WR_OK; WR_CLOSED; WR_FULL (policy REJECT); WR_TIMEOUT (policy BLOCK: no room until wait_boot_ns; 0: try); WR_NO_MEMORY. Only WR_OK makes
 * it a task of the pool, with one end; with the drop policies that end may come before this returns. */
WR_MUST_USE enum wr_result wr_pool_submit(struct wr_pool *pool, const struct wr_pool_task *task, int64_t wait_boot_ns);

/* The root of all tasks' contexts, alive as long as the pool. */
struct wr_context *wr_pool_context(struct wr_pool *pool);
const struct wr_pool_counters *wr_pool_counters(const struct wr_pool *pool);
size_t wr_pool_queued(const struct wr_pool *pool);
/* Upper bound of the pool's memory without the stacks of its threads. */
size_t wr_pool_bytes(const struct wr_pool_options *options);

/* Takes no more tasks; those it has go on until drain_boot_ns; then its context is cancelled: who runs should end, who waits is dropped. Joins
 * everything by deadline_boot_ns. WR_TIMEOUT: err names the tasks that still run; nothing may be freed then, but stop may be called again. */
WR_MUST_USE enum wr_result wr_pool_stop(struct wr_pool *pool, int64_t drain_boot_ns, int64_t deadline_boot_ns, struct wr_error *err);

/* After a stop that returned WR_OK. NULL is fine. */
void wr_pool_free(struct wr_pool *pool);

#endif
