/* Interning: byte strings to dense ids (0, 1, 2, ...), the mechanism under the series table and the symbol table.
 *
 * An entry is `head_bytes` that belong to the owner of the table, then a u16 length, then the bytes, a NUL behind them. It never moves and
 * lives until wr_intern_fini. `made` fills the head of a new entry before anybody else can see it.
 *
 * Layout: entries lie in arena blocks; ids find them through pages of pointers; a hash table with open addressing and linear probing finds
 * ids. One slot holds 32 bits of the hash beside the id: they place it, and spare most looks at the entry of another key.
 *
 * Threads: put and find take one mutex; get and count take none.
 * Limits: `max` entries, texts of at most UINT16_MAX bytes.
 */
#ifndef WEIR_CORE_INTERN_H
#define WEIR_CORE_INTERN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_INTERN_NONE UINT32_MAX
#define WR_INTERN_PAGE 1024 /* entries a page of pointers */

struct wr_intern_slot {
    uint32_t tag; /* lower half of the hash; its low bits are the slot's place */
    uint32_t id;  /* WR_INTERN_NONE: free */
};

struct wr_intern_block;

struct wr_intern {
    pthread_mutex_t lock;
    struct wr_intern_slot *slots; /* under the lock */
    size_t n_slots;               /* a power of two */
    struct wr_intern_block *blocks;
    void ***pages; /* [max / WR_INTERN_PAGE]; an element is written once, before the count that covers it */
    uint32_t max;
    uint16_t head_bytes;
    void (*made)(void *entry, uint32_t id, uint64_t hash);
    _Atomic uint32_t count;
};

/* WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_intern_init(struct wr_intern *intern, uint32_t max, uint16_t head_bytes,
                                          void (*made)(void *entry, uint32_t id, uint64_t hash));
/* The id of text[len], made if it is new. WR_LIMIT, WR_NO_MEMORY: then nothing has changed. */
WR_MUST_USE enum wr_result wr_intern_put(struct wr_intern *intern, const char *text, size_t len, uint64_t hash, uint32_t *ret_id);
/* The id, or WR_INTERN_NONE. */
uint32_t wr_intern_find(const struct wr_intern *intern, const char *text, size_t len, uint64_t hash);
/* The entry, or NULL for an id that was never given. */
void *wr_intern_get(const struct wr_intern *intern, uint32_t id);
uint32_t wr_intern_count(const struct wr_intern *intern);
void wr_intern_fini(struct wr_intern *intern);

/* Upper bound of the memory of a full table whose texts have text_bytes on average. */
size_t wr_intern_bytes(uint32_t max, uint16_t head_bytes, size_t text_bytes);

#endif
