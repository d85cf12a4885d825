/* duty(c, w): the share of the known time of a window in which the condition was true, up to now. What a condition was last holds until it is told anew, so only
 * changes are needed, and no number of them is too many: time is added up, in whole nanoseconds, in PANES pieces of the window.
 *
 * Exact, but for what the condition did within the piece that is just leaving: that counts in proportion, an error of at most one piece.
 * A condition that is told late counts from when it is told. Unknown time counts neither way; NaN: none is known.
 */
#include <string.h>

#include "core/calendar.h"
#include "rules/operators/kind.h"

#define PANES 128

enum { UNKNOWN, FALSE_NOW, TRUE_NOW };

struct pane {
    int64_t true_ns;
    int64_t known_ns;
};

struct duty {
    int64_t now_ns;  /* all time before it is in the panes */
    int64_t true_ns; /* of all panes */
    int64_t known_ns;
    uint32_t met;       /* now_ns holds */
    uint32_t value;     /* since now_ns */
    struct pane ring[]; /* of the piece of now_ns and spec->capacity before it: number i at i mod (capacity + 1) */
};

static struct pane *pane_of(const struct wr_operator_spec *spec, struct duty *duty, int64_t number) {
    int64_t panes = (int64_t)spec->capacity + 1;
    int64_t index = number % panes;
    return &duty->ring[index < 0 ? index + panes : index];
}

static void start(const struct wr_operator_spec *spec, struct duty *duty, int64_t now_ns) {
    const uint32_t value = duty->value;
    memset(duty, 0, spec->bytes);
    duty->now_ns = now_ns;
    duty->met = 1;
    duty->value = value;
}

static void empty(struct duty *duty, struct pane *pane) {
    duty->true_ns -= pane->true_ns;
    duty->known_ns -= pane->known_ns;
    *pane = (struct pane){0};
}

/* The time from now_ns on is over until until_ns, at most the panes that there are. */
static void pass(const struct wr_operator_spec *spec, struct duty *duty, int64_t until_ns) {
    const int64_t longest_ns = (int64_t)spec->capacity * spec->step_ns;
    if (until_ns - duty->now_ns > longest_ns)
        start(spec, duty, until_ns - longest_ns);
    int64_t number = wr_calendar_floor(duty->now_ns, spec->step_ns);
    while (duty->now_ns < until_ns) {
        int64_t end_ns = (number + 1) * spec->step_ns;
        int64_t to_ns = end_ns < until_ns ? end_ns : until_ns;
        int64_t passed_ns = to_ns - duty->now_ns;
        struct pane *pane = pane_of(spec, duty, number);
        int64_t true_ns = duty->value == TRUE_NOW ? passed_ns : 0;
        int64_t known_ns = duty->value != UNKNOWN ? passed_ns : 0;
        pane->true_ns += true_ns;
        pane->known_ns += known_ns;
        duty->true_ns += true_ns;
        duty->known_ns += known_ns;
        duty->now_ns = to_ns;
        if (to_ns == end_ns)
            empty(duty, pane_of(spec, duty, ++number));
    }
}

static void duty_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    struct duty *duty = state;
    if (!duty->met || duty->now_ns - now_ns > spec->span_ns)
        start(spec, duty, now_ns);
    pass(spec, duty, now_ns);
}

static bool duty_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    struct duty *duty = state;
    if (!duty->met)
        start(spec, duty, at_ns);
    if (at_ns - duty->now_ns < spec->span_ns)
        pass(spec, duty, at_ns);
    duty->value = isnan(value) ? UNKNOWN : value < 0 || value > 0 ? TRUE_NOW : FALSE_NOW;
    return false;
}

static double duty_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    (void)function, (void)number;
    struct duty *duty = state;
    const int64_t start_ns = duty->now_ns - spec->span_ns;
    const int64_t leaving = wr_calendar_floor(start_ns, spec->step_ns);
    double true_ns = (double)duty->true_ns;
    double known_ns = (double)duty->known_ns;
    for (int64_t i = wr_calendar_floor(duty->now_ns, spec->step_ns) - (int64_t)spec->capacity; i <= leaving; i++) {
        const struct pane *pane = pane_of(spec, duty, i);
        double part = i < leaving ? 1 : (double)(start_ns - leaving * spec->step_ns) / (double)spec->step_ns;
        true_ns -= (double)pane->true_ns * part;
        known_ns -= (double)pane->known_ns * part;
    }
    return known_ns > 0 ? fmin(1, fmax(0, true_ns / known_ns)) : NAN;
}

/* While old time that was otherwise leaves, the answer moves: it is looked at once a pane. */
static int64_t duty_next(const struct wr_operator_spec *spec, const void *state) {
    const struct duty *duty = state;
    bool settled = duty->value == TRUE_NOW    ? duty->known_ns > 0 && duty->true_ns == duty->known_ns
                   : duty->value == FALSE_NOW ? duty->known_ns > 0 && duty->true_ns == 0
                                              : duty->known_ns == 0;
    return settled ? INT64_MAX : duty->now_ns + spec->step_ns;
}

static bool duty_is_valid(const struct wr_operator_spec *spec, const void *state) {
    const struct duty *duty = state;
    int64_t true_ns = 0;
    int64_t known_ns = 0;
    for (uint32_t i = 0; i <= spec->capacity; i++) {
        const struct pane *pane = &duty->ring[i];
        if (pane->true_ns < 0 || pane->true_ns > pane->known_ns || pane->known_ns > spec->step_ns)
            return false;
        true_ns += pane->true_ns;
        known_ns += pane->known_ns;
    }
    return true_ns == duty->true_ns && known_ns == duty->known_ns && duty->value <= TRUE_NOW && wr_operator_time_fits(duty->now_ns);
}

const struct wr_operator_kind wr_duty_kind = {
    .name = "duty", .add = duty_add, .advance = duty_advance, .answer = duty_answer, .next = duty_next, .is_valid = duty_is_valid};

enum wr_result wr_duty_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    if (call->span_ns <= 0 || call->count > 0 || call->tumbling_ns > 0 || call->step_ns > 0)
        return wr_error_set(
            err, WR_INVALID,
            "duty is a share of time and takes a window by time alone: duty(c, 10m); the share of samples is avg(c, count 20)");
    spec->kind = &wr_duty_kind;
    spec->span_ns = call->span_ns;
    spec->step_ns = (call->span_ns - 1) / PANES + 1;
    spec->capacity = (uint32_t)((call->span_ns - 1) / spec->step_ns + 1);
    spec->edge = 1.0 / spec->capacity;
    spec->bytes = (uint32_t)(sizeof(struct duty) + (spec->capacity + 1) * sizeof(struct pane));
    spec->cost_ns = 60 + spec->capacity * 5;
    return WR_OK;
}
