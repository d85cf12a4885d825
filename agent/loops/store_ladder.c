/* The ladder of backpressure, as far as the store climbs it: which step it is on, told at each step up and when it is over. */
#include "agent/loops/store_loop_private.h"
#include "core/log.h"

#define HOLD_NS (60 * WR_NS_PER_S) /* without the high-water mark, as where a lane has used up its share: so long after the last step */

static enum wr_ladder_step step_of(const struct wr_store_loop *loop, const struct wr_store_stats *stats) {
    if (stats->evicted_unacked_segments != loop->evicted_segments)
        return WR_LADDER_EVICTS;
    if (stats->merged_segments != loop->merged_segments)
        return WR_LADDER_MERGES;
    return stats->high_water != 0 ? WR_LADDER_WIDENS : WR_LADDER_NONE;
}

/* That windows are widened is said by the engine, which does it. */
static void say(enum wr_ladder_step step) {
    if (step == WR_LADDER_MERGES)
        WR_LOG(WR_LOG_WARN, "store", "the store is full: the oldest windows that wait are merged into longer ones until it has drained");
    if (step == WR_LADDER_EVICTS)
        WR_LOG(WR_LOG_WARN, "store", "the store is full: the oldest that waits is evicted until it has drained");
}

static void say_that_it_is_over(const struct wr_store_stats *stats) {
    WR_LOG_WITH(WR_LOG_INFO, "store", "the store has drained: nothing is merged or evicted any more",
                WR_LOG_INT("merged_segments", (int64_t)stats->merged_segments),
                WR_LOG_INT("merged_readings", (int64_t)stats->merged_readings),
                WR_LOG_INT("evicted_readings", (int64_t)stats->evicted_readings));
}

void wr_store_loop_climb(struct wr_store_loop *loop, const struct wr_now *now) {
    const struct wr_store_stats *stats = loop->stats;
    const enum wr_ladder_step was = (enum wr_ladder_step)loop->ladder;
    const enum wr_ladder_step step = step_of(loop, stats);
    loop->evicted_segments = stats->evicted_unacked_segments;
    loop->merged_segments = stats->merged_segments;
    loop->ladder_high |= stats->high_water != 0;
    if (step > WR_LADDER_WIDENS)
        loop->climbed_boot_ns = now->boot_ns;
    if (step > was) {
        say(step);
        loop->ladder = step;
    } else if (step == WR_LADDER_NONE && was != WR_LADDER_NONE && (loop->ladder_high || now->boot_ns - loop->climbed_boot_ns >= HOLD_NS)) {
        if (was > WR_LADDER_WIDENS)
            say_that_it_is_over(stats);
        loop->ladder = WR_LADDER_NONE;
        loop->ladder_high = false;
    }
}

const char *wr_ladder_step_name(enum wr_ladder_step step) {
    static const char *const names[] = {
        [WR_LADDER_NONE] = "none", [WR_LADDER_WIDENS] = "widening", [WR_LADDER_MERGES] = "merging", [WR_LADDER_EVICTS] = "evicting"};
    return names[step];
}
