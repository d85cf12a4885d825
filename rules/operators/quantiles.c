/* Median and quantiles of long windows: a ring of bin numbers, one a step, and a histogram of what is in the ring. Exact to a bin; a bin is the resolution
 * of the point, or coarser where its range would take more than BINS_MAX of them.
 *
 * The value of a step is the mean of its samples (a step without samples has none); the step that is under way does not count yet, so an answer is at most a
 * step old, and the first one comes after the first step. A sample that comes after its step is over is not taken; what lies outside the range counts at its end.
 * Counts of BLOCK bins are kept too: an answer looks at some hundred numbers, whatever the window.
 *
 * When the clock leaps, at most half of the ring is taken out one by one; where more has to go, what stays is counted anew.
 *
 * Source: a counting histogram over a sliding window, as in median filters of images (Huang, Yang, Tang 1979); quantiles as in select.h.
 */
#include <string.h>

#include "core/calendar.h"
#include "rules/compile/compiled.h"
#include "rules/operators/kind.h"

#define STEPS_MAX 20480 /* 14 days by the minute */
#define BLOCK 128u
#define BLOCKS 128u
#define BINS_MAX (BLOCK * BLOCKS)

struct quantiles {
    int64_t head; /* number of the step under way: its time by its length */
    double sum;   /* of the samples of that step */
    uint32_t n;
    uint32_t met;   /* head holds */
    uint32_t steps; /* in the histogram */
    uint32_t unused;
    uint16_t blocks[BLOCKS];
    uint16_t numbers[]; /* the bins, spec->count of them; then the ring, spec->capacity slots: number of a bin and 1, or 0 for none */
};

static void put(struct quantiles *quantiles, uint16_t slot) {
    if (slot == 0)
        return;
    quantiles->numbers[slot - 1]++;
    quantiles->blocks[(slot - 1u) / BLOCK]++;
    quantiles->steps++;
}

static void take_out(struct quantiles *quantiles, uint16_t slot) {
    if (slot == 0)
        return;
    quantiles->numbers[slot - 1]--;
    quantiles->blocks[(slot - 1u) / BLOCK]--;
    quantiles->steps--;
}

/* The slot that stands for the step under way. */
static uint16_t slot_value(const struct wr_operator_spec *spec, const struct quantiles *quantiles) {
    double bin = quantiles->n > 0 ? round((quantiles->sum / quantiles->n - spec->low) / spec->resolution) : NAN;
    if (isnan(bin))
        return 0;
    return (uint16_t)(1 + (bin <= 0 ? 0 : bin >= spec->count - 1 ? spec->count - 1 : (uint32_t)bin));
}

static void start(const struct wr_operator_spec *spec, struct quantiles *quantiles, int64_t head) {
    memset(quantiles, 0, spec->bytes);
    quantiles->head = head;
    quantiles->met = 1;
}

/* All of the ring but `without` slots from `index` on, which are cleared. */
static void count_anew(const struct wr_operator_spec *spec, struct quantiles *quantiles, uint32_t index, uint32_t without) {
    uint16_t *ring = quantiles->numbers + spec->count;
    memset(quantiles->blocks, 0, sizeof quantiles->blocks);
    memset(quantiles->numbers, 0, spec->count * sizeof quantiles->numbers[0]);
    quantiles->steps = 0;
    uint32_t i = 0;
    for (; i < without; i++, index = index + 1 == spec->capacity ? 0 : index + 1)
        ring[index] = 0;
    for (; i < spec->capacity; i++, index = index + 1 == spec->capacity ? 0 : index + 1)
        put(quantiles, ring[index]);
}

/* The step under way is over, and so are those up to `head`. Each takes the slot of the one that leaves. */
static void move(const struct wr_operator_spec *spec, struct quantiles *quantiles, int64_t head) {
    uint16_t *ring = quantiles->numbers + spec->count;
    const uint32_t leap = (uint32_t)(head - quantiles->head);
    const int64_t rest = quantiles->head % (int64_t)spec->capacity;
    const uint32_t first = (uint32_t)(rest < 0 ? rest + (int64_t)spec->capacity : rest);
    const uint16_t value = slot_value(spec, quantiles);
    if (leap > spec->capacity / 2) {
        count_anew(spec, quantiles, first, leap);
    } else {
        uint32_t index = first;
        for (uint32_t i = 0; i < leap; i++, index = index + 1 == spec->capacity ? 0 : index + 1) {
            take_out(quantiles, ring[index]);
            ring[index] = 0;
        }
    }
    ring[first] = value;
    put(quantiles, value);
    quantiles->head = head;
    quantiles->sum = 0;
    quantiles->n = 0;
}

static void quantiles_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    struct quantiles *quantiles = state;
    const int64_t capacity = spec->capacity;
    int64_t number = wr_calendar_floor(now_ns, spec->step_ns);
    if (!quantiles->met || number > quantiles->head + capacity || number <= quantiles->head - capacity)
        start(spec, quantiles, number); /* of another time */
    else if (number > quantiles->head)
        move(spec, quantiles, number);
}

static bool quantiles_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    struct quantiles *quantiles = state;
    int64_t number = wr_calendar_floor(at_ns, spec->step_ns);
    if (isnan(value) || (quantiles->met && (number < quantiles->head || number > quantiles->head + (int64_t)spec->capacity)))
        return false;
    if (!quantiles->met)
        start(spec, quantiles, number);
    if (number > quantiles->head)
        move(spec, quantiles, number);
    quantiles->sum += value;
    quantiles->n++;
    return false;
}

/* The value of this rank, from 0. */
static double ranked(const struct wr_operator_spec *spec, const struct quantiles *quantiles, uint32_t rank) {
    uint32_t bin = 0;
    for (uint32_t block = 0; block + 1 < BLOCKS && rank >= quantiles->blocks[block]; block++) {
        rank -= quantiles->blocks[block];
        bin += BLOCK;
    }
    for (; bin + 1 < spec->count && rank >= quantiles->numbers[bin]; bin++)
        rank -= quantiles->numbers[bin];
    return spec->low + (bin < spec->count ? bin : spec->count - 1) * spec->resolution;
}

static double quantiles_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    struct quantiles *quantiles = state;
    if (quantiles->steps == 0)
        return NAN;
    const uint32_t last = quantiles->steps - 1;
    double at = (function == WR_FUNCTION_QUANTILE ? number : 0.5) * last;
    uint32_t rank = !(at > 0) ? 0 : at >= last ? last : (uint32_t)at;
    double low = ranked(spec, quantiles, rank);
    if (rank >= last || !(at > rank))
        return low;
    return low + (ranked(spec, quantiles, rank + 1) - low) * (at - rank);
}

static int64_t quantiles_next(const struct wr_operator_spec *spec, const void *state) {
    const struct quantiles *quantiles = state;
    return quantiles->steps > 0 || quantiles->n > 0 ? (quantiles->head + 1) * spec->step_ns : INT64_MAX;
}

static bool quantiles_is_valid(const struct wr_operator_spec *spec, const void *state) {
    const struct quantiles *quantiles = state;
    const int64_t last = WR_OPERATOR_TIME_MAX_NS / spec->step_ns + 1;
    uint16_t blocks[BLOCKS] = {0};
    uint32_t steps = 0;
    for (uint32_t i = 0; i < spec->capacity; i++) {
        uint16_t slot = quantiles->numbers[spec->count + i];
        if (slot > spec->count)
            return false;
        steps += slot > 0;
        if (slot > 0)
            blocks[(slot - 1u) / BLOCK]++;
    }
    for (uint32_t bin = 0; bin < spec->count; bin++)
        blocks[bin / BLOCK] = (uint16_t)(blocks[bin / BLOCK] - quantiles->numbers[bin]);
    for (uint32_t block = 0; block < BLOCKS; block++)
        if (blocks[block] != 0)
            return false;
    return steps == quantiles->steps && isfinite(quantiles->sum) && quantiles->head >= -last && quantiles->head <= last;
}

const struct wr_operator_kind wr_quantiles_kind = {.name = "quantiles",
                                                   .add = quantiles_add,
                                                   .advance = quantiles_advance,
                                                   .answer = quantiles_answer,
                                                   .next = quantiles_next,
                                                   .is_valid = quantiles_is_valid};

static enum wr_result find_bins(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    const struct wr_point *point = call->point;
    spec->low = call->condition ? 0 : point ? point->low : NAN;
    double high = call->condition ? 1 : point ? point->high : NAN;
    spec->resolution = call->condition ? 1 : point ? point->resolution : 0;
    if (!isfinite(spec->low) || !isfinite(high) || !(high > spec->low) || !(spec->resolution > 0) || !isfinite(high - spec->low))
        return wr_error_set(
            err, WR_INVALID,
            "%s over more than 256 samples counts values by bins, which needs the range and the resolution of the point; add to points: "
            "{point: %s, range: \"0..50\", resolution: 0.1, ...}",
            wr_operator_function(call->function), point ? point->name : "NAME");
    double bins = round((high - spec->low) / spec->resolution) + 1;
    if (bins > BINS_MAX) {
        bins = BINS_MAX;
        spec->resolution = (high - spec->low) / (BINS_MAX - 1);
    }
    spec->high = high;
    spec->count = (uint32_t)bins;
    return WR_OK;
}

enum wr_result wr_quantiles_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    WR_TRY(find_bins(call, spec, err));
    const int64_t shortest_ns = (call->span_ns - 1) / STEPS_MAX + 1;
    spec->kind = &wr_quantiles_kind;
    spec->span_ns = call->span_ns;
    spec->step_ns = call->step_ns > 0 ? call->step_ns : spec->every_ns > shortest_ns ? spec->every_ns : shortest_ns;
    if (spec->step_ns < shortest_ns)
        return wr_error_set(err, WR_LIMIT, "%s in steps of %s are more than the %d steps that are kept: write step=%s or longer",
                            wr_operator_length(call->span_ns).text, wr_operator_length(call->step_ns).text, STEPS_MAX,
                            wr_operator_length_above(shortest_ns).text);
    spec->capacity = (uint32_t)((call->span_ns - 1) / spec->step_ns + 1);
    spec->every_ns = 0;
    spec->wrap = 0;
    spec->counter = false;
    spec->every_sample = true;
    spec->edge = (double)spec->step_ns / (double)call->span_ns;
    spec->bytes = (uint32_t)(sizeof(struct quantiles) + ((spec->count + spec->capacity) * sizeof(uint16_t) + 7) / 8 * 8);
    spec->cost_ns = 600 + spec->capacity * 2 + spec->count / 16;
    return WR_OK;
}
