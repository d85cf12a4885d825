/* Ranges: the finished segments of a lane as disjoint, sorted ranges of seqs. Pure.
 *
 * Seqs are shared by all lanes, so the seqs of one lane have holes: whether two ranges touch is asked from the caller.
 * Threads: none. Limits: WR_STORE_RANGES ranges.
 */
#ifndef WEIR_STORE_RANGES_H
#define WEIR_STORE_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/result.h"
#include "store/store.h"

struct wr_range {
    int64_t first;
    int64_t last;
};

struct wr_ranges {
    uint32_t n;
    struct wr_range at[WR_STORE_RANGES];
};

/* True if the lane has a segment with a < seq < b. */
typedef bool wr_ranges_between(void *user, int64_t a, int64_t b);

/* The range that holds seq, or NULL. */
const struct wr_range *wr_ranges_find(const struct wr_ranges *ranges, int64_t seq);
/* Adds first..last, merges what overlaps or touches. WR_FULL: one more range would be too many; nothing is changed. */
WR_MUST_USE enum wr_result wr_ranges_add(struct wr_ranges *ranges, int64_t first, int64_t last, wr_ranges_between *between, void *user);
void wr_ranges_remove(struct wr_ranges *ranges, uint32_t index);
/* Sorted, disjoint, not empty. */
bool wr_ranges_valid(const struct wr_ranges *ranges);

#endif
