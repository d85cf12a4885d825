/* The handover: what the engine gives the store in one message: closed windows, and the counts that are consistent with them.
 *
 * Promise: the counts are cumulative since the process started and include every reading of the aggregates in this and all earlier
 * handovers, so that the store can commit both in one transaction and the ledger balances at every commit. Handovers come from a fixed
 * pool: none free means that the engine keeps its windows open (it never waits).
 * Threads: the engine fills, the store returns; one owner at a time. Ownership: as batches (core/batch.h).
 */
#ifndef WEIR_CORE_HANDOVER_H
#define WEIR_CORE_HANDOVER_H

#include <stdbool.h>

#include "core/aggregate.h"
#include "core/channel.h"
#include "core/ledger.h"
#include "core/result.h"

#define WR_HANDOVER_AGGREGATES 256

struct wr_handover_pool;

struct wr_handover {
    struct wr_handover_pool *pool;
    bool final; /* the last one of a clean stop */
    int64_t counted_wall_ns; /* when the counts were taken: what came later is not in them */
    uint32_t n;
    uint32_t n_counts;
    struct wr_account_count *counts; /* room for pool->max_counts */
    struct wr_aggregate aggregates[WR_HANDOVER_AGGREGATES];
};

struct wr_handover_pool {
    struct wr_channel *free; /* of struct wr_handover * */
    struct wr_handover *all;
    struct wr_account_count *counts;
    uint32_t n;
    uint32_t max_counts;
};

WR_MUST_USE enum wr_result wr_handover_pool_init(struct wr_handover_pool *pool, uint32_t handovers, uint32_t max_counts, struct wr_error *err);
/* WR_EMPTY when all are on their way; never waits. */
WR_MUST_USE enum wr_result wr_handover_take(struct wr_handover_pool *pool, struct wr_handover **ret_handover);
/* Gives it back, empty. Any thread; never blocks. */
void wr_handover_return(struct wr_handover *handover);
void wr_handover_pool_fini(struct wr_handover_pool *pool);
size_t wr_handover_pool_bytes(uint32_t handovers, uint32_t max_counts);

#endif
