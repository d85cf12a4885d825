/* The gap record as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/gap.h"
#include "tests/support/failing.h"

static const struct wr_account floor_m1 = {.source = "floor", .window = "m1"};
static const struct wr_account quoted = {.source = "a\"b", .window = "intake"};
static const struct wr_gap gap = {.book = WR_BOOK_DROPPED_CRASH,
                                  .from_ns = INT64_C(1700000000000000000),
                                  .to_ns = INT64_C(1700000060000000000),
                                  .at_least = true,
                                  .n = 2,
                                  .accounts = {{&floor_m1, 5, 12}, {&quoted, UINT64_MAX - 5, UINT64_MAX}}};

static void a_record_says_what_when_whose_and_why(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_gap_to_json(&gap, &text), WR_OK);
    assert_string_equal(wr_buf_str(&text),
                        "{\"reason\":\"crash\",\"from_ns\":1700000000000000000,\"from\":\"2023-11-14T22:13:20.000Z\","
                        "\"to_ns\":1700000060000000000,\"to\":\"2023-11-14T22:14:20.000Z\",\"readings\":18446744073709551615,"
                        "\"at_least\":true,\"accounts\":[{\"source\":\"floor\",\"window\":\"m1\",\"readings\":5,\"total\":12},"
                        "{\"source\":\"a\\\"b\",\"window\":\"intake\",\"readings\":18446744073709551610,\"total\":18446744073709551615}]}");
    wr_buf_fini(&text);
}

static void what_is_recovered_corrects(void **state) {
    (void)state;
    const struct wr_gap recovered = {.book = WR_BOOK_RECOVERED, .n = 1, .accounts = {{&floor_m1, 5, 12}}};
    struct wr_buf text;
    assert_true(wr_gap_is_told(WR_BOOK_RECOVERED));
    wr_buf_init(&text, 0);
    assert_int_equal(wr_gap_to_json(&recovered, &text), WR_OK);
    assert_non_null(strstr(wr_buf_str(&text), "{\"reason\":\"recovered\","));
    wr_buf_fini(&text);
}

static void what_nobody_wanted_is_no_loss(void **state) {
    (void)state;
    unsigned told = 0;
    for (unsigned book = 0; book < WR_BOOKS; book++) {
        const bool may_be = wr_book_is_dropped(book) || book == WR_BOOK_RECOVERED;
        assert_true(!wr_gap_is_told(book) || (may_be && wr_book_name((enum wr_book)book)));
        told += wr_gap_is_told(book);
    }
    assert_false(wr_gap_is_told(WR_BOOK_DROPPED_UNWANTED));
    assert_true(wr_gap_is_told(WR_BOOK_DROPPED_EVICTED) && wr_gap_is_told(WR_BOOK_DROPPED_LATE) && told >= 8);
}

static void no_memory_is_said(void **state) {
    (void)state;
    long n = 0;
    for (;; n++) {
        struct wr_buf text;
        wr_buf_init(&text, 0);
        wr_failing_allocations(n);
        const enum wr_result result = wr_gap_to_json(&gap, &text);
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
        cmocka_unit_test(a_record_says_what_when_whose_and_why),
        cmocka_unit_test(what_is_recovered_corrects),
        cmocka_unit_test(what_nobody_wanted_is_no_loss),
        cmocka_unit_test(no_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
