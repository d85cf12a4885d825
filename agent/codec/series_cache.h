/* The series cache of a source: from what was written (measurement and tags, then a field name) to a series id, without taking the text
 * apart, without the mutex of the series table.
 *
 * Promise: a hit compares every byte; the hash only says where to look. A line whose fields come in the order of the line before it from the
 * same device costs one hash in all: each entry remembers which one came next. Forgetting is always right, so when the memory is used up the cache
 * starts anew: a source with more series than fit pays the way through the table for some of them, and nothing grows.
 * Threads: one at a time: the source's. Ownership: caller's memory, init/fini.
 * Limits: max_bytes in all; an entry of more than WR_SERIES_CACHE_TEXT bytes of text is not kept.
 */
#ifndef WEIR_AGENT_CODEC_SERIES_CACHE_H
#define WEIR_AGENT_CODEC_SERIES_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"
#include "core/series.h"

#define WR_SERIES_CACHE_TEXT 4096

struct wr_series_cache {
    uint64_t seed;
    uint64_t *slots; /* hash above, entry number below; 0: free */
    uint32_t n_slots; /* a power of two, or 0 */
    uint32_t n_used;
    uint64_t *memory; /* entries, one behind the other; their number is their place in 8-byte steps, from 1 */
    uint32_t memory_used;
    uint32_t memory_size;
    size_t max_bytes;
};

/* Where a record's fields are looked up. */
struct wr_series_cursor {
    struct wr_word origin;
    uint64_t hash;
    uint32_t previous; /* entry of the field before, or 0 */
};

struct wr_series_hit {
    uint32_t series;
    uint8_t type; /* enum wr_type of the series */
};

/* Allocates nothing. seed: random, so that a sender cannot aim for collisions. */
void wr_series_cache_init(struct wr_series_cache *cache, size_t max_bytes, uint64_t seed);
void wr_series_cache_fini(struct wr_series_cache *cache);

struct wr_series_cursor wr_series_cache_begin(const struct wr_series_cache *cache, struct wr_word origin);

/* The series of the next field of the record; false when it is not known here. */
bool wr_series_cache_find(struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field,
                          struct wr_series_hit *ret_hit);

/* Remembers what the table said, if there is memory for it. */
void wr_series_cache_put(struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field, struct wr_series_hit hit);

#endif
