/* What a store holds, as readings for a replay: an hour or a week of its past, in the order of time.
 *
 * A change is one reading. A window is up to four: its first reading at its begin, its last at its end, and the lowest and the highest between them, in the order that makes the
 * shorter way; so limits are passed as they were, while delays are right to a window, and what counts readings or means them is not. Where a series was stored in windows of
 * several lengths the shortest are taken. Bad readings have left no value, and are not fed.
 * Raw readings that were kept stand in place of a window if all of its readings are there (of one longer than a slice: if some are, in its first minutes), bad ones too.
 *
 * Threads: one. Ownership: the history outlives it. Limits: WR_PLAY_SERIES series; a slice of WR_HISTORY_FEED_SLICE_NS is in memory. Errors: those of the history.
 */
#ifndef WEIR_AGENT_REPLAY_HISTORY_FEED_H
#define WEIR_AGENT_REPLAY_HISTORY_FEED_H

#include "agent/codec/record.h"
#include "store/history.h"

#define WR_HISTORY_FEED_SLICE_NS (15 * 60 * WR_NS_PER_S)
#define WR_HISTORY_FEED_RAW_SLICE_NS (60 * WR_NS_PER_S) /* where there are raw readings */

struct wr_history_feed {
    struct wr_history history;
    int64_t from_ns; /* begins of windows */
    int64_t to_ns;
    uint64_t damaged;    /* out: segments left out, each slice counts its own */
    uint64_t unreadable; /* out: places of the store that cannot be read, the most that a slice met: they are the same for all */
};

/* Tells the sink everything; it may end it. user: a struct wr_history_feed. */
WR_MUST_USE enum wr_result wr_history_feed(void *user, const struct wr_sink *sink, struct wr_error *err);

#endif
