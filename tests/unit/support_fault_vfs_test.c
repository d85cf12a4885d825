/* The faulty disk itself: what it keeps and loses at a cut, what a failed sync means, which call fails with what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/fault_vfs.h"

#define SEEDS 200
#define SECTOR WR_FAULT_SECTOR_BYTES

static struct wr_fault_vfs *disk;

static int setup(void **state) {
    (void)state;
    disk = wr_fault_vfs_new(7);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    wr_fault_vfs_free(disk);
    disk = NULL;
    return 0;
}

/* A file without a database on it */

static sqlite3_vfs *vfs(void) {
    return sqlite3_vfs_find(wr_fault_vfs_name(disk));
}

static sqlite3_file *open_file(const char *name, int kind) {
    sqlite3_file *file = calloc(1, (size_t)vfs()->szOsFile);
    assert_non_null(file);
    assert_int_equal(vfs()->xOpen(vfs(), name, file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | kind, NULL), SQLITE_OK);
    return file;
}

static void close_file(sqlite3_file *file) {
    assert_int_equal(file->pMethods->xClose(file), SQLITE_OK);
    free(file);
}

static int put(sqlite3_file *file, char with, int len, int64_t at) {
    static char bytes[16 * SECTOR];
    memset(bytes, with, (size_t)len);
    return file->pMethods->xWrite(file, bytes, len, at);
}

static int sync_file(sqlite3_file *file) {
    return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

static void cut(enum wr_fault_kept kept) {
    wr_fault_vfs_cut(disk);
    wr_fault_vfs_power(disk, kept);
}

static bool file_is(const char *name, char with, uint64_t len) {
    uint64_t got = 0;
    const uint8_t *bytes = wr_fault_vfs_file(disk, name, &got);
    if (!bytes || got != len)
        return false;
    for (uint64_t i = 0; i < len; i++)
        if (bytes[i] != (uint8_t)with)
            return false;
    return true;
}

/* One sector of 'A' on the disk, 'B' written over it. */
static void a_then_b(void) {
    sqlite3_file *file = open_file("/x", SQLITE_OPEN_WAL);
    assert_int_equal(put(file, 'A', SECTOR, 0), SQLITE_OK);
    assert_int_equal(sync_file(file), SQLITE_OK);
    assert_int_equal(put(file, 'B', SECTOR, 0), SQLITE_OK);
    close_file(file);
}

static void test_only_a_sync_makes_it_last(void **state) {
    (void)state;
    a_then_b();
    assert_true(file_is("/x", 'B', SECTOR));
    struct wr_fault_vfs *other = wr_fault_vfs_copy(disk);
    cut(WR_FAULT_NOTHING);
    assert_true(file_is("/x", 'A', SECTOR));
    wr_fault_vfs_free(disk);
    disk = other; /* what the first disk lost is still on its way here */
    cut(WR_FAULT_ALL);
    assert_true(file_is("/x", 'B', SECTOR));
    cut(WR_FAULT_NOTHING);
    assert_true(file_is("/x", 'B', SECTOR)); /* what was kept is on the disk */
}

static void test_a_sector_is_old_new_or_torn(void **state) {
    (void)state;
    static const enum wr_fault_kept ways[] = {WR_FAULT_SECTORS, WR_FAULT_PREFIX};
    for (size_t way = 0; way < 2; way++) {
        int old = 0;
        int fresh = 0;
        int torn = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            wr_fault_vfs_free(disk);
            disk = wr_fault_vfs_new(seed);
            a_then_b();
            cut(ways[way]);
            uint64_t len = 0;
            const uint8_t *bytes = wr_fault_vfs_file(disk, "/x", &len);
            assert_int_equal(len, SECTOR);
            uint64_t n = 0;
            while (n < len && bytes[n] == 'B')
                n++;
            old += n == 0;
            fresh += n == len;
            torn += n > 0 && n < len;
            for (; n < len; n++)
                assert_int_equal(bytes[n], 'A');
        }
        assert_true(old > 0 && fresh > 0 && torn > 0);
    }
}

static void test_sectors_come_in_any_order(void **state) {
    (void)state;
    bool later_only = false;
    bool shorter = false;
    bool longer = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        wr_fault_vfs_free(disk);
        disk = wr_fault_vfs_new(seed);
        sqlite3_file *file = open_file("/x", SQLITE_OPEN_WAL);
        put(file, 'A', 2 * SECTOR, 0);
        sync_file(file);
        put(file, 'B', SECTOR, 0);
        put(file, 'C', 3 * SECTOR, SECTOR);
        close_file(file);
        cut(WR_FAULT_SECTORS);
        uint64_t len = 0;
        const uint8_t *bytes = wr_fault_vfs_file(disk, "/x", &len);
        later_only |= bytes[0] == 'A' && bytes[SECTOR] == 'C';
        shorter |= len == 2 * SECTOR;
        longer |= len == 4 * SECTOR && bytes[4 * SECTOR - 1] == 0; /* a length without its data */
    }
    assert_true(later_only && shorter && longer);
}

static void test_a_failed_sync_loses_what_it_should_have_written(void **state) {
    (void)state;
    a_then_b();
    sqlite3_file *file = open_file("/x", SQLITE_OPEN_WAL);
    wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_EIO, WR_FAULT_SYNC, 0, false});
    assert_int_equal(sync_file(file), SQLITE_IOERR_FSYNC);
    assert_true(wr_fault_vfs_hit(disk));
    assert_int_equal(sync_file(file), SQLITE_OK); /* says yes, as Linux does, and had nothing to write */
    struct wr_fault_vfs *before = wr_fault_vfs_copy(disk);
    assert_int_equal(put(file, 'C', 8, SECTOR), SQLITE_OK); /* the same page */
    assert_int_equal(sync_file(file), SQLITE_OK);
    close_file(file);
    cut(WR_FAULT_NOTHING);
    uint64_t len = 0;
    assert_int_equal(wr_fault_vfs_file(disk, "/x", &len)[0], 'B');
    assert_int_equal(len, SECTOR + 8);
    wr_fault_vfs_free(disk);
    disk = before;
    cut(WR_FAULT_NOTHING);
    assert_true(file_is("/x", 'A', SECTOR));
}

static void test_a_lying_sync_does_nothing(void **state) {
    (void)state;
    a_then_b();
    sqlite3_file *file = open_file("/x", SQLITE_OPEN_WAL);
    wr_fault_vfs_lie(disk, 2);
    assert_int_equal(sync_file(file), SQLITE_OK);
    assert_int_equal(put(file, 'C', SECTOR, 0), SQLITE_OK);
    assert_int_equal(sync_file(file), SQLITE_OK);
    close_file(file);
    cut(WR_FAULT_NOTHING);
    assert_true(file_is("/x", 'B', SECTOR)); /* the first was honest */
}

static void test_each_call_fails_as_planned(void **state) {
    (void)state;
    a_then_b();
    sqlite3_file *file = open_file("/x", SQLITE_OPEN_WAL);
    char byte;
    sqlite3_int64 size;
    const struct sqlite3_io_methods *calls = file->pMethods;
    wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_EIO, WR_FAULT_READ | WR_FAULT_SIZE, 2, true});
    assert_int_equal(calls->xRead(file, &byte, 1, 0), SQLITE_OK);
    assert_int_equal(put(file, 'B', SECTOR, 0), SQLITE_OK); /* is not counted */
    assert_int_equal(calls->xFileSize(file, &size), SQLITE_OK);
    assert_false(wr_fault_vfs_hit(disk));
    assert_int_equal(calls->xRead(file, &byte, 1, 0), SQLITE_IOERR_READ);
    assert_int_equal(calls->xFileSize(file, &size), SQLITE_IOERR_FSTAT);
    assert_int_equal(wr_fault_vfs_count(disk, WR_FAULT_ANY), 5);
    wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_ENOMEM, WR_FAULT_READ, 0, false});
    assert_int_equal(calls->xRead(file, &byte, 1, 0), SQLITE_IOERR_NOMEM);
    assert_int_equal(calls->xRead(file, &byte, 1, 0), SQLITE_OK);
    wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_ENOSPC, WR_FAULT_WRITE, 0, false});
    assert_int_equal(put(file, 'C', SECTOR, 0), SQLITE_FULL);
    assert_true(file_is("/x", 'B', SECTOR));
    wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_SHORT, WR_FAULT_WRITE, 0, false});
    assert_int_equal(put(file, 'C', SECTOR, 0), SQLITE_IOERR_WRITE);
    uint64_t len;
    const uint8_t *bytes = wr_fault_vfs_file(disk, "/x", &len);
    assert_true(bytes[SECTOR / 2 - 1] == 'C' && bytes[SECTOR / 2] == 'B');
    wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_CUT, WR_FAULT_WRITE, 1, false});
    assert_int_equal(put(file, 'D', SECTOR, 0), SQLITE_OK);
    assert_int_equal(put(file, 'E', SECTOR, 0), SQLITE_IOERR_WRITE);
    assert_int_equal(calls->xRead(file, &byte, 1, 0), SQLITE_IOERR_READ); /* dark */
    wr_fault_vfs_power(disk, WR_FAULT_ALL);
    assert_int_equal(calls->xRead(file, &byte, 1, 0), SQLITE_IOERR_READ); /* an open file of another life */
    close_file(file);
    assert_true(file_is("/x", 'E', SECTOR));
}

static void test_the_disk_has_an_end(void **state) {
    (void)state;
    sqlite3_file *file = open_file("/x", SQLITE_OPEN_WAL);
    sqlite3_file *other = open_file("/y", SQLITE_OPEN_WAL);
    wr_fault_vfs_limit(disk, 3 * SECTOR);
    assert_int_equal(put(file, 'A', 2 * SECTOR, 0), SQLITE_OK);
    assert_int_equal(put(other, 'B', SECTOR, 0), SQLITE_OK);
    assert_int_equal(put(other, 'B', 1, SECTOR), SQLITE_FULL);
    assert_int_equal(put(file, 'C', 2 * SECTOR, 0), SQLITE_OK); /* in place */
    assert_int_equal(file->pMethods->xTruncate(file, SECTOR), SQLITE_OK);
    assert_int_equal(put(other, 'B', SECTOR, SECTOR), SQLITE_OK);
    close_file(file);
    close_file(other);
}

static void test_names_need_the_directory(void **state) {
    (void)state;
    sqlite3_file *file = open_file("/x", SQLITE_OPEN_MAIN_DB);
    put(file, 'A', SECTOR, 0);
    sync_file(file);
    close_file(file);
    struct wr_fault_vfs *other = wr_fault_vfs_copy(disk);
    uint64_t len;
    cut(WR_FAULT_NOTHING);
    assert_null(wr_fault_vfs_file(disk, "/x", &len)); /* its bytes were safe, its name was not */
    wr_fault_vfs_free(disk);
    disk = other;
    sqlite3_file *wal = open_file("/x-wal", SQLITE_OPEN_WAL);
    put(wal, 'W', SECTOR, 0);
    sync_file(wal); /* and the directory with it */
    close_file(wal);
    assert_int_equal(vfs()->xDelete(vfs(), "/x-wal", 0), SQLITE_OK);
    assert_null(wr_fault_vfs_file(disk, "/x-wal", &len));
    cut(WR_FAULT_NOTHING);
    assert_true(file_is("/x", 'A', SECTOR));
    assert_true(file_is("/x-wal", 'W', SECTOR)); /* back: its removal was not on the disk */
    assert_int_equal(vfs()->xDelete(vfs(), "/x-wal", 1), SQLITE_OK);
    cut(WR_FAULT_NOTHING);
    assert_null(wr_fault_vfs_file(disk, "/x-wal", &len));
}

/* With a database on it */

static sqlite3 *open_database(void) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2("/db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, wr_fault_vfs_name(disk)), SQLITE_OK);
    return db;
}

static int run(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void must(sqlite3 *db, const char *sql) {
    if (run(db, sql) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static int number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    int value = sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int(row, 0) : -1;
    sqlite3_finalize(row);
    return value;
}

static void make_database(sqlite3 *db) {
    must(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t(x)");
}

/* Rows of which COMMIT said yes, one of which it did not; then a cut. */
static int rows_after_a_cut(uint64_t seed, enum wr_fault_kept kept, long lie_every) {
    wr_fault_vfs_free(disk);
    disk = wr_fault_vfs_new(seed);
    sqlite3 *db = open_database();
    make_database(db);
    wr_fault_vfs_lie(disk, lie_every);
    for (int i = 0; i < 20; i++)
        must(db, "INSERT INTO t VALUES(zeroblob(3000))");
    must(db, "BEGIN; INSERT INTO t VALUES(zeroblob(3000))");
    wr_fault_vfs_cut(disk);
    assert_int_not_equal(run(db, "COMMIT"), SQLITE_OK);
    sqlite3_close(db);
    wr_fault_vfs_power(disk, kept);
    db = open_database();
    must(db, "PRAGMA locking_mode = EXCLUSIVE");
    int rows = number(db, "SELECT count(*) FROM t");
    sqlite3_close(db);
    return rows;
}

static void test_a_database_keeps_its_word_on_it(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++)
        for (int kept = WR_FAULT_ALL; kept <= WR_FAULT_SECTORS; kept++)
            assert_int_equal(rows_after_a_cut(seed, (enum wr_fault_kept)kept, 0), 20);
    assert_int_equal(rows_after_a_cut(1, WR_FAULT_NOTHING, 1), 0);
}

static void test_the_same_seed_does_the_same(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        uint64_t len[2];
        uint8_t *bytes[2];
        for (int i = 0; i < 2; i++) {
            (void)rows_after_a_cut(seed, WR_FAULT_SECTORS, 0);
            const uint8_t *file = wr_fault_vfs_file(disk, "/db", &len[i]);
            bytes[i] = malloc((size_t)len[i]);
            assert_non_null(bytes[i]);
            memcpy(bytes[i], file, (size_t)len[i]);
        }
        assert_int_equal(len[0], len[1]);
        assert_memory_equal(bytes[0], bytes[1], (size_t)len[0]);
        free(bytes[0]);
        free(bytes[1]);
    }
}

static void test_one_owner(void **state) {
    (void)state;
    sqlite3 *db = open_database();
    make_database(db);
    sqlite3 *second = open_database();
    assert_int_equal(run(second, "SELECT * FROM t"), SQLITE_BUSY);
    sqlite3_close(db);
    must(second, "PRAGMA locking_mode = EXCLUSIVE; SELECT * FROM t; INSERT INTO t VALUES(1)");
    sqlite3_close(second);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_only_a_sync_makes_it_last),
        TEST(test_a_sector_is_old_new_or_torn),
        TEST(test_sectors_come_in_any_order),
        TEST(test_a_failed_sync_loses_what_it_should_have_written),
        TEST(test_a_lying_sync_does_nothing),
        TEST(test_each_call_fails_as_planned),
        TEST(test_the_disk_has_an_end),
        TEST(test_names_need_the_directory),
        TEST(test_a_database_keeps_its_word_on_it),
        TEST(test_the_same_seed_does_the_same),
        TEST(test_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
