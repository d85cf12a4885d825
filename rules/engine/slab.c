#include "rules/engine/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64

static uint32_t chunks_for(uint32_t max) {
    return (max >> WR_SLAB_SHIFT) + ((max & (WR_SLAB_CHUNK - 1)) != 0);
}

static size_t chunk_bytes(uint32_t element_bytes) {
    return (size_t)element_bytes * WR_SLAB_CHUNK + LINE_BYTES;
}

enum wr_result wr_slab_init(struct wr_slab *slab, uint32_t element_bytes, uint32_t max) {
    assert(element_bytes >= sizeof(uint32_t));
    *slab = (struct wr_slab){.element_bytes = element_bytes, .max = max, .free = WR_SLAB_NONE, .chunks_max = chunks_for(max)};
    size_t places = (size_t)slab->chunks_max * 2;
    slab->chunks = calloc(places ? places : 1, sizeof *slab->chunks);
    if (!slab->chunks)
        return WR_NO_MEMORY;
    slab->raw = slab->chunks + slab->chunks_max;
    slab->bytes = places * sizeof *slab->chunks;
    return WR_OK;
}

void wr_slab_fini(struct wr_slab *slab) {
    if (!slab->chunks)
        return;
    for (uint32_t i = 0; i < slab->chunks_max; i++)
        free(slab->raw[i]);
    free(slab->chunks);
    *slab = (struct wr_slab){0};
}

enum wr_result wr_slab_ensure(struct wr_slab *slab, uint32_t index) {
    uint32_t chunk = index >> WR_SLAB_SHIFT;
    if (chunk >= slab->chunks_max)
        return WR_LIMIT;
    if (slab->chunks[chunk])
        return WR_OK;
    size_t bytes = chunk_bytes(slab->element_bytes);
    char *raw = calloc(1, bytes);
    if (!raw)
        return WR_NO_MEMORY;
    slab->raw[chunk] = raw;
    slab->chunks[chunk] = raw + (LINE_BYTES - (uintptr_t)raw % LINE_BYTES) % LINE_BYTES;
    slab->bytes += bytes;
    return WR_OK;
}

uint32_t wr_slab_take(struct wr_slab *slab) {
    uint32_t index = slab->free;
    if (index != WR_SLAB_NONE) {
        memcpy(&slab->free, wr_slab_at(slab, index), sizeof slab->free);
    } else {
        index = slab->fresh;
        if (index >= slab->max || wr_slab_ensure(slab, index) != WR_OK)
            return WR_SLAB_NONE;
        slab->fresh++;
    }
    slab->in_use++;
    return index;
}

void wr_slab_give(struct wr_slab *slab, uint32_t index) {
    assert(slab->in_use > 0);
    memcpy(wr_slab_at(slab, index), &slab->free, sizeof slab->free);
    slab->free = index;
    slab->in_use--;
}

size_t wr_slab_bytes(uint32_t element_bytes, uint32_t max) {
    uint32_t chunks = chunks_for(max);
    return chunks * (chunk_bytes(element_bytes) + 2 * sizeof(void *));
}
