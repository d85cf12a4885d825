#include "core/kept.h"

#include <assert.h>
#include <stdlib.h>

enum wr_result wr_kept_pool_init(struct wr_kept_pool *pool, struct wr_error *err) {
    const struct wr_channel_options options = {
        .name = "kept readings", .capacity = WR_KEPT_POOL, .element_bytes = sizeof(struct wr_kept *), .policy = WR_CHANNEL_REJECT};
    *pool = (struct wr_kept_pool){0};
    WR_TRY(wr_channel_new(&options, &pool->free, err));
    pool->all = calloc(WR_KEPT_POOL, sizeof *pool->all);
    if (!pool->all) {
        wr_kept_pool_fini(pool);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for kept readings");
    }
    for (int i = 0; i < WR_KEPT_POOL; i++) {
        pool->all[i].pool = pool;
        wr_kept_return(&pool->all[i]);
    }
    return WR_OK;
}

enum wr_result wr_kept_take(struct wr_kept_pool *pool, struct wr_kept **ret_kept) {
    return wr_channel_try_recv(pool->free, ret_kept);
}

void wr_kept_return(struct wr_kept *kept) {
    kept->n = 0;
    enum wr_result result = wr_channel_try_send(kept->pool->free, &kept);
    assert(result == WR_OK); /* the channel has a place for all of the pool */
    (void)result;
}

void wr_kept_pool_fini(struct wr_kept_pool *pool) {
    wr_channel_free(pool->free);
    free(pool->all);
    *pool = (struct wr_kept_pool){0};
}

size_t wr_kept_pool_bytes(void) {
    return WR_KEPT_POOL * sizeof(struct wr_kept);
}
