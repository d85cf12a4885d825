/* Raw readings that windows keep: what leaves the engine for the store beside handovers. Nobody waits for them. */
#include "agent/loops/engine_loop_private.h"

static void let_go(struct wr_engine_loop *loop) {
    loop->kept = NULL;
    loop->out.kept = NULL;
}

/* What finds no room in the channel stays in hand, and is sent next time. Behind a closed one nobody keeps it. */
void wr_engine_loop_send_kept(struct wr_engine_loop *loop) {
    if (!loop->kept || loop->kept->n == 0)
        return;
    const struct wr_store_message message = {.kept = loop->kept};
    const enum wr_result sent = wr_channel_try_send(loop->to_store, &message);
    if (sent == WR_OK)
        let_go(loop);
    else if (sent != WR_FULL)
        wr_engine_loop_give_up_kept(loop);
}

void wr_engine_loop_give_up_kept(struct wr_engine_loop *loop) {
    if (!loop->kept)
        return;
    loop->unkept_before += loop->kept->n;
    wr_kept_return(loop->kept);
    let_go(loop);
}

void wr_engine_loop_kept_due(struct wr_engine_loop *loop, int64_t boot_ns) {
    if (loop->kept && loop->kept->n > 0 && boot_ns - loop->kept->since_boot_ns >= WR_ENGINE_KEPT_AGE_NS) {
        wr_engine_loop_send_kept(loop);
        if (loop->kept)
            loop->kept->since_boot_ns = boot_ns; /* again after the same age */
    }
}

void wr_engine_loop_want_kept(struct wr_engine_loop *loop, int64_t boot_ns) {
    if (loop->kept && loop->kept->n + WR_BATCH_READINGS > WR_SEGMENT_READINGS)
        wr_engine_loop_send_kept(loop);
    if (!loop->kept && wr_kept_take(&loop->kept_pool, &loop->kept) != WR_OK)
        loop->kept = NULL;
    if (loop->kept && loop->kept->n == 0)
        loop->kept->since_boot_ns = boot_ns;
    loop->out.kept = loop->kept;
}
