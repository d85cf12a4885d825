/* The clocks, and how a time is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"

static void the_real_clock_runs_forward(void **state) {
    (void)state;
    const struct wr_clock *clock = wr_clock_real();
    int64_t before = wr_clock_boot_ns(clock);
    struct wr_now now = wr_clock_now(clock);
    assert_true(before > 0 && now.boot_ns >= before);
    assert_true(wr_clock_boot_ns(clock) >= now.boot_ns);
    int64_t seconds = (int64_t)time(NULL);
    assert_true(now.wall_ns / WR_NS_PER_S >= seconds - 60 && now.wall_ns / WR_NS_PER_S <= seconds + 60);
    assert_int_equal(wr_clock_wall_trusted(clock), wr_clock_wall_trusted(clock));
}

static void real_random_numbers_differ(void **state) {
    (void)state;
    const struct wr_clock *clock = wr_clock_real();
    uint64_t seen[100];
    for (size_t i = 0; i < 100; i++) {
        seen[i] = wr_clock_random_u64(clock);
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
}

static void a_virtual_clock_moves_only_by_hand(void **state) {
    (void)state;
    struct wr_clock_virtual clock;
    wr_clock_virtual_init(&clock, 100, 5000, 1);
    struct wr_now now = wr_clock_now(&clock.clock);
    assert_int_equal(now.boot_ns, 100);
    assert_int_equal(now.wall_ns, 5000);
    assert_true(now.wall_trusted);
    wr_clock_virtual_advance(&clock, 11);
    assert_int_equal(wr_clock_boot_ns(&clock.clock), 111);
    assert_int_equal(wr_clock_wall_ns(&clock.clock), 5011);
    wr_clock_virtual_step_wall(&clock, -5000);
    assert_int_equal(wr_clock_boot_ns(&clock.clock), 111);
    assert_int_equal(wr_clock_wall_ns(&clock.clock), 11);
    wr_clock_virtual_advance(&clock, INT64_MAX); /* held, not wrapped */
    assert_int_equal(wr_clock_boot_ns(&clock.clock), INT64_MAX);
    atomic_store(&clock.trusted, false);
    assert_false(wr_clock_wall_trusted(&clock.clock));
}

static void virtual_random_numbers_repeat_with_the_seed(void **state) {
    (void)state;
    struct wr_clock_virtual a;
    struct wr_clock_virtual b;
    struct wr_clock_virtual c;
    wr_clock_virtual_init(&a, 0, 0, 42);
    wr_clock_virtual_init(&b, 0, 0, 42);
    wr_clock_virtual_init(&c, 0, 0, 43);
    uint64_t last = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t value = wr_clock_random_u64(&a.clock);
        assert_true(value == wr_clock_random_u64(&b.clock));
        assert_true(value != wr_clock_random_u64(&c.clock));
        assert_true(value != last);
        last = value;
    }
}

static void adding_never_overflows(void **state) {
    (void)state;
    assert_int_equal(wr_clock_add_ns(1, 2), 3);
    assert_int_equal(wr_clock_add_ns(INT64_MAX, 1), INT64_MAX);
    assert_int_equal(wr_clock_add_ns(1, INT64_MAX), INT64_MAX);
    assert_int_equal(wr_clock_add_ns(INT64_MIN, -1), INT64_MIN);
    assert_int_equal(wr_clock_add_ns(INT64_MIN, INT64_MAX), -1);
}

static void known_times_are_written_so(void **state) {
    (void)state;
    char text[32];
    assert_string_equal(wr_clock_format(text, sizeof text, 0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(wr_clock_format(text, sizeof text, -1), "1969-12-31T23:59:59.999Z");
    assert_string_equal(wr_clock_format(text, sizeof text, INT64_C(1772438400123999999)), "2026-03-02T08:00:00.123Z");
    assert_string_equal(wr_clock_format(text, sizeof text, INT64_MAX), "2262-04-11T23:47:16.854Z");
    assert_string_equal(wr_clock_format(text, sizeof text, INT64_MIN), "1677-09-21T00:12:43.145Z");
}

static void every_day_is_written_as_the_c_library_does(void **state) {
    (void)state;
    for (int64_t day = -106000; day <= 106000; day++) {
        time_t seconds = (time_t)(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
        struct tm parts;
        char expected[40];
        char text[32];
        gmtime_r(&seconds, &parts);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000Z", &parts);
        wr_clock_format(text, sizeof text, (int64_t)seconds * WR_NS_PER_S);
        if (strcmp(text, expected) != 0)
            fail_msg("day %lld: %s, not %s", (long long)day, text, expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_clock_runs_forward),
        cmocka_unit_test(real_random_numbers_differ),
        cmocka_unit_test(a_virtual_clock_moves_only_by_hand),
        cmocka_unit_test(virtual_random_numbers_repeat_with_the_seed),
        cmocka_unit_test(adding_never_overflows),
        cmocka_unit_test(known_times_are_written_so),
        cmocka_unit_test(every_day_is_written_as_the_c_library_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
