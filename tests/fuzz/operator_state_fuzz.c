/* Saved states of operators: any bytes are either refused or can be used like a state that grew here: nothing is read or written beside the block, and
 * answers are finite or unknown. The input: which call, how far its own samples go, then bytes that lie over the state, then samples. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/operators/kind.h"
#include "tests/support/operator_bed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

static const struct wr_operator_call calls[] = {
    {.function = WR_FUNCTION_AVG, .count = 5, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_AVG, .span_ns = 8 * S, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_AVG, .span_ns = 8 * S, .step_ns = S, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_AVG, .tumbling_ns = 3 * S, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_MEDIAN, .span_ns = 8 * S, .step_ns = S, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_DUTY, .span_ns = 1000, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_HITS, .numbers = {3, 70, NAN, NAN}},
    {.function = WR_FUNCTION_EWMA, .span_ns = 8 * S, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_BASELINE, .span_ns = 120 * S, .step_ns = 50 * S, .numbers = {3, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_CUSUM, .span_ns = 20 * S, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_ROBUST, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_RELENT, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_CUSUM, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_NOVELTY, .numbers = {NAN, NAN, NAN, NAN}},
    {.function = WR_FUNCTION_ANOMALY, .span_ns = 20 * S, .method = WR_METHOD_NOVELTY16, .numbers = {NAN, NAN, NAN, NAN}},
};

static void ask(struct operator_bed *bed, enum wr_function_id function) {
    static const enum wr_function_id of_windows[] = {
        WR_FUNCTION_AVG,    WR_FUNCTION_MIN,      WR_FUNCTION_MAX,      WR_FUNCTION_SUM,     WR_FUNCTION_COUNT,    WR_FUNCTION_SPAN,
        WR_FUNCTION_STDDEV, WR_FUNCTION_RMS,      WR_FUNCTION_SLOPE,    WR_FUNCTION_RISE,    WR_FUNCTION_FALL,     WR_FUNCTION_FIRST,
        WR_FUNCTION_DELTA,  WR_FUNCTION_INTEGRAL, WR_FUNCTION_COVERAGE, WR_FUNCTION_CHANGES, WR_FUNCTION_INCREASE, WR_FUNCTION_RATE,
        WR_FUNCTION_RESETS, WR_FUNCTION_MEDIAN,   WR_FUNCTION_QUANTILE, WR_FUNCTION_FORECAST};
    must(!isinf(wr_operator_answer(&bed->spec, bed->state, function, 0.5)));
    for (size_t i = 0; function == WR_FUNCTION_AVG && i < sizeof of_windows / sizeof of_windows[0]; i++)
        must(!isinf(wr_operator_answer(&bed->spec, bed->state, of_windows[i], 0.5)));
    (void)wr_operator_next(&bed->spec, bed->state);
}

/* Ten bytes a sample: what it is, how the clock goes on, and a number of eight bytes as it is. */
static void feed(struct operator_bed *bed, enum wr_function_id function, const uint8_t *data, size_t size) {
    int64_t now = 0;
    for (; size >= 10; data += 10, size -= 10) {
        int64_t wide;
        double value;
        memcpy(&wide, data + 2, sizeof wide);
        memcpy(&value, data + 2, sizeof value);
        if (data[0] & 1)
            now = wide;
        else
            now += (int8_t)data[1] * (S / 4);
        now = wr_operator_time_fits(now) || (data[0] & 32) ? now / 2 : 0; /* out of range too: they are not taken */
        if (data[0] & 2)
            wr_operator_advance(&bed->spec, bed->state, now);
        if (data[0] & 4)
            (void)wr_operator_add(&bed->spec, bed->state, now - (data[0] & 8 ? S : 0), data[0] & 1 ? data[1] : value);
        if (data[0] & 16)
            ask(bed, function);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct wr_point point = {.name = "x", .low = 0, .high = 20, .resolution = 0.1};
    if (size < 4)
        return 0;
    struct wr_operator_call call = calls[data[0] % (sizeof calls / sizeof calls[0])];
    struct operator_bed bed;
    call.point = &point;
    must(operator_start(&bed, &call, NULL) == WR_OK);
    for (int i = 0; i < data[1]; i++)
        (void)operator_take(&bed, i * S / 3, i % 7);
    must(wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes));
    size_t at = data[2] * bed.spec.bytes / 256;
    size_t over = (size_t)data[3] < size - 4 ? data[3] : size - 4;
    over = over < bed.spec.bytes - at ? over : bed.spec.bytes - at;
    memcpy((uint8_t *)bed.state + at, data + 4, over);
    if (wr_operator_is_valid(&bed.spec, bed.state, bed.spec.bytes)) {
        ask(&bed, call.function);
        feed(&bed, call.function, data + 4 + over, size - 4 - over);
    }
    operator_stop(&bed);
    return 0;
}
