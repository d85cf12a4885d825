/* Books and balances; names of segments and lanes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ledger.h"
#include "core/segment.h"

static void names_say_what_kind_of_book(void **state) {
    (void)state;
    for (unsigned book = 0; book < WR_BOOKS + 5; book++) {
        const char *name = wr_book_name((enum wr_book)book);
        assert_int_equal(wr_book_is_dropped(book) && name, name && strncmp(name, "dropped(", 8) == 0);
        assert_int_equal(wr_book_is_rejected(book) && name, name && strncmp(name, "rejected(", 9) == 0);
        for (unsigned other = 0; name && other < book; other++)
            assert_true(!wr_book_name((enum wr_book)other) || strcmp(wr_book_name((enum wr_book)other), name) != 0);
    }
    assert_string_equal(wr_book_name(WR_BOOK_DROPPED_LATE), "dropped(late)");
    assert_null(wr_book_name((enum wr_book)0));
    assert_null(wr_book_name((enum wr_book)15));
}

static struct wr_account_balance balance_of(const char *window) {
    struct wr_account_balance balance = {.account.source = "floor"};
    memcpy(balance.account.window, window, strlen(window) + 1);
    return balance;
}

static void an_account_balances(void **state) {
    (void)state;
    struct wr_account_balance balance = balance_of("m1");
    balance.books[WR_BOOK_TAKEN] = 100;
    balance.books[WR_BOOK_BAD] = 50; /* memos do not count */
    balance.books[WR_BOOK_WIDENED] = 50;
    balance.books[WR_BOOK_LATE] = 50;
    balance.books[WR_BOOK_RECEIVED] = 9; /* not of this kind of account */
    balance.books[WR_BOOK_STORED] = 70;
    balance.books[WR_BOOK_DELIVERED] = 30;
    balance.books[WR_BOOK_DROPPED_EVICTED] = 4;
    balance.books[WR_BOOK_DROPPED_CORRUPT] = 1;
    balance.books[WR_BOOK_DROPPED_LATE] = 10;
    balance.open = 20;
    uint64_t left = 0;
    uint64_t right = 0;
    assert_int_equal(wr_balance_held(&balance), 35);
    assert_int_equal(wr_balance_dropped(&balance), 15);
    assert_true(wr_balance_check(&balance, &left, &right));
    assert_int_equal(left, 100);
    assert_int_equal(right, 100);
    balance.books[WR_BOOK_RECOVERED] = 8; /* out of a broken store: stored anew */
    balance.books[WR_BOOK_STORED] += 8;
    assert_int_equal(wr_balance_held(&balance), 43);
    assert_true(wr_balance_check(&balance, &left, NULL));
    assert_int_equal(left, 108);
    balance.books[WR_BOOK_RECOVERED] = 0;
    balance.books[WR_BOOK_STORED] -= 8;
    balance.open--;
    assert_false(wr_balance_check(&balance, &left, &right));
    assert_int_equal(right, 99);
    assert_false(wr_balance_check(&balance, NULL, NULL));
}

static void an_intake_balances(void **state) {
    (void)state;
    struct wr_account_balance balance = balance_of(WR_LEDGER_INTAKE);
    balance.books[WR_BOOK_RECEIVED] = 100;
    balance.books[WR_BOOK_REJECTED_SYNTAX] = 5; /* before received */
    balance.books[WR_BOOK_TAKEN] = 90;
    balance.books[WR_BOOK_DROPPED_OVERFLOW] = 7;
    balance.open = 3;
    assert_true(wr_balance_check(&balance, NULL, NULL));
    balance.books[WR_BOOK_DROPPED_OVERFLOW] = 8;
    assert_false(wr_balance_check(&balance, NULL, NULL));
}

static void more_out_than_in_is_never_right(void **state) {
    (void)state;
    struct wr_account_balance balance = balance_of("m1");
    balance.books[WR_BOOK_TAKEN] = 10;
    balance.books[WR_BOOK_STORED] = 5;
    balance.books[WR_BOOK_DELIVERED] = 10;
    uint64_t left = 0;
    uint64_t right = 0;
    assert_int_equal(wr_balance_held(&balance), 0);
    assert_false(wr_balance_check(&balance, &left, &right)); /* though both sides are 10 */
    assert_int_equal(left, right);
}

static void segments(void **state) {
    (void)state;
    assert_string_equal(wr_segment_kind_name(WR_SEGMENT_AGGREGATES), "aggregates");
    assert_string_equal(wr_segment_kind_name(WR_SEGMENT_ALARMS), "alarms");
    assert_string_equal(wr_segment_kind_name(WR_SEGMENT_GAPS), "gaps");
    assert_string_equal(wr_segment_kind_name(WR_SEGMENT_RAW), "raw");
    assert_string_equal(wr_segment_kind_name((enum wr_segment_kind)9), "unknown");
    assert_string_equal(wr_lane_name(WR_LANE_ALARMS), "alarms");
    assert_string_equal(wr_lane_name(WR_LANE_CHANGES), "changes");
    assert_string_equal(wr_lane_name(WR_LANE_WINDOWS), "windows");
    assert_string_equal(wr_lane_name(WR_LANE_RAW), "raw");
    assert_string_equal(wr_lane_name(WR_LANES), "unknown");
    struct wr_segment segment = {.seq = 4, .body = malloc(10), .body_len = 10};
    wr_segment_free(&segment);
    assert_null(segment.body);
    assert_int_equal(segment.seq, 0);
    wr_segment_free(&segment);
    wr_segment_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_what_kind_of_book),
        cmocka_unit_test(an_account_balances),
        cmocka_unit_test(an_intake_balances),
        cmocka_unit_test(more_out_than_in_is_never_right),
        cmocka_unit_test(segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
