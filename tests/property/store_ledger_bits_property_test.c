/* One bit of the books on disk is another one: an audit of the store does not balance, and names an account; or the store cannot be read as one any more. And a start
 * does not forget it. Each bit of each cell, a sample of the bits of their pages, and of the account lists of segments. */
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/control/audit.h"
#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define PAGE 2048
#define PAGE_SAMPLE 1500
#define STARTS 40
#define DUMP_BYTES 16384

static struct store_fixture fixture;
static struct wr_random dice;

static void must(enum wr_result result) {
    store_fixture_must(&fixture, result);
}

/* A store that is closed, with many sorts of books: delivered, held, dropped for some reasons and told, bad, late and rejected. */
static int setup(void **state) {
    (void)state;
    store_fixture_init(&fixture);
    must(store_fixture_open(&fixture));
    for (int i = 0; i < 4; i++)
        store_fixture_segment(&fixture, 1, 10, 10);
    store_fixture_segment(&fixture, 0, 3, 5);
    must(wr_store_ack(fixture.store, WR_LANE_WINDOWS, 1, 2, &fixture.now, &fixture.err));
    static const enum wr_book dropped[] = {WR_BOOK_DROPPED_LATE, WR_BOOK_DROPPED_OVERFLOW};
    for (size_t i = 0; i < sizeof dropped / sizeof dropped[0]; i++) {
        wr_store_book(fixture.store, 1, WR_BOOK_TAKEN, 5 + i);
        wr_store_book(fixture.store, 1, dropped[i], 5 + i);
    }
    wr_store_book(fixture.store, 1, WR_BOOK_BAD, 7);
    wr_store_book(fixture.store, 1, WR_BOOK_WIDENED, 20);
    wr_store_book(fixture.store, 0, WR_BOOK_LATE, 2);
    wr_store_book(fixture.store, 2, WR_BOOK_REJECTED_SYNTAX, 11);
    store_fixture_close(&fixture);
    store_fixture_forget_wal(&fixture);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_fixture_fini(&fixture);
    return 0;
}

static sqlite3 *open_database(void) {
    static char path[512];
    sqlite3 *database;
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE, fixture.directory);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    return database;
}

/* What an audit says: whether something was found. *ret_named: an account is, or what is of none. */
static bool finds_it(bool *ret_named) {
    struct wr_audit audit;
    *ret_named = false;
    if (wr_audit_stopped(fixture.directory, &audit, &fixture.err) != WR_OK)
        return true;
    for (uint32_t i = 0; i < audit.n; i++)
        *ret_named |= !wr_balance_check(&audit.balances[i], NULL, NULL);
    *ret_named |= audit.segments.of_nobody > 0;
    const bool balanced = audit.balanced;
    wr_audit_fini(&audit);
    return !balanced;
}

/* Its words, until the next call. */
static const char *words(bool json) {
    static char text[16384];
    struct wr_audit audit;
    struct wr_buf into;
    must(wr_audit_stopped(fixture.directory, &audit, &fixture.err));
    wr_buf_init(&into, 0);
    assert_int_equal(wr_audit_print(&audit, json, &into), WR_OK);
    snprintf(text, sizeof text, "%s", wr_buf_str(&into));
    wr_buf_fini(&into);
    wr_audit_fini(&audit);
    return text;
}

/* -- cells ------------------------------------------------------------------------------------------------------------------------------------- */

static bool run(const char *sql, int64_t value, int64_t a, int64_t b) {
    sqlite3 *database = open_database();
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_int64(statement, 1, value);
    sqlite3_bind_int64(statement, 2, a);
    sqlite3_bind_int64(statement, 3, b);
    const bool done = sqlite3_step(statement) == SQLITE_DONE && sqlite3_changes(database) == 1;
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return done;
}

struct row {
    int64_t account;
    int64_t book;
    int64_t readings;
};

static uint32_t rows_of(const char *sql, struct row *rows, uint32_t max) {
    sqlite3 *database = open_database();
    sqlite3_stmt *statement;
    uint32_t n = 0;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    for (; sqlite3_step(statement) == SQLITE_ROW; n++) {
        assert_true(n < max);
        rows[n] = (struct row){sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1), sqlite3_column_int64(statement, 2)};
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return n;
}

static void is_found(const char *what, const struct row *row, int bit) {
    bool named;
    if (!finds_it(&named) || !named)
        fail_msg("%s of account %lld, book %lld, %lld readings: bit %d", what, (long long)row->account, (long long)row->book,
                 (long long)row->readings, bit);
}

static void each_bit_of_the_ledger(void **state) {
    (void)state;
    struct row rows[64];
    const uint32_t n = rows_of("SELECT account, reason, readings FROM ledger", rows, 64);
    bool named;
    assert_false(finds_it(&named));
    assert_true(n > 15);
    for (uint32_t i = 0; i < n; i++)
        for (int bit = 0; bit < 63; bit++) {
            const int64_t flip = INT64_C(1) << bit;
            const struct row *row = &rows[i];
            assert_true(
                run("UPDATE ledger SET readings = ?1 WHERE account = ?2 AND reason = ?3", row->readings ^ flip, row->account, row->book));
            is_found("readings", row, bit);
            assert_true(run("UPDATE ledger SET readings = ?1 WHERE account = ?2 AND reason = ?3", row->readings, row->account, row->book));
            if (run("UPDATE ledger SET reason = ?1 WHERE account = ?2 AND reason = ?3", row->book ^ flip, row->account, row->book)) {
                is_found("reason", row, bit);
                assert_true(
                    run("UPDATE ledger SET reason = ?1 WHERE account = ?2 AND reason = ?3", row->book, row->account, row->book ^ flip));
            }
            if (run("UPDATE ledger SET account = ?1 WHERE account = ?2 AND reason = ?3", row->account ^ flip, row->account, row->book)) {
                is_found("account", row, bit);
                assert_true(
                    run("UPDATE ledger SET account = ?1 WHERE account = ?2 AND reason = ?3", row->account, row->account ^ flip, row->book));
            }
        }
    assert_false(finds_it(&named));
}

static void each_bit_of_a_name(void **state) {
    (void)state;
    static const char *const columns[] = {"source", "window"};
    struct row rows[16];
    char sql[256];
    for (size_t c = 0; c < 2; c++) {
        snprintf(sql, sizeof sql, "SELECT id, length(%s), 0 FROM account", columns[c]);
        const uint32_t n = rows_of(sql, rows, 16);
        assert_int_equal(n, STORE_ACCOUNTS);
        for (uint32_t i = 0; i < n; i++)
            for (int64_t bit = 0; bit < 7 * rows[i].book; bit++) {
                struct row letter;
                snprintf(sql, sizeof sql, "SELECT id, unicode(substr(%s, %lld, 1)), 0 FROM account WHERE id = %lld", columns[c],
                         (long long)(bit / 7 + 1), (long long)rows[i].account);
                assert_int_equal(rows_of(sql, &letter, 1), 1);
                if ((letter.book ^ (1 << bit % 7)) == 0)
                    continue;
                snprintf(sql, sizeof sql, "UPDATE account SET %s = substr(%s, 1, ?3 - 1) || char(?1) || substr(%s, ?3 + 1) WHERE id = ?2",
                         columns[c], columns[c], columns[c]);
                assert_true(run(sql, letter.book ^ (1 << bit % 7), rows[i].account, bit / 7 + 1));
                is_found(columns[c], &rows[i], (int)bit);
                assert_true(run(sql, letter.book, rows[i].account, bit / 7 + 1));
            }
        for (uint32_t i = 0; i < n; i++)
            for (int bit = 0; bit < 62; bit++)
                if (run("UPDATE account SET id = ?1 WHERE id = ?2", rows[i].account ^ INT64_C(1) << bit, rows[i].account, 0)) {
                    is_found("id", &rows[i], bit);
                    assert_true(run("UPDATE account SET id = ?1 WHERE id = ?2", rows[i].account, rows[i].account ^ INT64_C(1) << bit, 0));
                }
    }
    bool named;
    assert_false(finds_it(&named));
}

static void flip_in_list(int64_t id, int bit) {
    sqlite3 *database = open_database();
    sqlite3_blob *blob;
    uint8_t byte = 0;
    assert_int_equal(sqlite3_blob_open(database, "main", "seg", "accounts", id, 1, &blob), SQLITE_OK);
    assert_int_equal(sqlite3_blob_read(blob, &byte, 1, bit / 8), SQLITE_OK);
    byte ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(sqlite3_blob_write(blob, &byte, 1, bit / 8), SQLITE_OK);
    sqlite3_blob_close(blob);
    sqlite3_close(database);
}

/* Of segments that are still to be delivered; nobody reads those of the others. */
static void each_bit_of_a_list(void **state) {
    (void)state;
    struct row rows[16];
    const uint32_t n = rows_of("SELECT id, length(accounts), 0 FROM seg WHERE length(accounts) > 0 AND id & 0xffffffff > 2", rows, 16);
    assert_int_equal(n, 3);
    for (uint32_t i = 0; i < n; i++)
        for (int64_t bit = 0; bit < 8 * rows[i].book; bit++) {
            flip_in_list(rows[i].account, (int)bit);
            is_found("the list", &rows[i], (int)bit);
            flip_in_list(rows[i].account, (int)bit);
        }
    bool named;
    assert_false(finds_it(&named));
}

/* -- pages ------------------------------------------------------------------------------------------------------------------------------------- */

static void flip(off_t at, int bit) {
    char path[512];
    uint8_t byte = 0;
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE, fixture.directory);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= (uint8_t)(1 << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* All that the two tables say. False: not readable. */
static bool dump(char text[DUMP_BYTES]) {
    static const char *const queries[] = {"SELECT account, reason, readings FROM ledger ORDER BY 1, 2, 3",
                                          "SELECT id, source, window FROM account ORDER BY 1, 2, 3"};
    size_t len = 0;
    bool readable = true;
    sqlite3 *database = open_database();
    for (size_t q = 0; q < 2; q++) {
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(database, queries[q], -1, &statement, NULL);
        while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
            for (int i = 0; i < 3; i++)
                len += (size_t)snprintf(text + len, DUMP_BYTES - len, "%s|", (const char *)sqlite3_column_text(statement, i));
            assert_true(len < DUMP_BYTES);
            code = SQLITE_OK;
        }
        readable &= code == SQLITE_DONE;
        sqlite3_finalize(statement);
    }
    sqlite3_close(database);
    return readable;
}

/* After a start, which may put it aside, it is still known. */
static bool outlives_a_start(void) {
    bool named;
    must(store_fixture_open(&fixture));
    const bool aside = fixture.report.quarantined;
    const bool told = fixture.report.doubted_accounts > 0;
    store_fixture_close(&fixture);
    return aside || (finds_it(&named) && told);
}

static void a_bit_of_a_page(void **state) {
    static char before[DUMP_BYTES], after[DUMP_BYTES];
    struct row root;
    unsigned found = 0, starts = 0;
    assert_true(dump(before));
    for (int i = 0; i < PAGE_SAMPLE; i++) {
        const char *table = i % 2 == 0 ? "SELECT rootpage, 0, 0 FROM sqlite_master WHERE name = 'ledger'"
                                       : "SELECT rootpage, 0, 0 FROM sqlite_master WHERE name = 'account'";
        bool named;
        assert_int_equal(rows_of(table, &root, 1), 1);
        const int bit = (int)wr_random_below(&dice, 8);
        /* where the cells are, mostly: they fill a page from its end */
        const off_t in_page =
            (off_t)(wr_random_below(&dice, 4) > 0 ? PAGE - 1 - wr_random_below(&dice, 400) : wr_random_below(&dice, PAGE));
        const off_t at = (root.account - 1) * PAGE + in_page;
        flip(at, bit);
        const bool hit = finds_it(&named);
        if (!hit && (!dump(after) || strcmp(before, after) != 0))
            fail_msg("bit %d of byte %lld of page %lld", bit, (long long)in_page, (long long)root.account);
        found += hit;
        if (hit && named && starts < STARTS) {
            starts++;
            if (!outlives_a_start())
                fail_msg("a start forgets bit %d of byte %lld of page %lld", bit, (long long)in_page, (long long)root.account);
            assert_int_equal(teardown(state) | setup(state), 0);
            continue;
        }
        flip(at, bit);
    }
    assert_true(found > PAGE_SAMPLE / 10 && starts == STARTS);
}

/* -- other versions ---------------------------------------------------------------------------------------------------------------------------- */

/* An earlier version of the program changes books, and knows of no checks. */
static void an_earlier_version_is_believed(void **state) {
    (void)state;
    bool named;
    assert_true(run("UPDATE ledger SET readings = readings + ?1 WHERE reason = 3 AND ?2 = ?3", 7, 0, 0));
    assert_true(run("UPDATE meta SET value = value + ?1 WHERE key = 'wall_ns' AND ?2 = ?3", 1, 0, 0));
    assert_false(finds_it(&named));
    must(store_fixture_open(&fixture));
    assert_int_equal(fixture.report.doubted_accounts, 0);
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_BAD], 14);
    store_fixture_close(&fixture);
    assert_false(finds_it(&named));
    assert_true(run("UPDATE ledger SET readings = readings + ?1 WHERE reason = 3 AND ?2 = ?3", 7, 0, 0)); /* it has checks again */
    assert_true(finds_it(&named) && named);
    const char *line = strstr(words(false), "floor / m1: ");
    assert_non_null(line);
    assert_true(strstr(line, "CHANGED") < strchr(line, '\n') && strstr(line, "\nNOT BALANCED\n"));
    assert_non_null(strstr(words(true), "\"changed\":true,\"balanced\":false"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_bit_of_the_ledger),         TEST(each_bit_of_a_name), TEST(each_bit_of_a_list), TEST(a_bit_of_a_page),
        TEST(an_earlier_version_is_believed),
    };
    dice = wr_random_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
