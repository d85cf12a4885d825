/* The series cache of a source: from what was written (measurement and tags, then a field name) to a series id, without taking the text
 * apart, without the mutex of the series table.
 *
 * Promise: a hit compares every byte; the hash only says where to look. Each entry remembers which one came behind it: senders that go round
 * their sensors in the same order, or send their fields so, need no hash at all, and the entries are read in the order in which they lie in memory.
 * Forgetting is always right, so when the memory is used up the cache starts anew: a source with more series than fit pays the way through
 * the table for some of them, and nothing grows.
 * Threads: one at a time: the source's. Ownership: caller's memory, init/fini.
 * Limits: max_bytes in all; an entry of more than WR_SERIES_CACHE_TEXT bytes of text is not kept.
 */
#ifndef WEIR_AGENT_CODEC_SERIES_CACHE_H
#define WEIR_AGENT_CODEC_SERIES_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/codec/guess.h"
#include "core/scan.h"
#include "core/int128.h"
#include "core/result.h"
#include "core/series.h"

#define WR_SERIES_CACHE_TEXT 4096

struct wr_series_cache {
    uint64_t seed;
    uint64_t *slots;  /* hash above, entry number below; 0: free */
    uint32_t n_slots; /* a power of two, or 0 */
    uint32_t n_used;
    uint64_t *memory; /* entries, one behind the other; their number is their place in 8-byte steps, from 1 */
    uint32_t memory_used;
    uint32_t memory_size;
    uint32_t last; /* the entry found last, or 0 */
    size_t max_bytes;
};

/* Where a record's fields are looked up. */
struct wr_series_cursor {
    struct wr_word origin;
    uint64_t hash; /* of origin, if hashed */
    bool hashed;
};

struct wr_series_hit {
    uint32_t series;
    uint8_t type; /* enum wr_type of the series */
};

/* Allocates nothing. seed: random, so that a sender cannot aim for collisions. */
void wr_series_cache_init(struct wr_series_cache *cache, size_t max_bytes, uint64_t seed);
void wr_series_cache_fini(struct wr_series_cache *cache);

/* Remembers what the table said, if there is memory for it. */
void wr_series_cache_put(struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field, struct wr_series_hit hit);

/* -- the hot path, inline ------------------------------------------------------------------------------------------------------------ */

/* An entry in memory: this head, and the text as line protocol has it: origin, a space, the field's name, an equals sign. */
struct wr_series_entry {
    uint32_t series;
    uint32_t next; /* the entry that came behind this one, or 0 */
    uint16_t origin_len;
    uint16_t field_len;
    uint8_t type;
    char text[];
};

WR_INLINE struct wr_series_entry *wr_series_cache_entry(const struct wr_series_cache *cache, uint32_t number) {
    return (struct wr_series_entry *)(void *)(cache->memory + (number - 1));
}

/* Multiply and fold, as wyhash does. */
WR_INLINE uint64_t wr_series_cache_fold(uint64_t a, uint64_t b) {
    const wr_u128 product = wr_u128_product(a, b);
    return wr_u128_low(product) ^ wr_u128_high(product);
}

WR_INLINE uint64_t wr_series_cache_hash(uint64_t seed, const char *text, size_t len) {
    uint64_t hash = seed ^ len;
    for (; len > 16; text += 16, len -= 16)
        hash = wr_series_cache_fold(wr_scan_load(text) ^ UINT64_C(0xa0761d6478bd642f), wr_scan_load(text + 8) ^ hash);
    uint64_t a;
    uint64_t b = 0;
    if (len > 8) {
        a = wr_scan_load(text);
        b = wr_scan_load(text + len - 8);
    } else {
        a = wr_scan_load_short(text, len);
    }
    return wr_series_cache_fold(a ^ UINT64_C(0xe7037ed1a0b428db), b ^ hash);
}

WR_INLINE const char *wr_series_cache_field(const struct wr_series_entry *entry) {
    return entry->text + entry->origin_len + 1;
}

WR_INLINE bool wr_series_cache_matches(const struct wr_series_entry *entry, const struct wr_series_cursor *cursor, struct wr_word field) {
    return entry->field_len == field.len && entry->origin_len == cursor->origin.len &&
           wr_scan_same(wr_series_cache_field(entry), field.text, field.len) &&
           wr_scan_same(entry->text, cursor->origin.text, cursor->origin.len);
}

WR_INLINE struct wr_series_cursor wr_series_cache_begin(struct wr_word origin) {
    return (struct wr_series_cursor){.origin = origin};
}

/* The entry by its hash, or 0. */
uint32_t wr_series_cache_look_up(const struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field);

WR_INLINE struct wr_series_hit wr_series_cache_go(struct wr_series_cache *cache, uint32_t number) {
    cache->last = number;
    const struct wr_series_entry *entry = wr_series_cache_entry(cache, number);
    return (struct wr_series_hit){entry->series, entry->type};
}

/* The series of the next field of the record; false when it is not known here. */
WR_INLINE bool wr_series_cache_find(struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field,
                                    struct wr_series_hit *ret_hit) {
    struct wr_series_entry *last = cache->last != 0 ? wr_series_cache_entry(cache, cache->last) : NULL;
    uint32_t number = last ? last->next : 0;
    if (number == 0 || !wr_series_cache_matches(wr_series_cache_entry(cache, number), cursor, field)) {
        number = wr_series_cache_look_up(cache, cursor, field);
        if (number == 0)
            return false;
        if (last)
            last->next = number;
    }
    *ret_hit = wr_series_cache_go(cache, number);
    return true;
}

/* What is probably looked up next: the series that came behind the last one. */
WR_INLINE struct wr_guess wr_series_cache_guess(const struct wr_series_cache *cache) {
    const uint32_t number = cache->last != 0 ? wr_series_cache_entry(cache, cache->last)->next : 0;
    if (number == 0)
        return (struct wr_guess){.len = 0};
    const struct wr_series_entry *entry = wr_series_cache_entry(cache, number);
    return (struct wr_guess){.text = entry->text,
                             .len = (uint32_t)entry->origin_len + entry->field_len + 2,
                             .origin_len = entry->origin_len,
                             .field_len = entry->field_len};
}

/* The series of the guess, which was right; nothing was looked up since. */
WR_INLINE struct wr_series_hit wr_series_cache_follow(struct wr_series_cache *cache) {
    return wr_series_cache_go(cache, wr_series_cache_entry(cache, cache->last)->next);
}

#endif
