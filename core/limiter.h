/* The limiter: a token bucket, in one word.
 *
 * Promise: over any stretch of time no more than `burst` tokens plus what the rate gives in it and one nanosecond are handed out, and nothing is
 * handed out in part. A limiter that is all zero is a full bucket, so that it can be static. It is pure: the time is an argument.
 *
 * How it works: instead of a level that must be filled, the word holds the time at which the bucket will be full again. A take moves it on
 * by what its tokens cost; it is refused if the bucket would then be full later than `burst` tokens from now. A clock that steps back only
 * makes the bucket look emptier until it has caught up.
 *
 * Threads: any, without a lock. Ownership: caller's memory. Limits: burst * per_ns / tokens below 2^62 ns (146 years).
 * Units: nanoseconds of any one clock that does not step; times >= 0.
 * Source: ITU-T I.371, generic cell rate algorithm, virtual scheduling.
 */
#ifndef WEIR_CORE_LIMITER_H
#define WEIR_CORE_LIMITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* `tokens` each `per_ns`, both > 0; at most `burst` > 0 at once. */
struct wr_limiter_rate {
    uint32_t tokens;
    uint32_t burst;
    int64_t per_ns;
};

struct wr_limiter {
    _Atomic int64_t full_ns; /* when the bucket is full again; any past time: it is full */
};

/* Takes n tokens, or none and returns false. */
bool wr_limiter_take(struct wr_limiter *limiter, const struct wr_limiter_rate *rate, uint32_t n, int64_t now_ns);

/* How many tokens are there. */
uint32_t wr_limiter_available(const struct wr_limiter *limiter, const struct wr_limiter_rate *rate, int64_t now_ns);

/* The first time at which a take of n succeeds if nobody else takes any: now_ns or later. WR_NEVER_NS (INT64_MAX): n is above the burst. */
int64_t wr_limiter_ready(const struct wr_limiter *limiter, const struct wr_limiter_rate *rate, uint32_t n, int64_t now_ns);

#endif
