/* Devices whose clocks are off, and old data: what the rules see of them. The engine with an evaluator that sees every sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/engine_fixture.h"
#include "tests/support/failing.h"
#include "tests/support/fake_evaluator.h"

#define S WR_TEST_S
#define HOUR (3600 * S)

static struct wr_test_engine test;
static struct wr_evaluator rules;
static uint32_t temp;

static int setup(void **state) {
    (void)state;
    test = (struct wr_test_engine){.n_sources = 2, .max_series = 256};
    rules = (struct wr_evaluator){.low = 1, .high = 0, .lateness_ns = -1};
    wr_test_engine_window(&test, 60 * S, 5 * S, NULL);
    test.evaluator = &rules;
    wr_test_engine_start(&test);
    temp = wr_test_engine_series(&test, "temp");
    return 0;
}
static int teardown(void **state) {
    (void)state;
    wr_test_engine_stop(&test);
    return 0;
}

enum seen { LATE, LIVE, OLD };

/* Sends a reading with this stamp; tells how the rules saw it. */
static enum seen send(int64_t stamp_ns) {
    const uint32_t before = rules.n_taken;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, stamp_ns, 1));
    if (rules.n_taken == before)
        return LATE;
    return rules.last.flags & WR_READING_HISTORIC ? OLD : LIVE;
}

/* The reading counted as of its arrival, with doubt. */
static void expect_moved(void) {
    assert_int_equal(rules.last.event_ns, test.now.wall_ns);
    assert_int_equal(rules.last.quality, WR_QUALITY_UNCERTAIN);
}

static struct wr_engine_stats stats(void) {
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    return stats;
}

/* A device at work sends one reading a second for n seconds; its clock is behind by so much. Expects all to be live. */
static void live_for(int n, int64_t behind_ns) {
    for (int i = 0; i < n; i++) {
        wr_test_engine_advance(&test, S);
        assert_int_equal(send(test.now.wall_ns - behind_ns), LIVE);
    }
}

static void a_right_clock_is_left_alone(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        const int64_t behind_ns = (i * 37 % 66 - 5) * S; /* 5 s ahead to 60 s behind */
        rules.lateness_ns = 200 * S;
        assert_int_equal(send(test.now.wall_ns - behind_ns), LIVE);
        assert_int_equal(rules.last.event_ns, test.now.wall_ns - behind_ns);
        assert_int_equal(rules.last.quality, WR_QUALITY_GOOD);
        wr_test_engine_advance(&test, S);
    }
    assert_int_equal(stats().skewed, 0);
    assert_int_equal(stats().historic + stats().moved + stats().clamped, 0);
}

static void a_device_an_hour_behind_is_live_after_five_readings(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        wr_test_engine_advance(&test, S);
        assert_int_equal(send(test.now.wall_ns - HOUR), OLD);
        assert_int_equal(rules.last.event_ns, test.now.wall_ns - HOUR);
        assert_int_equal(rules.last.quality, WR_QUALITY_GOOD);
        assert_int_equal(stats().skewed, 0);
    }
    for (int i = 0; i < 1000; i++) {
        const int64_t jitter_ns = (i * 7919 % 3000 - 1500) * WR_NS_PER_MS;
        wr_test_engine_advance(&test, S);
        assert_int_equal(send(test.now.wall_ns - HOUR + jitter_ns), LIVE);
        assert_in_range(rules.last.event_ns, test.now.wall_ns - 4 * S, test.now.wall_ns + 4 * S);
        assert_int_equal(rules.last.quality, WR_QUALITY_UNCERTAIN);
    }
    assert_int_equal(stats().skewed, 1);
    assert_int_equal(stats().skewed_series, temp);
    assert_in_range(stats().skew_ns, HOUR - 2 * S, HOUR + 2 * S);
    assert_int_equal(stats().historic, 5);
    assert_int_equal(stats().moved, 1000);
}

static void a_device_an_hour_ahead_is_live_at_once(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        wr_test_engine_advance(&test, S);
        assert_int_equal(send(test.now.wall_ns + HOUR), LIVE);
        expect_moved();
    }
    assert_int_equal(stats().clamped, 5);
    assert_int_equal(stats().moved, 15);
    assert_int_equal(stats().skewed, 1);
    assert_int_equal(stats().skew_ns, -HOUR);
}

/* A slow sensor needs three readings. */
static void three_readings_in_a_minute_are_steady(void **state) {
    (void)state;
    static const enum seen expected[] = {OLD, OLD, LIVE, LIVE};
    for (int i = 0; i < 4; i++) {
        wr_test_engine_advance(&test, 600 * S);
        assert_int_equal(send(test.now.wall_ns - HOUR), expected[i]);
    }
    expect_moved();
}

/* Whatever its rhythm, it is found out: of a run the engine looks at one reading a second, and must not look at the same sensors never. */
static void every_rhythm_is_looked_at(void **state) {
    (void)state;
    for (int interval_s = 1; interval_s < 200; interval_s++) {
        char name[16];
        snprintf(name, sizeof name, "r%d", interval_s);
        temp = wr_test_engine_series(&test, name);
        int n = 0;
        do
            wr_test_engine_advance(&test, interval_s * S);
        while (send(test.now.wall_ns - HOUR) == OLD && ++n < 20);
        assert_in_range(n, 2, 12);
    }
    assert_int_equal(stats().skewed, 199);
}

/* Five readings within a moment tell nothing. */
static void a_burst_of_equal_stamps_is_not_steady(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        wr_test_engine_advance(&test, 40 * WR_NS_PER_MS);
        assert_int_equal(send(test.now.wall_ns - HOUR), OLD);
    }
}

static void right_stamps_end_it(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        wr_test_engine_advance(&test, S);
        (void)send(test.now.wall_ns - HOUR);
    }
    assert_int_equal(stats().skewed, 1);
    wr_test_engine_advance(&test, S);
    assert_int_equal(send(test.now.wall_ns), LIVE);
    assert_int_equal(rules.last.quality, WR_QUALITY_GOOD);
    assert_int_equal(stats().skewed, 0);
    live_for(10, 0);
    wr_test_engine_advance(&test, S);
    assert_int_equal(send(test.now.wall_ns - HOUR), LATE); /* it has no credit left */
}

/* The bounds of leaving are narrower than those of entering. */
static void at_the_edge_it_does_not_change_sides(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        wr_test_engine_advance(&test, S);
        (void)send(test.now.wall_ns - 61 * S);
    }
    live_for(100, 59 * S);
    assert_int_equal(stats().skewed, 1);
    live_for(100, 29 * S);
    assert_int_equal(stats().skewed, 1);
    live_for(10, 4 * S);
    assert_int_equal(stats().skewed, 0);
}

/* Its clock is set while it is skewed: on, or back. */
static void another_offset_has_to_be_steady(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        wr_test_engine_advance(&test, S);
        (void)send(test.now.wall_ns - HOUR);
    }
    live_for(10, HOUR / 2); /* nearer to ours than it can be: live */
    expect_moved();
    for (int i = 0; i < 5; i++) { /* further from ours than before: it could be old data */
        wr_test_engine_advance(&test, S);
        assert_int_equal(send(test.now.wall_ns - 2 * HOUR), LATE);
    }
    live_for(10, 2 * HOUR);
    expect_moved();
    assert_int_equal(stats().skewed, 1);
}

static void one_odd_stamp_changes_nothing(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        wr_test_engine_advance(&test, S);
        (void)send(test.now.wall_ns - HOUR);
    }
    assert_int_equal(send(test.now.wall_ns + 86400 * S), LIVE);
    expect_moved();
    live_for(10, HOUR);
    assert_int_equal(send(test.now.wall_ns - HOUR / 2), LIVE);
    live_for(10, HOUR);
    assert_int_equal(send(test.now.wall_ns - 86400 * S), LATE);
    live_for(10, HOUR);
}

/* A device was away for half an hour, and hands in what it measured every ten seconds, a hundred times as fast. */
static void reconnect(int64_t behind_ns, enum seen first, enum seen last) {
    int64_t stamp_ns = test.now.wall_ns;
    wr_test_engine_advance(&test, 1800 * S);
    for (; stamp_ns < test.now.wall_ns - 65 * S; stamp_ns += 10 * S) {
        wr_test_engine_advance(&test, 100 * WR_NS_PER_MS);
        assert_int_equal(send(stamp_ns - behind_ns), first);
        if (first == OLD)
            assert_in_range(rules.last.event_ns, stamp_ns - 4 * S, stamp_ns + 4 * S);
    }
    for (; stamp_ns <= test.now.wall_ns; stamp_ns += 10 * S) {
        const enum seen seen = send(stamp_ns - behind_ns);
        assert_true(stamp_ns < test.now.wall_ns - 55 * S || seen == last);
    }
    live_for(20, behind_ns);
}

static void what_was_kept_while_away_is_old(void **state) {
    (void)state;
    live_for(20, 0);
    reconnect(0, OLD, LIVE);
    assert_int_equal(stats().skewed, 0);
    assert_in_range(stats().historic, 170, 180);
}

static void it_is_old_from_a_skewed_device_too(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        wr_test_engine_advance(&test, S);
        (void)send(test.now.wall_ns + HOUR); /* else all of it would be clamped, and so be live */
    }
    reconnect(-HOUR, OLD, LIVE);
    assert_int_equal(stats().skewed, 1);
}

/* Live readings, and between them old ones that are always an hour old: those are late, and never make it skewed. */
static void old_data_beside_live_data_is_late(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        live_for(1, 0);
        assert_int_equal(send(test.now.wall_ns - HOUR), LATE);
    }
    assert_int_equal(stats().skewed, 0);
}

static void with_a_longer_lateness_less_is_old(void **state) {
    (void)state;
    live_for(1, 0);
    rules.lateness_ns = 900 * S;
    wr_test_engine_advance(&test, 900 * S);
    assert_int_equal(send(test.now.wall_ns - 899 * S), LIVE);
    assert_int_equal(send(test.now.wall_ns - 300 * S), LIVE);
    wr_test_engine_advance(&test, 1000 * S);
    assert_int_equal(send(test.now.wall_ns - 901 * S), OLD);
}

/* Our own clock is set: who was right is skewed, who was skewed is right, and all are live. */
static void our_own_clock_may_be_set(void **state) {
    (void)state;
    live_for(20, 0);
    int64_t behind_ns = 0;
    static const int64_t steps_s[] = {3600, -3600, -7200, 86400, -79200, 130, -130};
    for (size_t i = 0; i < sizeof steps_s / sizeof steps_s[0]; i++) {
        test.now.wall_ns += steps_s[i] * S;
        behind_ns += steps_s[i] * S;
        live_for(20, behind_ns);
        assert_int_equal(stats().skewed, behind_ns != 0);
    }
    assert_int_equal(behind_ns, 0);
    assert_int_equal(stats().historic, 0);
    assert_int_equal(rules.last.quality, WR_QUALITY_GOOD);
}

/* ... but a stream that was silent for long gets no credit for it. */
static void a_step_explains_nothing_for_ever(void **state) {
    (void)state;
    live_for(1, 0);
    test.now.wall_ns += HOUR;
    uint32_t other = wr_test_engine_series(&test, "other");
    wr_test_engine_take(&test, 0, wr_test_reading(other, test.now.wall_ns, 1)); /* so the engine sees the step */
    wr_test_engine_advance(&test, 601 * S);
    assert_int_equal(send(test.now.wall_ns - HOUR), OLD);
}

static void with_a_clock_that_is_not_trusted_all_is_live(void **state) {
    (void)state;
    test.now.wall_trusted = false;
    for (int i = 0; i < 50; i++) {
        wr_test_engine_advance(&test, S);
        assert_int_equal(send(test.now.wall_ns - HOUR + i * 10 * S), LIVE);
    }
    assert_int_equal(stats().skewed, 0);
    test.now.wall_trusted = true;
    for (int i = 0; i < 5; i++) {
        wr_test_engine_advance(&test, S);
        assert_int_equal(send(test.now.wall_ns + HOUR), LIVE);
    }
}

/* A recording is played at live pace, as it is stamped: it stays what it is. */
static void a_recording_is_never_skewed(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        wr_test_engine_advance(&test, S);
        test.batch.recorded = true;
        assert_int_equal(send(test.now.wall_ns - HOUR), OLD);
        assert_int_equal(rules.last.event_ns, test.now.wall_ns - HOUR);
        assert_int_equal(rules.last.quality, WR_QUALITY_GOOD);
    }
    assert_int_equal(stats().skewed, 0);
    assert_int_equal(stats().historic, 50);
    assert_int_equal(send(test.now.wall_ns), LIVE);
}

/* Streams of two sources have a clock each. */
static void each_source_has_its_own_clock(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        wr_test_engine_advance(&test, S);
        (void)send(test.now.wall_ns - HOUR);
        wr_test_engine_take(&test, 1, wr_test_reading(temp, test.now.wall_ns, 1));
        assert_int_equal(rules.last.quality, WR_QUALITY_GOOD);
    }
    assert_int_equal(send(test.now.wall_ns - HOUR), LIVE);
    expect_moved();
    assert_int_equal(stats().skewed, 1);
}

/* Alarms that find no room make a reading wait; it is judged once. */
static void a_reading_that_waits_is_judged_once(void **state) {
    (void)state;
    rules.alarms = true;
    struct wr_batch *batch = &test.batch;
    for (int i = 0; i < 5; i++) {
        wr_test_engine_advance(&test, S);
        *batch = (struct wr_batch){
            .n = 1, .arrival_boot_ns = test.now.boot_ns, .wall_offset_ns = test.now.wall_ns - test.now.boot_ns, .wall_trusted = true};
        batch->readings[0] = wr_test_reading(temp, test.now.wall_ns - HOUR, 1);
        test.out.handover = test.handover;
        for (int tries = 0; tries < 10; tries++) {
            test.out.alarms.n = test.out.alarms.cap;
            assert_int_equal(wr_engine_take(test.engine, batch, 0, &test.now, &test.out), 0);
        }
        test.out.alarms.n = 0;
        assert_int_equal(wr_engine_take(test.engine, batch, 0, &test.now, &test.out), 1);
        assert_true(rules.last.flags & WR_READING_HISTORIC);
        assert_int_equal(stats().historic, i + 1);
    }
}

static void without_memory_for_it_old_data_stays_old(void **state) {
    (void)state;
    (void)send(test.now.wall_ns); /* the stream itself */
    for (int i = 0; i < 20; i++) {
        wr_test_engine_advance(&test, S);
        wr_failing_allocations(0);
        const enum seen seen = send(test.now.wall_ns + HOUR);
        wr_failing_off();
        assert_int_equal(seen, LIVE);
        expect_moved();
    }
    assert_int_equal(stats().skewed, 0);
    assert_int_equal(stats().clamped, 20);
    live_for(10, -HOUR);
    assert_int_equal(stats().skewed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_right_clock_is_left_alone),
        TEST(a_device_an_hour_behind_is_live_after_five_readings),
        TEST(a_device_an_hour_ahead_is_live_at_once),
        TEST(three_readings_in_a_minute_are_steady),
        TEST(every_rhythm_is_looked_at),
        TEST(a_burst_of_equal_stamps_is_not_steady),
        TEST(right_stamps_end_it),
        TEST(at_the_edge_it_does_not_change_sides),
        TEST(another_offset_has_to_be_steady),
        TEST(one_odd_stamp_changes_nothing),
        TEST(what_was_kept_while_away_is_old),
        TEST(it_is_old_from_a_skewed_device_too),
        TEST(old_data_beside_live_data_is_late),
        TEST(with_a_longer_lateness_less_is_old),
        TEST(our_own_clock_may_be_set),
        TEST(a_step_explains_nothing_for_ever),
        TEST(with_a_clock_that_is_not_trusted_all_is_live),
        TEST(a_recording_is_never_skewed),
        TEST(each_source_has_its_own_clock),
        TEST(a_reading_that_waits_is_judged_once),
        TEST(without_memory_for_it_old_data_stays_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
