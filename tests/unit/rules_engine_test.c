/* The engine around the windows: rules, the ledger, memory. What it does without room is in rules_engine_room_test.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/engine_bed.h"
#include "tests/support/failing.h"

/* -- rules ----------------------------------------------------------------------------------------------------------------------------- */

static uint32_t start_with_rules(void) {
    wr_test_engine_window(&test, 60 * S, 1 * S, NULL);
    test.evaluator = &rules;
    wr_test_engine_start(&test);
    return wr_test_engine_series(&test, "temp");
}

static void a_quiet_value_is_not_shown_to_the_rules(void **state) {
    (void)state;
    uint32_t temp = start_with_rules();
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 5));
    assert_int_equal(rules.n_taken, 0);
    assert_true(rules.bands[temp].value == 5);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 10));
    assert_int_equal(rules.n_taken, 1);
    assert_int_equal(rules.last_arrival_ns, test.now.boot_ns);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, (double)NAN));
    assert_int_equal(rules.n_taken, 2);
    assert_int_equal(rules.last.quality, WR_QUALITY_BAD);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 3600 * S, 5)); /* clamped, but quiet */
    assert_int_equal(rules.n_taken, 2);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 3600 * S, 11));
    assert_int_equal(rules.n_taken, 3);
    assert_int_equal(rules.last.quality, WR_QUALITY_UNCERTAIN);
    assert_int_equal(rules.last.event_ns, T0);
}

static void rules_may_find_a_value_bad(void **state) {
    (void)state;
    uint32_t temp = start_with_rules();
    rules.bad_above = 100;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 200));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 20));
    wr_test_engine_flush(&test);
    wr_test_engine_expect(&test, 0, T0, 60 * S, 1, WR_AGGREGATE_PARTIAL);
    assert_int_equal(test.got[0].bad, 1);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_BAD), 1);
}

static void late_readings_are_not_shown_to_the_rules(void **state) {
    (void)state;
    uint32_t temp = start_with_rules();
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 20));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 - 1 * S, 20)); /* as old as lateness allows */
    assert_int_equal(rules.n_taken, 2);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 - 1 * S - 1, 20));
    assert_int_equal(rules.n_taken, 2);
    rules.lateness_ns = 10 * S; /* a point says so */
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 - 10 * S, 20));
    assert_int_equal(rules.n_taken, 3);
}

static void a_point_sets_the_lateness_of_its_windows(void **state) {
    (void)state;
    uint32_t temp = start_with_rules();
    rules.lateness_ns = 20 * S;
    test.now.wall_ns += 200 * S;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 5));
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 79 * S, 5));
    assert_int_equal(test.n_got, 0);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 + 80 * S, 5));
    assert_int_equal(test.n_got, 1);
}

static void series_that_no_window_wants_have_rules_too(void **state) {
    (void)state;
    test.evaluator = &rules;
    wr_test_engine_window(&test, 60 * S, 1 * S, "other");
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 20));
    assert_int_equal(rules.n_taken, 1);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0 - 6 * S, 20)); /* the default lateness is 5 s */
    assert_int_equal(rules.n_taken, 1);
    assert_int_equal(wr_test_engine_book(&test, 0, 1, WR_BOOK_TAKEN), 2);
    assert_int_equal(wr_test_engine_book(&test, 0, 1, WR_BOOK_DROPPED_UNWANTED), 2);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_TAKEN), 0);
}

static void full_alarms_stop_before_the_reading(void **state) {
    (void)state;
    uint32_t temp = start_with_rules();
    rules.alarms = true;
    test.out.alarms.cap = 2;
    test.batch = (struct wr_batch){
        .n = 5, .arrival_boot_ns = test.now.boot_ns, .wall_offset_ns = test.now.wall_ns - test.now.boot_ns, .wall_trusted = true};
    for (uint32_t i = 0; i < 5; i++)
        test.batch.readings[i] = wr_test_reading(temp, T0 + i, i == 1 ? 5 : 20);
    test.out.handover = test.handover;
    assert_int_equal(wr_engine_take(test.engine, &test.batch, 0, &test.now, &test.out), 3);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 3);
    wr_test_engine_check(&test);
    assert_int_equal(wr_engine_take(test.engine, &test.batch, 3, &test.now, &test.out), 0);
    test.out.alarms.n = 0;
    assert_int_equal(wr_engine_take(test.engine, &test.batch, 3, &test.now, &test.out), 2);
    assert_int_equal(rules.n_taken, 4);
    wr_test_engine_check(&test);
}

static void timers_of_rules_run_without_readings(void **state) {
    (void)state;
    (void)start_with_rules();
    rules.timer_ns = test.now.boot_ns + 5 * S;
    assert_int_equal(wr_engine_next_timer(test.engine), rules.timer_ns);
    wr_test_engine_advance(&test, 4 * S);
    assert_int_equal(rules.n_timers, 0);
    wr_test_engine_advance(&test, 1 * S);
    assert_int_equal(rules.n_timers, 1);
}

static void an_evaluator_can_be_swapped(void **state) {
    (void)state;
    uint32_t temp = start_with_rules();
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 20));
    static struct wr_evaluator other;
    other = (struct wr_evaluator){.low = 0, .high = 100, .lateness_ns = -1};
    assert_ptr_equal(wr_engine_swap_evaluator(test.engine, &other), &rules);
    assert_ptr_equal(wr_engine_evaluator(test.engine), &other);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 20));
    assert_int_equal(rules.n_taken, 1);
    assert_int_equal(other.n_taken, 0);
    assert_int_equal(other.attached, 1);
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 101));
    assert_int_equal(other.n_taken, 1);
}

static void rules_without_memory_leave_windows_alone(void **state) {
    (void)state;
    uint32_t temp = start_with_rules();
    rules.no_memory = true;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 20));
    assert_int_equal(rules.n_taken, 0);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 1);
    rules.no_memory = false;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 20));
    assert_int_equal(rules.n_taken, 1);
}

/* -- ledger and memory ----------------------------------------------------------------------------------------------------------------- */

static void sources_have_accounts_of_their_own(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    test.n_sources = 3;
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    for (uint32_t source = 0; source < 3; source++)
        for (uint32_t i = 0; i <= source; i++)
            wr_test_engine_take(&test, source, wr_test_reading(temp, T0 - source * 3600 * S, source)); /* watermarks too */
    for (uint32_t source = 0; source < 3; source++) {
        assert_int_equal(wr_test_engine_book(&test, source, 0, WR_BOOK_TAKEN), source + 1);
        assert_int_equal(wr_test_engine_book(&test, source, 2, WR_BOOK_TAKEN), source + 1);
        assert_int_equal(wr_test_engine_book(&test, source, 0, WR_BOOK_LATE), 0);
        assert_int_equal(wr_test_engine_open(&test, source, 0), source + 1);
    }
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    assert_int_equal(stats.streams, 3);
    assert_int_equal(stats.taken, 6);
    wr_test_engine_advance(&test, 61 * S);
    assert_int_equal(test.n_got, 3);
    assert_int_equal(test.got[0].account + test.got[1].account + test.got[2].account,
                     wr_test_engine_account(&test, 0, 0) + wr_test_engine_account(&test, 1, 0) + wr_test_engine_account(&test, 2, 0));
}

static void a_window_that_all_want_counts_in_each_account(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_window(&test, 10 * S, 0, NULL);
    wr_test_engine_start(&test);
    uint32_t temp = wr_test_engine_series(&test, "temp");
    wr_test_engine_take(&test, 0, wr_test_reading(temp, T0, 1));
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_TAKEN), 1);
    assert_int_equal(wr_test_engine_book(&test, 0, 1, WR_BOOK_TAKEN), 1);
    assert_int_equal(wr_test_engine_book(&test, 0, 3, WR_BOOK_TAKEN), 1); /* intake: once */
}

static void beyond_the_ceiling_readings_are_dropped_and_counted(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 1 * S, NULL);
    test.max_open_windows = 2;
    test.evaluator = &rules;
    wr_test_engine_start(&test);
    uint32_t a = wr_test_engine_series(&test, "a");
    uint32_t b = wr_test_engine_series(&test, "b");
    uint32_t c = wr_test_engine_series(&test, "c");
    wr_test_engine_take(&test, 0, wr_test_reading(a, T0, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(b, T0, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(c, T0, 20));
    wr_test_engine_take(&test, 0, wr_test_reading(a, T0, 1));
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_DROPPED_MEMORY), 1);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 3);
    assert_int_equal(rules.n_taken, 1);                                /* the alarm has been raised all the same */
    wr_test_engine_take(&test, 0, wr_test_reading(a, T0 - 20 * S, 1)); /* no state for late ones either */
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_DROPPED_MEMORY), 2);
    wr_test_engine_advance(&test, 12 * S);
    wr_test_engine_take(&test, 0, wr_test_reading(c, T0, 1));
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 1);
}

static void memory_stays_below_the_ceiling(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 5 * S, NULL);
    wr_test_engine_window(&test, 1 * S, 5 * S, NULL);
    test.n_sources = 2;
    wr_test_engine_start(&test);
    test.unchecked = true;
    test.room = false;
    for (int i = 0; i < 20; i++)
        for (uint32_t s = 0; s < 64; s++) {
            char name[16];
            snprintf(name, sizeof name, "s%u", s);
            wr_test_engine_take(&test, s % 2, wr_test_reading(wr_test_engine_series(&test, name), T0 - i * S, 1));
        }
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    const struct wr_engine_options options = {
        .max_series = 64, .n_sources = 2, .windows = test.windows, .n_windows = test.n_windows, .max_open_windows = 0};
    assert_true(stats.bytes <= wr_engine_bytes(&options));
    wr_test_engine_check(&test);
}

static void flush_goes_on_with_another_handover(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_changes(&test, NULL);
    test.max_series = 512;
    test.n_sources = 2;
    wr_test_engine_start(&test);
    test.unchecked = true;
    for (uint32_t i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%u", i % 300);
        wr_test_engine_take(&test, i % 2, wr_test_reading(wr_test_engine_series(&test, name), T0, 1));
    }
    test.out.handover = NULL;
    assert_true(wr_engine_flush(test.engine, &test.now, &test.out));
    wr_test_engine_flush(&test);
    wr_test_engine_check(&test);
    uint64_t n[2] = {0};
    for (uint32_t i = 0; i < test.n_got; i++)
        n[test.got[i].window_ns == 0] += test.got[i].n;
    assert_int_equal(n[0], 1000);
    assert_int_equal(n[1], 1000);
    assert_int_equal(wr_engine_next_timer(test.engine), WR_NEVER_NS);
    wr_test_engine_take(&test, 0, wr_test_reading(wr_test_engine_series(&test, "s0"), T0 + 1, 1)); /* it may go on */
    wr_test_engine_flush(&test);
    wr_test_engine_expect(&test, test.n_got - 2, T0, 60 * S, 1, WR_AGGREGATE_PARTIAL);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    wr_test_engine_window(&test, 60 * S, 0, NULL);
    wr_test_engine_start(&test);
    struct wr_engine *engine = NULL;
    uint32_t accounts[64] = {0};
    struct wr_window_spec windows[WR_WINDOWS_MAX + 1];
    struct wr_engine_options options = {
        .series = test.series, .max_series = 8, .n_sources = 1, .windows = windows, .n_windows = 1, .accounts = accounts};
    windows[0] = (struct wr_window_spec){.name = "w", .every_ns = 0};
    assert_int_equal(wr_engine_new(&options, &engine, NULL), WR_INVALID);
    windows[0].every_ns = WR_WINDOW_EVERY_MAX_NS + 1;
    assert_int_equal(wr_engine_new(&options, &engine, NULL), WR_INVALID);
    windows[0].every_ns = 1 * S;
    windows[0].lateness_ns = -1;
    assert_int_equal(wr_engine_new(&options, &engine, NULL), WR_INVALID);
    windows[0].lateness_ns = 0;
    options.n_sources = 0;
    assert_int_equal(wr_engine_new(&options, &engine, NULL), WR_LIMIT);
    options.n_sources = 1;
    options.max_series = 0;
    assert_int_equal(wr_engine_new(&options, &engine, NULL), WR_LIMIT);
    options.max_series = 8;
    options.n_windows = WR_WINDOWS_MAX + 1;
    assert_int_equal(wr_engine_new(&options, &engine, NULL), WR_LIMIT);
    assert_null(engine);
    wr_engine_free(NULL);
}

/* Whichever allocation fails: it is counted, the ledger balances, and all else goes on. */
static void any_allocation_may_fail(void **state) {
    (void)state;
    wr_test_engine_window(&test, 10 * S, 1 * S, NULL);
    wr_test_engine_window(&test, 60 * S, 1 * S, NULL);
    wr_test_engine_changes(&test, "s1*");
    long n = 0;
    for (bool hit = true; hit; n++) {
        struct wr_test_engine run = {.n_sources = 2, .max_series = 1100, .n_windows = test.n_windows, .unchecked = true};
        memcpy(run.windows, test.windows, sizeof run.windows);
        for (uint32_t i = 0; i < run.n_windows; i++) { /* a selector points into itself */
            const char *text = run.windows[i].forward == WR_FORWARD_CHANGES ? "s1*" : "*";
            assert_int_equal(wr_selector_parse(text, strlen(text), &run.windows[i].of, NULL, NULL), WR_OK);
        }
        wr_failing_allocations(n);
        if (wr_test_engine_try_start(&run) == WR_OK) {
            wr_failing_off();
            for (uint32_t i = 0; i < 1100; i++) {
                char name[16];
                snprintf(name, sizeof name, "s%u", i);
                (void)wr_test_engine_series(&run, name);
            }
            run.got = malloc(8192 * sizeof *run.got); /* the fixture's own memory does not fail */
            run.cap_got = 8192;
            assert_non_null(run.got);
            wr_failing_allocations(n);
            for (uint32_t i = 0; i < 2200; i++)
                wr_test_engine_take(&run, i % 2, wr_test_reading(i % 1100, T0 - i % 3 * 20 * S, i));
            hit = wr_failing_hit();
            wr_failing_off();
            wr_test_engine_check(&run);
            uint64_t dropped = 0;
            for (uint32_t window = 0; window < 3; window++)
                for (uint32_t source = 0; source < 2; source++)
                    dropped += wr_test_engine_book(&run, source, window, WR_BOOK_DROPPED_MEMORY);
            assert_true(hit ? dropped >= 1 && dropped <= 3 : dropped == 0);
            wr_test_engine_flush(&run);
            wr_test_engine_check(&run);
        }
        wr_failing_off();
        wr_test_engine_stop(&run);
    }
    assert_true(n > 10);
    wr_test_engine_start(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, engine_bed_setup, engine_bed_teardown)
        TEST(a_quiet_value_is_not_shown_to_the_rules),
        TEST(rules_may_find_a_value_bad),
        TEST(late_readings_are_not_shown_to_the_rules),
        TEST(a_point_sets_the_lateness_of_its_windows),
        TEST(series_that_no_window_wants_have_rules_too),
        TEST(full_alarms_stop_before_the_reading),
        TEST(timers_of_rules_run_without_readings),
        TEST(an_evaluator_can_be_swapped),
        TEST(rules_without_memory_leave_windows_alone),
        TEST(sources_have_accounts_of_their_own),
        TEST(a_window_that_all_want_counts_in_each_account),
        TEST(beyond_the_ceiling_readings_are_dropped_and_counted),
        TEST(memory_stays_below_the_ceiling),
        TEST(flush_goes_on_with_another_handover),
        TEST(wrong_options_are_refused),
        TEST(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
