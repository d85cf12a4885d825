/* The ledger record as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/ledger_record.h"
#include "tests/support/failing.h"

static enum wr_result make(struct wr_buf *into) {
    static const struct wr_account accounts[] = {{.source = "floor", .window = "m1"}, {.source = "a\"b", .window = "intake"}};
    const uint64_t books[2][WR_BOOKS] = {
        {[WR_BOOK_TAKEN] = 9, [WR_BOOK_STORED] = 8, [WR_BOOK_DROPPED_LATE] = 1, [WR_BOOKS - 1] = 77 /* has no name */},
        {[WR_BOOK_RECEIVED] = UINT64_MAX}};
    struct wr_json json;
    wr_ledger_record_begin(&json, into, 812, UINT64_C(0xc0ffee), INT64_C(1700000000000000000), 2);
    for (int i = 0; i < 2; i++)
        wr_ledger_record_account(&json, &accounts[i], books[i]);
    return wr_ledger_record_end(&json);
}

static void a_record_says_the_books_at_its_cut(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(make(&text), WR_OK);
    assert_string_equal(
        wr_buf_str(&text),
        "{\"cut\":812,\"epoch\":\"0000000000c0ffee\",\"time_ns\":1700000000000000000,\"time\":\"2023-11-14T22:13:20.000Z\","
        "\"of\":2,\"ledger\":[{\"source\":\"floor\",\"window\":\"m1\",\"books\":{\"taken\":9,\"stored\":8,"
        "\"dropped(late)\":1}},{\"source\":\"a\\\"b\",\"window\":\"intake\",\"books\":{\"received\":18446744073709551615}}]}");
    wr_buf_fini(&text);
}

/* The store packs it into a segment of at most 60 000 bytes, whatever it says. */
static void the_longest_record_fits_a_segment(void **state) {
    (void)state;
    struct wr_account account;
    uint64_t books[WR_BOOKS];
    struct wr_buf text;
    struct wr_json json;
    memset(&account, 1, sizeof account); /* a control character: six bytes each */
    account.source[sizeof account.source - 1] = account.window[sizeof account.window - 1] = '\0';
    memset(books, 0xff, sizeof books);
    wr_buf_init(&text, 0);
    wr_ledger_record_begin(&json, &text, INT64_MAX, UINT64_MAX, INT64_MIN, UINT32_MAX);
    for (int i = 0; i < WR_LEDGER_RECORD_ACCOUNTS; i++)
        wr_ledger_record_account(&json, &account, books);
    assert_int_equal(wr_ledger_record_end(&json), WR_OK);
    assert_true(text.len < 59000);
    wr_buf_fini(&text);
}

static void no_memory_is_said(void **state) {
    (void)state;
    long n = 0;
    for (;; n++) {
        struct wr_buf text;
        wr_buf_init(&text, 0);
        wr_failing_allocations(n);
        const enum wr_result result = make(&text);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        wr_buf_fini(&text);
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
    }
    assert_true(n > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_says_the_books_at_its_cut),
        cmocka_unit_test(the_longest_record_fits_a_segment),
        cmocka_unit_test(no_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
