/* baseline(x, season), baseline(x, season, n): what x usually is at this time of the season (1d: of the day; 7d: of the week): the median of what it was at
 * this time in each of the last n seasons (7 where not given). So a holiday, a fault or a test run among them does not bend it, and a new level is learned in half of n.
 *
 * The season is cut into slots (`step`; without it 96 a season up to a day, 336 above: 15 and 30 minutes). A slot remembers the mean of x over itself,
 * for each season in which x was there; between the middles of two slots the answer goes in a straight line. The season that is under way counts from slot
 * to slot as it passes. Until this time of the season has been seen once the answer is NaN.
 *
 * Slots lie on UTC: where clocks change twice a year, habits come an hour off until they are learned anew.
 * Source: seasonal subseries medians, the robust beginning of STL (Cleveland et al. 1990).
 */
#include <string.h>

#include "core/calendar.h"
#include "rules/operators/kind.h"
#include "rules/operators/select.h"

#define SEASONS 7
#define SEASONS_MAX 31
#define SLOTS_MAX 2016 /* a week by five minutes */

struct slot {
    uint32_t n;
    uint32_t next; /* over the oldest once there are as many as are remembered */
};

struct baseline {
    int64_t now_ns;
    int64_t season; /* number of the season and of the slot under way */
    uint32_t slot;
    uint32_t met;
    uint32_t n;
    uint32_t unused;
    double sum;
    double numbers[]; /* spec->capacity slots: a struct slot, then spec->count values */
};

_Static_assert(sizeof(struct slot) == sizeof(double), "a slot begins with the room of one number");

static double *slot_of(const struct wr_operator_spec *spec, struct baseline *baseline, uint32_t slot) {
    return &baseline->numbers[(size_t)slot * (spec->count + 1)];
}

static void take_slot(const struct wr_operator_spec *spec, struct baseline *baseline) {
    double *numbers = slot_of(spec, baseline, baseline->slot);
    struct slot slot;
    memcpy(&slot, numbers, sizeof slot);
    const double mean = baseline->sum / baseline->n;
    if (baseline->n > 0 && isfinite(mean)) {
        numbers[1 + slot.next] = mean;
        slot.next = slot.next + 1 == spec->count ? 0 : slot.next + 1;
        slot.n += slot.n < spec->count;
        memcpy(numbers, &slot, sizeof slot);
    }
    baseline->sum = 0;
    baseline->n = 0;
}

static int64_t season_start(const struct wr_operator_spec *spec, int64_t at_ns) {
    return wr_calendar_floor(at_ns, spec->span_ns) * spec->span_ns;
}

static void baseline_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    struct baseline *baseline = state;
    const int64_t season = wr_calendar_floor(now_ns, spec->span_ns);
    const uint32_t slot = (uint32_t)((now_ns - season_start(spec, now_ns)) / spec->step_ns);
    baseline->now_ns = now_ns;
    const int64_t start_ns = baseline->season * spec->span_ns + baseline->slot * spec->step_ns; /* of the slot under way */
    if (baseline->met && baseline->season == season && baseline->slot == slot)
        return;
    if (baseline->met && now_ns < start_ns && start_ns - now_ns < spec->span_ns)
        return; /* a step back, as between the clocks of two samples: a slot that is over is not begun again */
    if (baseline->met)
        take_slot(spec, baseline);
    baseline->season = season;
    baseline->slot = slot;
    baseline->met = 1;
}

/* A sample of another slot than the one under way is late or early by less than a slot matters. */
static bool baseline_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    struct baseline *baseline = state;
    if (isnan(value))
        return false;
    if (!baseline->met)
        baseline_advance(spec, state, at_ns);
    const int64_t into_ns = at_ns - season_start(spec, at_ns);
    if (wr_calendar_floor(at_ns, spec->span_ns) != baseline->season || (uint32_t)(into_ns / spec->step_ns) != baseline->slot)
        return false;
    baseline->sum += value;
    baseline->n++;
    return false;
}

static double usual(const struct wr_operator_spec *spec, struct baseline *baseline, uint32_t slot) {
    const double *numbers = slot_of(spec, baseline, slot);
    double values[SEASONS_MAX];
    struct slot of;
    memcpy(&of, numbers, sizeof of);
    memcpy(values, numbers + 1, of.n * sizeof values[0]);
    return wr_select_quantile(values, of.n, 0.5);
}

static double baseline_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    (void)function, (void)number;
    struct baseline *baseline = state;
    if (!baseline->met)
        return NAN;
    const int64_t into_ns = baseline->now_ns - season_start(spec, baseline->now_ns);
    const uint32_t slot = (uint32_t)(into_ns / spec->step_ns);
    const double here = usual(spec, baseline, slot);
    const double from_middle = (double)(into_ns - (int64_t)slot * spec->step_ns) / (double)spec->step_ns - 0.5;
    const uint32_t last = spec->capacity - 1;
    const uint32_t other = from_middle < 0 ? (slot == 0 ? last : slot - 1) : (slot == last ? 0 : slot + 1);
    const double there = usual(spec, baseline, other);
    return isnan(there) ? here : here + (there - here) * fabs(from_middle);
}

static int64_t baseline_next(const struct wr_operator_spec *spec, const void *state) {
    const struct baseline *baseline = state;
    if (!baseline->met)
        return INT64_MAX;
    const int64_t start_ns = season_start(spec, baseline->now_ns);
    const int64_t slot_ns = ((baseline->now_ns - start_ns) / spec->step_ns + 1) * spec->step_ns;
    return start_ns + (slot_ns < spec->span_ns ? slot_ns : spec->span_ns);
}

static bool baseline_is_valid(const struct wr_operator_spec *spec, const void *state) {
    const struct baseline *baseline = state;
    const int64_t last = WR_OPERATOR_TIME_MAX_NS / spec->span_ns + 1;
    if (baseline->season < -last || baseline->season > last || baseline->slot >= spec->capacity ||
        !wr_operator_time_fits(baseline->now_ns) || !isfinite(baseline->sum))
        return false;
    for (uint32_t i = 0; i < spec->capacity; i++) {
        const double *numbers = &baseline->numbers[(size_t)i * (spec->count + 1)];
        struct slot slot;
        memcpy(&slot, numbers, sizeof slot);
        if (slot.n > spec->count || slot.next >= spec->count || (slot.n < spec->count && slot.next != slot.n))
            return false;
        for (uint32_t k = 0; k < slot.n; k++)
            if (!isfinite(numbers[1 + k]))
                return false;
    }
    return true;
}

const struct wr_operator_kind wr_baseline_kind = {.name = "baseline",
                                                  .add = baseline_add,
                                                  .advance = baseline_advance,
                                                  .answer = baseline_answer,
                                                  .next = baseline_next,
                                                  .is_valid = baseline_is_valid};

enum wr_result wr_baseline_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    const double seasons = isnan(call->numbers[0]) ? SEASONS : call->numbers[0];
    if (call->span_ns < WR_OPERATOR_MINUTE_NS || call->count > 0 || call->tumbling_ns > 0)
        return wr_error_set(err, WR_INVALID, "baseline takes a season of a minute or more: baseline(x, 1d), baseline(x, 7d, step=30m)");
    if (!(seasons >= 1 && seasons <= SEASONS_MAX && floor(seasons) >= seasons))
        return wr_error_set(err, WR_INVALID, "baseline remembers 1 to %d seasons: baseline(x, 1d, 7)", SEASONS_MAX);
    const int64_t slots = call->span_ns <= INT64_C(1440) * WR_OPERATOR_MINUTE_NS ? 96 : 336;
    spec->kind = &wr_baseline_kind;
    spec->span_ns = call->span_ns;
    spec->step_ns = call->step_ns > 0 ? call->step_ns : (call->span_ns - 1) / slots + 1;
    const int64_t capacity = (call->span_ns - 1) / spec->step_ns + 1;
    if (capacity > SLOTS_MAX)
        return wr_error_set(err, WR_LIMIT,
                            "a season of %s in steps of %s are more than the %d slots that are kept: write step=%s or longer",
                            wr_operator_length(call->span_ns).text, wr_operator_length(call->step_ns).text, SLOTS_MAX,
                            wr_operator_length_above((call->span_ns - 1) / SLOTS_MAX + 1).text);
    spec->capacity = (uint32_t)capacity;
    spec->count = (uint32_t)seasons;
    spec->every_sample = true;
    spec->bytes = (uint32_t)(sizeof(struct baseline) + (size_t)spec->capacity * (spec->count + 1) * sizeof(double));
    spec->cost_ns = 100 + spec->count * 40;
    return WR_OK;
}
