#include "core/batch.h"

#include <assert.h>
#include <stdlib.h>

enum wr_result wr_batch_pool_init(struct wr_batch_pool *pool, uint32_t batches, uint32_t source, struct wr_error *err) {
    *pool = (struct wr_batch_pool){.n = batches > WR_BATCH_POOL_MIN ? batches : WR_BATCH_POOL_MIN};
    struct wr_channel_options options = {
        .name = "free batches", .capacity = pool->n, .element_bytes = sizeof(struct wr_batch *), .policy = WR_CHANNEL_REJECT};
    enum wr_result result = wr_channel_new(&options, &pool->free, err);
    if (result != WR_OK)
        goto fail;
    pool->all = malloc(pool->n * sizeof *pool->all);
    if (!pool->all) {
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for %u batches of readings", pool->n);
        goto fail;
    }
    for (uint32_t i = 0; i < pool->n; i++) {
        pool->all[i].pool = pool;
        pool->all[i].source = source;
        wr_batch_return(&pool->all[i]);
    }
    return WR_OK;
fail:
    wr_channel_free(pool->free);
    *pool = (struct wr_batch_pool){0};
    return result;
}

enum wr_result wr_batch_take(struct wr_batch_pool *pool, struct wr_batch **ret_batch) {
    return wr_channel_try_recv(pool->free, ret_batch);
}

enum wr_result wr_batch_wait(struct wr_batch_pool *pool, int64_t deadline_boot_ns, struct wr_batch **ret_batch) {
    return wr_channel_recv(pool->free, ret_batch, deadline_boot_ns);
}

void wr_batch_stamp(struct wr_batch *batch, const struct wr_now *now) {
    batch->arrival_boot_ns = now->boot_ns;
    batch->wall_offset_ns = now->wall_ns - now->boot_ns;
    batch->wall_trusted = now->wall_trusted;
}

void wr_batch_return(struct wr_batch *batch) {
    struct wr_batch_pool *pool = batch->pool;
    batch->n = 0;
    batch->trace_id = 0;
    batch->arrival_boot_ns = 0;
    batch->wall_offset_ns = 0;
    batch->wall_trusted = false;
    batch->recorded = false;
    enum wr_result result = wr_channel_try_send(pool->free, &batch);
    assert(result != WR_FULL); /* else a batch came back twice */
    if (result == WR_CLOSED)
        atomic_fetch_add(&pool->strays, 1);
}

void wr_batch_pool_close(struct wr_batch_pool *pool) {
    wr_channel_close(pool->free);
}

void wr_batch_pool_fini(struct wr_batch_pool *pool) {
    if (!pool->free)
        return;
    struct wr_channel_stats stats;
    wr_channel_stats(pool->free, &stats);
    assert(stats.depth + atomic_load(&pool->strays) == pool->n);
    (void)stats;
    wr_channel_free(pool->free);
    free(pool->all);
    *pool = (struct wr_batch_pool){0};
}

size_t wr_batch_pool_bytes(uint32_t batches) {
    if (batches < WR_BATCH_POOL_MIN)
        batches = WR_BATCH_POOL_MIN;
    return batches * (sizeof(struct wr_batch) + sizeof(struct wr_batch *));
}
