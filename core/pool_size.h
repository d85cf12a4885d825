/* How many threads a pool should have: a pure function of what its watcher saw.
 *
 * Promise: the answer lies within [threads_min, threads_max], is at most WR_POOL_STEP away from the present number (but for the borders),
 * grows only for tasks that wait, and shrinks only by threads that are idle. A queue with tasks is never left without a thread.
 * Threads: any; nothing is kept. Units: nanoseconds, per cent.
 */
#ifndef WEIR_CORE_POOL_SIZE_H
#define WEIR_CORE_POOL_SIZE_H

#include <stddef.h>
#include <stdint.h>

#define WR_POOL_STEP 4  /* threads more or less at a watch */
#define WR_POOL_HIGH 80 /* per cent: above it the pool grows */
#define WR_POOL_LOW 30  /* per cent: below it the pool shrinks */
#define WR_POOL_LATENCY_NS INT64_C(50000000)
#define WR_POOL_LINGER_NS INT64_C(2000000000)

enum wr_pool_strategy {
    WR_POOL_MIXED,   /* the larger of both */
    WR_POOL_QUEUE,   /* how full the queue is */
    WR_POOL_LATENCY, /* how long tasks wait, against latency_ns */
};

struct wr_pool_rules {
    enum wr_pool_strategy strategy;
    unsigned threads_min;
    unsigned threads_max;
    int64_t latency_ns; /* 100 % of a wait; 0: WR_POOL_LATENCY_NS */
    int64_t linger_ns;  /* how long the load must have been low before threads go; 0: WR_POOL_LINGER_NS */
};

/* What the watcher saw. */
struct wr_pool_load {
    unsigned threads; /* without those that are told to go */
    unsigned busy;    /* of them, those with a task */
    size_t queued;
    size_t capacity; /* of the queue */
    int64_t wait_ns; /* the longest wait for a thread since the last watch, of tasks that still wait too */
    int64_t low_ns;  /* how long the load has been low */
};

/* The load in per cent of what the strategy measures; may be above 100. */
unsigned wr_pool_pressure(const struct wr_pool_rules *rules, const struct wr_pool_load *load);

/* How many threads there should be. */
unsigned wr_pool_size(const struct wr_pool_rules *rules, const struct wr_pool_load *load);

#endif
