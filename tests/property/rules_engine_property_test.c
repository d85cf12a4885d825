/* The engine against a slow and simple model: whatever comes, in whatever order, with or without room, each account balances after every
 * step, and merging the aggregates of a window gives exactly what the model counted for it. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/engine/engine_private.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/fake_evaluator.h"
#include "tests/support/random.h"
#include "tests/support/slow.h"

#define S WR_TEST_S
#define SERIES_MAX 8
#define CELLS_MAX 65536
#define RUNS 150
#define STEPS 250

/* What the model counted for (account, series, window start); of a change window start is 0. */
struct cell {
    uint32_t account;
    uint32_t series;
    int64_t start_ns;
    uint64_t n;
    uint64_t bad;
    int64_t sum; /* in tenths, or whole for integers */
    int64_t min;
    int64_t max;
    int64_t first;
    int64_t last;
    int64_t first_event_ns;
    int64_t last_event_ns;
    bool uncertain;
};

/* What the model knows of a stream's clock. Judging is rules/engine/pace.c's, which has a test of its own. */
struct clock {
    struct wr_pace pace;
    uint8_t second; /* when it was judged last, while a run is under way; 0: none is */
};

struct model {
    struct wr_pace_clock wall;
    struct clock clocks[WR_TEST_SOURCES][SERIES_MAX];
    struct cell *cells;
    uint32_t n_cells;
    uint64_t taken[256];
};

static struct wr_test_engine test;
static struct wr_evaluator rules;
static struct model model;
static struct wr_random rng;

static uint64_t below(uint64_t end) {
    return wr_random_below(&rng, end);
}
static bool chance(uint64_t percent) {
    return below(100) < percent;
}

static bool is_integer(uint32_t series) {
    return series % 3 == 2;
}

/* -- the model ------------------------------------------------------------------------------------------------------------------------- */

static struct cell *cell_of(uint32_t account, uint32_t series, int64_t start_ns) {
    for (uint32_t i = model.n_cells; i-- > 0;) { /* the newest are asked for most */
        struct cell *cell = &model.cells[i];
        if (cell->account == account && cell->series == series && cell->start_ns == start_ns)
            return cell;
    }
    assert_true(model.n_cells < CELLS_MAX);
    struct cell *made = &model.cells[model.n_cells++];
    *made = (struct cell){.account = account, .series = series, .start_ns = start_ns};
    return made;
}

static void fold(struct cell *cell, int64_t event_ns, int64_t value, enum wr_quality quality) {
    if (quality == WR_QUALITY_BAD) {
        cell->bad++;
        return;
    }
    bool none = cell->n++ == 0;
    cell->uncertain |= quality == WR_QUALITY_UNCERTAIN;
    cell->sum += value;
    if (none || value < cell->min)
        cell->min = value;
    if (none || value > cell->max)
        cell->max = value;
    if (none || event_ns < cell->first_event_ns) {
        cell->first = value;
        cell->first_event_ns = event_ns;
    }
    if (none || event_ns >= cell->last_event_ns) {
        cell->last = value;
        cell->last_event_ns = event_ns;
    }
}

static int64_t floor_to(int64_t event_ns, int64_t every_ns) {
    int64_t start_ns = event_ns / every_ns * every_ns;
    return start_ns > event_ns ? start_ns - every_ns : start_ns;
}

/* The stamp as it counts; *ret_doubt: it had to be moved. Of a run under way one reading a second is judged. */
static int64_t model_time(uint32_t source, uint32_t series, int64_t event_ns, bool *ret_doubt) {
    struct clock *clock = &model.clocks[source][series];
    *ret_doubt = false;
    if (event_ns == WR_EVENT_NONE)
        return test.now.wall_ns;
    if (!test.now.wall_trusted)
        return event_ns;
    const bool ahead = event_ns > test.now.wall_ns + WR_WINDOW_CLAMP_NS;
    const bool old = event_ns < test.now.wall_ns - WR_PACE_OLD_NS;
    const struct wr_batch batch = {.arrival_boot_ns = test.now.boot_ns};
    struct wr_engine untouched = {.n_sources = 1};
    const uint8_t second = wr_arrival_of(&untouched, &batch).second;
    if (clock->second == second && (ahead || old)) {
        *ret_doubt = ahead;
        return ahead ? test.now.wall_ns : event_ns;
    }
    const struct wr_pace_verdict verdict = wr_pace_judge(&clock->pace, &model.wall, test.now.boot_ns, WR_PACE_OLD_NS, event_ns);
    clock->second = clock->pace.run_n > 0 && !clock->pace.skewed ? second : 0;
    *ret_doubt = verdict.moved;
    return verdict.event_ns;
}

static void model_take(uint32_t source, const struct wr_reading *reading, int64_t value) {
    enum wr_quality quality = (enum wr_quality)reading->quality;
    bool doubt;
    int64_t event_ns = model_time(source, reading->series, reading->event_ns, &doubt);
    if (doubt && quality == WR_QUALITY_GOOD)
        quality = WR_QUALITY_UNCERTAIN;
    if (reading->type == WR_TYPE_FLOAT && isnan(reading->value.f))
        quality = WR_QUALITY_BAD;
    for (uint32_t window = 0; window < test.n_windows; window++) {
        uint32_t account = wr_test_engine_account(&test, source, window);
        bool changes = test.windows[window].forward == WR_FORWARD_CHANGES;
        model.taken[account]++;
        fold(cell_of(account, reading->series, changes ? 0 : floor_to(event_ns, test.windows[window].every_ns)), event_ns, value, quality);
    }
}

/* -- the comparison -------------------------------------------------------------------------------------------------------------------- */

static int by_place(uint32_t account_a, const char *key_a, int64_t start_a, uint32_t account_b, const char *key_b, int64_t start_b) {
    if (account_a != account_b)
        return account_a < account_b ? -1 : 1;
    int order = strcmp(key_a, key_b);
    if (order != 0)
        return order;
    return (start_a > start_b) - (start_a < start_b);
}

static int compare_aggregates(const void *a, const void *b) {
    const struct wr_aggregate *x = a;
    const struct wr_aggregate *y = b;
    int64_t start_x = x->window_ns ? x->start_ns : 0;
    int64_t start_y = y->window_ns ? y->start_ns : 0;
    return by_place(x->account, x->key, start_x, y->account, y->key, start_y);
}
static const char *key_of(uint32_t series) {
    return wr_series_get(test.series, series)->key;
}
static int compare_cells(const void *a, const void *b) {
    const struct cell *x = a;
    const struct cell *y = b;
    return by_place(x->account, key_of(x->series), x->start_ns, y->account, key_of(y->series), y->start_ns);
}

static double number(bool integer, int64_t value) {
    return integer ? (double)value : (double)value / 10;
}
static double value_of(bool integer, union wr_value value) {
    return integer ? (double)value.i : value.f;
}

/* Aggregates that overlap (partials, late ones, widened ones) against all cells that they cover. `one`: they are a single aggregate. */
static void compare_group(const struct wr_aggregate *merged, bool one, const struct cell *cells, uint32_t n) {
    struct cell sum = {0};
    for (uint32_t i = 0; i < n; i++) {
        const struct cell *cell = &cells[i];
        bool none = sum.n == 0;
        sum.bad += cell->bad;
        if (cell->n == 0)
            continue;
        sum.n += cell->n;
        sum.sum += cell->sum;
        sum.uncertain |= cell->uncertain;
        sum.min = none || cell->min < sum.min ? cell->min : sum.min;
        sum.max = none || cell->max > sum.max ? cell->max : sum.max;
        sum.first = none ? cell->first : sum.first;
        sum.last = cell->last;
    }
    assert_true(n > 0);
    bool integer = is_integer(cells[0].series);
    assert_int_equal(merged->n, sum.n);
    assert_int_equal(merged->bad, sum.bad);
    assert_int_equal((merged->flags & WR_AGGREGATE_UNCERTAIN) != 0, sum.uncertain);
    if (sum.n == 0)
        return;
    assert_true(merged->sum.exact);
    assert_true(wr_sum_double(&merged->sum) == wr_decimal_to_double(wr_i128_of(sum.sum), integer ? 0 : 1));
    assert_true(value_of(integer, merged->min) == number(integer, sum.min));
    assert_true(value_of(integer, merged->max) == number(integer, sum.max));
    if (!one || merged->window_ns == 0)
        return;
    assert_true(value_of(integer, merged->first) == number(integer, sum.first));
    assert_true(value_of(integer, merged->last) == number(integer, sum.last));
}

static void compare(void) {
    qsort(test.got, test.n_got, sizeof *test.got, compare_aggregates);
    qsort(model.cells, model.n_cells, sizeof *model.cells, compare_cells);
    uint32_t cell = 0;
    for (uint32_t i = 0; i < test.n_got;) {
        struct wr_aggregate merged = test.got[i];
        bool changes = merged.window_ns == 0;
        int64_t end_ns = changes ? 1 : merged.start_ns + merged.window_ns;
        uint32_t from = i;
        for (i++; i < test.n_got; i++) {
            const struct wr_aggregate *next = &test.got[i];
            if (next->account != merged.account || strcmp(next->key, merged.key) != 0 || (!changes && next->start_ns >= end_ns))
                break;
            if (!changes && next->start_ns + next->window_ns > end_ns)
                end_ns = next->start_ns + next->window_ns;
            wr_aggregate_merge(&merged, next);
        }
        uint32_t first_cell = cell;
        while (cell < model.n_cells && model.cells[cell].account == merged.account &&
               strcmp(key_of(model.cells[cell].series), merged.key) == 0 && model.cells[cell].start_ns < end_ns) {
            assert_true(changes || model.cells[cell].start_ns >= test.got[from].start_ns);
            cell++;
        }
        compare_group(&merged, i == from + 1, &model.cells[first_cell], cell - first_cell);
    }
    assert_int_equal(cell, model.n_cells); /* every window of the model came out */
}

/* -- one run --------------------------------------------------------------------------------------------------------------------------- */

static void make_windows(void) {
    static const int64_t every_s[] = {1, 2, 7, 10, 60};
    static const int64_t lateness_ms[] = {0, 500, 1000, 5000, 20000};
    uint32_t n = 1 + (uint32_t)below(3);
    for (uint32_t i = 0; i < n; i++)
        wr_test_engine_window(&test, every_s[below(5)] * S, lateness_ms[below(5)] * WR_NS_PER_MS, NULL);
    if (chance(50))
        wr_test_engine_changes(&test, NULL);
}

static struct wr_reading make_reading(uint32_t series, int64_t *ret_value) {
    int64_t value = chance(50) ? (int64_t)below(3) : (int64_t)below(2000) - 1000;
    struct wr_reading reading = wr_test_reading(series, test.now.wall_ns - (int64_t)below((uint64_t)S), (double)value / 10);
    if (is_integer(series)) {
        reading.type = WR_TYPE_INT;
        reading.value.i = value;
        reading.decimals = WR_DECIMALS_UNKNOWN;
    }
    if (series % 3 == 1)
        reading.event_ns -= 3600 * S; /* this device is an hour behind */
    if (chance(15))
        reading.event_ns -= (int64_t)below((uint64_t)(10 * S));
    if (chance(4))
        reading.event_ns -= (int64_t)below((uint64_t)(200 * S));
    if (chance(3))
        reading.event_ns += (int64_t)below((uint64_t)(20 * S));
    if (chance(1))
        reading.event_ns += 86400 * S;
    if (chance(2))
        reading.event_ns = WR_EVENT_NONE;
    if (chance(10)) /* times that are equal */
        reading.event_ns = reading.event_ns == WR_EVENT_NONE ? WR_EVENT_NONE : floor_to(reading.event_ns, S);
    if (chance(4))
        reading.quality = WR_QUALITY_UNCERTAIN;
    if (chance(4))
        reading.quality = WR_QUALITY_BAD;
    if (chance(1) && reading.type == WR_TYPE_FLOAT)
        reading.value.f = (double)NAN;
    *ret_value = value;
    return reading;
}

static void put_batch(uint32_t n_series) {
    struct wr_reading readings[WR_BATCH_READINGS];
    uint32_t n = 1 + (uint32_t)below(chance(10) ? WR_BATCH_READINGS : 12);
    uint32_t source = (uint32_t)below(test.n_sources);
    if (test.now.wall_trusted)
        wr_pace_arrived(&model.wall, test.now.boot_ns, test.now.wall_ns - test.now.boot_ns);
    for (uint32_t i = 0; i < n; i++) {
        int64_t value;
        readings[i] = make_reading((uint32_t)below(n_series), &value);
        model_take(source, &readings[i], value);
    }
    wr_test_engine_take_all(&test, source, readings, n);
}

static void disturb(void) {
    if (chance(10))
        test.room = !test.room;
    if (chance(5))
        wr_engine_widen(test.engine, chance(50));
    if (chance(2))
        wr_test_engine_flush(&test);
    if (chance(1)) /* the clock is set */
        test.now.wall_ns += ((int64_t)below(7200) - 3600) * S;
    if (chance(1))
        test.now.wall_trusted = !test.now.wall_trusted;
    if (chance(1))
        wr_test_engine_advance(&test, 600 * S);
    if (chance(5))
        rules.lateness_ns = chance(50) ? -1 : (int64_t)below((uint64_t)(10 * S));
}

static void finish(void) {
    test.room = true;
    if (chance(50)) {
        wr_test_engine_advance(&test, 1000 * S); /* all windows close by themselves; only tails of changes stay */
        struct wr_engine_stats stats;
        wr_engine_stats(test.engine, &stats);
        bool changes = test.windows[test.n_windows - 1].forward == WR_FORWARD_CHANGES;
        assert_int_equal(stats.open_windows, changes ? stats.streams : 0);
    }
    wr_test_engine_flush(&test);
    wr_test_engine_check(&test);
    for (uint32_t source = 0; source < test.n_sources; source++)
        for (uint32_t window = 0; window < test.n_windows; window++) {
            assert_int_equal(wr_test_engine_open(&test, source, window), 0);
            uint64_t taken = model.taken[wr_test_engine_account(&test, source, window)];
            assert_int_equal(wr_test_engine_book(&test, source, window, WR_BOOK_TAKEN), taken);
            assert_int_equal(test.handed[wr_test_engine_account(&test, source, window)], taken); /* so nothing was dropped */
        }
}

static void one_run(void) {
    test = (struct wr_test_engine){.n_sources = 1 + (uint32_t)below(3), .max_open_windows = 100000, .evaluator = &rules, .alarm_cap = 2};
    rules = (struct wr_evaluator){.low = -90, .high = 90, .lateness_ns = -1, .alarms = true};
    model.n_cells = 0;
    model.wall = (struct wr_pace_clock){.known = false};
    memset(model.clocks, 0, sizeof model.clocks);
    memset(model.taken, 0, sizeof model.taken);
    make_windows();
    wr_test_engine_start(&test);
    uint32_t n_series = 1 + (uint32_t)below(SERIES_MAX);
    for (uint32_t i = 0; i < n_series; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%u", i);
        assert_int_equal(wr_test_engine_series(&test, name), i);
    }
    for (int step = 0; step < STEPS; step++) {
        put_batch(n_series);
        wr_test_engine_advance(&test, (int64_t)below((uint64_t)(2 * S)));
        disturb();
    }
    finish();
    compare();
    wr_test_engine_stop(&test);
}

static void aggregates_merge_to_what_the_model_counted(void **state) {
    (void)state;
    rng = wr_random_begin();
    model.cells = calloc(CELLS_MAX, sizeof *model.cells);
    assert_non_null(model.cells);
    for (int run = 0; run < wr_test_steps(RUNS); run++)
        one_run();
    free(model.cells);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(aggregates_merge_to_what_the_model_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
