/* An arena: memory that is given out piece by piece and freed all at once. A compiled rule set lives in one.
 *
 * Promise: pieces are zeroed and aligned for any type. Threads: one at a time. Ownership: wr_arena_fini frees every piece.
 * Limits: WR_ARENA_MAX bytes in all; beyond it, or without memory, NULL, and `failed` stays set so that a caller may check once.
 */
#ifndef WEIR_RULES_LANGUAGE_ARENA_H
#define WEIR_RULES_LANGUAGE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#define WR_ARENA_MAX ((size_t)256 << 20)

struct wr_arena_chunk;

struct wr_arena {
    struct wr_arena_chunk *chunks;
    size_t bytes;
    bool failed;
};

void wr_arena_init(struct wr_arena *arena);
void wr_arena_fini(struct wr_arena *arena);

void *wr_arena_take(struct wr_arena *arena, size_t bytes);
/* NUL-terminated copies. */
char *wr_arena_text(struct wr_arena *arena, const char *text, size_t len);
char *wr_arena_string(struct wr_arena *arena, const char *text);

#endif
