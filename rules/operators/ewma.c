/* ewma(x, tau): the exponentially weighted mean. A sample that comes dt after the one before gets the weight 1 - exp(-dt / tau): so it does not matter how
 * often samples come, and after tau of a new level two thirds of the way are gone. It begins at the first sample; late samples are not taken.
 *
 * Source: Eckner 2012, "Algorithms for unevenly spaced time series: moving averages and other rolling operators", EMA with next-point interpolation.
 */
#include "rules/operators/kind.h"

struct ewma {
    int64_t at_ns;
    double value;
    uint32_t met;
    uint32_t unused;
};

static bool ewma_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    struct ewma *ewma = state;
    if (isnan(value) || (ewma->met && at_ns <= ewma->at_ns))
        return false;
    if (!ewma->met)
        ewma->value = value;
    else
        ewma->value += -expm1(-(double)(at_ns - ewma->at_ns) / (double)spec->span_ns) * (value - ewma->value);
    ewma->at_ns = at_ns;
    ewma->met = 1;
    return false;
}

/* A clock that went back: the mean holds, its time does not. */
static void ewma_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    struct ewma *ewma = state;
    if (ewma->met && ewma->at_ns - now_ns > spec->span_ns)
        ewma->at_ns = now_ns;
}

static double ewma_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    (void)spec, (void)function, (void)number;
    const struct ewma *ewma = state;
    return ewma->met ? ewma->value : NAN;
}

static int64_t ewma_next(const struct wr_operator_spec *spec, const void *state) {
    (void)spec, (void)state;
    return INT64_MAX;
}

static bool ewma_is_valid(const struct wr_operator_spec *spec, const void *state) {
    (void)spec;
    const struct ewma *ewma = state;
    return isfinite(ewma->value) && wr_operator_time_fits(ewma->at_ns);
}

const struct wr_operator_kind wr_ewma_kind = {
    .name = "ewma", .add = ewma_add, .advance = ewma_advance, .answer = ewma_answer, .next = ewma_next, .is_valid = ewma_is_valid};

enum wr_result wr_ewma_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    if (call->span_ns <= 0 || call->count > 0 || call->tumbling_ns > 0 || call->step_ns > 0)
        return wr_error_set(err, WR_INVALID, "ewma takes a time constant: ewma(x, 10m)");
    spec->kind = &wr_ewma_kind;
    spec->span_ns = call->span_ns;
    spec->every_sample = true;
    spec->bytes = sizeof(struct ewma);
    spec->cost_ns = 60;
    return WR_OK;
}
