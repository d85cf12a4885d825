/* The schedule against a model that walks second by second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/clock.h"
#include "tests/support/random.h"
#include "transport/link_schedule.h"

static bool is_open_in_words(const struct wr_link_schedule *schedule, int64_t now_ns) {
    if (now_ns < schedule->start_boot_ns + schedule->open_ns)
        return true;
    for (int64_t begin_ns = schedule->place_ns - schedule->every_ns; begin_ns <= now_ns; begin_ns += schedule->every_ns)
        if (now_ns >= begin_ns && now_ns < begin_ns + schedule->open_ns)
            return true;
    return false;
}

static void it_is_open_when_it_says(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 300; round++) {
        struct wr_link_schedule schedule;
        char node[16];
        const int64_t every_ns = (int64_t)(2 + wr_random_below(&random, 200)) * WR_NS_PER_S;
        const int64_t open_ns = (int64_t)(1 + wr_random_below(&random, (uint64_t)(every_ns / WR_NS_PER_S - 1))) * WR_NS_PER_S;
        (void)snprintf(node, sizeof node, "gw-%u", (unsigned)wr_random_below(&random, 1000));
        wr_link_schedule_init(&schedule, node, every_ns, open_ns);
        assert_true(schedule.place_ns >= 0 && schedule.place_ns < every_ns);
        schedule.start_boot_ns = (int64_t)wr_random_below(&random, 100) * WR_NS_PER_S;
        int64_t change_ns = 0;
        bool was = false;
        for (int64_t now_ns = schedule.start_boot_ns; now_ns < schedule.start_boot_ns + 5 * every_ns; now_ns += WR_NS_PER_S) {
            int64_t next_ns = 0;
            const bool open = wr_link_schedule_is_open(&schedule, now_ns, &next_ns);
            assert_int_equal(open, is_open_in_words(&schedule, now_ns));
            assert_true(next_ns > now_ns);
            if (now_ns > schedule.start_boot_ns && now_ns < change_ns)
                assert_int_equal(open, was); /* nothing changed before it was said to */
            change_ns = next_ns;
            was = open;
        }
    }
}

/* All of it is used: in each tenth of the hour about a tenth of a thousand nodes. */
static void a_fleet_is_spread(void **state) {
    (void)state;
    unsigned tenths[10] = {0};
    for (int i = 0; i < 1000; i++) {
        struct wr_link_schedule schedule;
        char node[16];
        (void)snprintf(node, sizeof node, "gw-%d", i);
        wr_link_schedule_init(&schedule, node, 3600 * WR_NS_PER_S, 600 * WR_NS_PER_S);
        tenths[schedule.place_ns / (360 * WR_NS_PER_S)]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(tenths[i], 55, 145);
}

static void without_one_it_is_always_open(void **state) {
    (void)state;
    struct wr_link_schedule schedule = {0};
    int64_t change_ns = 0;
    assert_true(wr_link_schedule_is_open(&schedule, 1, &change_ns));
    assert_true(change_ns == WR_NEVER_NS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_open_when_it_says),
        cmocka_unit_test(a_fleet_is_spread),
        cmocka_unit_test(without_one_it_is_always_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
