/* Raw readings that windows keep, on the store's thread: store/raw_log.h does it, the agent's log says what goes wrong. */
#include <string.h>

#include "agent/loops/store_loop_private.h"
#include "core/log.h"
#include "store/walls.h"

#define LOOK_NS (60 * WR_NS_PER_S) /* at their age */

void wr_store_loop_keep_raw(struct wr_store_loop *loop, const struct wr_series_table *series, uint64_t budget_bytes, int64_t keep_ns) {
    loop->series = series;
    loop->raw_budget_bytes = budget_bytes;
    loop->keep_ns = keep_ns;
}

enum wr_result wr_store_loop_raw_init(struct wr_store_loop *loop, struct wr_error *err) {
    struct wr_raw_log_options options = {.directory = loop->path,
                                         .bytes_max = loop->raw_budget_bytes,
                                         .free_floor_bytes = loop->options.free_floor_bytes,
                                         .series = loop->series,
                                         .symbols = loop->symbols};
    loop->raw_due_boot_ns = loop->series ? 0 : WR_NEVER_NS;
    if (!loop->series)
        return WR_OK;
    memcpy(options.boot_id, loop->options.boot_id, sizeof options.boot_id);
    WR_TRY(wr_raw_log_new(&options, &loop->raw, err));
    loop->raw_stats = wr_raw_log_stats(loop->raw);
    return WR_OK;
}

/* One line when it begins, one when it is over. */
static void tell(struct wr_store_loop *loop, enum wr_result result, const struct wr_error *err) {
    const uint64_t dropped = loop->raw_stats->dropped;
    if (dropped > loop->raw_dropped)
        WR_LOG_WITH(WR_LOG_WARN, "store", "raw readings were removed before their age: there is no more space for them",
                    WR_LOG_INT("readings", dropped - loop->raw_dropped));
    loop->raw_dropped = dropped;
    if (result != WR_OK && !loop->raw_refuses)
        WR_LOG_WITH(WR_LOG_ERROR, "store", "raw readings are not kept", WR_LOG_ERR(err));
    else if (result == WR_OK && loop->raw_refuses)
        WR_LOG_WITH(WR_LOG_INFO, "store", "raw readings are kept again", WR_LOG_INT("missed", loop->raw_stats->missed));
    loop->raw_refuses = result != WR_OK;
}

/* What a clock has stamped that could not be trusted, and that was set since: as of windows. True: some of it was. */
static bool move_times(struct wr_store_loop *loop, struct wr_kept *kept, const struct wr_now *now) {
    bool moved = false;
    wr_walls_look(loop->store, now);
    for (uint32_t i = 0; i < kept->n; i++)
        moved |= wr_walls_start(loop->store, &kept->readings[i].event_ns, 0);
    return moved;
}

void wr_store_loop_keep(struct wr_store_loop *loop, struct wr_kept *kept, const struct wr_now *now) {
    const int64_t keep_ns = loop->keep_ns;
    struct wr_error err = {0};
    if (!loop->raw || keep_ns == 0) { /* a reload has just ended it */
        wr_kept_return(kept);
        return;
    }
    enum wr_result result;
    if (loop->state == WR_STORE_OPEN) {
        const bool moved = move_times(loop, kept, now);
        const uint64_t before = loop->raw_stats->written_bytes;
        result = wr_raw_log_put(loop->raw, kept->readings, kept->n, moved, keep_ns, now, &err);
        wr_store_wrote(loop->store, loop->raw_stats->written_bytes - before, now);
    } else {
        result = wr_error_set(&err, WR_IO, "there is no store");
        wr_raw_log_missed(loop->raw, kept->n);
    }
    if (loop->raw_due_boot_ns == WR_NEVER_NS)
        loop->raw_due_boot_ns = now->boot_ns;
    tell(loop, result, &err);
    wr_kept_return(kept);
}

void wr_store_loop_raw_turn(struct wr_store_loop *loop, const struct wr_now *now) {
    const int64_t keep_ns = loop->keep_ns;
    if (now->boot_ns < loop->raw_due_boot_ns)
        return;
    loop->raw_due_boot_ns = wr_clock_add_ns(now->boot_ns, LOOK_NS);
    if (loop->state != WR_STORE_OPEN)
        return;
    wr_raw_log_expire(loop->raw, keep_ns, now);
    if (keep_ns == 0)
        loop->raw_due_boot_ns = WR_NEVER_NS; /* all are gone, and no more come before a reload */
}
