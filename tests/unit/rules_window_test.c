/* Tumbling windows: what goes in, when they close, what is late. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/engine/engine_private.h"
#include "tests/support/engine_fixture.h"

#define T0 WR_TEST_WALL_NS
#define S WR_TEST_S
#define MS WR_NS_PER_MS

static struct wr_test_engine test;

static int setup(void **state) {
    (void)state;
    test = (struct wr_test_engine){0};
    return 0;
}
static int teardown(void **state) {
    (void)state;
    wr_test_engine_stop(&test);
    return 0;
}

static double sum_of(uint32_t i) {
    assert_true(i < test.n_got);
    assert_true(test.got[i].sum.exact);
    return wr_sum_double(&test.got[i].sum);
}

static void a_window_says_what_was_in_it(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    static const double values[] = {4.1, 3.9, -0.5, 4.7};
    for (int i = 0; i < 4; i++)
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + i * S, values[i]));
    assert_int_equal(test.n_got, 0);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 4);
    wr_test_engine_advance(&test, 60 * S - 1);
    assert_int_equal(test.n_got, 0);
    wr_test_engine_advance(&test, 2 * MS);
    assert_int_equal(test.n_got, 1);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 4, 0);
    const struct wr_aggregate *got = &test.got[0];
    assert_string_equal(got->key, "temp");
    assert_int_equal(got->key_len, sizeof "temp\0value");
    assert_int_equal(got->type, WR_TYPE_FLOAT);
    assert_int_equal(got->decimals, 1);
    assert_int_equal(got->bad, 0);
    assert_int_equal(got->account, wr_test_engine_account(&test, 0, 0));
    assert_true(sum_of(0) == 12.2);
    assert_true(got->min.f == -0.5 && got->max.f == 4.7 && got->first.f == 4.1 && got->last.f == 4.7);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 0);
}

static void several_lengths_at_once(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_window(&test, 60 * S, 0, "other");
    wr_test_engine_window(&test, 30 * S, 0, "te*");
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns += 60 * S;
    for (int i = 0; i < 60; i++)
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + i * S, i));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 60 * S, 60));
    uint32_t n[4] = {0};
    for (uint32_t i = 0; i < test.n_got; i++) {
        uint32_t window = test.got[i].account - wr_test_engine_account(&test, 0, 0);
        n[window]++;
        assert_int_equal(test.got[i].n, test.got[i].window_ns / S);
    }
    assert_int_equal(n[0], 6);
    assert_int_equal(n[1], 1);
    assert_int_equal(n[2], 0);
    assert_int_equal(n[3], 2);
}

static void windows_before_1970_start_at_multiples_too(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, -1, 1));
    wr_test_engine_flush(&test);
    wr_test_engine_expect(&test, 0, -60 * S, 60 * S, 1, WR_AGGREGATE_PARTIAL);
}

static void it_closes_when_the_watermark_passes(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 5 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns = T0 + 300 * S; /* old data: the clamp does not matter */
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 59 * S, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 65 * S - 1, 2));
    assert_int_equal(test.n_got, 0);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 60 * S - 1, 3)); /* behind, but within lateness */
    assert_int_equal(test.n_got, 0);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 65 * S, 4));
    assert_int_equal(test.n_got, 1);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 2, 0);
    assert_true(sum_of(0) == 4);
    assert_true(test.got[0].last.f == 3);
}

static void it_closes_by_boot_time_when_the_series_falls_silent(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 5 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns += 20 * S;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 20 * S, 1));
    wr_test_engine_advance(&test, 30 * S);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 21 * S, 1)); /* the first arrival counts */
    wr_test_engine_advance(&test, 15 * S - 1);
    assert_int_equal(test.n_got, 0);
    wr_test_engine_advance(&test, 2 * MS);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 2, 0);
    assert_int_equal(wr_engine_next_timer(test.engine), WR_NEVER_NS);
}

/* Its first readings could be old data; then it is found to be skewed, and its windows are those of the arrivals. */
static void a_device_an_hour_behind_closes_at_live_pace(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 1 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    for (int i = 0; i < 100; i++) {
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 - 3600 * S + i * S, 1));
        wr_test_engine_advance(&test, 1 * S);
    }
    assert_in_range(test.n_got, 10, 11);
    wr_test_engine_expect(&test, 0, T0 - 3600 * S, 10 * S, 5, 0);
    wr_test_engine_expect(&test, 1, T0, 10 * S, 5, WR_AGGREGATE_UNCERTAIN);
    for (uint32_t i = 1; i < 9; i++)
        wr_test_engine_expect(&test, i + 1, T0 + i * 10 * S, 10 * S, 10, WR_AGGREGATE_UNCERTAIN);
}

static void many_windows_are_open_while_lateness_lasts(void **state) {
    (void)state;
    wr_test_engine_window(&test, 1 * S, 5 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    static const int order[] = {4, 2, 0, 3, 1, 4, 0, 2, 1, 3};
    for (int i = 0; i < 10; i++)
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + order[i] * S + i, i));
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    assert_int_equal(stats.open_windows, 5);
    assert_int_equal(test.n_got, 0);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 8 * S, 100)); /* refused: 8 s ahead is the future: T0 */
    assert_int_equal(test.n_got, 0);
    test.now.wall_ns += 10 * S;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 8 * S, 100));
    assert_int_equal(test.n_got, 3);
    for (uint32_t i = 0; i < 3; i++)
        wr_test_engine_expect(&test, i, T0 + i * S, 1 * S, i == 0 ? 3 : 2, i == 0 ? WR_AGGREGATE_UNCERTAIN : 0);
    assert_true(sum_of(1) == 4 + 8);
    wr_test_engine_advance(&test, 10 * S);
    assert_int_equal(test.n_got, 6);
}

static void first_and_last_go_by_event_time(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 3 * S, 3));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 1.5)); /* the same time: the first to arrive stays first */
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 3 * S, 3.5)); /* ... and the last to arrive is last */
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 2 * S, 2));
    wr_test_engine_flush(&test);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 5, WR_AGGREGATE_PARTIAL);
    assert_true(test.got[0].first.f == 1);
    assert_true(test.got[0].last.f == 3.5);
}

static void late_readings_share_a_partial(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 1 * S, NULL);
    wr_test_engine_start(&test);
    test.now.wall_ns += 1000 * S;
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 100 * S, 1));
    assert_int_equal(test.n_got, 1);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 2));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 2 * S, 3));
    assert_int_equal(test.n_got, 1);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 50 * S, 4)); /* never open, but the watermark is past it */
    assert_int_equal(test.n_got, 2);
    wr_test_engine_expect(&test, 1, T0, 10 * S, 2, WR_AGGREGATE_LATE);
    assert_true(sum_of(1) == 5);
    wr_test_engine_advance(&test, 10 * S + 2 * MS);
    wr_test_engine_expect(&test, 2, T0 + 50 * S, 10 * S, 1, WR_AGGREGATE_LATE);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_LATE), 3);
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    assert_int_equal(stats.late, 3);
}

static void a_window_closed_by_boot_time_is_not_opened_again(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 1 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1));
    wr_test_engine_advance(&test, 12 * S);
    assert_int_equal(test.n_got, 1);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 1));
    wr_test_engine_advance(&test, 11 * S);
    wr_test_engine_expect(&test, 1, T0, 10 * S, 1, WR_AGGREGATE_LATE);
}

static void a_stamp_from_the_future_moves_no_window(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 5 * S, 1)); /* just allowed */
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 5 * S + 1, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 365 * 86400 * S, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, INT64_MAX, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 1));
    assert_int_equal(test.n_got, 0);
    wr_test_engine_flush(&test);
    assert_int_equal(test.n_got, 1);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 6, WR_AGGREGATE_PARTIAL | WR_AGGREGATE_UNCERTAIN);
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    assert_int_equal(stats.clamped, 3);
}

static void nothing_is_clamped_while_the_clock_is_untrusted(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    test.now.wall_trusted = false;
    test.now.wall_ns = 0;
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, INT64_MAX, 1)); /* but that is no time at all */
    wr_test_engine_take(&test, 0, wr_test_reading(temp, INT64_MIN + 1, 1));
    wr_test_engine_flush(&test);
    assert_int_equal(test.n_got, 2);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 1, WR_AGGREGATE_PARTIAL);
    wr_test_engine_expect(&test, 1, 0, 60 * S, 2, WR_AGGREGATE_PARTIAL | WR_AGGREGATE_LATE | WR_AGGREGATE_UNCERTAIN);
}

static void a_reading_without_a_time_has_that_of_its_arrival(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns += 61 * S;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, WR_EVENT_NONE, 1));
    wr_test_engine_flush(&test);
    wr_test_engine_expect(&test, 0, T0 + 60 * S, 60 * S, 1, WR_AGGREGATE_PARTIAL);
}

/* The wall clock was an hour ahead and is set right: what comes now is not late for an hour. */
static void a_watermark_in_the_future_starts_over(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns += 3600 * S;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, WR_EVENT_NONE, 1));
    test.now.wall_ns -= 3600 * S;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, WR_EVENT_NONE, 2));
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_LATE), 0);
    wr_test_engine_advance(&test, 61 * S);
    assert_int_equal(test.n_got, 2);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 1, 0);
    wr_test_engine_expect(&test, 1, T0 + 3600 * S, 60 * S, 1, 0);
}

/* The device's clock is set back: for about a minute its readings are late, then they are live again. */
static uint64_t late_of_a_device_set_back(bool trusted) {
    wr_test_engine_window(&test, 10 * S, 5 * S, NULL);
    wr_test_engine_start(&test);
    test.now.wall_trusted = trusted;
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1));
    for (int i = 0; i < 200; i++) {
        wr_test_engine_advance(&test, 1 * S);
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 - 86400 * S + i * S, 1));
    }
    uint64_t late = wr_test_engine_book(&test, 0, 0, WR_BOOK_LATE);
    wr_test_engine_flush(&test);
    uint64_t n = 0;
    for (uint32_t i = 0; i < test.n_got; i++)
        n += test.got[i].n;
    assert_int_equal(n, 201);
    return late;
}

static void a_device_set_back_is_live_again_once_it_is_steady(void **state) {
    (void)state;
    assert_int_equal(late_of_a_device_set_back(true), 5);
}

static void a_device_set_back_is_live_again_after_a_minute(void **state) {
    (void)state;
    assert_in_range(late_of_a_device_set_back(false), 40, 75);
}

/* A few readings of old data among live ones do not turn the watermark back. */
static void old_data_among_live_data_stays_late(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 5 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    for (int i = 0; i < 200; i++) {
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + i * S, 1));
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 - 86400 * S + i * S, 1));
        wr_test_engine_advance(&test, 1 * S);
    }
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_LATE), 200);
}

static void bad_readings_are_counted_and_nothing_else(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, (double)NAN));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, (double)INFINITY));
    struct wr_reading bad = wr_test_reading(temp, T0, -127);
    bad.quality = WR_QUALITY_BAD;
    wr_test_engine_take(&test, 0, bad);
    wr_test_engine_flush(&test);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 0, WR_AGGREGATE_PARTIAL);
    assert_int_equal(test.got[0].bad, 3);
    wr_test_engine_take(&test, 0, bad);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 4));
    wr_test_engine_take(&test, 0, bad);
    wr_test_engine_flush(&test);
    wr_test_engine_expect(&test, 1, T0, 60 * S, 1, WR_AGGREGATE_PARTIAL);
    assert_int_equal(test.got[1].bad, 2);
    assert_true(test.got[1].min.f == 4 && test.got[1].max.f == 4 && test.got[1].first.f == 4 && test.got[1].last.f == 4);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_BAD), 5);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_TAKEN), 6);
}

static struct wr_reading of_type(uint32_t series, enum wr_type type, union wr_value value) {
    return (struct wr_reading){.series = series, .event_ns = T0, .type = (uint8_t)type, .value = value, .decimals = WR_DECIMALS_UNKNOWN};
}

static void integers_stay_exact(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t counter = wr_test_engine_series(&test, "counter");
    wr_test_engine_take(&test, 0, of_type(counter, WR_TYPE_INT, (union wr_value){.i = INT64_MAX}));
    wr_test_engine_take(&test, 0, of_type(counter, WR_TYPE_INT, (union wr_value){.i = -5}));
    wr_test_engine_take(&test, 0, of_type(counter, WR_TYPE_FLOAT, (union wr_value){.f = 3})); /* exactly an integer */
    wr_test_engine_flush(&test);
    int64_t sum;
    assert_int_equal(test.got[0].type, WR_TYPE_INT);
    assert_true(wr_sum_int64(&test.got[0].sum, &sum));
    assert_true(sum == INT64_MAX - 2);
    assert_int_equal(test.got[0].min.i, -5);
    assert_int_equal(test.got[0].max.i, INT64_MAX);
    assert_int_equal(test.got[0].last.i, 3);
    uint32_t big = wr_test_engine_series(&test, "big");
    wr_test_engine_take(&test, 0, of_type(big, WR_TYPE_UINT, (union wr_value){.u = UINT64_MAX}));
    wr_test_engine_take(&test, 0, of_type(big, WR_TYPE_UINT, (union wr_value){.u = 1}));
    wr_test_engine_flush(&test);
    assert_true(test.got[1].max.u == UINT64_MAX && test.got[1].min.u == 1);
    assert_true(test.got[1].sum.exact &&
                wr_i128_equal(test.got[1].sum.scaled, wr_i128_signed(wr_u128_words(1, 0)))); /* more than 64 bits */
}

static void bool_counts_and_text_is_kept(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t door = wr_test_engine_series(&test, "door");
    for (uint64_t i = 0; i < 5; i++)
        wr_test_engine_take(&test, 0, of_type(door, WR_TYPE_BOOL, (union wr_value){.u = i % 2}));
    uint32_t mode = wr_test_engine_series(&test, "mode");
    wr_test_engine_take(&test, 0, of_type(mode, WR_TYPE_SYMBOL, (union wr_value){.bits = 17}));
    wr_test_engine_take(&test, 0, of_type(mode, WR_TYPE_SYMBOL, (union wr_value){.bits = 3}));
    wr_test_engine_flush(&test);
    assert_int_equal(test.n_got, 2);
    int64_t sum;
    assert_true(wr_sum_int64(&test.got[0].sum, &sum));
    assert_int_equal(sum, 2);
    assert_int_equal(test.got[0].min.u, 0);
    assert_int_equal(test.got[0].max.u, 1);
    assert_int_equal(test.got[1].first.symbol, 17);
    assert_int_equal(test.got[1].last.symbol, 3);
    assert_int_equal(test.got[1].n, 2);
}

static void a_wrong_type_is_refused(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t counter = wr_test_engine_series(&test, "counter");
    wr_test_engine_take(&test, 0, of_type(counter, WR_TYPE_INT, (union wr_value){.i = 1}));
    wr_test_engine_take(&test, 0, of_type(counter, WR_TYPE_FLOAT, (union wr_value){.f = 1.5}));
    wr_test_engine_take(&test, 0, of_type(counter, WR_TYPE_SYMBOL, (union wr_value){.bits = 1}));
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    assert_int_equal(stats.type_refused, 2);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_TAKEN), 1);
    assert_int_equal(wr_test_engine_book(&test, 0, 1, WR_BOOK_DROPPED_UNWANTED), 2);
}

static void sums_are_exact_at_the_largest_scale(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    for (int i = 0; i < 10; i++)
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + i, 0.1));
    struct wr_reading fine = wr_test_reading(temp, T0 + 10, 0.00012);
    fine.decimals = 5;
    wr_test_engine_take(&test, 0, fine);
    wr_test_engine_flush(&test);
    assert_true(test.got[0].sum.exact);
    assert_int_equal(test.got[0].decimals, 5);
    assert_true(sum_of(0) == 1.00012);
    fine.decimals = WR_DECIMALS_UNKNOWN;
    wr_test_engine_take(&test, 0, fine);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 0.1));
    wr_test_engine_flush(&test);
    assert_false(test.got[1].sum.exact);
    assert_int_equal(test.got[1].decimals, WR_DECIMALS_UNKNOWN);
    assert_true(fabs(wr_sum_double(&test.got[1].sum) - 0.10012) < 1e-15);
}

/* A counter of 32 bits is full: the window goes on in a sibling with the same start. */
static void a_full_state_gets_a_sibling(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1));
    struct wr_window_state *open = wr_state_at(test.engine, wr_stream_at(test.engine, temp)->cell.newest);
    test.unchecked = true;
    open->n = UINT32_MAX;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1, 2));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 3));
    wr_test_engine_flush(&test);
    assert_int_equal(test.n_got, 2);
    wr_test_engine_expect(&test, 0, T0, 60 * S, UINT32_MAX, WR_AGGREGATE_PARTIAL);
    wr_test_engine_expect(&test, 1, T0, 60 * S, 2, WR_AGGREGATE_PARTIAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_window_says_what_was_in_it),
        TEST(several_lengths_at_once),
        TEST(windows_before_1970_start_at_multiples_too),
        TEST(it_closes_when_the_watermark_passes),
        TEST(it_closes_by_boot_time_when_the_series_falls_silent),
        TEST(a_device_an_hour_behind_closes_at_live_pace),
        TEST(many_windows_are_open_while_lateness_lasts),
        TEST(first_and_last_go_by_event_time),
        TEST(late_readings_share_a_partial),
        TEST(a_window_closed_by_boot_time_is_not_opened_again),
        TEST(a_stamp_from_the_future_moves_no_window),
        TEST(nothing_is_clamped_while_the_clock_is_untrusted),
        TEST(a_reading_without_a_time_has_that_of_its_arrival),
        TEST(a_watermark_in_the_future_starts_over),
        TEST(a_device_set_back_is_live_again_once_it_is_steady),
        TEST(a_device_set_back_is_live_again_after_a_minute),
        TEST(old_data_among_live_data_stays_late),
        TEST(bad_readings_are_counted_and_nothing_else),
        TEST(integers_stay_exact),
        TEST(bool_counts_and_text_is_kept),
        TEST(a_wrong_type_is_refused),
        TEST(sums_are_exact_at_the_largest_scale),
        TEST(a_full_state_gets_a_sibling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
