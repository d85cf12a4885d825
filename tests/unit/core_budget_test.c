/* Budgets: periods, clocks that are wrong, levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/budget.h"
#include "core/calendar.h"

#define HOUR_NS (3600 * WR_NS_PER_S)
#define DAY_NS (24 * HOUR_NS)

static int64_t date(int year, int month, int day) {
    return wr_calendar_days(year, month, day) * DAY_NS;
}

static struct wr_now at(int64_t wall_ns) {
    return (struct wr_now){.boot_ns = wall_ns - date(2026, 1, 1), .wall_ns = wall_ns, .wall_trusted = true};
}

static void spend_at(struct wr_budget *budget, uint64_t bytes, int64_t wall_ns) {
    const struct wr_now now = at(wall_ns);
    wr_budget_spend(budget, bytes, &now);
}

static void months_begin_where_the_bill_does(void **state) {
    (void)state;
    static const struct {
        unsigned from_day;
        int at[3], begins[3], ends[3];
    } cases[] = {
        {1, {2026, 1, 31}, {2026, 1, 1}, {2026, 2, 1}},    {1, {2028, 2, 29}, {2028, 2, 1}, {2028, 3, 1}},
        {15, {2026, 3, 14}, {2026, 2, 15}, {2026, 3, 15}}, {15, {2026, 3, 15}, {2026, 3, 15}, {2026, 4, 15}},
        {28, {2027, 1, 1}, {2026, 12, 28}, {2027, 1, 28}}, {28, {2027, 2, 28}, {2027, 2, 28}, {2027, 3, 28}},
        {2, {2026, 12, 31}, {2026, 12, 2}, {2027, 1, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wr_budget budget;
        wr_budget_init(&budget, WR_BUDGET_MONTH, 1000, cases[i].from_day);
        spend_at(&budget, 10, date(cases[i].at[0], cases[i].at[1], cases[i].at[2]) + HOUR_NS);
        assert_int_equal(budget.count.begins_wall_ns, date(cases[i].begins[0], cases[i].begins[1], cases[i].begins[2]));
        assert_int_equal(budget.count.ends_wall_ns, date(cases[i].ends[0], cases[i].ends[1], cases[i].ends[2]));
    }
}

static void a_period_ends_to_the_nanosecond(void **state) {
    (void)state;
    struct wr_budget budget;
    wr_budget_init(&budget, WR_BUDGET_DAY, 1000, 1);
    spend_at(&budget, 700, date(2026, 5, 5));
    spend_at(&budget, 1, date(2026, 5, 6) - 1);
    assert_int_equal(budget.count.spent, 701);
    assert_int_equal(wr_budget_left(&budget), 299);
    spend_at(&budget, 5, date(2026, 5, 6));
    assert_int_equal(budget.count.spent, 5);
}

/* Another day of the bill takes effect when the present month is over: its count is not lost. */
static void another_first_day_waits_for_the_end(void **state) {
    (void)state;
    struct wr_budget before, after;
    wr_budget_init(&before, WR_BUDGET_MONTH, 1000, 1);
    spend_at(&before, 700, date(2026, 5, 10));
    wr_budget_init(&after, WR_BUDGET_MONTH, 1000, 5);
    wr_budget_restore(&after, &before.count);
    spend_at(&after, 1, date(2026, 5, 20));
    assert_int_equal(after.count.spent, 701);
    spend_at(&after, 1, date(2026, 6, 1));
    assert_int_equal(after.count.spent, 1);
    assert_int_equal(after.count.ends_wall_ns, date(2026, 6, 5));
}

static void a_clock_that_was_ahead_forgets_nothing(void **state) {
    (void)state;
    struct wr_budget budget;
    wr_budget_init(&budget, WR_BUDGET_MONTH, 1000, 1);
    spend_at(&budget, 10, date(2038, 1, 19));
    spend_at(&budget, 5, date(2026, 5, 5));
    assert_int_equal(budget.count.spent, 15);
    assert_int_equal(budget.count.ends_wall_ns, date(2026, 6, 1));
    spend_at(&budget, 1, date(2026, 6, 1)); /* and is not held up for twelve years */
    assert_int_equal(budget.count.spent, 1);
}

static void without_a_clock_running_time_ends_a_period(void **state) {
    (void)state;
    struct wr_budget budget;
    struct wr_now now = {.boot_ns = WR_NS_PER_S, .wall_ns = WR_NS_PER_S};
    wr_budget_init(&budget, WR_BUDGET_DAY, 1000, 1);
    wr_budget_spend(&budget, 1000, &now);
    assert_int_equal(budget.level, WR_BUDGET_SPENT);
    now.boot_ns += DAY_NS / 2;
    wr_budget_look(&budget, &now);
    struct wr_budget next; /* restarted: the time that was counted goes on */
    wr_budget_init(&next, WR_BUDGET_DAY, 1000, 1);
    wr_budget_restore(&next, &budget.count);
    now.boot_ns = 10 * WR_NS_PER_S;
    wr_budget_look(&next, &now);
    assert_int_equal(next.level, WR_BUDGET_SPENT);
    now.boot_ns += DAY_NS / 2 - 1;
    wr_budget_look(&next, &now);
    assert_int_equal(next.count.spent, 1000);
    assert_int_equal(wr_budget_next_look_ns(&next), now.boot_ns + WR_NS_PER_MS);
    now.boot_ns += 1;
    wr_budget_look(&next, &now);
    assert_int_equal(next.count.spent, 0);
    assert_int_equal(next.level, WR_BUDGET_FREE);
}

/* A boot in 1970 rolls nothing over; what it spent is of the month that it turns out to be in. */
static void a_boot_in_1970_keeps_the_count(void **state) {
    (void)state;
    struct wr_budget may;
    wr_budget_init(&may, WR_BUDGET_MONTH, 1000, 1);
    spend_at(&may, 600, date(2026, 5, 20));
    struct wr_budget next;
    struct wr_now now = {.boot_ns = WR_NS_PER_S, .wall_ns = WR_NS_PER_S};
    wr_budget_init(&next, WR_BUDGET_MONTH, 1000, 1);
    wr_budget_spend(&next, 7, &now);
    wr_budget_restore(&next, &may.count);
    assert_int_equal(next.count.spent, 607);
    wr_budget_spend(&next, 3, &now);
    struct wr_budget other = next;
    now = (struct wr_now){.boot_ns = 60 * WR_NS_PER_S, .wall_ns = date(2026, 5, 21), .wall_trusted = true};
    wr_budget_look(&other, &now);
    assert_int_equal(other.count.spent, 610);
    now.wall_ns = date(2026, 6, 2);
    wr_budget_look(&next, &now);
    assert_int_equal(next.count.spent, 10);
    assert_int_equal(next.count.begins_wall_ns, date(2026, 6, 1));
}

static void what_makes_no_sense_is_not_restored(void **state) {
    (void)state;
    const struct wr_budget_count bad[] = {
        {.spent = 5, .counted_ns = -1},
        {.spent = 5, .begins_wall_ns = 10},
        {.spent = 5, .begins_wall_ns = 10, .ends_wall_ns = 10},
        {.spent = 5, .begins_wall_ns = INT64_MIN, .ends_wall_ns = INT64_MAX},
        {.spent = 5, .begins_wall_ns = DAY_NS, .ends_wall_ns = 100 * DAY_NS},
        {.spent = 5, .begins_wall_ns = date(2026, 4, 1), .ends_wall_ns = date(2026, 5, 1)}, /* over */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wr_budget budget;
        wr_budget_init(&budget, WR_BUDGET_MONTH, 1000, 1);
        spend_at(&budget, 10, date(2026, 5, 5));
        wr_budget_restore(&budget, &bad[i]);
        assert_int_equal(budget.count.spent, 10);
        assert_true(wr_budget_is_valid(&budget));
    }
    struct wr_budget full;
    wr_budget_init(&full, WR_BUDGET_MONTH, 1000, 1);
    spend_at(&full, UINT64_MAX, date(2026, 5, 5));
    wr_budget_restore(&full, &(struct wr_budget_count){.spent = UINT64_MAX, .counted_ns = INT64_MAX});
    assert_int_equal(full.count.spent, UINT64_MAX);
    assert_int_equal(full.level, WR_BUDGET_SPENT);
}

static void levels_come_and_go_by_what_an_even_use_would_have_left(void **state) {
    (void)state;
    struct wr_budget budget;
    const int64_t day = date(2026, 5, 5);
    wr_budget_init(&budget, WR_BUDGET_DAY, 1000000, 1);
    spend_at(&budget, 499000, day);
    assert_int_equal(budget.level, WR_BUDGET_FREE);
    spend_at(&budget, 2000, day);
    assert_int_equal(budget.level, WR_BUDGET_SPARING);
    spend_at(&budget, 250000, day);
    assert_int_equal(budget.level, WR_BUDGET_SLOW);
    assert_int_equal(wr_budget_even_bytes_per_s(&budget), 249000 / 86400);
    spend_at(&budget, 200000, day);
    assert_int_equal(budget.level, WR_BUDGET_SPENT);        /* 49 000 left */
    spend_at(&budget, 0, day + 12 * HOUR_NS - WR_NS_PER_S); /* 98 000 to the whole */
    assert_int_equal(budget.level, WR_BUDGET_SPENT);
    spend_at(&budget, 0, day + 13 * HOUR_NS);
    assert_int_equal(budget.level, WR_BUDGET_SLOW);
    spend_at(&budget, 0, day + 21 * HOUR_NS); /* 49 000 in an eighth of the day: 0.39 */
    assert_int_equal(budget.level, WR_BUDGET_SPARING);
    spend_at(&budget, 0, day + 23 * HOUR_NS);
    assert_int_equal(budget.level, WR_BUDGET_FREE);
    assert_int_equal(wr_budget_next_look_ns(&budget), budget.looked_boot_ns + WR_BUDGET_LOOK_NS);
    spend_at(&budget, 49000, day + 24 * HOUR_NS - WR_NS_PER_S);
    assert_int_equal(budget.level, WR_BUDGET_SPENT); /* nothing is nothing, to the last second */
    assert_int_equal(wr_budget_next_look_ns(&budget), budget.looked_boot_ns + WR_NS_PER_S);
    assert_int_equal(wr_budget_even_bytes_per_s(&budget), 1);
}

static void without_a_limit_it_is_counted(void **state) {
    (void)state;
    struct wr_budget budget;
    wr_budget_init(&budget, WR_BUDGET_DAY, 0, 1);
    spend_at(&budget, 123456, date(2026, 5, 5));
    assert_int_equal(budget.count.spent, 123456);
    assert_int_equal(budget.level, WR_BUDGET_FREE);
    assert_int_equal(wr_budget_left(&budget), 0);
}

static void wild_clocks_do_no_harm(void **state) {
    (void)state;
    static const int64_t walls[] = {INT64_MIN, INT64_MIN + 1, -DAY_NS, -1, 0, 1, INT64_MAX - 40 * DAY_NS, INT64_MAX};
    for (int period = 0; period < WR_BUDGET_PERIODS; period++) {
        struct wr_budget budget;
        wr_budget_init(&budget, (enum wr_budget_period)period, 1000, 28);
        for (size_t i = 0; i < 2 * sizeof walls / sizeof walls[0]; i++) {
            const struct wr_now now = {
                .boot_ns = (int64_t)i, .wall_ns = walls[i * 5 % (sizeof walls / sizeof walls[0])], .wall_trusted = i % 3 != 0};
            wr_budget_spend(&budget, 1, &now);
            assert_true(wr_budget_next_look_ns(&budget) > now.boot_ns);
            assert_true(budget.level < WR_BUDGET_LEVELS);
        }
    }
}

static void names_are_words(void **state) {
    (void)state;
    assert_string_equal(wr_budget_level_name(WR_BUDGET_SPARING), "sparing");
    assert_string_equal(wr_budget_level_name(WR_BUDGET_LEVELS), "unknown");
    assert_string_equal(wr_budget_period_name(WR_BUDGET_DAY), "day");
    assert_string_equal(wr_budget_period_name(WR_BUDGET_MONTH), "month");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(months_begin_where_the_bill_does),
        cmocka_unit_test(a_period_ends_to_the_nanosecond),
        cmocka_unit_test(another_first_day_waits_for_the_end),
        cmocka_unit_test(a_clock_that_was_ahead_forgets_nothing),
        cmocka_unit_test(without_a_clock_running_time_ends_a_period),
        cmocka_unit_test(a_boot_in_1970_keeps_the_count),
        cmocka_unit_test(what_makes_no_sense_is_not_restored),
        cmocka_unit_test(levels_come_and_go_by_what_an_even_use_would_have_left),
        cmocka_unit_test(without_a_limit_it_is_counted),
        cmocka_unit_test(wild_clocks_do_no_harm),
        cmocka_unit_test(names_are_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
