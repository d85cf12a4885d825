/* Gap records: every loss that the books know is told upstream, once, with its time, its accounts and its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/failing.h"
#include "tests/support/store_fixture.h"

static void pass(struct store_fixture *fixture, int64_t seconds) {
    for (int64_t s = 0; s < seconds; s++) {
        store_fixture_advance(fixture, WR_NS_PER_S);
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    }
}

/* Fills the store until unsent segments have to go. */
static void evict(struct store_fixture *fixture) {
    const uint64_t before = atomic_load(&wr_store_stats(fixture->store)->evicted_readings);
    while (atomic_load(&wr_store_stats(fixture->store)->evicted_readings) == before) {
        store_fixture_fill(fixture, 1, 256, 3);
        store_fixture_take(fixture);
    }
}

static uint64_t evicted(struct store_fixture *fixture) {
    return store_fixture_balance(fixture, 1).books[WR_BOOK_DROPPED_EVICTED];
}

static void what_is_evicted_is_told_once(void **state) {
    struct store_fixture *fixture = *state;
    struct store_told told = {0};
    store_fixture_must(fixture, store_fixture_open(fixture));
    evict(fixture);
    store_fixture_read_gaps(fixture, &told);
    assert_int_equal(told.records, 0); /* others may follow */
    pass(fixture, 61);
    store_fixture_read_gaps(fixture, &told);
    assert_int_equal(told.records, 1);
    assert_string_equal(told.reason, "evicted");
    assert_int_equal(told.readings, evicted(fixture));
    assert_int_equal(told.total, evicted(fixture));
    assert_false(told.at_least);
    const struct wr_aggregate first = store_fixture_aggregate(0, 3);
    assert_int_equal(told.from_ns, first.start_ns); /* of the readings, not of the eviction */
    assert_true(told.to_ns > told.from_ns && told.to_ns <= first.start_ns + 32 * first.window_ns);
    pass(fixture, 4000);
    store_fixture_read_gaps(fixture, &told);
    assert_int_equal(told.records, 1);
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    pass(fixture, 4000);
    evict(fixture);
    store_fixture_close(fixture); /* a clean stop does not wait */
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_read_gaps(fixture, &told);
    assert_true(told.records >= 2);
    assert_int_equal(told.readings, evicted(fixture));
    assert_int_equal(told.total, evicted(fixture));
}

static void what_a_crash_hides_is_told_after_it(void **state) {
    struct store_fixture *fixture = *state;
    struct store_told told = {0};
    store_fixture_must(fixture, store_fixture_open(fixture));
    evict(fixture);
    store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    evict(fixture); /* and this one no record tells before the crash */
    pass(fixture, 2);
    store_fixture_abandon(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    pass(fixture, 61);
    store_fixture_read_gaps(fixture, &told);
    assert_true(told.records >= 2);
    assert_int_equal(told.readings, evicted(fixture));
    assert_int_equal(told.total, evicted(fixture));
}

static void a_crash_is_told(void **state) {
    struct store_fixture *fixture = *state;
    struct store_told told = {0};
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_segment(fixture, 1, 10, 10);
    wr_store_book(fixture->store, 2, WR_BOOK_RECEIVED, 9); /* that many more than were taken */
    store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    const int64_t committed_ns = fixture->now.wall_ns;
    store_fixture_abandon(fixture);
    store_fixture_advance(fixture, 100 * WR_NS_PER_S);
    store_fixture_must(fixture, store_fixture_open(fixture));
    pass(fixture, 61);
    store_fixture_read_gaps(fixture, &told);
    assert_int_equal(told.records, 1);
    assert_string_equal(told.reason, "crash");
    assert_int_equal(told.readings, 9);
    assert_true(told.at_least);
    assert_int_equal(told.from_ns, committed_ns);
    assert_int_equal(told.to_ns, committed_ns + 100 * WR_NS_PER_S);
}

static void a_long_loss_is_some_records(void **state) {
    struct store_fixture *fixture = *state;
    struct store_told told = {0};
    store_fixture_must(fixture, store_fixture_open(fixture));
    evict(fixture);
    for (int minute = 0; minute < 6 * 60; minute++) {
        for (int i = 0; i < 4; i++) {
            store_fixture_fill(fixture, 1, 256, 3);
            store_fixture_take(fixture);
        }
        pass(fixture, 2);
        store_fixture_advance(fixture, 58 * WR_NS_PER_S);
    }
    pass(fixture, 3601);
    store_fixture_read_gaps(fixture, &told);
    assert_in_range(told.records, 7, 14); /* each after twice the wait of the last, up to an hour */
    assert_int_equal(told.readings, evicted(fixture));
    assert_int_equal(told.total, evicted(fixture));
}

/* The books are kept in memory; what was told of them goes into the fresh store too. */
static void a_broken_store_is_told_in_the_next(void **state) {
    struct store_fixture *fixture = *state;
    struct store_told told = {0};
    store_fixture_must(fixture, store_fixture_open(fixture));
    evict(fixture);
    store_fixture_close(fixture);
    store_fixture_forget_wal(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_read_gaps(fixture, &told);
    const uint64_t before = told.readings;
    assert_int_equal(before, evicted(fixture));
    const uint64_t epoch = wr_store_epoch(fixture->store);
    store_fixture_scribble(fixture, 4096, 2 << 20);
    while (wr_store_epoch(fixture->store) == epoch) {
        store_fixture_fill(fixture, 1, 256, 3);
        store_fixture_take(fixture);
    }
    const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    pass(fixture, 61);
    told = (struct store_told){0};
    store_fixture_read_gaps(fixture, &told);
    assert_string_equal(told.reason, "store");
    assert_true(told.readings >= balance.books[WR_BOOK_DROPPED_STORE] && balance.books[WR_BOOK_DROPPED_STORE] > 0);
    assert_int_equal(told.readings, balance.books[WR_BOOK_DROPPED_STORE] + evicted(fixture) - before);
}

static void no_memory_tells_later(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    long n = 0;
    for (;; n++) {
        wr_store_book(fixture->store, 1, WR_BOOK_TAKEN, 1);
        wr_store_book(fixture->store, 1, WR_BOOK_DROPPED_LATE, 1);
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
        wr_failing_allocations(n);
        const enum wr_result result = wr_store_flush(fixture->store, &fixture->now, &fixture->err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
        store_fixture_advance(fixture, 2 * WR_NS_PER_S);
    }
    assert_true(n > 0);
    struct store_told told = {0};
    store_fixture_read_gaps(fixture, &told);
    assert_string_equal(told.reason, "late");
    assert_int_equal(told.readings, store_fixture_balance(fixture, 1).books[WR_BOOK_DROPPED_LATE]);
    assert_int_equal(told.readings, n + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_evicted_is_told_once, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(what_a_crash_hides_is_told_after_it, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_crash_is_told, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_long_loss_is_some_records, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_broken_store_is_told_in_the_next, store_fixture_setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(no_memory_tells_later, store_fixture_setup, store_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
