/* The symbol table. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/symbol.h"
#include "tests/support/failing.h"

static void texts_keep_their_ids(void **state) {
    (void)state;
    struct wr_symbol_table *table = NULL;
    assert_int_equal(wr_symbol_table_new(2000, &table, NULL), WR_OK);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 2000; i++) {
            char text[32];
            size_t len = (size_t)snprintf(text, sizeof text, "state %" PRIu32, i);
            uint32_t symbol = UINT32_MAX;
            assert_int_equal(wr_symbol_intern(table, text, len, &symbol), WR_OK);
            assert_int_equal(symbol, i);
            size_t got = 0;
            assert_string_equal(wr_symbol_text(table, symbol, &got), text);
            assert_int_equal(got, len);
        }
    assert_int_equal(wr_symbol_count(table), 2000);
    uint32_t symbol = 7;
    assert_int_equal(wr_symbol_intern(table, "one more", 8, &symbol), WR_LIMIT);
    assert_int_equal(symbol, 7);
    assert_int_equal(wr_symbol_intern(table, "state 5", 7, &symbol), WR_OK);
    assert_int_equal(symbol, 5);
    wr_symbol_table_free(table);
    wr_symbol_table_free(NULL);
}

static void any_bytes_are_a_text(void **state) {
    (void)state;
    struct wr_symbol_table *table = NULL;
    assert_int_equal(wr_symbol_table_new(10, &table, NULL), WR_OK);
    char text[WR_SYMBOL_BYTES + 1];
    memset(text, 'x', sizeof text);
    uint32_t empty = 9;
    uint32_t nul = 9;
    uint32_t longest = 9;
    uint32_t other = 9;
    assert_int_equal(wr_symbol_intern(table, "", 0, &empty), WR_OK);
    assert_int_equal(wr_symbol_intern(table, "\0", 1, &nul), WR_OK);
    assert_int_equal(wr_symbol_intern(table, text, WR_SYMBOL_BYTES, &longest), WR_OK);
    assert_int_equal(wr_symbol_intern(table, text, WR_SYMBOL_BYTES + 1, &other), WR_LIMIT);
    size_t len = 9;
    assert_string_equal(wr_symbol_text(table, empty, &len), "");
    assert_int_equal(len, 0);
    assert_memory_equal(wr_symbol_text(table, nul, &len), "\0", 2);
    assert_int_equal(len, 1);
    assert_int_equal(strlen(wr_symbol_text(table, longest, NULL)), WR_SYMBOL_BYTES);
    assert_int_equal(other, 9);
    wr_symbol_table_free(table);
}

static void an_unknown_symbol_is_empty(void **state) {
    (void)state;
    struct wr_symbol_table *table = NULL;
    assert_int_equal(wr_symbol_table_new(0, &table, NULL), WR_OK);
    size_t len = 9;
    assert_string_equal(wr_symbol_text(table, 0, &len), "");
    assert_int_equal(len, 0);
    assert_string_equal(wr_symbol_text(table, UINT32_MAX, NULL), "");
    uint32_t symbol = 0;
    assert_int_equal(wr_symbol_intern(table, "x", 1, &symbol), WR_LIMIT);
    wr_symbol_table_free(table);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        struct wr_symbol_table *table = NULL;
        struct wr_error err = {0};
        uint32_t symbol = 9;
        if (wr_symbol_table_new(10, &table, &err) == WR_OK) {
            if (wr_symbol_intern(table, "x", 1, &symbol) != WR_OK) {
                assert_int_equal(wr_symbol_count(table), 0);
                assert_int_equal(symbol, 9);
            }
            wr_symbol_table_free(table);
        } else {
            assert_int_equal(err.code, WR_NO_MEMORY);
        }
        if (!wr_failing_hit())
            break;
        assert_true(n < 100);
    }
    wr_failing_off();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_keep_their_ids),
        cmocka_unit_test(any_bytes_are_a_text),
        cmocka_unit_test(an_unknown_symbol_is_empty),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
