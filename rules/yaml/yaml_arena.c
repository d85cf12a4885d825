#include <stdlib.h>
#include <string.h>

#include "rules/yaml/yaml_private.h"

#define CHUNK_BYTES 16384

struct wr_yaml_chunk {
    struct wr_yaml_chunk *next;
    size_t used;
    size_t cap;
    max_align_t bytes[];
};

void *wr_yaml_arena_take(struct wr_yaml_arena *arena, size_t bytes) {
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct wr_yaml_chunk *chunk = arena->chunks;
    if (!chunk || chunk->cap - chunk->used < bytes) {
        size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + cap);
        if (!chunk)
            return NULL;
        *chunk = (struct wr_yaml_chunk){.next = arena->chunks, .cap = cap};
        arena->chunks = chunk;
    }
    void *taken = (char *)chunk->bytes + chunk->used;
    chunk->used += bytes;
    return memset(taken, 0, bytes);
}

void wr_yaml_arena_fini(struct wr_yaml_arena *arena) {
    while (arena->chunks) {
        struct wr_yaml_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
}
