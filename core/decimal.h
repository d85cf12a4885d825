/* Exact decimal sums: a value is a scaled integer, value = mantissa / 10^decimals, summed in 128 bits at the largest scale seen.
 *
 * Promise: while every value has known decimals and nothing overflows, the sum is exact and does not depend on the order. Otherwise it
 * falls back to f64 (compensated) and says so: exact = false. What is published is the exact value rounded once to f64. Integer sums
 * (decimals 0) are exact.
 * Threads: none; plain values.
 */
#ifndef WEIR_CORE_DECIMAL_H
#define WEIR_CORE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/int128.h"
#include "core/reading.h"

#define WR_DECIMAL_MANTISSA_END 1e15 /* a mantissa has at most 15 digits */

struct wr_sum {
    union {
        wr_i128 scaled; /* exact: sum * 10^decimals */
        struct {
            double approx; /* not exact: the published value is approx + carry */
            double carry;  /* what rounding took from approx so far */
        };
    };
    uint8_t decimals; /* 0..WR_DECIMALS_MAX while exact */
    bool exact;
};

/* The mantissa of a double that was written with this many decimals, if it has one with at most 15 digits and converting back gives the
 * same bits. */
bool wr_decimal_scale(double value, uint8_t decimals, int64_t *ret_mantissa);

/* mantissa / 10^decimals, rounded once. */
double wr_decimal_to_double(wr_i128 mantissa, uint8_t decimals);

static inline struct wr_sum wr_sum_zero(void) { return (struct wr_sum){.scaled = wr_i128_zero(), .decimals = 0, .exact = true}; }

extern const double wr_decimal_powers[WR_DECIMALS_MAX + 1]; /* 10^0 ... 10^15, exact */

/* The whole number nearest to x, for |x| < 2^51: adding 1.5 * 2^52 leaves no bits for a fraction. */
static inline int64_t wr_decimal_round(double x) {
    union wr_value shifted = {.f = x + 6755399441055744.0};
    union wr_value base = {.f = 6755399441055744.0};
    return shifted.i - base.i;
}

/* The mantissa of a double at this scale (at most WR_DECIMALS_MAX), if it is the double nearest to mantissa / 10^decimals: wr_decimal_scale,
 * inline, and -0.0 counts as 0. False for NaN. */
static inline bool wr_decimal_mantissa(double value, uint8_t decimals, int64_t *ret_mantissa) {
    double power = wr_decimal_powers[decimals & WR_DECIMALS_MAX]; /* the mask only tells the compiler what the contract says */
    double scaled = value * power;
    if (!(scaled > -WR_DECIMAL_MANTISSA_END && scaled < WR_DECIMAL_MANTISSA_END))
        return false;
    *ret_mantissa = wr_decimal_round(scaled);
    return (double)*ret_mantissa / power == value;
}

/* All that wr_sum_add does not do inline: other types, another scale, the fallback. */
void wr_sum_add_other(struct wr_sum *sum, enum wr_type type, union wr_value value, uint8_t decimals);

/* Adds a numeric or bool value. decimals is of the reading; ignored for integers and bool. A float that has not the decimals it is said to
 * have makes the sum inexact. Inline is the usual case: a float whose decimals the sum has already seen. */
static inline void wr_sum_add(struct wr_sum *sum, enum wr_type type, union wr_value value, uint8_t decimals) {
    int64_t mantissa;
    if (type == WR_TYPE_FLOAT && sum->exact && decimals <= sum->decimals && wr_decimal_mantissa(value.f, sum->decimals, &mantissa)) {
        if (!wr_i128_add_overflow(sum->scaled, wr_i128_of(mantissa), &sum->scaled))
            return;
    }
    wr_sum_add_other(sum, type, value, decimals);
}

/* Adds another sum: for merging partial windows. */
void wr_sum_merge(struct wr_sum *into, const struct wr_sum *other);

/* The published value: the exact sum rounded once to f64, or the approximation. */
double wr_sum_double(const struct wr_sum *sum);

/* True and the integer if the sum is an exact whole number with decimals 0 that fits. */
bool wr_sum_int64(const struct wr_sum *sum, int64_t *ret_value);

#endif
