/* The scanners as a machine without SSE2 has them: the same answers as a loop over the bytes. */
#define WR_SCAN_PORTABLE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/number_short.h"
#include "core/scan.h"

static void finds_the_first_of_a_set(void **state) {
    (void)state;
    /* Bytes next to those that are looked for, in every place of a word: a borrow must not make a match. */
    static const char others[] = "\x01\x80\xAC\xAD\xBD\xDC\xA0\x8A+-.<>[]!\x0B\x09\x1F\x21 x";
    char text[40];
    for (size_t len = 0; len < sizeof text; len++) {
        for (size_t at = 0; at <= len; at++) {
            for (size_t other = 0; other < sizeof others - 1; other++) {
                memset(text, others[other] == ' ' ? 'x' : others[other], sizeof text);
                if (at < len)
                    text[at] = "=,\\\n"[at % 4];
                if (at + 1 < len)
                    text[at + 1] = '=';
                assert_ptr_equal(wr_scan_any(text, text + len, "=,\\\n", 4), text + at);
            }
        }
    }
}

static void tells_texts_apart(void **state) {
    (void)state;
    for (size_t len = 0; len < 40; len++) { /* copies of exactly these bytes: a sanitizer sees every read outside of them */
        char *a = malloc(len + 1);
        char *b = malloc(len + 1);
        assert_true(a && b);
        for (size_t i = 0; i < len; i++)
            a[i] = b[i] = (char)('a' + i);
        a[len] = 'x';
        b[len] = 'y';
        assert_true(wr_scan_same(a, b, len));
        for (size_t i = 0; i < len; i++) {
            b[i] ^= 1;
            assert_false(wr_scan_same(a, b, len));
            b[i] ^= 1;
        }
        free(a);
        free(b);
    }
}

static void digits_in_one_register(void **state) {
    (void)state;
    assert_int_equal(wr_scan_digits8(wr_scan_load("12345678")), 12345678);
    assert_int_equal(wr_scan_digits8(wr_scan_load("00000007")), 7);
    assert_true(wr_scan_all_digits(wr_scan_load("09182736")));
    assert_true(wr_scan_digits16("1234567890123456") == UINT64_C(1234567890123456));
    char text[] = "00000000";
    for (size_t at = 0; at < 8; at++) {
        for (int c = 0; c < 256; c++) {
            memcpy(text, "98765432", 8);
            text[at] = (char)c;
            assert_int_equal(wr_scan_all_digits(wr_scan_load(text)) != 0, c >= '0' && c <= '9');
        }
    }
}

static void short_numbers_go_the_long_way(void **state) {
    (void)state;
    double value;
    uint8_t decimals;
    assert_null(wr_number_read_short("12.5 xxxxxxxxxxxxxxx", "", &value, &decimals));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_first_of_a_set),
        cmocka_unit_test(tells_texts_apart),
        cmocka_unit_test(digits_in_one_register),
        cmocka_unit_test(short_numbers_go_the_long_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
