/* The limiter against a bucket with a level, and what it promises of times. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/limiter.h"
#include "core/thread.h"
#include "tests/support/random.h"

#define STEPS 20000

/* A bucket as in the books. The level is kept in parts: a token is per_ns of them, a nanosecond brings `tokens`. */
struct bucket {
    struct wr_limiter_rate rate;
    int64_t level;
    int64_t at_ns;
};

static void fill(struct bucket *bucket, int64_t now_ns) {
    const int64_t full = bucket->rate.burst * bucket->rate.per_ns;
    bucket->level += (now_ns - bucket->at_ns) * bucket->rate.tokens;
    bucket->level = bucket->level < full ? bucket->level : full;
    bucket->at_ns = now_ns;
}

static struct wr_limiter_rate random_rate(struct wr_random *random) {
    const struct wr_limiter_rate rate = {.tokens = 1 + (uint32_t)wr_random_below(random, 100),
                                         .burst = 1 + (uint32_t)wr_random_below(random, 50),
                                         .per_ns = 1 + (int64_t)wr_random_below(random, 100000)};
    return rate;
}

/* Where the cost of a token is a whole number of nanoseconds both are the same; else the limiter is never more than one nanosecond ahead. */
static void gives_what_the_bucket_gives(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 50; round++) {
        struct wr_limiter_rate rate = random_rate(&random);
        if (round % 2)
            rate.per_ns = rate.tokens * (1 + (int64_t)wr_random_below(&random, 1000));
        const bool whole = rate.per_ns % rate.tokens == 0;
        struct bucket bucket = {.rate = rate, .level = rate.burst * rate.per_ns};
        struct wr_limiter limiter = {0};
        int64_t now_ns = 0;
        for (int step = 0; step < STEPS / 50; step++) {
            now_ns += (int64_t)wr_random_below(&random, (uint64_t)(4 * rate.per_ns / rate.tokens) + 2);
            const uint32_t n = (uint32_t)wr_random_below(&random, rate.burst + 2);
            fill(&bucket, now_ns);
            const bool there = bucket.level >= n * rate.per_ns;
            const uint32_t available = wr_limiter_available(&limiter, &rate, now_ns);
            assert_true(available <= (bucket.level + rate.tokens) / rate.per_ns);
            const bool taken = wr_limiter_take(&limiter, &rate, n, now_ns);
            assert_int_equal(taken, n <= available);
            assert_true(!taken || bucket.level + rate.tokens >= n * rate.per_ns);
            if (whole)
                assert_int_equal(taken, there);
            if (taken)
                bucket.level -= n * rate.per_ns;
            else
                assert_int_equal(wr_limiter_available(&limiter, &rate, now_ns), available); /* nothing in part */
        }
    }
}

/* At `ready` a take succeeds, a nanosecond earlier it does not. */
static void ready_is_exact(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < STEPS; round++) {
        const struct wr_limiter_rate rate = random_rate(&random);
        struct wr_limiter limiter = {0};
        const int64_t now_ns = (int64_t)wr_random_below(&random, 1000000);
        (void)wr_limiter_take(&limiter, &rate, (uint32_t)wr_random_below(&random, rate.burst + 1), now_ns);
        const uint32_t n = (uint32_t)wr_random_below(&random, rate.burst + 2);
        const int64_t ready_ns = wr_limiter_ready(&limiter, &rate, n, now_ns);
        if (n > rate.burst) {
            assert_int_equal(ready_ns, WR_NEVER_NS);
            continue;
        }
        assert_true(ready_ns >= now_ns);
        struct wr_limiter again = {atomic_load(&limiter.full_ns)};
        if (ready_ns > now_ns)
            assert_false(wr_limiter_take(&again, &rate, n, ready_ns - 1));
        assert_true(wr_limiter_take(&limiter, &rate, n, ready_ns));
    }
}

static void the_edges(void **state) {
    (void)state;
    static struct wr_limiter limiter; /* all zero: full */
    const struct wr_limiter_rate rate = {.tokens = 10, .burst = 10, .per_ns = 10 * WR_NS_PER_S};
    const int64_t now_ns = 5 * WR_NS_PER_S;
    assert_int_equal(wr_limiter_available(&limiter, &rate, now_ns), 10);
    assert_false(wr_limiter_take(&limiter, &rate, 11, now_ns));
    assert_true(wr_limiter_take(&limiter, &rate, 0, now_ns));
    assert_true(wr_limiter_take(&limiter, &rate, 10, now_ns));
    assert_false(wr_limiter_take(&limiter, &rate, 1, now_ns));
    assert_false(wr_limiter_take(&limiter, &rate, 1, now_ns - WR_NS_PER_S)); /* a step back gives nothing */
    assert_true(wr_limiter_take(&limiter, &rate, 1, now_ns + WR_NS_PER_S));
    assert_int_equal(wr_limiter_available(&limiter, &rate, now_ns + 3600 * WR_NS_PER_S), 10);
    /* The largest numbers that are allowed, and the end of time. */
    const struct wr_limiter_rate vast = {.tokens = UINT32_MAX, .burst = UINT32_MAX, .per_ns = WR_NS_PER_S};
    struct wr_limiter other = {0};
    assert_true(wr_limiter_take(&other, &vast, UINT32_MAX, now_ns));
    assert_int_equal(wr_limiter_available(&other, &vast, now_ns), 0);
    assert_int_equal(wr_limiter_ready(&other, &vast, UINT32_MAX, now_ns), now_ns + WR_NS_PER_S);
    const struct wr_limiter_rate slow = {.tokens = 1, .burst = 1, .per_ns = INT64_C(1) << 61};
    struct wr_limiter rare = {0};
    assert_true(wr_limiter_take(&rare, &slow, 1, INT64_C(1) << 61));
    assert_false(wr_limiter_take(&rare, &slow, 1, INT64_C(1) << 61));
}

static struct wr_limiter shared;
static const struct wr_limiter_rate shared_rate = {.tokens = 1, .burst = 10000, .per_ns = WR_NS_PER_S};

static void *take_all(void *user) {
    uint32_t *taken = user;
    while (wr_limiter_take(&shared, &shared_rate, 1, 0))
        ++*taken;
    return NULL;
}

static void threads_share_a_bucket(void **state) {
    (void)state;
    pthread_t threads[4];
    uint32_t taken[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(wr_thread_start(&threads[i], take_all, &taken[i], "take", NULL), WR_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(wr_thread_join(threads[i], WR_NEVER_NS), WR_OK);
    assert_int_equal(taken[0] + taken[1] + taken[2] + taken[3], 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_the_bucket_gives),
        cmocka_unit_test(ready_is_exact),
        cmocka_unit_test(the_edges),
        cmocka_unit_test(threads_share_a_bucket),
    };
    return cmocka_run_group_tests_name("core/limiter", tests, NULL, NULL);
}
