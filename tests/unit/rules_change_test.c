/* forward: changes. */
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

static struct wr_test_engine test;
static uint32_t door;

static int setup(void **state) {
    (void)state;
    test = (struct wr_test_engine){0};
    wr_test_engine_changes(&test, "door*");
    wr_test_engine_start(&test);
    test.now.wall_ns += 100 * S;
    door = wr_test_engine_series(&test, "door");
    return 0;
}
static int teardown(void **state) {
    (void)state;
    wr_test_engine_stop(&test);
    return 0;
}

static void put_of(int64_t at_s, uint64_t value, enum wr_quality quality) {
    const struct wr_reading reading = {.series = door,
                                       .event_ns = T0 + at_s * S,
                                       .value.u = value,
                                       .type = WR_TYPE_INT,
                                       .quality = (uint8_t)quality,
                                       .decimals = WR_DECIMALS_UNKNOWN};
    wr_test_engine_take(&test, 0, reading);
}
static void put(int64_t at_s, uint64_t value) {
    put_of(at_s, value, WR_QUALITY_GOOD);
}

static const struct wr_aggregate *expect_change(uint32_t i, int64_t at_s, uint64_t n, uint64_t bad, unsigned flags) {
    assert_true(i < test.n_got);
    assert_int_equal(test.got[i].start_ns, T0 + at_s * S);
    assert_int_equal(test.got[i].window_ns, 0);
    assert_int_equal(test.got[i].n, n);
    assert_int_equal(test.got[i].bad, bad);
    assert_int_equal(test.got[i].flags, flags);
    return &test.got[i];
}
static void expect_values(const struct wr_aggregate *change, int64_t first, int64_t last, enum wr_quality quality) {
    assert_int_equal(change->first.i, first);
    assert_int_equal(change->last.i, last);
    assert_int_equal(change->quality, quality);
}

static void a_change_is_written_at_once(void **state) {
    (void)state;
    put(0, 5);
    assert_int_equal(test.n_got, 1);
    expect_values(expect_change(0, 0, 1, 0, 0), 5, 5, WR_QUALITY_GOOD); /* the first value is a change too */
    put(1, 5);
    put(2, 5);
    assert_int_equal(test.n_got, 1);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 2);
    put(3, 9);
    assert_int_equal(test.n_got, 2);
    const struct wr_aggregate *change = expect_change(1, 3, 3, 0, 0);
    expect_values(change, 5, 9, WR_QUALITY_GOOD);
    assert_int_equal(change->min.i, 5);
    assert_int_equal(change->max.i, 9);
    int64_t sum;
    assert_true(wr_sum_int64(&change->sum, &sum));
    assert_int_equal(sum, 19);
    put(4, 5);
    expect_values(expect_change(2, 4, 1, 0, 0), 9, 5, WR_QUALITY_GOOD);
    assert_int_equal(wr_engine_next_timer(test.engine), WR_NEVER_NS);
}

static void a_change_of_quality_is_a_change(void **state) {
    (void)state;
    put(0, 5);
    put_of(1, 5, WR_QUALITY_UNCERTAIN);
    expect_values(expect_change(1, 1, 1, 0, WR_AGGREGATE_UNCERTAIN), 5, 5, WR_QUALITY_UNCERTAIN);
    put(2, 5);
    expect_values(expect_change(2, 2, 1, 0, 0), 5, 5, WR_QUALITY_GOOD);
    put(3, 5);
    put_of(4, 77, WR_QUALITY_BAD);
    expect_values(expect_change(3, 4, 1, 1, 0), 5, 5, WR_QUALITY_BAD); /* the value of a bad reading is never shown */
    put_of(5, 78, WR_QUALITY_BAD);
    assert_int_equal(test.n_got, 4);
    put(6, 5);
    expect_values(expect_change(4, 6, 1, 1, 0), 5, 5, WR_QUALITY_GOOD);
    put(7, 6);
    expect_values(expect_change(5, 7, 1, 0, 0), 5, 6, WR_QUALITY_GOOD);
}

static void a_series_may_begin_bad(void **state) {
    (void)state;
    put_of(0, 1, WR_QUALITY_BAD);
    expect_values(expect_change(0, 0, 0, 1, 0), 0, 0, WR_QUALITY_BAD);
    put_of(1, 2, WR_QUALITY_BAD);
    put(2, 8);
    expect_values(expect_change(1, 2, 1, 1, 0), 8, 8, WR_QUALITY_GOOD);
}

static void the_tail_goes_at_a_clean_stop(void **state) {
    (void)state;
    put(0, 5);
    wr_test_engine_flush(&test);
    assert_int_equal(test.n_got, 1); /* nothing since */
    put(1, 5);
    put(2, 5);
    wr_test_engine_flush(&test);
    assert_int_equal(test.n_got, 2);
    expect_values(expect_change(1, 2, 2, 0, WR_AGGREGATE_PARTIAL), 5, 5, WR_QUALITY_GOOD);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 0);
    put(3, 5); /* it still knows the value */
    assert_int_equal(test.n_got, 2);
    put(4, 6);
    expect_values(expect_change(2, 4, 2, 0, 0), 5, 6, WR_QUALITY_GOOD);
}

static void older_values_do_not_change_the_present_one(void **state) {
    (void)state;
    put(10, 5);
    put(5, 7);
    expect_values(expect_change(1, 5, 1, 0, WR_AGGREGATE_LATE), 7, 7, WR_QUALITY_GOOD);
    put(6, 5); /* older, but the same */
    assert_int_equal(test.n_got, 2);
    put_of(7, 1, WR_QUALITY_BAD);
    assert_int_equal(test.n_got, 2);
    put(11, 5);
    assert_int_equal(test.n_got, 2);
    put(12, 6);
    expect_values(expect_change(2, 12, 3, 1, 0), 5, 6, WR_QUALITY_GOOD);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_LATE), 1);
}

static void a_change_without_room_is_kept(void **state) {
    (void)state;
    put(0, 5);
    test.room = false;
    put(1, 6);
    wr_test_engine_advance(&test, 1 * S);
    assert_int_equal(test.n_got, 1);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 1);
    test.room = true;
    wr_test_engine_advance(&test, 1 * S);
    assert_int_equal(test.n_got, 2);
    expect_values(expect_change(1, 1, 1, 0, 0), 5, 6, WR_QUALITY_GOOD);
}

static void many_changes_without_room_become_one(void **state) {
    (void)state;
    put(0, 5);
    test.room = false;
    put_of(1, 6, WR_QUALITY_BAD);
    put(2, 6);
    put(3, 6);
    put(4, 7);
    put(2, 8); /* older */
    test.room = true;
    wr_test_engine_advance(&test, 1 * S);
    assert_int_equal(test.n_got, 2);
    expect_values(expect_change(1, 4, 4, 1, WR_AGGREGATE_WIDENED), 5, 7, WR_QUALITY_GOOD);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_WIDENED), 5);
    put(5, 7);
    assert_int_equal(test.n_got, 2);
}

static void an_unsent_change_goes_at_a_clean_stop(void **state) {
    (void)state;
    test.room = false;
    put(1, 6);
    wr_test_engine_flush(&test);
    expect_values(expect_change(0, 1, 1, 0, 0), 6, 6, WR_QUALITY_GOOD);
}

static void two_sources_have_changes_of_their_own(void **state) {
    wr_test_engine_stop(&test);
    test = (struct wr_test_engine){.n_sources = 2};
    (void)state;
    wr_test_engine_changes(&test, "*");
    wr_test_engine_start(&test);
    uint32_t mode = wr_test_engine_series(&test, "mode");
    wr_test_engine_take(&test, 0, wr_test_reading(mode, T0, 1));
    wr_test_engine_take(&test, 1, wr_test_reading(mode, T0, 2));
    wr_test_engine_take(&test, 0, wr_test_reading(mode, T0, 1));
    wr_test_engine_take(&test, 1, wr_test_reading(mode, T0, 2));
    assert_int_equal(test.n_got, 2);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 1);
    assert_int_equal(wr_test_engine_open(&test, 1, 0), 1);
}

static void a_full_tail_is_written(void **state) {
    (void)state;
    put(0, 5);
    put(1, 5);
    test.unchecked = true;
    wr_state_at(test.engine, wr_stream_at(test.engine, door)->cell.newest)->n = UINT32_MAX;
    put(2, 5);
    expect_change(1, 1, UINT32_MAX, 0, WR_AGGREGATE_PARTIAL);
    wr_state_at(test.engine, wr_stream_at(test.engine, door)->cell.newest)->n = UINT32_MAX;
    test.room = false;
    put(3, 5);
    assert_int_equal(wr_test_engine_book(&test, 0, 0, WR_BOOK_DROPPED_MEMORY), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_change_is_written_at_once),
        TEST(a_change_of_quality_is_a_change),
        TEST(a_series_may_begin_bad),
        TEST(the_tail_goes_at_a_clean_stop),
        TEST(older_values_do_not_change_the_present_one),
        TEST(a_change_without_room_is_kept),
        TEST(many_changes_without_room_become_one),
        TEST(an_unsent_change_goes_at_a_clean_stop),
        TEST(two_sources_have_changes_of_their_own),
        TEST(a_full_tail_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
