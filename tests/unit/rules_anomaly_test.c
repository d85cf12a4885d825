/* Detectors: what each is for, on series made for it, with the parts that they are made of; and anomaly(...) as an operator. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/operators/anomaly.h"
#include "rules/operators/regimes.h"
#include "rules/operators/tail.h"
#include "tests/support/operator_bed.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))
#define STEP_NS (300 * S)
#define A_DAY 288 /* steps */

static const struct wr_anomaly_setup undeclared = {.low = NAN, .high = NAN};
static uint64_t noise_state;

/* The same on every run: roughly normal, deviation 1. */
static double noise(void) {
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        noise_state = noise_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        sum += (double)(noise_state >> 11) / 9007199254740992.0;
    }
    return sum;
}

/* A detector under way. */
struct run {
    const struct wr_anomaly *detector;
    uint64_t state[2048];
    int64_t at_ns;
};

static struct run *start(const struct wr_anomaly *detector) {
    static struct run run;
    run = (struct run){.detector = detector};
    assert_true(detector->bytes <= sizeof run.state);
    noise_state = 1;
    return &run;
}

static double take(struct run *run, double value) {
    return run->detector->add(&undeclared, run->state, run->at_ns += STEP_NS, value);
}

/* How many of n samples of noise are answered with more than the limit. */
static int noisy(struct run *run, int n, double level, double limit) {
    int above = 0;
    for (int i = 0; i < n; i++)
        above += take(run, level + noise()) > limit;
    return above;
}

static void a_tail_says_how_rare_a_number_is(void **state) {
    (void)state;
    struct wr_tail tail = {0};
    for (int i = 1; i <= 1000; i++)
        (void)wr_tail_add(&tail, i % 100 == 0 ? 16 : 1);
    struct wr_tail copy = tail;
    assert_near(wr_tail_add(&copy, 1), 0, 0.001);
    copy = tail;
    assert_near(wr_tail_add(&copy, 16), -log(10.5 / 1000.5), 0.3); /* ten of a thousand, and what the fallen tail of the rest adds */
    copy = tail;
    assert_true(wr_tail_add(&copy, 32) > wr_tail_add(&tail, 16) + 1); /* beyond all seen before: rarer by the third power */
    copy = tail;
    assert_true(wr_tail_add(&copy, INFINITY) > 6 && wr_tail_add(&copy, 0) < 0.001 && wr_tail_add(&copy, NAN) < 0.001);
    for (int i = 0; i < 100000; i++)
        (void)wr_tail_add(&copy, 2); /* what is old is forgotten, and no count overflows */
    assert_true(wr_tail_add(&copy, 2) < 0.01 && wr_tail_add(&copy, 16) > 5);
}

static double add_to(const struct wr_regimes_shape *shape, struct wr_regimes *regimes, struct wr_regime *known, struct wr_recent *recent,
                     double value) {
    wr_recent_add(recent, value);
    return wr_regimes_add(shape, regimes, known, recent);
}

static void regimes_are_known_again(void **state) {
    (void)state;
    const struct wr_regimes_shape shape = {.bins = 8, .window = 80, .room = 4, .low = NAN, .high = NAN};
    struct wr_regimes regimes = {0};
    struct wr_regime known[4];
    struct wr_recent recent = {0};
    memset(known, 0, sizeof known);
    for (int i = 0; i < 79; i++)
        assert_near(add_to(&shape, &regimes, known, &recent, i % 8), 1, 0);
    assert_near(add_to(&shape, &regimes, known, &recent, 7), 1, 0); /* the first window is what there is to know */
    assert_int_equal(regimes.known, 1);
    for (int i = 0; i < 80; i++)
        assert_true(add_to(&shape, &regimes, known, &recent, i % 8) > 0.9);
    double least = 1;
    for (int i = 0; i < 80; i++)
        least = fmin(least, add_to(&shape, &regimes, known, &recent, 3));
    assert_true(least < WR_REGIMES_LEVEL); /* all in one bin: not seen before */
    assert_true(regimes.known > 1 && regimes.known <= 4);
    assert_true(add_to(&shape, &regimes, known, &recent, 3) > WR_REGIMES_LEVEL);
    assert_true(wr_regimes_is_valid(&shape, &regimes, known));
}

static void the_range_of_regimes_grows_and_nothing_is_lost(void **state) {
    (void)state;
    static const double far[] = {7.5, 15, -3, 100, -1e6, 1e30, -1e30};
    const struct wr_regimes_shape shape = {.bins = 8, .window = 80, .room = 4, .low = NAN, .high = NAN};
    struct wr_regimes regimes = {0};
    struct wr_regime known[4];
    struct wr_recent recent = {0};
    memset(known, 0, sizeof known);
    for (int i = 0; i < 100; i++)
        (void)add_to(&shape, &regimes, known, &recent, i % 8);
    assert_near(regimes.width, 7.0 / 8, 1e-6);
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        (void)add_to(&shape, &regimes, known, &recent, far[i]);
        assert_true(far[i] >= regimes.low && far[i] <= regimes.low + 8.0 * regimes.width);
        assert_true(wr_regimes_is_valid(&shape, &regimes, known));
    }
    const struct wr_regimes_shape declared = {.bins = 5, .window = 80, .room = 4, .low = 0, .high = 10};
    regimes = (struct wr_regimes){0};
    memset(known, 0, sizeof known);
    (void)add_to(&declared, &regimes, known, &recent, 3);
    assert_near(regimes.width, 2, 1e-6);
    (void)add_to(&declared, &regimes, known, &recent, 1000); /* a declared range stays */
    assert_near(regimes.width, 2, 1e-6);
}

/* A spike, far off: each but cusum, which wants more than one sample. */
static void a_spike_is_seen(void **state) {
    (void)state;
    static const struct wr_anomaly *const those[] = {&wr_anomaly_robust, &wr_anomaly_relent, &wr_anomaly_novelty, &wr_anomaly_novelty16};
    for (size_t i = 0; i < sizeof those / sizeof those[0]; i++) {
        struct run *run = start(those[i]);
        (void)noisy(run, 3000, 50, 0.99);
        double most = 0;
        for (int j = 0; j < 3; j++)
            most = fmax(most, take(run, 90));
        assert_true(most > 0.99);
    }
    struct run *run = start(&wr_anomaly_cusum);
    (void)noisy(run, 3000, 50, 0.99);
    assert_true(take(run, 90) < 0.99);
}

/* A shift of three deviations, which single samples hardly show. */
static void a_shift_of_level_is_seen(void **state) {
    (void)state;
    static const struct wr_anomaly *const those[] = {&wr_anomaly_cusum, &wr_anomaly_relent, &wr_anomaly_novelty, &wr_anomaly_novelty16};
    for (size_t i = 0; i < sizeof those / sizeof those[0]; i++) {
        struct run *run = start(those[i]);
        (void)noisy(run, 3000, 50, 0.99);
        assert_true(noisy(run, 100, 53, 0.99) > 0);
    }
}

/* Of noise alone: how many of 10 000 samples come above the limit. */
static void noise_is_mostly_silent(void **state) {
    (void)state;
    static const struct {
        const struct wr_anomaly *detector;
        int most;
    } those[] = {{&wr_anomaly_robust, 150},
                 {&wr_anomaly_cusum, 250},
                 {&wr_anomaly_relent, 100},
                 {&wr_anomaly_novelty, 25},
                 {&wr_anomaly_novelty16, 15}};
    for (size_t i = 0; i < sizeof those / sizeof those[0]; i++) {
        struct run *run = start(those[i].detector);
        (void)noisy(run, 2000, 50, 0.99);
        const int above = noisy(run, 10000, 50, 0.99);
        if (above > those[i].most)
            fail_msg("%s: %d of 10000", those[i].detector->name, above);
    }
}

static double weekday(int i) {
    return 50 + 20 * sin(6.283185307 * i / A_DAY) + 0.3 * noise();
}

/* A day on which the noon is missing, though all its values are common. */
static void novelty_knows_the_calendar(void **state) {
    (void)state;
    struct run *run = start(&wr_anomaly_novelty);
    int i = 0;
    for (; i < 30 * A_DAY; i++)
        (void)take(run, weekday(i));
    double most = 0;
    for (; i < 30 * A_DAY + 100; i++)
        most = fmax(most, take(run, 50 + 0.3 * noise()));
    assert_true(most > 0.99);
}

/* Even the first change of a series that never moved. */
static void novelty_sees_a_dead_signal_wake(void **state) {
    (void)state;
    struct run *run = start(&wr_anomaly_novelty);
    for (int i = 0; i < 2000; i++)
        assert_true(take(run, 7) < 0.01);
    assert_true(take(run, 7.1) > 0.99);
}

/* One event, one answer: until it fades only what is odder speaks. */
static void novelty_speaks_once(void **state) {
    (void)state;
    struct run *run = start(&wr_anomaly_novelty);
    (void)noisy(run, 3000, 50, 0.99);
    const int shift = noisy(run, 150, 60, 0.99);
    assert_true(shift >= 1 && shift <= 6);
    assert_int_equal(noisy(run, 1000, 60, 0.999), 0); /* and the new level becomes usual */
}

/* Other units, other zero: the same answers, where no range is declared. */
static void units_do_not_matter(void **state) {
    (void)state;
    static double answers[4000];
    static const struct wr_anomaly *const those[] = {&wr_anomaly_robust, &wr_anomaly_cusum, &wr_anomaly_relent, &wr_anomaly_novelty,
                                                     &wr_anomaly_novelty16};
    for (size_t d = 0; d < sizeof those / sizeof those[0]; d++)
        for (int round = 0; round < 2; round++) {
            struct run *run = start(those[d]);
            for (int i = 0; i < 4000; i++) {
                const double value = floor(64 * (weekday(i) + (i / 500 % 4 == 3 ? 30 : 0))) / 64; /* exact also after the change */
                const double answer = take(run, round ? 1024 * value - 65536 : value);
                if (round)
                    assert_near(answer, answers[i], 1e-9);
                answers[i] = answer;
            }
        }
}

static void anomaly_is_an_operator(void **state) {
    (void)state;
    static const uint8_t methods[] = {WR_METHOD_NONE,  WR_METHOD_ROBUST,  WR_METHOD_RELENT,
                                      WR_METHOD_CUSUM, WR_METHOD_NOVELTY, WR_METHOD_NOVELTY16};
    for (size_t i = 0; i < sizeof methods; i++) {
        struct wr_operator_call call = operator_call(WR_FUNCTION_ANOMALY);
        struct operator_bed bed;
        call.method = methods[i];
        call.span_ns = 50 * S;
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        assert_true(bed.spec.every_sample);
        noise_state = 1;
        for (int t = 0; t < 500; t++) {
            operator_take(&bed, t * S, 20 + noise());
            const double answer = operator_says(&bed, WR_FUNCTION_ANOMALY);
            assert_true(t < 50 ? isnan(answer) : answer >= 0 && answer <= 1);
        }
        const double before = operator_says(&bed, WR_FUNCTION_ANOMALY);
        operator_take(&bed, 500 * S, NAN);
        wr_operator_add(&bed.spec, bed.state, 400 * S, 1000); /* late: not taken */
        assert_true(operator_says(&bed, WR_FUNCTION_ANOMALY) == before);
        operator_take(&bed, -86400 * S, 20); /* the clock went back: what was learned holds */
        assert_true(!isnan(operator_says(&bed, WR_FUNCTION_ANOMALY)));
        assert_true(wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes));
        operator_stop(&bed);
    }
}

static void anomaly_refuses_windows(void **state) {
    (void)state;
    struct wr_operator_call call = operator_call(WR_FUNCTION_ANOMALY);
    struct wr_operator_spec spec;
    struct wr_error err;
    call.count = 5;
    assert_int_equal(wr_operator_plan(&call, &spec, &err), WR_INVALID);
    assert_non_null(strstr(err.text, "warmup=3d"));
    call = operator_call(WR_FUNCTION_ANOMALY);
    call.method = WR_METHODS;
    assert_int_equal(wr_operator_plan(&call, &spec, &err), WR_INVALID);
}

/* Where a range is declared, relent takes it; the others share their state whatever the range. */
static void relent_takes_the_declared_range(void **state) {
    (void)state;
    const struct wr_point points[] = {{.name = "x", .low = 0, .high = 20}, {.name = "x", .low = -INFINITY, .high = INFINITY}};
    struct wr_operator_call call = operator_call(WR_FUNCTION_ANOMALY);
    struct wr_operator_spec specs[2];
    for (uint8_t method = WR_METHOD_ROBUST; method < WR_METHODS; method++) {
        call.method = method;
        for (int i = 0; i < 2; i++) {
            call.point = &points[i];
            assert_int_equal(wr_operator_plan(&call, &specs[i], NULL), WR_OK);
        }
        assert_true(wr_operator_same(&specs[0], &specs[1]) == (method != WR_METHOD_RELENT));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tail_says_how_rare_a_number_is),
        cmocka_unit_test(regimes_are_known_again),
        cmocka_unit_test(the_range_of_regimes_grows_and_nothing_is_lost),
        cmocka_unit_test(a_spike_is_seen),
        cmocka_unit_test(a_shift_of_level_is_seen),
        cmocka_unit_test(noise_is_mostly_silent),
        cmocka_unit_test(novelty_knows_the_calendar),
        cmocka_unit_test(novelty_sees_a_dead_signal_wake),
        cmocka_unit_test(novelty_speaks_once),
        cmocka_unit_test(units_do_not_matter),
        cmocka_unit_test(anomaly_is_an_operator),
        cmocka_unit_test(anomaly_refuses_windows),
        cmocka_unit_test(relent_takes_the_declared_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
