/* What leaves the engine for the store: closed windows with the counts that are consistent with them. */
#include "agent/loops/engine_loop_private.h"

/* The source's own counts go with the engine's, so that one commit holds both. */
static void count_intake(const struct wr_engine_loop *loop, struct wr_handover *handover) {
    for (uint32_t i = 0; i < loop->n_inputs; i++) {
        const struct wr_engine_input *input = &loop->inputs[i];
        if (!input->counters)
            continue;
        for (unsigned book = 0; book < WR_BOOKS; book++) {
            uint64_t readings = wr_intake_read(input->counters, book);
            if (readings > 0 && handover->n_counts < handover->pool->max_counts)
                handover->counts[handover->n_counts++] = (struct wr_account_count){input->intake_account, book, readings};
        }
    }
}

/* Adds what ended engines and sources had counted. */
static void add_base(const struct wr_engine_loop *loop, struct wr_handover *handover) {
    for (uint32_t account = 0; account < loop->n_base; account++) {
        for (uint32_t book = 0; book < WR_BOOKS; book++) {
            uint64_t before = loop->base[account][book];
            uint32_t i = 0;
            while (before > 0 && i < handover->n_counts && (handover->counts[i].account != account || handover->counts[i].book != book))
                i++;
            if (before > 0 && i < handover->n_counts)
                handover->counts[i].readings += before;
            else if (before > 0 && handover->n_counts < handover->pool->max_counts)
                handover->counts[handover->n_counts++] = (struct wr_account_count){account, book, before};
        }
    }
}

static void count_all(const struct wr_engine_loop *loop, struct wr_handover *handover) {
    handover->n_counts = 0;
    handover->counted_wall_ns = wr_clock_wall_ns(loop->clock);
    wr_engine_counts(loop->engine, handover);
    count_intake(loop, handover);
    add_base(loop, handover);
}

/* Makes sure that there is a handover to fill; without one windows stay open. */
void wr_engine_loop_want_handover(struct wr_engine_loop *loop) {
    if (!loop->handover && wr_handover_take(&loop->handovers, &loop->handover) == WR_OK)
        loop->handover_since_boot_ns = wr_clock_boot_ns(loop->clock);
    loop->out.handover = loop->handover;
}

bool wr_engine_loop_handover(struct wr_engine_loop *loop) {
    wr_engine_loop_want_handover(loop);
    if (!loop->handover)
        return false;
    count_all(loop, loop->handover);
    const struct wr_store_message message = {.handover = loop->handover};
    if (wr_channel_try_send(loop->to_store, &message) != WR_OK)
        return false;
    struct wr_engine_stats stats;
    wr_engine_stats(loop->engine, &stats);
    loop->counted_taken = stats.taken;
    loop->handover = NULL;
    loop->out.handover = NULL;
    return true;
}

/* A full handover goes at once, an old one soon, and counts alone once a second if there are new ones. */
void wr_engine_loop_hand_over_due(struct wr_engine_loop *loop, int64_t boot_ns) {
    wr_engine_loop_want_handover(loop);
    if (!loop->handover)
        return;
    bool full = loop->handover->n == WR_HANDOVER_AGGREGATES;
    if (loop->handover->n == 0)
        loop->handover_since_boot_ns = boot_ns;
    bool old = loop->handover->n > 0 && boot_ns - loop->handover_since_boot_ns >= WR_ENGINE_HANDOVER_AGE_NS;
    bool counts = false;
    if (boot_ns >= loop->counts_due_boot_ns) {
        struct wr_engine_stats stats;
        wr_engine_stats(loop->engine, &stats);
        counts = stats.taken != loop->counted_taken;
        loop->counts_due_boot_ns = boot_ns + WR_ENGINE_COUNTS_AGE_NS;
    }
    if (full || old || counts) {
        if (!wr_engine_loop_handover(loop))
            loop->handover_since_boot_ns = boot_ns; /* again after the same age */
        wr_engine_loop_want_handover(loop);
    }
}
