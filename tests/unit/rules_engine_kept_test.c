/* What the engine keeps of readings: once each, as its windows saw them, and without a window that keeps nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/engine_fixture.h"

static struct wr_test_engine test;

/* Windows of all, of a and of b; those in `keeps` keep. */
static void start(unsigned keeps) {
    memset(&test, 0, sizeof test);
    wr_test_engine_window(&test, 60 * WR_TEST_S, WR_TEST_S, NULL);
    wr_test_engine_window(&test, WR_TEST_S, WR_TEST_S, "a");
    wr_test_engine_changes(&test, "b");
    for (unsigned i = 0; i < 3; i++)
        test.windows[i].keep_ns = keeps >> i & 1 ? 3600 * WR_TEST_S : 0;
    wr_test_engine_start(&test);
    test.out.kept = calloc(1, sizeof *test.out.kept);
    assert_non_null(test.out.kept);
}

static void stop(void) {
    free(test.out.kept);
    wr_test_engine_stop(&test);
}

static uint64_t unkept(void) {
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    return stats.unkept;
}

static void once_however_many_windows_keep(void **state) {
    (void)state;
    start(7);
    const uint32_t a = wr_test_engine_series(&test, "a");
    const uint32_t c = wr_test_engine_series(&test, "c");
    wr_test_engine_take(&test, 0, wr_test_reading(a, WR_TEST_WALL_NS, 21.5));
    wr_test_engine_take(&test, 0, wr_test_reading(c, WR_TEST_WALL_NS + 1, 3));
    wr_test_engine_take(&test, 0, wr_test_reading(a, WR_TEST_WALL_NS - 5 * WR_TEST_S, 4)); /* late */
    const struct wr_kept *kept = test.out.kept;
    assert_int_equal(kept->n, 3);
    assert_int_equal(kept->readings[0].series, a);
    assert_true(kept->readings[0].value.f == 21.5);
    assert_true(kept->readings[1].event_ns == WR_TEST_WALL_NS + 1);
    assert_true(kept->readings[2].event_ns == WR_TEST_WALL_NS - 5 * WR_TEST_S);
    assert_int_equal(unkept(), 0);
    stop();
}

static void only_of_windows_that_keep(void **state) {
    (void)state;
    start(4); /* changes of b */
    const uint32_t a = wr_test_engine_series(&test, "a");
    const uint32_t b = wr_test_engine_series(&test, "b");
    for (int i = 0; i < 3; i++) {
        wr_test_engine_take(&test, 0, wr_test_reading(a, WR_TEST_WALL_NS + i, 1));
        wr_test_engine_take(&test, 0, wr_test_reading(b, WR_TEST_WALL_NS + i, 2)); /* one change, three readings */
    }
    assert_int_equal(test.out.kept->n, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(test.out.kept->readings[i].series, b);
    stop();
}

static void times_and_qualities_are_those_of_the_windows(void **state) {
    (void)state;
    start(1);
    const uint32_t a = wr_test_engine_series(&test, "a");
    wr_test_engine_advance(&test, 123456789);
    const int64_t wall_ns = test.now.wall_ns;
    wr_test_engine_take(&test, 0, wr_test_reading(a, WR_EVENT_NONE, 1));
    wr_test_engine_take(&test, 0, wr_test_reading(a, wall_ns + 3600 * WR_TEST_S, 2)); /* from the future */
    wr_test_engine_take(&test, 0, wr_test_reading(a, wall_ns, NAN));
    const struct wr_kept *kept = test.out.kept;
    assert_int_equal(kept->n, 3);
    assert_true(kept->readings[0].event_ns == wall_ns / WR_KEPT_ARRIVAL_NS * WR_KEPT_ARRIVAL_NS);
    assert_int_equal(kept->readings[0].quality, WR_QUALITY_GOOD);
    assert_true(kept->readings[1].event_ns == kept->readings[0].event_ns);
    assert_int_equal(kept->readings[1].quality, WR_QUALITY_UNCERTAIN);
    assert_int_equal(kept->readings[2].quality, WR_QUALITY_BAD);
    stop();
}

/* Nobody waits for room: what finds none is counted, and is in its windows all the same. */
static void without_room_they_go_unkept(void **state) {
    (void)state;
    start(1);
    const uint32_t a = wr_test_engine_series(&test, "a");
    test.out.kept->n = WR_SEGMENT_READINGS - 1;
    for (int i = 0; i < 3; i++)
        wr_test_engine_take(&test, 0, wr_test_reading(a, WR_TEST_WALL_NS + i, 1));
    assert_int_equal(test.out.kept->n, WR_SEGMENT_READINGS);
    assert_int_equal(unkept(), 2);
    struct wr_kept *kept = test.out.kept;
    test.out.kept = NULL;
    wr_test_engine_take(&test, 0, wr_test_reading(a, WR_TEST_WALL_NS + 4, 1));
    assert_int_equal(unkept(), 3);
    assert_int_equal(wr_test_engine_open(&test, 0, 0), 4);
    test.out.kept = kept;
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_however_many_windows_keep),
        cmocka_unit_test(only_of_windows_that_keep),
        cmocka_unit_test(times_and_qualities_are_those_of_the_windows),
        cmocka_unit_test(without_room_they_go_unkept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
