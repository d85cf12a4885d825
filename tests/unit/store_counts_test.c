/* Counts of budgets in the store: when they are on disk, at which price, and what they outlive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/store_fixture.h"

static int setup(void **state) {
    (void)store_fixture_setup(state);
    struct store_fixture *fixture = *state;
    fixture->options.max_loss_ns = 10 * WR_NS_PER_S;
    return 0;
}

static void put(struct store_fixture *fixture, unsigned place, uint64_t spent, bool urgent) {
    const struct wr_budget_count count = {
        .spent = spent, .begins_wall_ns = -5 - (int64_t)place, .ends_wall_ns = INT64_MAX - place, .counted_ns = 77 + place};
    wr_store_count_put(fixture->store, place, &count, urgent, &fixture->now);
}

static uint64_t spent(const struct store_fixture *fixture, unsigned place) {
    const struct wr_budget_count count = wr_store_count(fixture->store, place);
    if (count.spent > 0) {
        assert_int_equal(count.begins_wall_ns, -5 - (int64_t)place);
        assert_int_equal(count.ends_wall_ns, INT64_MAX - place);
        assert_int_equal(count.counted_ns, 77 + place);
    }
    return count.spent;
}

static void crash(struct store_fixture *fixture) {
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    store_fixture_must(fixture, store_fixture_open(fixture));
}

static uint64_t commits(const struct store_fixture *fixture) {
    return atomic_load(&wr_store_stats(fixture->store)->commits);
}

/* Ticks each second, as the loop would. */
static void pass(struct store_fixture *fixture, int64_t seconds) {
    for (int64_t s = 0; s < seconds; s++) {
        store_fixture_advance(fixture, WR_NS_PER_S);
        if (wr_store_due(fixture->store) <= fixture->now.boot_ns)
            store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    }
}

static void a_clean_stop_keeps_them(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (unsigned place = 0; place < WR_STORE_COUNTS; place++) {
        assert_int_equal(spent(fixture, place), 0);
        put(fixture, place, UINT64_MAX - place, false);
    }
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (unsigned place = 0; place < WR_STORE_COUNTS; place++)
        assert_true(spent(fixture, place) == UINT64_MAX - place);
}

static void a_crash_forgets_a_minute(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    put(fixture, 1, 100, false);
    const uint64_t before = commits(fixture);
    pass(fixture, 59);
    assert_int_equal(commits(fixture), before);
    pass(fixture, 1);
    assert_int_equal(commits(fixture), before + 1);
    assert_int_equal(wr_store_due(fixture->store), WR_NEVER_NS); /* once */
    put(fixture, 1, 200, false);
    pass(fixture, 30);
    crash(fixture);
    assert_int_equal(spent(fixture, 1), 100);
}

static void what_is_urgent_is_there_within_a_second(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    put(fixture, 0, 100, false);
    put(fixture, 0, 300, true);
    put(fixture, 0, 310, false); /* what comes behind goes along */
    pass(fixture, 1);
    crash(fixture);
    assert_int_equal(spent(fixture, 0), 310);
}

/* Where there are commits anyway, they take it along: none is made for it. */
static void others_take_it_along(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    const uint64_t before = commits(fixture);
    for (unsigned i = 1; i <= 12; i++) {
        put(fixture, 0, 1000 + i, false);
        store_fixture_fill(fixture, 1, 5, 1);
        store_fixture_take(fixture);
        pass(fixture, 10);
        assert_int_equal(commits(fixture), before + i);
    }
    crash(fixture);
    assert_in_range(spent(fixture, 0), 1000 + 12 - 4, 1000 + 12); /* half a minute old at most, and the commit's interval */
}

static void a_store_that_breaks_hands_them_on(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.max_loss_ns = WR_NS_PER_S;
    store_fixture_must(fixture, store_fixture_open(fixture));
    const uint64_t epoch = wr_store_epoch(fixture->store);
    put(fixture, 1, 4711, false);
    for (int i = 0; i < 300; i++)
        store_fixture_segment(fixture, 1, 200, 10);
    store_fixture_close(fixture);
    store_fixture_forget_wal(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_scribble(fixture, 4096, 2 << 20);
    for (int i = 0; i < 400 && wr_store_epoch(fixture->store) == epoch; i++)
        store_fixture_segment(fixture, 1, 200, 10);
    assert_true(wr_store_epoch(fixture->store) != epoch);
    assert_int_equal(spent(fixture, 1), 4711);
    crash(fixture); /* it stands in the fresh one since it was made */
    assert_int_equal(spent(fixture, 1), 4711);
}

static void one_that_cannot_be_read_begins_anew(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    put(fixture, 1, 4711, false);
    store_fixture_close(fixture);
    store_fixture_forget_wal(fixture);
    store_fixture_scribble(fixture, 0, 4096);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.quarantined);
    assert_int_equal(spent(fixture, 1), 0);
    put(fixture, 1, 5, true);
    pass(fixture, 1);
    crash(fixture);
    assert_int_equal(spent(fixture, 1), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_clean_stop_keeps_them, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_crash_forgets_a_minute, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_urgent_is_there_within_a_second, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(others_take_it_along, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_store_that_breaks_hands_them_on, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_read_begins_anew, setup, store_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
