/* The nearest of many names: for "did you mean 'rise'?".
 *
 * Near is by edit distance, a swap of neighbours counting one: a third of the letters may be wrong, at most three.
 * Threads: none; pure. Limits: names longer than WR_NEAREST_BYTES are near nothing.
 */
#ifndef WEIR_CORE_NEAREST_H
#define WEIR_CORE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

#define WR_NEAREST_BYTES 64

struct wr_nearest {
    const char *word;
    size_t len;
    unsigned best; /* a name must be nearer than this */
};

/* word must outlive it. */
void wr_nearest_init(struct wr_nearest *nearest, const char *word);
/* True if name is nearer than all before it. */
bool wr_nearest_take(struct wr_nearest *nearest, const char *name);

/* The nearest of n names, or NULL when none is near. NULLs in names are skipped. */
const char *wr_nearest_name(const char *word, const char *const *names, size_t n);

#endif
