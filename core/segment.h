/* The segment: the unit in which everything is stored, acknowledged and sent.
 *
 * Its key (node, epoch, seq) is unique for ever: epoch is a random 64-bit number made with each new store, seq is never used twice in it.
 * A receiver that drops known keys has each reading once. A segment that was salvaged out of a broken store keeps its key, and has a place in the
 * store that it was put into: there it is found, acknowledged and evicted by that.
 *
 * Ownership: body belongs to whoever holds the struct; wr_segment_free frees it.
 */
#ifndef WEIR_CORE_SEGMENT_H
#define WEIR_CORE_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "core/correction.h"

enum wr_lane {
    WR_LANE_ALARMS = 0, /* alarms and gaps */
    WR_LANE_CHANGES = 1,
    WR_LANE_WINDOWS = 2,
    WR_LANE_RAW = 3,
    WR_LANES = 4,
};

enum wr_segment_kind {
    WR_SEGMENT_AGGREGATES = 1,
    WR_SEGMENT_ALARMS = 2,
    WR_SEGMENT_GAPS = 3,
    WR_SEGMENT_RAW = 4,
};

#define WR_SEGMENT_RECORDS 1024       /* cut at this many records ... */
#define WR_SEGMENT_READINGS 8192    /* of raw readings there are more in a segment */
#define WR_SEGMENT_BODY_BYTES 65536   /* ... or at this many encoded bytes */
#define WR_SEGMENT_BODY_MAX (1 << 20) /* what a reader accepts */

struct wr_segment {
    uint64_t epoch;
    int64_t seq;
    uint8_t lane; /* enum wr_lane */
    uint8_t kind; /* enum wr_segment_kind */
    int64_t place; /* of a salvaged one: the seq by which its store knows it; 0: its own */
    uint32_t n;   /* records */
    int64_t t0_ns; /* first and last time of its records */
    int64_t t1_ns;
    uint8_t time_quality; /* enum wr_time_quality */
    uint8_t *body; /* magic, length, epoch, seq, CRC, payload: docs/segment-format.md */
    size_t body_len;
};

/* "aggregates", "alarms", "gaps", "raw"; "changes" is lane 1 of kind aggregates. */
const char *wr_segment_kind_name(enum wr_segment_kind kind);
const char *wr_lane_name(enum wr_lane lane);

/* By which the store that holds it knows it. */
static inline int64_t wr_segment_place(const struct wr_segment *segment) { return segment->place != 0 ? segment->place : segment->seq; }

/* Frees the body and clears the struct. NULL and empty are fine. */
void wr_segment_free(struct wr_segment *segment);

#endif
