/* The growable buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "tests/support/failing.h"

static void it_grows_and_stays_a_text(void **state) {
    (void)state;
    struct wr_buf buf;
    wr_buf_init(&buf, 0);
    assert_null(buf.data);
    assert_string_equal(wr_buf_str(&buf), "");
    wr_buf_clear(&buf);
    assert_int_equal(wr_buf_append(&buf, NULL, 0), WR_OK);
    char expected[2001] = "";
    for (int i = 0; i < 200; i++) {
        assert_int_equal(wr_buf_text(&buf, "0123456789"), WR_OK);
        memcpy(expected + (size_t)i * 10, "0123456789", 11);
        assert_int_equal(buf.len, strlen(expected));
        assert_string_equal(wr_buf_str(&buf), expected);
    }
    wr_buf_clear(&buf);
    assert_string_equal(wr_buf_str(&buf), "");
    assert_true(buf.cap >= 2001);
    wr_buf_fini(&buf);
    assert_null(buf.data);
}

static void the_ceiling_takes_all_or_nothing(void **state) {
    (void)state;
    struct wr_buf buf;
    wr_buf_init(&buf, 10);
    assert_int_equal(wr_buf_text(&buf, "1234567"), WR_OK);
    assert_int_equal(wr_buf_text(&buf, "890a"), WR_LIMIT);
    assert_string_equal(wr_buf_str(&buf), "1234567");
    assert_int_equal(wr_buf_printf(&buf, "%d", 1234), WR_LIMIT);
    assert_string_equal(wr_buf_str(&buf), "1234567");
    assert_int_equal(wr_buf_printf(&buf, "%d", 890), WR_OK);
    assert_string_equal(wr_buf_str(&buf), "1234567890");
    assert_int_equal(wr_buf_reserve(&buf, 0), WR_OK);
    assert_int_equal(wr_buf_reserve(&buf, 1), WR_LIMIT);
    assert_int_equal(wr_buf_reserve(&buf, SIZE_MAX), WR_LIMIT);
    assert_true(buf.cap <= 11);
    wr_buf_fini(&buf);
}

static void printf_grows_as_needed(void **state) {
    (void)state;
    struct wr_buf buf;
    wr_buf_init(&buf, 0);
    assert_int_equal(wr_buf_printf(&buf, "%s", ""), WR_OK);
    assert_int_equal(wr_buf_printf(&buf, "%0500d", 7), WR_OK);
    assert_int_equal(buf.len, 500);
    assert_int_equal(wr_buf_printf(&buf, "-%s", "x"), WR_OK);
    assert_string_equal(wr_buf_str(&buf) + 499, "7-x");
    wr_buf_fini(&buf);
}

static void stealing_leaves_it_empty(void **state) {
    (void)state;
    struct wr_buf buf;
    size_t len = 99;
    wr_buf_init(&buf, 100);
    assert_null(wr_buf_steal(&buf, &len));
    assert_int_equal(len, 0);
    assert_int_equal(wr_buf_text(&buf, "mine"), WR_OK);
    uint8_t *data = wr_buf_steal(&buf, &len);
    assert_int_equal(len, 4);
    assert_memory_equal(data, "mine", 5);
    free(data);
    assert_null(buf.data);
    assert_int_equal(buf.max, 100);
    assert_int_equal(wr_buf_text(&buf, "more"), WR_OK);
    wr_buf_fini(&buf);
}

static void no_memory_keeps_what_was_there(void **state) {
    (void)state;
    struct wr_buf buf;
    wr_buf_init(&buf, 0);
    wr_failing_allocations(0);
    assert_int_equal(wr_buf_text(&buf, "x"), WR_NO_MEMORY);
    assert_string_equal(wr_buf_str(&buf), "");
    wr_failing_off();
    assert_int_equal(wr_buf_text(&buf, "kept"), WR_OK);
    wr_failing_allocations(0);
    assert_int_equal(wr_buf_printf(&buf, "%0500d", 7), WR_NO_MEMORY);
    wr_failing_off();
    assert_string_equal(wr_buf_str(&buf), "kept");
    wr_buf_fini(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_and_stays_a_text),      cmocka_unit_test(the_ceiling_takes_all_or_nothing),
        cmocka_unit_test(printf_grows_as_needed),         cmocka_unit_test(stealing_leaves_it_empty),
        cmocka_unit_test(no_memory_keeps_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
