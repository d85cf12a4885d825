/* Exact decimal sums: scales, overflow, the fallback. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/decimal.h"

static union wr_value f(double value) {
    return (union wr_value){.f = value};
}

static void add_float(struct wr_sum *sum, double value, uint8_t decimals) {
    wr_sum_add(sum, WR_TYPE_FLOAT, f(value), decimals);
}

static void tenths_are_exact(void **state) {
    (void)state;
    struct wr_sum sum = wr_sum_zero();
    double naive = 0;
    for (int i = 0; i < 1000000; i++) {
        add_float(&sum, 0.1, 1);
        naive += 0.1;
    }
    assert_true(naive != 100000.0); /* else this test proves nothing */
    assert_true(sum.exact);
    assert_int_equal(sum.decimals, 1);
    assert_true(wr_sum_double(&sum) == 100000.0);
}

static void the_largest_scale_wins(void **state) {
    (void)state;
    struct wr_sum sum = wr_sum_zero();
    add_float(&sum, 21, 0);
    add_float(&sum, 21.5, 1);
    add_float(&sum, -0.125, 3);
    add_float(&sum, 21.5, 1);
    wr_sum_add(&sum, WR_TYPE_INT, (union wr_value){.i = -4}, WR_DECIMALS_UNKNOWN);
    assert_true(sum.exact);
    assert_int_equal(sum.decimals, 3);
    assert_true(wr_i128_equal(sum.scaled, wr_i128_of(59875)));
    assert_true(wr_sum_double(&sum) == 59.875);
}

static void integers_are_exact_beyond_64_bits(void **state) {
    (void)state;
    struct wr_sum sum = wr_sum_zero();
    int64_t whole = 7;
    wr_sum_add(&sum, WR_TYPE_INT, (union wr_value){.i = INT64_MAX}, WR_DECIMALS_UNKNOWN);
    assert_true(wr_sum_int64(&sum, &whole) && whole == INT64_MAX);
    wr_sum_add(&sum, WR_TYPE_INT, (union wr_value){.i = 1}, WR_DECIMALS_UNKNOWN);
    assert_false(wr_sum_int64(&sum, &whole));
    assert_int_equal(whole, INT64_MAX);
    wr_sum_add(&sum, WR_TYPE_UINT, (union wr_value){.u = UINT64_MAX}, WR_DECIMALS_UNKNOWN);
    assert_true(sum.exact && wr_i128_equal(sum.scaled, wr_i128_signed(wr_u128_words(1, INT64_MAX))));
    wr_sum_add(&sum, WR_TYPE_INT, (union wr_value){.i = INT64_MIN}, WR_DECIMALS_UNKNOWN);
    wr_sum_add(&sum, WR_TYPE_BOOL, (union wr_value){.u = 1}, WR_DECIMALS_UNKNOWN);
    assert_true(sum.exact && wr_i128_equal(sum.scaled, wr_i128_signed(wr_u128_words(1, 0))));
    assert_true(wr_sum_double(&sum) == 18446744073709551616.0);
}

static void a_fraction_is_no_int64(void **state) {
    (void)state;
    struct wr_sum sum = wr_sum_zero();
    int64_t whole = 7;
    add_float(&sum, 1.5, 1);
    add_float(&sum, 1.5, 1);
    assert_false(wr_sum_int64(&sum, &whole));
    add_float(&sum, NAN, 1);
    assert_false(wr_sum_int64(&sum, &whole));
}

static void unknown_decimals_fall_back_for_ever(void **state) {
    (void)state;
    struct wr_sum sum = wr_sum_zero();
    add_float(&sum, 0.5, 1);
    add_float(&sum, 1.0 / 3, WR_DECIMALS_UNKNOWN);
    assert_false(sum.exact);
    assert_true(wr_sum_double(&sum) == 0.5 + 1.0 / 3);
    add_float(&sum, 0.5, 1);
    assert_false(sum.exact);
    assert_true(fabs(wr_sum_double(&sum) - (1.0 + 1.0 / 3)) <= DBL_EPSILON);
}

static void wrong_decimals_are_noticed(void **state) {
    (void)state;
    struct wr_sum sum = wr_sum_zero();
    add_float(&sum, 0.25, 2);
    add_float(&sum, 0.125, 2); /* has three */
    assert_false(sum.exact);
    assert_true(wr_sum_double(&sum) == 0.375);
    sum = wr_sum_zero();
    add_float(&sum, 1e300, 0); /* more than 15 digits */
    assert_false(sum.exact);
    assert_true(wr_sum_double(&sum) == 1e300);
    sum = wr_sum_zero();
    add_float(&sum, -0.0, 0);
    add_float(&sum, 0.0, 15);
    assert_true(sum.exact && wr_sum_double(&sum) == 0.0);
}

static void the_fallback_is_compensated(void **state) {
    (void)state;
    struct wr_sum sum = wr_sum_zero();
    add_float(&sum, 1.0, WR_DECIMALS_UNKNOWN);
    add_float(&sum, 1e100, WR_DECIMALS_UNKNOWN);
    add_float(&sum, 1.0, WR_DECIMALS_UNKNOWN);
    add_float(&sum, -1e100, WR_DECIMALS_UNKNOWN);
    assert_true(wr_sum_double(&sum) == 2.0);
    add_float(&sum, DBL_MAX, WR_DECIMALS_UNKNOWN);
    add_float(&sum, DBL_MAX, WR_DECIMALS_UNKNOWN);
    assert_true(isinf(wr_sum_double(&sum)));
    add_float(&sum, 1.0, WR_DECIMALS_UNKNOWN);
    assert_true(isinf(wr_sum_double(&sum)));
}

static void overflow_falls_back(void **state) {
    (void)state;
    int64_t rest;
    wr_i128 largest = wr_i128_signed(wr_u128_words(INT64_MAX, UINT64_MAX));
    struct wr_sum sum = {.scaled = largest, .decimals = 0, .exact = true};
    wr_sum_add(&sum, WR_TYPE_INT, (union wr_value){.i = 1}, 0);
    assert_false(sum.exact);
    assert_true(wr_sum_double(&sum) == 0x1p127);
    sum = (struct wr_sum){.scaled = largest, .decimals = 2, .exact = true};
    add_float(&sum, 0.5, 2); /* the inline step */
    assert_false(sum.exact);
    sum = (struct wr_sum){.scaled = wr_i128_divide(largest, 10, &rest), .decimals = 0, .exact = true};
    add_float(&sum, 0.25, 2); /* does not fit the larger scale */
    assert_false(sum.exact);
    assert_true(fabs(wr_sum_double(&sum) / 0x1p127 - 0.1) < 1e-15);
    struct wr_sum other = {.scaled = wr_i128_of(1), .decimals = 0, .exact = true};
    sum = (struct wr_sum){.scaled = largest, .decimals = 0, .exact = true};
    wr_sum_merge(&sum, &other);
    assert_false(sum.exact);
}

static void merging_keeps_exactness_only_if_both_have_it(void **state) {
    (void)state;
    struct wr_sum a = wr_sum_zero();
    struct wr_sum b = wr_sum_zero();
    struct wr_sum c = wr_sum_zero();
    add_float(&a, 0.1, 1);
    add_float(&b, 0.22, 2);
    wr_sum_merge(&a, &b);
    assert_true(a.exact && a.decimals == 2 && wr_i128_equal(a.scaled, wr_i128_of(32)));
    add_float(&c, 1.0 / 3, WR_DECIMALS_UNKNOWN);
    wr_sum_merge(&a, &c);
    assert_false(a.exact);
    assert_true(fabs(wr_sum_double(&a) - (0.32 + 1.0 / 3)) <= DBL_EPSILON);
    wr_sum_merge(&c, &b);
    assert_false(c.exact);
    assert_true(fabs(wr_sum_double(&c) - (0.22 + 1.0 / 3)) <= DBL_EPSILON);
}

static void scale_proves_the_bits(void **state) {
    (void)state;
    int64_t mantissa = 77;
    assert_true(wr_decimal_scale(21.37, 2, &mantissa) && mantissa == 2137);
    assert_true(wr_decimal_scale(-21.37, 4, &mantissa) && mantissa == -213700);
    assert_true(wr_decimal_scale(999999999999999.0, 0, &mantissa) && mantissa == 999999999999999);
    assert_true(wr_decimal_scale(0.000000000000001, 15, &mantissa) && mantissa == 1);
    mantissa = 77;
    assert_false(wr_decimal_scale(21.37, 1, &mantissa));
    assert_false(wr_decimal_scale(1e15, 0, &mantissa));
    assert_false(wr_decimal_scale(1.0, 15, &mantissa));
    assert_false(wr_decimal_scale(NAN, 2, &mantissa));
    assert_false(wr_decimal_scale(INFINITY, 2, &mantissa));
    assert_false(wr_decimal_scale(-0.0, 2, &mantissa)); /* would come back as 0.0 */
    assert_false(wr_decimal_scale(0.1 + 0.2, 15, &mantissa));
    assert_false(wr_decimal_scale(1.0, WR_DECIMALS_MAX + 1, &mantissa));
    assert_false(wr_decimal_scale(1.0, WR_DECIMALS_UNKNOWN, &mantissa));
    assert_int_equal(mantissa, 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenths_are_exact),
        cmocka_unit_test(the_largest_scale_wins),
        cmocka_unit_test(integers_are_exact_beyond_64_bits),
        cmocka_unit_test(a_fraction_is_no_int64),
        cmocka_unit_test(unknown_decimals_fall_back_for_ever),
        cmocka_unit_test(wrong_decimals_are_noticed),
        cmocka_unit_test(the_fallback_is_compensated),
        cmocka_unit_test(overflow_falls_back),
        cmocka_unit_test(merging_keeps_exactness_only_if_both_have_it),
        cmocka_unit_test(scale_proves_the_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
