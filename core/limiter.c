#include "core/limiter.h"

#include <assert.h>

#include "core/clock.h"

/* What n tokens cost, rounded up, so that small takes do not exceed the rate. per_ns is taken apart so that nothing needs more than 64 bits. */
static int64_t cost_ns(const struct wr_limiter_rate *rate, uint32_t n) {
    assert(rate->tokens > 0 && rate->burst > 0 && rate->per_ns > 0);
    const int64_t whole_ns = rate->per_ns / rate->tokens;
    const uint64_t rest = (uint64_t)(rate->per_ns % rate->tokens);
    int64_t cost;
    if (__builtin_mul_overflow(whole_ns, (int64_t)n, &cost))
        return WR_NEVER_NS;
    return wr_clock_add_ns(cost, (int64_t)((n * rest + rate->tokens - 1) / rate->tokens));
}

/* When the bucket would be full after a take of n. */
static int64_t full_after_ns(int64_t full_ns, const struct wr_limiter_rate *rate, uint32_t n, int64_t now_ns) {
    return wr_clock_add_ns(full_ns > now_ns ? full_ns : now_ns, cost_ns(rate, n));
}

bool wr_limiter_take(struct wr_limiter *limiter, const struct wr_limiter_rate *rate, uint32_t n, int64_t now_ns) {
    const int64_t latest_ns = wr_clock_add_ns(now_ns, cost_ns(rate, rate->burst));
    int64_t full_ns = atomic_load_explicit(&limiter->full_ns, memory_order_relaxed);
    int64_t after_ns;
    do {
        after_ns = full_after_ns(full_ns, rate, n, now_ns);
        if (after_ns > latest_ns || n > rate->burst)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&limiter->full_ns, &full_ns, after_ns, memory_order_relaxed, memory_order_relaxed));
    return true;
}

uint32_t wr_limiter_available(const struct wr_limiter *limiter, const struct wr_limiter_rate *rate, int64_t now_ns) {
    const int64_t full_ns = atomic_load_explicit(&limiter->full_ns, memory_order_relaxed);
    const int64_t missing_ns = full_ns > now_ns ? full_ns - now_ns : 0;
    const int64_t there_ns = cost_ns(rate, rate->burst) - missing_ns;
    uint32_t below = 0; /* the largest n that costs no more than what is there, by halving */
    for (uint32_t above = rate->burst; below < above;) {
        const uint32_t middle = above - (above - below) / 2;
        if (cost_ns(rate, middle) <= there_ns)
            below = middle;
        else
            above = middle - 1;
    }
    return below;
}

int64_t wr_limiter_ready(const struct wr_limiter *limiter, const struct wr_limiter_rate *rate, uint32_t n, int64_t now_ns) {
    if (n > rate->burst)
        return WR_NEVER_NS;
    const int64_t full_ns = atomic_load_explicit(&limiter->full_ns, memory_order_relaxed);
    const int64_t at_ns = full_after_ns(full_ns, rate, n, now_ns) - cost_ns(rate, rate->burst);
    return at_ns > now_ns ? at_ns : now_ns;
}
