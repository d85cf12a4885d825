/* The engine while the store has no room: windows widen, late readings share, nothing waits longer than it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/engine_bed.h"

static void without_room_windows_widen_by_time(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 1 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.room = false;
    for (int i = 0; i < 35; i++) {
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + i * S, i));
        wr_test_engine_advance(&test, 1 * S);
    }
    assert_int_equal(test.n_got, 0);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 35);
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    assert_int_equal(stats.open_windows, 1);
    test.room = true;
    wr_test_engine_advance(&test, 20 * S);
    assert_int_equal(test.n_got, 1);
    wr_test_engine_expect(&test, 0, T0, 40 * S, 35, WR_AGGREGATE_WIDENED);
    assert_true(wr_sum_double(&test.got[0].sum) == 34 * 35 / 2);
    assert_true(test.got[0].first.f == 0 && test.got[0].last.f == 34);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_WIDENED), 35);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, test.now.wall_ns, 1)); /* and then all is as before */
    wr_test_engine_advance(&test, 12 * S);
    assert_int_equal(test.got[1].window_ns, 10 * S);
    assert_int_equal(test.got[1].flags, 0);
}

/* A widened window waits as long as the last of those that it took in would have. */
static void a_widened_window_waits_for_all_that_it_covers(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 30 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.room = false;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1)); /* due after 40 s */
    wr_test_engine_advance(&test, 39 * S);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 11 * S, 2)); /* due after 39 + 9 + 30 s */
    wr_test_engine_advance(&test, 2 * S);
    test.room = true;
    wr_test_engine_advance(&test, 36 * S);
    assert_int_equal(test.n_got, 0);
    wr_test_engine_advance(&test, 2 * S);
    assert_int_equal(test.n_got, 1);
    wr_test_engine_expect(&test, 0, T0, 20 * S, 2, WR_AGGREGATE_WIDENED);
}

static void without_room_windows_widen_by_watermark(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 5 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns += 1000 * S;
    test.room = false;
    for (int i = 0; i < 100; i++)
        wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + i * 3 * S, 1));
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    assert_true(stats.open_windows <= 2); /* whatever comes, memory stays */
    test.room = true;
    wr_test_engine_advance(&test, 30 * S);
    uint64_t n = 0;
    for (uint32_t i = 0; i < test.n_got; i++)
        n += test.got[i].n;
    assert_int_equal(n, 100);
    assert_true(test.got[0].flags & WR_AGGREGATE_WIDENED);
    assert_int_equal(test.got[0].start_ns, T0);
}

static void without_room_a_gap_is_covered(void **state) {
    (void)state;
    wr_test_engine_window(&test, 1 * MS, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_trusted = false;
    test.room = false;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, 0, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 2)); /* more milliseconds than fit into a length */
    wr_test_engine_take(&test, 0, wr_test_reading(temp, INT64_MAX / 2, 3));
    wr_test_engine_advance(&test, 10 * MS);
    test.room = true;
    wr_test_engine_advance(&test, 30 * MS);
    uint64_t n = 0;
    for (uint32_t i = 0; i < test.n_got; i++)
        n += test.got[i].n;
    assert_int_equal(n, 3);
}

/* Under pressure windows that open are longer, on the grid of that length; those that are open, or were closed already, stay as they are. */
static void under_pressure_windows_open_wider(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns = T0 + 200 * S;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 1));
    wr_engine_widen(test.engine, true);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 9 * S, 2));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 21 * S, 3)); /* closes the first */
    wr_test_engine_expect(&test, 0, T0, 10 * S, 2, 0);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 59 * S, 4));
    assert_int_equal(test.n_got, 1);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 60 * S, 5));
    wr_test_engine_expect(&test, 1, T0 + 10 * S, 50 * S, 2, WR_AGGREGATE_WIDENED); /* from where the last ended to the next whole 50 s */
    wr_engine_widen(test.engine, false);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 85 * S, 6)); /* still in the window that is open */
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 111 * S, 7));
    wr_test_engine_expect(&test, 2, T0 + 60 * S, 50 * S, 2, WR_AGGREGATE_WIDENED);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 121 * S, 8));
    wr_test_engine_expect(&test, 3, T0 + 110 * S, 10 * S, 1, 0);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_WIDENED), 4);
}

/* A receiver tells windows apart by their length: none becomes as long as another one is, or becomes. */
static void under_pressure_lengths_still_tell_windows_apart(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    wr_test_engine_window(&test, 50 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns = T0 + 1000 * S;
    wr_engine_widen(test.engine, true);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 900 * S, 2)); /* closes both */
    assert_int_equal(test.n_got, 2);
    const int64_t short_ns = test.got[0].window_ns < test.got[1].window_ns ? test.got[0].window_ns : test.got[1].window_ns;
    assert_true(short_ns == 60 * S && test.got[0].window_ns + test.got[1].window_ns == 60 * S + 250 * S);
}

/* ... nor as long as one was that a reload has dropped: the store may hold some of it, and becomes as long. Where there were too many the store merges nothing. */
static void under_pressure_former_lengths_count_too(void **state) {
    (void)state;
    struct wr_lengths lengths = {0};
    wr_lengths_add(&lengths, 50 * S);
    wr_lengths_add(&lengths, 10 * S);
    test.lengths = &lengths;
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns = T0 + 1000 * S;
    wr_engine_widen(test.engine, true);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 900 * S, 2));
    assert_int_equal(test.n_got, 1);
    assert_int_equal(test.got[0].window_ns, 60 * S);
}

static void under_pressure_too_many_former_lengths_do_not(void **state) {
    (void)state;
    struct wr_lengths lengths = {0};
    for (int64_t i = 0; i <= WR_LENGTHS_MAX; i++)
        wr_lengths_add(&lengths, (50 + i) * S);
    assert_true(lengths.too_many);
    test.lengths = &lengths;
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns = T0 + 1000 * S;
    wr_engine_widen(test.engine, true);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 1 * S, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 900 * S, 2));
    assert_int_equal(test.got[0].window_ns, 50 * S);
}

/* ... and without readings they close at their own end, not earlier. */
static void under_pressure_windows_close_by_time(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns = T0 + 10 * S;
    wr_engine_widen(test.engine, true);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 10 * S, 1)); /* the window of 50 s around it began at T0 + 10 s */
    wr_test_engine_advance(&test, 49 * S);
    assert_int_equal(test.n_got, 0);
    wr_test_engine_advance(&test, 2 * S);
    assert_int_equal(test.n_got, 1);
    wr_test_engine_expect(&test, 0, T0 + 10 * S, 50 * S, 1, WR_AGGREGATE_WIDENED);
}

static void without_room_late_readings_share_one_state(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 1 * S, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns += 1000 * S;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 500 * S, 1));
    wr_test_engine_advance(&test, 20 * S);
    assert_int_equal(test.n_got, 1);
    test.room = false;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 100 * S, 2));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 50 * S, 3));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 80 * S, 4));
    wr_test_engine_advance(&test, 15 * S);
    assert_int_equal(test.n_got, 1);
    test.room = true;
    wr_test_engine_advance(&test, 15 * S);
    assert_int_equal(test.n_got, 2);
    wr_test_engine_expect(&test, 1, T0 + 50 * S, 60 * S, 3, WR_AGGREGATE_LATE | WR_AGGREGATE_WIDENED);
    assert_true(test.got[1].first.f == 3 && test.got[1].last.f == 2);
}

static void late_readings_too_far_apart_are_dropped_late(void **state) {
    (void)state;
    wr_test_engine_window(&test, 1 * MS, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1));
    wr_test_engine_advance(&test, 20 * S);
    test.room = false;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 - 1 * S, 2));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, 0, 3));
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_DROPPED_LATE), 1);
}

/* A reading of each of so many series. */
static void take_one_of_each(uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%u", i);
        wr_test_engine_take(&test, 0, wr_test_reading(wr_test_engine_series(&test, name), T0, 1));
    }
}

/* A handover that fills up stops the step; with another one it goes on where it stopped. */
static void a_full_handover_stops_the_step(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    test.max_series = 1024;
    wr_test_engine_start(&test);
    test.unchecked = true;
    take_one_of_each(600);
    test.now.boot_ns += 11 * S;
    test.now.wall_ns += 11 * S;
    test.out.handover = test.handover;
    assert_true(wr_engine_timers(test.engine, &test.now, 10000, &test.out));
    assert_int_equal(test.handover->n, WR_HANDOVER_AGGREGATES);
    wr_test_engine_timers(&test);
    assert_int_equal(test.n_got, 600);
    for (uint32_t i = 0; i < 600; i++)
        assert_int_equal(test.got[i].flags, 0);
    wr_test_engine_check(&test);
}

static void a_reading_waits_for_a_handover_once(void **state) {
    (void)state;
    wr_test_engine_window(&test, 1 * S, 0, NULL);
    test.evaluator = &rules;
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    test.now.wall_ns += 10000 * S;
    test.batch = (struct wr_batch){
        .n = 256, .arrival_boot_ns = test.now.boot_ns, .wall_offset_ns = test.now.wall_ns - test.now.boot_ns, .wall_trusted = true};
    for (uint32_t i = 0; i < 256; i++)
        test.batch.readings[i] = wr_test_reading(temp, T0 + i * S, 20); /* each closes the window before */
    test.handover->n = 156;
    memset(test.handover->aggregates, 0, sizeof test.handover->aggregates);
    test.out.handover = test.handover;
    assert_int_equal(wr_engine_take(test.engine, &test.batch, 0, &test.now, &test.out), 101);
    assert_int_equal(rules.n_taken, 101);
    assert_int_equal(wr_engine_take(test.engine, &test.batch, 101, &test.now, &test.out), 155); /* still full: widened */
    assert_int_equal(rules.n_taken, 256);
    assert_int_equal(test.handover->n, WR_HANDOVER_AGGREGATES);
    test.handover->n = 0;
    test.unchecked = true; /* the first hundred went by */
    wr_test_engine_flush(&test);
    assert_true(test.got[0].flags & WR_AGGREGATE_WIDENED);
    assert_int_equal(test.got[0].n + test.got[test.n_got - 1].n * (test.n_got > 1), 156);
}

static void closing_goes_in_slices(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    test.max_series = 1024;
    wr_test_engine_start(&test);
    test.unchecked = true;
    take_one_of_each(1000);
    test.now.boot_ns += 61 * S;
    uint32_t calls = 0;
    for (bool more = true; more; calls++) {
        uint32_t before = test.handover->n;
        test.out.handover = test.handover;
        more = wr_engine_timers(test.engine, &test.now, 16, &test.out);
        assert_true(test.handover->n - before <= 16);
        if (test.handover->n > WR_HANDOVER_AGGREGATES - 20) {
            for (uint32_t i = 0; i < test.handover->n; i++)
                test.handed[test.handover->aggregates[i].account] += wr_aggregate_readings(&test.handover->aggregates[i]);
            test.n_got += test.handover->n;
            test.handover->n = 0;
        }
    }
    assert_true(calls > 2000 / 16);
    assert_int_equal(test.n_got + test.handover->n, 2000);
    test.n_got = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, engine_bed_setup, engine_bed_teardown)
        TEST(without_room_windows_widen_by_time),
        TEST(a_widened_window_waits_for_all_that_it_covers),
        TEST(without_room_windows_widen_by_watermark),
        TEST(without_room_a_gap_is_covered),
        TEST(under_pressure_windows_open_wider),
        TEST(under_pressure_lengths_still_tell_windows_apart),
        TEST(under_pressure_former_lengths_count_too),
        TEST(under_pressure_too_many_former_lengths_do_not),
        TEST(under_pressure_windows_close_by_time),
        TEST(without_room_late_readings_share_one_state),
        TEST(late_readings_too_far_apart_are_dropped_late),
        TEST(a_full_handover_stops_the_step),
        TEST(a_reading_waits_for_a_handover_once),
        TEST(closing_goes_in_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
