/* Rows that the disk does not give back: whoever looks for old rows passes them over, so that one bad sector never stops what comes.
 *
 * Old rows are read and deleted by the transactions that bring new ones: to make room, or because they are too old. When a read fails, SQLite rolls all of the
 * transaction back. So:
 *   R1  a transaction that failed with WR_IO at an old row is made again at once and passes that row over: WR_REACH_TRIES times; then so often without
 *       housekeeping (quotas, times to live, room beyond the need), which then rests for WR_REACH_REST_NS
 *   R2  where a search fails, all is passed over up to where a search succeeds again: a page of the tree holds several rows
 *   R3  this is remembered only if the transaction then succeeded; where something is only read, if it failed before and after a commit: a disk that
 *       refuses everything says nothing about a row
 *   R4  after WR_REACH_AGAIN_NS, with the next commit, and whenever the database is opened, they are tried again; whoever reads on from where he is has to begin anew
 *       for that: stats.unreadable_again tells
 *   R5  whoever only looks at all of it (a query) need not be sure: it goes on where a search succeeds again, and says that something is left out. Such a hole is known
 *       for WR_REACH_HOLE_NS: a disk that is slow to say no is not asked again with each look
 *
 * Rows that are passed over stay what they are: held, in the books and on the disk. Where nothing else can go either, and the store is full, a commit fails
 * for want of space. Whatever a new row itself must touch (the newest pages, the tables of the books) is not treated here.
 *
 * Threads: the store's. Limits: WR_STORE_RANGES places a lane; rows with no other between them are one.
 */
#ifndef WEIR_STORE_REACH_H
#define WEIR_STORE_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"
#include "core/segment.h"
#include "store/ranges.h"

#define WR_REACH_TRIES 8
#define WR_REACH_REST_NS (60 * WR_NS_PER_S)
#define WR_REACH_AGAIN_NS (3600 * WR_NS_PER_S)
#define WR_REACH_HOLE_NS (60 * WR_NS_PER_S)

struct wr_store;

struct wr_reach_place {
    int lane;
    int64_t seq;
    bool search; /* for the first row from seq on; else it was that row */
};

struct wr_reach {
    struct wr_ranges lost[WR_LANES]; /* seqs that are passed over */
    int64_t again_ns;                /* boot time: they are tried again */
    int64_t rest_ns;                 /* housekeeping rests until then */
    bool bare;                       /* the transaction at hand keeps no house */
    bool failed;                     /* ... failed, here: */
    struct wr_reach_place at;
    struct wr_reach_place read; /* what could not be read last, */
    uint64_t read_commits;      /* ... after so many commits */
    struct wr_ranges holes[WR_LANES];
    int64_t holes_until_ns; /* boot time: they are known */
};

/* Of one transaction, from the first attempt to the last. */
struct wr_reach_tries {
    struct wr_ranges before[WR_LANES];
    uint64_t commits; /* before it, and the epoch */
    uint64_t epoch;
    unsigned n;
    bool forgot; /* R4: it was time to */
};

/* A database was opened. */
void wr_reach_start(struct wr_store *store);
/* Some row is passed over. */
bool wr_reach_has_lost(const struct wr_store *store);
/* The first seq from here on that is not passed over. */
int64_t wr_reach_skip(const struct wr_store *store, int lane, int64_t seq);
/* The last seq in front of what is passed over next; INT64_MAX: nothing is. */
int64_t wr_reach_until(const struct wr_store *store, int lane, int64_t seq);

/* No row of the lane has this seq or a higher one: nothing needs to be read to know that. */
bool wr_reach_is_behind(const struct wr_store *store, int lane, int64_t seq);

/* Remembers where an attempt failed, if it is WR_IO. Returns the result. */
WR_MUST_USE enum wr_result wr_reach_failed(struct wr_store *store, int lane, int64_t seq, bool search, enum wr_result result);
void wr_reach_begin(struct wr_store *store, struct wr_reach_tries *tries, const struct wr_now *now);
/* After an attempt, which is rolled back: whether there shall be another one. */
bool wr_reach_again(struct wr_store *store, struct wr_reach_tries *tries, enum wr_result result);
/* After the last attempt. Only a commit proves that the disk answers (R3): a result of WR_OK alone may mean that nothing was tried. */
void wr_reach_end(struct wr_store *store, const struct wr_reach_tries *tries, enum wr_result result, const struct wr_now *now);

/* Something that is only read failed here. True: it is passed over from now on (R3). */
bool wr_reach_read_failed(struct wr_store *store, int lane, int64_t seq, bool search, enum wr_result result, const struct wr_now *now);

/* The first seq from here on that lies in a known hole; INT64_MAX: none does. */
int64_t wr_reach_next_hole(struct wr_store *store, int lane, int64_t seq, int64_t now_ns);
/* The last seq of the hole that seq lies in, or begins: the search from there failed. */
int64_t wr_reach_hole_end(struct wr_store *store, int lane, int64_t seq, int64_t now_ns);

/* Housekeeping failed in another way, or must not try now. */
void wr_reach_rest(struct wr_store *store, const struct wr_now *now);
bool wr_reach_rests(const struct wr_store *store, const struct wr_now *now);

#endif
