#include "core/decimal.h"

#include <assert.h>
#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles are computed as doubles: every operation rounds once");

const double wr_decimal_powers[WR_DECIMALS_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                       1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static const int64_t powers[WR_DECIMALS_MAX + 1] = {
    1,         10,         100,         1000,         10000,         100000,         1000000,         10000000,
    100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000};

/* A double nearest to m / 10^d, with |m| < 10^15, is at most half a unit in the last place away from it. Multiplied by 10^d (exact in a
 * double) and rounded again, the product is off by less than m * 2^-52 < 1/4: so rounding gives m. Both m and 10^d are exact doubles and
 * IEEE division rounds once: so m / 10^d is that very double, and comparing proves that the value was written so. */
bool wr_decimal_scale(double value, uint8_t decimals, int64_t *ret_mantissa) {
    if (decimals > WR_DECIMALS_MAX)
        return false;
    double scaled = value * wr_decimal_powers[decimals];
    if (!(scaled > -WR_DECIMAL_MANTISSA_END && scaled < WR_DECIMAL_MANTISSA_END))
        return false;
    int64_t mantissa = wr_decimal_round(scaled);
    union wr_value back = {.f = (double)mantissa / wr_decimal_powers[decimals]};
    union wr_value same = {.f = value};
    if (back.bits != same.bits) /* by bits: -0.0 is not 0 */
        return false;
    *ret_mantissa = mantissa;
    return true;
}

double wr_decimal_to_double(wr_i128 mantissa, uint8_t decimals) {
    assert(decimals <= WR_DECIMALS_MAX);
    const wr_u128 size = wr_i128_size(mantissa);
    double result;
    if ((wr_u128_high(size) == 0 && wr_u128_low(size) < UINT64_C(1) << 53) || decimals == 0) {
        result = wr_u128_double(size) / wr_decimal_powers[decimals]; /* two exact doubles (or one conversion): one rounding */
    } else {
        const uint64_t power = (uint64_t)powers[decimals];
        uint64_t rest;
        const wr_u128 quotient = wr_u128_divide(size, power, &rest);
        if (wr_u128_high(quotient) != 0) {
            /* Many more bits than a double has: a set lowest bit tells the rounding that the true quotient lies above this one. */
            result = wr_u128_double(wr_u128_or(quotient, wr_u128_of(rest != 0)));
        } else {
            /* 64 more bits, so that there are at least 67. A rest of at least 1 / 10^15 is never lost below them. */
            uint64_t last;
            const wr_u128 fraction = wr_u128_divide(wr_u128_words(rest, 0), power, &last);
            result = ldexp(wr_u128_double(wr_u128_add(wr_u128_words(wr_u128_low(quotient), 0), fraction)), -64);
        }
    }
    return wr_i128_negative(mantissa) ? -result : result;
}

/* Neumaier 1974: carry collects exactly what each addition rounds away. */
static void add_approx(struct wr_sum *sum, double value) {
    double before = sum->approx;
    double after = before + value;
    sum->carry += fabs(before) >= fabs(value) ? (before - after) + value : (value - after) + before;
    sum->approx = after;
}

/* From here on the sum is a double, for ever. */
static void give_up_exact(struct wr_sum *sum) {
    if (!sum->exact)
        return;
    double value = wr_sum_double(sum);
    sum->approx = value;
    sum->carry = 0;
    sum->exact = false;
}

/* Brings the sum to a larger scale. False: it does not fit. */
static bool rescale(struct wr_sum *sum, uint8_t decimals) {
    if (wr_i128_multiply_overflow(sum->scaled, powers[decimals - sum->decimals], &sum->scaled))
        return false;
    sum->decimals = decimals;
    return true;
}

/* Adds mantissa / 10^decimals. False: it does not fit, and the sum is as before. */
static bool add_exact(struct wr_sum *sum, wr_i128 mantissa, uint8_t decimals) {
    struct wr_sum after = *sum;
    if (decimals > after.decimals && !rescale(&after, decimals))
        return false;
    if (wr_i128_multiply_overflow(mantissa, powers[after.decimals - decimals], &mantissa) ||
        wr_i128_add_overflow(after.scaled, mantissa, &after.scaled))
        return false;
    *sum = after;
    return true;
}

/* The exact mantissa of a value, with the decimals that it has. */
static bool exact_mantissa(enum wr_type type, union wr_value value, uint8_t *decimals, wr_i128 *ret_mantissa) {
    int64_t mantissa;
    switch (type) {
    case WR_TYPE_FLOAT:
        if (value.f == 0.0)
            mantissa = 0; /* also -0.0, which a sum does not keep */
        else if (!wr_decimal_scale(value.f, *decimals, &mantissa))
            return false;
        *ret_mantissa = wr_i128_of(mantissa);
        return *decimals <= WR_DECIMALS_MAX;
    case WR_TYPE_INT:
        *ret_mantissa = wr_i128_of(value.i);
        break;
    case WR_TYPE_UINT:
        *ret_mantissa = wr_i128_of_u64(value.u);
        break;
    case WR_TYPE_BOOL:
        *ret_mantissa = wr_i128_of(value.u != 0);
        break;
    case WR_TYPE_NONE:
    case WR_TYPE_SYMBOL:
        return false;
    }
    *decimals = 0;
    return true;
}

void wr_sum_add_other(struct wr_sum *sum, enum wr_type type, union wr_value value, uint8_t decimals) {
    assert(type != WR_TYPE_NONE && type != WR_TYPE_SYMBOL);
    wr_i128 mantissa = wr_i128_zero();
    if (sum->exact && exact_mantissa(type, value, &decimals, &mantissa) && add_exact(sum, mantissa, decimals))
        return;
    give_up_exact(sum);
    add_approx(sum, wr_reading_number(type, value));
}

void wr_sum_merge(struct wr_sum *into, const struct wr_sum *other) {
    if (into->exact && other->exact && add_exact(into, other->scaled, other->decimals))
        return;
    give_up_exact(into);
    if (other->exact) {
        add_approx(into, wr_sum_double(other));
    } else {
        add_approx(into, other->approx);
        add_approx(into, other->carry);
    }
}

double wr_sum_double(const struct wr_sum *sum) {
    if (sum->exact)
        return wr_decimal_to_double(sum->scaled, sum->decimals);
    double value = sum->approx + sum->carry;
    return isfinite(value) ? value : sum->approx; /* after an overflow the carry means nothing */
}

bool wr_sum_int64(const struct wr_sum *sum, int64_t *ret_value) {
    if (!sum->exact || sum->decimals != 0 || !wr_i128_is_int64(sum->scaled))
        return false;
    *ret_value = wr_i128_low(sum->scaled);
    return true;
}
