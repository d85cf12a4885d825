/* What changes with every commit and mostly stands in the newest row only: books.h. And the boots that the store was open in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/books.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"

static void crash(struct store_fixture *fixture) {
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    fixture->handover.n = 0;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.unclean);
}

/* A crash after each commit, longer than the tables are left alone: each time the books are those of that commit. */
static void test_the_books_are_those_of_the_last_commit(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    uint64_t stored = 0;
    uint64_t delivered = 0;
    for (uint32_t i = 1; i <= WR_BOOKS_TABLES_EVERY + 6; i++) {
        for (uint32_t k = 0; k < i; k++)
            store_fixture_segment(fixture, 1, 1 + k % 5, 3);
        stored = store_fixture_balance(fixture, 1).books[WR_BOOK_STORED];
        if (i % 7 == 0) {
            crash(fixture);
        }
        struct wr_account_balance balance = store_fixture_balance(fixture, 1);
        assert_int_equal(balance.books[WR_BOOK_STORED], stored);
        assert_int_equal(balance.books[WR_BOOK_DELIVERED], delivered);
        int64_t newest = wr_store_newest(fixture->store, WR_LANE_WINDOWS);
        store_fixture_must(fixture, wr_store_ack(fixture->store, WR_LANE_WINDOWS, 1, newest, &fixture->now, &fixture->err));
        delivered = store_fixture_balance(fixture, 1).books[WR_BOOK_DELIVERED];
        store_fixture_segment(fixture, 0, 1, 1);
    }
}

/* What is evicted for snapshots, behind the row of the same transaction, is in the books of that transaction too. */
static void test_what_goes_behind_the_row_is_booked(void **state) {
    enum { SNAP_BYTES = 400 << 10 };
    struct store_fixture *fixture = *state;
    static uint8_t snap[SNAP_BYTES];
    store_fixture_must(fixture, store_fixture_open(fixture));
    const struct wr_store_stats *stats = wr_store_stats(fixture->store);
    while (atomic_load(&stats->evicted_unacked_segments) == 0) {
        store_fixture_fill(fixture, 1, 256, 3);
        store_fixture_take(fixture);
    }
    const uint64_t before = atomic_load(&stats->evicted_unacked_segments);
    store_fixture_must(fixture, wr_store_snap_put(fixture->store, 77, 1, snap, sizeof snap, &fixture->now));
    store_fixture_segment(fixture, 1, 10, 3);
    const uint64_t held = atomic_load(&stats->unacked_segments[WR_LANE_WINDOWS]);
    assert_true(atomic_load(&stats->evicted_unacked_segments) > before + 20);
    const struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    crash(fixture);
    assert_int_equal(atomic_load(&wr_store_stats(fixture->store)->unacked_segments[WR_LANE_WINDOWS]), held);
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_DROPPED_EVICTED], balance.books[WR_BOOK_DROPPED_EVICTED]);
}

/* So many accounts change at once that the difference would be too long: the tables hold them. */
static void test_a_long_difference_goes_into_the_tables(void **state) {
    enum { MANY = 1000 };
    struct store_fixture *fixture = *state;
    static struct wr_account accounts[MANY];
    static struct wr_account_count counts[MANY];
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(accounts[i].source, sizeof accounts[i].source, "source %u", i);
        snprintf(accounts[i].window, sizeof accounts[i].window, "m1");
    }
    store_fixture_must(fixture, wr_store_accounts(fixture->store, accounts, MANY, true, &fixture->err));
    for (uint32_t round = 1; round <= 3; round++) {
        const uint32_t n = round == 2 ? 5 : MANY; /* short ones between are fine */
        for (uint32_t i = 0; i < n; i++)
            counts[i] = (struct wr_account_count){i, WR_BOOK_DROPPED_LATE, round * 1000 + i};
        for (uint32_t i = 0; i < n; i++)
            wr_store_book(fixture->store, i, WR_BOOK_TAKEN, 7);
        fixture->handover.counts = counts;
        fixture->handover.n_counts = n;
        fixture->handover.aggregates[0] = store_fixture_aggregate(0, 5);
        fixture->handover.aggregates[0].account = 1;
        fixture->handover.n = 1;
        store_fixture_take(fixture);
        store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
    }
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    struct wr_account_balance *balances;
    uint32_t n;
    bool clean;
    uint64_t epoch;
    struct wr_store_recount recount;
    store_fixture_must(fixture, wr_store_audit(fixture->directory, &balances, &n, &clean, &epoch, &recount, &fixture->err));
    assert_int_equal(n, STORE_ACCOUNTS + MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct wr_account_balance *balance = &balances[STORE_ACCOUNTS + i];
        assert_string_equal(balance->account.source, accounts[i].source);
        assert_int_equal(balance->books[WR_BOOK_DROPPED_LATE], 3000 + i);
        assert_int_equal(balance->books[WR_BOOK_TAKEN], i < 5 ? 21 : 14);
        assert_int_equal(balance->books[WR_BOOK_STORED], i == 1 ? 15 : 0);
    }
    free(balances);
}

/* Where the one row that holds them is damaged, the database is a broken one; the books go on from the tables. */
static void test_damaged_books_are_noticed(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    fixture->options.vfs = wr_fault_vfs_name(disk);
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 3; i++)
        store_fixture_segment(fixture, 1, 10, 10);
    struct wr_segment segment;
    store_fixture_must(fixture, wr_store_get(fixture->store, wr_store_newest(fixture->store, WR_LANE_WINDOWS), &segment, &fixture->err));
    wr_store_abandon(fixture->store); /* all of it is in the file now */
    fixture->store = NULL;
    wr_fault_vfs_remove(disk, "-wal"); /* it still has copies, which would heal it */
    uint64_t len;
    uint8_t *bytes = wr_fault_vfs_file(disk, WR_STORE_FILE, &len);
    uint8_t *body = memmem(bytes, (size_t)len, segment.body, segment.body_len);
    assert_non_null(body);
    body[-3] ^= 4; /* the difference stands in front of the body */
    wr_segment_free(&segment);
    enum wr_result result = store_fixture_open(fixture);
    assert_int_equal(result, WR_IO); /* it cannot be renamed aside: this disk has no directory */
    assert_non_null(strstr(fixture->err.text, "rename"));
    bytes = wr_fault_vfs_file(disk, WR_STORE_FILE, &len);
    bytes[body - bytes - 3] ^= 4;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_int_equal(store_fixture_balance(fixture, 1).books[WR_BOOK_STORED], 300);
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    wr_fault_vfs_free(disk);
}

/* Its books are then those of the row before it: what was in that one, but not what was in the tables some commits ago. */
static void test_the_row_before_has_books_too(void **state) {
    struct store_fixture *fixture = *state;
    struct wr_segment segment;
    char path[300];
    store_fixture_must(fixture, store_fixture_open(fixture));
    for (int i = 0; i < 20; i++)
        store_fixture_segment(fixture, 1, 10, 10);
    store_fixture_must(fixture, wr_store_get(fixture->store, wr_store_newest(fixture->store, WR_LANE_WINDOWS), &segment, &fixture->err));
    wr_store_abandon(fixture->store); /* all of it is in the file now */
    fixture->store = NULL;
    fixture->handover.n = 0;
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE "-wal", fixture->directory);
    assert_int_equal(unlink(path), 0); /* it still has copies, which would heal it */
    *strrchr(path, '-') = 0;
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    uint8_t *bytes = malloc(8 << 20);
    assert_non_null(bytes);
    const size_t len = fread(bytes, 1, 8 << 20, file);
    const uint8_t *body = memmem(bytes, len, segment.body, segment.body_len);
    assert_non_null(body);
    const uint8_t damaged = body[-3] ^ 4; /* the difference stands in front of the body */
    assert_int_equal(fseek(file, (long)(body - bytes) - 3, SEEK_SET), 0);
    assert_int_equal(fwrite(&damaged, 1, 1, file), 1);
    fclose(file);
    free(bytes);
    wr_segment_free(&segment);
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_true(fixture->report.quarantined && fixture->report.books_kept);
    struct wr_account_balance balance = store_fixture_balance(fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_TAKEN], 1900);
    assert_int_equal(balance.books[WR_BOOK_DROPPED_STORE], 1900);
    for (int i = 0; i < 100; i++) { /* and the segments come back, the last one too */
        store_fixture_advance(fixture, 100 * WR_NS_PER_MS);
        store_fixture_must(fixture, wr_store_tick(fixture->store, &fixture->now, &fixture->err));
    }
    balance = store_fixture_balance(fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_RECOVERED], 2000);
    assert_int_equal(balance.books[WR_BOOK_STORED], 2000);
}

struct boots {
    uint32_t n;
    struct wr_store_boot last;
};

static void see_boot(void *user, const struct wr_store_boot *boot) {
    struct boots *boots = user;
    boots->n++;
    boots->last = *boot;
}

static struct boots boots_of(struct store_fixture *fixture) {
    struct boots boots = {0};
    store_fixture_must(fixture, wr_store_boots(fixture->store, see_boot, &boots, &fixture->err));
    return boots;
}

static void test_boots_are_remembered(void **state) {
    struct store_fixture *fixture = *state;
    store_fixture_must(fixture, store_fixture_open(fixture));
    assert_int_equal(boots_of(fixture).n, 0); /* nobody knows which boot it is */
    store_fixture_must(fixture, wr_store_close(fixture->store, &fixture->now, &fixture->err));
    memset(fixture->options.boot_id, 1, sizeof fixture->options.boot_id);
    fixture->now.wall_trusted = false;
    store_fixture_must(fixture, store_fixture_open(fixture));
    struct boots boots = boots_of(fixture);
    assert_int_equal(boots.n, 1);
    assert_false(boots.last.trusted);
    store_fixture_segment(fixture, 1, 1, 1);
    assert_false(boots_of(fixture).last.trusted);
    fixture->now.wall_trusted = true;
    fixture->now.wall_ns += 1000 * WR_NS_PER_S;
    int64_t offset_ns = fixture->now.wall_ns - fixture->now.boot_ns;
    store_fixture_segment(fixture, 1, 1, 1);
    fixture->now.wall_ns += WR_NS_PER_S; /* the first time counts */
    store_fixture_segment(fixture, 1, 1, 1);
    crash(fixture);
    boots = boots_of(fixture);
    assert_int_equal(boots.n, 1); /* the same boot */
    assert_true(boots.last.trusted && boots.last.offset_ns == offset_ns);
    for (int i = 0; i < 260; i++) {
        wr_store_abandon(fixture->store);
        fixture->options.boot_id[3]++;
        fixture->options.boot_id[4] = (uint8_t)(i >> 8);
        store_fixture_must(fixture, store_fixture_open(fixture));
    }
    boots = boots_of(fixture);
    assert_int_equal(boots.n, 256);
    assert_memory_equal(boots.last.id, fixture->options.boot_id, sizeof boots.last.id);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_fixture_setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_books_are_those_of_the_last_commit), TEST(test_what_goes_behind_the_row_is_booked),
        TEST(test_a_long_difference_goes_into_the_tables), TEST(test_damaged_books_are_noticed),
        TEST(test_the_row_before_has_books_too),           TEST(test_boots_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
