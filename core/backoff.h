/* Backoff with full jitter: how long to wait before something that failed is tried again.
 *
 * Promise: the pause is anywhere between nothing and a cap that doubles with each failure, from min to max; what has run for `stable_ns` counts as
 * good: then the next failure begins again at min. So a crowd does not come back in step, and what fails at once does not spin.
 * Threads: one at a time; pure: time and randomness are arguments. Units: CLOCK_BOOTTIME ns.
 * Source: M. Brooker, "Exponential Backoff And Jitter" (2015), full jitter.
 */
#ifndef WEIR_CORE_BACKOFF_H
#define WEIR_CORE_BACKOFF_H

#include <stdint.h>

struct wr_backoff {
    int64_t min_ns;    /* cap of the first pause */
    int64_t max_ns;    /* largest cap, >= min_ns */
    int64_t stable_ns; /* what ran so long was no failure */
    uint32_t failures; /* in a row */
};

/* The cap after `failures` failures in a row. */
static inline int64_t wr_backoff_cap_ns(const struct wr_backoff *backoff) {
    int64_t cap_ns = backoff->min_ns;
    for (uint32_t i = 0; i < backoff->failures && cap_ns < backoff->max_ns; i++)
        cap_ns = cap_ns > backoff->max_ns / 2 ? backoff->max_ns : cap_ns * 2;
    return cap_ns;
}

/* It ended, after running for ran_ns. Returns the pause before the next try. */
static inline int64_t wr_backoff_ended(struct wr_backoff *backoff, int64_t ran_ns, uint64_t random) {
    if (ran_ns >= backoff->stable_ns)
        backoff->failures = 0;
    const int64_t pause_ns = (int64_t)(random % ((uint64_t)wr_backoff_cap_ns(backoff) + 1));
    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    return pause_ns;
}

#endif
