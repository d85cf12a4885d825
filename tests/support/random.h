/* Reproducible random numbers for property tests: the seed is printed, and WEIR_SEED=N runs the same again.
 *
 * Source: SplitMix64 (Steele, Lea, Flood 2014). Threads: one a generator.
 */
#ifndef WEIR_TESTS_SUPPORT_RANDOM_H
#define WEIR_TESTS_SUPPORT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct wr_random {
    uint64_t state;
};

/* Seeded from WEIR_SEED, else from the kernel; says which. */
struct wr_random wr_random_begin(void);
uint64_t wr_random_u64(struct wr_random *random);
/* 0 .. end - 1, end > 0. */
uint64_t wr_random_below(struct wr_random *random, uint64_t end);

#endif
