#include "core/metrics.h"

#include <math.h>

/* Bucket 0 holds everything below 2^10 ns. Then come four buckets for each power of two: the two bits below the highest set one. The last
 * bucket holds what is above. */
#define FIRST_POWER 10

static unsigned bucket_of(uint64_t ns) {
    if (ns < UINT64_C(1) << FIRST_POWER)
        return 0;
    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    unsigned quarter = (unsigned)(ns >> (power - 2)) & 3;
    unsigned bucket = 1 + (power - FIRST_POWER) * 4 + quarter;
    return bucket < WR_HISTOGRAM_BUCKETS ? bucket : WR_HISTOGRAM_BUCKETS - 1;
}

static int64_t upper_edge(unsigned bucket) {
    if (bucket == 0)
        return INT64_C(1) << FIRST_POWER;
    unsigned octave = (bucket - 1) / 4;
    unsigned quarter = (bucket - 1) % 4;
    return (INT64_C(5) + quarter) << (FIRST_POWER - 2 + octave);
}

void wr_histogram_add(struct wr_histogram *histogram, int64_t ns) {
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    atomic_fetch_add_explicit(&histogram->buckets[bucket_of(value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, value, memory_order_relaxed);
    uint64_t max = atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
    while (value > max &&
           !atomic_compare_exchange_weak_explicit(&histogram->max_ns, &max, value, memory_order_relaxed, memory_order_relaxed))
        ;
}

int64_t wr_histogram_quantile(const struct wr_histogram *histogram, double q) {
    uint64_t seen[WR_HISTOGRAM_BUCKETS]; /* one look at the buckets: they go on counting */
    uint64_t total = 0;
    for (unsigned bucket = 0; bucket < WR_HISTOGRAM_BUCKETS; bucket++) {
        seen[bucket] = atomic_load_explicit(&histogram->buckets[bucket], memory_order_relaxed);
        total += seen[bucket];
    }
    if (total == 0)
        return 0;
    double rank = ceil(q * (double)total);
    uint64_t below = 0;
    unsigned bucket = 0;
    for (; bucket < WR_HISTOGRAM_BUCKETS - 1; bucket++) {
        below += seen[bucket];
        if (below > 0 && (double)below >= rank)
            return upper_edge(bucket);
    }
    return (int64_t)atomic_load_explicit(&histogram->max_ns, memory_order_relaxed); /* the last bucket has no edge */
}
