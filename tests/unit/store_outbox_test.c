/* The store from outside: what is taken is there after a restart, in order, once; acknowledgements, eviction, journal, quarantine. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/failing.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"

static uint64_t stat_of(const _Atomic uint64_t *number) {
    return atomic_load(number);
}

static int64_t next(struct store_fixture *fixture, enum wr_lane lane, int64_t after) {
    struct wr_segment segment;
    enum wr_result result = wr_store_next(fixture->store, lane, after, INT64_MAX, &fixture->now, &segment, &fixture->err);
    if (result == WR_EMPTY)
        return 0;
    store_fixture_must(fixture, result);
    int64_t seq = segment.seq;
    wr_segment_free(&segment);
    return seq;
}

static void ack(struct store_fixture *fixture, enum wr_lane lane, int64_t first, int64_t last) {
    store_fixture_must(fixture, wr_store_ack(fixture->store, lane, first, last, &fixture->now, &fixture->err));
}

static void test_survives_a_clean_stop(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.fresh);
    uint64_t epoch = wr_store_epoch(fixture->store);
    store_fixture_fill(fixture, 1, 100, 10);
    store_fixture_take(fixture);
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 0); /* not committed yet */
    assert_int_equal(store_fixture_balance(fixture, 1).open, 1000);
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_false(fixture->report.fresh || fixture->report.unclean || fixture->report.quarantined);
    assert_true(wr_store_epoch(fixture->store) == epoch);
    struct wr_segment segment;
    store_fixture_must(fixture, wr_store_next(fixture->store, WR_LANE_WINDOWS, 0, INT64_MAX, &fixture->now, &segment, &fixture->err));
    assert_int_equal(segment.n, 100);
    assert_true(segment.epoch == epoch && segment.seq == 1 && segment.seq < wr_store_live_from(fixture->store));
    struct wr_decoder *decoder;
    struct wr_codec_header header;
    struct wr_aggregate aggregate;
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    store_fixture_must(fixture, wr_decode_begin(decoder, segment.body, segment.body_len, &header, &fixture->err));
    uint64_t readings = 0;
    while (wr_decode_aggregate(decoder, &aggregate, &fixture->err) == WR_OK)
        readings += wr_aggregate_readings(&aggregate);
    assert_int_equal(readings, 1000);
    wr_decoder_free(decoder);
    wr_segment_free(&segment);
    struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_STORED], 1000);
    assert_int_equal(wr_balance_held(&balance), 1000);
}

/* What the first start reserves, file and WAL, is found by the next one: flash has only so many writes. */
static void test_the_second_start_writes_little(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    fixture->options.vfs = wr_fault_vfs_name(disk);
    fixture->options.budget_bytes = 32 << 20;
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_close(fixture);
    const uint64_t first = wr_fault_vfs_written(disk);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(first > fixture->options.budget_bytes / 2);
    assert_true(wr_fault_vfs_written(disk) - first < 128 << 10);
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    wr_fault_vfs_free(disk);
}

/* A sync that fails has forgotten its pages: the next start must not build on what only the cache has. */
static void test_a_failed_sync_at_the_start_loses_nothing_later(void **state) {
    struct store_fixture *fixture = *state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct wr_fault_vfs *disk = wr_fault_vfs_new((uint64_t)n);
        fixture->options.vfs = wr_fault_vfs_name(disk);
        store_fixture_must(fixture, store_fixture_open(fixture));
        store_fixture_segment(fixture, 1, 10, 1);
        wr_store_abandon(fixture->store);
        fixture->store = NULL;
        wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_EIO, WR_FAULT_SYNC, n, false});
        failed = store_fixture_open(fixture) != WR_OK;
        wr_fault_vfs_plan(disk, NULL);
        if (failed)
            store_fixture_must(fixture, store_fixture_open(fixture));
        store_fixture_segment(fixture, 1, 10, 1);
        int64_t seq = wr_store_newest(fixture->store, WR_LANE_WINDOWS);
        wr_fault_vfs_cut(disk);
        wr_store_abandon(fixture->store);
        fixture->store = NULL;
        wr_fault_vfs_power(disk, WR_FAULT_NOTHING);
        store_fixture_must(fixture, store_fixture_open(fixture));
        assert_int_equal(next(fixture, WR_LANE_WINDOWS, seq - 1), seq);
        wr_store_abandon(fixture->store);
        fixture->store = NULL;
        wr_fault_vfs_free(disk);
    }
}

static void test_commits_when_due_or_full(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(wr_store_due(fixture->store) == WR_NEVER_NS);
    store_fixture_fill(fixture, 1, 10, 1);
    store_fixture_take(fixture);
    assert_true(wr_store_due(fixture->store) == fixture->now.boot_ns + WR_NS_PER_S);
    store_fixture_advance(fixture, WR_NS_PER_S - 1);
    store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 0);
    store_fixture_advance(fixture, 1);
    store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 1);
    assert_true(wr_store_due(fixture->store) == WR_NEVER_NS);
    for (int i = 0; i < 4; i++) {
        store_fixture_fill(fixture, 1, 256, 1);
        store_fixture_take(fixture);
    }
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 1), 2); /* 1024 of them */
    store_fixture_fill(fixture, 0, 5, 1);
    store_fixture_take(fixture);
    store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    assert_int_equal(next(fixture, WR_LANE_CHANGES, 0), 3);
}

static void test_an_ack_counts_once(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 5; i++)
        store_fixture_segment(fixture, 1, 10, 10);
    ack(fixture, WR_LANE_WINDOWS, 2, 2);
    ack(fixture, WR_LANE_WINDOWS, 2, 2);
    ack(fixture, WR_LANE_WINDOWS, 1, 3);
    ack(fixture, WR_LANE_WINDOWS, 3, 1000);
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DELIVERED], 500);
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 0);
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    ack(fixture, WR_LANE_WINDOWS, 1, 5);
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DELIVERED], 500);
    assert_int_equal(stat_of(&wr_store_stats(fixture->store)->history_segments), 5);
    assert_int_equal(stat_of(&wr_store_stats(fixture->store)->unacked_segments[WR_LANE_WINDOWS]), 0);
}

static void test_unsaved_acks_are_not_booked_twice(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_segment(fixture, 1, 10, 10);
    store_fixture_segment(fixture, 1, 10, 10);
    ack(fixture, WR_LANE_WINDOWS, 1, 1);
    assert_true(wr_store_due(fixture->store) == fixture->now.boot_ns + 60 * WR_NS_PER_S); /* no commit of their own before */
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.unclean);
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DELIVERED], 0);
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 1);
    ack(fixture, WR_LANE_WINDOWS, 1, 2);
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DELIVERED], 200);
    store_fixture_fill(fixture, 1, 10, 10);
    store_fixture_take(fixture);
    store_fixture_advance(fixture, WR_NS_PER_S);
    store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err)); /* the next segment takes them along */
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DELIVERED], 200);
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 3);
}

static void test_a_crash_is_booked(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_segment(fixture, 1, 10, 10);
    store_fixture_fill(fixture, 1, 7, 10);
    store_fixture_take(fixture);
    store_fixture_segment(fixture, 0, 1, 1); /* flushes both */
    store_fixture_fill(fixture, 1, 3, 10);
    fixture->counts[2].readings += 5; /* received, not yet taken */
    store_fixture_take(fixture);
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.unclean);
    assert_int_equal(fixture->report.crash_readings, 0); /* what was never committed, nobody knows of */
    fixture->handover.n = 0;
    store_fixture_fill(fixture, 1, 4, 10);
    store_fixture_take(fixture);
    fixture->handover.n = 0;
    wr_store_book(fixture->store, 2, WR_BOOK_RECEIVED, 9); /* 9 more than taken */
    store_fixture_advance(fixture, WR_NS_PER_S / 2);
    store_fixture_fill(fixture, 0, 1, 1);
    struct wr_alarm_entry entry = {.alarm = {.id = 1, .transition = 1, .rule = "r"}};
    uint32_t taken;
    store_fixture_must(fixture, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err));
    assert_int_equal(wr_store_journalled(fixture->store), 1);
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 1), 3); /* an alarm does not flush the open segment */
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 3), 0);
    wr_store_abandon(fixture->store); /* but takes the books along */
    fixture->store = NULL;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_int_equal(fixture->report.last_wall_ns, fixture->now.wall_ns);
    assert_int_equal(fixture->report.crash_readings, 40 + 9);
    assert_int_equal(fixture->report.n_losses, 2);
    assert_string_equal(fixture->report.losses[0].account.window, "m1");
    assert_int_equal(fixture->report.losses[0].readings, 40);
    assert_string_equal(fixture->report.losses[1].account.window, WR_LEDGER_INTAKE);
    assert_int_equal(fixture->report.losses[1].readings, 9);
    (void)store_fixture_balance(fixture, 0);
}

static void test_evicts_history_first_alarms_last(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    struct wr_alarm_entry entry = {.alarm = {.id = 1, .transition = 1, .rule = "r"}};
    uint32_t taken;
    store_fixture_must(fixture, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err));
    store_fixture_segment(fixture, 0, 10, 1);
    const struct wr_store_stats *stats = wr_store_stats(fixture->store);
    int64_t acked_to = 0;
    while (stat_of(&stats->evicted_segments) == 0) {
        for (int i = 0; i < 4; i++) {
            store_fixture_fill(fixture, 1, 256, 3);
            store_fixture_take(fixture);
        }
        acked_to++;
        ack(fixture, WR_LANE_WINDOWS, acked_to + 2, acked_to + 2);
    }
    assert_int_equal(stat_of(&stats->evicted_unacked_segments), 0);
    while (stat_of(&stats->evicted_unacked_segments) == 0) {
        store_fixture_fill(fixture, 1, 256, 3);
        store_fixture_take(fixture);
        (void)store_fixture_balance(fixture, 1);
    }
    assert_int_equal(stat_of(&stats->history_segments), 0);
    assert_true(stat_of(&stats->high_water) == 1 || stat_of(&stats->unacked_segments[WR_LANE_WINDOWS]) > 0);
    for (int i = 0; i < 2000; i++) {
        store_fixture_fill(fixture, 1, 256, 3);
        store_fixture_take(fixture);
    }
    struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_true(balance.books[WR_BOOK_DROPPED_EVICTED] > 0);
    assert_int_equal(next(fixture, WR_LANE_ALARMS, 0), 1);
    assert_int_equal(next(fixture, WR_LANE_CHANGES, 0), 2);
    struct stat status;
    assert_int_equal(stat(store_fixture_path(fixture, WR_STORE_FILE), &status), 0);
    off_t total = status.st_size;
    assert_int_equal(stat(store_fixture_path(fixture, WR_STORE_FILE "-wal"), &status), 0);
    assert_true((uint64_t)(total + status.st_size) <= fixture->options.budget_bytes);
}

/* Pressure begins above four fifths and ends below three: what eases it must not switch on and off. */
static void test_pressure_has_hysteresis(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    const struct wr_store_stats *stats = wr_store_stats(fixture->store);
    int64_t n = 0;
    for (; stat_of(&stats->high_water) == 0; n++) {
        for (int i = 0; i < 4; i++) {
            store_fixture_fill(fixture, 1, 256, 3);
            store_fixture_take(fixture);
        }
        assert_int_equal(stat_of(&stats->evicted_unacked_segments), 0);
    }
    const uint64_t high = stat_of(&stats->unacked_bytes[WR_LANE_WINDOWS]);
    int64_t acked = 0;
    while (stat_of(&stats->high_water) != 0) {
        acked++;
        ack(fixture, WR_LANE_WINDOWS, acked, acked);
        store_fixture_advance(fixture, 60 * WR_NS_PER_S);
        store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    }
    const uint64_t low = stat_of(&stats->unacked_bytes[WR_LANE_WINDOWS]);
    assert_true(low * 8 < high * 6 + high / 10 && low * 8 > high * 6 - high / 10);
}

/* What the uplink was handed and has offered may be at the receiver already: evicting it would book as lost what arrived. */
static void test_spares_what_is_in_flight(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_segment(fixture, 1, 10, 1);
    int64_t first = next(fixture, WR_LANE_WINDOWS, 0);
    store_fixture_must(fixture, wr_store_offer(fixture->store, WR_LANE_WINDOWS, first, &fixture->now, &fixture->err));
    const struct wr_store_stats *stats = wr_store_stats(fixture->store);
    while (stat_of(&stats->evicted_unacked_segments) < 20) {
        store_fixture_fill(fixture, 1, 256, 3);
        store_fixture_take(fixture);
    }
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), first);
    assert_true(next(fixture, WR_LANE_WINDOWS, first) > first + 20); /* the oldest of the others went */
    ack(fixture, WR_LANE_WINDOWS, first, first);
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DELIVERED], 10);
}

static void test_a_second_owner_is_refused(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    struct wr_store *second;
    struct wr_store_report report;
    assert_int_equal(wr_store_open(fixture->directory, &fixture->options, &fixture->now, NULL, &second, &report, &fixture->err), WR_BUSY);
    struct wr_account_balance *balances;
    uint32_t n;
    bool clean;
    uint64_t epoch;
    struct wr_store_recount recount;
    assert_int_equal(wr_store_audit(fixture->directory, &balances, &n, &clean, &epoch, &recount, &fixture->err), WR_BUSY);
    store_fixture_segment(fixture, 1, 10, 10);
    epoch = wr_store_epoch(fixture->store);
    store_fixture_close(fixture);
    uint64_t same;
    store_fixture_must(fixture, wr_store_audit(fixture->directory, &balances, &n, &clean, &same, &recount, &fixture->err));
    assert_true(clean && same == epoch);
    assert_int_equal(n, STORE_ACCOUNTS);
    for (uint32_t i = 0; i < n; i++)
        assert_true(wr_balance_check(&balances[i], NULL, NULL));
    free(balances);
}

static void test_a_broken_store_is_put_aside(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    uint64_t epoch = wr_store_epoch(fixture->store);
    for (int i = 0; i < 20; i++)
        store_fixture_segment(fixture, 1, 200, 10);
    store_fixture_close(fixture);
    store_fixture_forget_wal(fixture);
    store_fixture_scribble(fixture, 0, 4096);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.quarantined && fixture->report.fresh);
    assert_true(wr_store_epoch(fixture->store) != epoch);
    assert_int_equal(access(store_fixture_path(fixture, fixture->report.aside), F_OK), 0);
    store_fixture_segment(fixture, 1, 10, 10);
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 1);
}

static void test_breaks_while_it_runs(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    uint64_t epoch = wr_store_epoch(fixture->store);
    for (int i = 0; i < 300; i++)
        store_fixture_segment(fixture, 1, 200, 10);
    store_fixture_close(fixture);
    store_fixture_forget_wal(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(wr_store_epoch(fixture->store) == epoch);
    store_fixture_fill(fixture, 1, 20, 10);
    store_fixture_take(fixture);
    store_fixture_scribble(fixture, 4096, 2 << 20);
    for (int64_t seq = 1; seq > 0;)
        seq = next(fixture, WR_LANE_WINDOWS, seq);
    for (int i = 0; i < 400 && wr_store_epoch(fixture->store) == epoch; i++)
        store_fixture_segment(fixture, 1, 200, 10);
    assert_true(wr_store_epoch(fixture->store) != epoch);
    assert_int_equal(stat_of(&wr_store_stats(fixture->store)->quarantines), 1);
    struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_true(balance.books[WR_BOOK_DROPPED_STORE] > 0);
    assert_true(balance.books[WR_BOOK_TAKEN] > fixture->taken[1]);
    store_fixture_segment(fixture, 1, 10, 10);
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(store_fixture_balance(fixture, 1).books[WR_BOOK_DROPPED_STORE] == balance.books[WR_BOOK_DROPPED_STORE]);
}

/* Overwrites bytes inside the body of a segment, by finding them in the file. */
static void damage_body(struct store_fixture *fixture, int64_t seq) {
    struct wr_segment segment;
    store_fixture_must(fixture, wr_store_get(fixture->store, seq, &segment, &fixture->err));
    store_fixture_close(fixture);
    FILE *file = fopen(store_fixture_path(fixture, WR_STORE_FILE), "r+");
    static char all[4 << 20];
    store_fixture_forget_wal(fixture);
    size_t len = fread(all, 1, sizeof all, file);
    char *at = memmem(all, len, segment.body, 40);
    assert_non_null(at);
    assert_int_equal(fseek(file, at - all + 60, SEEK_SET), 0);
    fputc(all[at - all + 60] ^ 1, file);
    fclose(file);
    wr_segment_free(&segment);
}

static void test_one_bad_segment_is_skipped(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 3; i++)
        store_fixture_segment(fixture, 1, 10, 10);
    damage_body(fixture, 2);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 1);
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 1), 3);
    struct wr_segment segment;
    assert_int_equal(wr_store_get(fixture->store, 2, &segment, &fixture->err), WR_CORRUPT);
    ack(fixture, WR_LANE_WINDOWS, 1, 3);
    struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_DROPPED_CORRUPT], 100);
    assert_int_equal(balance.books[WR_BOOK_DELIVERED], 200);
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 0), 0);
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DROPPED_CORRUPT], 100);
    assert_int_equal(stat_of(&wr_store_stats(fixture->store)->history_segments), 3);
}

static void test_the_check_after_a_crash_finds_it_too(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 40; i++)
        store_fixture_segment(fixture, 1, 10, 10);
    damage_body(fixture, 33);
    store_fixture_must(fixture, store_fixture_open(fixture));
    wr_store_abandon(fixture->store);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.unclean);
    while (wr_store_due(fixture->store) == 0)
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    assert_int_equal(stat_of(&wr_store_stats(fixture->store)->bad_segments), 1);
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DROPPED_CORRUPT], 100);
}

static void test_offers_are_committed_in_strides(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    const struct wr_store_stats *stats = wr_store_stats(fixture->store);
    store_fixture_segment(fixture, 1, 10, 10);
    uint64_t before = stat_of(&stats->commits);
    store_fixture_must(fixture, wr_store_offer(fixture->store, WR_LANE_WINDOWS, 1, &fixture->now, &fixture->err));
    assert_int_equal(stat_of(&stats->commits), before + 1);
    for (int64_t seq = 2; seq < 40; seq++) {
        store_fixture_segment(fixture, 1, 10, 10);
        store_fixture_must(fixture, wr_store_offer(fixture->store, WR_LANE_WINDOWS, seq, &fixture->now, &fixture->err));
    }
    assert_int_equal(stat_of(&stats->commits), before + 1 + 38); /* with the inserts, none of their own */
    wr_store_abandon(fixture->store);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(wr_store_live_from(fixture->store) > 40); /* a seq that may be out there is not used again */
}

static void test_parked_segments_wait_for_the_next_start(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 3; i++)
        store_fixture_segment(fixture, 1, 10, 10);
    assert_int_equal(wr_store_park(fixture->store, WR_LANE_WINDOWS, 2), WR_OK);
    assert_int_equal(wr_store_park(fixture->store, WR_LANE_WINDOWS, 2), WR_OK);
    assert_int_equal(stat_of(&wr_store_stats(fixture->store)->parked_segments), 1);
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 1), 3);
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_int_equal(next(fixture, WR_LANE_WINDOWS, 1), 2);
}

struct snaps {
    uint32_t n;
    uint64_t key;
    char body[32];
};

static void see_snap(void *user, uint64_t key, const uint8_t *body, size_t len) {
    struct snaps *snaps = user;
    snaps->n++;
    snaps->key = key;
    memcpy(snaps->body, body, len < sizeof snaps->body ? len : sizeof snaps->body);
}

static void test_the_journal(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    const struct wr_store_stats *stats = wr_store_stats(fixture->store);
    struct wr_alarm_entry entry = {.alarm = {.id = UINT64_MAX - 5, .transition = 1, .rule = "hot", .wall_ns = 77}, .snap_len = 4};
    memcpy(entry.snap, "one", 4);
    uint32_t taken;
    store_fixture_must(fixture, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err));
    assert_int_equal(wr_store_journalled(fixture->store), 1); /* the first at once */
    uint64_t before = stat_of(&stats->commits);
    for (int i = 0; i < 10; i++) {
        entry.alarm.transition++;
        store_fixture_must(fixture, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err));
    }
    assert_int_equal(wr_store_journalled(fixture->store), 1);
    assert_true(wr_store_due(fixture->store) <= fixture->now.boot_ns + 50 * WR_NS_PER_MS);
    store_fixture_advance(fixture, 50 * WR_NS_PER_MS);
    store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    assert_int_equal(wr_store_journalled(fixture->store), 11);
    assert_int_equal(stat_of(&stats->commits), before + 1);
    for (int i = 0; i < 600; i++) { /* a storm of a minute: at most a burst, then two a second */
        store_fixture_advance(fixture, 100 * WR_NS_PER_MS);
        entry.alarm.transition++;
        store_fixture_must(fixture, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err));
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
        int64_t due = wr_store_due(fixture->store);
        assert_true(due == WR_NEVER_NS || due <= fixture->now.boot_ns + WR_NS_PER_S);
    }
    assert_true(stat_of(&stats->commits) - before < 150);
    memcpy(entry.snap, "two", 4);
    entry.alarm.transition = 0;
    store_fixture_must(fixture, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err));
    store_fixture_close(fixture);
    store_fixture_must(fixture, store_fixture_open(fixture));
    struct snaps snaps = {0};
    store_fixture_must(fixture, wr_store_snaps(fixture->store, WR_SNAP_ALARM, see_snap, &snaps, &fixture->err));
    assert_int_equal(snaps.n, 1);
    assert_true(snaps.key == UINT64_MAX - 5);
    assert_string_equal(snaps.body, "two");
    struct wr_segment segment;
    store_fixture_must(fixture, wr_store_next(fixture->store, WR_LANE_ALARMS, 1, INT64_MAX, &fixture->now, &segment, &fixture->err));
    assert_int_equal(segment.n, 10);
    struct wr_decoder *decoder;
    struct wr_codec_header header;
    const char *text;
    size_t len;
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    store_fixture_must(fixture, wr_decode_begin(decoder, segment.body, segment.body_len, &header, &fixture->err));
    store_fixture_must(fixture, wr_decode_text(decoder, &text, &len, &fixture->err));
    assert_non_null(strstr(text, "\"hot\""));
    assert_non_null(strstr(text, "\"journalled\":true"));
    wr_decoder_free(decoder);
    wr_segment_free(&segment);
    store_fixture_must(fixture, wr_store_snap_put(fixture->store, WR_SNAP_ALARM, UINT64_MAX - 5, NULL, 0, &fixture->now));
    store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    snaps.n = 0;
    store_fixture_must(fixture, wr_store_snaps(fixture->store, WR_SNAP_ALARM, see_snap, &snaps, &fixture->err));
    assert_int_equal(snaps.n, 0);
}

static void test_accounts_outlive_their_numbers(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    store_fixture_segment(fixture, 1, 10, 10);
    store_fixture_fill(fixture, 1, 10, 10);
    store_fixture_take(fixture); /* open, under the old numbers */
    const struct wr_account other[] = {{"", ""}, {"new", "m1"}, {"floor", "m1"}};
    store_fixture_must(fixture, wr_store_accounts(fixture->store, other, 3, true, &fixture->err));
    fixture->counts[0] = (struct wr_account_count){2, WR_BOOK_TAKEN, 30};
    fixture->handover.n_counts = 1;
    for (uint32_t i = 0; i < 3; i++) {
        fixture->handover.aggregates[i] = store_fixture_aggregate(i, 10);
        fixture->handover.aggregates[i].account = 2;
    }
    fixture->handover.n = 3;
    store_fixture_take(fixture);
    store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_TAKEN], 230);
    assert_int_equal(balance.books[WR_BOOK_STORED], 230);
    const struct wr_account twice[] = {{"a", "b"}, {"a", "b"}};
    assert_int_equal(wr_store_accounts(fixture->store, twice, 2, false, &fixture->err), WR_EXISTS);
}

static void test_survives_failing_allocations(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture)); /* makes the file, which takes its time, once */
    store_fixture_close(fixture);
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        enum wr_result result = store_fixture_open(fixture);
        if (result == WR_OK) {
            store_fixture_fill(fixture, 1, 20, 10);
            uint32_t taken;
            result = wr_store_take(fixture->store, &fixture->handover, 0, &fixture->now, &taken, &fixture->err);
            if (result == WR_OK)
                result = wr_store_flush(fixture->store, &fixture->now, &fixture->err);
            if (result == WR_OK) {
                struct wr_segment segment;
                result = wr_store_next(fixture->store, WR_LANE_WINDOWS, 0, INT64_MAX, &fixture->now, &segment, &fixture->err);
                if (result == WR_OK)
                    wr_segment_free(&segment);
            }
            fixture->handover.n = 0;
        }
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (fixture->store) {
            (void)store_fixture_balance(fixture, 1);
            store_fixture_close(fixture); /* now there is memory: nothing was lost */
        }
        if (!hit)
            break;
    }
}

static void test_a_directory_that_cannot_be_written(void **state) {
    struct store_fixture *fixture = *state;
    strcat(fixture->directory, "/none");
    enum wr_result result = store_fixture_open(fixture);
    assert_int_equal(result, WR_IO);
    assert_null(fixture->store);
    *strrchr(fixture->directory, '/') = 0;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_fixture_setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_survives_a_clean_stop),
        TEST(test_the_second_start_writes_little),
        TEST(test_a_failed_sync_at_the_start_loses_nothing_later),
        TEST(test_commits_when_due_or_full),
        TEST(test_an_ack_counts_once),
        TEST(test_unsaved_acks_are_not_booked_twice),
        TEST(test_a_crash_is_booked),
        TEST(test_evicts_history_first_alarms_last),
        TEST(test_pressure_has_hysteresis),
        TEST(test_spares_what_is_in_flight),
        TEST(test_a_second_owner_is_refused),
        TEST(test_a_broken_store_is_put_aside),
        TEST(test_breaks_while_it_runs),
        TEST(test_one_bad_segment_is_skipped),
        TEST(test_the_check_after_a_crash_finds_it_too),
        TEST(test_offers_are_committed_in_strides),
        TEST(test_parked_segments_wait_for_the_next_start),
        TEST(test_the_journal),
        TEST(test_accounts_outlive_their_numbers),
        TEST(test_survives_failing_allocations),
        TEST(test_a_directory_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
