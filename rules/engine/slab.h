/* The slab: a pool of equal elements with a fixed ceiling, allocated in chunks, addressed by index.
 *
 * Promise: an element never moves; its index is 32 bits wide. Memory comes in chunks of WR_SLAB_CHUNK elements when it is needed first, up to
 * `max` elements, and stays until wr_slab_fini. Chunks start at a cache line, so that elements of 64 bytes are lines of their own.
 * Two ways to use one: as a pool (take, give), or as a sparse array (ensure an index of the caller's choice).
 *
 * Threads: one at a time. Ownership: the struct is caller's memory. Limits: elements of at least 4 bytes (a free one holds the next index).
 */
#ifndef WEIR_RULES_ENGINE_SLAB_H
#define WEIR_RULES_ENGINE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_SLAB_NONE UINT32_MAX
#define WR_SLAB_SHIFT 9
#define WR_SLAB_CHUNK (1u << WR_SLAB_SHIFT)

struct wr_slab {
    void **chunks; /* [chunks_max], NULL until needed */
    void **raw;    /* as malloc gave them */
    uint32_t chunks_max;
    uint32_t element_bytes;
    uint32_t max;
    uint32_t fresh; /* pool: indexes below were taken at least once */
    uint32_t free;  /* pool: first of those given back */
    uint32_t in_use;
    size_t bytes; /* allocated by now */
};

/* Allocates only the directory. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_slab_init(struct wr_slab *slab, uint32_t element_bytes, uint32_t max);
void wr_slab_fini(struct wr_slab *slab);

/* Pool: an index whose element is not initialised, or WR_SLAB_NONE: the ceiling is reached, or there is no memory. */
uint32_t wr_slab_take(struct wr_slab *slab);
void wr_slab_give(struct wr_slab *slab, uint32_t index);

/* Array: makes the chunk of an index; new elements are all zero. WR_LIMIT, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_slab_ensure(struct wr_slab *slab, uint32_t index);

/* The memory of a slab whose elements are all in use. */
size_t wr_slab_bytes(uint32_t element_bytes, uint32_t max);

/* The element; its chunk must exist. Callers cast the chunk themselves where the element size must be a constant. */
static inline void *wr_slab_at(const struct wr_slab *slab, uint32_t index) {
    return (char *)slab->chunks[index >> WR_SLAB_SHIFT] + (size_t)(index & (WR_SLAB_CHUNK - 1)) * slab->element_bytes;
}

#endif
