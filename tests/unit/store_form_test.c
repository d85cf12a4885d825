/* Values as integers, on numbers from recordings: which form they find, and that nothing else is taken for one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/grid.h"

static struct wr_grid find(const double *values, size_t n, uint8_t decimals) {
    struct wr_aggregate records[16];
    uint16_t order[16];
    struct wr_grid grid;
    assert_true(n <= 16);
    for (size_t i = 0; i < n; i++) {
        union wr_value value = {.f = values[i]};
        records[i] = (struct wr_aggregate){
            .type = WR_TYPE_FLOAT, .n = 1, .decimals = decimals, .min = value, .max = value, .first = value, .last = value};
        order[i] = (uint16_t)i;
    }
    wr_grid_find(&grid, records, order, (uint32_t)n);
    return grid;
}

static void comes_back(const struct wr_grid *grid, unsigned form, double value, int64_t code) {
    struct wr_code got;
    assert_true(wr_form_code(grid, form, value, &got));
    assert_true(got.code == code);
    assert_true(wr_ordered64(wr_form_value(grid, form, got)) == wr_ordered64(value));
}

static void test_means_are_fractions(void **state) {
    (void)state;
    const double co2[] = {437.333333333333, 1026.66666666667, 1042.6, 766.75, -0.333333333333333};
    struct wr_grid grid = find(co2, 5, 12);
    assert_int_equal(grid.parts, 60);
    assert_int_equal(grid.digits, 15);
    assert_int_equal(grid.fine_bits, 0);
    comes_back(&grid, WR_FORM_FRACTION, 437.333333333333, 1312 * 20);
    comes_back(&grid, WR_FORM_FRACTION, 1026.66666666667, 61600);
    comes_back(&grid, WR_FORM_FRACTION, -0.333333333333333, -20);
    const double celsius[] = {24.4083333333333, 25.6816666666667};
    grid = find(celsius, 2, 13);
    assert_int_equal(grid.parts, 600);
    comes_back(&grid, WR_FORM_FRACTION, 25.6816666666667, 25 * 600 + 409);
}

static void test_means_of_floats_are_fractions(void **state) {
    (void)state;
    const double celsius[] = {16.650000095367, 14.725000143051, 17.625};
    struct wr_grid grid = find(celsius, 3, 12);
    assert_int_equal(grid.parts, 40);
    assert_int_equal(grid.digits, 14);
    assert_true(grid.fine_bits > 0);
    comes_back(&grid, WR_FORM_FRACTION, 16.650000095367, 666);
    comes_back(&grid, WR_FORM_FRACTION, 14.725000143051, 589);
    comes_back(&grid, WR_FORM_FRACTION, 17.625, 705);
}

static void test_noise_is_no_fraction(void **state) {
    (void)state;
    const double noise[] = {0.918273645546372, 3.14159265358979, 2.71828182845905,  0.577215664901533,
                            1.61803398874989,  1.41421356237310, 0.693147180559945, 1.20205690315959};
    struct wr_grid grid = find(noise, 8, 15);
    struct wr_code code;
    for (size_t i = 0; i < 8; i++)
        assert_false(wr_form_code(&grid, WR_FORM_FRACTION, noise[i], &code));
    /* one digit more or less is another double: the fraction must not take it */
    grid = (struct wr_grid){.step = 1, .digits = 15, .parts = 3};
    assert_true(wr_form_code(&grid, WR_FORM_FRACTION, 437.333333333333, &code));
    assert_false(wr_form_code(&grid, WR_FORM_FRACTION, 437.33333333333, &code));
    assert_false(wr_form_code(&grid, WR_FORM_FRACTION, 437.3333333333333, &code));
    assert_false(wr_form_code(&grid, WR_FORM_FRACTION, -0.0, &code));
    assert_false(wr_form_code(&grid, WR_FORM_FRACTION, (double)NAN, &code));
    assert_false(wr_form_code(&grid, WR_FORM_FRACTION, (double)INFINITY, &code));
    assert_false(wr_form_code(&grid, WR_FORM_FRACTION, 1e300, &code));
}

static void test_decimals_and_steps(void **state) {
    (void)state;
    const double quarters[] = {20.25, 20.5, 21};
    struct wr_grid grid = find(quarters, 3, 2);
    assert_int_equal(grid.decimals, 2);
    assert_int_equal(grid.parts, 0);
    comes_back(&grid, 2, 20.25, 2025);
    comes_back(&grid, 3, 32.391999999999996, 32392); /* a neighbour of the decimal */
    struct wr_codes codes[2] = {{.form = 2, .min = 2025, .max = 2100, .first = 2050, .last = 2075}, {.form = 1, .min = 7}};
    assert_int_equal(wr_grid_step(&grid, codes, 2), 25); /* the other form does not count */
    grid.step = 25;
    assert_int_equal(wr_form_guess(&grid, 2, 20.5), 82);
    assert_int_equal(wr_form_guess(&grid, 2, (double)NAN), 0);
}

static void test_sums_of_fractions_stay_exact(void **state) {
    (void)state;
    struct wr_grid grid = {.step = 1, .digits = 15, .parts = 3};
    struct wr_sum sum = wr_sum_zero();
    for (int i = 0; i < 10; i++)
        wr_sum_add(&sum, WR_TYPE_FLOAT, (union wr_value){.f = i % 2 ? 437.333333333333 : -12.6666666666667}, i % 2 ? 12 : 13);
    assert_true(sum.exact);
    int64_t code;
    int64_t fine;
    int64_t rest;
    assert_true(wr_sum_fraction_code(&grid, sum.scaled, sum.decimals, &code, &fine, &rest));
    assert_true(code == 5 * 1312 - 5 * 38);
    assert_true(rest != 0); /* ten times a third of the last digit */
    assert_true(wr_i128_low(wr_sum_fraction(&grid, code, fine, sum.decimals)) + rest == wr_i128_low(sum.scaled));
    assert_false(wr_sum_fraction_code(&grid, wr_i128_signed(wr_u128_words(UINT64_C(1) << 56, 0)), 0, &code, &fine, &rest));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_means_are_fractions),          cmocka_unit_test(test_means_of_floats_are_fractions),
        cmocka_unit_test(test_noise_is_no_fraction),         cmocka_unit_test(test_decimals_and_steps),
        cmocka_unit_test(test_sums_of_fractions_stay_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
