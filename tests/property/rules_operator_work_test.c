/* How much work one step of an operator can be: the basic blocks that it runs are counted (the compiler calls us in each), never the time. The worst that a
 * hostile mix of samples, leaps of the clock and questions can bring must stay below the cost that the plan tells for add and answer, at half a
 * nanosecond a block, which is about twice what one takes (tests/bench/operators.c measures); and that below what the engine allows for a step. WEIR_SEED repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "rules/operators/kind.h"
#include "tests/support/operator_bed.h"
#include "tests/support/random.h"

#define STEP_MAX_NS 50000
#define STEPS 3000

static uint64_t blocks;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
    blocks++;
}

static struct wr_random seed;

static int64_t below(int64_t end) {
    return (int64_t)wr_random_below(&seed, (uint64_t)end);
}

/* The largest of each kind. */
static const struct {
    const char *name;
    enum wr_function_id function;
    int64_t span_s;
    uint32_t count;
    int64_t step_s;
    double numbers[2];
    double resolution;
    uint8_t method;
} calls[] = {
    {"samples", WR_FUNCTION_AVG, 1000, 0, 0, {NAN, NAN}, 0, 0},
    {"samples, selected", WR_FUNCTION_MEDIAN, 0, 256, 0, {NAN, NAN}, 0, 0},
    {"panes", WR_FUNCTION_AVG, 86400, 0, 1800, {NAN, NAN}, 0, 0},
    {"panes, as many as there may be", WR_FUNCTION_AVG, 2040, 0, 1, {NAN, NAN}, 0, 0},
    {"quantiles", WR_FUNCTION_MEDIAN, 20480, 0, 1, {NAN, NAN}, 0.0001, 0},
    {"duty", WR_FUNCTION_DUTY, 3600, 0, 0, {NAN, NAN}, 0, 0},
    {"hits", WR_FUNCTION_HITS, 0, 0, 0, {4096, 4096}, 0, 0},
    {"ewma", WR_FUNCTION_EWMA, 60, 0, 0, {NAN, NAN}, 0, 0},
    {"baseline", WR_FUNCTION_BASELINE, 86400, 0, 0, {31, NAN}, 0, 0},
    {"cusum", WR_FUNCTION_CUSUM, 600, 0, 0, {NAN, NAN}, 0, 0},
    {"anomaly, robust", WR_FUNCTION_ANOMALY, 600, 0, 0, {NAN, NAN}, 0, WR_METHOD_ROBUST},
    {"anomaly, relent", WR_FUNCTION_ANOMALY, 600, 0, 0, {NAN, NAN}, 0, WR_METHOD_RELENT},
    {"anomaly, cusum", WR_FUNCTION_ANOMALY, 600, 0, 0, {NAN, NAN}, 0, WR_METHOD_CUSUM},
    {"anomaly, novelty", WR_FUNCTION_ANOMALY, 600, 0, 0, {NAN, NAN}, 0, WR_METHOD_NOVELTY},
    {"anomaly, novelty16", WR_FUNCTION_ANOMALY, 600, 0, 0, {NAN, NAN}, 0, WR_METHOD_NOVELTY16},
};

static int64_t some_step(int64_t span_ns, int64_t step_ns) {
    switch (below(20)) {
    case 0:
        return span_ns / 2 - below(step_ns * 4 + 1) + 2 * step_ns; /* the worst for who takes out one by one */
    case 1:
        return span_ns - below(step_ns * 4 + 1);
    case 2:
        return below(10 * span_ns);
    case 3:
        return -below(2 * span_ns);
    default:
        return below(2 * step_ns);
    }
}

/* The worst of one add or advance, and of one answer. */
static void run(struct operator_bed *bed, enum wr_function_id function, uint64_t *ret_step, uint64_t *ret_answer) {
    const int64_t span_ns = bed->spec.span_ns > 0 ? bed->spec.span_ns : 256 * S;
    const int64_t step_ns = bed->spec.step_ns > 0 ? bed->spec.step_ns : span_ns / 256;
    int64_t now = 0;
    *ret_step = 0;
    *ret_answer = 0;
    uint32_t filled = bed->spec.capacity + 10;
    for (uint32_t step = 0; step < filled + STEPS; step++) {
        now += step < filled ? step_ns : some_step(span_ns, step_ns);
        blocks = 0;
        wr_operator_advance(&bed->spec, bed->state, now);
        int64_t at = step < filled ? now : now - below(span_ns); /* late ones go to the far end */
        wr_operator_add(&bed->spec, bed->state, at, below(3) == 0 ? -(double)step : (double)below(10));
        *ret_step = blocks > *ret_step ? blocks : *ret_step;
        blocks = 0;
        (void)wr_operator_answer(&bed->spec, bed->state, function, 0.5);
        (void)wr_operator_next(&bed->spec, bed->state);
        *ret_answer = blocks > *ret_answer ? blocks : *ret_answer;
        if (step >= filled && below(50) == 0) /* full again, so that the next leap finds much to do */
            for (uint32_t i = 0; i < bed->spec.capacity; i++)
                operator_take(bed, now += step_ns, (double)(i % 7));
    }
}

static void test_work_is_bounded(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const struct wr_point point = {.name = "x", .low = -10, .high = 10, .resolution = calls[i].resolution};
        struct wr_operator_call call = operator_call(calls[i].function);
        struct operator_bed bed;
        call.span_ns = calls[i].span_s * S;
        call.step_ns = calls[i].step_s * S;
        call.count = calls[i].count;
        call.method = calls[i].method;
        call.numbers[0] = calls[i].numbers[0];
        call.numbers[1] = calls[i].numbers[1];
        call.point = &point;
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        uint64_t step;
        uint64_t answer;
        run(&bed, calls[i].function, &step, &answer);
        printf("%-32s %6u bytes, cost %5u ns; worst step %5llu blocks, worst answer %5llu\n", calls[i].name, bed.spec.bytes,
               bed.spec.cost_ns, (unsigned long long)step, (unsigned long long)answer);
        assert_true(step > 0 && answer > 0); /* they are counted */
        assert_true((step + answer) / 2 <= bed.spec.cost_ns);
        assert_true(bed.spec.cost_ns <= STEP_MAX_NS);
        operator_stop(&bed);
    }
}

int main(void) {
    seed = wr_random_begin();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_work_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
