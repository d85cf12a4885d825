/* The pauses between tries, against the promise in words: within a cap that doubles from min to max, anew after what was stable, and spread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/backoff.h"
#include "tests/support/random.h"

static void pauses_are_bounded_and_begin_anew(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 500; round++) {
        const int64_t min_ns = (int64_t)(1 + wr_random_u64(&random) % (UINT64_C(1) << wr_random_below(&random, 60)));
        const int64_t max_ns = min_ns + (int64_t)(wr_random_u64(&random) % (UINT64_C(1) << wr_random_below(&random, 62)));
        struct wr_backoff backoff = {.min_ns = min_ns, .max_ns = max_ns, .stable_ns = 1000};
        int64_t cap_ns = min_ns; /* the model */
        for (int i = 0; i < 200; i++) {
            const int64_t ran_ns = (int64_t)wr_random_below(&random, 1050) - 1;
            if (ran_ns >= 1000)
                cap_ns = min_ns;
            const int64_t pause_ns = wr_backoff_ended(&backoff, ran_ns, wr_random_u64(&random));
            assert_true(pause_ns >= 0 && pause_ns <= cap_ns);
            cap_ns = cap_ns > max_ns / 2 ? max_ns : cap_ns * 2;
            assert_true(wr_backoff_cap_ns(&backoff) == cap_ns);
        }
    }
}

/* A thousand that fail in the same moment come back all over the time. */
static void a_crowd_is_spread(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    unsigned quarters[4] = {0};
    for (int i = 0; i < 1000; i++) {
        struct wr_backoff backoff = {.min_ns = 1000000, .max_ns = 1000000, .stable_ns = 1000};
        quarters[wr_backoff_ended(&backoff, 0, wr_random_u64(&random)) / 250001]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(quarters[i], 170, 330); /* 250, and more than five deviations */
}

static void failures_do_not_wrap(void **state) {
    (void)state;
    struct wr_backoff backoff = {.min_ns = 10, .max_ns = 1000, .stable_ns = 50, .failures = UINT32_MAX};
    assert_in_range(wr_backoff_ended(&backoff, 0, UINT64_MAX), 0, 1000);
    assert_int_equal(backoff.failures, UINT32_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_are_bounded_and_begin_anew),
        cmocka_unit_test(a_crowd_is_spread),
        cmocka_unit_test(failures_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
