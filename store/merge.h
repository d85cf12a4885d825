/* Merging: aggregates of several segments become fewer, longer ones. Step 3 of the ladder of backpressure, without the database.
 *
 * Promise: all readings stay, and what they come to: n, bad, sum, min, max, first and last of a longer window are those of the windows that it is made of
 * (wr_aggregate_merge). What is lost is resolution: where windows with different starts became one, it has their common, longer length, starts on the grid
 * of that length, and is flagged widened; parts of one and the same window become one without that. What has no partner stays as it is.
 *
 * Whose is it? A body carries no account, and a receiver knows windows by series and length. So a length must always tell which window of the configuration an
 * aggregate is of, before and after:
 *   - only aggregates of exactly a known length, which are not widened, are merged: those are certainly of a window with that length
 *   - only with others of the same series and length; so a reading that two windows took never counts twice in one aggregate
 *   - into the one longer length that belongs to it (core/lengths.h), the same that the engine's widening under pressure gives it
 *   - late ones only with late ones: so that first and last stay those of the readings that came in time, and of those that came late
 *   - each once at most: what is widened already passes as it is
 * Sources are not told apart: they are not by receivers either, which merge equal (series, window, start).
 *
 * Threads: one at a time. Ownership: a merge copies what it keeps of an aggregate (key, texts); its results live until it is cleared or freed.
 * Limits: WR_MERGE_RECORDS aggregates in, WR_MERGE_RESULTS out.
 */
#ifndef WEIR_STORE_MERGE_H
#define WEIR_STORE_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/aggregate.h"
#include "core/lengths.h"
#include "core/result.h"
#include "core/segment.h"
#include "core/symbol.h"

#define WR_MERGE_RECORDS (5 * WR_SEGMENT_RECORDS) /* at once */
#define WR_MERGE_RESULTS (2 * WR_SEGMENT_RECORDS)

struct wr_merge;

/* The lengths must live as long. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_merge_new(const struct wr_lengths *lengths, struct wr_merge **ret_merge);
size_t wr_merge_bytes(void);
void wr_merge_free(struct wr_merge *merge);

/* From here on it is another segment, that can be taken back as a whole. */
void wr_merge_begin(struct wr_merge *merge);
void wr_merge_take_back(struct wr_merge *merge);
/* An aggregate as it was decoded, with the account that it is of, if that is known; those of former segments are older. WR_FULL: too many. WR_INVALID: a change. WR_LIMIT:
 * one of its texts is too long; WR_NO_MEMORY. After an error take the segment back. */
WR_MUST_USE enum wr_result wr_merge_add(struct wr_merge *merge, const struct wr_aggregate *aggregate);

/* What has become of all of them, in memory of the merge. Once. */
void wr_merge_run(struct wr_merge *merge, const struct wr_aggregate **ret_records, uint32_t *ret_n);
/* After the run: readings of windows of length number `length` that are in longer ones now. */
uint64_t wr_merge_lost(const struct wr_merge *merge, uint32_t length);
/* How many there will be. */
uint32_t wr_merge_results(const struct wr_merge *merge);
/* Of those added since the last begin, how many may have partners. */
uint32_t wr_merge_candidates(const struct wr_merge *merge);

/* After the run: the readings of what went into results first .. first + n - 1, one call for each aggregate. `is_longer`: they are in a longer window now. */
typedef void wr_merge_sum_callback(void *user, uint32_t account, uint64_t readings, bool is_longer);
void wr_merge_sum(const struct wr_merge *merge, uint32_t first, uint32_t n, wr_merge_sum_callback *callback, void *user);
/* The texts of its symbols: to encode them. */
const struct wr_symbol_table *wr_merge_texts(const struct wr_merge *merge);

#endif
