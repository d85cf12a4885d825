/* Exact windows: the samples themselves, in the order of their time, at most SAMPLES_MAX of them. Every answer is computed from them: no running
 * sums, so no drift. Answers are kept until a sample comes or goes; the lowest and the highest follow along without a scan, as long as it is not they that go.
 *
 * A late sample is put in its place; of equal times the later call is later. One that is older than the window, or than all of a full window, is not taken.
 * When more samples come than the window was planned for, the oldest are pushed out before their time. Unknown (NaN) is no sample.
 * A clock that goes back by more than the window leaves no samples behind that would stand in the future for so long.
 */
#include <string.h>

#include "rules/operators/counter.h"
#include "rules/operators/kind.h"
#include "rules/operators/moments.h"
#include "rules/operators/select.h"

#define SAMPLES_MAX 256
#define ANSWERS 4

struct sample {
    int64_t at_ns;
    double value;
};

struct answer {
    double number;
    double value;
};

struct samples {
    int64_t now_ns;
    uint32_t met;   /* now_ns holds */
    uint32_t first; /* index of the oldest */
    uint32_t n;
    uint32_t bounded; /* min and max hold */
    double min;
    double max;
    uint32_t n_answers; /* that hold */
    uint32_t next_answer;
    uint32_t functions[ANSWERS];
    struct answer answers[ANSWERS];
    struct sample ring[];
};

static struct sample *at(const struct wr_operator_spec *spec, struct samples *window, uint32_t i) {
    uint32_t index = window->first + i;
    return &window->ring[index < spec->capacity ? index : index - spec->capacity];
}

static void changed(struct samples *window) {
    window->n_answers = 0;
    window->next_answer = 0;
}

/* A sample goes: the bounds hold only if it was none of them. */
static void gone(struct samples *window, double value) {
    if (value <= window->min || value >= window->max)
        window->bounded = 0;
    changed(window);
}

static void drop_oldest(const struct wr_operator_spec *spec, struct samples *window) {
    double value = window->ring[window->first].value;
    window->first = window->first + 1 == spec->capacity ? 0 : window->first + 1;
    window->n--;
    gone(window, value);
}

/* What is further ahead of the clock is of another time. */
static int64_t ahead(const struct wr_operator_spec *spec) {
    return spec->span_ns > 0 ? spec->span_ns : WR_OPERATOR_AHEAD_NS;
}

static void samples_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    struct samples *window = state;
    window->now_ns = now_ns;
    window->met = 1;
    while (spec->span_ns > 0 && window->n > 0 && now_ns - at(spec, window, 0)->at_ns >= spec->span_ns)
        drop_oldest(spec, window);
    while (window->n > 0 && at(spec, window, window->n - 1)->at_ns - now_ns > ahead(spec)) {
        window->n--;
        gone(window, at(spec, window, window->n)->value);
    }
}

/* There is room. From the newest back to where it belongs. */
static void insert(const struct wr_operator_spec *spec, struct samples *window, struct sample sample) {
    uint32_t at = window->first + window->n;
    at = at < spec->capacity ? at : at - spec->capacity;
    for (uint32_t left = window->n++; left > 0; left--) {
        uint32_t before = at == 0 ? spec->capacity - 1 : at - 1;
        if (window->ring[before].at_ns <= sample.at_ns)
            break;
        window->ring[at] = window->ring[before];
        at = before;
    }
    window->ring[at] = sample;
}

static bool samples_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    struct samples *window = state;
    if (isnan(value))
        return false;
    if (window->met && ((spec->span_ns > 0 && window->now_ns - at_ns >= spec->span_ns) || at_ns - window->now_ns > ahead(spec)))
        return false;
    bool pushed = false;
    if (window->n == spec->capacity) {
        if (at_ns < at(spec, window, 0)->at_ns)
            return spec->span_ns > 0; /* older than all of a full window: this one is what is pushed out */
        pushed = spec->span_ns > 0;
        drop_oldest(spec, window);
    }
    insert(spec, window, (struct sample){at_ns, value});
    if (window->n == 1)
        window->bounded = 0;
    if (window->bounded) {
        window->min = value < window->min ? value : window->min;
        window->max = value > window->max ? value : window->max;
    }
    changed(window);
    return pushed;
}

static int64_t samples_next(const struct wr_operator_spec *spec, const void *state) {
    const struct samples *window = state;
    return spec->span_ns == 0 || window->n == 0 ? INT64_MAX : window->ring[window->first].at_ns + spec->span_ns;
}

static void bound(const struct wr_operator_spec *spec, struct samples *window) {
    if (window->bounded)
        return;
    window->min = INFINITY;
    window->max = -INFINITY;
    for (uint32_t i = 0; i < window->n; i++) {
        double value = at(spec, window, i)->value;
        window->min = value < window->min ? value : window->min;
        window->max = value > window->max ? value : window->max;
    }
    window->bounded = 1;
}

static double sum(const struct wr_operator_spec *spec, struct samples *window) {
    double sum = 0;
    for (uint32_t i = 0; i < window->n; i++)
        sum += at(spec, window, i)->value;
    return sum;
}

/* About the mean, in a second pass: two passes are what the one-by-one formulas approximate. Times from the oldest sample. */
static struct wr_moments moments(const struct wr_operator_spec *spec, struct samples *window) {
    struct wr_moments of = {.n = window->n};
    int64_t origin_ns = at(spec, window, 0)->at_ns;
    for (uint32_t i = 0; i < window->n; i++) {
        const struct sample *sample = at(spec, window, i);
        of.mean_t += (double)(sample->at_ns - origin_ns) / WR_OPERATOR_NS_PER_S;
        of.mean_x += sample->value;
    }
    of.mean_t /= of.n;
    of.mean_x /= of.n;
    for (uint32_t i = 0; i < window->n; i++) {
        const struct sample *sample = at(spec, window, i);
        double dt = (double)(sample->at_ns - origin_ns) / WR_OPERATOR_NS_PER_S - of.mean_t;
        double dx = sample->value - of.mean_x;
        of.tt += dt * dt;
        of.xx += dx * dx;
        of.tx += dt * dx;
    }
    return of;
}

static double quantile(const struct wr_operator_spec *spec, struct samples *window, double q) {
    double values[SAMPLES_MAX];
    for (uint32_t i = 0; i < window->n; i++)
        values[i] = at(spec, window, i)->value;
    return wr_select_quantile(values, window->n, q);
}

/* Over the pairs of neighbours. */
static double pairs(const struct wr_operator_spec *spec, struct samples *window, enum wr_function_id function) {
    double total = 0;
    for (uint32_t i = 1; i < window->n; i++) {
        const struct sample *before = at(spec, window, i - 1);
        const struct sample *after = at(spec, window, i);
        if (function == WR_FUNCTION_CHANGES)
            total += before->value < after->value || before->value > after->value;
        else if (function == WR_FUNCTION_RESETS)
            total += wr_counter_reset(before->value, after->value, spec->wrap);
        else if (function == WR_FUNCTION_INTEGRAL)
            total += (double)(after->at_ns - before->at_ns) / WR_OPERATOR_NS_PER_S * (before->value / 2 + after->value / 2);
        else
            total += wr_counter_increase(before->value, after->value, spec->wrap);
    }
    return total;
}

static double coverage(const struct wr_operator_spec *spec, struct samples *window) {
    if (spec->span_ns == 0)
        return (double)window->n / spec->count;
    double covered =
        spec->every_ns > 0 ? (double)window->n * (double)spec->every_ns : (double)(window->now_ns - at(spec, window, 0)->at_ns);
    return fmin(1, fmax(0, covered / (double)spec->span_ns));
}

static double scanned(const struct wr_operator_spec *spec, struct samples *window, enum wr_function_id function, double number) {
    const struct sample *first = at(spec, window, 0);
    const struct sample *last = at(spec, window, window->n - 1);
    struct wr_moments of;
    double change;
    switch (function) {
    case WR_FUNCTION_AVG:
        return sum(spec, window) / window->n;
    case WR_FUNCTION_SUM:
    case WR_FUNCTION_COUNT_IF:
        return sum(spec, window);
    case WR_FUNCTION_MEDIAN:
        return quantile(spec, window, 0.5);
    case WR_FUNCTION_QUANTILE:
        return quantile(spec, window, number);
    case WR_FUNCTION_STDDEV:
        of = moments(spec, window);
        return wr_moments_stddev(&of);
    case WR_FUNCTION_RMS:
        of = moments(spec, window);
        return wr_moments_rms(&of);
    case WR_FUNCTION_SLOPE:
        of = moments(spec, window);
        return wr_moments_slope(&of);
    case WR_FUNCTION_FORECAST:
        of = moments(spec, window);
        return wr_moments_line(&of, (double)(last->at_ns - first->at_ns) / WR_OPERATOR_NS_PER_S + number);
    case WR_FUNCTION_CHANGES:
    case WR_FUNCTION_RESETS:
    case WR_FUNCTION_INTEGRAL:
        return pairs(spec, window, function);
    case WR_FUNCTION_DELTA:
    case WR_FUNCTION_RATE:
    case WR_FUNCTION_INCREASE:
        if (window->n < 2 || last->at_ns <= first->at_ns)
            return NAN;
        change = spec->counter || function == WR_FUNCTION_INCREASE ? pairs(spec, window, function) : last->value - first->value;
        return function == WR_FUNCTION_RATE ? change / ((double)(last->at_ns - first->at_ns) / WR_OPERATOR_NS_PER_S) : change;
    default:
        return NAN;
    }
}

static double kept(const struct wr_operator_spec *spec, struct samples *window, enum wr_function_id function, double number) {
    for (uint32_t i = 0; i < window->n_answers; i++)
        if (window->functions[i] == function && window->answers[i].number >= number && window->answers[i].number <= number)
            return window->answers[i].value;
    double value = scanned(spec, window, function, number);
    uint32_t into = window->next_answer;
    window->next_answer = (into + 1) % ANSWERS;
    window->n_answers += window->n_answers < ANSWERS;
    window->functions[into] = function;
    window->answers[into] = (struct answer){number, value};
    return value;
}

/* Of no sample at all: as many as none; what is added up is nothing; all else is not known. */
static double of_none(enum wr_function_id function) {
    switch (function) {
    case WR_FUNCTION_COUNT:
    case WR_FUNCTION_SUM:
    case WR_FUNCTION_COUNT_IF:
    case WR_FUNCTION_CHANGES:
    case WR_FUNCTION_RESETS:
    case WR_FUNCTION_COVERAGE:
        return 0;
    default:
        return NAN;
    }
}

static double samples_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    struct samples *window = state;
    if (window->n == 0)
        return of_none(function);
    const double last = at(spec, window, window->n - 1)->value;
    switch (function) {
    case WR_FUNCTION_COUNT:
        return window->n;
    case WR_FUNCTION_FIRST:
        return at(spec, window, 0)->value;
    case WR_FUNCTION_COVERAGE:
        return coverage(spec, window);
    case WR_FUNCTION_MIN:
        bound(spec, window);
        return window->min;
    case WR_FUNCTION_MAX:
        bound(spec, window);
        return window->max;
    case WR_FUNCTION_SPAN:
        bound(spec, window);
        return window->max - window->min;
    case WR_FUNCTION_RISE:
        bound(spec, window);
        return last - window->min;
    case WR_FUNCTION_FALL:
        bound(spec, window);
        return window->max - last;
    default:
        return kept(spec, window, function, isnan(number) ? 0 : number);
    }
}

static bool samples_is_valid(const struct wr_operator_spec *spec, const void *state) {
    const struct samples *window = state;
    if (window->first >= spec->capacity || window->n > spec->capacity || window->n_answers > ANSWERS || window->next_answer >= ANSWERS)
        return false;
    if (!wr_operator_time_fits(window->now_ns))
        return false;
    int64_t before_ns = -WR_OPERATOR_TIME_MAX_NS;
    for (uint32_t i = 0; i < window->n; i++) {
        uint32_t index = window->first + i;
        const struct sample *sample = &window->ring[index < spec->capacity ? index : index - spec->capacity];
        if (sample->at_ns < before_ns || sample->at_ns > WR_OPERATOR_TIME_MAX_NS || !isfinite(sample->value))
            return false;
        before_ns = sample->at_ns;
    }
    return true;
}

const struct wr_operator_kind wr_samples_kind = {.name = "samples",
                                                 .add = samples_add,
                                                 .advance = samples_advance,
                                                 .answer = samples_answer,
                                                 .next = samples_next,
                                                 .is_valid = samples_is_valid};

/* Twice the samples that are expected, and some: a sender's jitter pushes nothing out. */
static uint32_t room_for(int64_t span_ns, int64_t every_ns) {
    if (every_ns <= 0)
        return SAMPLES_MAX;
    int64_t samples = (span_ns - 1) / every_ns + 1;
    return samples > (SAMPLES_MAX - 4) / 2 ? SAMPLES_MAX : (uint32_t)(2 * samples + 4);
}

enum wr_result wr_samples_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    if (call->count > SAMPLES_MAX)
        return wr_error_set(err, WR_LIMIT, "a window by count takes 1 to %d samples; for more write one by time: %s(..., 1h)", SAMPLES_MAX,
                            wr_operator_function(call->function));
    spec->kind = &wr_samples_kind;
    spec->span_ns = call->span_ns;
    spec->count = call->count;
    spec->capacity = call->count > 0 ? call->count : room_for(call->span_ns, spec->every_ns);
    spec->every_sample = true;
    spec->bytes = (uint32_t)(sizeof(struct samples) + spec->capacity * sizeof(struct sample));
    bool selects = call->function == WR_FUNCTION_MEDIAN || call->function == WR_FUNCTION_QUANTILE;
    spec->cost_ns = 60 + spec->capacity * (selects ? 16 : 6);
    return WR_OK;
}
