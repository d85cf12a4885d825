#include "store/form.h"

#include <float.h>
#include <math.h>

/* Exact in a double, all of them. */
static const double powers[WR_FORM_DECIMALS_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const uint64_t whole_powers[WR_DECIMALS_MAX + 1] = {
    1,         10,         100,         1000,         10000,         100000,         1000000,         10000000,
    100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000};

#define CODE_END 4503599627370496.0 /* 2^52: below it a double still tells halves */

/* The decimal nearest to value, and how many doubles value is above it. False: too many digits, or not a number. */
static bool nearest_decimal(unsigned places, double value, int64_t *ret_code, int64_t *ret_ulps) {
    double scaled = value * powers[places];
    if (!(scaled > -WR_DECIMAL_MANTISSA_END && scaled < WR_DECIMAL_MANTISSA_END))
        return false;
    int64_t code = wr_decimal_round(scaled);
    *ret_ulps = wr_minus(wr_ordered64(value), wr_ordered64((double)code / powers[places]));
    *ret_code = code;
    return true;
}

/* Digits of a whole number; none of 0. */
static unsigned digits_of(uint64_t whole) {
    unsigned digits = 0;
    while (digits <= WR_DECIMALS_MAX && whole >= whole_powers[digits])
        digits++;
    return digits;
}

/* A number that is not negative: whole + part / parts, or whole + part / 2^fine_bits. Rounded to so many decimals it is
 * mantissa / 10^decimals. */
struct split {
    uint64_t whole;
    uint64_t part;
};

static struct split split(const struct wr_grid *grid, uint64_t code, int64_t fine) {
    struct split of = {code / grid->parts, code % grid->parts};
    if (grid->fine_bits > 0) {
        uint64_t in_fine = (of.whole << grid->fine_bits) + ((of.part << grid->fine_bits) + grid->parts / 2) / grid->parts + (uint64_t)fine;
        of.whole = in_fine >> grid->fine_bits;
        of.part = in_fine & ((UINT64_C(1) << grid->fine_bits) - 1);
    }
    return of;
}

static uint64_t rounded_part(const struct wr_grid *grid, uint64_t part, unsigned decimals) {
    if (grid->fine_bits == 0)
        return (part * whole_powers[decimals] + grid->parts / 2) / grid->parts;
    const wr_u128 half = wr_u128_of(UINT64_C(1) << (grid->fine_bits - 1));
    return wr_u128_low(wr_u128_right(wr_u128_add(wr_u128_product(part, whole_powers[decimals]), half), grid->fine_bits));
}

static double fraction_value(const struct wr_grid *grid, int64_t code, int fine) {
    struct split of = split(grid, code < 0 ? 0 - (uint64_t)code : (uint64_t)code, fine);
    unsigned before_point = digits_of(of.whole);
    unsigned decimals = before_point < grid->digits ? grid->digits - before_point : 0;
    double value = (double)(of.whole * whole_powers[decimals] + rounded_part(grid, of.part, decimals)) / powers[decimals];
    return code < 0 ? -value : value;
}

static bool fraction_code(const struct wr_grid *grid, double value, struct wr_code *ret_code) {
    double size = fabs(value);
    double scaled = size * (grid->fine_bits > 0 ? (double)(UINT64_C(1) << grid->fine_bits) : (double)grid->parts);
    if (grid->parts == 0 || !(scaled < CODE_END / WR_GRID_PARTS_MAX))
        return false;
    int64_t code = (int64_t)(scaled + 0.5);
    int64_t fine = 0;
    if (grid->fine_bits > 0) {
        int64_t in_fine = code;
        code = (in_fine * grid->parts + (INT64_C(1) << (grid->fine_bits - 1))) >> grid->fine_bits;
        struct split of = split(grid, (uint64_t)code, 0);
        fine = in_fine - (int64_t)((of.whole << grid->fine_bits) + of.part);
    }
    if (fine < INT8_MIN || fine > INT8_MAX)
        return false;
    *ret_code = (struct wr_code){.code = value < 0 ? -code : code, .fine = (int8_t)fine};
    return wr_ordered64(fraction_value(grid, ret_code->code, ret_code->fine)) == wr_ordered64(value);
}

bool wr_form_code_near(unsigned form, double value, int below, struct wr_code *ret_code) {
    int64_t ulps = 0;
    if (!nearest_decimal(form, value, &ret_code->code, &ulps) || ulps < -below || ulps >= below)
        return false;
    ret_code->ulps = (int8_t)ulps;
    ret_code->fine = 0;
    return true;
}

bool wr_form_code(const struct wr_grid *grid, unsigned form, double value, struct wr_code *ret_code) {
    if (form <= WR_FORM_DECIMALS_MAX)
        return wr_form_code_near(form, value, 2, ret_code);
    if (form == WR_FORM_FRACTION)
        return fraction_code(grid, value, ret_code);
    *ret_code = (struct wr_code){.code = wr_ordered64(value)};
    if (form == WR_FORM_FLOAT) {
        if (!(fabs(value) <= (double)FLT_MAX)) /* also NaN */
            return false;
        float narrow = (float)value;
        ret_code->code = wr_ordered32(narrow);
        return wr_ordered64((double)narrow) == wr_ordered64(value);
    }
    return true;
}

double wr_form_value(const struct wr_grid *grid, unsigned form, struct wr_code code) {
    if (form <= WR_FORM_DECIMALS_MAX) {
        double value = (double)code.code / powers[form];
        return code.ulps == 0 ? value : wr_unordered64(wr_plus(wr_ordered64(value), code.ulps));
    }
    if (form == WR_FORM_FRACTION)
        return fraction_value(grid, code.code, code.fine);
    if (form == WR_FORM_FLOAT)
        return (double)wr_unordered32(code.code);
    return wr_unordered64(code.code);
}

int64_t wr_form_guess(const struct wr_grid *grid, unsigned form, double value) {
    if (form == WR_FORM_FLOAT)
        return fabs(value) <= (double)FLT_MAX ? wr_ordered32((float)value) : 0;
    if (form == WR_FORM_DOUBLE)
        return wr_ordered64(value);
    double scaled = value * (form == WR_FORM_FRACTION ? (double)grid->parts : powers[form]);
    if (!(fabs(scaled) < CODE_END))
        return 0;
    return (int64_t)scaled / (wr_form_steps(grid, form) ? grid->step : 1);
}

wr_i128 wr_sum_expected(const struct wr_codes *codes, uint64_t n) {
    wr_i128 four = wr_i128_of(codes->min); /* four numbers of 64 bits: no overflow */
    (void)wr_i128_add_overflow(four, wr_i128_of(codes->max), &four);
    (void)wr_i128_add_overflow(four, wr_i128_of(codes->first), &four);
    (void)wr_i128_add_overflow(four, wr_i128_of(codes->last), &four);
    int64_t rest;
    return wr_i128_divide(wr_i128_signed(wr_u128_multiply(wr_i128_unsigned(four), n)), 4, &rest);
}

double wr_sum_expected_double(const struct wr_aggregate *record) {
    return record->type == WR_TYPE_FLOAT ? (record->min.f + record->max.f) * 0.5 * (double)record->n : 0;
}

wr_i128 wr_sum_expected_scaled(const struct wr_aggregate *record, uint8_t decimals) {
    double scaled = wr_sum_expected_double(record) * powers[decimals];
    return fabs(scaled) < 1e30 ? wr_i128_of_double(scaled) : wr_i128_zero(); /* also NaN */
}

bool wr_sum_decimal(unsigned form, double sum, int64_t *ret_code, int *ret_ulps) {
    int64_t ulps;
    if (form > WR_FORM_DECIMALS_MAX || !nearest_decimal(form, sum, ret_code, &ulps) || ulps < INT8_MIN || ulps > INT8_MAX)
        return false;
    *ret_ulps = (int)ulps;
    return true;
}

double wr_sum_decimal_value(unsigned form, int64_t code, int ulps) {
    return wr_unordered64(wr_plus(wr_ordered64((double)code / powers[form]), ulps));
}

wr_i128 wr_sum_fraction(const struct wr_grid *grid, int64_t code, int64_t fine, uint8_t decimals) {
    struct split of = split(grid, code < 0 ? 0 - (uint64_t)code : (uint64_t)code, fine);
    const wr_u128 whole = wr_u128_product(of.whole, whole_powers[decimals]);
    return wr_i128_of_size(code < 0, wr_u128_add(whole, wr_u128_of(rounded_part(grid, of.part, decimals))));
}

#define FINE_END (INT64_C(1) << 20)
#define REST_END (INT64_C(1) << 40)

bool wr_sum_fraction_code(const struct wr_grid *grid, wr_i128 scaled, uint8_t decimals, int64_t *ret_code, int64_t *ret_fine,
                          int64_t *ret_rest) {
    double size = fabs(wr_i128_double(scaled) / powers[decimals]);
    double in_parts = size * (double)grid->parts;
    if (!(in_parts < CODE_END))
        return false;
    int64_t code = (int64_t)(in_parts + 0.5);
    int64_t fine = 0;
    if (grid->fine_bits > 0) {
        double in_fine = size * (double)(UINT64_C(1) << grid->fine_bits);
        if (!(in_fine < CODE_END))
            return false;
        struct split of = split(grid, (uint64_t)code, 0);
        fine = (int64_t)(in_fine + 0.5) - (int64_t)((of.whole << grid->fine_bits) + of.part);
        if (fine < -FINE_END || fine > FINE_END)
            return false;
    }
    *ret_code = wr_i128_negative(scaled) ? -code : code;
    *ret_fine = fine;
    const wr_u128 near = wr_i128_unsigned(wr_sum_fraction(grid, *ret_code, fine, decimals));
    const wr_i128 rest = wr_i128_signed(wr_u128_subtract(wr_i128_unsigned(scaled), near));
    *ret_rest = wr_i128_low(rest);
    return wr_i128_is_int64(rest) && *ret_rest > -REST_END && *ret_rest < REST_END;
}
