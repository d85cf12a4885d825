/* Devices whose clocks are off and are set, that stall, go away and come back, on a gateway whose clock is set too: the simulation knows how old each
 * reading really is. Nothing old is ever taken for live, and a device at work is always live once its clock has had time to be known. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rules/engine/pace.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/fake_evaluator.h"
#include "tests/support/random.h"

#define S WR_TEST_S
#define MS WR_NS_PER_MS
#define DAY (86400 * S)
#define RUNS 60
#define STEPS 120
#define JITTER (1500 * MS) /* of the network */
#define SLACK (4 * S)      /* an offset is known to two seconds, and followed */

static struct wr_test_engine test;
static struct wr_evaluator rules;
static struct wr_random rng;
static uint32_t temp;

static struct {
    int64_t clock_ns;    /* the device's is so much ahead of the truth */
    int64_t wall_ns;     /* ours */
    int64_t interval_ns; /* between readings */
    int64_t settled_ns;  /* since when nothing was set that needs a run to be known; boot */
    uint32_t seconds;    /* in so many seconds since then a live reading has come */
    int64_t last_second;
    bool known; /* the device's clock has been seen for long enough */
    bool small; /* the two clocks differ by less than a minute, so that an age may hide in it */
    uint64_t live;
    uint64_t old;
} world;

static int64_t below(int64_t end) {
    return (int64_t)wr_random_below(&rng, (uint64_t)end);
}
static bool chance(int64_t percent) {
    return below(100) < percent;
}

static int64_t truth_ns(void) {
    return test.now.wall_ns - world.wall_ns;
}

enum seen { LATE, LIVE, OLD };

/* A reading that was measured so long ago arrives. */
static enum seen arrive(int64_t age_ns) {
    const uint32_t before = rules.n_taken;
    wr_test_engine_take(&test, 0, wr_test_reading(temp, truth_ns() - age_ns + world.clock_ns, 1));
    if (rules.n_taken == before)
        return LATE;
    const enum seen seen = rules.last.flags & WR_READING_HISTORIC ? OLD : LIVE;
    if (world.known && seen == LIVE && age_ns > WR_PACE_OLD_NS + SLACK + (world.small ? 60 * S : 0))
        fail_msg("%" PRId64 " s old, and live", age_ns / S);
    world.live += seen == LIVE;
    world.old += seen == OLD;
    return seen;
}

static void unsettle(void) {
    world.settled_ns = test.now.boot_ns;
    world.seconds = 0;
    world.known = false;
}

static void live_reading(void) {
    const int64_t latency_ns = below(JITTER);
    const bool known = world.known;
    const enum seen seen = arrive(latency_ns);
    if (test.now.boot_ns / S != world.last_second)
        world.seconds++;
    world.last_second = test.now.boot_ns / S;
    world.known = world.seconds >= 7 && test.now.boot_ns - world.settled_ns > 9 * S;
    if (!known)
        return;
    if (seen != LIVE)
        fail_msg("a live reading is %s; device %" PRId64 " s, gateway %" PRId64 " s ahead", seen == OLD ? "old" : "late",
                 world.clock_ns / S, world.wall_ns / S);
    const int64_t off_ns = test.now.wall_ns - rules.last.event_ns;
    const int64_t most_ns = world.small ? 60 * S : SLACK;
    if (off_ns < -SLACK || off_ns > most_ns)
        fail_msg("a live reading counts %" PRId64 " ms before its arrival", off_ns / MS);
}

static void work(void) {
    world.interval_ns = chance(20) ? 20 * S + below(100 * S) : 100 * MS + below(4 * S);
    for (int64_t n = 5 + below(60); n > 0; n--) {
        wr_test_engine_advance(&test, world.interval_ns);
        live_reading();
    }
}

/* It measures, but nothing arrives for a while; then all comes, at least ten times as fast. */
static void be_away(int64_t length_ns) {
    const bool known = world.known;
    const int64_t begin_ns = truth_ns();
    const int64_t every_ns = 5 * S + below(20 * S);
    const int64_t pace_ns = every_ns / 10 - below(every_ns / 11);
    wr_test_engine_advance(&test, length_ns);
    for (int64_t at_ns = begin_ns; at_ns < truth_ns(); at_ns += every_ns) {
        const int64_t age_ns = truth_ns() - at_ns;
        const enum seen seen = arrive(age_ns);
        if (!world.small && known && age_ns < WR_PACE_OLD_NS - SLACK)
            assert_int_not_equal(seen, OLD);
        if (chance(95)) /* some come together */
            wr_test_engine_advance(&test, pace_ns);
    }
    if (!known || world.small) /* what was seen of it is interrupted; or an age was just what the clock is off, so that it looked right */
        unsettle();
}

static void set_clocks(void) {
    if (chance(50)) { /* ours: whatever was known before is known after it */
        const bool small = chance(30);
        const int64_t to_ns = (below(9) - 4) * DAY + (small ? (chance(50) ? 25 : -40) * S + below(5 * S) : 0);
        if (to_ns < world.wall_ns &&
            to_ns > world.wall_ns - 60 * S) /* back by so little that the watermark may be just ahead: a few are late */
            unsettle();
        test.now.wall_ns += to_ns - world.wall_ns;
        world.wall_ns = to_ns;
    } else { /* the device's: it needs to be seen for a while */
        world.clock_ns = (below(9) - 4) * DAY;
        unsettle();
    }
    const int64_t apart_ns = world.wall_ns - world.clock_ns;
    world.small = apart_ns != 0 && apart_ns > -60 * S && apart_ns < 60 * S;
}

static void one_run(void) {
    test = (struct wr_test_engine){.n_sources = 1, .evaluator = &rules};
    rules = (struct wr_evaluator){.low = 1, .high = 0, .lateness_ns = -1};
    memset(&world, 0, sizeof world);
    wr_test_engine_window(&test, 60 * S, 5 * S, NULL);
    wr_test_engine_start(&test);
    temp = wr_test_engine_series(&test, "temp");
    world.clock_ns = chance(50) ? 0 : (below(9) - 4) * DAY;
    unsettle();
    for (int step = 0; step < STEPS; step++) {
        work();
        if (chance(20))
            be_away(10 * S + below(35 * S));
        else if (chance(25))
            be_away(120 * S + below(3400 * S));
        if (chance(25))
            set_clocks();
    }
    wr_test_engine_flush(&test);
    wr_test_engine_check(&test);
    struct wr_engine_stats stats;
    wr_engine_stats(test.engine, &stats);
    assert_true(stats.historic >= world.old); /* those that were late too no rule has seen */
    assert_true(stats.skewed <= 1);
    wr_test_engine_stop(&test);
}

static void old_is_old_and_live_is_live(void **state) {
    (void)state;
    rng = wr_random_begin();
    for (int run = 0; run < RUNS; run++)
        one_run();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(old_is_old_and_live_is_live)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
