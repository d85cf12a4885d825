/* T² and Q: the distributions against tables, the chart against vectors whose correlation is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/operators/distribution.h"
#include "rules/operators/t2q.h"
#include "tests/support/random.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

static void distributions_are_those_of_the_tables(void **state) {
    (void)state;
    assert_near(wr_distribution_normal(0), 0.5, 1e-12);
    assert_near(wr_distribution_normal(1.959963985), 0.975, 1e-9);
    assert_near(wr_distribution_normal(-2.326347874), 0.01, 1e-9);
    assert_near(wr_distribution_f(4.964602744, 1, 10), 0.95, 1e-9);
    assert_near(wr_distribution_f(3.325834530, 5, 10), 0.95, 1e-9);
    assert_near(wr_distribution_f(5.390345860, 2, 30), 0.99, 1e-9);
    assert_near(wr_distribution_f(1, 7, 7), 0.5, 1e-12);
    assert_near(wr_distribution_f(3, 2, 8), 1 - pow(1 + 3 * 2.0 / 8, -4), 1e-12); /* two degrees: closed form */
    assert_near(wr_distribution_f(0, 3, 3), 0, 0);
    assert_near(wr_distribution_f(INFINITY, 3, 3), 1, 0);
    assert_near(wr_distribution_f(1e300, 16, 1e9), 1, 1e-12);
    assert_near(wr_distribution_f(-1, 3, 3), 0, 0);
}

static void specs_are_checked(void **state) {
    (void)state;
    struct wr_error err;
    assert_int_equal(wr_t2q_check(&(struct wr_t2q_spec){.series = 2, .warmup = 4}, &err), WR_OK);
    assert_int_equal(wr_t2q_check(&(struct wr_t2q_spec){.series = 1, .warmup = 100}, &err), WR_INVALID);
    assert_int_equal(wr_t2q_check(&(struct wr_t2q_spec){.series = 17, .warmup = 100}, &err), WR_INVALID);
    assert_int_equal(wr_t2q_check(&(struct wr_t2q_spec){.series = 5, .warmup = 6}, &err), WR_INVALID);
    assert_string_equal(err.text, "t2q of 5 series has to learn from at least 7 samples");
}

/* Learned from four corners of a rectangle, everything can be computed by hand: no correlation, both components kept. */
static void t2_is_what_it_is_by_hand(void **state) {
    (void)state;
    static const double corners[4][2] = {{9, 48}, {11, 48}, {9, 52}, {11, 52}};
    const struct wr_t2q_spec spec = {.series = 2, .warmup = 4};
    struct wr_t2q chart = {0};
    struct wr_t2q_answer answer;
    for (int i = 0; i < 4; i++)
        assert_false(wr_t2q_add(&spec, &chart, corners[i], &answer));
    assert_int_equal(chart.kept, 2);
    assert_near(chart.deviation[0], sqrt(4.0 / 3), 1e-12);
    assert_near(chart.deviation[1], sqrt(16.0 / 3), 1e-12);
    assert_true(wr_t2q_add(&spec, &chart, (double[]){12, 54}, &answer));
    assert_near(answer.t2, 4 / (4.0 / 3) + 16 / (16.0 / 3), 1e-9);
    assert_near(answer.q, 0, 1e-12);
    /* T² n (n - a) / (a (n - 1) (n + 1)) = 6 · 4 · 2 / (2 · 3 · 5) = 1.6 is F with 2 and 2 degrees, below which lies x / (1 + x) */
    assert_near(answer.t2_part, 1.6 / 2.6, 1e-9);
    assert_near(answer.q_part, 0, 0);
}

static double normal(struct wr_random *random) {
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += (double)(wr_random_u64(random) >> 11) / 9007199254740992.0;
    return sum;
}

/* Five series of a pump: all follow the load, each with noise of its own. */
static void pump(struct wr_random *random, double *vector) {
    static const double gain[] = {3, -2, 0.5, 100, 1};
    static const double level[] = {20, 5, 0, 1e6, -3};
    const double load = normal(random);
    for (int i = 0; i < 5; i++)
        vector[i] = level[i] + gain[i] * (load + 0.2 * normal(random));
}

static struct wr_t2q learned;
static const struct wr_t2q_spec pump_spec = {.series = 5, .warmup = 2000};

static void learn_pump(struct wr_random *random) {
    double vector[5];
    struct wr_t2q_answer answer;
    learned = (struct wr_t2q){0};
    for (uint32_t i = 0; i < pump_spec.warmup; i++) {
        pump(random, vector);
        assert_false(wr_t2q_add(&pump_spec, &learned, vector, &answer));
    }
    assert_int_equal(learned.kept, 1); /* one load explains it */
    assert_true(wr_t2q_is_valid(&pump_spec, &learned));
}

static void usual_vectors_are_within_the_limits(void **state) {
    (void)state;
    struct wr_random random = {.state = 7};
    struct wr_t2q_answer answer;
    double vector[5];
    int t2 = 0;
    int q = 0;
    int half = 0;
    learn_pump(&random);
    for (int i = 0; i < 20000; i++) {
        pump(&random, vector);
        assert_true(wr_t2q_add(&pump_spec, &learned, vector, &answer));
        t2 += answer.t2_part > 0.99;
        q += answer.q_part > 0.99;
        half += answer.q_part > 0.5;
    }
    assert_true(t2 > 100 && t2 < 300); /* one in a hundred is expected */
    assert_true(q > 100 && q < 300);
    assert_true(half > 9000 && half < 11000);
}

static void q_finds_a_broken_correlation_and_t2_an_unusual_load(void **state) {
    (void)state;
    struct wr_random random = {.state = 7};
    struct wr_t2q_answer answer;
    learn_pump(&random);
    /* Each within its own range, but the first goes up where the second does too. */
    assert_true(wr_t2q_add(&pump_spec, &learned, (double[]){20 + 3, 5 + 2, 0, 1e6, -3}, &answer));
    assert_true(answer.q_part > 0.9999 && answer.t2_part < 0.9 && answer.part > 0.9999);
    /* All as for a load of five deviations. */
    assert_true(wr_t2q_add(&pump_spec, &learned, (double[]){20 + 15, 5 - 10, 2.5, 1e6 + 500, -3 + 5}, &answer));
    assert_true(answer.t2_part > 0.9999 && answer.q_part < 0.9 && answer.part > 0.9999);
    assert_true(wr_t2q_add(&pump_spec, &learned, (double[]){20, 5, 0, 1e6, -3}, &answer));
    assert_true(answer.part < 0.1);
}

static void what_cannot_be_compared_is_left_out(void **state) {
    (void)state;
    const struct wr_t2q_spec spec = {.series = 3, .warmup = 50};
    struct wr_random random = {.state = 3};
    struct wr_t2q chart = {0};
    struct wr_t2q_answer answer;
    assert_false(wr_t2q_add(&spec, &chart, (double[]){NAN, 1, 2}, &answer));
    assert_false(wr_t2q_add(&spec, &chart, (double[]){1, INFINITY, 2}, &answer));
    assert_false(wr_t2q_add(&spec, &chart, (double[]){1, 2, 1e200}, &answer));
    assert_int_equal(chart.n, 0);
    for (int i = 0; i < 50; i++)
        assert_false(wr_t2q_add(&spec, &chart, (double[]){normal(&random), 0.1, normal(&random)}, &answer)); /* the second stands still */
    assert_int_equal(chart.kept, 2);
    assert_true(wr_t2q_add(&spec, &chart, (double[]){0, 1e9, 0}, &answer));
    assert_true(answer.part < 0.5);
    assert_false(wr_t2q_add(&spec, &chart, (double[]){0, NAN, 0}, &answer));
    chart = (struct wr_t2q){0};
    for (int i = 0; i < 60; i++)
        assert_false(wr_t2q_add(&spec, &chart, (double[]){1, 2, 3}, &answer)); /* nothing moved: no answer ever */
    assert_true(wr_t2q_is_valid(&spec, &chart));
}

/* Two series that are always the same: no noise is left out, so that any difference is too much. */
static void a_difference_where_there_never_was_one_is_too_much(void **state) {
    (void)state;
    const struct wr_t2q_spec spec = {.series = 2, .warmup = 50};
    struct wr_t2q chart = {0};
    struct wr_t2q_answer answer;
    for (int i = 0; i < 50; i++)
        assert_false(wr_t2q_add(&spec, &chart, (double[]){i, 2.0 * i}, &answer));
    assert_int_equal(chart.kept, 1);
    assert_true(wr_t2q_add(&spec, &chart, (double[]){25, 50}, &answer));
    assert_near(answer.q_part, 0, 0);
    assert_true(wr_t2q_add(&spec, &chart, (double[]){25, 51}, &answer));
    assert_near(answer.q_part, 1, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distributions_are_those_of_the_tables),
        cmocka_unit_test(specs_are_checked),
        cmocka_unit_test(t2_is_what_it_is_by_hand),
        cmocka_unit_test(usual_vectors_are_within_the_limits),
        cmocka_unit_test(q_finds_a_broken_correlation_and_t2_an_unusual_load),
        cmocka_unit_test(what_cannot_be_compared_is_left_out),
        cmocka_unit_test(a_difference_where_there_never_was_one_is_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
