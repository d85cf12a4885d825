/* The audit of a stopped store: what its segments hold is what the books hold, and each way in which they may differ is found. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/store_fixture.h"

#define SEGMENTS 6

static struct store_fixture fixture;
static struct wr_store_recount recount;
static bool clean;

static void must(enum wr_result result) {
    store_fixture_must(&fixture, result);
}

/* Six segments of 100 readings, of which the second and third are delivered, in a store that is closed. */
static int setup(void **state) {
    (void)state;
    store_fixture_init(&fixture);
    must(store_fixture_open(&fixture));
    for (int i = 0; i < SEGMENTS; i++)
        store_fixture_segment(&fixture, 1, 10, 10);
    must(wr_store_ack(fixture.store, WR_LANE_WINDOWS, 2, 3, &fixture.now, &fixture.err));
    must(wr_store_close(fixture.store, &fixture.now, &fixture.err));
    fixture.store = NULL;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_fixture_fini(&fixture);
    return 0;
}

static enum wr_result audit(struct wr_account_balance *ret_windows) {
    struct wr_account_balance *balances;
    uint32_t n;
    uint64_t epoch;
    WR_TRY(wr_store_audit(fixture.directory, &balances, &n, &clean, &epoch, &recount, &fixture.err));
    bool found = false;
    for (uint32_t i = 0; i < n; i++) {
        const bool windows = strcmp(balances[i].account.window, "m1") == 0;
        if (windows)
            *ret_windows = balances[i];
        else
            assert_true(wr_balance_check(&balances[i], NULL, NULL));
        found |= windows;
    }
    free(balances);
    assert_true(found);
    return WR_OK;
}

static void change(const char *sql) {
    sqlite3 *database;
    assert_int_equal(sqlite3_open(store_fixture_path(&fixture, WR_STORE_FILE), &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_changes(database) > 0);
    sqlite3_close(database);
}

static void all_is_there(void **state) {
    (void)state;
    struct wr_account_balance windows;
    for (int i = 0; i < 2; i++) { /* it changes nothing */
        must(audit(&windows));
        assert_true(clean && wr_balance_check(&windows, NULL, NULL));
        assert_true(windows.recounted && windows.recount == 400 && wr_balance_held(&windows) == 400);
        assert_true(recount.rows == SEGMENTS && recount.unfinished == 4 && recount.damaged == 0 && recount.of_nobody == 0);
    }
    must(store_fixture_open(&fixture));
    struct wr_account_balance same;
    assert_int_equal(audit(&same), WR_BUSY);
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    must(audit(&windows));
    assert_false(clean);
    assert_true(wr_balance_check(&windows, NULL, NULL));
}

/* The equation alone would hold: the row is gone, and its readings are held. */
static void a_segment_is_gone(void **state) {
    (void)state;
    struct wr_account_balance windows;
    uint64_t left, right;
    change("DELETE FROM seg WHERE id & 0xffffffff = 4");
    must(audit(&windows));
    assert_false(wr_balance_check(&windows, &left, &right));
    assert_true(left == right && wr_balance_held(&windows) == 400 && windows.recount == 300);
    assert_true(recount.rows == SEGMENTS - 1 && recount.unfinished == 3);
}

static void a_delivered_one_may_go(void **state) {
    (void)state;
    struct wr_account_balance windows;
    change("DELETE FROM seg WHERE id & 0xffffffff = 2");
    must(audit(&windows));
    assert_true(wr_balance_check(&windows, NULL, NULL));
}

static void a_segment_is_damaged(void **state) {
    (void)state;
    struct wr_account_balance windows;
    change("UPDATE seg SET body = substr(body, 1, 100) || x'00ff00' || substr(body, 104) WHERE id & 0xffffffff IN (3, 5)");
    must(audit(&windows));
    assert_true(wr_balance_check(&windows, NULL, NULL)); /* the books hold it until somebody wants to send it */
    assert_true(recount.damaged == 1 && recount.first_damaged_seq == 5);
}

static void a_segment_names_nobody(void **state) {
    (void)state;
    struct wr_account_balance windows;
    change("UPDATE seg SET accounts = x'7f64' WHERE id & 0xffffffff = 5");
    must(audit(&windows));
    assert_false(wr_balance_check(&windows, NULL, NULL));
    assert_true(windows.recount == 300 && recount.of_nobody == 100);
}

static void a_book_was_changed(void **state) {
    (void)state;
    struct wr_account_balance windows;
    uint64_t left, right;
    change("UPDATE ledger SET readings = readings + 7 WHERE reason = 2 AND account = (SELECT id FROM account WHERE window = 'm1')");
    must(audit(&windows));
    assert_false(wr_balance_check(&windows, &left, &right));
    assert_true(left == right + 7 && windows.recount == wr_balance_held(&windows));
}

static void of_a_later_version(void **state) {
    (void)state;
    struct wr_account_balance windows;
    change("DELETE FROM meta WHERE key = 'node'; PRAGMA user_version = 99");
    assert_int_equal(audit(&windows), WR_UNSUPPORTED);
}

static uint64_t audit_all(void) {
    struct wr_account_balance *balances;
    uint32_t n;
    uint64_t epoch, held = 0;
    must(wr_store_audit(fixture.directory, &balances, &n, &clean, &epoch, &recount, &fixture.err));
    for (uint32_t i = 0; i < n; i++) {
        if (!balances[i].recounted)
            continue;
        assert_true(balances[i].recount == wr_balance_held(&balances[i]));
        held += balances[i].recount;
    }
    free(balances);
    assert_true(recount.damaged == 0 && recount.of_nobody == 0);
    return held;
}

/* As it is, and where it was killed on the way to version 2. */
static void of_version_1(void **state) {
    (void)state;
    static char bytes[1 << 17];
    (void)remove(store_fixture_path(&fixture, WR_STORE_FILE "-wal"));
    FILE *from = fopen(WEIR_TEST_DATA "/store/outbox-v1.db", "r"), *to = fopen(store_fixture_path(&fixture, WR_STORE_FILE), "w");
    assert_true(from && to);
    const size_t len = fread(bytes, 1, sizeof bytes, from);
    assert_true(len < sizeof bytes && fwrite(bytes, 1, len, to) == len);
    assert_true(fclose(from) == 0 && fclose(to) == 0);
    const uint64_t held = audit_all();
    const uint64_t unfinished = recount.unfinished + 1; /* with the gap record of what it had lost, which version 1 told nobody */
    assert_true(held > 0 && unfinished > 1);
    must(store_fixture_open(&fixture));
    must(wr_store_close(fixture.store, &fixture.now, &fixture.err));
    fixture.store = NULL;
    assert_true(audit_all() == held && recount.unfinished == unfinished);
    change("UPDATE seg SET lane = id >> 56, id = id & ((1 << 56) - 1) WHERE id = (SELECT max(id) FROM seg);"
           "INSERT INTO meta(key, value) VALUES('moving', 1)");
    assert_true(audit_all() == held && recount.unfinished == unfinished);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(all_is_there),           TEST(a_segment_is_gone),  TEST(a_delivered_one_may_go), TEST(a_segment_is_damaged),
        TEST(a_segment_names_nobody), TEST(a_book_was_changed), TEST(of_a_later_version),     TEST(of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
