/* The ledger record at the central side: what is read, what is refused and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/receive/ledger.h"
#include "core/ledger_record.h"
#include "tests/support/failing.h"

static struct wr_error err;
static struct wr_receive_ledger ledger;

static enum wr_result read_text(const char *json) {
    memset(&err, 0, sizeof err);
    return wr_receive_ledger_read(json, strlen(json), NULL, NULL, &ledger, &err);
}

static void make(struct wr_buf *into) {
    static const struct wr_account accounts[] = {
        {.source = "floor", .window = "m1"}, {.source = "plc \"7\"", .window = "none"}, {.source = "floor", .window = "intake"}};
    struct wr_json json;
    wr_ledger_record_begin(&json, into, 812, UINT64_C(0xc0ffee0000000001), 5, 40);
    for (int i = 0; i < 3; i++) {
        const uint64_t books[WR_BOOKS] = {
            [WR_BOOK_TAKEN] = 10, [WR_BOOK_STORED] = 7, [WR_BOOK_DROPPED_LATE] = 2, [WR_BOOK_REJECTED_TYPE] = 1};
        wr_ledger_record_account(&json, &accounts[i], books);
    }
    assert_int_equal(wr_ledger_record_end(&json), WR_OK);
}

static enum wr_result note(void *user, const struct wr_account *account, const uint64_t *books) {
    char *notes = user;
    const size_t used = strlen(notes);
    snprintf(notes + used, 200 - used, "%s/%s %llu;", account->source, account->window, (unsigned long long)books[WR_BOOK_STORED]);
    return WR_OK;
}

static void what_a_node_writes_is_read(void **state) {
    (void)state;
    char notes[200] = "";
    struct wr_buf text;
    wr_buf_init(&text, 0);
    make(&text);
    assert_int_equal(wr_receive_ledger_read(wr_buf_str(&text), text.len, note, notes, &ledger, &err), WR_OK);
    assert_string_equal(notes, "floor/m1 7;plc \"7\"/none 7;floor/intake 7;");
    assert_int_equal(ledger.cut, 812);
    assert_true(ledger.epoch == UINT64_C(0xc0ffee0000000001));
    assert_int_equal(ledger.time_ns, 5);
    assert_int_equal(ledger.of, 40);
    assert_int_equal(ledger.n, 3);
    assert_int_equal(ledger.books[WR_BOOK_STORED], 14); /* the intake takes nothing twice */
    assert_int_equal(ledger.books[WR_BOOK_DROPPED_LATE], 4);
    wr_buf_fini(&text);
}

#define HEAD "{\"cut\":1,\"epoch\":\"00000000000000aa\",\"of\":1,\"ledger\":"

static void refuses(const char *json, const char *reason) {
    assert_int_equal(read_text(json), WR_INVALID);
    if (!strstr(err.text, reason))
        fail_msg("'%s' does not say '%s'", err.text, reason);
}

static void what_is_none_is_refused(void **state) {
    (void)state;
    assert_int_equal(read_text("{\"reason\":\"crash\"}"), WR_NOT_FOUND);
    assert_int_equal(read_text(HEAD "[]}"), WR_OK);
    assert_int_equal(read_text(HEAD "[{\"source\":\"s\",\"window\":\"w\",\"books\":{\"of tomorrow\":3}}]}"), WR_OK);
    refuses(HEAD "{}}", "no list");
    refuses(HEAD "[1]}", "no object");
    refuses(HEAD "[{\"source\":\"s\",\"books\":{}}]}", "without source or window");
    refuses(HEAD "[{\"source\":1,\"window\":\"w\",\"books\":{}}]}", "without source or window");
    refuses(HEAD "[{\"source\":\"s\",\"window\":\"w\"}]}", "without books");
    refuses(HEAD "[{\"source\":\"s\",\"window\":\"w\",\"books\":{\"taken\":-1}}]}", "no count");
    refuses(HEAD "[{\"source\":\"s\",\"window\":\"w\",\"books\":{\"taken\":1.5}}]}", "no count");
    refuses(HEAD "[{\"source\":\"s\",\"window\":\"w\",\"books\":{\"taken\":9223372036854775807}},"
                 "{\"source\":\"t\",\"window\":\"w\",\"books\":{\"taken\":1}}]}",
            "more readings");
    refuses(HEAD "[{\"source\":\"0123456789012345678901234567890123456789012345678901234567890123\",\"window\":\"w\",\"books\":{}}]}",
            "too long");
    refuses("{\"cut\":0,\"epoch\":\"00000000000000aa\",\"of\":1,\"ledger\":[]}", "`cut`");
    refuses("{\"cut\":1,\"epoch\":\"00000000000000aa\",\"ledger\":[]}", "`of`");
    refuses("{\"cut\":1,\"epoch\":\"aa\",\"of\":1,\"ledger\":[]}", "epoch");
}

static void no_memory_is_said(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    make(&text);
    long n = 0;
    for (;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = wr_receive_ledger_read(wr_buf_str(&text), text.len, NULL, NULL, &ledger, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
    }
    assert_true(n > 0);
    wr_buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_node_writes_is_read),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(no_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
