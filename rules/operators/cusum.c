/* cusum(x, tau), cusum(x, tau, k): has the level of x shifted? The two-sided cumulative sum: how far x has been off its usual level, beyond k standard deviations
 * (0.5 where not given), added up since it was last at home. In standard deviations: 5 is a shift of one that has lasted ten samples or so, and chance brings it once in some
 * five hundred samples of pure noise; 8 once in ten thousand.
 *
 * Level and spread are those of the last tau, learned by the way: so a shift that stays is the usual level after a few tau, and the sum comes home. A single wild
 * sample counts as OUTLIER deviations at most (less than 5: it alone says nothing), and moves the level by LEVEL_PULL. NaN until tau has passed and LEARN samples have come.
 *
 * Source: Page 1954; two-sided and standardised, with its run lengths: Montgomery, Introduction to Statistical Quality Control, chapter 9; bounded
 * influence: Huber 1981.
 */
#include "rules/compile/compiled.h"
#include "rules/operators/kind.h"

#define LEARN 10
#define OUTLIER 5.0
#define LEVEL_PULL 3.5
#define SPREAD_PULL 7.0 /* above what noise does: so that a spread learned from a dead signal grows again */
#define SUM_MAX 100.0   /* comes home within a bounded time */

struct cusum {
    int64_t first_ns;
    int64_t at_ns;
    double mean;
    double variance;
    double up;
    double down;
    uint32_t n; /* up to LEARN and until tau has passed: all of them */
    uint32_t learned;
};

static double within(double value, double limit) {
    return fmin(limit, fmax(-limit, value));
}

static double spread(const struct wr_operator_spec *spec, const struct cusum *cusum) {
    double least = fmax(spec->resolution, 1e-9 * (1 + fabs(cusum->mean)));
    return fmax(sqrt(fmax(cusum->variance, 0)), least);
}

static void learn(const struct wr_operator_spec *spec, struct cusum *cusum, int64_t at_ns, double value) {
    cusum->n++;
    double weight = -expm1(-(double)(at_ns - cusum->at_ns) / (double)spec->span_ns);
    if (!cusum->learned)
        weight = 1.0 / cusum->n; /* the plain mean of what there is */
    const double deviation = spread(spec, cusum);
    const double off = value - cusum->mean;
    const double pulled = cusum->learned ? within(off, LEVEL_PULL * deviation) : off;
    const double spreads = cusum->learned ? within(off, SPREAD_PULL * deviation) : off;
    cusum->mean += weight * pulled;
    cusum->variance = (1 - weight) * (cusum->variance + weight * spreads * spreads);
    if (cusum->n >= LEARN && at_ns - cusum->first_ns >= spec->span_ns)
        cusum->learned = 1;
}

static bool cusum_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    struct cusum *cusum = state;
    if (isnan(value) || (cusum->n > 0 && at_ns < cusum->at_ns))
        return false;
    if (cusum->n == 0) {
        *cusum = (struct cusum){.first_ns = at_ns, .at_ns = at_ns, .mean = value, .n = 1};
        return false;
    }
    if (cusum->learned) {
        double off = within((value - cusum->mean) / spread(spec, cusum), OUTLIER);
        cusum->up = fmin(SUM_MAX, fmax(0, cusum->up + off - spec->numbers[0]));
        cusum->down = fmin(SUM_MAX, fmax(0, cusum->down - off - spec->numbers[0]));
    }
    learn(spec, cusum, at_ns, value);
    cusum->at_ns = at_ns;
    if (!isfinite(cusum->mean) || !isfinite(cusum->variance))
        *cusum = (struct cusum){0};
    else if (cusum->n > UINT32_MAX / 2)
        cusum->n = UINT32_MAX / 2;
    return false;
}

static void cusum_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    struct cusum *cusum = state;
    if (cusum->n > 0 && cusum->at_ns - now_ns > spec->span_ns) { /* the clock went back: what is known holds */
        cusum->first_ns = now_ns - (cusum->at_ns - cusum->first_ns < spec->span_ns ? cusum->at_ns - cusum->first_ns : spec->span_ns);
        cusum->at_ns = now_ns;
    }
}

static double cusum_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    (void)spec, (void)function, (void)number;
    const struct cusum *cusum = state;
    return cusum->learned ? fmax(cusum->up, cusum->down) : NAN;
}

static int64_t cusum_next(const struct wr_operator_spec *spec, const void *state) {
    (void)spec, (void)state;
    return INT64_MAX;
}

static bool cusum_is_valid(const struct wr_operator_spec *spec, const void *state) {
    (void)spec;
    const struct cusum *cusum = state;
    bool times = wr_operator_time_fits(cusum->first_ns) && wr_operator_time_fits(cusum->at_ns) && cusum->first_ns <= cusum->at_ns;
    bool sums = cusum->up >= 0 && cusum->up <= SUM_MAX && cusum->down >= 0 && cusum->down <= SUM_MAX;
    return times && sums && isfinite(cusum->mean) && cusum->variance >= 0 && isfinite(cusum->variance) && cusum->n <= UINT32_MAX / 2;
}

const struct wr_operator_kind wr_cusum_kind = {
    .name = "cusum", .add = cusum_add, .advance = cusum_advance, .answer = cusum_answer, .next = cusum_next, .is_valid = cusum_is_valid};

enum wr_result wr_cusum_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    const double slack = isnan(call->numbers[0]) ? 0.5 : call->numbers[0];
    if (call->span_ns <= 0 || call->count > 0 || call->tumbling_ns > 0 || call->step_ns > 0)
        return wr_error_set(err, WR_INVALID, "cusum takes the time over which the usual level is learned: cusum(x, 1h)");
    if (!(slack >= 0 && slack <= 3))
        return wr_error_set(err, WR_INVALID, "the slack of cusum is 0 to 3 standard deviations: cusum(x, 1h, 0.5)");
    spec->kind = &wr_cusum_kind;
    spec->span_ns = call->span_ns;
    spec->numbers[0] = slack;
    spec->resolution = call->point ? call->point->resolution : 0;
    spec->every_sample = true;
    spec->bytes = sizeof(struct cusum);
    spec->cost_ns = 100;
    return WR_OK;
}
