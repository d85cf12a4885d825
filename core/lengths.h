/* The lengths of windows, and how long each may become: one idea of it for the engine, which opens longer windows under pressure, and for the store, which
 * merges what it holds into longer ones.
 *
 * Promise: receivers know windows by series and length. So a length always tells which window of the configuration an aggregate is of, before and after: each
 * becomes one longer length, a multiple of its own, which no other window has, or becomes.
 *
 * Threads: one at a time. Ownership: plain values. Limits: WR_LENGTHS_MAX.
 */
#ifndef WEIR_CORE_LENGTHS_H
#define WEIR_CORE_LENGTHS_H

#include <stdbool.h>
#include <stdint.h>

#define WR_LENGTHS_MAX 64
#define WR_LENGTHS_TIMES 5 /* as long as before, where nothing speaks against it: 1m becomes 5m */

/* Ascending. All zero: none is known. */
struct wr_lengths {
    uint32_t n;
    bool too_many; /* more than WR_LENGTHS_MAX: some are missing */
    int64_t length_ns[WR_LENGTHS_MAX];
    int64_t longer_ns[WR_LENGTHS_MAX]; /* 0: it stays */
};

/* A window of this length is known from now on; what known ones become may change. 0 and less is none. */
void wr_lengths_add(struct wr_lengths *lengths, int64_t length_ns);
/* False: it is not known. */
bool wr_lengths_find(const struct wr_lengths *lengths, int64_t length_ns, uint32_t *ret_number);

#endif
