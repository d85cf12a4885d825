/* The functions with memory, kind by kind: what each says on samples that can be checked by hand; what is refused, and with which advice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rules/operators/kind.h"
#include "rules/operators/select.h"
#include "tests/support/operator_bed.h"

static void near(double actual, double expected) {
    if (!(fabs(actual - expected) <= 1e-9 * (1 + fabs(expected))))
        fail_msg("%.17g is not %.17g", actual, expected);
}

static void unknown(double actual) {
    if (!isnan(actual))
        fail_msg("%.17g should be unknown", actual);
}

static struct operator_bed make(const struct wr_operator_call *call) {
    struct operator_bed bed;
    struct wr_error err = {0};
    if (operator_start(&bed, call, &err) != WR_OK)
        fail_msg("refused: %s", err.text);
    return bed;
}

static struct wr_operator_call over(enum wr_function_id function, int64_t span_ns) {
    struct wr_operator_call call = operator_call(function);
    call.span_ns = span_ns;
    return call;
}

static void refused(const struct wr_operator_call *call, const char *words) {
    struct wr_operator_spec spec = {.capacity = 77};
    struct wr_error err = {0};
    enum wr_result result = wr_operator_plan(call, &spec, &err);
    assert_true(result == WR_INVALID || result == WR_LIMIT);
    assert_int_equal(spec.capacity, 77); /* set only on success */
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
}

static void test_what_a_window_says(void **state) {
    (void)state;
    struct wr_operator_call call = over(WR_FUNCTION_AVG, 60 * S);
    struct operator_bed bed = make(&call);
    assert_string_equal(bed.spec.kind->name, "samples");
    assert_true(bed.spec.every_sample && bed.spec.edge <= 0);
    static const double values[] = {4, 1, 3, 9, 8};
    unknown(operator_says(&bed, WR_FUNCTION_AVG));
    near(operator_says(&bed, WR_FUNCTION_COUNT), 0);
    near(operator_says(&bed, WR_FUNCTION_SUM), 0);
    for (int i = 0; i < 5; i++)
        operator_take(&bed, i * 10 * S, values[i]);
    near(operator_says(&bed, WR_FUNCTION_AVG), 5);
    near(operator_says(&bed, WR_FUNCTION_MIN), 1);
    near(operator_says(&bed, WR_FUNCTION_MAX), 9);
    near(operator_says(&bed, WR_FUNCTION_SUM), 25);
    near(operator_says(&bed, WR_FUNCTION_COUNT), 5);
    near(operator_says(&bed, WR_FUNCTION_SPAN), 8);
    near(operator_says(&bed, WR_FUNCTION_STDDEV), sqrt(46.0 / 4));
    near(operator_says(&bed, WR_FUNCTION_RMS), sqrt(171.0 / 5));
    near(operator_says(&bed, WR_FUNCTION_MEDIAN), 4);
    near(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_QUANTILE, 0.25), 3);
    near(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_QUANTILE, 0.9), 8.6);
    near(operator_says(&bed, WR_FUNCTION_RISE), 7);
    near(operator_says(&bed, WR_FUNCTION_FALL), 1);
    near(operator_says(&bed, WR_FUNCTION_FIRST), 4);
    near(operator_says(&bed, WR_FUNCTION_DELTA), 4);
    near(operator_says(&bed, WR_FUNCTION_RATE), 0.1);
    near(operator_says(&bed, WR_FUNCTION_SLOPE), 0.16);
    near(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_FORECAST, 60), 5 + 0.16 * 80);
    near(operator_says(&bed, WR_FUNCTION_INTEGRAL), 10 * (2.5 + 2 + 6 + 8.5));
    near(operator_says(&bed, WR_FUNCTION_CHANGES), 4);
    near(operator_says(&bed, WR_FUNCTION_COVERAGE), 40.0 / 60);
    near(operator_says(&bed, WR_FUNCTION_INCREASE), 1 + 2 + 6 + 8); /* as a counter: 4 -> 1 and 9 -> 8 began anew */
    near(operator_says(&bed, WR_FUNCTION_RESETS), 2);
    assert_int_equal(wr_operator_next(&bed.spec, bed.state), 60 * S);
    wr_operator_advance(&bed.spec, bed.state, 60 * S);
    near(operator_says(&bed, WR_FUNCTION_FIRST), 1);
    wr_operator_advance(&bed.spec, bed.state, 100 * S);
    near(operator_says(&bed, WR_FUNCTION_COUNT), 0);
    unknown(operator_says(&bed, WR_FUNCTION_MAX));
    assert_int_equal(wr_operator_next(&bed.spec, bed.state), INT64_MAX);
    operator_stop(&bed);
}

static void test_late_unknown_and_too_many_samples(void **state) {
    (void)state;
    struct wr_operator_call call = operator_call(WR_FUNCTION_FIRST);
    call.count = 3;
    struct operator_bed bed = make(&call);
    assert_false(operator_take(&bed, 10 * S, 1));
    assert_false(operator_take(&bed, 30 * S, 3));
    assert_false(wr_operator_add(&bed.spec, bed.state, 20 * S, 2)); /* late: in its place */
    assert_false(operator_take(&bed, 35 * S, NAN));
    near(operator_says(&bed, WR_FUNCTION_DELTA), 2);
    near(operator_says(&bed, WR_FUNCTION_COVERAGE), 1);
    assert_false(operator_take(&bed, 40 * S, 4)); /* by count nothing is pushed out before its time */
    near(operator_says(&bed, WR_FUNCTION_FIRST), 2);
    assert_false(wr_operator_add(&bed.spec, bed.state, 15 * S, 9)); /* older than all of a full window */
    near(operator_says(&bed, WR_FUNCTION_MAX), 4);
    operator_stop(&bed);

    call = over(WR_FUNCTION_COUNT, 1000 * S);
    bed = make(&call);
    uint32_t pushed = 0;
    for (int i = 0; i < 300; i++)
        pushed += operator_take(&bed, i * S, i);
    assert_int_equal(pushed, 300 - 256);
    near(operator_says(&bed, WR_FUNCTION_FIRST), 44);
    assert_true(wr_operator_add(&bed.spec, bed.state, 10 * S, 1));
    wr_operator_advance(&bed.spec, bed.state, -5000 * S); /* the clock went back by more than the window */
    near(operator_says(&bed, WR_FUNCTION_COUNT), 0);
    operator_stop(&bed);
}

static void test_counters(void **state) {
    (void)state;
    const struct wr_point point = {.name = "e", .low = -INFINITY, .high = INFINITY, .counter = true, .wrap = 1000, .every_ns = 10 * S};
    struct wr_operator_call call = over(WR_FUNCTION_RATE, 100 * S);
    call.point = &point;
    struct operator_bed bed = make(&call);
    assert_int_equal(bed.spec.capacity, 24); /* twice what is expected, and four */
    unknown(operator_says(&bed, WR_FUNCTION_RATE));
    static const double values[] = {980, 990, 5, 25, 3}; /* wrapped at 1000; then began anew */
    for (int i = 0; i < 5; i++)
        operator_take(&bed, i * 10 * S, values[i]);
    near(operator_says(&bed, WR_FUNCTION_DELTA), 10 + 15 + 20 + 3);
    near(operator_says(&bed, WR_FUNCTION_INCREASE), 48);
    near(operator_says(&bed, WR_FUNCTION_RATE), 48.0 / 40);
    near(operator_says(&bed, WR_FUNCTION_RESETS), 1);
    near(operator_says(&bed, WR_FUNCTION_COVERAGE), 0.5);
    operator_stop(&bed);
}

static void test_long_windows_in_panes(void **state) {
    (void)state;
    const struct wr_point point = {.name = "x", .low = -INFINITY, .high = INFINITY, .every_ns = S};
    struct wr_operator_call call = over(WR_FUNCTION_AVG, 640 * S);
    call.point = &point;
    struct operator_bed bed = make(&call);
    assert_string_equal(bed.spec.kind->name, "panes");
    near(bed.spec.edge, 1.0 / 64);
    for (int i = 0; i < 2000; i++)
        operator_take(&bed, i * S, i);
    /* The newest pane begins at 1990 s, so the window at 1999 s begins with the sample of 1360 s: exactly 640 of them. */
    near(operator_says(&bed, WR_FUNCTION_COUNT), 640);
    near(operator_says(&bed, WR_FUNCTION_FIRST), 1360);
    near(operator_says(&bed, WR_FUNCTION_AVG), (1360 + 1999) / 2.0);
    near(operator_says(&bed, WR_FUNCTION_SUM), 640 * (1360 + 1999) / 2.0);
    near(operator_says(&bed, WR_FUNCTION_STDDEV), sqrt((640.0 * 640 - 1) / 12 * 640 / 639));
    near(operator_says(&bed, WR_FUNCTION_SLOPE), 1);
    near(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_FORECAST, 100), 2099);
    near(operator_says(&bed, WR_FUNCTION_INTEGRAL), 639 * (1360 + 1999) / 2.0);
    near(operator_says(&bed, WR_FUNCTION_INCREASE), 639);
    near(operator_says(&bed, WR_FUNCTION_CHANGES), 639);
    near(operator_says(&bed, WR_FUNCTION_RISE), 639);
    near(operator_says(&bed, WR_FUNCTION_COVERAGE), 1);
    assert_int_equal(wr_operator_next(&bed.spec, bed.state), 2000 * S);
    wr_operator_add(&bed.spec, bed.state, 1500 * S + 1, -7); /* late, in a pane that is over */
    near(operator_says(&bed, WR_FUNCTION_MIN), -7);
    assert_false(wr_operator_add(&bed.spec, bed.state, 100 * S, -9)); /* too late */
    near(operator_says(&bed, WR_FUNCTION_MIN), -7);
    wr_operator_advance(&bed.spec, bed.state, 9000 * S);
    near(operator_says(&bed, WR_FUNCTION_COUNT), 0);
    unknown(operator_says(&bed, WR_FUNCTION_RMS));
    assert_int_equal(wr_operator_next(&bed.spec, bed.state), INT64_MAX);
    operator_stop(&bed);
}

static void test_tumbling(void **state) {
    (void)state;
    struct wr_operator_call call = operator_call(WR_FUNCTION_AVG);
    call.tumbling_ns = 60 * S;
    struct operator_bed bed = make(&call);
    for (int i = 0; i < 60; i++)
        operator_take(&bed, i * S, i);
    unknown(operator_says(&bed, WR_FUNCTION_AVG)); /* not over yet */
    wr_operator_advance(&bed.spec, bed.state, 60 * S);
    near(operator_says(&bed, WR_FUNCTION_AVG), 29.5);
    near(operator_says(&bed, WR_FUNCTION_COUNT), 60);
    operator_take(&bed, 70 * S, 1000);
    wr_operator_add(&bed.spec, bed.state, 59 * S, 100); /* late, into the one that is over */
    near(operator_says(&bed, WR_FUNCTION_MAX), 100);
    assert_int_equal(wr_operator_next(&bed.spec, bed.state), 120 * S);
    wr_operator_advance(&bed.spec, bed.state, 240 * S);
    unknown(operator_says(&bed, WR_FUNCTION_AVG)); /* the last one was empty */
    operator_stop(&bed);
}

static void test_median_of_a_week(void **state) {
    (void)state;
    const struct wr_point point = {.name = "vib_rms", .low = 0, .high = 50, .resolution = 0.01, .every_ns = S};
    struct wr_operator_call call = over(WR_FUNCTION_MEDIAN, 7 * 86400 * S);
    call.point = &point;
    call.step_ns = 60 * S;
    struct operator_bed bed = make(&call);
    assert_string_equal(bed.spec.kind->name, "quantiles");
    assert_int_equal(bed.spec.capacity, 10080);
    for (int i = 0; i < 101; i++) {
        operator_take(&bed, i * 60 * S, i * 0.1 - 0.02);
        operator_take(&bed, i * 60 * S + 30 * S, i * 0.1 + 0.02);
    }
    near(operator_says(&bed, WR_FUNCTION_MEDIAN), 4.95); /* 0 .. 9.9: the last minute is under way */
    near(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_QUANTILE, 1), 9.9);
    wr_operator_advance(&bed.spec, bed.state, 7 * 86400 * S + 60 * 60 * S); /* more than half of the ring at once */
    near(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_QUANTILE, 0), 6);
    near(operator_says(&bed, WR_FUNCTION_MEDIAN), 8);
    wr_operator_advance(&bed.spec, bed.state, 7 * 86400 * S + 100 * 60 * S); /* the rest one by one */
    near(operator_says(&bed, WR_FUNCTION_MEDIAN), 10);
    wr_operator_advance(&bed.spec, bed.state, 7 * 86400 * S + 101 * 60 * S);
    unknown(operator_says(&bed, WR_FUNCTION_MEDIAN));
    operator_take(&bed, 8 * 86400 * S, 1000); /* out of range: at its end */
    wr_operator_advance(&bed.spec, bed.state, 8 * 86400 * S + 60 * S);
    near(operator_says(&bed, WR_FUNCTION_MEDIAN), 50);
    operator_stop(&bed);
}

static void test_conditions(void **state) {
    (void)state;
    struct wr_operator_call call = operator_call(WR_FUNCTION_HITS);
    call.condition = true;
    call.numbers[0] = 2;
    call.numbers[1] = 3;
    struct operator_bed bed = make(&call);
    static const double values[] = {NAN, 1, 0, 1, NAN, 0, 0};
    static const double says[] = {NAN, 0, 0, 1, 1, 0, 0};
    for (int i = 0; i < 7; i++) {
        operator_take(&bed, i, values[i]);
        if (i == 0)
            unknown(operator_says(&bed, WR_FUNCTION_HITS));
        else
            near(operator_says(&bed, WR_FUNCTION_HITS), says[i]);
    }
    operator_stop(&bed);

    call = over(WR_FUNCTION_DUTY, 100 * S);
    call.condition = true;
    bed = make(&call);
    assert_false(bed.spec.every_sample);
    wr_operator_advance(&bed.spec, bed.state, 0);
    unknown(operator_says(&bed, WR_FUNCTION_DUTY));
    operator_take(&bed, 10 * S, 1); /* unknown before */
    wr_operator_advance(&bed.spec, bed.state, 30 * S);
    near(operator_says(&bed, WR_FUNCTION_DUTY), 1);
    assert_int_equal(wr_operator_next(&bed.spec, bed.state), INT64_MAX);
    operator_take(&bed, 30 * S, 0);
    wr_operator_advance(&bed.spec, bed.state, 90 * S);
    near(operator_says(&bed, WR_FUNCTION_DUTY), 0.25);
    assert_true(wr_operator_next(&bed.spec, bed.state) > 90 * S && wr_operator_next(&bed.spec, bed.state) <= 91 * S);
    operator_take(&bed, 90 * S, NAN);
    wr_operator_advance(&bed.spec, bed.state, 120 * S); /* (20, 120]: true 10, false 60, unknown 30 */
    near(operator_says(&bed, WR_FUNCTION_DUTY), 1.0 / 7);
    wr_operator_advance(&bed.spec, bed.state, 1000 * S);
    unknown(operator_says(&bed, WR_FUNCTION_DUTY));
    operator_stop(&bed);

    call = over(WR_FUNCTION_COUNT_IF, 100 * S);
    call.condition = true;
    bed = make(&call);
    for (int i = 0; i < 10; i++)
        operator_take(&bed, i * S, i % 3 == 0);
    near(operator_says(&bed, WR_FUNCTION_COUNT_IF), 4);
    operator_stop(&bed);
}

static void test_ewma(void **state) {
    (void)state;
    struct wr_operator_call call = over(WR_FUNCTION_EWMA, 10 * S);
    struct operator_bed bed = make(&call);
    unknown(operator_says(&bed, WR_FUNCTION_EWMA));
    operator_take(&bed, 0, 10);
    for (int i = 1; i <= 40; i++)
        operator_take(&bed, i * S / 4, 20);
    near(operator_says(&bed, WR_FUNCTION_EWMA), 20 - 10 * exp(-1)); /* however often samples come */
    operator_take(&bed, 5 * S, 1000);                               /* late */
    near(operator_says(&bed, WR_FUNCTION_EWMA), 20 - 10 * exp(-1));
    operator_stop(&bed);
}

#define DAY (86400 * S)

static void test_baseline(void **state) {
    (void)state;
    struct wr_operator_call call = over(WR_FUNCTION_BASELINE, DAY);
    struct operator_bed bed = make(&call);
    assert_int_equal(bed.spec.capacity, 96);
    for (int64_t at = 0; at < 10 * 96; at++) { /* twice a quarter; the sixth day everything fails */
        double usual = at % 96 < 48 ? 10 : 30;
        double value = at / 96 == 5 ? 1000 : usual;
        int64_t at_ns = at * 900 * S;
        operator_take(&bed, at_ns, value - 1);
        operator_take(&bed, at_ns + 450 * S, value + 1);
        if (at < 96)
            assert_true(isnan(operator_says(&bed, WR_FUNCTION_BASELINE)));
        else if (at % 96 != 0 && at % 96 != 48)
            near(operator_says(&bed, WR_FUNCTION_BASELINE), usual); /* at the middle of a slot */
    }
    wr_operator_advance(&bed.spec, bed.state, 10 * DAY + DAY / 2);
    near(operator_says(&bed, WR_FUNCTION_BASELINE), 20); /* half-way between two slots */
    assert_int_equal(wr_operator_next(&bed.spec, bed.state), 10 * DAY + DAY / 2 + 900 * S);
    operator_stop(&bed);
}

/* Pseudo-normal: the sum of twelve uniform numbers. */
static double noise(uint64_t *seed) {
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        sum += (double)(*seed >> 11) / 9007199254740992.0;
    }
    return sum;
}

static void test_cusum(void **state) {
    (void)state;
    struct wr_operator_call call = over(WR_FUNCTION_CUSUM, 500 * S);
    struct operator_bed bed = make(&call);
    uint64_t seed = 11;
    int64_t t = 0;
    for (; t < 500; t++) {
        operator_take(&bed, t * S, 20 + 0.5 * noise(&seed));
        unknown(operator_says(&bed, WR_FUNCTION_CUSUM));
    }
    int above = 0;
    for (; t < 2500; t++) {
        operator_take(&bed, t * S, 20 + 0.5 * noise(&seed));
        above += operator_says(&bed, WR_FUNCTION_CUSUM) > 8;
    }
    assert_true(above < 60);
    for (int i = 0; i < 50; i++)
        operator_take(&bed, t++ * S, 20);
    assert_true(operator_says(&bed, WR_FUNCTION_CUSUM) < 1);
    operator_take(&bed, t++ * S, 1e6); /* one wild sample */
    assert_true(operator_says(&bed, WR_FUNCTION_CUSUM) < 5);
    for (int i = 0; i < 50; i++)
        operator_take(&bed, t++ * S, 20);
    for (int i = 0; i < 25; i++)
        operator_take(&bed, t++ * S, 20.6 + 0.5 * noise(&seed)); /* a shift of a good standard deviation */
    assert_true(operator_says(&bed, WR_FUNCTION_CUSUM) > 8);
    for (int i = 0; i < 6000; i++) /* that stays: it is the usual level then */
        operator_take(&bed, t++ * S, 20.6 + 0.5 * noise(&seed));
    assert_true(operator_says(&bed, WR_FUNCTION_CUSUM) < 20);
    operator_stop(&bed);

    bed = make(&call); /* a signal that was dead learns to live */
    for (t = 0; t < 1000; t++)
        operator_take(&bed, t * S, 0);
    for (; t < 6000; t++)
        operator_take(&bed, t * S, 50 + noise(&seed));
    assert_true(operator_says(&bed, WR_FUNCTION_CUSUM) < 20);
    operator_stop(&bed);
}

static void test_forecast_takes_its_distance(void **state) {
    (void)state;
    struct wr_operator_call call = over(WR_FUNCTION_FORECAST, 60 * S);
    refused(&call, "forecast(x, 1h, 20m)");
    call.numbers[0] = 600;
    struct operator_bed bed = make(&call);
    operator_take(&bed, 0, 3);
    unknown(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_FORECAST, 600)); /* one alone shows no direction */
    operator_take(&bed, 10 * S, 4);
    near(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_FORECAST, 600), 64);
    operator_stop(&bed);
}

static void test_what_is_refused(void **state) {
    (void)state;
    const struct wr_point point = {.name = "vib", .low = -INFINITY, .high = INFINITY, .every_ns = S / 10};
    struct wr_operator_call call = operator_call(WR_FUNCTION_AVG);
    refused(&call, "avg needs a window");
    call.count = 300;
    refused(&call, "1 to 256 samples");
    call.span_ns = 60 * S;
    refused(&call, "takes one window");
    call = operator_call(WR_FUNCTION_ABS);
    refused(&call, "no memory");
    call = over(WR_FUNCTION_MAX, 100 * 366 * DAY);
    refused(&call, "at most 400d");
    call = over(WR_FUNCTION_MAX, 60 * S);
    call.step_ns = 60 * S;
    refused(&call, "shorter than the length it divides, 1m");
    call.step_ns = S / 100;
    refused(&call, "write step=30ms, or"); /* 60s / 2046, rounded up */
    call.span_ns = DAY;
    call.step_ns = S;
    refused(&call, "write step=43s, or");
    call.span_ns = 3 * DAY;
    refused(&call, "write step=2m7s, or");
    call = over(WR_FUNCTION_MEDIAN, 3600 * S);
    call.point = &point;
    refused(&call, "{point: vib, range: \"0..50\", resolution: 0.1, ...}");
    call.tumbling_ns = 60 * S;
    call.span_ns = 0;
    refused(&call, "write a sliding one, median(x, 1m)");
    call = over(WR_FUNCTION_QUANTILE, 60 * S);
    call.numbers[0] = 95;
    refused(&call, "from 0 to 1");
    call = operator_call(WR_FUNCTION_DUTY);
    call.count = 20;
    refused(&call, "avg(c, count 20)");
    call = operator_call(WR_FUNCTION_HITS);
    call.numbers[0] = 11;
    call.numbers[1] = 10;
    refused(&call, "hits(c, 7, 10)");
    call = operator_call(WR_FUNCTION_EWMA);
    refused(&call, "ewma(x, 10m)");
    call = over(WR_FUNCTION_BASELINE, DAY);
    call.numbers[0] = 100;
    refused(&call, "1 to 31 seasons");
    call.numbers[0] = NAN;
    call.step_ns = S;
    refused(&call, "2016 slots");
    call = over(WR_FUNCTION_CUSUM, DAY);
    call.numbers[0] = -1;
    refused(&call, "0 to 3 standard deviations");
}

static void test_calls_that_share_a_state(void **state) {
    (void)state;
    const struct wr_point point = {.name = "x", .low = 0, .high = 10, .resolution = 0.1, .every_ns = S};
    struct wr_operator_call call = over(WR_FUNCTION_AVG, 60 * S);
    struct wr_operator_spec avg, other;
    static const enum wr_function_id same[] = {WR_FUNCTION_SUM, WR_FUNCTION_RMS, WR_FUNCTION_MEDIAN, WR_FUNCTION_SLOPE,
                                               WR_FUNCTION_CHANGES};
    call.point = &point;
    assert_int_equal(wr_operator_plan(&call, &avg, NULL), WR_OK);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        call.function = same[i];
        assert_int_equal(wr_operator_plan(&call, &other, NULL), WR_OK);
        assert_true(wr_operator_same(&avg, &other));
    }
    call.span_ns = 61 * S;
    assert_int_equal(wr_operator_plan(&call, &other, NULL), WR_OK);
    assert_false(wr_operator_same(&avg, &other));
    call.span_ns = 60 * S;
    call.step_ns = S;
    assert_int_equal(wr_operator_plan(&call, &other, NULL), WR_OK);
    assert_false(wr_operator_same(&avg, &other));
}

static void test_saved_bytes(void **state) {
    (void)state;
    struct wr_operator_call call = over(WR_FUNCTION_AVG, 60 * S);
    struct operator_bed bed = make(&call);
    assert_true(wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes)); /* the start is one too */
    for (int i = 0; i < 100; i++)
        operator_take(&bed, i * S, i);
    assert_true(wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes));
    assert_false(wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes - 8));
    memset(bed.state, 0xff, bed.spec.bytes);
    assert_false(wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes));
    operator_stop(&bed);
}

static int ascending(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void test_select(void **state) {
    (void)state;
    double values[256], sorted[256];
    uint64_t seed = 5;
    for (int round = 0; round < 2000; round++) {
        uint32_t n = 1 + (uint32_t)round % 256;
        for (uint32_t i = 0; i < n; i++) { /* rising, falling, all alike, few values, an organ pipe, many values */
            const double shapes[] = {i, -(double)i, 3, floor(noise(&seed)), i < n / 2 ? i : n - i, noise(&seed)};
            values[i] = shapes[round % 6];
        }
        memcpy(sorted, values, sizeof sorted);
        qsort(sorted, n, sizeof sorted[0], ascending);
        uint32_t rank = (uint32_t)(round * 7919) % n;
        near(wr_select_quantile(values, n, n > 1 ? (double)rank / (n - 1) : 0.3), sorted[rank]);
    }
    unknown(wr_select_quantile(values, 0, 0.5));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_window_says),
        cmocka_unit_test(test_late_unknown_and_too_many_samples),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_long_windows_in_panes),
        cmocka_unit_test(test_tumbling),
        cmocka_unit_test(test_median_of_a_week),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_ewma),
        cmocka_unit_test(test_baseline),
        cmocka_unit_test(test_cusum),
        cmocka_unit_test(test_forecast_takes_its_distance),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_calls_that_share_a_state),
        cmocka_unit_test(test_saved_bytes),
        cmocka_unit_test(test_select),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
