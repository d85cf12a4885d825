#include "core/intern.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64
#define BLOCK_BYTES 65536
#define ALIGNMENT 8

_Static_assert(WR_INTERN_NONE == UINT32_MAX, "all bits set is a free slot");

struct wr_intern_block {
    struct wr_intern_block *next;
    size_t used; /* of room */
    size_t size;
    _Alignas(ALIGNMENT) char room[];
};

static size_t entry_bytes(uint16_t head_bytes, size_t text_bytes) {
    size_t bytes = (size_t)head_bytes + sizeof(uint16_t) + text_bytes + 1;
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t n_pages(uint32_t max) {
    return ((size_t)max + WR_INTERN_PAGE - 1) / WR_INTERN_PAGE;
}

enum wr_result wr_intern_init(struct wr_intern *intern, uint32_t max, uint16_t head_bytes,
                              void (*made)(void *entry, uint32_t id, uint64_t hash)) {
    *intern = (struct wr_intern){.max = max < WR_INTERN_NONE ? max : WR_INTERN_NONE - 1, .head_bytes = head_bytes, .made = made};
    intern->pages = calloc(n_pages(intern->max) + 1, sizeof *intern->pages);
    if (!intern->pages)
        return WR_NO_MEMORY;
    pthread_mutex_init(&intern->lock, NULL);
    return WR_OK;
}

void wr_intern_fini(struct wr_intern *intern) {
    for (struct wr_intern_block *block = intern->blocks; block;) {
        struct wr_intern_block *next = block->next;
        free(block);
        block = next;
    }
    for (size_t page = 0; page < n_pages(intern->max); page++)
        free(intern->pages[page]);
    free(intern->pages);
    free(intern->slots);
    pthread_mutex_destroy(&intern->lock);
}

static void *get(const struct wr_intern *intern, uint32_t id) {
    return intern->pages[id / WR_INTERN_PAGE][id % WR_INTERN_PAGE];
}

static bool has_text(const struct wr_intern *intern, uint32_t id, const char *text, size_t len) {
    const char *entry = get(intern, id);
    uint16_t entry_len;
    memcpy(&entry_len, entry + intern->head_bytes, sizeof entry_len);
    return entry_len == len && memcmp(entry + intern->head_bytes + sizeof entry_len, text, len) == 0;
}

/* The slot of a text, or the free slot where it belongs. There is always a free one. */
static struct wr_intern_slot *probe(const struct wr_intern *intern, const char *text, size_t len, uint64_t hash) {
    uint32_t tag = (uint32_t)hash;
    size_t mask = intern->n_slots - 1;
    for (size_t at = tag & mask;; at = (at + 1) & mask) {
        struct wr_intern_slot *slot = &intern->slots[at];
        if (slot->id == WR_INTERN_NONE || (slot->tag == tag && has_text(intern, slot->id, text, len)))
            return slot;
    }
}

/* Makes sure that one more entry leaves an eighth of the slots free. */
static enum wr_result reserve_slot(struct wr_intern *intern, uint32_t count) {
    if (intern->n_slots > 0 && count + 1 <= intern->n_slots / 8 * 7)
        return WR_OK;
    size_t n_slots = intern->n_slots > 0 ? intern->n_slots * 2 : FIRST_SLOTS;
    struct wr_intern_slot *slots = malloc(n_slots * sizeof *slots);
    if (!slots)
        return WR_NO_MEMORY;
    memset(slots, 0xFF, n_slots * sizeof *slots); /* every id WR_INTERN_NONE */
    for (size_t old = 0; old < intern->n_slots; old++) {
        if (intern->slots[old].id == WR_INTERN_NONE)
            continue;
        size_t at = intern->slots[old].tag & (n_slots - 1);
        while (slots[at].id != WR_INTERN_NONE)
            at = (at + 1) & (n_slots - 1);
        slots[at] = intern->slots[old];
    }
    free(intern->slots);
    intern->slots = slots;
    intern->n_slots = n_slots;
    return WR_OK;
}

/* The place of the pointer to entry `id`. */
static void **reserve_pointer(struct wr_intern *intern, uint32_t id) {
    void ***page = &intern->pages[id / WR_INTERN_PAGE];
    if (!*page)
        *page = malloc(WR_INTERN_PAGE * sizeof **page);
    return *page ? *page + id % WR_INTERN_PAGE : NULL;
}

static char *take_room(struct wr_intern *intern, size_t bytes) {
    struct wr_intern_block *block = intern->blocks;
    if (!block || block->size - block->used < bytes) {
        size_t size = BLOCK_BYTES - sizeof *block > bytes ? BLOCK_BYTES - sizeof *block : bytes;
        block = malloc(sizeof *block + size);
        if (!block)
            return NULL;
        *block = (struct wr_intern_block){.next = intern->blocks, .size = size};
        intern->blocks = block;
    }
    char *room = block->room + block->used;
    block->used += bytes;
    return room;
}

/* Writes the entry and shows it: the count is what readers without the lock look at. */
static enum wr_result make(struct wr_intern *intern, const char *text, size_t len, uint64_t hash, uint32_t *ret_id) {
    uint32_t id = atomic_load_explicit(&intern->count, memory_order_relaxed);
    if (id >= intern->max || len > UINT16_MAX)
        return WR_LIMIT;
    WR_TRY(reserve_slot(intern, id));
    void **pointer = reserve_pointer(intern, id);
    char *entry = pointer ? take_room(intern, entry_bytes(intern->head_bytes, len)) : NULL;
    if (!entry)
        return WR_NO_MEMORY;
    uint16_t entry_len = (uint16_t)len;
    memset(entry, 0, intern->head_bytes);
    memcpy(entry + intern->head_bytes, &entry_len, sizeof entry_len);
    memcpy(entry + intern->head_bytes + sizeof entry_len, text, len);
    entry[intern->head_bytes + sizeof entry_len + len] = '\0';
    intern->made(entry, id, hash);
    *pointer = entry;
    *probe(intern, text, len, hash) = (struct wr_intern_slot){.tag = (uint32_t)hash, .id = id};
    atomic_store_explicit(&intern->count, id + 1, memory_order_release);
    *ret_id = id;
    return WR_OK;
}

enum wr_result wr_intern_put(struct wr_intern *intern, const char *text, size_t len, uint64_t hash, uint32_t *ret_id) {
    enum wr_result result = WR_OK;
    pthread_mutex_lock(&intern->lock);
    uint32_t id = intern->n_slots > 0 ? probe(intern, text, len, hash)->id : WR_INTERN_NONE;
    if (id != WR_INTERN_NONE)
        *ret_id = id;
    else
        result = make(intern, text, len, hash, ret_id);
    pthread_mutex_unlock(&intern->lock);
    return result;
}

uint32_t wr_intern_find(const struct wr_intern *intern, const char *text, size_t len, uint64_t hash) {
    pthread_mutex_t *lock = (pthread_mutex_t *)&intern->lock; /* looking does not change the table, only its lock */
    pthread_mutex_lock(lock);
    uint32_t id = intern->n_slots > 0 ? probe(intern, text, len, hash)->id : WR_INTERN_NONE;
    pthread_mutex_unlock(lock);
    return id;
}

void *wr_intern_get(const struct wr_intern *intern, uint32_t id) {
    return id < atomic_load_explicit(&intern->count, memory_order_acquire) ? get(intern, id) : NULL;
}

uint32_t wr_intern_count(const struct wr_intern *intern) {
    return atomic_load_explicit(&intern->count, memory_order_acquire);
}

size_t wr_intern_bytes(uint32_t max, uint16_t head_bytes, size_t text_bytes) {
    size_t n_slots = FIRST_SLOTS;
    while (n_slots / 8 * 7 < max)
        n_slots *= 2;
    size_t entry = entry_bytes(head_bytes, text_bytes) + ALIGNMENT; /* single texts may round up more than the average does */
    size_t blocks = max * entry / (BLOCK_BYTES / 2) + 1;            /* a long text may leave the end of a block unused */
    size_t pages = n_pages(max) * WR_INTERN_PAGE * sizeof(void *) + (n_pages(max) + 1) * sizeof(void **);
    /* While the hash table grows, the old half is still there. */
    return blocks * BLOCK_BYTES / 2 + BLOCK_BYTES + pages + n_slots / 2 * 3 * sizeof(struct wr_intern_slot);
}
