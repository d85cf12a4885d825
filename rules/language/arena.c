#include "rules/language/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 16384

struct wr_arena_chunk {
    struct wr_arena_chunk *next;
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char bytes[];
};

void wr_arena_init(struct wr_arena *arena) {
    *arena = (struct wr_arena){0};
}

void wr_arena_fini(struct wr_arena *arena) {
    while (arena->chunks) {
        struct wr_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
    wr_arena_init(arena);
}

void *wr_arena_take(struct wr_arena *arena, size_t bytes) {
    if (arena->failed || bytes > WR_ARENA_MAX - arena->bytes) {
        arena->failed = true;
        return NULL;
    }
    bytes = (bytes + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct wr_arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < bytes) {
        size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = calloc(1, sizeof *chunk + size);
        if (!chunk) {
            arena->failed = true;
            return NULL;
        }
        chunk->size = size;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->bytes += sizeof *chunk + size;
    }
    void *piece = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return piece;
}

char *wr_arena_text(struct wr_arena *arena, const char *text, size_t len) {
    char *copy = wr_arena_take(arena, len + 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}

char *wr_arena_string(struct wr_arena *arena, const char *text) {
    return wr_arena_text(arena, text, strlen(text));
}
