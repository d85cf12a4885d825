/* The inside of the pool, shared by core/pool.c and core/pool_watch.c and nobody else.
 *
 * How it works: tasks lie in a channel. A worker waits in a select of two channels, first the queue, then `leave`: so it goes only when there
 * is nothing to do. The watcher alone starts workers, tells them to go and joins them; it alone knows how many there should be. It
 * rests between two looks, and sleeps without an end while every task has ended and there are as few threads as may be.
 *
 *   worker:  FREE --(watcher)--> ALIVE --(told to go)--> WENT --(watcher joins)--> FREE
 *                                ALIVE --(queue closed and drained)--> ENDED --(stop joins)--> FREE
 *   bell:    AWAKE --(watcher)--> RESTS or SLEEPS --(whoever rings, or the time)--> AWAKE
 *
 * The steps, marked in the code; tests/model/pool.pml has the same numbers, and tests/model/check takes them out one by one.
 *   P1  a submit counts its task as unfinished before it sends it
 *   P2  and rings a watcher that sleeps, after it has sent it
 *   P3  the watcher looks once more, after it has said that it sleeps, whether a task is unfinished or the stop has begun
 *   P4  stop closes the queue: no task comes after that, and workers end once it is drained
 *   P5  stop rings the watcher
 *   P6  stop joins the watcher before it looks at the workers: nobody starts one after that
 *   P7  the watcher's last look waits for those who were told to go: afterwards each worker that is there serves the queue
 *   P8  and starts one if tasks are left without any
 *   P9  stop cancels the pool's context when the time to drain is over
 *   P10 stop drops what no worker took
 */
#ifndef WEIR_CORE_POOL_PRIVATE_H
#define WEIR_CORE_POOL_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/pool.h"

#define WR_POOL_TASK_BYTES 48 /* of a task's name in reports */
#define WR_POOL_NAME_BYTES 16 /* of a thread's name */

enum wr_pool_worker_state { WR_POOL_FREE, WR_POOL_ALIVE, WR_POOL_WENT, WR_POOL_ENDED };
enum wr_pool_bell { WR_POOL_AWAKE, WR_POOL_RESTS, WR_POOL_SLEEPS };

struct wr_pool_item {
    struct wr_pool_task task; /* context: its own */
    int64_t queued_boot_ns;
};

struct wr_pool_worker {
    struct wr_pool *pool;
    pthread_t thread;
    unsigned number;
    _Atomic uint32_t state; /* enum wr_pool_worker_state */
    /* Of the present task, under the pool's mutex. */
    bool busy;
    bool reported; /* as overrun */
    int64_t deadline_boot_ns;
    char task[WR_POOL_TASK_BYTES];
};

struct wr_pool {
    struct wr_pool_options options;
    struct wr_channel *queue; /* struct wr_pool_item */
    struct wr_channel *leave; /* a byte for each worker that is to go */
    struct wr_context *context;
    struct wr_pool_counters counters;
    _Atomic uint64_t unfinished;  /* tasks on their way into the queue, in it, or running */
    _Atomic uint64_t max_wait_ns; /* since the last look */
    _Atomic uint32_t bell;        /* enum wr_pool_bell */
    _Atomic bool stopping;
    pthread_t watcher;
    bool watched; /* the watcher is not joined yet */
    pthread_mutex_t mutex;
    /* The watcher's; stop's once that is joined. */
    unsigned alive;   /* workers that are not FREE */
    unsigned leaving; /* of them, those that are told to go */
    uint64_t received_before;
    int64_t stalled_since_ns;        /* nothing was taken from a queue with tasks since */
    bool queue_was_empty;            /* at the last look */
    int64_t low_since_ns;            /* 0: not low */
    struct wr_pool_worker workers[]; /* threads_max */
};

/* The threads' functions; user is the pool, or the worker. */
void *wr_pool_watch(void *user);
void *wr_pool_work(void *user);

/* Wakes the watcher if it is in this state or a deeper one. */
void wr_pool_ring(struct wr_pool *pool, enum wr_pool_bell from);
/* Tells that a task runs past its deadline. */
void wr_pool_report(struct wr_pool *pool, const char *task, int64_t over_ns);
/* The task ends without having run. */
void wr_pool_drop(struct wr_pool *pool, const struct wr_pool_item *item, enum wr_result why);

#endif
