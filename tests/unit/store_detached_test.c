/* A store without a database takes, books and forgets; it gets its database later, with the books of both. What cannot be used is renamed aside, each
 * under a name of its own, and goes only where room is needed. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
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

static struct store_fixture fixture;

static int setup(void **state) {
    (void)state;
    store_fixture_init(&fixture);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_fixture_fini(&fixture);
    return 0;
}

static void must(enum wr_result result) {
    store_fixture_must(&fixture, result);
}

static const char *file(const char *name) {
    return store_fixture_path(&fixture, name);
}

static void open_without(void) {
    memset(fixture.taken, 0, sizeof fixture.taken);
    must(wr_store_open_without(fixture.directory, &fixture.options, &fixture.now, fixture.symbols, &fixture.store, &fixture.err));
    must(wr_store_accounts(fixture.store, store_accounts, STORE_ACCOUNTS, false, &fixture.err));
}

static enum wr_result attach(void) {
    return wr_store_attach(fixture.store, &fixture.now, &fixture.report, &fixture.err);
}

static void takes_and_forgets(void **state) {
    (void)state;
    open_without();
    assert_true(wr_store_is_without(fixture.store));
    assert_int_equal(wr_store_epoch(fixture.store), 0);
    store_fixture_segment(&fixture, 1, 20, 10);
    store_fixture_segment(&fixture, 0, 5, 1);
    struct wr_account_balance windows = store_fixture_balance(&fixture, 1);
    assert_int_equal(windows.books[WR_BOOK_TAKEN], 200);
    assert_int_equal(windows.books[WR_BOOK_DROPPED_STORE], 200);
    assert_int_equal(wr_balance_held(&windows), 0);
    assert_int_equal(store_fixture_balance(&fixture, 0).books[WR_BOOK_DROPPED_STORE], 5);
    struct wr_alarm_entry entries[] = {{.alarm = {.id = 7, .transition = 1, .rule = "hot"}, .snap_len = 4}, {.snap_len = 4}};
    uint32_t taken = 0;
    must(wr_store_alarms(fixture.store, entries, 2, &fixture.now, &taken, &fixture.err));
    assert_int_equal(taken, 2);
    assert_int_equal(wr_store_journalled(fixture.store), 0);
    const struct wr_store_stats *stats = wr_store_stats(fixture.store);
    assert_int_equal(atomic_load(&stats->dropped_readings), 205);
    assert_int_equal(atomic_load(&stats->dropped_transitions), 1);
    assert_true(wr_store_due(fixture.store) == WR_NEVER_NS);
    must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
    struct wr_segment segment;
    for (int lane = 0; lane < WR_LANES; lane++)
        assert_int_equal(wr_store_next(fixture.store, (enum wr_lane)lane, 0, INT64_MAX, &fixture.now, &segment, &fixture.err), WR_EMPTY);
    assert_int_equal(wr_store_snap_put(fixture.store, WR_SNAP_MEMORY, 1, "x", 1, &fixture.now), WR_IO);
    store_fixture_close(&fixture);
    assert_int_equal(access(file(WR_STORE_FILE), F_OK), -1); /* it made nothing */
}

/* Windows are open in the engine when the database comes: they are no loss of the crash before. */
static void its_books_are_added_to_those_on_disk(void **state) {
    (void)state;
    must(store_fixture_open(&fixture));
    const uint64_t epoch = wr_store_epoch(fixture.store);
    store_fixture_segment(&fixture, 1, 10, 10);
    fixture.taken[1] += 30; /* of windows that the crash takes */
    fixture.taken[2] += 30;
    store_fixture_segment(&fixture, 0, 1, 1);
    wr_store_abandon(fixture.store);

    open_without();
    store_fixture_segment(&fixture, 1, 7, 10);
    fixture.taken[1] += 9; /* open at this moment */
    fixture.taken[2] += 9;
    store_fixture_segment(&fixture, 0, 2, 1);
    must(attach());
    assert_false(wr_store_is_without(fixture.store));
    assert_true(wr_store_epoch(fixture.store) == epoch && fixture.report.unclean && !fixture.report.fresh);
    assert_int_equal(fixture.report.crash_readings, 30);
    fixture.counts[0] = (struct wr_account_count){1, WR_BOOK_DROPPED_LATE, 9}; /* they came to nothing */
    fixture.handover.n_counts = 1;
    store_fixture_take(&fixture);
    struct wr_account_balance windows = store_fixture_balance(&fixture, 1);
    assert_int_equal(windows.books[WR_BOOK_TAKEN], 100 + 30 + 70 + 9);
    assert_int_equal(windows.books[WR_BOOK_DROPPED_STORE], 70);
    assert_int_equal(windows.books[WR_BOOK_DROPPED_CRASH], 30);
    assert_int_equal(wr_balance_held(&windows), 100);
    store_fixture_segment(&fixture, 1, 4, 10); /* numbers of accounts mean the same as before */
    assert_int_equal(attach(), WR_INVALID);
    store_fixture_close(&fixture);

    must(store_fixture_open(&fixture));
    windows = store_fixture_balance(&fixture, 1);
    assert_false(fixture.report.unclean);
    assert_int_equal(windows.books[WR_BOOK_TAKEN], 209 + 40);
    assert_int_equal(windows.books[WR_BOOK_DROPPED_STORE], 70);
    assert_int_equal(wr_balance_held(&windows), 140);
    assert_int_equal(store_fixture_balance(&fixture, 0).books[WR_BOOK_DROPPED_STORE], 2);
}

static void is_tried_again(void **state) {
    (void)state;
    open_without();
    store_fixture_segment(&fixture, 1, 3, 10);
    assert_int_equal(mkdir(file(WR_STORE_FILE), 0700), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(attach(), WR_IO);
        assert_true(wr_store_is_without(fixture.store));
        store_fixture_segment(&fixture, 1, 3, 10);
        assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_DROPPED_STORE], 60 + 30 * (uint64_t)i);
    }
    assert_int_equal(rmdir(file(WR_STORE_FILE)), 0);
    must(attach());
    assert_true(fixture.report.fresh);
    store_fixture_segment(&fixture, 1, 3, 10);
    const struct wr_account_balance windows = store_fixture_balance(&fixture, 1);
    assert_int_equal(windows.books[WR_BOOK_DROPPED_STORE], 120);
    assert_int_equal(wr_balance_held(&windows), 30);
}

/* Whatever call to the disk fails, the books are as they were, and the next attempt finds a store. */
static void whatever_the_disk_refuses(void **state) {
    (void)state;
    long n = 0;
    for (bool hit = true; hit; n += 1 + n / 8) {
        struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
        const struct wr_fault_plan plan = {.kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY, .at = n};
        fixture.options.vfs = wr_fault_vfs_name(disk);
        open_without();
        store_fixture_segment(&fixture, 1, 3, 10);
        wr_fault_vfs_plan(disk, &plan);
        const enum wr_result result = attach();
        hit = wr_fault_vfs_hit(disk);
        wr_fault_vfs_plan(disk, NULL);
        assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_DROPPED_STORE], 30);
        assert_true((result != WR_OK) == wr_store_is_without(fixture.store));
        if (result != WR_OK)
            must(attach());
        store_fixture_segment(&fixture, 1, 3, 10);
        const struct wr_account_balance windows = store_fixture_balance(&fixture, 1);
        assert_int_equal(windows.books[WR_BOOK_DROPPED_STORE], 30);
        assert_int_equal(wr_balance_held(&windows), 30);
        store_fixture_close(&fixture);
        wr_fault_vfs_free(disk);
    }
    assert_true(n > 50);
}

static void without_memory(void **state) {
    (void)state;
    bool hit = true;
    for (long n = 0; hit; n++) {
        open_without();
        store_fixture_segment(&fixture, 1, 3, 10);
        wr_failing_allocations(n);
        const enum wr_result result = attach();
        hit = wr_failing_hit();
        wr_failing_off();
        assert_true((result != WR_OK) == wr_store_is_without(fixture.store));
        if (result != WR_OK)
            must(attach());
        assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_DROPPED_STORE], 30 * (uint64_t)(n + 1));
        store_fixture_close(&fixture);
    }
}

/* Aside */

static void scribble(void) {
    int fd = open(file(WR_STORE_FILE), O_WRONLY);
    static const char bytes[4096] = "no database";
    assert_true(fd >= 0 && pwrite(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    close(fd);
    (void)unlink(file(WR_STORE_FILE "-wal"));
}

static unsigned count(const char *prefix, uint64_t *ret_bytes) {
    DIR *directory = opendir(fixture.directory);
    unsigned n = 0;
    *ret_bytes = 0;
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        struct stat status;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        assert_int_equal(stat(file(entry->d_name), &status), 0);
        *ret_bytes += (uint64_t)status.st_size;
        n += strstr(entry->d_name, "-wal") == NULL && strstr(entry->d_name, ".page1") == NULL;
    }
    closedir(directory);
    return n;
}

/* Without a clock each boot has the same second, which may be behind that of an older name. */
static void a_name_is_given_once(void **state) {
    (void)state;
    char names[4][64];
    uint64_t bytes;
    for (int i = 0; i < 4; i++) {
        fixture.now.wall_ns = i == 0 ? INT64_C(1772000000) * WR_NS_PER_S : 12 * WR_NS_PER_S;
        must(store_fixture_open(&fixture));
        store_fixture_segment(&fixture, 1, 10, 10);
        store_fixture_close(&fixture);
        scribble();
        must(store_fixture_open(&fixture));
        assert_true(fixture.report.quarantined && !fixture.report.aside_newer);
        snprintf(names[i], sizeof names[i], "%s", fixture.report.aside);
        assert_int_equal(access(file(names[i]), F_OK), 0);
        assert_int_equal(count(WR_STORE_FILE ".corrupt-", &bytes), i == 0 ? 1 : 2);
        store_fixture_close(&fixture);
    }
    assert_string_equal(names[1], WR_STORE_FILE ".corrupt-1772000000-1");
    assert_string_equal(names[2], WR_STORE_FILE ".corrupt-1772000000-2");
    assert_string_equal(names[3], WR_STORE_FILE ".corrupt-1772000000-3");
    assert_int_equal(access(file(names[2]), F_OK), 0); /* two are kept: the latest */
}

static void of_a_later_version(void) {
    sqlite3 *database;
    assert_int_equal(sqlite3_open(file(WR_STORE_FILE), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void what_a_later_version_made_is_kept(void **state) {
    (void)state;
    uint64_t before, after;
    must(store_fixture_open(&fixture));
    const uint64_t epoch = wr_store_epoch(fixture.store);
    store_fixture_segment(&fixture, 1, 10, 10);
    store_fixture_close(&fixture);
    of_a_later_version();
    for (int i = 0; i < 2; i++) {
        must(store_fixture_open(&fixture));
        assert_true(fixture.report.quarantined && fixture.report.aside_newer && fixture.report.fresh && !fixture.report.newer);
        assert_int_equal(strncmp(fixture.report.aside, WR_STORE_FILE ".newer-", strlen(WR_STORE_FILE ".newer-")), 0);
        assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_TAKEN], 0);
        assert_true(wr_store_epoch(fixture.store) != epoch);
        store_fixture_close(&fixture);
        if (i == 0)
            of_a_later_version();
    }
    assert_int_equal(count(WR_STORE_FILE ".newer-", &before), 2);
    must(store_fixture_open(&fixture));
    store_fixture_segment(&fixture, 1, 10, 10);
    store_fixture_close(&fixture);
    scribble();
    must(store_fixture_open(&fixture)); /* a broken one lies beside them, too */
    assert_int_equal(count(WR_STORE_FILE ".corrupt-", &after), 1);
    const struct wr_store_stats *stats = wr_store_stats(fixture.store);
    for (int i = 0; i < 3000 && atomic_load(&stats->evicted_unacked_segments) == 0; i++)
        store_fixture_segment(&fixture, 1, 200, 10);
    assert_true(atomic_load(&stats->evicted_unacked_segments) > 0);
    assert_int_equal(count(WR_STORE_FILE ".corrupt-", &after), 0); /* it made room */
    assert_int_equal(count(WR_STORE_FILE ".newer-", &after), 2);   /* these do not */
    assert_true(before == after);
}

static void the_oldest_makes_room_first(void **state) {
    (void)state;
    static const char *const names[] = {WR_STORE_FILE ".corrupt-1700000000", WR_STORE_FILE ".corrupt-1700000000-1",
                                        WR_STORE_FILE ".corrupt-1700000000-10"};
    uint64_t bytes;
    must(store_fixture_open(&fixture));
    store_fixture_close(&fixture);
    for (size_t i = 1; i < 3; i++) {
        int fd = open(file(names[i]), O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0 && ftruncate(fd, 600 << 10) == 0);
        close(fd);
    }
    assert_int_equal(unlink(file(WR_STORE_FILE)), 0);
    (void)unlink(file(WR_STORE_FILE "-wal"));
    must(store_fixture_open(&fixture));
    for (int i = 0; i < 3000 && count(WR_STORE_FILE ".corrupt-", &bytes) == 2; i++)
        store_fixture_segment(&fixture, 1, 200, 10);
    assert_int_equal(access(file(names[1]), F_OK), -1);
    assert_int_equal(access(file(names[2]), F_OK), 0);
}

/* No more of it goes than has to: what is left may still be salvaged. */
static void a_large_one_goes_in_pieces(void **state) {
    (void)state;
    static const char name[] = WR_STORE_FILE ".corrupt-1700000000";
    struct stat status;
    must(store_fixture_open(&fixture));
    const int fd = open(file(name), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0 && ftruncate(fd, 9 << 20) == 0);
    close(fd);
    store_fixture_close(&fixture);
    assert_int_equal(unlink(file(WR_STORE_FILE)), 0);
    (void)unlink(file(WR_STORE_FILE "-wal"));
    must(store_fixture_open(&fixture));
    off_t size = 9 << 20;
    unsigned cuts = 0;
    for (int i = 0; i < 3000 && access(file(name), F_OK) == 0; i++) {
        store_fixture_segment(&fixture, 1, 200, 10);
        const off_t before = size;
        size = stat(file(name), &status) == 0 ? status.st_size : 0;
        cuts += size > 0 && size < before;
        assert_true(size == before || size == 1 << 20 || size == 0); /* with less than 3 MB aside a store of 4 MB has more room again */
    }
    assert_int_equal(size, 0);
    assert_int_equal(cuts, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(takes_and_forgets),
        TEST(its_books_are_added_to_those_on_disk),
        TEST(is_tried_again),
        TEST(whatever_the_disk_refuses),
        TEST(without_memory),
        TEST(a_name_is_given_once),
        TEST(what_a_later_version_made_is_kept),
        TEST(the_oldest_makes_room_first),
        TEST(a_large_one_goes_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
