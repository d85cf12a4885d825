/* History: what the store holds, for whoever asks: the heads of its segments, and one body at a time.
 *
 * Promise: a store that nobody has open is read without changing it. A running agent's is asked over the same struct wr_history: whoever asks does not see which.
 * What a clock has stamped that could not be trusted is found at the right time, as far as it is known by now (store/correct.c); bodies stay as they were cut.
 * Heads are found by a scan over rows, so many at a call that an alarm's commit never waits long; bodies come one by one for the same reason.
 * What the disk does not give back is passed over: rows are counted as places of the walk, a body is WR_CORRUPT like one that is damaged.
 * A segment may go (evicted for its space) between its head and its body: that is WR_NOT_FOUND, and no error.
 *
 * Threads: one at a time. Ownership: bodies belong to the caller (wr_segment_free). Units: wall times in ns.
 */
#ifndef WEIR_STORE_HISTORY_H
#define WEIR_STORE_HISTORY_H

#include "store/store.h"

#define WR_HISTORY_HEADS 256 /* rows that one call looks at */

/* What is known of a segment without its body. */
struct wr_segment_head {
    int64_t seq;
    int64_t t0_ns; /* none of its records begins before, none ends behind: with their times as they are by now */
    int64_t t1_ns;
    uint32_t n;
    uint32_t body_bytes;
    uint8_t lane;         /* enum wr_lane */
    uint8_t kind;         /* enum wr_segment_kind */
    uint8_t time_quality; /* enum wr_time_quality, by now */
    bool delivered;
    struct wr_correction correction; /* of the times that stand in its body; it moves nothing where they are right */
};

/* A walk over the heads of one lane, in the order of their seqs. */
struct wr_history_walk {
    enum wr_lane lane;
    int64_t from_ns; /* only those that reach into from_ns..to_ns */
    int64_t to_ns;
    int64_t after;       /* the seq that was looked at last; 0 at the beginning */
    bool is_over;        /* no row is behind it */
    uint32_t unreadable; /* places that were passed over so far, since the disk does not give them back: nobody knows what time they are of */
};

/* Where history comes from. */
struct wr_history {
    void *user;
    /* The next heads of the walk into heads[WR_HISTORY_HEADS]; *ret_n may be 0 before it is over. */
    enum wr_result (*heads)(void *user, struct wr_history_walk *walk, struct wr_segment_head *heads, uint32_t *ret_n, struct wr_error *err);
    /* The body of heads[0]; those of the rest, n - 1, will probably be asked for next, in this order. WR_NOT_FOUND, WR_CORRUPT. */
    enum wr_result (*body)(void *user, const struct wr_segment_head *heads, uint32_t n, struct wr_segment *ret_segment,
                           struct wr_error *err);
};

/* The next WR_HISTORY_HEADS rows of the walk, or fewer. */
WR_MUST_USE enum wr_result wr_store_heads(struct wr_store *store, struct wr_history_walk *walk, struct wr_segment_head *heads,
                                          uint32_t *ret_n, struct wr_error *err);

/* Moves the ends t0..t1 of a segment to where its records are once they are corrected: those that the clock cannot have stamped stay where they were. */
void wr_history_move(const struct wr_correction *correction, int64_t *t0_ns, int64_t *t1_ns);

/* Opens the store in a directory to look at its history, until wr_store_abandon. WR_BUSY: an agent has it open; WR_NOT_FOUND, WR_CORRUPT, WR_UNSUPPORTED. */
WR_MUST_USE enum wr_result wr_history_open(const char *path, struct wr_store **ret_store, struct wr_error *err);
/* The history of an open store. */
struct wr_history wr_history_of_store(struct wr_store *store);

#endif
