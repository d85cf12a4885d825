/* A broker that takes alarms and forbids gap records and ledger records, or the other way round, for weeks: what it takes is acknowledged once, and what it does not is
 * told when it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/records.h"
#include "tests/support/store_fixture.h"

#define HOURS 300
#define HOUR_NS (3600 * WR_NS_PER_S)

static struct store_fixture fixture;

static void must(enum wr_result result) {
    store_fixture_must(&fixture, result);
}

static int setup(void **state) {
    (void)state;
    store_fixture_init(&fixture);
    fixture.options.ledger_every_ns = HOUR_NS;
    must(store_fixture_open(&fixture));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_fixture_fini(&fixture);
    return 0;
}

/* As the store's loop does: a turn whenever one is due. Returns how many. */
static unsigned pass(int64_t ns) {
    const int64_t until = fixture.now.boot_ns + ns;
    unsigned turns = 0;
    for (int64_t due = wr_store_due(fixture.store); due <= until; due = wr_store_due(fixture.store), turns++) {
        store_fixture_advance(&fixture, due > fixture.now.boot_ns ? due - fixture.now.boot_ns : 0);
        must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
        assert_true(turns < 1000);
    }
    store_fixture_advance(&fixture, until - fixture.now.boot_ns);
    return turns;
}

/* An alarm, and a loss: an hour's work. */
static void work(void) {
    const struct wr_alarm_entry entry = {.alarm = {.id = 1, .transition = 1, .rule = "hot"}};
    uint32_t taken;
    must(wr_store_alarms(fixture.store, &entry, 1, &fixture.now, &taken, &fixture.err));
    wr_store_book(fixture.store, 1, WR_BOOK_TAKEN, 2);
    wr_store_book(fixture.store, 1, WR_BOOK_DROPPED_LATE, 2);
    (void)pass(HOUR_NS);
}

/* Everything that waits in the lane is sent; the broker takes what is of this kind. Returns how many it took. */
static unsigned deliver(enum wr_segment_kind takes) {
    struct wr_segment segment;
    int64_t after = 0;
    unsigned n = 0;
    while (wr_store_next(fixture.store, WR_LANE_ALARMS, after, INT64_MAX, &fixture.now, &segment, &fixture.err) == WR_OK) {
        after = segment.seq;
        const bool taken = segment.kind == takes;
        wr_segment_free(&segment);
        must(wr_store_offer(fixture.store, WR_LANE_ALARMS, after, &fixture.now, &fixture.err));
        if (taken)
            must(wr_store_ack(fixture.store, WR_LANE_ALARMS, after, after, &fixture.now, &fixture.err));
        n += taken;
    }
    return n;
}

static uint64_t waiting(void) {
    return atomic_load(&wr_store_stats(fixture.store)->unacked_segments[WR_LANE_ALARMS]);
}

/* All of it, in the end: as much as was lost. */
static void is_told(void) {
    struct store_told told = {0};
    store_fixture_read_gaps(&fixture, &told);
    const unsigned before = told.records;
    (void)deliver(WR_SEGMENT_GAPS);
    (void)deliver(WR_SEGMENT_ALARMS);
    assert_int_equal(waiting(), 0);
    (void)pass(2 * HOUR_NS);
    store_fixture_read_gaps(&fixture, &told);
    assert_true(told.records > before);
    assert_int_equal(told.total, store_fixture_balance(&fixture, 1).books[WR_BOOK_DROPPED_LATE]);
}

static void alarms_pass(void **state) {
    (void)state;
    unsigned turns = 0;
    for (int hour = 0; hour < HOURS; hour++) {
        work();
        assert_int_equal(deliver(WR_SEGMENT_ALARMS), 1); /* none comes again */
        if (hour % 100 == 50) {
            store_fixture_close(&fixture);
            must(store_fixture_open(&fixture));
        }
        if (hour == HOURS - 1)
            turns = pass(HOUR_NS);
    }
    assert_true(waiting() >= WR_RECORDS_PAUSE_RANGES && waiting() < 2 * WR_RECORDS_PAUSE_RANGES + 8);
    assert_true(turns < 20); /* what pauses is not due all the time */
    is_told();
}

static void records_pass(void **state) {
    (void)state;
    unsigned n = 0;
    for (int hour = 0; hour < HOURS; hour++) {
        work();
        n += deliver(WR_SEGMENT_GAPS);
    }
    assert_true(n >= WR_RECORDS_PAUSE_RANGES && n < 3 * WR_RECORDS_PAUSE_RANGES);
    assert_int_equal(waiting(), HOURS);
    struct store_told told = {0};
    store_fixture_read_gaps(&fixture, &told);
    assert_int_equal(deliver(WR_SEGMENT_ALARMS), HOURS);
    (void)pass(2 * HOUR_NS);
    store_fixture_read_gaps(&fixture, &told);
    assert_int_equal(told.total, store_fixture_balance(&fixture, 1).books[WR_BOOK_DROPPED_LATE]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(alarms_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(records_pass, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
