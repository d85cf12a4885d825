/* The scheduler by the real clock: one thin thread that hands due tasks to a pool.
 *
 * Promise: a task runs on the pool at the times of its plan and never overlaps itself. When the pool has no room the run is put off by
 * WR_SCHEDULER_LOOP_RETRY_NS, again and again, until it is missed: then the plan's policy says what becomes of it. After
 * wr_scheduler_loop_remove no run is under way and none will come.
 *
 * Threads: all functions from any thread, but stop, free and remove not from a task's run. The thread sleeps while nothing is due.
 * Ownership: a task is its owner's memory, from add until a remove that returned WR_OK. The pool must outlive the loop.
 * Units: CLOCK_BOOTTIME nanoseconds.
 */
#ifndef WEIR_CORE_SCHEDULER_LOOP_H
#define WEIR_CORE_SCHEDULER_LOOP_H

#include <stdatomic.h>

#include "core/pool.h"
#include "core/scheduler.h"

#define WR_SCHEDULER_LOOP_RETRY_NS (20 * WR_NS_PER_MS)

struct wr_scheduler_loop;

struct wr_scheduler_task {
    /* Set by the owner. plan.first_boot_ns in the past or 0: now. */
    struct wr_scheduler_plan plan;
    void (*run)(struct wr_context *context, void *user); /* on a thread of the pool; end soon when the context has ended */
    void *user;
    int64_t timeout_ns; /* the deadline of a run, from when it is handed to the pool; 0: none */
    /* The loop's own; the counts may be read by the owner's run, or after the remove. */
    struct wr_scheduler_entry entry;
    struct wr_scheduler_loop *loop;
    struct wr_context *context;
    _Atomic uint32_t running; /* 1 from handing over until the run has ended */
    bool removing;
};

/* name: of the thread, at most 15 characters. Starts the thread. */
WR_MUST_USE enum wr_result wr_scheduler_loop_new(const char *name, struct wr_pool *pool, struct wr_scheduler_loop **ret_loop,
                                                 struct wr_error *err);

/* WR_INVALID: the plan; WR_NO_MEMORY; WR_CLOSED after stop. */
WR_MUST_USE enum wr_result wr_scheduler_loop_add(struct wr_scheduler_loop *loop, struct wr_scheduler_task *task, struct wr_error *err);
/* Takes it out and cancels the context of a run under way, then waits for it. WR_TIMEOUT: it still runs; call again. A task that was not added
 * (all zero) or is removed already: WR_OK. */
WR_MUST_USE enum wr_result wr_scheduler_loop_remove(struct wr_scheduler_task *task, int64_t deadline_boot_ns);

/* Runs given to the pool, and times that got no run. */
uint64_t wr_scheduler_loop_runs(const struct wr_scheduler_loop *loop);
uint64_t wr_scheduler_loop_missed(const struct wr_scheduler_loop *loop);

/* Starts nothing more, joins the thread. Tasks must be removed all the same, before or after. */
WR_MUST_USE enum wr_result wr_scheduler_loop_stop(struct wr_scheduler_loop *loop, int64_t deadline_boot_ns);
/* After a stop that returned WR_OK; every task removed. NULL is fine. */
void wr_scheduler_loop_free(struct wr_scheduler_loop *loop);

#endif
