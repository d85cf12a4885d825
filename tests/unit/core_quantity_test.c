/* Durations and sizes as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/quantity.h"

static void durations_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"500us", 500000},
        {"250ms", 250000000},
        {"5s", INT64_C(5000000000)},
        {"1m30s", INT64_C(90000000000)},
        {"90s", INT64_C(90000000000)},
        {"2h", INT64_C(7200000000000)},
        {"7d", INT64_C(604800000000000)},
        {"1d2h3m4s5ms6us7ns", INT64_C(93784005006007)},
        {"007s", INT64_C(7000000000)},
        {"9223372036854775807ns", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = -7;
        assert_int_equal(wr_quantity_duration(cases[i].text, &ns, NULL), WR_OK);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void sizes_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},
        {"100B", 100},
        {"4KB", 4000},
        {"512kB", 512000},
        {"1KiB", 1024},
        {"64MB", 64000000},
        {"1MiB", 1048576},
        {"2GB", UINT64_C(2000000000)},
        {"2GiB", UINT64_C(2147483648)},
        {"1TB", UINT64_C(1000000000000)},
        {"1TiB", UINT64_C(1099511627776)},
        {"18446744073709551615B", UINT64_MAX},
        {"16777215TiB", UINT64_C(18446742974197923840)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bytes = 7;
        assert_int_equal(wr_quantity_size(cases[i].text, &bytes, NULL), WR_OK);
        assert_true(bytes == cases[i].bytes);
    }
}

static void bad_durations_get_a_hint(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"5", "'5' has no unit: write 5s, 5m or 5h"},
        {"1m30", "'1m30' has no unit: write 30s, 30m or 30h"},
        {"", "'' is no duration: write for example 250ms, 5s, 1m30s, 2h or 7d"},
        {"soon", "'soon' is no duration: write for example 250ms, 5s, 1m30s, 2h or 7d"},
        {"s", "'s' is no duration: write for example 250ms, 5s, 1m30s, 2h or 7d"},
        {"-5s", "'-5s' is negative: write for example 250ms, 5s, 1m30s, 2h or 7d"},
        {"1.5s", "'1.5s' has a fraction: take a smaller unit: 1500ms instead of 1.5s"},
        {"5 s", "'5 s' has a space: write the unit directly after the number, as in 5s or 64MB"},
        {"5sec", "'5sec' has the unknown unit 'sec': the units are ns, us, ms, s, m, h and d"},
        {"5M", "'5M' has the unknown unit 'M': the units are ns, us, ms, s, m, h and d"},
        {"30s1m", "'30s1m' has its units out of order: larger units first, each once, as in 1m30s"},
        {"1s1s", "'1s1s' has its units out of order: larger units first, each once, as in 1m30s"},
        {"9223372036854775808ns", "'9223372036854775808ns' is too long: at most 106751d"},
        {"106751d24h", "'106751d24h' is too long: at most 106751d"},
        {"99999999999999999999999s", "'99999999999999999999999s' is too long: at most 106751d"},
        {"5\x1b[", "'5\\x1b[' has the unknown unit '\\x1b[': the units are ns, us, ms, s, m, h and d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = -7;
        struct wr_error err = {0};
        assert_int_equal(wr_quantity_duration(cases[i].text, &ns, &err), WR_INVALID);
        assert_string_equal(err.text, cases[i].message);
        assert_int_equal(err.code, WR_INVALID);
        assert_int_equal(ns, -7);
    }
}

static void bad_sizes_get_a_hint(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"64", "'64' has no unit: write 64B, 64kB or 64MB"},
        {"64M", "'64M' has the unknown unit 'M': the units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"},
        {"64mb", "'64mb' has the unknown unit 'mb': the units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"},
        {"1.5GB", "'1.5GB' has a fraction: take a smaller unit: 1500MB instead of 1.5GB"},
        {"64 MB", "'64 MB' has a space: write the unit directly after the number, as in 5s or 64MB"},
        {"", "'' is no size: write for example 512kB, 64MB or 1MiB"},
        {"MB", "'MB' is no size: write for example 512kB, 64MB or 1MiB"},
        {"-1MB", "'-1MB' is negative: write for example 512kB, 64MB or 1MiB"},
        {"1MB2kB", "'1MB2kB' is more than one size: write for example 512kB, 64MB or 1MiB"},
        {"18446744073709551616B", "'18446744073709551616B' is too large: at most 16777215TiB"},
        {"16777216TiB", "'16777216TiB' is too large: at most 16777215TiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bytes = 7;
        struct wr_error err = {0};
        assert_int_equal(wr_quantity_size(cases[i].text, &bytes, &err), WR_INVALID);
        assert_string_equal(err.text, cases[i].message);
        assert_true(bytes == 7);
    }
}

static void a_long_text_is_shortened(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text);
    text[0] = '5';
    text[sizeof text - 1] = '\0';
    struct wr_error err = {0};
    int64_t ns = 0;
    uint64_t bytes = 0;
    assert_int_equal(wr_quantity_duration(text, &ns, &err), WR_INVALID);
    assert_true(strlen(err.text) < 300);
    assert_non_null(strstr(err.text, "..."));
    assert_int_equal(wr_quantity_size(text, &bytes, &err), WR_INVALID);
    assert_true(strlen(err.text) < 300);
}

static void durations_are_written(void **state) {
    (void)state;
    char text[64];
    assert_string_equal(wr_quantity_format_duration(text, sizeof text, 0), "0s");
    assert_string_equal(wr_quantity_format_duration(text, sizeof text, INT64_C(90000000000)), "1m30s");
    assert_string_equal(wr_quantity_format_duration(text, sizeof text, 1500000000), "1s500ms");
    assert_string_equal(wr_quantity_format_duration(text, sizeof text, 500000), "500us");
    assert_string_equal(wr_quantity_format_duration(text, sizeof text, INT64_MAX), "106751d23h47m16s854ms775us807ns");
    assert_string_equal(wr_quantity_format_duration(text, sizeof text, -2000000), "-2ms");
    assert_string_equal(wr_quantity_format_duration(text, sizeof text, INT64_MIN), "-106751d23h47m16s854ms775us808ns");
    assert_string_equal(wr_quantity_format_duration(text, 3, INT64_C(90000000000)), "1m");
}

static void sizes_are_written(void **state) {
    (void)state;
    char text[32];
    assert_string_equal(wr_quantity_format_size(text, sizeof text, 0), "0 B");
    assert_string_equal(wr_quantity_format_size(text, sizeof text, 999), "999 B");
    assert_string_equal(wr_quantity_format_size(text, sizeof text, 1000), "1.0 kB");
    assert_string_equal(wr_quantity_format_size(text, sizeof text, 12400000), "12.4 MB");
    assert_string_equal(wr_quantity_format_size(text, sizeof text, 999949), "999.9 kB");
    assert_string_equal(wr_quantity_format_size(text, sizeof text, 999950), "1.0 MB");
    assert_string_equal(wr_quantity_format_size(text, sizeof text, UINT64_MAX), "18.4 EB");
    assert_string_equal(wr_quantity_format_size(text, 4, 12400000), "12.");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read),       cmocka_unit_test(sizes_are_read),        cmocka_unit_test(bad_durations_get_a_hint),
        cmocka_unit_test(bad_sizes_get_a_hint),     cmocka_unit_test(durations_are_written), cmocka_unit_test(sizes_are_written),
        cmocka_unit_test(a_long_text_is_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
