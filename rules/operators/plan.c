/* From a call to its way to compute: which of the files here takes it, and what is refused with which advice. */
#include <stdio.h>
#include <string.h>

#include "core/quantity.h"
#include "rules/compile/compiled.h"
#include "rules/operators/kind.h"

#define EXACT_SAMPLES 256

static wr_operator_planner window_plan;

static const struct function {
    const char *name;
    wr_operator_planner *plan;
} functions[] = {
    [WR_FUNCTION_AVG] = {"avg", window_plan},
    [WR_FUNCTION_MIN] = {"min", window_plan},
    [WR_FUNCTION_MAX] = {"max", window_plan},
    [WR_FUNCTION_SUM] = {"sum", window_plan},
    [WR_FUNCTION_COUNT] = {"count", window_plan},
    [WR_FUNCTION_SPAN] = {"span", window_plan},
    [WR_FUNCTION_STDDEV] = {"stddev", window_plan},
    [WR_FUNCTION_RMS] = {"rms", window_plan},
    [WR_FUNCTION_MEDIAN] = {"median", window_plan},
    [WR_FUNCTION_QUANTILE] = {"quantile", window_plan},
    [WR_FUNCTION_SLOPE] = {"slope", window_plan},
    [WR_FUNCTION_RISE] = {"rise", window_plan},
    [WR_FUNCTION_FALL] = {"fall", window_plan},
    [WR_FUNCTION_FIRST] = {"first", window_plan},
    [WR_FUNCTION_DELTA] = {"delta", window_plan},
    [WR_FUNCTION_INTEGRAL] = {"integral", window_plan},
    [WR_FUNCTION_COVERAGE] = {"coverage", window_plan},
    [WR_FUNCTION_CHANGES] = {"changes", window_plan},
    [WR_FUNCTION_COUNT_IF] = {"count_if", window_plan},
    [WR_FUNCTION_INCREASE] = {"increase", window_plan},
    [WR_FUNCTION_RATE] = {"rate", window_plan},
    [WR_FUNCTION_RESETS] = {"resets", window_plan},
    [WR_FUNCTION_FORECAST] = {"forecast", window_plan},
    [WR_FUNCTION_DUTY] = {"duty", wr_duty_plan},
    [WR_FUNCTION_HITS] = {"hits", wr_hits_plan},
    [WR_FUNCTION_EWMA] = {"ewma", wr_ewma_plan},
    [WR_FUNCTION_BASELINE] = {"baseline", wr_baseline_plan},
    [WR_FUNCTION_CUSUM] = {"cusum", wr_cusum_plan},
    [WR_FUNCTION_ANOMALY] = {"anomaly", wr_anomaly_plan},
    [WR_FUNCTION_NONE] = {NULL, NULL},
};

const char *wr_operator_function(enum wr_function_id function) {
    return functions[function].name ? functions[function].name : "this function";
}

struct wr_operator_text wr_operator_length(int64_t ns) {
    struct wr_operator_text length;
    wr_quantity_format_duration(length.text, sizeof length.text, ns);
    return length;
}

struct wr_operator_text wr_operator_length_above(int64_t ns) {
    static const int64_t units_ns[] = {
        INT64_C(86400000000000), INT64_C(3600000000000), INT64_C(60000000000), INT64_C(1000000000), 1000000, 1000, 1};
    size_t i = 0;
    while (units_ns[i] > ns && units_ns[i] > 1)
        i++;
    const int64_t unit_ns = ns < 3 * units_ns[i] && units_ns[i] > 1 ? units_ns[i + 1] : units_ns[i]; /* 90s rather than 2m */
    return wr_operator_length((ns - 1) / unit_ns * unit_ns + unit_ns);
}

/* By quantile: an argument that is wrong whatever the way. */
static enum wr_result check_numbers(const struct wr_operator_call *call, struct wr_error *err) {
    const double number = call->numbers[0];
    if (call->function == WR_FUNCTION_QUANTILE && !(number >= 0 && number <= 1))
        return wr_error_set(err, WR_INVALID, "quantile takes a share from 0 to 1 (or 0%% to 100%%): quantile(x, 0.95, 10m)");
    if (call->function == WR_FUNCTION_FORECAST && !(number >= 0 && number <= (double)WR_OPERATOR_SPAN_MAX_NS / WR_OPERATOR_NS_PER_S))
        return wr_error_set(err, WR_INVALID, "forecast takes how far to look ahead, at most %s: forecast(x, 1h, 20m)",
                            wr_operator_length(WR_OPERATOR_SPAN_MAX_NS).text);
    return WR_OK;
}

static enum wr_result check_lengths(const struct wr_operator_call *call, struct wr_error *err) {
    const char *name = wr_operator_function(call->function);
    const int64_t lengths[] = {call->span_ns, call->step_ns, call->tumbling_ns};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        if (lengths[i] < 0 || lengths[i] > WR_OPERATOR_SPAN_MAX_NS)
            return wr_error_set(err, WR_LIMIT, "%s remembers at most %s", name, wr_operator_length(WR_OPERATOR_SPAN_MAX_NS).text);
    if (call->step_ns > 0 && call->span_ns > 0 && call->step_ns >= call->span_ns)
        return wr_error_set(err, WR_INVALID, "step=%s has to be shorter than the length it divides, %s",
                            wr_operator_length(call->step_ns).text, wr_operator_length(call->span_ns).text);
    return WR_OK;
}

static enum wr_result check_window(const struct wr_operator_call *call, struct wr_error *err) {
    const char *name = wr_operator_function(call->function);
    int given = (call->span_ns > 0) + (call->count > 0) + (call->tumbling_ns > 0);
    if (given == 0)
        return wr_error_set(err, WR_INVALID, "%s needs a window: 5m, count 20, `1h, step=1m` or tumbling=1m", name);
    if (given > 1)
        return wr_error_set(err, WR_INVALID, "%s takes one window: 5m, or count 20, or tumbling=1m", name);
    if (call->step_ns > 0 && call->span_ns == 0)
        return wr_error_set(err, WR_INVALID, "step= divides a window by time: `1h, step=1m`");
    return WR_OK;
}

static enum wr_result window_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    const bool selects = call->function == WR_FUNCTION_MEDIAN || call->function == WR_FUNCTION_QUANTILE;
    WR_TRY(check_window(call, err));
    WR_TRY(check_numbers(call, err));
    if (call->point && !call->condition) {
        spec->counter = call->point->counter;
        spec->wrap = call->point->wrap;
        spec->every_ns = call->point->every_ns > 0 ? call->point->every_ns : 0;
    }
    if (call->tumbling_ns > 0 && selects)
        return wr_error_set(err, WR_INVALID, "%s is not kept for tumbling windows: write a sliding one, %s(x, %s)",
                            wr_operator_function(call->function), wr_operator_function(call->function),
                            wr_operator_length(call->tumbling_ns).text);
    if (call->tumbling_ns > 0)
        return wr_tumbling_plan(call, spec, err);
    bool many = spec->every_ns > 0 && (call->span_ns - 1) / spec->every_ns >= EXACT_SAMPLES;
    if (call->count > 0 || (call->step_ns == 0 && !many))
        return wr_samples_plan(call, spec, err);
    return selects ? wr_quantiles_plan(call, spec, err) : wr_panes_plan(call, spec, err);
}

enum wr_result wr_operator_plan(const struct wr_operator_call *call, struct wr_operator_spec *ret_spec, struct wr_error *err) {
    if (call->function >= WR_FUNCTION_NONE || !functions[call->function].plan)
        return wr_error_set(err, WR_INVALID, "%s has no memory", wr_operator_function(WR_FUNCTION_NONE));
    struct wr_operator_spec spec;
    memset(&spec, 0, sizeof spec);
    WR_TRY(check_lengths(call, err));
    WR_TRY(functions[call->function].plan(call, &spec, err));
    if (spec.bytes > WR_OPERATOR_BYTES_MAX)
        return wr_error_set(err, WR_LIMIT,
                            "%s would take %u bytes for each series, and at most %u are kept: write a shorter window or a longer step",
                            wr_operator_function(call->function), spec.bytes, WR_OPERATOR_BYTES_MAX);
    *ret_spec = spec;
    return WR_OK;
}

static bool same_number(double a, double b) {
    return a >= b && a <= b;
}

bool wr_operator_same(const struct wr_operator_spec *a, const struct wr_operator_spec *b) {
    for (int i = 0; i < WR_OPERATOR_NUMBERS; i++)
        if (!same_number(a->numbers[i], b->numbers[i]))
            return false;
    return a->kind == b->kind && a->span_ns == b->span_ns && a->step_ns == b->step_ns && a->count == b->count &&
           a->capacity == b->capacity && same_number(a->low, b->low) && same_number(a->high, b->high) &&
           same_number(a->resolution, b->resolution) && same_number(a->wrap, b->wrap) && a->every_ns == b->every_ns &&
           a->counter == b->counter && a->every_sample == b->every_sample && a->bytes == b->bytes;
}
