/* Runs: the records of a segment that belong together (one series, type and window), in the order of their keys.
 *
 * Threads: none; pure functions. Limits: as many runs and records as a uint16_t counts.
 */
#ifndef WEIR_STORE_RUNS_H
#define WEIR_STORE_RUNS_H

#include <stddef.h>
#include <stdint.h>

struct wr_run {
    const char *key;
    int64_t window_ns; /* 0 of raw readings */
    uint32_t count;
    uint32_t at; /* where its records begin in the order of the segment */
    uint16_t key_len;
    uint8_t type;
};

/* sorted[] becomes the numbers of the runs by key, then window, then as they were found; order[] the n records run by run, those of one run as they came.
 * run_of[] says which run a record is of. Each run gets its `at`. */
void wr_runs_sort(struct wr_run *runs, uint32_t n_runs, const uint16_t *run_of, size_t n, uint16_t *sorted, uint16_t *order);

/* How many bytes the key of a run shares with that of the one before it (NULL: none). */
size_t wr_runs_shared(const struct wr_run *before, const struct wr_run *run);

#endif
