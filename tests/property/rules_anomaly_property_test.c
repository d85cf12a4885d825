/* What every detector promises: answers of [0, 1] whatever comes, the same for the same samples, a state that can be copied at any moment and
 * is valid, and no crash on bytes that pass for a state. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/operators/anomaly.h"
#include "tests/support/random.h"

#define SAMPLES 3000

static const struct wr_anomaly *const detectors[] = {&wr_anomaly_robust, &wr_anomaly_cusum, &wr_anomaly_relent, &wr_anomaly_novelty,
                                                     &wr_anomaly_novelty16};
#define DETECTORS (sizeof detectors / sizeof *detectors)

static const struct wr_anomaly_setup undeclared = {.low = NAN, .high = NAN};

static double uniform(struct wr_random *random) {
    return (double)(wr_random_u64(random) >> 11) / 9007199254740992.0;
}

/* Series of several sorts: noise, steps, constant, counting, wild, and now and then what no sensor sends. */
static double sample(struct wr_random *random, unsigned sort, unsigned i) {
    static const double wild[] = {0, -0.0, 1e308, -1e308, 5e-324, -5e-324, NAN, INFINITY, -INFINITY, 1, 1e15, 0.1};
    switch (sort) {
    case 0:
        return uniform(random) + uniform(random);
    case 1:
        return (double)(i / 500 % 3) + 0.01 * uniform(random);
    case 2:
        return 45;
    case 3:
        return i;
    case 4:
        return 20 + 10 * sin(i / 20.0) + uniform(random) + (wr_random_below(random, 300) == 0 ? 100 : 0);
    default:
        return wild[wr_random_below(random, sizeof wild / sizeof *wild)];
    }
}
#define SORTS 6

static int64_t step_ns(struct wr_random *random, unsigned sort) {
    return sort % 2 ? INT64_C(300000000000) : (int64_t)wr_random_below(random, UINT64_C(600000000000)) - 1000000000;
}

static void answers_are_likelihoods(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (size_t d = 0; d < DETECTORS; d++)
        for (unsigned sort = 0; sort < SORTS; sort++) {
            void *memory = calloc(1, detectors[d]->bytes);
            assert_true(detectors[d]->is_valid(&undeclared, memory));
            int64_t at_ns = 0;
            for (unsigned i = 0; i < SAMPLES; i++) {
                const double answer = detectors[d]->add(&undeclared, memory, at_ns += step_ns(&random, sort), sample(&random, sort, i));
                assert_true(answer >= 0 && answer <= 1);
                if (i % 100 == 0)
                    assert_true(detectors[d]->is_valid(&undeclared, memory));
            }
            free(memory);
        }
}

/* A copy made anywhere goes on as the original does: there is nothing outside of the block. */
static void a_copied_state_goes_on_the_same(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (size_t d = 0; d < DETECTORS; d++)
        for (unsigned sort = 0; sort < SORTS; sort++) {
            void *one = calloc(1, detectors[d]->bytes);
            void *other = malloc(detectors[d]->bytes);
            memset(other, 0, detectors[d]->bytes);
            const unsigned copied = (unsigned)wr_random_below(&random, SAMPLES);
            int64_t at_ns = 0;
            for (unsigned i = 0; i < SAMPLES; i++) {
                const double value = sample(&random, sort, i);
                at_ns += step_ns(&random, sort);
                const double answer = detectors[d]->add(&undeclared, one, at_ns, value);
                if (i == copied)
                    memcpy(other, one, detectors[d]->bytes);
                else if (i > copied)
                    assert_true(answer == detectors[d]->add(&undeclared, other, at_ns, value));
            }
            assert_memory_equal(one, other, copied < SAMPLES - 1 ? detectors[d]->bytes : 0);
            free(one);
            free(other);
        }
}

/* Bytes that were not written by us: refused, or used without harm. */
static void damaged_states_do_no_harm(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (size_t d = 0; d < DETECTORS; d++)
        for (unsigned round = 0; round < 200; round++) {
            unsigned char *memory = calloc(1, detectors[d]->bytes);
            int64_t at_ns = 0;
            for (unsigned i = 0; i < 200; i++)
                (void)detectors[d]->add(&undeclared, memory, at_ns += step_ns(&random, 1), sample(&random, round % SORTS, i));
            for (uint64_t n = 1 + wr_random_below(&random, round % 2 ? 4 : detectors[d]->bytes); n > 0; n--)
                memory[wr_random_below(&random, detectors[d]->bytes)] = (unsigned char)wr_random_u64(&random);
            for (unsigned i = 0; i < 200 && detectors[d]->is_valid(&undeclared, memory); i++) {
                const double answer =
                    detectors[d]->add(&undeclared, memory, at_ns += step_ns(&random, 1), sample(&random, round % SORTS, i));
                assert_true(answer >= 0 && answer <= 1);
            }
            free(memory);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_likelihoods),
        cmocka_unit_test(a_copied_state_goes_on_the_same),
        cmocka_unit_test(damaged_states_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
