/* What operators refuse: calls that make no sense, with the advice what to write; saved bytes that are no state; samples and times from nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/operators/kind.h"
#include "tests/support/operator_bed.h"

#define NO                                                                                                                                 \
    { NAN, NAN, NAN, NAN }
#define MINUTE (60 * S)

/* -- saved bytes -------------------------------------------------------------------------------------------------------------------------- */

/* One of each way to compute. */
static const struct wr_operator_call ways[] = {
    {.function = WR_FUNCTION_AVG, .count = 5, .numbers = NO},
    {.function = WR_FUNCTION_AVG, .span_ns = 50 * S, .numbers = NO},
    {.function = WR_FUNCTION_AVG, .span_ns = 50 * S, .step_ns = 5 * S, .numbers = NO},
    {.function = WR_FUNCTION_AVG, .tumbling_ns = 30 * S, .numbers = NO},
    {.function = WR_FUNCTION_MEDIAN, .span_ns = 50 * S, .step_ns = S, .numbers = NO},
    {.function = WR_FUNCTION_DUTY, .span_ns = MINUTE, .numbers = NO},
    {.function = WR_FUNCTION_HITS, .numbers = {3, 70, NAN, NAN}},
    {.function = WR_FUNCTION_EWMA, .span_ns = 50 * S, .numbers = NO},
    {.function = WR_FUNCTION_BASELINE, .span_ns = 2 * MINUTE, .step_ns = 50 * S, .numbers = {3, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_CUSUM, .span_ns = 20 * S, .numbers = NO},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_ROBUST, .numbers = NO},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_RELENT, .numbers = NO},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_CUSUM, .numbers = NO},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_NOVELTY, .numbers = NO},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_NOVELTY16, .numbers = NO},
};

static const struct wr_point tank = {.name = "tank", .low = 0, .high = 20, .resolution = 0.1};

static uint64_t bits_of(double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* It was taken for a state: then it can be used as one. */
static void use(struct operator_bed *bed, enum wr_function_id function) {
    for (int i = 0; i < 4; i++) {
        (void)operator_take(bed, (401 + i * 20) * S, i);
        assert_true(!isinf(operator_says(bed, function)));
        (void)wr_operator_next(&bed->spec, bed->state);
    }
}

/* Puts `width` bytes of each of the patterns at one place of the state. Returns how many were refused. */
static uint32_t damage(struct operator_bed *bed, const void *saved, size_t at, size_t width, enum wr_function_id function) {
    const uint64_t words[] = {0,
                              1,
                              UINT64_MAX,
                              INT64_MAX,
                              UINT64_C(1) << 63,
                              (uint64_t)WR_OPERATOR_TIME_MAX_NS,
                              (uint64_t)-WR_OPERATOR_TIME_MAX_NS,
                              bits_of(NAN),
                              bits_of(-INFINITY),
                              bits_of(1e300),
                              bits_of(-1),
                              bits_of(0.5)};
    static const uint32_t halves[] = {0,         1, 5, 1000, UINT32_MAX, UINT32_MAX / 2, 0x7fc00000 /* NaN */, 0x7f000000 /* 1e38 */,
                                      0xbf800000 /* -1 */};
    uint32_t refused = 0;
    const size_t n = width == 8 ? sizeof words / sizeof words[0] : sizeof halves / sizeof halves[0];
    for (size_t i = 0; i < n; i++) {
        memcpy((uint8_t *)bed->state + at, width == 8 ? (const void *)&words[i] : (const void *)&halves[i], width);
        if (wr_operator_is_valid(&bed->spec, bed->state, bed->spec.bytes))
            use(bed, function);
        else
            refused++;
        memcpy(bed->state, saved, bed->spec.bytes);
    }
    return refused;
}

static void saved_bytes_are_refused_or_work(void **state) {
    (void)state;
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        struct wr_operator_call call = ways[way];
        struct operator_bed bed;
        call.point = &tank;
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        for (int i = 0; i < 400; i++)
            (void)operator_take(&bed, i * S, call.function == WR_FUNCTION_DUTY ? i / 7 % 2 : i * 7 % 13 + i % 3 * 0.1);
        void *saved = malloc(bed.spec.bytes);
        assert_non_null(saved);
        memcpy(saved, bed.state, bed.spec.bytes);
        uint32_t refused = 0;
        for (size_t at = 0; at + 8 <= bed.spec.bytes; at += at < 1024 ? 8 : 8 * 61) {
            refused += damage(&bed, saved, at, 8, call.function);
            refused += damage(&bed, saved, at, 4, call.function);
            refused += damage(&bed, saved, at + 4, 4, call.function);
        }
        if (refused == 0)
            fail_msg("%s takes any bytes for a state", bed.spec.kind->name);
        assert_true(wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes));
        free(saved);
        operator_stop(&bed);
    }
}

/* A clock that was set to nonsense, numbers that are none: the state stays what it was. */
static void times_and_numbers_from_nowhere(void **state) {
    (void)state;
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        struct wr_operator_call call = ways[way];
        struct operator_bed bed;
        call.point = &tank;
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        for (int i = 0; i < 100; i++)
            (void)operator_take(&bed, i * S, i % 13);
        const double before = operator_says(&bed, call.function);
        void *saved = malloc(bed.spec.bytes);
        assert_non_null(saved);
        memcpy(saved, bed.state, bed.spec.bytes);
        static const int64_t nowhere[] = {INT64_MIN, INT64_MAX, -WR_OPERATOR_TIME_MAX_NS - 1, WR_OPERATOR_TIME_MAX_NS + 1};
        for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
            assert_false(operator_take(&bed, nowhere[i], 5));
        assert_memory_equal(saved, bed.state, bed.spec.bytes);
        const double after = operator_says(&bed, call.function);
        assert_true(isnan(before) ? isnan(after) : before >= after && before <= after);
        (void)operator_take(&bed, 100 * S, INFINITY); /* unknown from here on */
        (void)operator_take(&bed, 101 * S, NAN);
        assert_true(!isinf(operator_says(&bed, call.function)));
        assert_true(wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes));
        free(saved);
        operator_stop(&bed);
    }
}

/* -- calls -------------------------------------------------------------------------------------------------------------------------------- */

static void refused(struct wr_operator_call call, const char *words) {
    struct wr_operator_spec spec = {.capacity = 77};
    struct wr_error err = {0};
    enum wr_result result = wr_operator_plan(&call, &spec, &err);
    if ((result != WR_INVALID && result != WR_LIMIT) || !strstr(err.text, words))
        fail_msg("function %d: '%s' does not say '%s'", (int)call.function, err.text, words);
    assert_int_equal(spec.capacity, 77); /* set only on success */
}

/* What a window may have and these functions may not. */
static void not_a_window(enum wr_function_id function, int64_t span_ns, bool step, const char *words) {
    refused((struct wr_operator_call){.function = function, .span_ns = span_ns, .count = 5, .numbers = NO}, words);
    refused((struct wr_operator_call){.function = function, .span_ns = span_ns, .tumbling_ns = MINUTE, .numbers = NO}, words);
    if (step)
        refused((struct wr_operator_call){.function = function, .span_ns = span_ns, .step_ns = S, .numbers = NO}, words);
}

static void models_take_no_windows(void **state) {
    (void)state;
    not_a_window(WR_FUNCTION_DUTY, 3600 * S, true, "a window by time alone");
    not_a_window(WR_FUNCTION_EWMA, 3600 * S, true, "a time constant");
    not_a_window(WR_FUNCTION_CUSUM, 3600 * S, true, "the time over which");
    not_a_window(WR_FUNCTION_BASELINE, 3600 * S, false, "a season of a minute or more");
    not_a_window(WR_FUNCTION_ANOMALY, 0, true, "no window but the time that it learns");
    refused((struct wr_operator_call){.function = WR_FUNCTION_DUTY, .numbers = NO}, "a window by time alone");
    refused((struct wr_operator_call){.function = WR_FUNCTION_CUSUM, .numbers = NO}, "the time over which");
    refused((struct wr_operator_call){.function = WR_FUNCTION_BASELINE, .span_ns = S, .numbers = NO}, "a season of a minute or more");
    refused((struct wr_operator_call){.function = WR_FUNCTION_ANOMALY, .method = WR_METHODS, .numbers = NO}, "no method");
}

static void numbers_out_of_range(void **state) {
    (void)state;
    static const struct {
        enum wr_function_id function;
        double numbers[2];
        const char *words;
    } those[] = {
        {WR_FUNCTION_HITS, {0, 10}, "whole numbers"},
        {WR_FUNCTION_HITS, {11, 10}, "whole numbers"},
        {WR_FUNCTION_HITS, {7, 5000}, "whole numbers"},
        {WR_FUNCTION_HITS, {1.5, 10}, "whole numbers"},
        {WR_FUNCTION_HITS, {7, 10.5}, "whole numbers"},
        {WR_FUNCTION_HITS, {NAN, 10}, "whole numbers"},
        {WR_FUNCTION_BASELINE, {0, NAN}, "1 to 31 seasons"},
        {WR_FUNCTION_BASELINE, {1.5, NAN}, "1 to 31 seasons"},
        {WR_FUNCTION_CUSUM, {3.5, NAN}, "the slack of cusum"},
        {WR_FUNCTION_CUSUM, {-0.1, NAN}, "the slack of cusum"},
        {WR_FUNCTION_QUANTILE, {-0.1, NAN}, "from 0 to 1"},
        {WR_FUNCTION_FORECAST, {-1, NAN}, "how far to look ahead"},
        {WR_FUNCTION_FORECAST, {1e9, NAN}, "how far to look ahead"},
    };
    for (size_t i = 0; i < sizeof those / sizeof those[0]; i++)
        refused((struct wr_operator_call){.function = those[i].function,
                                          .span_ns = those[i].function == WR_FUNCTION_HITS ? 0 : 3600 * S,
                                          .numbers = {those[i].numbers[0], those[i].numbers[1], NAN, NAN}},
                those[i].words);
}

static void lengths_out_of_range(void **state) {
    (void)state;
    refused((struct wr_operator_call){.function = WR_FUNCTION_AVG, .span_ns = -1, .numbers = NO}, "at most 400d");
    refused((struct wr_operator_call){.function = WR_FUNCTION_AVG, .span_ns = MINUTE, .step_ns = -1, .numbers = NO}, "at most 400d");
    refused((struct wr_operator_call){.function = WR_FUNCTION_AVG, .count = 5, .step_ns = S, .numbers = NO}, "a window by time");
    refused((struct wr_operator_call){.function = WR_FUNCTION_AVG, .span_ns = MINUTE, .step_ns = 2 * MINUTE, .numbers = NO},
            "shorter than the length it divides");
    refused((struct wr_operator_call){.function = WR_FUNCTION_MAX, .span_ns = 5000, .step_ns = 1, .numbers = NO}, "write step=3ns");
    refused((struct wr_operator_call){.function = WR_FUNCTION_NONE, .numbers = NO}, "has no memory");
}

/* A median over many samples counts by bins: what a point has to say for that, and what comes of a point that does not. */
static void a_median_needs_bins(void **state) {
    (void)state;
    const struct wr_point points[] = {
        {.name = "x", .low = -INFINITY, .high = 10, .resolution = 0.1}, {.name = "x", .low = 0, .high = INFINITY, .resolution = 0.1},
        {.name = "x", .low = 10, .high = 10, .resolution = 0.1},        {.name = "x", .low = 0, .high = 10},
        {.name = "x", .low = -1e308, .high = 1e308, .resolution = 0.1},
    };
    struct wr_operator_call call = {.function = WR_FUNCTION_MEDIAN, .span_ns = 3600 * S, .step_ns = S, .numbers = NO};
    call.step_ns = 10 * S;
    refused(call, "{point: NAME, range:");
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        call.point = &points[i];
        refused(call, "{point: x, range:");
    }
    call.point = &tank;
    call.step_ns = S / 10;
    refused(call, "steps that are kept");
    struct wr_operator_spec spec;
    call.step_ns = 10 * S;
    call.condition = true; /* two bins, whatever the point says */
    assert_int_equal(wr_operator_plan(&call, &spec, NULL), WR_OK);
    assert_int_equal(spec.count, 2);
}

/* -- states that are shared --------------------------------------------------------------------------------------------------------------- */

/* Calls that differ in one thing that changes answers never share a state, though all else is the same. */
static void one_difference_is_another_state(void **state) {
    (void)state;
    const struct wr_point point = {.name = "x", .low = 0, .high = 10, .resolution = 0.1, .every_ns = S};
    const struct wr_operator_call call = {.function = WR_FUNCTION_AVG, .span_ns = MINUTE, .numbers = NO, .point = &point};
    struct wr_operator_spec spec;
    assert_int_equal(wr_operator_plan(&call, &spec, NULL), WR_OK);
    struct wr_operator_spec others[14];
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        others[i] = spec;
    others[0].kind = &wr_panes_kind;
    others[1].span_ns++;
    others[2].step_ns++;
    others[3].count++;
    others[4].capacity++;
    others[5].low = 1;
    others[6].high = -1;
    others[7].resolution = 1;
    others[8].wrap = 65536;
    others[9].every_ns++;
    others[10].counter = !spec.counter;
    others[11].every_sample = !spec.every_sample;
    others[12].bytes += 8;
    others[13].numbers[3] = -1;
    assert_true(wr_operator_same(&spec, &spec));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(wr_operator_same(&spec, &others[i]));
        assert_false(wr_operator_same(&others[i], &spec));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_bytes_are_refused_or_work),
        cmocka_unit_test(times_and_numbers_from_nowhere),
        cmocka_unit_test(models_take_no_windows),
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(lengths_out_of_range),
        cmocka_unit_test(a_median_needs_bins),
        cmocka_unit_test(one_difference_is_another_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
