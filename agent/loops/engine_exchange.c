/* A reload on the engine's side: one engine is flushed and another one takes its place; inputs come and go; counts never go back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/loops/engine_loop_private.h"

/* Everything that is still open goes to the store as partials. */
enum wr_result wr_engine_loop_flush_some(struct wr_engine_loop *loop, bool final) {
    for (bool more = true; more;) {
        const struct wr_now now = wr_clock_now(loop->clock);
        wr_engine_loop_want_handover(loop);
        if (!loop->handover)
            return wr_channel_is_closed(loop->to_store) ? WR_CLOSED : WR_EMPTY;
        more = wr_engine_flush(loop->engine, &now, &loop->out);
        loop->handover->final = final && !more;
        if (!wr_engine_loop_handover(loop))
            return WR_CLOSED;
    }
    return WR_OK;
}

/* A reload is the only time when it waits for the store. */
enum wr_result wr_engine_loop_flush(struct wr_engine_loop *loop, bool final, int64_t deadline_boot_ns) {
    enum wr_result result;
    while ((result = wr_engine_loop_flush_some(loop, final)) == WR_EMPTY) {
        const int64_t boot_ns = wr_clock_boot_ns(loop->clock);
        if (boot_ns >= deadline_boot_ns)
            return WR_TIMEOUT;
        (void)!wr_channel_recv(loop->handovers.free, &loop->handover, wr_clock_add_ns(boot_ns, 100 * WR_NS_PER_MS));
    }
    return result == WR_OK ? WR_OK : WR_TIMEOUT;
}

static enum wr_result grow_base(struct wr_engine_loop *loop, uint32_t n_accounts, struct wr_error *err) {
    if (n_accounts <= loop->n_base)
        return WR_OK;
    uint64_t(*base)[WR_BOOKS] = realloc(loop->base, n_accounts * sizeof *base);
    if (!base)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %u ledger accounts", n_accounts);
    memset(base + loop->n_base, 0, (n_accounts - loop->n_base) * sizeof *base);
    loop->base = base;
    loop->n_base = n_accounts;
    return WR_OK;
}

/* The handovers of a larger ledger: all old ones must be back from the store. */
static enum wr_result grow_handovers(struct wr_engine_loop *loop, uint32_t max_counts, int64_t deadline_boot_ns, struct wr_error *err) {
    if (max_counts <= loop->handovers.max_counts)
        return WR_OK;
    struct wr_handover *back[64];
    uint32_t n = 0;
    if (loop->handover)
        back[n++] = loop->handover;
    while (n < loop->handovers.n && wr_channel_recv(loop->handovers.free, &back[n], deadline_boot_ns) == WR_OK)
        n++;
    struct wr_handover_pool larger = {0};
    enum wr_result result = n < loop->handovers.n ? wr_error_set(err, WR_TIMEOUT, "the store is too slow for a reload now")
                                                  : wr_handover_pool_init(&larger, loop->handovers.n, max_counts, err);
    if (result != WR_OK) {
        for (uint32_t i = loop->handover ? 1 : 0; i < n; i++)
            wr_handover_return(back[i]);
        return result;
    }
    wr_handover_pool_fini(&loop->handovers);
    loop->handovers = larger;
    for (uint32_t i = 0; i < larger.n; i++)
        loop->handovers.all[i].pool = &loop->handovers;
    loop->handover = NULL;
    loop->out.handover = NULL;
    return WR_OK;
}

/* A round of states that is under way began with other alarms: its place in them means nothing among the new ones. */
static void begin_round_anew(struct wr_engine_loop *loop) {
    loop->resnapshot = loop->resnapshot || loop->snapshotting;
    loop->snapshotting = false;
}

struct wr_evaluator *wr_engine_loop_exchange_rules(struct wr_engine_loop *loop, struct wr_evaluator *evaluator) {
    begin_round_anew(loop);
    return wr_engine_swap_evaluator(loop->engine, evaluator);
}

enum wr_result wr_engine_loop_exchange(struct wr_engine_loop *loop, struct wr_engine *engine, uint32_t n_accounts, uint32_t max_counts,
                                       int64_t deadline_boot_ns, struct wr_error *err) {
    assert(loop->handovers.n <= 64);
    if (!wr_engine_loop_finish_waiting(loop) || wr_engine_loop_flush(loop, false, deadline_boot_ns) != WR_OK)
        return wr_error_set(err, WR_TIMEOUT, "the store is too slow for a reload now");
    WR_TRY(grow_base(loop, n_accounts, err));
    WR_TRY(grow_handovers(loop, max_counts, deadline_boot_ns, err));
    wr_engine_loop_want_handover(loop);
    if (!loop->handover)
        return wr_error_set(err, WR_TIMEOUT, "the store is too slow for a reload now");
    loop->handover->n_counts = 0;
    wr_engine_counts(loop->engine, loop->handover);
    for (uint32_t i = 0; i < loop->handover->n_counts; i++)
        loop->base[loop->handover->counts[i].account][loop->handover->counts[i].book] += loop->handover->counts[i].readings;
    loop->handover->n_counts = 0;
    struct wr_engine_stats stats;
    wr_engine_stats(loop->engine, &stats);
    loop->unkept_before += stats.unkept;
    loop->engine = engine;
    loop->counted_taken = 0;
    begin_round_anew(loop);
    return WR_OK;
}

void wr_engine_loop_set_input(struct wr_engine_loop *loop, uint32_t slot, struct wr_channel *batches,
                              const struct wr_intake_counters *counters, uint32_t intake_account) {
    struct wr_engine_input *input = &loop->inputs[slot];
    for (unsigned book = 0; input->counters && !counters && input->intake_account < loop->n_base && book < WR_BOOKS; book++)
        loop->base[input->intake_account][book] += wr_intake_read(input->counters, book);
    *input = (struct wr_engine_input){.batches = batches, .counters = counters, .intake_account = intake_account};
    if (slot >= loop->n_inputs)
        loop->n_inputs = slot + 1;
}

void wr_engine_loop_no_more_inputs(struct wr_engine_loop *loop) {
    loop->no_more = true;
}

void wr_engine_loop_count_in_channel(struct wr_engine_loop *loop, uint64_t *in_channel) {
    for (uint32_t i = 0; i < loop->n_inputs; i++) {
        struct wr_batch **last = &loop->waiting[i];
        while (*last)
            last = &(*last)->next;
        struct wr_batch *batch;
        while (loop->inputs[i].batches && wr_channel_try_recv(loop->inputs[i].batches, &batch) == WR_OK) {
            batch->next = NULL;
            *last = batch;
            last = &batch->next;
        }
        in_channel[i] = 0;
        for (batch = loop->waiting[i]; batch; batch = batch->next)
            in_channel[i] += batch->n - (batch == loop->waiting[i] ? loop->waiting_from[i] : 0);
    }
}
