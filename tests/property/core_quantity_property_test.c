/* Every duration that is written reads back; every text gives a value or a reason. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/quantity.h"
#include "tests/support/random.h"

static void durations_come_back(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < 200000; i++) {
        int64_t ns = (int64_t)(wr_random_u64(&random) >> (1 + wr_random_below(&random, 63)));
        if (i % 2)
            ns -= ns % (i % 4 == 1 ? 1000000000 : 60000000);
        char text[64];
        int64_t back = -1;
        wr_quantity_format_duration(text, sizeof text, ns);
        if (wr_quantity_duration(text, &back, NULL) != WR_OK || back != ns)
            fail_msg("%" PRId64 " was written '%s' and read %" PRId64, ns, text, back);
    }
}

static void any_text_gives_a_value_or_a_reason(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < 200000; i++) {
        static const char alphabet[] = "0123459mhdsunkKMGTiB. -\xC3";
        char text[12] = "";
        size_t len = wr_random_below(&random, sizeof text);
        for (size_t at = 0; at < len; at++)
            text[at] = alphabet[wr_random_below(&random, sizeof alphabet - 1)];
        int64_t ns = -1;
        uint64_t bytes = 77;
        struct wr_error err = {0};
        if (wr_quantity_duration(text, &ns, &err) == WR_OK) {
            assert_true(ns >= 0);
        } else {
            assert_int_equal(err.code, WR_INVALID);
            assert_non_null(strstr(err.text, ": "));
            assert_int_equal(ns, -1);
        }
        err = (struct wr_error){0};
        if (wr_quantity_size(text, &bytes, &err) != WR_OK) {
            assert_int_equal(err.code, WR_INVALID);
            assert_non_null(strstr(err.text, ": "));
            assert_int_equal(bytes, 77);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(durations_come_back), cmocka_unit_test(any_text_gives_a_value_or_a_reason)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
