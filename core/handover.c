#include "core/handover.h"

#include <assert.h>
#include <stdlib.h>

enum wr_result wr_handover_pool_init(struct wr_handover_pool *pool, uint32_t handovers, uint32_t max_counts, struct wr_error *err) {
    *pool = (struct wr_handover_pool){.n = handovers, .max_counts = max_counts};
    const struct wr_channel_options options = {
        .name = "handovers", .capacity = handovers, .element_bytes = sizeof(struct wr_handover *), .policy = WR_CHANNEL_REJECT};
    WR_TRY(wr_channel_new(&options, &pool->free, err));
    pool->all = calloc(handovers, sizeof *pool->all);
    pool->counts = calloc((size_t)handovers * max_counts, sizeof *pool->counts);
    if (!pool->all || !pool->counts) {
        wr_handover_pool_fini(pool);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %u handovers", handovers);
    }
    for (uint32_t i = 0; i < handovers; i++) {
        pool->all[i].pool = pool;
        pool->all[i].counts = pool->counts + (size_t)i * max_counts;
        wr_handover_return(&pool->all[i]);
    }
    return WR_OK;
}

enum wr_result wr_handover_take(struct wr_handover_pool *pool, struct wr_handover **ret_handover) {
    return wr_channel_try_recv(pool->free, ret_handover);
}

void wr_handover_return(struct wr_handover *handover) {
    handover->n = 0;
    handover->n_counts = 0;
    handover->final = false;
    enum wr_result result = wr_channel_try_send(handover->pool->free, &handover);
    assert(result == WR_OK); /* the channel has a place for every handover of the pool */
    (void)result;
}

void wr_handover_pool_fini(struct wr_handover_pool *pool) {
    wr_channel_free(pool->free);
    free(pool->all);
    free(pool->counts);
    *pool = (struct wr_handover_pool){0};
}

size_t wr_handover_pool_bytes(uint32_t handovers, uint32_t max_counts) {
    return handovers * (sizeof(struct wr_handover) + max_counts * sizeof(struct wr_account_count));
}
