/* A store of version 1, made by the program as it was before, becomes one of version 2: with the same keys, bodies and books, also where it is interrupted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"

#define EPOCH UINT64_C(0x7e57da7a)

/* What stands in tests/data/store/outbox-v1.db: it was killed when 9 received readings were on their way. */
static const struct {
    enum wr_lane lane;
    int64_t seq;
    uint32_t n;
} unsent[] = {{WR_LANE_ALARMS, 1, 1},   {WR_LANE_ALARMS, 11, 1},  {WR_LANE_CHANGES, 9, 6},   {WR_LANE_WINDOWS, 4, 22},
              {WR_LANE_WINDOWS, 6, 30}, {WR_LANE_WINDOWS, 8, 32}, {WR_LANE_WINDOWS, 10, 40}, {WR_LANE_WINDOWS, 12, 3}};

static uint8_t old_store[1 << 16];
static size_t old_len;

static int setup(void **state) {
    (void)state;
    FILE *file = fopen(WEIR_TEST_DATA "/store/outbox-v1.db", "r");
    assert_non_null(file);
    old_len = fread(old_store, 1, sizeof old_store, file);
    fclose(file);
    assert_in_range(old_len, 1, sizeof old_store - 1);
    return 0;
}

static void check_unsent(struct store_fixture *fixture) {
    size_t i = 0;
    uint64_t bytes[WR_LANES] = {0};
    uint64_t segments[WR_LANES] = {0};
    for (int lane = 0; lane < WR_LANES; lane++) {
        struct wr_segment segment;
        for (int64_t after = 0;
             wr_store_next(fixture->store, (enum wr_lane)lane, after, INT64_MAX, &fixture->now, &segment, &fixture->err) == WR_OK; i++) {
            assert_true(i < sizeof unsent / sizeof unsent[0]);
            assert_int_equal(unsent[i].lane, lane);
            assert_int_equal(unsent[i].seq, segment.seq);
            assert_int_equal(unsent[i].n, segment.n);
            assert_true(segment.epoch == EPOCH);
            after = segment.seq;
            segments[lane]++;
            bytes[lane] += segment.body_len;
            wr_segment_free(&segment);
        }
    }
    assert_int_equal(i, sizeof unsent / sizeof unsent[0]);
    const struct wr_store_stats *stats = wr_store_stats(fixture->store);
    for (int lane = 0; lane < WR_LANES; lane++) {
        assert_int_equal(atomic_load(&stats->unacked_segments[lane]), segments[lane]);
        assert_int_equal(atomic_load(&stats->unacked_bytes[lane]), bytes[lane]);
    }
    assert_int_equal(atomic_load(&stats->history_segments), 4);
    for (int64_t seq = 2; seq <= 7; seq += 5) { /* history came along */
        struct wr_segment segment;
        store_fixture_must(fixture, wr_store_get(fixture->store, seq, &segment, &fixture->err));
        wr_segment_free(&segment);
    }
}

static void count_snap(void *user, uint64_t key, const uint8_t *body, size_t len) {
    assert_int_equal(key, 1);
    assert_int_equal(len, 4);
    assert_memory_equal(body, "one", 4);
    ++*(int *)user;
}

static void check_books(struct store_fixture *fixture) {
    struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_TAKEN], 1990);
    assert_int_equal(balance.books[WR_BOOK_STORED], 1990);
    assert_int_equal(balance.books[WR_BOOK_DELIVERED], 720);
    balance = store_fixture_balance(fixture, 0);
    assert_int_equal(balance.books[WR_BOOK_STORED], 11);
    assert_int_equal(balance.books[WR_BOOK_DELIVERED], 5);
    assert_int_equal(store_fixture_balance(fixture, 2).books[WR_BOOK_DROPPED_CRASH], 9);
    int snaps = 0;
    store_fixture_must(fixture, wr_store_snaps(fixture->store, WR_SNAP_ALARM, count_snap, &snaps, &fixture->err));
    assert_int_equal(snaps, 1);
}

static void test_version_1_goes_on(void **state) {
    (void)state;
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    FILE *file = fopen(store_fixture_path(&fixture, WR_STORE_FILE), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(old_store, 1, old_len, file), old_len);
    fclose(file);
    struct wr_account_balance *balances;
    uint32_t n;
    bool clean;
    uint64_t epoch;
    struct wr_store_recount recount;
    store_fixture_must(&fixture,
                       wr_store_audit(fixture.directory, &balances, &n, &clean, &epoch, &recount, &fixture.err)); /* before: as it is */
    assert_true(!clean && epoch == EPOCH && n == STORE_ACCOUNTS);
    free(balances);
    store_fixture_must(&fixture, store_fixture_open(&fixture));
    assert_true(fixture.report.unclean && !fixture.report.fresh && !fixture.report.quarantined);
    assert_int_equal(fixture.report.crash_readings, 9);
    assert_int_equal(wr_store_live_from(fixture.store), 23); /* up to 22 were offered */
    check_books(&fixture);
    while (wr_store_due(fixture.store) == 0)
        store_fixture_must(&fixture, wr_store_tick(fixture.store, &fixture.now, &fixture.err));
    assert_int_equal(atomic_load(&wr_store_stats(fixture.store)->bad_segments), 0);
    check_unsent(&fixture);
    for (size_t i = 0; i < sizeof unsent / sizeof unsent[0]; i++)
        store_fixture_must(&fixture, wr_store_ack(fixture.store, unsent[i].lane, unsent[i].seq, unsent[i].seq, &fixture.now, &fixture.err));
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_DELIVERED], 1990);
    store_fixture_segment(&fixture, 1, 10, 10);
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    store_fixture_must(&fixture, store_fixture_open(&fixture));
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_DELIVERED], 1990);
    assert_int_equal(atomic_load(&wr_store_stats(fixture.store)->unacked_segments[WR_LANE_WINDOWS]), 1);
    assert_int_equal(wr_store_newest(fixture.store, WR_LANE_WINDOWS), 23);
    store_fixture_fini(&fixture);
}

/* The first opening ends at call number n of the disk; true: it did not come so far. */
static bool interrupted(long n, enum wr_fault_kind kind, enum wr_fault_kept kept) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    struct wr_fault_vfs *disk = wr_fault_vfs_new((uint64_t)n);
    wr_fault_vfs_put(disk, store_fixture_path(&fixture, WR_STORE_FILE), old_store, old_len);
    fixture.options.vfs = wr_fault_vfs_name(disk);
    wr_fault_vfs_plan(disk, &(struct wr_fault_plan){.kind = kind, .calls = WR_FAULT_WRITE | WR_FAULT_SYNC, .at = n});
    enum wr_result result = store_fixture_open(&fixture);
    const bool hit = wr_fault_vfs_hit(disk);
    assert_true(hit || result == WR_OK);
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    wr_fault_vfs_power(disk, kept);
    store_fixture_must(&fixture, store_fixture_open(&fixture));
    assert_false(fixture.report.fresh || fixture.report.quarantined);
    check_unsent(&fixture);
    check_books(&fixture);
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    store_fixture_fini(&fixture);
    wr_fault_vfs_free(disk);
    return hit;
}

/* The first calls are the migration's, the many after them the reservation's. */
static void test_it_may_be_interrupted_anywhere(void **state) {
    (void)state;
    static const enum wr_fault_kept kept[] = {WR_FAULT_ALL, WR_FAULT_NOTHING, WR_FAULT_PREFIX, WR_FAULT_SECTORS};
    for (long n = 0; interrupted(n, WR_FAULT_CUT, kept[n % 4]); n += n < 80 ? 1 : 97) {
    }
    for (long n = 0; interrupted(n, WR_FAULT_EIO, WR_FAULT_ALL); n += n < 80 ? 1 : 97) {
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1_goes_on),
        cmocka_unit_test(test_it_may_be_interrupted_anywhere),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
