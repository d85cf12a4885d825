#include "agent/codec/series_cache.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 256
#define FIRST_MEMORY 2048 /* 8-byte steps */
#define PROBES 16         /* beyond, an entry is as good as unknown: no sender can make a look-up long */

#define ENTRY_HEAD offsetof(struct wr_series_entry, text)

void wr_series_cache_init(struct wr_series_cache *cache, size_t max_bytes, uint64_t seed) {
    *cache = (struct wr_series_cache){.seed = seed, .max_bytes = max_bytes};
}

void wr_series_cache_fini(struct wr_series_cache *cache) {
    free(cache->slots);
    free(cache->memory);
    *cache = (struct wr_series_cache){0};
}

WR_INLINE uint64_t hash_both(const struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field) {
    if (!cursor->hashed) {
        cursor->hash = wr_series_cache_hash(cache->seed, cursor->origin.text, cursor->origin.len);
        cursor->hashed = true;
    }
    return wr_series_cache_hash(cursor->hash, field.text, field.len);
}

WR_INLINE uint64_t slot_value(uint64_t hash, uint32_t number) {
    return (hash & ~(uint64_t)UINT32_MAX) | number;
}

uint32_t wr_series_cache_look_up(const struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field) {
    if (cache->n_slots == 0)
        return 0;
    const uint64_t hash = hash_both(cache, cursor, field);
    const uint32_t mask = cache->n_slots - 1;
    uint32_t at = (uint32_t)hash & mask;
    for (int probe = 0; probe < PROBES; probe++, at = (at + 1) & mask) {
        const uint64_t slot = cache->slots[at];
        if (slot == 0)
            return 0;
        if (slot >> 32 == hash >> 32 && wr_series_cache_matches(wr_series_cache_entry(cache, (uint32_t)slot), cursor, field))
            return (uint32_t)slot;
    }
    return 0;
}

/* -- growing --------------------------------------------------------------------------------------------------------------------- */

/* Forgets everything and keeps the memory. */
static void start_anew(struct wr_series_cache *cache) {
    memset(cache->slots, 0, cache->n_slots * sizeof *cache->slots);
    cache->n_used = 0;
    cache->memory_used = 0;
    cache->last = 0;
}

static size_t bytes_of(size_t slots, size_t memory) {
    return slots * sizeof(uint64_t) + memory * sizeof(uint64_t);
}

/* Makes room for one more entry of `steps`. False: there is none; then the cache is as it was. */
static bool grow_memory(struct wr_series_cache *cache, uint32_t steps) {
    uint32_t size = cache->memory_size ? cache->memory_size : FIRST_MEMORY;
    while (size - cache->memory_used < steps) {
        if (size > UINT32_MAX / 2)
            return false;
        size *= 2;
    }
    if (size == cache->memory_size)
        return true;
    if (bytes_of(cache->n_slots, size) > cache->max_bytes)
        return false;
    uint64_t *memory = realloc(cache->memory, (size_t)size * sizeof *memory);
    if (!memory)
        return false;
    cache->memory = memory;
    cache->memory_size = size;
    return true;
}

/* Slots are at most half full. Doubling moves the slots by the hash of the entry's own text. */
static bool grow_slots(struct wr_series_cache *cache) {
    if (cache->n_slots != 0 && cache->n_used < cache->n_slots / 2)
        return true;
    const uint32_t n = cache->n_slots ? cache->n_slots * 2 : FIRST_SLOTS;
    if (bytes_of(n, cache->memory_size) > cache->max_bytes || n > UINT32_MAX / 4)
        return false;
    uint64_t *slots = calloc(n, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < cache->n_slots; i++) {
        if (cache->slots[i] == 0)
            continue;
        const uint32_t number = (uint32_t)cache->slots[i];
        const struct wr_series_entry *entry = wr_series_cache_entry(cache, number);
        const struct wr_word field = {wr_series_cache_field(entry), entry->field_len};
        struct wr_series_cursor cursor = wr_series_cache_begin((struct wr_word){entry->text, entry->origin_len});
        const uint64_t hash = hash_both(cache, &cursor, field);
        uint32_t at = (uint32_t)hash & (n - 1);
        while (slots[at] != 0)
            at = (at + 1) & (n - 1);
        slots[at] = slot_value(hash, number);
    }
    free(cache->slots);
    cache->slots = slots;
    cache->n_slots = n;
    return true;
}

void wr_series_cache_put(struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field, struct wr_series_hit hit) {
    const size_t text = field.len + cursor->origin.len;
    if (text > WR_SERIES_CACHE_TEXT)
        return;
    const uint32_t steps = (uint32_t)((ENTRY_HEAD + text + 2 + 7) / 8);
    if (!grow_slots(cache) || !grow_memory(cache, steps)) {
        if (cache->n_slots == 0)
            return;
        start_anew(cache);
        if (cache->memory_size < steps)
            return;
    }
    const uint64_t hash = hash_both(cache, cursor, field);
    const uint32_t mask = cache->n_slots - 1;
    uint32_t at = (uint32_t)hash & mask;
    for (int probe = 0; cache->slots[at] != 0; probe++, at = (at + 1) & mask)
        if (probe == PROBES)
            return;
    const uint32_t number = cache->memory_used + 1;
    struct wr_series_entry *entry = wr_series_cache_entry(cache, number);
    *entry = (struct wr_series_entry){
        .series = hit.series, .origin_len = (uint16_t)cursor->origin.len, .field_len = (uint16_t)field.len, .type = hit.type};
    char *end = mempcpy(entry->text, cursor->origin.text, cursor->origin.len);
    *end++ = ' ';
    end = mempcpy(end, field.text, field.len);
    *end = '=';
    cache->slots[at] = slot_value(hash, number);
    cache->n_used++;
    cache->memory_used += steps;
    if (cache->last != 0)
        wr_series_cache_entry(cache, cache->last)->next = number;
    cache->last = number;
}
