/* anomaly(x, method=..., warmup=...): the detectors of anomaly.h as operators. NaN until the warm-up has passed since the first sample: meanwhile the
 * detector learns. Without warmup= it is silent for a hundred samples.
 *
 * The answer is that of the last sample, and holds until the next one. Samples that come late are not taken: a detector has no past to put them into.
 */
#include "rules/operators/anomaly.h"
#include "rules/compile/compiled.h"
#include "rules/operators/kind.h"

#define LEARN_SAMPLES 100 /* where no warm-up is given */

static const struct {
    const struct wr_anomaly *detector;
    uint32_t cost_ns; /* worst case; see tests/property/rules_operator_work_test.c */
} methods[WR_METHODS] = {
    [WR_METHOD_ROBUST] = {&wr_anomaly_robust, 8000},        [WR_METHOD_RELENT] = {&wr_anomaly_relent, 8000},
    [WR_METHOD_CUSUM] = {&wr_anomaly_cusum, 200},           [WR_METHOD_NOVELTY] = {&wr_anomaly_novelty, 12000},
    [WR_METHOD_NOVELTY16] = {&wr_anomaly_novelty16, 40000},
};

struct anomaly {
    int64_t first_ns;
    int64_t at_ns;
    double answer;
    uint32_t n; /* samples, as far as they are counted */
    uint32_t spare;
    uint64_t detector[];
};

static const struct wr_anomaly *detector_of(const struct wr_operator_spec *spec) {
    return methods[spec->count].detector;
}

static struct wr_anomaly_setup setup_of(const struct wr_operator_spec *spec) {
    return (struct wr_anomaly_setup){.low = spec->low, .high = spec->high};
}

static bool anomaly_add(const struct wr_operator_spec *spec, void *memory, int64_t at_ns, double value) {
    struct anomaly *state = memory;
    if (isnan(value) || (state->n > 0 && at_ns < state->at_ns))
        return false;
    const struct wr_anomaly_setup setup = setup_of(spec);
    if (state->n == 0)
        state->first_ns = at_ns;
    state->n += state->n < UINT32_MAX;
    state->at_ns = at_ns;
    state->answer = detector_of(spec)->add(&setup, state->detector, at_ns, value);
    return false;
}

/* When the clock goes back what is learned holds, and so does that it was learned long enough. */
static void anomaly_advance(const struct wr_operator_spec *spec, void *memory, int64_t now_ns) {
    struct anomaly *state = memory;
    if (state->n == 0 || now_ns >= state->at_ns - WR_OPERATOR_AHEAD_NS)
        return;
    const int64_t learned_ns = state->at_ns - state->first_ns < spec->span_ns ? state->at_ns - state->first_ns : spec->span_ns;
    state->at_ns = now_ns;
    state->first_ns = now_ns - learned_ns;
}

static double anomaly_answer(const struct wr_operator_spec *spec, void *memory, enum wr_function_id function, double number) {
    const struct anomaly *state = memory;
    (void)function, (void)number;
    const bool known = spec->span_ns > 0 ? state->at_ns - state->first_ns >= spec->span_ns : state->n >= LEARN_SAMPLES;
    return known ? state->answer : NAN;
}

static int64_t anomaly_next(const struct wr_operator_spec *spec, const void *memory) {
    (void)spec, (void)memory;
    return INT64_MAX;
}

static bool anomaly_is_valid(const struct wr_operator_spec *spec, const void *memory) {
    const struct anomaly *state = memory;
    const struct wr_anomaly_setup setup = setup_of(spec);
    return wr_operator_time_fits(state->at_ns) && state->first_ns >= -WR_OPERATOR_TIME_MAX_NS - WR_OPERATOR_SPAN_MAX_NS &&
           state->first_ns <= state->at_ns && state->answer >= 0 && state->answer <= 1 &&
           detector_of(spec)->is_valid(&setup, state->detector);
}

const struct wr_operator_kind wr_anomaly_kind = {.name = "anomaly",
                                                 .add = anomaly_add,
                                                 .advance = anomaly_advance,
                                                 .answer = anomaly_answer,
                                                 .next = anomaly_next,
                                                 .is_valid = anomaly_is_valid};

enum wr_result wr_anomaly_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    const uint8_t method = call->method == WR_METHOD_NONE ? WR_METHOD_ROBUST : call->method;
    if (call->count > 0 || call->tumbling_ns > 0 || call->step_ns > 0)
        return wr_error_set(err, WR_INVALID, "anomaly takes no window but the time that it learns at first: anomaly(x, warmup=3d)");
    if (method >= WR_METHODS)
        return wr_error_set(err, WR_INVALID, "anomaly has no method %u", method);
    spec->kind = &wr_anomaly_kind;
    spec->count = method;
    spec->span_ns = call->span_ns;
    spec->every_sample = true;
    if (method == WR_METHOD_RELENT && call->point && isfinite(call->point->low) && isfinite(call->point->high)) {
        spec->low = call->point->low;
        spec->high = call->point->high;
    }
    spec->bytes = (uint32_t)sizeof(struct anomaly) + methods[method].detector->bytes;
    spec->cost_ns = methods[method].cost_ns;
    return WR_OK;
}
