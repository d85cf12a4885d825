/* Long windows in panes: the window is cut into pieces of equal length on the clock, each keeps what can be joined; an answer joins them. Without drift:
 * a pane that leaves is left out, never subtracted. All but the newest are joined once per pane, so that most answers are one join.
 *
 * The window of the answers ends now and begins at the edge of a pane: up to a pane later than asked for (the error that `edge` tells). Within it all is as
 * if the samples were kept, but for samples that come out of order within a pane: they count in everything but the sums over neighbours
 * (integral, increase, rate, changes, resets), which are taken as they come.
 *
 * tumbling=5m is the same with two panes: the answer is that of the last one that is complete, on the clock (12:00, 12:05 ... UTC).
 *
 * Source: Li et al. 2005, "No pane, no gain"; the joins: moments.h.
 */
#include <string.h>

#include "core/calendar.h"
#include "rules/operators/counter.h"
#include "rules/operators/kind.h"
#include "rules/operators/moments.h"

#define PANES 64

struct pane {
    int64_t first_ns; /* also the origin of the times in `of` */
    int64_t last_ns;
    double first;
    double last;
    double min;
    double max;
    double sum;
    struct wr_moments of; /* of.n 0: no sample */
    double integral;
    double increase;
    uint32_t changes;
    uint32_t resets;
};

struct panes {
    int64_t now_ns;
    int64_t head;    /* number of the newest pane: its time by its length */
    uint32_t met;    /* now_ns and head hold */
    uint32_t joined; /* rest holds */
    uint32_t filled; /* panes with samples */
    uint32_t unused;
    struct pane rest;   /* all but the newest */
    struct pane ring[]; /* pane number i at i mod capacity */
};

static struct pane *pane_of(const struct wr_operator_spec *spec, struct panes *panes, int64_t number) {
    int64_t index = number % (int64_t)spec->capacity;
    return &panes->ring[index < 0 ? index + (int64_t)spec->capacity : index];
}

static double seconds(int64_t ns) {
    return (double)ns / WR_OPERATOR_NS_PER_S;
}

/* The samples of `from` follow those of `into`. */
static void join(const struct wr_operator_spec *spec, struct pane *into, const struct pane *from) {
    if (from->of.n <= 0)
        return;
    if (into->of.n <= 0) {
        *into = *from;
        return;
    }
    struct wr_moments moved = from->of;
    moved.mean_t += seconds(from->first_ns - into->first_ns);
    wr_moments_join(&into->of, &moved);
    into->integral += from->integral + seconds(from->first_ns - into->last_ns) * (into->last / 2 + from->first / 2);
    into->increase += from->increase + wr_counter_increase(into->last, from->first, spec->wrap);
    into->changes += from->changes + (into->last < from->first || into->last > from->first);
    into->resets += from->resets + wr_counter_reset(into->last, from->first, spec->wrap);
    into->sum += from->sum;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    into->last = from->last;
    into->last_ns = from->last_ns;
}

static void take(const struct wr_operator_spec *spec, struct pane *pane, int64_t at_ns, double value) {
    if (pane->of.n <= 0) {
        *pane = (struct pane){at_ns, at_ns, value, value, value, value, value, {1, 0, value, 0, 0, 0}, 0, 0, 0, 0};
        return;
    }
    if (at_ns < pane->first_ns) {
        pane->of.mean_t += seconds(pane->first_ns - at_ns);
        pane->first_ns = at_ns;
        pane->first = value;
    }
    wr_moments_add(&pane->of, seconds(at_ns - pane->first_ns), value);
    pane->sum += value;
    pane->min = value < pane->min ? value : pane->min;
    pane->max = value > pane->max ? value : pane->max;
    if (at_ns < pane->last_ns)
        return;
    pane->integral += seconds(at_ns - pane->last_ns) * (pane->last / 2 + value / 2);
    pane->increase += wr_counter_increase(pane->last, value, spec->wrap);
    pane->changes += pane->last < value || pane->last > value;
    pane->resets += wr_counter_reset(pane->last, value, spec->wrap);
    pane->last = value;
    pane->last_ns = at_ns;
}

static void empty(struct panes *panes, struct pane *pane) {
    if (pane->of.n > 0)
        panes->filled--;
    memset(pane, 0, sizeof *pane);
}

/* The newest pane is now this one. */
static void move(const struct wr_operator_spec *spec, struct panes *panes, int64_t head) {
    const int64_t capacity = spec->capacity;
    if (panes->met && head == panes->head)
        return;
    if (!panes->met || head >= panes->head + capacity || head <= panes->head - capacity) {
        memset(panes->ring, 0,
               spec->capacity * sizeof(struct pane)); /* also after a clock that went back by a window: nothing from the future stays */
        panes->filled = 0;
    } else if (head > panes->head) {
        for (int64_t number = panes->head + 1; number <= head; number++)
            empty(panes, pane_of(spec, panes, number));
    } else {
        return;
    }
    panes->head = head;
    panes->met = 1;
    panes->joined = 0;
}

static void panes_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    struct panes *panes = state;
    panes->now_ns = now_ns;
    move(spec, panes, wr_calendar_floor(now_ns, spec->step_ns));
}

static bool panes_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    struct panes *panes = state;
    int64_t number = wr_calendar_floor(at_ns, spec->step_ns);
    const int64_t capacity = spec->capacity;
    if (isnan(value) || (panes->met && (number <= panes->head - capacity || number >= panes->head + capacity)))
        return false; /* older than the window; or of another time, since the clock has been moved on before */
    if (!panes->met || number > panes->head)
        move(spec, panes, number);
    struct pane *pane = pane_of(spec, panes, number);
    panes->filled += pane->of.n <= 0;
    take(spec, pane, at_ns, value);
    if (number != panes->head)
        panes->joined = 0;
    return false;
}

static double coverage(const struct wr_operator_spec *spec, const struct pane *all, int64_t now_ns) {
    if (all->of.n <= 0)
        return 0;
    double covered = spec->every_ns > 0 ? all->of.n * (double)spec->every_ns : (double)(now_ns - all->first_ns);
    return fmin(1, fmax(0, covered / (double)spec->span_ns));
}

static double change(const struct wr_operator_spec *spec, const struct pane *all, enum wr_function_id function) {
    if (all->of.n < 2 || all->last_ns <= all->first_ns)
        return NAN;
    double change = spec->counter || function == WR_FUNCTION_INCREASE ? all->increase : all->last - all->first;
    return function == WR_FUNCTION_RATE ? change / seconds(all->last_ns - all->first_ns) : change;
}

/* Of samples that are there. */
static double known(const struct wr_operator_spec *spec, const struct pane *all, enum wr_function_id function, double number) {
    switch (function) {
    case WR_FUNCTION_AVG:
        return all->of.mean_x;
    case WR_FUNCTION_MIN:
        return all->min;
    case WR_FUNCTION_MAX:
        return all->max;
    case WR_FUNCTION_SPAN:
        return all->max - all->min;
    case WR_FUNCTION_RISE:
        return all->last - all->min;
    case WR_FUNCTION_FALL:
        return all->max - all->last;
    case WR_FUNCTION_FIRST:
        return all->first;
    case WR_FUNCTION_STDDEV:
        return wr_moments_stddev(&all->of);
    case WR_FUNCTION_RMS:
        return wr_moments_rms(&all->of);
    case WR_FUNCTION_SLOPE:
        return wr_moments_slope(&all->of);
    case WR_FUNCTION_FORECAST:
        return wr_moments_line(&all->of, seconds(all->last_ns - all->first_ns) + number);
    case WR_FUNCTION_INTEGRAL:
        return all->integral;
    case WR_FUNCTION_DELTA:
    case WR_FUNCTION_RATE:
    case WR_FUNCTION_INCREASE:
        return change(spec, all, function);
    default:
        return NAN;
    }
}

static double answer_of(const struct wr_operator_spec *spec, const struct pane *all, int64_t now_ns, enum wr_function_id function,
                        double number) {
    switch (function) {
    case WR_FUNCTION_COUNT:
        return all->of.n;
    case WR_FUNCTION_SUM:
    case WR_FUNCTION_COUNT_IF:
        return all->sum;
    case WR_FUNCTION_CHANGES:
        return all->changes;
    case WR_FUNCTION_RESETS:
        return all->resets;
    case WR_FUNCTION_COVERAGE:
        return coverage(spec, all, now_ns);
    default:
        return all->of.n > 0 ? known(spec, all, function, isnan(number) ? 0 : number) : NAN;
    }
}

static double panes_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    struct panes *panes = state;
    if (!panes->joined) {
        panes->rest = (struct pane){0};
        for (int64_t i = panes->head - (int64_t)spec->capacity + 1; i < panes->head && panes->filled > 0; i++)
            join(spec, &panes->rest, pane_of(spec, panes, i));
        panes->joined = 1;
    }
    struct pane all = panes->rest;
    join(spec, &all, pane_of(spec, panes, panes->head));
    return answer_of(spec, &all, panes->now_ns, function, number);
}

static int64_t panes_next(const struct wr_operator_spec *spec, const void *state) {
    const struct panes *panes = state;
    return panes->filled > 0 ? (panes->head + 1) * spec->step_ns : INT64_MAX;
}

static bool pane_is_valid(const struct pane *pane) {
    const double numbers[] = {pane->first, pane->last, pane->min, pane->max, pane->of.mean_t, pane->of.mean_x};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!isfinite(numbers[i]))
            return false;
    return pane->of.n >= 0 && pane->of.n <= 1e15 && wr_operator_time_fits(pane->first_ns) && wr_operator_time_fits(pane->last_ns);
}

static bool panes_is_valid(const struct wr_operator_spec *spec, const void *state) {
    const struct panes *panes = state;
    int64_t last = WR_OPERATOR_TIME_MAX_NS / spec->step_ns + 1;
    if (!wr_operator_time_fits(panes->now_ns) || panes->head < -last || panes->head > last || !pane_is_valid(&panes->rest))
        return false;
    uint32_t filled = 0;
    for (uint32_t i = 0; i < spec->capacity; i++) {
        if (!pane_is_valid(&panes->ring[i]))
            return false;
        filled += panes->ring[i].of.n > 0;
    }
    return filled == panes->filled;
}

static double tumbling_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    struct panes *panes = state;
    const struct pane *complete = pane_of(spec, panes, panes->head - 1);
    return answer_of(spec, complete, panes->head * spec->step_ns, function, number);
}

const struct wr_operator_kind wr_panes_kind = {
    .name = "panes", .add = panes_add, .advance = panes_advance, .answer = panes_answer, .next = panes_next, .is_valid = panes_is_valid};

const struct wr_operator_kind wr_tumbling_kind = {.name = "tumbling",
                                                  .add = panes_add,
                                                  .advance = panes_advance,
                                                  .answer = tumbling_answer,
                                                  .next = panes_next,
                                                  .is_valid = panes_is_valid};

static void finish(struct wr_operator_spec *spec, uint32_t capacity) {
    spec->capacity = capacity;
    spec->every_sample = true;
    spec->bytes = (uint32_t)(sizeof(struct panes) + capacity * sizeof(struct pane));
    spec->cost_ns = 100 + capacity * 14;
}

enum wr_result wr_panes_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    const int64_t most = (WR_OPERATOR_BYTES_MAX - sizeof(struct panes)) / sizeof(struct pane);
    spec->kind = &wr_panes_kind;
    spec->span_ns = call->span_ns;
    spec->step_ns = call->step_ns > 0 ? call->step_ns : (call->span_ns - 1) / PANES + 1;
    int64_t capacity = (call->span_ns - 1) / spec->step_ns + 1;
    if (capacity > most)
        return wr_error_set(err, WR_LIMIT,
                            "%s in steps of %s are %lld steps, and at most %lld are kept: write step=%s, or leave `step` out for %d steps",
                            wr_operator_length(call->span_ns).text, wr_operator_length(call->step_ns).text, (long long)capacity,
                            (long long)most, wr_operator_length_above((call->span_ns - 1) / most + 1).text, PANES);
    spec->edge = (double)spec->step_ns / (double)call->span_ns;
    finish(spec, (uint32_t)capacity);
    return WR_OK;
}

enum wr_result wr_tumbling_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    (void)err;
    spec->kind = &wr_tumbling_kind;
    spec->span_ns = call->tumbling_ns;
    spec->step_ns = call->tumbling_ns;
    finish(spec, 2);
    return WR_OK;
}
