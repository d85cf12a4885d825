#include "store/column.h"

/* Exact in a double, all of them. */
static const double powers[WR_FORM_DECIMALS_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

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

bool wr_form_code(unsigned form, double value, int64_t *ret_code, int *ret_ulps) {
    int64_t ulps = 0;
    if (form <= WR_FORM_DECIMALS_MAX) {
        if (!nearest_decimal(form, value, ret_code, &ulps) || ulps < -2 || ulps > 1)
            return false;
        *ret_ulps = (int)ulps;
        return true;
    }
    *ret_ulps = 0;
    if (form == WR_FORM_FLOAT) {
        if (!(fabs(value) <= (double)3.402823466e+38F)) /* also NaN */
            return false;
        float narrow = (float)value;
        *ret_code = wr_ordered32(narrow);
        return wr_ordered64((double)narrow) == wr_ordered64(value);
    }
    *ret_code = wr_ordered64(value);
    return true;
}

double wr_form_value(unsigned form, int64_t code, int ulps) {
    if (form <= WR_FORM_DECIMALS_MAX)
        return wr_unordered64(wr_plus(wr_ordered64((double)code / powers[form]), ulps));
    if (form == WR_FORM_FLOAT)
        return (double)wr_unordered32(code);
    return wr_unordered64(code);
}

int64_t wr_form_convert(int64_t code, unsigned from, unsigned to) {
    if (from == to)
        return code;
    if (from > WR_FORM_DECIMALS_MAX || to > WR_FORM_DECIMALS_MAX)
        return 0;
    for (; from < to; from++)
        code = (int64_t)((uint64_t)code * 10);
    for (; from > to; from--)
        code /= 10;
    return code;
}

wr_i128 wr_sum_expected(const struct wr_codes *codes, uint64_t n) {
    wr_i128 four = (wr_i128)codes->min + codes->max + codes->first + codes->last;
    return (wr_i128)((wr_u128)four * n) / 4;
}

double wr_sum_expected_double(double min, double max, uint64_t n) {
    return (min + max) * 0.5 * (double)n;
}

bool wr_sum_decimal(unsigned form, double sum, int64_t *ret_code, int *ret_ulps) {
    int64_t ulps;
    if (form > WR_FORM_DECIMALS_MAX || !nearest_decimal(form, sum, ret_code, &ulps) || ulps < INT8_MIN || ulps > INT8_MAX)
        return false;
    *ret_ulps = (int)ulps;
    return true;
}
