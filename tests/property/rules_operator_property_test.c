/* The functions with memory against a model that keeps samples in a plain list and computes each answer from its definition, in long doubles: random
 * times, late and equal stamps, gaps, unknowns, counters that wrap and begin anew, large offsets, clocks that leap both ways. After every step the state
 * is valid, and a copy of its bytes goes on in its place. WEIR_SEED repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rules/operators/kind.h"
#include "tests/support/operator_bed.h"
#include "tests/support/random.h"
#include "tests/support/slow.h"

#define ROUNDS 300
#define STEPS 400
#define SAMPLES 4096

struct sample {
    int64_t at;
    double value;
    uint32_t call; /* later calls are later at equal times */
};

/* What the window holds, in order. */
struct model {
    struct wr_operator_spec spec;
    struct wr_point point;
    struct sample list[SAMPLES];
    uint32_t n;
    uint32_t calls;
    int64_t now;
    int64_t head; /* of panes */
    bool met;
    double size; /* of the largest value: what errors are compared with */
};

static struct model model;
static struct wr_random seed;

static int64_t below(int64_t end) {
    return (int64_t)wr_random_below(&seed, (uint64_t)end);
}

static double uniform(void) {
    return (double)(wr_random_u64(&seed) >> 11) / 9007199254740992.0;
}

static void same(double actual, long double expected, double scale, const char *what) {
    bool both = isnan(actual) && isnan((double)expected);
    if (!both && !(fabsl(actual - expected) <= 1e-9L * (scale + fabsl(expected))))
        fail_msg("%s of %s, span %lld: %.17g, and %.17Lg by the model", what, model.spec.kind->name, (long long)model.spec.span_ns, actual,
                 expected);
}

static void remove_at(uint32_t i) {
    memmove(&model.list[i], &model.list[i + 1], (model.n - i - 1) * sizeof model.list[0]);
    model.n--;
}

static void insert(int64_t at, double value) {
    uint32_t i = model.n++;
    for (; i > 0 && model.list[i - 1].at > at; i--)
        model.list[i] = model.list[i - 1];
    model.list[i] = (struct sample){at, value, model.calls++};
}

static bool is_samples(void) {
    return model.spec.kind == &wr_samples_kind;
}

/* In integers: a long double that is a double (armhf) holds the time of a day in 2023 to 256 ns only, and may say the next pane. */
static int64_t pane_number(int64_t at) {
    const int64_t step = model.spec.step_ns;
    return at >= 0 ? at / step : -1 - (-1 - at) / step;
}

static void forget_panes(int64_t head) {
    const int64_t capacity = model.spec.capacity;
    if (!model.met || head <= model.head - capacity)
        model.n = 0;
    if (!model.met || head > model.head || head <= model.head - capacity)
        model.head = head;
    model.met = true;
    for (uint32_t i = model.n; i-- > 0;)
        if (pane_number(model.list[i].at) <= model.head - capacity)
            remove_at(i);
}

static int64_t model_ahead(void) {
    return model.spec.span_ns > 0 ? model.spec.span_ns : WR_OPERATOR_AHEAD_NS;
}

static void model_advance(int64_t now) {
    model.now = now;
    if (!is_samples()) {
        forget_panes(pane_number(now));
        return;
    }
    model.met = true;
    const int64_t span = model.spec.span_ns;
    for (uint32_t i = model.n; i-- > 0;)
        if ((span > 0 && model.list[i].at <= now - span) || model.list[i].at - now > model_ahead())
            remove_at(i);
}

static bool model_add(int64_t at, double value) {
    if (isnan(value))
        return false;
    if (!is_samples()) {
        if (model.met &&
            (pane_number(at) <= model.head - (int64_t)model.spec.capacity || pane_number(at) >= model.head + (int64_t)model.spec.capacity))
            return false;
        if (!model.met || pane_number(at) > model.head)
            forget_panes(pane_number(at));
        insert(at, value);
        return false;
    }
    if (model.met && ((model.spec.span_ns > 0 && at <= model.now - model.spec.span_ns) || at - model.now > model_ahead()))
        return false;
    insert(at, value);
    if (model.n <= model.spec.capacity)
        return false;
    remove_at(0);
    return model.spec.span_ns > 0;
}

static long double seconds(int64_t ns) {
    return (long double)ns / 1e9L;
}

static int ascending(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static long double quantile_of(double *values, uint32_t n, double q) {
    if (n == 0)
        return NAN;
    qsort(values, n, sizeof values[0], ascending);
    long double at = (long double)q * (n - 1);
    uint32_t low = (uint32_t)at;
    return low + 1 >= n ? values[n - 1] : values[low] + ((long double)values[low + 1] - values[low]) * (at - low);
}

static long double model_quantile(const struct sample *list, uint32_t n, double q) {
    static double values[SAMPLES];
    for (uint32_t i = 0; i < n; i++)
        values[i] = list[i].value;
    return quantile_of(values, n, q);
}

static bool model_wrapped(double before, double after) {
    return model.point.wrap > 0 && before < model.point.wrap && before - after > model.point.wrap / 2;
}

static long double model_increase(void) {
    long double increase = 0;
    for (uint32_t i = 1; i < model.n; i++) {
        double before = model.list[i - 1].value;
        double after = model.list[i].value;
        increase += after >= before                ? (long double)after - before
                    : model_wrapped(before, after) ? (long double)model.point.wrap - before + after
                                                   : after;
    }
    return increase;
}

struct sums {
    long double t, x, tt, xx, tx;
};

static struct sums model_sums(void) {
    struct sums mean = {0};
    struct sums of = {0};
    for (uint32_t i = 0; i < model.n; i++) {
        mean.t += seconds(model.list[i].at - model.list[0].at) / model.n;
        mean.x += (long double)model.list[i].value / model.n;
    }
    for (uint32_t i = 0; i < model.n; i++) {
        long double t = seconds(model.list[i].at - model.list[0].at) - mean.t;
        long double x = model.list[i].value - mean.x;
        of.tt += t * t;
        of.xx += x * x;
        of.tx += t * x;
    }
    of.t = mean.t;
    of.x = mean.x;
    return of;
}

/* Of at least one sample. */
static long double model_known(enum wr_function_id function, double number) {
    const struct sample *first = &model.list[0];
    const struct sample *last = &model.list[model.n - 1];
    const struct sums of = model_sums();
    long double total = 0, low = first->value, high = first->value;
    for (uint32_t i = 0; i < model.n; i++) {
        total += model.list[i].value;
        low = model.list[i].value < low ? model.list[i].value : low;
        high = model.list[i].value > high ? model.list[i].value : high;
    }
    bool moves = model.n > 1 && last->at > first->at;
    long double slope = moves ? of.tx / of.tt : NAN;
    switch (function) {
    case WR_FUNCTION_AVG:
        return total / model.n;
    case WR_FUNCTION_SUM:
    case WR_FUNCTION_COUNT_IF:
        return total;
    case WR_FUNCTION_MIN:
        return low;
    case WR_FUNCTION_MAX:
        return high;
    case WR_FUNCTION_SPAN:
        return high - low;
    case WR_FUNCTION_RISE:
        return last->value - low;
    case WR_FUNCTION_FALL:
        return high - last->value;
    case WR_FUNCTION_FIRST:
        return first->value;
    case WR_FUNCTION_STDDEV:
        return model.n < 2 ? NAN : sqrtl(of.xx / (model.n - 1));
    case WR_FUNCTION_RMS:
        return sqrtl(of.x * of.x + of.xx / model.n);
    case WR_FUNCTION_SLOPE:
        return slope;
    case WR_FUNCTION_FORECAST:
        return of.x + slope * (seconds(last->at - first->at) - of.t + number);
    case WR_FUNCTION_MEDIAN:
    case WR_FUNCTION_QUANTILE:
        return model_quantile(model.list, model.n, function == WR_FUNCTION_MEDIAN ? 0.5 : number);
    case WR_FUNCTION_INCREASE:
        return moves ? model_increase() : NAN;
    case WR_FUNCTION_DELTA:
        return !moves ? NAN : model.point.counter ? model_increase() : (long double)last->value - first->value;
    case WR_FUNCTION_RATE:
        return !moves ? NAN
                      : (model.point.counter ? model_increase() : (long double)last->value - first->value) / seconds(last->at - first->at);
    default:
        return NAN;
    }
}

static long double model_answer(enum wr_function_id function, double number) {
    long double pairs = 0;
    for (uint32_t i = 1; i < model.n; i++) {
        const struct sample *before = &model.list[i - 1];
        const struct sample *after = &model.list[i];
        if (function == WR_FUNCTION_CHANGES)
            pairs += before->value < after->value || before->value > after->value;
        else if (function == WR_FUNCTION_RESETS)
            pairs += after->value < before->value && !model_wrapped(before->value, after->value);
        else
            pairs += seconds(after->at - before->at) * ((long double)before->value + after->value) / 2;
    }
    switch (function) {
    case WR_FUNCTION_COUNT:
        return model.n;
    case WR_FUNCTION_CHANGES:
    case WR_FUNCTION_RESETS:
        return pairs;
    case WR_FUNCTION_INTEGRAL:
        return model.n > 0 ? pairs : NAN;
    case WR_FUNCTION_COVERAGE:
        if (model.n == 0)
            return 0;
        if (model.spec.span_ns == 0)
            return (long double)model.n / model.spec.count;
        long double covered =
            model.point.every_ns > 0 ? (long double)model.n * model.point.every_ns : (long double)(model.now - model.list[0].at);
        return fminl(1, fmaxl(0, covered / model.spec.span_ns));
    case WR_FUNCTION_SUM:
    case WR_FUNCTION_COUNT_IF:
        return model.n > 0 ? model_known(function, number) : 0;
    default:
        return model.n > 0 ? model_known(function, number) : NAN;
    }
}

static const struct {
    enum wr_function_id id;
    const char *name;
    bool pairs;   /* panes take them as they come */
    bool by_time; /* divided by a time: errors grow as it gets short */
    bool exact_only;
} functions[] = {
    {WR_FUNCTION_AVG, "avg", false, false, false},           {WR_FUNCTION_SUM, "sum", false, false, false},
    {WR_FUNCTION_COUNT_IF, "count_if", false, false, false}, {WR_FUNCTION_COUNT, "count", false, false, false},
    {WR_FUNCTION_MIN, "min", false, false, false},           {WR_FUNCTION_MAX, "max", false, false, false},
    {WR_FUNCTION_SPAN, "span", false, false, false},         {WR_FUNCTION_RISE, "rise", false, false, false},
    {WR_FUNCTION_FALL, "fall", false, false, false},         {WR_FUNCTION_FIRST, "first", false, false, false},
    {WR_FUNCTION_STDDEV, "stddev", false, false, false},     {WR_FUNCTION_RMS, "rms", false, false, false},
    {WR_FUNCTION_SLOPE, "slope", false, true, false},        {WR_FUNCTION_FORECAST, "forecast", false, true, false},
    {WR_FUNCTION_MEDIAN, "median", false, false, true},      {WR_FUNCTION_QUANTILE, "quantile", false, false, true},
    {WR_FUNCTION_COVERAGE, "coverage", false, false, false}, {WR_FUNCTION_DELTA, "delta", true, false, false},
    {WR_FUNCTION_RATE, "rate", true, true, false},           {WR_FUNCTION_INCREASE, "increase", true, false, false},
    {WR_FUNCTION_CHANGES, "changes", true, false, false},    {WR_FUNCTION_RESETS, "resets", true, false, false},
    {WR_FUNCTION_INTEGRAL, "integral", true, false, false},
};

/* Whether the samples of each pane came in the order of their time. */
static bool in_order(void) {
    for (uint32_t i = 1; i < model.n; i++)
        if (model.list[i].call < model.list[i - 1].call && pane_number(model.list[i].at) == pane_number(model.list[i - 1].at))
            return false;
    return true;
}

static void compare(struct operator_bed *bed) {
    const bool ordered = is_samples() || in_order();
    const double time_s = model.n > 1 ? (double)seconds(model.list[model.n - 1].at - model.list[0].at) : 1;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if ((functions[i].exact_only && !is_samples()) || (functions[i].pairs && !ordered))
            continue;
        double number = functions[i].id == WR_FUNCTION_QUANTILE ? 0.9 : time_s;
        double scale = model.size * (1 + model.n) * (functions[i].by_time ? 1e3 / fmin(1, time_s > 0 ? time_s : 1) : fmax(1, time_s));
        same(wr_operator_answer(&bed->spec, bed->state, functions[i].id, number), model_answer(functions[i].id, number), scale * 1e-3,
             functions[i].name);
    }
}

/* Until the time that `next` names, nothing changes by itself. */
static void compare_next(struct operator_bed *bed) {
    int64_t next = wr_operator_next(&bed->spec, bed->state);
    if (next == INT64_MAX) {
        assert_true(model.n == 0 || bed->spec.span_ns == 0);
        return;
    }
    if (next <= model.now)
        return; /* it is due */
    void *copy = malloc(bed->spec.bytes);
    assert_non_null(copy);
    memcpy(copy, bed->state, bed->spec.bytes);
    wr_operator_advance(&bed->spec, copy, next - 1);
    assert_true(wr_operator_answer(&bed->spec, copy, WR_FUNCTION_COUNT, NAN) >= model.n);
    wr_operator_advance(&bed->spec, copy, next);
    if (is_samples())
        assert_true(wr_operator_answer(&bed->spec, copy, WR_FUNCTION_COUNT, NAN) < model.n);
    free(copy);
}

/* The same bytes at another place: what a restart does. */
static void move_state(struct operator_bed *bed) {
    void *copy = malloc(bed->spec.bytes);
    assert_non_null(copy);
    memcpy(copy, bed->state, bed->spec.bytes);
    free(bed->state);
    bed->state = copy;
    assert_true(wr_operator_is_valid(&bed->spec, bed->state, bed->spec.bytes));
}

enum shape { FEW, NOISE, OFFSET, COUNTER, SHAPES };

static double some_value(enum shape shape) {
    static double counter;
    if (below(20) == 0)
        return below(4) == 0 ? INFINITY : NAN;
    switch (shape) {
    case FEW:
        return (double)below(4) - 1;
    case NOISE:
        return uniform() * 100 - 50;
    case OFFSET:
        return 1e9 + uniform();
    default:
        counter += (double)below(200);
        if (below(15) == 0)
            counter = (double)below(50);
        if (model.point.wrap > 0 && counter >= model.point.wrap)
            counter -= model.point.wrap;
        return counter;
    }
}

static int64_t some_step(int64_t unit) {
    switch (below(12)) {
    case 0:
        return 0;
    case 1:
        return below(unit * 40);
    case 2:
        return unit * 400;
    case 3:
        return -below(unit * 5); /* the clock goes back */
    case 4:
        return below(20) == 0 ? -unit * 5000 : 1;
    default:
        return 1 + below(2 * unit);
    }
}

static int64_t some_stamp(int64_t now, int64_t unit) {
    switch (below(8)) {
    case 0:
        return now - below(unit * 30); /* late */
    case 1:
        return model.n > 0 ? model.list[below(model.n)].at : now; /* of a time that is taken */
    case 2:
        return now + below(unit * 3); /* ahead */
    default:
        return now;
    }
}

static void make(struct operator_bed *bed, struct wr_operator_call *call) {
    static const int64_t units[] = {INT64_C(1000000), S, 60 * S};
    struct wr_error err = {0};
    int64_t unit = units[below(3)];
    memset(&model, 0, sizeof model);
    model.point = (struct wr_point){.name = "x", .low = -INFINITY, .high = INFINITY, .every_ns = below(2) ? unit : 0};
    model.point.counter = below(2);
    model.point.wrap = model.point.counter && below(2) ? 1000 : 0;
    *call = operator_call(WR_FUNCTION_AVG);
    call->point = &model.point;
    switch (below(4)) {
    case 0:
        call->count = 1 + (uint32_t)below(40);
        break;
    case 1:
        call->span_ns = 1 + below(unit * 50);
        break;
    case 2:
        call->span_ns = unit * (257 + below(1000)); /* panes where the period is known, overflow where not */
        break;
    default:
        call->span_ns = unit * (2 + below(50));
        call->step_ns = 1 + call->span_ns / (2 + below(30));
    }
    if (operator_start(bed, call, &err) != WR_OK)
        fail_msg("%s", err.text);
    model.spec = bed->spec;
}

static void test_windows(void **state) {
    (void)state;
    for (int turn = 0; turn < wr_test_steps(ROUNDS); turn++) {
        struct operator_bed bed;
        struct wr_operator_call call;
        make(&bed, &call);
        const int64_t unit = bed.spec.every_ns > 0  ? bed.spec.every_ns
                             : bed.spec.span_ns > 0 ? 1 + bed.spec.span_ns / (10 + below(300))
                                                    : S;
        const enum shape shape = model.point.counter ? COUNTER : (enum shape)below(COUNTER);
        int64_t now = below(2) ? INT64_C(1700000000) * S : -unit * 50;
        model.size = shape == OFFSET ? 1e9 : 1000;
        for (int step = 0; step < STEPS; step++) {
            now += some_step(unit);
            if (!is_samples() && below(30) == 0) /* the first moment of the next pane, or the last of this one */
                now = (pane_number(now) + 1) * model.spec.step_ns - below(2);
            model_advance(now);
            wr_operator_advance(&bed.spec, bed.state, now);
            int64_t at = some_stamp(now, unit);
            double value = some_value(shape);
            assert_int_equal(wr_operator_add(&bed.spec, bed.state, at, value), model_add(at, isfinite(value) ? value : NAN));
            if (below(4) == 0)
                compare(&bed);
            if (below(10) == 0)
                compare_next(&bed);
            if (below(10) == 0)
                move_state(&bed);
        }
        compare(&bed);
        operator_stop(&bed);
    }
}

/* Steps that are over, by number. */
struct step_value {
    int64_t number;
    double sum;
    uint32_t n;
};

static void test_quantiles_of_long_windows(void **state) {
    (void)state;
    static struct step_value steps[STEPS * 4];
    static double values[STEPS * 4];
    for (int turn = 0; turn < wr_test_steps(ROUNDS / 3); turn++) {
        struct wr_point point = {.name = "x", .low = -20, .high = 30, .resolution = below(2) ? 0.5 : 0.001};
        struct wr_operator_call call = operator_call(WR_FUNCTION_MEDIAN);
        struct operator_bed bed;
        call.point = &point;
        call.step_ns = S;
        call.span_ns = (2 + below(100)) * S;
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        int64_t now = INT64_C(1700000000) * S;
        int64_t head = now / S;
        uint32_t n = 0;
        wr_operator_advance(&bed.spec, bed.state, now);
        for (int step = 0; step < STEPS * 2; step++) {
            now += below(30) == 0 ? below(150) * S : below(20) == 0 ? -below(3 * S) : below(S);
            int64_t before = head;
            head = now / S > head ? now / S : head;
            if (now / S <= head - (int64_t)bed.spec.capacity) /* the clock went back by a window */
                head = now / S;
            if (head > before + (int64_t)bed.spec.capacity || head < before)
                n = 0;
            double value = below(20) == 0 ? NAN : uniform() * 60 - 25;
            operator_take(&bed, now, value);
            if (now / S == head && !isnan(value)) {
                if (n == 0 || steps[n - 1].number != head)
                    steps[n++] = (struct step_value){head, 0, 0};
                steps[n - 1].sum += value;
                steps[n - 1].n++;
            }
            uint32_t of = 0;
            for (uint32_t i = 0; i < n; i++) {
                if (steps[i].number == head || steps[i].number < head - (int64_t)bed.spec.capacity)
                    continue;
                double bin = round((steps[i].sum / steps[i].n - point.low) / bed.spec.resolution);
                values[of++] = point.low + bed.spec.resolution * fmin(bed.spec.count - 1, fmax(0, bin));
            }
            double q = uniform();
            model.spec = bed.spec;
            same(wr_operator_answer(&bed.spec, bed.state, WR_FUNCTION_QUANTILE, q), quantile_of(values, of, q), 1, "quantile");
            if (below(20) == 0)
                move_state(&bed);
        }
        operator_stop(&bed);
    }
}

static void test_duty(void **state) {
    (void)state;
    static struct sample told[STEPS];
    for (int turn = 0; turn < wr_test_steps(ROUNDS); turn++) {
        struct wr_operator_call call = operator_call(WR_FUNCTION_DUTY);
        struct operator_bed bed;
        call.span_ns = 1 + below(100 * S);
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        int64_t now = below(2) ? INT64_C(1700000000) * S : 0;
        uint32_t n = 0;
        for (int step = 0; step < STEPS; step++) {
            now += below(30) == 0 ? below(3 * call.span_ns) : below(1 + call.span_ns / 20);
            double value = below(5) == 0 ? NAN : (double)below(2);
            operator_take(&bed, now, value);
            told[n++] = (struct sample){now, value, 0};
            now += below(call.span_ns / 20 + 1);
            wr_operator_advance(&bed.spec, bed.state, now);
            int64_t is_true = 0, known = 0;
            for (uint32_t i = 0; i < n; i++) {
                int64_t from = told[i].at > now - call.span_ns ? told[i].at : now - call.span_ns;
                int64_t to = i + 1 < n ? told[i + 1].at : now;
                if (to <= from || isnan(told[i].value))
                    continue;
                known += to - from;
                is_true += told[i].value > 0 ? to - from : 0;
            }
            double answer = operator_says(&bed, WR_FUNCTION_DUTY);
            if (known == 0)
                assert_true(isnan(answer) || bed.spec.step_ns > 1);
            else if (known > 4 * bed.spec.step_ns &&
                     fabs(answer - (double)is_true / (double)known) > 1.01 * (double)bed.spec.step_ns / (double)known)
                fail_msg("duty %.17g, and %.17g by the model", answer, (double)is_true / (double)known);
            if (below(20) == 0)
                move_state(&bed);
        }
        operator_stop(&bed);
    }
}

static void test_hits(void **state) {
    (void)state;
    static double told[STEPS];
    for (int turn = 0; turn < wr_test_steps(ROUNDS); turn++) {
        struct wr_operator_call call = operator_call(WR_FUNCTION_HITS);
        struct operator_bed bed;
        call.numbers[1] = (double)(1 + below(200));
        call.numbers[0] = (double)(1 + below((int64_t)call.numbers[1]));
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        uint32_t n = 0;
        for (int step = 0; step < STEPS; step++) {
            double value = below(5) == 0 ? NAN : (double)(below(3) > 0);
            operator_take(&bed, below(1000), value);
            if (!isnan(value))
                told[n++] = value;
            uint32_t hits = 0;
            for (uint32_t i = n > call.numbers[1] ? n - (uint32_t)call.numbers[1] : 0; i < n; i++)
                hits += told[i] > 0;
            double answer = operator_says(&bed, WR_FUNCTION_HITS);
            assert_true(n == 0 ? isnan(answer) : (answer > 0) == (hits >= call.numbers[0]));
            move_state(&bed);
        }
        operator_stop(&bed);
    }
}

/* In closed form: each sample by its own weight. */
static void test_ewma(void **state) {
    (void)state;
    static struct sample taken[STEPS];
    for (int turn = 0; turn < wr_test_steps(ROUNDS / 3); turn++) {
        struct wr_operator_call call = operator_call(WR_FUNCTION_EWMA);
        struct operator_bed bed;
        call.span_ns = 1 + below(100 * S);
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        uint32_t n = 0;
        int64_t now = INT64_C(1700000000) * S;
        for (int step = 0; step < STEPS; step++) {
            now += below(1 + call.span_ns / 5);
            int64_t at = now - (below(5) == 0 ? below(call.span_ns) : 0);
            double value = below(10) == 0 ? NAN : uniform() * 100;
            wr_operator_advance(&bed.spec, bed.state, now);
            wr_operator_add(&bed.spec, bed.state, at, value);
            if (!isnan(value) && (n == 0 || at > taken[n - 1].at))
                taken[n++] = (struct sample){at, value, 0};
            long double mean = 0;
            for (uint32_t i = 0; i < n; i++) {
                long double since = expl(-(long double)(taken[n - 1].at - taken[i].at) / call.span_ns);
                long double own = i == 0 ? 1 : -expm1l(-(long double)(taken[i].at - taken[i - 1].at) / call.span_ns);
                mean += taken[i].value * own * since;
            }
            model.spec = bed.spec;
            same(operator_says(&bed, WR_FUNCTION_EWMA), n > 0 ? mean : (long double)NAN, 1, "ewma");
        }
        operator_stop(&bed);
    }
}

/* Every visit of a slot with samples, in the order of the clock. */
struct visit {
    int64_t slot; /* on the clock: season and slot in one */
    double sum;
    uint32_t n;
};

static long double usual(const struct visit *visits, uint32_t n, int64_t of, int64_t slots, uint32_t remembered) {
    double means[31];
    uint32_t found = 0;
    for (uint32_t i = n; i-- > 0 && found < remembered;)
        if (visits[i].slot % slots == of % slots)
            means[found++] = visits[i].sum / visits[i].n;
    return quantile_of(means, found, 0.5);
}

static void test_baseline(void **state) {
    (void)state;
    static struct visit visits[STEPS * 10];
    for (int turn = 0; turn < ROUNDS / 10; turn++) {
        struct wr_operator_call call = operator_call(WR_FUNCTION_BASELINE);
        struct operator_bed bed;
        const int64_t slots = 2 + below(10);
        call.step_ns = 60 * S;
        call.span_ns = slots * call.step_ns;
        call.numbers[0] = (double)(1 + below(9));
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        int64_t now = INT64_C(1700000000) / 60 / slots * slots * 60 * S;
        uint32_t n = 0; /* over; visits[n] is under way */
        visits[0] = (struct visit){now / call.step_ns, 0, 0};
        wr_operator_advance(&bed.spec, bed.state, now);
        for (int step = 0; step < STEPS * 5; step++) {
            now += below(40) == 0 ? below(3 * call.span_ns) : below(10) == 0 ? -below(call.step_ns / 3) : below(call.step_ns);
            double value = below(20) == 0 ? NAN : uniform() * 100;
            const int64_t slot = now / call.step_ns;
            if (slot > visits[n].slot) { /* a step back begins no slot again */
                n += visits[n].n > 0;
                visits[n] = (struct visit){slot, 0, 0};
            }
            operator_take(&bed, now, value);
            if (!isnan(value) && slot == visits[n].slot) {
                visits[n].sum += value;
                visits[n].n++;
            }
            const long double middle = (long double)(now % call.step_ns) / call.step_ns - 0.5L;
            long double here = usual(visits, n, slot, slots, bed.spec.count);
            long double there = usual(visits, n, middle < 0 ? slot + slots - 1 : slot + 1, slots, bed.spec.count);
            model.spec = bed.spec;
            same(operator_says(&bed, WR_FUNCTION_BASELINE), isnan((double)there) ? here : here + (there - here) * fabsl(middle), 1,
                 "baseline");
            if (below(50) == 0)
                move_state(&bed);
        }
        operator_stop(&bed);
    }
}

/* Whatever comes, in whatever order, the sum stays within its bounds, and the state valid. */
static void test_cusum(void **state) {
    (void)state;
    for (int turn = 0; turn < wr_test_steps(ROUNDS); turn++) {
        struct wr_operator_call call = operator_call(WR_FUNCTION_CUSUM);
        struct operator_bed bed;
        call.span_ns = 1 + below(100 * S);
        assert_int_equal(operator_start(&bed, &call, NULL), WR_OK);
        int64_t now = 0;
        for (int step = 0; step < STEPS; step++) {
            now += some_step(1 + call.span_ns / 20);
            operator_take(&bed, now, below(100) == 0 ? 1e300 * (uniform() - 0.5) : below(50) == 0 ? NAN : some_value(NOISE));
            double answer = operator_says(&bed, WR_FUNCTION_CUSUM);
            assert_true(isnan(answer) || (answer >= 0 && answer <= 100));
            move_state(&bed);
        }
        operator_stop(&bed);
    }
}

int main(void) {
    seed = wr_random_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows), cmocka_unit_test(test_quantiles_of_long_windows),
        cmocka_unit_test(test_duty),    cmocka_unit_test(test_hits),
        cmocka_unit_test(test_ewma),    cmocka_unit_test(test_baseline),
        cmocka_unit_test(test_cusum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
