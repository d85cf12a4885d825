/* Quotas and times to live of lanes: what goes, what stays, and by which clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/keep.h"
#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define HOUR_NS (3600 * WR_NS_PER_S)
#define DAY_NS (24 * HOUR_NS)
#define QUOTA 600000
#define RECORDS 64
#define READINGS (RECORDS * 2)
#define CHANGES 0 /* accounts of the fixture */
#define WINDOWS 1

static struct wr_random dice = {.state = 7};

static int setup(void **state) {
    (void)store_fixture_setup(state);
    struct store_fixture *fixture = *state;
    fixture->options.budget_bytes = 16 << 20;
    memset(fixture->options.boot_id, 1, sizeof fixture->options.boot_id);
    return 0;
}

static void open_store(struct store_fixture *fixture) {
    fixture->store = NULL;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_false(fixture->report.quarantined);
}

/* The machine starts again: its boot time begins anew, its wall clock is set to what it is told. */
static void reboot(struct store_fixture *fixture, uint8_t boot, int64_t wall_ns, bool trusted) {
    store_fixture_close(fixture);
    memset(fixture->options.boot_id, boot, sizeof fixture->options.boot_id);
    fixture->now = (struct wr_now){.boot_ns = 10 * WR_NS_PER_S, .wall_ns = wall_ns, .wall_trusted = trusted};
    open_store(fixture);
}

/* One segment whose body is some kilobytes. */
static int64_t put(struct store_fixture *fixture, uint32_t account) {
    store_fixture_fill(fixture, account, RECORDS, 2);
    store_fixture_noise(fixture, 0, &dice);
    store_fixture_take(fixture);
    store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    return wr_store_newest(fixture->store, account == CHANGES ? WR_LANE_CHANGES : WR_LANE_WINDOWS);
}

static void put_many(struct store_fixture *fixture, uint32_t account, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        (void)put(fixture, account);
}

static void put_alarm(struct store_fixture *fixture) {
    const struct wr_alarm_entry entry = {.alarm = {.id = 1, .transition = 1, .rule = "hot"}};
    uint32_t taken;
    store_fixture_must(fixture, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err));
    store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
}

/* Time goes on; the store has its turn whenever it wants one. Returns how many turns. */
static unsigned pass(struct store_fixture *fixture, int64_t ns) {
    const int64_t until = fixture->now.boot_ns + ns;
    unsigned turns = 0;
    for (int64_t due; (due = wr_store_due(fixture->store)) <= until; turns++) {
        assert_true(turns < 100000);
        if (due > fixture->now.boot_ns)
            store_fixture_advance(fixture, due - fixture->now.boot_ns);
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    }
    store_fixture_advance(fixture, until - fixture->now.boot_ns);
    return turns;
}

static const struct wr_store_stats *stats_of(const struct store_fixture *fixture) {
    return wr_store_stats(fixture->store);
}

static uint64_t waiting(const struct store_fixture *fixture, enum wr_lane lane) {
    return atomic_load(&stats_of(fixture)->unacked_segments[lane]);
}

static uint64_t book(struct store_fixture *fixture, uint32_t account, enum wr_book which) {
    return store_fixture_balance(fixture, account).books[which];
}

static void acknowledge_up_to(struct store_fixture *fixture, enum wr_lane lane, int64_t last) {
    store_fixture_must(fixture, wr_store_ack(fixture->store, lane, 1, last, &fixture->now, &fixture->err));
    store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
}

/* As the uplink: it has the oldest segment of the lane, and has published it. */
static int64_t publish(struct store_fixture *fixture, enum wr_lane lane, int64_t after) {
    struct wr_segment segment;
    store_fixture_must(fixture, wr_store_next(fixture->store, lane, after, INT64_MAX, &fixture->now, &segment, &fixture->err));
    const int64_t seq = segment.seq;
    wr_segment_free(&segment);
    store_fixture_must(fixture, wr_store_offer(fixture->store, lane, seq, &fixture->now, &fixture->err));
    return seq;
}

static bool is_there(struct store_fixture *fixture, int64_t seq) {
    struct wr_segment segment;
    const enum wr_result result = wr_store_get(fixture->store, seq, &segment, &fixture->err);
    if (result == WR_OK)
        wr_segment_free(&segment);
    return result == WR_OK;
}

/* -- quotas ------------------------------------------------------------------------------------------------------------------------------ */

static void a_lane_over_its_quota_makes_room_in_itself(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].quota_bytes = QUOTA;
    open_store(fixture);
    put_many(fixture, CHANGES, 40);
    for (int i = 0; i < 300; i++) {
        (void)put(fixture, WINDOWS);
        assert_true(atomic_load(&stats_of(fixture)->lane_bytes[WR_LANE_WINDOWS]) <= QUOTA);
    }
    assert_true(atomic_load(&stats_of(fixture)->lane_bytes[WR_LANE_WINDOWS]) > QUOTA * 8 / 10);
    assert_int_equal(waiting(fixture, WR_LANE_CHANGES), 40);
    assert_int_equal(book(fixture, CHANGES, WR_BOOK_DROPPED_EVICTED), 0);
    const uint64_t lost = (300 - waiting(fixture, WR_LANE_WINDOWS)) * READINGS;
    assert_true(lost > 0);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EVICTED), lost);
    assert_int_equal(atomic_load(&stats_of(fixture)->evicted_readings), lost);
    assert_true(atomic_load(&stats_of(fixture)->free_bytes) > 8 << 20); /* the store as a whole has room */
    struct store_told told = {0};
    (void)pass(fixture, 2 * HOUR_NS);
    store_fixture_read_gaps(fixture, &told);
    assert_string_equal(told.reason, "evicted");
    assert_int_equal(told.readings, lost);
}

/* What windows may take counts as the store does: they are longer before some are lost. */
static void the_pressure_rises_with_the_quota_of_windows(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_CHANGES].quota_bytes = QUOTA;
    fixture->options.lanes[WR_LANE_WINDOWS].quota_bytes = QUOTA;
    open_store(fixture);
    put_many(fixture, CHANGES, 300);
    assert_int_equal(atomic_load(&stats_of(fixture)->high_water), 0);
    while (atomic_load(&stats_of(fixture)->high_water) == 0)
        (void)put(fixture, WINDOWS);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EVICTED), 0);
    assert_true(atomic_load(&stats_of(fixture)->lane_bytes[WR_LANE_WINDOWS]) > QUOTA * 7 / 10);
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, wr_store_newest(fixture->store, WR_LANE_WINDOWS));
    assert_int_equal(atomic_load(&stats_of(fixture)->high_water), 0);
}

static void its_history_goes_first(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].quota_bytes = QUOTA;
    open_store(fixture);
    put_many(fixture, WINDOWS, 60);
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, wr_store_newest(fixture->store, WR_LANE_WINDOWS));
    const int64_t first = put(fixture, WINDOWS);
    while (atomic_load(&stats_of(fixture)->history_segments) > 2) {
        (void)put(fixture, WINDOWS);
        assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EVICTED), 0);
    }
    assert_true(is_there(fixture, first));
    put_many(fixture, WINDOWS, 20);
    assert_int_equal(atomic_load(&stats_of(fixture)->history_segments), 0);
    assert_true(book(fixture, WINDOWS, WR_BOOK_DROPPED_EVICTED) > 0);
    assert_false(is_there(fixture, first));
}

/* A quota that is new, or was lowered: the history of former runs is counted, and what is too much goes in pieces. */
static void what_former_runs_kept_is_counted(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    put_many(fixture, WINDOWS, 350);
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, wr_store_newest(fixture->store, WR_LANE_WINDOWS) - 10);
    put_many(fixture, CHANGES, 5);
    acknowledge_up_to(fixture, WR_LANE_CHANGES, wr_store_newest(fixture->store, WR_LANE_CHANGES));
    store_fixture_close(fixture);
    fixture->options.lanes[WR_LANE_WINDOWS].quota_bytes = QUOTA;
    open_store(fixture);
    assert_int_equal(atomic_load(&stats_of(fixture)->lane_bytes[WR_LANE_WINDOWS]), 0);
    assert_int_equal(wr_store_due(fixture->store), 0);
    uint64_t before = atomic_load(&stats_of(fixture)->history_segments);
    unsigned pieces = 0;
    for (; wr_store_due(fixture->store) <= fixture->now.boot_ns; pieces++) {
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
        const uint64_t now = atomic_load(&stats_of(fixture)->history_segments);
        assert_true(before - now <= WR_KEEP_ROWS);
        before = now;
    }
    assert_true(pieces >= 6 && pieces < 30);
    assert_true(atomic_load(&stats_of(fixture)->lane_bytes[WR_LANE_WINDOWS]) <= QUOTA);
    assert_true(atomic_load(&stats_of(fixture)->lane_bytes[WR_LANE_WINDOWS]) > QUOTA * 8 / 10);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EVICTED), 0);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 10);
    assert_true(is_there(fixture, wr_store_newest(fixture->store, WR_LANE_CHANGES) - 4));
}

/* Acknowledged while the count is under way: counted once, in whichever part of the lane. */
static void acknowledgements_while_it_counts_are_counted_once(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    put_many(fixture, WINDOWS, 200);
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, 3);
    store_fixture_close(fixture);
    fixture->options.lanes[WR_LANE_WINDOWS].quota_bytes = 4 << 20; /* never reached */
    open_store(fixture);
    store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err)); /* 64 of them */
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, 150);
    (void)put(fixture, WINDOWS);
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, wr_store_newest(fixture->store, WR_LANE_WINDOWS));
    (void)pass(fixture, WR_NS_PER_S);
    uint64_t bytes = 0;
    for (int64_t seq = 1; seq <= wr_store_newest(fixture->store, WR_LANE_WINDOWS); seq++) {
        struct wr_segment segment;
        store_fixture_must(fixture, wr_store_get(fixture->store, seq, &segment, &fixture->err));
        bytes += segment.body_len + WR_KEEP_SEGMENT_BYTES;
        wr_segment_free(&segment);
    }
    assert_int_equal(atomic_load(&stats_of(fixture)->lane_bytes[WR_LANE_WINDOWS]), bytes);
}

static void what_is_in_flight_is_spared(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].quota_bytes = QUOTA;
    open_store(fixture);
    put_many(fixture, WINDOWS, 20);
    const int64_t first = publish(fixture, WR_LANE_WINDOWS, 0);
    const int64_t second = publish(fixture, WR_LANE_WINDOWS, first);
    put_many(fixture, WINDOWS, 300);
    assert_true(is_there(fixture, first) && is_there(fixture, second));
    assert_false(is_there(fixture, second + 1));
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, second);
    put_many(fixture, WINDOWS, 20);
    assert_false(is_there(fixture, first) || is_there(fixture, second));
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DELIVERED), 2 * READINGS);
}

/* All of the lane is in flight: it is over its quota meanwhile, and nobody turns in circles. */
static void a_lane_that_is_all_in_flight_waits(void **state) {
    struct store_fixture *fixture = *state;
    open_store(fixture);
    put_many(fixture, WINDOWS, 200);
    store_fixture_close(fixture);
    fixture->options.lanes[WR_LANE_WINDOWS].quota_bytes = QUOTA;
    open_store(fixture);
    int64_t seq = 0;
    for (int i = 0; i < 200; i++)
        seq = publish(fixture, WR_LANE_WINDOWS, seq);
    const unsigned turns = pass(fixture, 100 * WR_NS_PER_S);
    assert_true(turns < 20);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 200);
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, seq);
    (void)pass(fixture, 20 * WR_NS_PER_S);
    assert_true(atomic_load(&stats_of(fixture)->lane_bytes[WR_LANE_WINDOWS]) <= QUOTA);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EVICTED), 0);
}

/* -- times to live ------------------------------------------------------------------------------------------------------------------------ */

static void what_is_too_old_goes_and_is_told(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = DAY_NS;
    open_store(fixture);
    put_many(fixture, WINDOWS, 3);
    (void)put(fixture, CHANGES);
    (void)pass(fixture, DAY_NS - HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 3);
    const int64_t young = put(fixture, WINDOWS);
    (void)pass(fixture, 2 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 1);
    assert_true(is_there(fixture, young));
    assert_int_equal(waiting(fixture, WR_LANE_CHANGES), 1);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EXPIRED), 3 * READINGS);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EVICTED), 0);
    assert_int_equal(atomic_load(&stats_of(fixture)->expired_segments), 3);
    assert_int_equal(atomic_load(&stats_of(fixture)->expired_readings), 3 * READINGS);
    assert_int_equal(atomic_load(&stats_of(fixture)->evicted_segments), 0);
    struct store_told told = {0};
    store_fixture_read_gaps(fixture, &told);
    assert_string_equal(told.reason, "expired");
    assert_int_equal(told.readings, 3 * READINGS);
}

static void history_that_is_too_old_is_only_deleted(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = DAY_NS;
    open_store(fixture);
    put_many(fixture, WINDOWS, 5);
    int64_t seq = 0;
    for (int i = 0; i < 4; i++)
        seq = publish(fixture, WR_LANE_WINDOWS, seq); /* what was handed out last counts as in flight no longer once it is acknowledged */
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, seq);
    (void)pass(fixture, DAY_NS + HOUR_NS);
    assert_int_equal(atomic_load(&stats_of(fixture)->history_segments), 0);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 0);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DELIVERED), 4 * READINGS);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EXPIRED), READINGS);
    assert_int_equal(atomic_load(&stats_of(fixture)->expired_segments), 5);
}

static void in_flight_it_may_be_too_old(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = DAY_NS;
    open_store(fixture);
    put_many(fixture, WINDOWS, 3);
    const int64_t out = publish(fixture, WR_LANE_WINDOWS, 0);
    const unsigned turns = pass(fixture, DAY_NS + HOUR_NS);
    assert_true(turns < 1000);
    assert_true(is_there(fixture, out));
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 1);
    acknowledge_up_to(fixture, WR_LANE_WINDOWS, out);
    (void)pass(fixture, HOUR_NS);
    assert_false(is_there(fixture, out));
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DELIVERED), READINGS);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EXPIRED), 2 * READINGS);
}

/* Much at once goes in pieces, the lowest lane first. */
static void it_goes_in_pieces_and_alarms_last(void **state) {
    struct store_fixture *fixture = *state;
    for (int lane = WR_LANE_ALARMS; lane <= WR_LANE_WINDOWS; lane++)
        fixture->options.lanes[lane].ttl_ns = DAY_NS;
    open_store(fixture);
    for (int i = 0; i < 10; i++)
        put_alarm(fixture);
    put_many(fixture, WINDOWS, 100);
    put_many(fixture, CHANGES, 20);
    store_fixture_advance(fixture, DAY_NS + HOUR_NS);
    uint64_t gone = 0;
    while (wr_store_due(fixture->store) <= fixture->now.boot_ns && gone < 130) {
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
        const uint64_t now = atomic_load(&stats_of(fixture)->expired_segments);
        assert_true(now - gone <= WR_KEEP_ROWS);
        gone = now;
        assert_true(waiting(fixture, WR_LANE_CHANGES) == 20 || waiting(fixture, WR_LANE_WINDOWS) == 0);
        assert_true(waiting(fixture, WR_LANE_ALARMS) == 10 || waiting(fixture, WR_LANE_CHANGES) == 0);
    }
    assert_int_equal(gone, 130);
}

/* In a store at work old segments go with the commits that are made anyway. */
static void it_costs_few_commits_of_its_own(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = HOUR_NS;
    open_store(fixture);
    uint64_t puts = 0;
    for (int64_t minute = 0; minute < 180; minute++, puts++) {
        (void)put(fixture, WINDOWS);
        (void)pass(fixture, 60 * WR_NS_PER_S);
    }
    assert_true(waiting(fixture, WR_LANE_WINDOWS) >= 60 && waiting(fixture, WR_LANE_WINDOWS) <= 62);
    const uint64_t own = atomic_load(&stats_of(fixture)->commits) - puts;
    assert_true(own < 40); /* of them gap records */
}

/* The whole store may expire, its newest row too: the books stand in the tables then. */
static void everything_may_expire(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = HOUR_NS;
    open_store(fixture);
    put_many(fixture, WINDOWS, 7);
    const int64_t newest = wr_store_newest(fixture->store, WR_LANE_WINDOWS);
    store_fixture_advance(fixture, 2 * HOUR_NS);
    store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    assert_int_equal(atomic_load(&stats_of(fixture)->expired_segments), 7);
    wr_store_abandon(fixture->store);
    open_store(fixture);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_EXPIRED), 7 * READINGS);
    assert_int_equal(book(fixture, WINDOWS, WR_BOOK_DROPPED_CRASH), 0);
    assert_true(put(fixture, WINDOWS) > newest);
}

/* -- clocks ------------------------------------------------------------------------------------------------------------------------------- */

/* Within one boot the wall clock has no say, trusted or not, nor has a restart of the agent. */
static void within_one_boot_its_clock_counts(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = DAY_NS;
    open_store(fixture);
    (void)put(fixture, WINDOWS);
    fixture->now.wall_ns += 400 * DAY_NS;
    (void)pass(fixture, 2 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 1);
    store_fixture_close(fixture);
    fixture->now.wall_trusted = false;
    fixture->now.wall_ns = 5 * WR_NS_PER_S;
    open_store(fixture);
    (void)pass(fixture, 12 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 1);
    (void)pass(fixture, 12 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 0);
}

/* In another boot the wall clock counts while it is trusted, and nothing but the time since that boot began while it is not. */
static void in_another_boot_only_a_trusted_clock_counts(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = 3 * DAY_NS;
    open_store(fixture);
    (void)put(fixture, WINDOWS);
    const int64_t cut_ns = fixture->now.wall_ns;
    reboot(fixture, 2, cut_ns + 300 * DAY_NS, false);
    (void)pass(fixture, 6 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 1);
    fixture->now.wall_ns = cut_ns + 2 * DAY_NS; /* what time it really is */
    fixture->now.wall_trusted = true;
    (void)pass(fixture, 23 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 1);
    (void)pass(fixture, 3 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 0);
}

/* A machine that never learns the time still deletes what was there before it started so long ago. */
static void a_clock_that_is_never_trusted_is_no_way_out(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = 3 * DAY_NS;
    fixture->now.wall_trusted = false;
    open_store(fixture);
    (void)put(fixture, WINDOWS);
    reboot(fixture, 2, 0, false);
    (void)pass(fixture, 3 * DAY_NS - HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 1);
    (void)pass(fixture, 3 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 0);
}

/* Cut while its clock said 1970; later in the same boot the time was known. And cut in a boot that never knew it, before one that did. */
static void a_boot_that_learned_the_time_dates_what_it_cut(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = 10 * DAY_NS;
    const int64_t began_ns = fixture->now.wall_ns;
    fixture->now.wall_trusted = false;
    fixture->now.wall_ns = 0;
    open_store(fixture);
    (void)put(fixture, WINDOWS);
    reboot(fixture, 2, 0, false);
    const int64_t second = put(fixture, WINDOWS);
    (void)pass(fixture, HOUR_NS);
    fixture->now.wall_trusted = true;
    fixture->now.wall_ns = began_ns;
    put_many(fixture, CHANGES, 1); /* with this commit the boot's offset is on disk */
    reboot(fixture, 3, began_ns + 9 * DAY_NS, true);
    (void)pass(fixture, 20 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 2);
    (void)pass(fixture, 6 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 0);
    assert_false(is_there(fixture, second));
}

/* Without a boot id nothing is known of former runs but that they are over. */
static void without_a_boot_id_a_former_run_is_over(void **state) {
    struct store_fixture *fixture = *state;
    fixture->options.lanes[WR_LANE_WINDOWS].ttl_ns = DAY_NS;
    memset(fixture->options.boot_id, 0, sizeof fixture->options.boot_id);
    fixture->now.wall_trusted = false;
    open_store(fixture);
    (void)put(fixture, WINDOWS);
    fixture->now.boot_ns += 30 * DAY_NS; /* perhaps of another boot: no age */
    store_fixture_close(fixture);
    open_store(fixture);
    (void)put(fixture, WINDOWS);
    (void)pass(fixture, DAY_NS - HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 2);
    (void)pass(fixture, 2 * HOUR_NS);
    assert_int_equal(waiting(fixture, WR_LANE_WINDOWS), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lane_over_its_quota_makes_room_in_itself, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(the_pressure_rises_with_the_quota_of_windows, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(its_history_goes_first, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(what_former_runs_kept_is_counted, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(acknowledgements_while_it_counts_are_counted_once, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_in_flight_is_spared, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_lane_that_is_all_in_flight_waits, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_too_old_goes_and_is_told, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(history_that_is_too_old_is_only_deleted, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(in_flight_it_may_be_too_old, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(it_goes_in_pieces_and_alarms_last, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(it_costs_few_commits_of_its_own, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(everything_may_expire, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(within_one_boot_its_clock_counts, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(in_another_boot_only_a_trusted_clock_counts, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_is_never_trusted_is_no_way_out, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_boot_that_learned_the_time_dates_what_it_cut, setup, store_fixture_teardown),
        cmocka_unit_test_setup_teardown(without_a_boot_id_a_former_run_is_over, setup, store_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
