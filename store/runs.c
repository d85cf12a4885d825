#include "store/runs.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right, void *user) {
    const struct wr_run *runs = user;
    const struct wr_run *a = &runs[*(const uint16_t *)left];
    const struct wr_run *b = &runs[*(const uint16_t *)right];
    const size_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    int difference = memcmp(a->key, b->key, shorter);
    if (difference == 0)
        difference = (a->key_len > b->key_len) - (a->key_len < b->key_len);
    if (difference == 0)
        difference = (a->window_ns > b->window_ns) - (a->window_ns < b->window_ns);
    return difference != 0 ? difference : (a > b) - (a < b);
}

void wr_runs_sort(struct wr_run *runs, uint32_t n_runs, const uint16_t *run_of, size_t n, uint16_t *sorted, uint16_t *order) {
    for (uint32_t i = 0; i < n_runs; i++)
        sorted[i] = (uint16_t)i;
    qsort_r(sorted, n_runs, sizeof sorted[0], compare, runs);
    uint32_t at = 0;
    for (uint32_t i = 0; i < n_runs; i++) {
        struct wr_run *run = &runs[sorted[i]];
        run->at = at;
        at += run->count;
        run->count = 0; /* counts up again below */
    }
    for (size_t i = 0; i < n; i++) {
        struct wr_run *run = &runs[run_of[i]];
        order[run->at + run->count++] = (uint16_t)i;
    }
}

size_t wr_runs_shared(const struct wr_run *before, const struct wr_run *run) {
    if (!before)
        return 0;
    const size_t shorter = before->key_len < run->key_len ? before->key_len : run->key_len;
    size_t shared = 0;
    while (shared < shorter && before->key[shared] == run->key[shared])
        shared++;
    return shared;
}
