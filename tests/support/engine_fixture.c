#include "tests/support/engine_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wr_window_spec *add_window(struct wr_test_engine *test, const char *of) {
    assert_true(test->n_windows < WR_TEST_WINDOWS);
    struct wr_window_spec *window = &test->windows[test->n_windows++];
    const char *text = of ? of : "*";
    assert_int_equal(wr_selector_parse(text, strlen(text), &window->of, NULL, NULL), WR_OK);
    snprintf(window->name, sizeof window->name, "w%u", test->n_windows);
    return window;
}

void wr_test_engine_window(struct wr_test_engine *test, int64_t every_ns, int64_t lateness_ns, const char *of) {
    struct wr_window_spec *window = add_window(test, of);
    window->every_ns = every_ns;
    window->lateness_ns = lateness_ns;
}

void wr_test_engine_changes(struct wr_test_engine *test, const char *of) {
    add_window(test, of)->forward = WR_FORWARD_CHANGES;
}

uint32_t wr_test_engine_account(const struct wr_test_engine *test, uint32_t source, uint32_t window) {
    return WR_TEST_ACCOUNT_BASE + source * (test->n_windows + 2) + window;
}

enum wr_result wr_test_engine_try_start(struct wr_test_engine *test) {
    test->n_sources = test->n_sources ? test->n_sources : 1;
    test->max_series = test->max_series ? test->max_series : 64;
    test->now = (struct wr_now){.boot_ns = WR_TEST_BOOT_NS, .wall_ns = WR_TEST_WALL_NS, .wall_trusted = true};
    test->room = true;
    uint32_t accounts[WR_TEST_SOURCES * (WR_TEST_WINDOWS + 2)];
    for (uint32_t i = 0; i < test->n_sources * (test->n_windows + 2); i++)
        accounts[i] = WR_TEST_ACCOUNT_BASE + i;
    WR_TRY(wr_series_table_new(test->max_series, &test->series, NULL));
    const struct wr_engine_options options = {.series = test->series,
                                              .max_series = test->max_series,
                                              .max_open_windows = test->max_open_windows,
                                              .n_sources = test->n_sources,
                                              .windows = test->windows,
                                              .n_windows = test->n_windows,
                                              .lengths = test->lengths,
                                              .accounts = accounts,
                                              .evaluator = test->evaluator};
    WR_TRY(wr_engine_new(&options, &test->engine, NULL));
    test->handover = calloc(1, sizeof *test->handover);
    if (!test->handover)
        return WR_NO_MEMORY;
    test->handover->counts = test->counts;
    test->out.alarms = (struct wr_alarm_out){.entries = test->alarms, .cap = test->alarm_cap ? test->alarm_cap : 4};
    return WR_OK;
}

void wr_test_engine_start(struct wr_test_engine *test) {
    assert_int_equal(wr_test_engine_try_start(test), WR_OK);
}

void wr_test_engine_stop(struct wr_test_engine *test) {
    wr_engine_free(test->engine);
    wr_series_table_free(test->series);
    free(test->handover);
    free(test->got);
}

void wr_test_engine_expect(const struct wr_test_engine *test, uint32_t i, int64_t start_ns, int64_t window_ns, uint64_t n, unsigned flags) {
    assert_true(i < test->n_got);
    assert_int_equal(test->got[i].start_ns, start_ns);
    assert_int_equal(test->got[i].window_ns, window_ns);
    assert_int_equal(test->got[i].n, n);
    assert_int_equal(test->got[i].flags, flags);
}

uint32_t wr_test_engine_series(struct wr_test_engine *test, const char *name) {
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    struct wr_tag none;
    assert_int_equal(wr_series_key_make((struct wr_word){name, strlen(name)}, (struct wr_word){"value", 5}, &none, 0, key, &len, NULL),
                     WR_OK);
    uint32_t id;
    assert_int_equal(wr_series_intern(test->series, key, len, &id), WR_OK);
    return id;
}

struct wr_reading wr_test_reading(uint32_t series, int64_t event_ns, double value) {
    return (struct wr_reading){.series = series, .event_ns = event_ns, .value.f = value, .type = WR_TYPE_FLOAT, .decimals = 1};
}

/* Keeps what is in the handover, and empties it. */
static void collect(struct wr_test_engine *test) {
    for (uint32_t i = 0; i < test->handover->n; i++) {
        const struct wr_aggregate *aggregate = &test->handover->aggregates[i];
        if (test->n_got == test->cap_got) {
            test->cap_got = test->cap_got ? 2 * test->cap_got : 256;
            struct wr_aggregate *more = calloc(test->cap_got, sizeof *more);
            assert_non_null(more);
            if (test->n_got > 0)
                memcpy(more, test->got, test->n_got * sizeof *more);
            free(test->got);
            test->got = more;
        }
        test->got[test->n_got++] = *aggregate;
        assert_in_range(aggregate->account, 0, 255);
        assert_true(wr_aggregate_readings(aggregate) > 0);
        test->handed[aggregate->account] += wr_aggregate_readings(aggregate);
    }
    test->handover->n = 0;
}

static void give_room(struct wr_test_engine *test) {
    collect(test);
    test->out.handover = test->room ? test->handover : NULL;
}

static void after_step(struct wr_test_engine *test) {
    collect(test);
    if (!test->unchecked)
        wr_test_engine_check(test);
}

void wr_test_engine_take_all(struct wr_test_engine *test, uint32_t source, const struct wr_reading *readings, uint32_t n) {
    test->batch.source = source;
    test->batch.n = n;
    test->batch.arrival_boot_ns = test->now.boot_ns;
    test->batch.wall_offset_ns = test->now.wall_ns - test->now.boot_ns;
    test->batch.wall_trusted = test->now.wall_trusted;
    memcpy(test->batch.readings, readings, n * sizeof *readings);
    uint32_t idle = 0;
    for (uint32_t from = 0; from < n;) {
        give_room(test);
        uint32_t taken = wr_engine_take(test->engine, &test->batch, from, &test->now, &test->out);
        after_step(test);
        from += taken;
        test->out.alarms.n = 0;
        idle = taken == 0 ? idle + 1 : 0;
        assert_true(idle < 100);
    }
}

void wr_test_engine_take(struct wr_test_engine *test, uint32_t source, struct wr_reading reading) {
    wr_test_engine_take_all(test, source, &reading, 1);
}

void wr_test_engine_timers(struct wr_test_engine *test) {
    for (bool more = true; more;) {
        give_room(test);
        more = wr_engine_timers(test->engine, &test->now, 64, &test->out);
        test->out.alarms.n = 0;
        collect(test);
    }
    assert_true(wr_engine_next_timer(test->engine) > test->now.boot_ns);
    after_step(test);
}

void wr_test_engine_advance(struct wr_test_engine *test, int64_t ns) {
    test->now.boot_ns += ns;
    test->now.wall_ns += ns;
    wr_test_engine_timers(test);
}

void wr_test_engine_flush(struct wr_test_engine *test) {
    for (bool more = true; more;) {
        test->out.handover = test->handover;
        more = wr_engine_flush(test->engine, &test->now, &test->out);
        collect(test);
    }
    after_step(test);
}

uint64_t wr_test_engine_book(struct wr_test_engine *test, uint32_t source, uint32_t window, enum wr_book book) {
    test->handover->n_counts = 0;
    wr_engine_counts(test->engine, test->handover);
    assert_true(test->handover->n_counts <= wr_engine_max_counts(test->n_sources, test->n_windows));
    uint64_t readings = 0;
    for (uint32_t i = 0; i < test->handover->n_counts; i++)
        if (test->counts[i].account == wr_test_engine_account(test, source, window) && test->counts[i].book == book)
            readings += test->counts[i].readings;
    return readings;
}

static void walk_open(const struct wr_test_engine *test, uint64_t open[256]) {
    memset(open, 0, 256 * sizeof *open);
    uint64_t cursor = 0;
    while (wr_engine_count_open(test->engine, &cursor, 3, open))
        continue;
}

uint64_t wr_test_engine_open(struct wr_test_engine *test, uint32_t source, uint32_t window) {
    uint64_t open[256];
    walk_open(test, open);
    return open[wr_test_engine_account(test, source, window)];
}

void wr_test_engine_check(struct wr_test_engine *test) {
    uint64_t right[256];
    walk_open(test, right);
    uint64_t left[256] = {0};
    uint64_t intake = 0;
    for (size_t i = 0; i < 256; i++)
        right[i] += test->handed[i];
    test->handover->n_counts = 0;
    wr_engine_counts(test->engine, test->handover);
    for (uint32_t i = 0; i < test->handover->n_counts; i++) {
        const struct wr_account_count *count = &test->counts[i];
        bool is_intake = (count->account - WR_TEST_ACCOUNT_BASE) % (test->n_windows + 2) == test->n_windows + 1;
        if (count->book == WR_BOOK_TAKEN && is_intake)
            intake += count->readings;
        else if (count->book == WR_BOOK_TAKEN)
            left[count->account] += count->readings;
        else if (wr_book_is_dropped(count->book))
            right[count->account] += count->readings;
    }
    for (size_t i = 0; i < 256; i++)
        if (left[i] != right[i])
            fail_msg("account %zu: taken %" PRIu64 ", open + handed over + dropped %" PRIu64, i, left[i], right[i]);
    struct wr_engine_stats stats;
    wr_engine_stats(test->engine, &stats);
    assert_int_equal(intake, stats.taken);
}
