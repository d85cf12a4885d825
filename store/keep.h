/* How much a lane may keep, and how long: its quota and its time to live.
 *
 * Promise: a lane over its quota makes room in itself: its acknowledged history goes first, oldest first, then what was not sent yet (booked as
 * dropped(evicted)), whatever room the store has. What is older than the time to live is deleted, unsent or not (booked as dropped(expired)). Alarms are
 * looked at last. Segments in flight are spared; they are looked at again. It is done in pieces: WR_KEEP_ROWS rows a transaction of its own, WR_KEEP_ROWS_ALONG
 * in one that is made anyway, so that it costs few commits, and nobody waits for it.
 *   K1  a segment is never taken for older than it is: its age is what the running clock of this boot says, and what the wall clock says only while that is trusted
 *       one that was merged is as old as the youngest that it was made of
 *   K2  the quota counts bodies and WR_KEEP_SEGMENT_BYTES for each segment; a lane is over it for a moment only, or by what is in flight
 *
 * What history a lane has is not on disk: it is counted after each start, in pieces, where there is a quota. The quota holds from then on.
 *
 * Threads: the store's.
 */
#ifndef WEIR_STORE_KEEP_H
#define WEIR_STORE_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"
#include "core/segment.h"

#define WR_KEEP_SEGMENT_BYTES 256 /* row, account list, state, and what is left free in its pages */
#define WR_KEEP_ROWS 32
#define WR_KEEP_ROWS_ALONG 8
#define WR_KEEP_COUNT_ROWS 64
#define WR_KEEP_LOOK_NS (3600 * WR_NS_PER_S) /* at the latest: the clock may have become trusted */
#define WR_KEEP_RETRY_NS (10 * WR_NS_PER_S)  /* what had to go was in flight */
#define WR_KEEP_SLACK_MAX_NS (600 * WR_NS_PER_S)

struct wr_store;
struct wr_codec_header;

/* The walk along a lane to those that are older than their place: elders.c. */
struct wr_elders {
    int64_t at;       /* up to this seq there is none */
    int64_t place_ns; /* boot time at which the youngest up to there was cut */
    int64_t due_ns;   /* boot time of the next look; WR_NEVER_NS: there is none until some are merged */
};

/* Of one lane. */
struct wr_keep {
    uint64_t segments; /* finished ones, of those counted */
    uint64_t bytes;
    uint64_t gone; /* of these, by the transaction at hand */
    uint64_t gone_bytes;
    int64_t counted_to; /* those with a seq below this one are counted, and those of this run */
    int64_t expires_ns; /* boot time: nothing is too old before */
    int64_t look_ns;    /* boot time of the next look */
    int64_t stuck_ns;   /* over its quota, with nothing that can go: not before */
    struct wr_elders elders;
    struct wr_elders elders_before; /* the transaction at hand */
};

/* A database was opened. */
void wr_keep_start(struct wr_store *store);
/* A segment is finished now; a finished one is deleted in the transaction at hand. */
void wr_keep_finished(struct wr_store *store, int lane, int64_t seq, uint64_t bytes);
void wr_keep_removed(struct wr_store *store, int lane, int64_t seq, uint64_t bytes);
/* The transaction at hand was committed, or rolled back. */
void wr_keep_ended(struct wr_store *store, bool committed);

/* Windows were merged: elders stand at the end of the lane now. */
void wr_keep_merged(struct wr_store *store, const struct wr_now *now);

/* Inside a transaction, before a body of this length is put into the lane: makes room within its quota, a few rows of it. */
WR_MUST_USE enum wr_result wr_keep_make_room(struct wr_store *store, int lane, size_t body_bytes, struct wr_error *err);
/* Inside a transaction, before anything is put: deletes a few segments that are too old. */
WR_MUST_USE enum wr_result wr_keep_expire(struct wr_store *store, const struct wr_now *now, struct wr_error *err);

/* When there is something to do that does not go along; WR_NEVER_NS. */
int64_t wr_keep_due(const struct wr_store *store);
/* A piece of it, in a transaction of its own. WR_CORRUPT: the database. */
WR_MUST_USE enum wr_result wr_keep_step(struct wr_store *store, const struct wr_now *now, struct wr_error *err);
/* What the lane takes, as its quota counts it; 0 while that is not known. */
uint64_t wr_keep_bytes(const struct wr_store *store, int lane);

/* How much of their quotas these lanes (bits) need for what nobody has acknowledged: the fullest of them; 0 where they have none. */
unsigned wr_keep_waiting_percent(const struct wr_store *store, unsigned lanes);

/* age.c */
/* How old the segment with this body is at least: K1. */
WR_MUST_USE enum wr_result wr_age_at_least(struct wr_store *store, int64_t seq, const uint8_t *body, size_t len, const struct wr_now *now,
                                           int64_t *ret_age_ns, struct wr_error *err);

/* elders.c */
/* The boot time at which it was cut, below zero before this boot. False: nobody knows well enough. */
bool wr_elders_born(const struct wr_store *store, int64_t seq, const struct wr_codec_header *header, const struct wr_now *now,
                    int64_t *ret_born_ns);
/* The next one that is older than its place by more than slack_ns; it stays the next until it is gone. WR_EMPTY: there is none. WR_FULL: WR_KEEP_COUNT_ROWS were
 * looked at, and there are more. */
WR_MUST_USE enum wr_result wr_elders_next(struct wr_store *store, int lane, const struct wr_now *now, int64_t slack_ns, int64_t *ret_seq,
                                          int64_t *ret_born_ns, struct wr_error *err);

#endif
