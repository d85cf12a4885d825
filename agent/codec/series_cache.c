#include "agent/codec/series_cache.h"

#include <stdlib.h>
#include <string.h>

#include "agent/codec/scan.h"

#define FIRST_SLOTS 256
#define FIRST_MEMORY 2048 /* 8-byte steps */
#define PROBES 16         /* beyond, an entry is as good as unknown: no sender can make a look-up long */

/* An entry in memory: this head, the field's text, the origin's text. */
struct entry {
    uint32_t series;
    uint32_t next; /* the entry that came behind this one in the same record, or 0 */
    uint16_t origin_len;
    uint16_t field_len;
    uint8_t type;
    char text[];
};

#define ENTRY_HEAD offsetof(struct entry, text)

static struct entry *entry_at(const struct wr_series_cache *cache, uint32_t number) {
    return (struct entry *)(void *)(cache->memory + (number - 1));
}

void wr_series_cache_init(struct wr_series_cache *cache, size_t max_bytes, uint64_t seed) {
    *cache = (struct wr_series_cache){.seed = seed, .max_bytes = max_bytes};
}

void wr_series_cache_fini(struct wr_series_cache *cache) {
    free(cache->slots);
    free(cache->memory);
    *cache = (struct wr_series_cache){0};
}

/* -- hash: multiply and fold, as wyhash does ------------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 wide;

WR_INLINE uint64_t fold(uint64_t a, uint64_t b) {
    const wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* All of a text of at most 8 bytes, without reading outside of it. */
WR_INLINE uint64_t load_short(const char *text, size_t len) {
    if (len >= 4) {
        uint32_t low;
        uint32_t high;
        memcpy(&low, text, 4);
        memcpy(&high, text + len - 4, 4);
        return (uint64_t)high << 32 | low;
    }
    return len == 0 ? 0 : (uint64_t)(uint8_t)text[0] << 16 | (uint64_t)(uint8_t)text[len / 2] << 8 | (uint8_t)text[len - 1];
}

WR_INLINE uint64_t hash_text(uint64_t seed, const char *text, size_t len) {
    uint64_t hash = seed ^ len;
    for (; len > 16; text += 16, len -= 16)
        hash = fold(wr_scan_load(text) ^ UINT64_C(0xa0761d6478bd642f), wr_scan_load(text + 8) ^ hash);
    uint64_t a;
    uint64_t b = 0;
    if (len > 8) {
        a = wr_scan_load(text);
        b = wr_scan_load(text + len - 8);
    } else {
        a = load_short(text, len);
    }
    return fold(a ^ UINT64_C(0xe7037ed1a0b428db), b ^ hash);
}

/* -- look-up --------------------------------------------------------------------------------------------------------------------- */

struct wr_series_cursor wr_series_cache_begin(const struct wr_series_cache *cache, struct wr_word origin) {
    return (struct wr_series_cursor){.origin = origin, .hash = hash_text(cache->seed, origin.text, origin.len)};
}

/* Texts of the same length. */
WR_INLINE bool equal(const char *a, const char *b, size_t len) {
    for (; len > 8; a += 8, b += 8, len -= 8)
        if (wr_scan_load(a) != wr_scan_load(b))
            return false;
    return load_short(a, len) == load_short(b, len);
}

static bool matches(const struct entry *entry, const struct wr_series_cursor *cursor, struct wr_word field) {
    return entry->field_len == field.len && entry->origin_len == cursor->origin.len && equal(entry->text, field.text, field.len) &&
           equal(entry->text + field.len, cursor->origin.text, cursor->origin.len);
}

static uint64_t hash_both(const struct wr_series_cursor *cursor, struct wr_word field) {
    return hash_text(cursor->hash, field.text, field.len);
}

static uint64_t slot_value(uint64_t hash, uint32_t number) {
    return (hash & ~(uint64_t)UINT32_MAX) | number;
}

static uint32_t look_up(const struct wr_series_cache *cache, const struct wr_series_cursor *cursor, struct wr_word field, uint64_t hash) {
    const uint32_t mask = cache->n_slots - 1;
    uint32_t at = (uint32_t)hash & mask;
    for (int probe = 0; probe < PROBES; probe++, at = (at + 1) & mask) {
        const uint64_t slot = cache->slots[at];
        if (slot == 0)
            return 0;
        if (slot >> 32 == hash >> 32 && matches(entry_at(cache, (uint32_t)slot), cursor, field))
            return (uint32_t)slot;
    }
    return 0;
}

bool wr_series_cache_find(struct wr_series_cache *cache, struct wr_series_cursor *cursor, struct wr_word field,
                          struct wr_series_hit *ret_hit) {
    if (cache->n_slots == 0)
        return false;
    struct entry *previous = cursor->previous != 0 ? entry_at(cache, cursor->previous) : NULL;
    uint32_t number = previous ? previous->next : 0;
    if (number == 0 || !matches(entry_at(cache, number), cursor, field)) {
        number = look_up(cache, cursor, field, hash_both(cursor, field));
        if (number == 0)
            return false;
        if (previous)
            previous->next = number;
    }
    cursor->previous = number;
    const struct entry *entry = entry_at(cache, number);
    *ret_hit = (struct wr_series_hit){entry->series, entry->type};
    return true;
}

/* -- growing --------------------------------------------------------------------------------------------------------------------- */

/* Forgets everything and keeps the memory. */
static void start_anew(struct wr_series_cache *cache) {
    memset(cache->slots, 0, cache->n_slots * sizeof *cache->slots);
    cache->n_used = 0;
    cache->memory_used = 0;
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
        const struct entry *entry = entry_at(cache, number);
        const struct wr_word field = {entry->text, entry->field_len};
        const struct wr_series_cursor cursor =
            wr_series_cache_begin(cache, (struct wr_word){entry->text + entry->field_len, entry->origin_len});
        const uint64_t hash = hash_both(&cursor, field);
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
    const uint32_t steps = (uint32_t)((ENTRY_HEAD + text + 7) / 8);
    if (!grow_slots(cache) || !grow_memory(cache, steps)) {
        if (cache->n_slots == 0)
            return;
        start_anew(cache);
        cursor->previous = 0;
        if (cache->memory_size < steps)
            return;
    }
    const uint64_t hash = hash_both(cursor, field);
    const uint32_t mask = cache->n_slots - 1;
    uint32_t at = (uint32_t)hash & mask;
    for (int probe = 0; cache->slots[at] != 0; probe++, at = (at + 1) & mask)
        if (probe == PROBES)
            return;
    const uint32_t number = cache->memory_used + 1;
    struct entry *entry = entry_at(cache, number);
    *entry = (struct entry){
        .series = hit.series, .origin_len = (uint16_t)cursor->origin.len, .field_len = (uint16_t)field.len, .type = hit.type};
    memcpy(entry->text, field.text, field.len);
    memcpy(entry->text + field.len, cursor->origin.text, cursor->origin.len);
    cache->slots[at] = slot_value(hash, number);
    cache->n_used++;
    cache->memory_used += steps;
    if (cursor->previous != 0)
        entry_at(cache, cursor->previous)->next = number;
    cursor->previous = number;
}
