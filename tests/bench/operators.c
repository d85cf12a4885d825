/* What the functions with memory cost: nanoseconds for a sample, for an answer after a sample, and for the worst single step; bytes of a state.
 *
 *   bench_operators [samples]
 *
 * The sample: clock, then the sample itself, in order, with a period that fills the window. The answer: each after a new sample, so that nothing is
 * remembered. The worst step: the same hostile sequence (late samples, leaps of the clock, questions) five times, of each step its fastest run, and of those
 * the slowest: what the machine does beside does not count. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rules/operators/kind.h"
#include "tests/support/operator_bed.h"

#define RUNS 5
#define HOSTILE 4000

struct call {
    const char *name;
    enum wr_function_id function;
    int64_t span_ns;
    uint32_t count;
    int64_t step_ns;
    double numbers[2];
    double resolution;
    int64_t every_ns;
    uint8_t method;
};

static const struct call calls[] = {
    {"avg, 20 samples", WR_FUNCTION_AVG, 0, 20, 0, {NAN, NAN}, 0, S, 0},
    {"avg, 256 samples", WR_FUNCTION_AVG, 0, 256, 0, {NAN, NAN}, 0, S, 0},
    {"max, 256 samples", WR_FUNCTION_MAX, 0, 256, 0, {NAN, NAN}, 0, S, 0},
    {"stddev, 256 samples", WR_FUNCTION_STDDEV, 0, 256, 0, {NAN, NAN}, 0, S, 0},
    {"increase, 256 samples", WR_FUNCTION_INCREASE, 0, 256, 0, {NAN, NAN}, 0, S, 0},
    {"median, 256 samples", WR_FUNCTION_MEDIAN, 0, 256, 0, {NAN, NAN}, 0, S, 0},
    {"avg, 1d in 64 panes", WR_FUNCTION_AVG, 86400 * S, 0, 0, {NAN, NAN}, 0, S, 0},
    {"slope, 2000 panes", WR_FUNCTION_SLOPE, 120000 * S, 0, 60 * S, {NAN, NAN}, 0, S, 0},
    {"median, 7d step=1m", WR_FUNCTION_MEDIAN, 604800 * S, 0, 60 * S, {NAN, NAN}, 0.01, S, 0},
    {"median, 20480 steps, 16384 bins", WR_FUNCTION_MEDIAN, 20480 * S, 0, S, {NAN, NAN}, 0.0001, S, 0},
    {"duty", WR_FUNCTION_DUTY, 3600 * S, 0, 0, {NAN, NAN}, 0, S, 0},
    {"hits 7 of 10", WR_FUNCTION_HITS, 0, 0, 0, {7, 10}, 0, S, 0},
    {"ewma", WR_FUNCTION_EWMA, 60 * S, 0, 0, {NAN, NAN}, 0, S, 0},
    {"baseline 1d", WR_FUNCTION_BASELINE, 86400 * S, 0, 0, {NAN, NAN}, 0, S, 0},
    {"cusum", WR_FUNCTION_CUSUM, 600 * S, 0, 0, {NAN, NAN}, 0, S, 0},
    {"anomaly robust", WR_FUNCTION_ANOMALY, 0, 0, 0, {NAN, NAN}, 0, S, WR_METHOD_ROBUST},
    {"anomaly relent", WR_FUNCTION_ANOMALY, 0, 0, 0, {NAN, NAN}, 0, S, WR_METHOD_RELENT},
    {"anomaly cusum", WR_FUNCTION_ANOMALY, 0, 0, 0, {NAN, NAN}, 0, S, WR_METHOD_CUSUM},
    {"anomaly novelty", WR_FUNCTION_ANOMALY, 0, 0, 0, {NAN, NAN}, 0, S, WR_METHOD_NOVELTY},
    {"anomaly novelty16", WR_FUNCTION_ANOMALY, 0, 0, 0, {NAN, NAN}, 0, S, WR_METHOD_NOVELTY16},
};

static volatile double sink;
static uint64_t random_state;

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t next_random(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 33;
}

static void start(const struct call *call, struct operator_bed *bed) {
    static struct wr_point point;
    point = (struct wr_point){.name = "x", .low = 0, .high = 50, .resolution = call->resolution, .every_ns = call->every_ns};
    struct wr_operator_call plan = operator_call(call->function);
    struct wr_error err;
    plan.span_ns = call->span_ns;
    plan.count = call->count;
    plan.step_ns = call->step_ns;
    plan.method = call->method;
    memcpy(plan.numbers, call->numbers, sizeof call->numbers);
    plan.point = &point;
    if (operator_start(bed, &plan, &err) == WR_OK)
        return;
    fprintf(stderr, "bench_operators: %s\n", err.text);
    exit(2);
}

/* Of one sample, and of one sample with an answer. */
static void cost(const struct call *call, uint32_t samples, double *ret_add, double *ret_both) {
    static double values[4096];
    struct operator_bed bed;
    start(call, &bed);
    random_state = 1;
    for (int i = 0; i < 4096; i++)
        values[i] = (double)(next_random() % 5000) / 100;
    int64_t now = INT64_C(1700000000) * S;
    const uint32_t fill = bed.spec.step_ns > 0 ? bed.spec.capacity : 300; /* by steps, else by samples */
    const int64_t stride = bed.spec.step_ns > 0 ? bed.spec.step_ns : S;
    for (uint32_t i = 0; i < fill; i++)
        operator_take(&bed, now += stride, values[i % 4096]);
    double begin = cpu_ns();
    for (uint32_t i = 0; i < samples; i++)
        operator_take(&bed, now += S, values[i % 4096]);
    *ret_add = (cpu_ns() - begin) / samples;
    begin = cpu_ns();
    for (uint32_t i = 0; i < samples / 4; i++) {
        operator_take(&bed, now += S, values[i % 4096]);
        sink = wr_operator_answer(&bed.spec, bed.state, call->function, 0.5);
    }
    *ret_both = (cpu_ns() - begin) / (samples / 4);
    operator_stop(&bed);
}

static int64_t leap(int64_t span_ns, int64_t step_ns) {
    switch (next_random() % 40) {
    case 0:
        return span_ns / 2 - (int64_t)(next_random() % 3) * step_ns;
    case 1:
        return span_ns - (int64_t)(next_random() % 3) * step_ns;
    default:
        return (int64_t)(next_random() % 3) * step_ns;
    }
}

static void hostile(const struct call *call, double *fastest) {
    struct operator_bed bed;
    start(call, &bed);
    random_state = 2;
    const int64_t span_ns = bed.spec.span_ns > 0 ? bed.spec.span_ns : 256 * S;
    const int64_t step_ns = bed.spec.step_ns > 0 ? bed.spec.step_ns : span_ns / 256;
    int64_t now = INT64_C(1700000000) * S;
    for (int step = 0; step < HOSTILE; step++) {
        if (step % 50 == 0)
            for (uint32_t i = 0; i < bed.spec.capacity; i++)
                operator_take(&bed, now += step_ns, (double)(next_random() % 5000) / 100);
        now += leap(span_ns, step_ns);
        int64_t at = now - (step % 3 == 0 ? (int64_t)(next_random() % (uint64_t)span_ns) : 0);
        double begin = wall_ns();
        operator_take(&bed, now, 1);
        wr_operator_add(&bed.spec, bed.state, at, 2);
        sink = wr_operator_answer(&bed.spec, bed.state, call->function, 0.5);
        double spent = wall_ns() - begin;
        fastest[step] = spent < fastest[step] ? spent : fastest[step];
    }
    operator_stop(&bed);
}

static double worst_step(const struct call *call) {
    static double fastest[HOSTILE];
    for (int i = 0; i < HOSTILE; i++)
        fastest[i] = INFINITY;
    for (int run = 0; run < RUNS; run++)
        hostile(call, fastest);
    double worst = 0;
    for (int i = 0; i < HOSTILE; i++)
        worst = fastest[i] > worst ? fastest[i] : worst;
    return worst;
}

int main(int argc, char **argv) {
    uint32_t samples = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 400000;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct wr_operator_spec spec;
        struct operator_bed bed;
        double add = INFINITY;
        double both = INFINITY;
        start(&calls[i], &bed);
        spec = bed.spec;
        operator_stop(&bed);
        for (int run = 0; run < RUNS; run++) {
            double a;
            double b;
            cost(&calls[i], samples, &a, &b);
            add = a < add ? a : add;
            both = b < both ? b : both;
        }
        printf("%s: add %.1f answer %.1f worst %.0f bytes %u plan %u\n", calls[i].name, add, both > add ? both - add : 0,
               worst_step(&calls[i]), spec.bytes, spec.cost_ns);
    }
    return 0;
}
