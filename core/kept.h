/* Kept readings: how raw readings that a window keeps travel from the engine to the store.
 *
 * Promise: as handovers (core/handover.h) they come from a fixed pool. None free means that readings go unkept and are counted: nobody waits for them.
 * Threads: the engine fills, the store returns; one owner at a time. Ownership: they belong to their pool.
 * Memory: that of the pool is touched only as they are filled: a pool that nobody uses costs addresses.
 */
#ifndef WEIR_CORE_KEPT_H
#define WEIR_CORE_KEPT_H

#include "core/channel.h"
#include "core/clock.h"
#include "core/reading.h"
#include "core/result.h"
#include "core/segment.h"

/* Arrivals are kept in whole milliseconds: what is below is chance, which would be two thirds of a reading on disk. No window begins between two. */
#define WR_KEPT_ARRIVAL_NS WR_NS_PER_MS
#define WR_KEPT_POOL 3 /* one is filled, one is written, one for a moment in which the disk is slow */

struct wr_kept_pool;

struct wr_kept {
    struct wr_kept_pool *pool;
    int64_t since_boot_ns; /* of the first in it */
    uint32_t n;
    struct wr_reading readings[WR_SEGMENT_READINGS]; /* with the time of their event */
};

struct wr_kept_pool {
    struct wr_channel *free; /* of struct wr_kept * */
    struct wr_kept *all;
};

WR_MUST_USE enum wr_result wr_kept_pool_init(struct wr_kept_pool *pool, struct wr_error *err);
/* WR_EMPTY when all are on their way; never waits. */
WR_MUST_USE enum wr_result wr_kept_take(struct wr_kept_pool *pool, struct wr_kept **ret_kept);
/* Gives it back, empty. Any thread; never blocks. */
void wr_kept_return(struct wr_kept *kept);
void wr_kept_pool_fini(struct wr_kept_pool *pool);
size_t wr_kept_pool_bytes(void);

#endif
