/* A fresh store that breaks before its first commit is begun again, and pushes out nothing of what lies aside; what may hold something is never removed. And one that
 * cannot be read at a start is put aside, as a running one is. */
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

#include "store/aside.h"
#include "store/reopen.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"

#define WINDOWS 1 /* account of the fixture */
#define READINGS 10
#define OLDER WR_STORE_FILE ".corrupt-1" /* put aside long ago, and never fetched */

static struct store_fixture fixture;
static uint64_t given; /* readings */

static int setup(void **state) {
    (void)state;
    store_fixture_init(&fixture);
    given = 0;
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

static const char *path_of(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture.directory, name);
    return path;
}

static bool is_there(const char *name) {
    return access(path_of(name), F_OK) == 0;
}

static void put_file(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static unsigned n_aside(void) {
    unsigned n = 0;
    DIR *directory = opendir(fixture.directory);
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        n += strstr(entry->d_name, ".corrupt-") && !strstr(entry->d_name, "-wal") && !strstr(entry->d_name, WR_PAGE_ONE);
    closedir(directory);
    return n;
}

static uint64_t quarantines(void) {
    return atomic_load(&wr_store_stats(fixture.store)->quarantines);
}

static void give(void) {
    store_fixture_fill(&fixture, WINDOWS, 1, READINGS);
    store_fixture_take(&fixture);
    given += READINGS;
}

/* Every descriptor of the store becomes one on which nothing can be read, written or locked; the next commit finds it out. */
static void kill_handle(void) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    for (int fd = 0; fd < 256; fd++) {
        char link[64], path[512];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        const ssize_t len = readlink(link, path, sizeof path - 1);
        path[len > 0 ? len : 0] = 0;
        if (strstr(path, fixture.directory) && strstr(path, WR_STORE_FILE))
            assert_int_equal(dup2(ends[0], fd), fd);
    }
    close(ends[0]);
    close(ends[1]);
    give();
    assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_IO);
}

/* The file stays what it is to the system, with other bytes in it. */
static void scribble(void) {
    const int fd = open(path_of(WR_STORE_FILE), O_WRONLY | O_CLOEXEC);
    char noise[8192];
    memset(noise, 'x', sizeof noise);
    assert_true(fd >= 0 && pwrite(fd, noise, sizeof noise, 0) == sizeof noise);
    close(fd);
    assert_int_equal(unlink(path_of(WR_STORE_FILE "-wal")), 0);
}

static enum wr_result reopen(void) {
    store_fixture_advance(&fixture, WR_REOPEN_AFTER_NS);
    return wr_store_reopen(fixture.store, &fixture.now, &fixture.err);
}

/* A store with rows broke while the handle was dead: it lies aside beside an older one, and a fresh one is open that has seen no commit. */
static void break_one_with_rows(void) {
    must(store_fixture_open(&fixture));
    give();
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    put_file(OLDER, "what somebody may still want to look at");
    kill_handle();
    scribble();
    must(reopen());
    assert_int_equal(quarantines(), 1);
    assert_int_equal(n_aside(), 2);
}

/* What was committed in the broken one is lost to this one until it is salvaged; nothing else is. */
static void settle(uint64_t lost) {
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    const struct wr_account_balance balance = store_fixture_balance(&fixture, WINDOWS);
    assert_int_equal(balance.books[WR_BOOK_DROPPED_STORE], lost);
    assert_int_equal(wr_balance_held(&balance) + balance.open, given - lost);
}

static void a_fresh_one_that_breaks_is_begun_again(void **state) {
    (void)state;
    break_one_with_rows();
    for (int i = 0; i < 5; i++) {
        const uint64_t epoch = wr_store_epoch(fixture.store);
        kill_handle();
        scribble();
        must(reopen());
        assert_true(wr_store_epoch(fixture.store) != epoch);
        assert_true(n_aside() == 2 && is_there(OLDER));
    }
    assert_int_equal(quarantines(), 1);
    settle(READINGS);
    kill_handle(); /* now it has something, and is a store like any other: the older one makes room for it */
    scribble();
    must(reopen());
    assert_int_equal(quarantines(), 2);
    assert_true(n_aside() == WR_ASIDE_KEEP && !is_there(OLDER));
    settle(given - READINGS);
}

/* The books come into a fresh one with the commit that makes it one: a kill before the next costs what was open, and nothing of what was counted. */
static void killed_before_the_next_commit(void **state) {
    (void)state;
    for (int again = 0; again < 2; again++) {
        break_one_with_rows();
        if (again) { /* also in place of a blank one */
            kill_handle();
            scribble();
            must(reopen());
        }
        store_fixture_abandon(&fixture);
        must(store_fixture_open(&fixture));
        const struct wr_account_balance balance = store_fixture_balance(&fixture, WINDOWS);
        assert_int_equal(balance.books[WR_BOOK_TAKEN], given);
        assert_int_equal(balance.books[WR_BOOK_DROPPED_STORE], READINGS);
        assert_int_equal(balance.books[WR_BOOK_DROPPED_CRASH], given - READINGS);
        assert_int_equal(fixture.report.doubted_accounts, 0);
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

/* Its commits fail for as long again: nothing is tried with it any more. */
static void so_is_one_that_takes_no_commit(void **state) {
    (void)state;
    break_one_with_rows();
    for (int i = 0; i < 3; i++) {
        const uint64_t epoch = wr_store_epoch(fixture.store);
        kill_handle();
        must(reopen());
        assert_true(wr_store_epoch(fixture.store) != epoch);
        assert_true(n_aside() == 2 && is_there(OLDER) && quarantines() == 1);
    }
    settle(READINGS);
}

/* All that it has, while it is open and nothing fails: what is read is nonsense then. */
static void scribble_all(void) {
    struct stat status;
    char noise[8192];
    memset(noise, 'x', sizeof noise);
    const int fd = open(path_of(WR_STORE_FILE), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    for (off_t at = 0; at < status.st_size; at += (off_t)sizeof noise)
        assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
    close(fd);
}

static uint64_t written(void) {
    return atomic_load(&wr_store_stats(fixture.store)->written_bytes);
}

/* To make one writes all that it may ever have: not as often as commits are tried. */
static void once_a_minute_at_most(void **state) {
    (void)state;
    break_one_with_rows();
    for (int i = 0; i < 3; i++) {
        const uint64_t epoch = wr_store_epoch(fixture.store);
        const uint64_t before = written();
        scribble_all();
        give();
        for (int second = 0; second < 10; second++) {
            store_fixture_advance(&fixture, WR_NS_PER_S);
            assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_IO);
        }
        assert_true(wr_store_epoch(fixture.store) == epoch && written() - before < fixture.options.budget_bytes / 4);
        must(reopen());
        assert_true(wr_store_epoch(fixture.store) != epoch);
    }
    assert_int_equal(quarantines(), 1);
    settle(READINGS);
}

/* Anything that is committed makes it one that holds something. */
static void a_count_is_something_too(void **state) {
    (void)state;
    break_one_with_rows();
    const struct wr_budget_count count = {.spent = 7};
    must(wr_store_offer(fixture.store, WR_LANE_WINDOWS, 3, &fixture.now, &fixture.err));
    assert_false(wr_reopen_is_blank(fixture.store));
    wr_store_count_put(fixture.store, 0, &count, true, &fixture.now);
    settle(READINGS);
}

/* Somebody else's, in its place: it may have rows, and there is no room for it aside. It waits until there is. */
static void another_file_is_not_removed(void **state) {
    (void)state;
    break_one_with_rows();
    assert_true(wr_reopen_is_blank(fixture.store));
    kill_handle();
    char to[512];
    snprintf(to, sizeof to, "%s", path_of(WR_STORE_FILE));
    put_file("other", "a store, from a disk with bad sectors: its first page is nonsense, and behind it there may be rows");
    assert_int_equal(rename(path_of("other"), to), 0);
    struct stat before, after;
    assert_int_equal(stat(path_of(WR_STORE_FILE), &before), 0);
    for (int i = 0; i < 2 * WR_REOPEN_TRIES; i++) {
        assert_int_equal(reopen(), WR_CORRUPT);
        assert_true(wr_store_is_gone(fixture.store) && wr_store_reopen_due(fixture.store) > fixture.now.boot_ns);
        assert_int_equal(stat(path_of(WR_STORE_FILE), &after), 0);
        assert_true(after.st_ino == before.st_ino && after.st_size == before.st_size);
        assert_true(n_aside() == 2 && is_there(OLDER) && quarantines() == 1);
    }
    assert_int_equal(unlink(path_of(OLDER)), 0);
    must(reopen());
    assert_int_equal(quarantines(), 2);
    assert_int_equal(n_aside(), 2);
    settle(READINGS);
}

/* The same file, which could not be removed; but somebody has touched it since it was closed. */
static void nor_is_one_that_was_changed(void **state) {
    (void)state;
    struct stat before, after;
    break_one_with_rows();
    kill_handle();
    scribble();
    assert_int_equal(unlink(path_of(WR_STORE_FILE WR_PAGE_ONE)), 0);
    assert_int_equal(mkdir(path_of(WR_STORE_FILE WR_PAGE_ONE), 0700), 0);
    assert_int_equal(reopen(), WR_IO);
    assert_non_null(strstr(fixture.err.text, "cannot remove"));
    assert_true(wr_reopen_is_blank(fixture.store));
    assert_int_equal(stat(path_of(WR_STORE_FILE), &before), 0);
    do
        put_file(WR_STORE_FILE, "other bytes");
    while (stat(path_of(WR_STORE_FILE), &after) == 0 && memcmp(&after.st_ctim, &before.st_ctim, sizeof after.st_ctim) == 0);
    assert_true(after.st_ino == before.st_ino);
    assert_false(wr_reopen_is_blank(fixture.store));
    assert_int_equal(rmdir(path_of(WR_STORE_FILE WR_PAGE_ONE)), 0);
    assert_int_equal(reopen(), WR_CORRUPT);
    assert_true(is_there(WR_STORE_FILE) && is_there(OLDER));
}

/* What could not be removed is, once it can be. */
static void what_cannot_be_removed_waits(void **state) {
    (void)state;
    break_one_with_rows();
    kill_handle();
    scribble();
    assert_int_equal(unlink(path_of(WR_STORE_FILE WR_PAGE_ONE)), 0);
    assert_int_equal(mkdir(path_of(WR_STORE_FILE WR_PAGE_ONE), 0700), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(reopen(), WR_IO);
    assert_int_equal(rmdir(path_of(WR_STORE_FILE WR_PAGE_ONE)), 0);
    must(reopen());
    assert_true(n_aside() == 2 && is_there(OLDER) && quarantines() == 1);
    settle(READINGS);
}

/* -- at a start -------------------------------------------------------------------------------------------------------------------------- */

static void begin_without(void) {
    must(wr_store_open_without(fixture.directory, &fixture.options, &fixture.now, fixture.symbols, &fixture.store, &fixture.err));
    must(wr_store_accounts(fixture.store, store_accounts, STORE_ACCOUNTS, true, &fixture.err));
    memset(fixture.taken, 0, sizeof fixture.taken);
}

static enum wr_result attach(void) {
    return wr_store_attach(fixture.store, &fixture.now, &fixture.report, &fixture.err);
}

/* The files of the faulty disk cannot be renamed: one of the system's stands for them. */
static void what_cannot_be_read_is_put_aside_at_a_start(void **state) {
    (void)state;
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    fixture.options.vfs = wr_fault_vfs_name(disk);
    must(store_fixture_open(&fixture));
    store_fixture_segment(&fixture, WINDOWS, 4, READINGS);
    store_fixture_close(&fixture);
    wr_fault_vfs_bad(disk, WR_STORE_FILE, 0, UINT64_C(1) << 40);
    put_file(WR_STORE_FILE, "stands for it");
    begin_without();
    const int64_t first_ns = fixture.now.boot_ns;
    unsigned tries = 0;
    for (; fixture.now.boot_ns < first_ns + WR_REOPEN_TRIES * WR_REOPEN_AFTER_NS; tries++) {
        give();
        assert_int_equal(attach(), WR_IO);
        assert_int_equal(n_aside(), 0);
        store_fixture_advance(&fixture, tries < 5 ? WR_NS_PER_S : WR_REOPEN_AFTER_NS);
    }
    assert_true(tries >= WR_REOPEN_TRIES);
    for (int i = 0; i < WR_REOPEN_TRIES - 1; i++) { /* the fresh one stands on the same disk */
        assert_int_equal(attach(), WR_IO);
        assert_int_equal(n_aside(), 1);
        put_file(WR_STORE_FILE, "stands for the fresh one");
        store_fixture_advance(&fixture, WR_REOPEN_AFTER_NS);
    }
    wr_fault_vfs_bad(disk, NULL, 0, 0);
    wr_fault_vfs_remove(disk, WR_STORE_FILE);
    wr_fault_vfs_remove(disk, WR_STORE_FILE "-wal");
    must(attach());
    assert_true(fixture.report.quarantined && fixture.report.fresh && is_there(fixture.report.aside));
    assert_true(wr_store_reopen_due(fixture.store) == WR_NEVER_NS);
    const uint64_t dropped = given;
    give();
    settle(dropped);
    store_fixture_abandon(&fixture);
    wr_fault_vfs_free(disk);
}

static void make_it_newer(const struct wr_fault_vfs *disk) {
    sqlite3 *database;
    assert_int_equal(sqlite3_open_v2(path_of(WR_STORE_FILE), &database, SQLITE_OPEN_READWRITE, wr_fault_vfs_name(disk)), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static bool says(const char *name, const char *text) {
    char found[64] = "";
    FILE *file = fopen(path_of(name), "r");
    assert_non_null(file);
    const size_t n = fread(found, 1, sizeof found - 1, file);
    assert_int_equal(fclose(file), 0);
    return n == strlen(text) && strcmp(found, text) == 0;
}

/* A fresh one in its place is removed, as nothing was ever in it. The later version's stays what it is: neither read nor written, nor called broken. */
static void beside_one_of_a_later_version(void **state) {
    (void)state;
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    const struct wr_fault_plan dead = {.kind = WR_FAULT_EIO, .calls = WR_FAULT_SYNC, .for_good = true};
    fixture.options.vfs = wr_fault_vfs_name(disk);
    must(store_fixture_open(&fixture));
    store_fixture_close(&fixture);
    make_it_newer(disk);
    put_file(WR_STORE_FILE, "stands for it");
    begin_without();
    assert_int_equal(attach(), WR_UNSUPPORTED);
    wr_fault_vfs_remove(disk, WR_STORE_FILE);
    put_file(WR_STORE_FILE, ""); /* and for the fresh one */
    wr_fault_vfs_plan(disk, &dead);
    for (int i = 0; is_there(WR_STORE_FILE); i++) {
        assert_true(i <= WR_REOPEN_TRIES);
        assert_int_equal(attach(), WR_IO);
        store_fixture_advance(&fixture, WR_REOPEN_AFTER_NS);
    }
    wr_fault_vfs_plan(disk, NULL);
    must(attach());
    assert_true(fixture.report.quarantined && fixture.report.aside_newer && fixture.report.fresh);
    assert_true(says(fixture.report.aside, "stands for it"));
    assert_int_equal(wr_store_lost_books(fixture.store)->n, 1);
    assert_int_equal(quarantines(), 0);
    store_fixture_abandon(&fixture);
    wr_fault_vfs_free(disk);
}

/* Its disk was away: that says nothing about the file, and it has all its time when it is seen again. */
static void what_was_not_there_has_its_time(void **state) {
    (void)state;
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    const struct wr_fault_plan dead = {.kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY, .for_good = true};
    fixture.options.vfs = wr_fault_vfs_name(disk);
    must(store_fixture_open(&fixture));
    store_fixture_segment(&fixture, WINDOWS, 4, READINGS);
    store_fixture_close(&fixture);
    wr_fault_vfs_plan(disk, &dead);
    begin_without();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3 * WR_REOPEN_TRIES; i++) {
            assert_int_equal(attach(), WR_IO);
            store_fixture_advance(&fixture, WR_REOPEN_AFTER_NS);
        }
        put_file(WR_STORE_FILE, "stands for it");
        for (int i = 0; i < WR_REOPEN_TRIES - 1; i++) {
            assert_int_equal(attach(), WR_IO);
            assert_int_equal(n_aside(), 0);
            store_fixture_advance(&fixture, WR_REOPEN_AFTER_NS);
        }
        assert_int_equal(unlink(path_of(WR_STORE_FILE)), 0);
    }
    wr_fault_vfs_plan(disk, NULL);
    must(attach());
    assert_false(fixture.report.quarantined || fixture.report.fresh);
    store_fixture_abandon(&fixture);
    wr_fault_vfs_free(disk);
}

/* Somebody else's, or no file at all: that is no damage, however long it lasts. */
static void what_must_not_be_read_is_left_alone(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of(WR_STORE_FILE), 0700), 0);
    begin_without();
    for (int i = 0; i < 3 * WR_REOPEN_TRIES; i++) {
        assert_int_equal(attach(), WR_IO);
        assert_true(n_aside() == 0 && is_there(WR_STORE_FILE));
        store_fixture_advance(&fixture, WR_REOPEN_AFTER_NS);
    }
    assert_int_equal(rmdir(path_of(WR_STORE_FILE)), 0);
    must(attach());
    assert_false(fixture.report.quarantined);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_one_that_breaks_is_begun_again),
        TEST(killed_before_the_next_commit),
        TEST(so_is_one_that_takes_no_commit),
        TEST(once_a_minute_at_most),
        TEST(a_count_is_something_too),
        TEST(another_file_is_not_removed),
        TEST(nor_is_one_that_was_changed),
        TEST(what_cannot_be_removed_waits),
        TEST(what_cannot_be_read_is_put_aside_at_a_start),
        TEST(beside_one_of_a_later_version),
        TEST(what_was_not_there_has_its_time),
        TEST(what_must_not_be_read_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
