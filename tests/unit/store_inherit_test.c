/* What becomes of the books of a store that breaks: they go on in the next one wherever they can be read, and where they cannot that is said for good. */
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
#include "tests/support/failing.h"
#include "tests/support/fault_memory.h"
#include "tests/support/store_fixture.h"

#define PAGE 2048
#define SEGMENTS 8
#define DELIVERED 3
#define READINGS 100 /* of a segment */
#define LATE 17

static struct store_fixture fixture;
static uint64_t epoch; /* of the store that breaks */

static void must(enum wr_result result) {
    store_fixture_must(&fixture, result);
}

static const char *file(const char *suffix) {
    static char path[512];
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE "%s", fixture.directory, suffix);
    return path;
}

/* Closed, with books that are not in the tables only: some delivered, some late, some of bad quality. */
static void make_store(bool kill) {
    must(store_fixture_open(&fixture));
    epoch = wr_store_epoch(fixture.store);
    for (int i = 0; i < SEGMENTS; i++)
        store_fixture_segment(&fixture, 1, 10, READINGS / 10);
    must(wr_store_ack(fixture.store, WR_LANE_WINDOWS, 1, DELIVERED, &fixture.now, &fixture.err));
    wr_store_book(fixture.store, 1, WR_BOOK_TAKEN, LATE);
    wr_store_book(fixture.store, 1, WR_BOOK_DROPPED_LATE, LATE);
    wr_store_book(fixture.store, 1, WR_BOOK_BAD, 4);
    const struct wr_budget_count count = {.spent = 4711, .ends_wall_ns = INT64_MAX};
    wr_store_count_put(fixture.store, 1, &count, false, &fixture.now);
    if (kill) {
        must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
        store_fixture_abandon(&fixture);
    } else {
        store_fixture_close(&fixture);
    }
    store_fixture_forget_wal(&fixture);
}

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

/* -- what there is afterwards ----------------------------------------------------------------------------------------------------------------- */

static const struct wr_store_lost_books *lost(void) {
    return wr_store_lost_books(fixture.store);
}

/* Right after the opening: all that it held is dropped(store). */
static void books_go_on(void) {
    const struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
    assert_true(wr_store_epoch(fixture.store) != epoch);
    assert_int_equal(lost()->n, 0);
    assert_int_equal(balance.books[WR_BOOK_TAKEN], SEGMENTS * READINGS + LATE);
    assert_int_equal(balance.books[WR_BOOK_DELIVERED], DELIVERED * READINGS);
    assert_int_equal(balance.books[WR_BOOK_DROPPED_LATE], LATE);
    assert_int_equal(balance.books[WR_BOOK_DROPPED_STORE], (SEGMENTS - DELIVERED) * READINGS);
    assert_int_equal(balance.books[WR_BOOK_BAD], 4);
    assert_int_equal(store_fixture_balance(&fixture, 2).books[WR_BOOK_RECEIVED], SEGMENTS * READINGS);
    assert_int_equal(wr_store_count(fixture.store, 1).spent, 4711);
}

static void salvage(void) {
    for (int i = 0; i < 200; i++) {
        store_fixture_advance(&fixture, 100 * WR_NS_PER_MS);
        must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
    }
    assert_int_equal(wr_store_stats(fixture.store)->salvage, WR_SALVAGE_DONE);
}

/* They come back as recovered, and the total of both stores is what was taken; after a restart as well, and to whoever audits. */
static void what_it_held_comes_back(void) {
    salvage();
    store_fixture_close(&fixture);
    must(store_fixture_open(&fixture));
    const struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_RECOVERED], balance.books[WR_BOOK_DROPPED_STORE]);
    assert_int_equal(balance.books[WR_BOOK_DELIVERED] + wr_balance_held(&balance) + balance.books[WR_BOOK_DROPPED_LATE],
                     balance.books[WR_BOOK_TAKEN]);
}

/* Of the store that is closed: its words, until the next call. */
static const char *audit(bool *ret_balanced, bool json) {
    static char words[16384];
    struct wr_audit found;
    struct wr_buf text;
    must(wr_audit_stopped(fixture.directory, &found, &fixture.err));
    *ret_balanced = found.balanced;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_audit_print(&found, json, &text), WR_OK);
    snprintf(words, sizeof words, "%s", wr_buf_str(&text));
    wr_buf_fini(&text);
    wr_audit_fini(&found);
    return words;
}

static void books_are_lost(uint64_t of_epoch, uint32_t n) {
    bool balanced;
    char words[256];
    assert_false(fixture.report.books_kept);
    assert_int_equal(lost()->n, n);
    assert_true(lost()->of[n - 1].epoch == of_epoch);
    assert_string_equal(lost()->of[n - 1].aside, fixture.report.aside);
    for (int i = 0; i < 2; i++) { /* and for good */
        store_fixture_close(&fixture);
        if (of_epoch == 0)
            snprintf(words, sizeof words, "BOOKS LOST: those of epoch unknown, of a store that was put aside as %s",
                     fixture.report.aside[0] ? fixture.report.aside : WR_STORE_FILE);
        else
            snprintf(words, sizeof words, "BOOKS LOST: those of epoch %016llx", (unsigned long long)of_epoch);
        assert_non_null(strstr(audit(&balanced, false), words));
        assert_true(balanced);
        assert_non_null(strstr(audit(&balanced, false), "\nbalanced, but for the books that are lost\n"));
        assert_non_null(strstr(audit(&balanced, true), "\"lost_books\":[{"));
        must(store_fixture_open(&fixture));
        assert_int_equal(lost()->n, n);
    }
}

/* -- damage ------------------------------------------------------------------------------------------------------------------------------------ */

static int64_t number_of(const char *sql) {
    sqlite3 *database;
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_open(file(""), &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    const int64_t number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(database);
    (void)unlink(file("-wal"));
    return number;
}

static void hurt_table(const char *name) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_master WHERE name = '%s'", name);
    store_fixture_scribble(&fixture, (number_of(sql) - 1) * PAGE, PAGE);
}

/* One letter of the schema: to SQLite it is another table. */
static void rename_in_page_one(const char *from, char letter) {
    uint8_t page[PAGE];
    int fd = open(file(""), O_RDWR);
    assert_true(fd >= 0 && pread(fd, page, sizeof page, 0) == PAGE);
    uint8_t *at = memmem(page, sizeof page, from, strlen(from));
    assert_non_null(at);
    for (; at; at = memmem(page, sizeof page, from, strlen(from)))
        at[strlen(from) - 1] = (uint8_t)letter;
    assert_int_equal(pwrite(fd, page, sizeof page, 0), PAGE);
    close(fd);
}

static void page_one_with_its_copy(void **state) {
    (void)state;
    for (int kill = 0; kill < 2; kill++) {
        make_store(kill);
        store_fixture_scribble(&fixture, 0, PAGE);
        must(store_fixture_open(&fixture));
        assert_true(fixture.report.quarantined && fixture.report.books_kept);
        books_go_on();
        what_it_held_comes_back();
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

static void a_letter_of_page_one(void **state) {
    (void)state;
    make_store(false);
    rename_in_page_one("ledger", 'x');
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.quarantined && fixture.report.books_kept);
    books_go_on();
    what_it_held_comes_back();
}

/* The next one's is like it: their tables begin where those of all stores do, and the checks of the accounts prove it. */
static void page_one_without(void **state) {
    (void)state;
    for (int kill = 0; kill < 2; kill++) {
        make_store(kill);
        (void)unlink(file(".page1"));
        store_fixture_scribble(&fixture, 0, PAGE);
        must(store_fixture_open(&fixture));
        assert_true(fixture.report.quarantined && fixture.report.books_kept);
        books_go_on();
        what_it_held_comes_back();
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

static void set_meta(const char *key, int64_t more) {
    char sql[128];
    sqlite3 *database;
    snprintf(sql, sizeof sql, "UPDATE meta SET value = value + %lld WHERE key = '%s'", (long long)more, key);
    assert_int_equal(sqlite3_open(file(""), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(database), 1);
    sqlite3_close(database);
    (void)unlink(file("-wal"));
}

static void first_page_of(const char *name, uint8_t page[PAGE]) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture.directory, name);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && pread(fd, page, PAGE, 0) == PAGE);
    close(fd);
}

/* As an earlier version left it, nothing proves where its tables begin: the page of the next one is taken back. What is whole of its segments comes all the same. */
static void page_one_without_a_proof(void **state) {
    (void)state;
    bool balanced;
    uint8_t before[PAGE], after[PAGE];
    make_store(false);
    set_meta("wall_ns", 1);
    (void)unlink(file(".page1"));
    store_fixture_scribble(&fixture, 0, PAGE);
    first_page_of(WR_STORE_FILE, before);
    must(store_fixture_open(&fixture));
    first_page_of(fixture.report.aside, after);
    assert_memory_equal(before, after, PAGE);
    books_are_lost(0, 1);
    salvage();
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_RECOVERED], SEGMENTS * READINGS);
    epoch = wr_store_epoch(fixture.store);
    store_fixture_close(&fixture);
    store_fixture_forget_wal(&fixture);
    store_fixture_scribble(&fixture, 0, PAGE); /* the next one breaks as well: what it knew of lost books goes on with its own */
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.books_kept);
    assert_int_equal(lost()->n, 1);
    store_fixture_close(&fixture);
    (void)audit(&balanced, false);
    assert_true(balanced);
}

static void the_ledger(void **state) {
    static const char *const tables[] = {"ledger", "account"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        make_store(false);
        hurt_table(tables[i]);
        must(store_fixture_open(&fixture));
        assert_true(fixture.report.quarantined);
        assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_TAKEN], 0);
        books_are_lost(epoch, 1);
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

/* Then the books are those of the tables: here a clean stop has written them. */
static void the_rows(void **state) {
    (void)state;
    make_store(false);
    hurt_table("seg");
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.quarantined && fixture.report.books_kept);
    books_go_on();
}

static void of_a_later_version(void **state) {
    (void)state;
    make_store(false);
    sqlite3 *database;
    assert_int_equal(sqlite3_open(file(""), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.aside_newer);
    books_are_lost(0, 1);
}

static void a_first_start_has_lost_nothing(void **state) {
    (void)state;
    bool balanced;
    must(store_fixture_open(&fixture));
    assert_int_equal(lost()->n, 0);
    store_fixture_close(&fixture);
    assert_null(strstr(audit(&balanced, false), "LOST"));
    assert_non_null(strstr(audit(&balanced, true), "\"lost_books\":[]"));
    assert_non_null(strstr(audit(&balanced, false), "\nbalanced\n"));
}

static void only_so_many_are_named(void **state) {
    (void)state;
    char last[256];
    for (int i = 0; i < WR_STORE_LOST_BOOKS + 2; i++) {
        must(store_fixture_open(&fixture));
        assert_int_equal(lost()->n, i < WR_STORE_LOST_BOOKS ? i : WR_STORE_LOST_BOOKS);
        snprintf(last, sizeof last, "%s", fixture.report.aside);
        store_fixture_close(&fixture);
        store_fixture_forget_wal(&fixture);
        hurt_table("ledger");
        store_fixture_advance(&fixture, WR_NS_PER_S);
    }
    must(store_fixture_open(&fixture));
    assert_true(lost()->n == WR_STORE_LOST_BOOKS);
    assert_string_equal(lost()->of[WR_STORE_LOST_BOOKS - 2].aside, last);
}

/* -- bad luck ---------------------------------------------------------------------------------------------------------------------------------- */

/* A kill after the broken one was renamed: before there is a file, and when there is one, but no commit yet. */
static void killed_before_the_first_commit(void **state) {
    static const char *const parts[] = {"", ".page1"};
    for (int made = 0; made < 2; made++) {
        make_store(false);
        store_fixture_scribble(&fixture, 0, PAGE);
        for (size_t i = 0; i < 2; i++) {
            char to[512];
            char suffix[64];
            snprintf(suffix, sizeof suffix, ".corrupt-100%s", parts[i]);
            snprintf(to, sizeof to, "%s", file(suffix));
            assert_int_equal(rename(file(parts[i]), to), 0);
        }
        if (made) { /* its tables are there, and nothing in them */
            sqlite3 *database;
            must(store_fixture_open(&fixture));
            store_fixture_abandon(&fixture);
            assert_int_equal(sqlite3_open(file(""), &database), SQLITE_OK);
            assert_int_equal(
                sqlite3_exec(database, "DELETE FROM meta WHERE key = 'epoch'; DELETE FROM ledger; DELETE FROM account", NULL, NULL, NULL),
                SQLITE_OK);
            sqlite3_close(database);
        }
        must(store_fixture_open(&fixture));
        assert_false(fixture.report.quarantined);
        books_go_on();
        what_it_held_comes_back();
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

/* ... or before the first renaming, or between two: the WAL, with all that was committed last, comes with its database. */
static void killed_between_the_renames(void **state) {
    for (int renamed = 0; renamed < 2; renamed++) {
        char command[1024];
        must(store_fixture_open(&fixture));
        store_fixture_segment(&fixture, 1, 10, READINGS / 10);
        must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
        snprintf(command, sizeof command, "cd %s && cp " WR_STORE_FILE "-wal wal && cp " WR_STORE_FILE " database", fixture.directory);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c); as they are at the kill: to give it up writes the WAL back */
        store_fixture_abandon(&fixture);
        snprintf(command, sizeof command,
                 "cd %s && mv wal " WR_STORE_FILE "-wal && mv database " WR_STORE_FILE " && ln -s " WR_STORE_FILE
                 ".corrupt-100 " WR_STORE_FILE ".aside && { [ %d = 0 ] || mv " WR_STORE_FILE " " WR_STORE_FILE ".corrupt-100; }",
                 fixture.directory, renamed);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
        must(store_fixture_open(&fixture));
        assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_DROPPED_STORE], READINGS);
        assert_int_equal(readlink(file(".aside"), command, sizeof command), -1); /* not to be done twice */
        what_it_held_comes_back();
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

/* A link of that name that is none of ours moves nothing. */
static void a_link_elsewhere(void **state) {
    (void)state;
    must(store_fixture_open(&fixture));
    store_fixture_segment(&fixture, 1, 10, READINGS / 10);
    store_fixture_close(&fixture);
    assert_int_equal(symlink("../" WR_STORE_FILE ".corrupt-1", file(".aside")), 0);
    must(store_fixture_open(&fixture));
    assert_false(fixture.report.fresh || fixture.report.quarantined);
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_TAKEN], READINGS);
}

/* The clock was set back between two that broke, and a kill came after the second: its books go on, not those of the first. */
static void killed_with_a_clock_that_is_behind(void **state) {
    (void)state;
    static const char *const parts[] = {"", "-wal", ".page1"};
    make_store(false);
    store_fixture_scribble(&fixture, 0, PAGE);
    must(store_fixture_open(&fixture));
    store_fixture_segment(&fixture, 1, 10, READINGS / 10);
    store_fixture_close(&fixture);
    store_fixture_forget_wal(&fixture);
    store_fixture_scribble(&fixture, 0, PAGE);
    fixture.now.wall_ns = 12 * WR_NS_PER_S;
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.books_kept);
    const uint64_t taken = store_fixture_balance(&fixture, 1).books[WR_BOOK_TAKEN];
    store_fixture_abandon(&fixture);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        (void)unlink(file(parts[i]));
    must(store_fixture_open(&fixture));
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_TAKEN], taken);
}

/* The opening is tried again, and then they are there; never are they called lost for it. */
static unsigned without_memory(bool of_sqlite, long step) {
    unsigned failures = 0;
    bool hit = true;
    for (long n = 0; hit; n += step) {
        make_store(false);
        store_fixture_scribble(&fixture, 0, PAGE);
        wr_fault_memory_plan(of_sqlite ? n : -1, false);
        wr_failing_allocations(of_sqlite ? -1 : n);
        const enum wr_result result = store_fixture_open(&fixture);
        hit = of_sqlite ? wr_fault_memory_hit() : wr_failing_hit();
        wr_fault_memory_plan(-1, false);
        wr_failing_off();
        failures += result != WR_OK;
        if (result != WR_OK) {
            store_fixture_abandon(&fixture);
            must(store_fixture_open(&fixture));
        }
        books_go_on();
        assert_int_equal(teardown(NULL) | setup(NULL), 0);
    }
    return failures;
}

static void no_memory(void **state) {
    (void)state;
    assert_true(without_memory(false, 1) > 5);
    assert_true(without_memory(true, 47) > 5);
}

/* A later version had gone on with those books: a kill after it was put aside does not bring the older ones back. */
static void not_those_that_went_into_a_later_version(void **state) {
    (void)state;
    make_store(false);
    store_fixture_scribble(&fixture, 0, PAGE);
    must(store_fixture_open(&fixture));
    books_go_on();
    store_fixture_close(&fixture);
    char to[512];
    snprintf(to, sizeof to, "%s", file(".newer-9999999999"));
    assert_int_equal(rename(file(""), to), 0);
    (void)unlink(file(".page1"));
    must(store_fixture_open(&fixture)); /* killed before there was a file */
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_TAKEN], 0);
    assert_int_equal(lost()->n, 1);
}

/* The newest row says something of an account that is not there: what it says of the others is not added to what the row before says. */
static void an_account_is_gone(void **state) {
    (void)state;
    static const struct wr_account four[] = {{"floor", "states"}, {"floor", "m1"}, {"floor", WR_LEDGER_INTAKE}, {"yard", "m1"}};
    make_store(false);
    must(store_fixture_open(&fixture));
    store_fixture_segment(&fixture, 1, 10, READINGS / 10);
    must(wr_store_accounts(fixture.store, four, 4, false, &fixture.err));
    wr_store_book(fixture.store, 3, WR_BOOK_BAD, 1);
    store_fixture_segment(&fixture, 1, 10, READINGS / 10);
    store_fixture_abandon(&fixture);
    sqlite3 *database;
    assert_int_equal(sqlite3_open(file(""), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "DELETE FROM account WHERE source = 'yard'", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.quarantined && fixture.report.books_kept);
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_STORED] +
                         store_fixture_balance(&fixture, 1).books[WR_BOOK_DROPPED_STORE],
                     (SEGMENTS + 1) * READINGS);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(page_one_with_its_copy),
        TEST(a_letter_of_page_one),
        TEST(page_one_without),
        TEST(page_one_without_a_proof),
        TEST(the_ledger),
        TEST(the_rows),
        TEST(of_a_later_version),
        TEST(a_first_start_has_lost_nothing),
        TEST(only_so_many_are_named),
        TEST(killed_before_the_first_commit),
        TEST(not_those_that_went_into_a_later_version),
        TEST(an_account_is_gone),
        TEST(killed_between_the_renames),
        TEST(a_link_elsewhere),
        TEST(killed_with_a_clock_that_is_behind),
        TEST(no_memory),
    };
    wr_fault_memory_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
