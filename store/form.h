/* Forms: the integers that stand for values in a segment, and back.
 *
 * A value becomes an integer (its code) in one of these forms:
 *   decimal d    code = value * 10^d, for doubles that are code / 10^d, either exactly or up to two neighbours away ("ulps", stored apart:
 *                sensors that multiply by 0.1 write such numbers)
 *   fraction     for means of a few samples that were printed with 15 digits, as 437.333333333333: code = value * parts
 *   float        the bits of the float that the double exactly is, ordered
 *   double       the bits of the double, ordered: always possible
 *   integer      the value itself: int, uint and bool
 * Ordered bits: all but the sign bit are inverted in negative numbers, so that codes compare as the numbers do, and near numbers have near
 * codes.
 *
 * Threads: none; pure functions.
 */
#ifndef WEIR_STORE_FORM_H
#define WEIR_STORE_FORM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/aggregate.h"
#include "store/column.h"

/* Forms 0 to WR_FORM_DECIMALS_MAX: decimal with so many places. */
#define WR_FORM_DECIMALS_MAX 22 /* 10^22 is the largest power that a double holds exactly */
#define WR_FORM_FRACTION 23
#define WR_FORM_FLOAT 24
#define WR_FORM_DOUBLE 25
#define WR_FORM_INTEGER 26 /* never written: the type says it */
#define WR_FORM_ULPS 32    /* with a decimal form: neighbours follow in their column */

enum wr_sum_form {
    WR_SUM_EXACT = 0,   /* in the grid of the values' form */
    WR_SUM_OTHER = 1,   /* exact, decimals in SUM_EXTRA */
    WR_SUM_DECIMAL = 2, /* approximate, written as a decimal in the values' form, neighbour in SUM_EXTRA */
    WR_SUM_DOUBLE = 3,  /* approximate, ordered bits */
};

/* Where first stands: is it the smallest, the largest, neither or both? Where last does. Two bits each. */
enum wr_end {
    WR_END_MIN = 0,
    WR_END_MAX = 1,
    WR_END_OWN = 2,
    WR_END_BOTH = 3,  /* of first: the window is constant */
    WR_END_FIRST = 3, /* of last: it is first again */
};

/* Which numbers the values of a run are likely to be.
 *
 * The fraction form: a value is p / parts, rounded to so many significant digits; in a sensor that computes in floats it is p / parts,
 * rounded to a multiple of 2^-fine_bits, some such multiples further ("fine"), and then rounded to the digits. */
struct wr_grid {
    int64_t step;     /* >= 1: codes of the form `decimals`, and integers, are multiples of it */
    uint8_t decimals; /* a form; WR_FORM_DOUBLE: none */
    uint8_t digits;   /* 1 .. WR_GRID_DIGITS_MAX */
    uint8_t fine_bits;
    uint32_t parts; /* 0: the run has no fractions */
};
#define WR_GRID_DIGITS_MAX 15
#define WR_GRID_PARTS_MAX 16384 /* times 10^15 it is below 2^64 */
#define WR_GRID_FINE_MAX 26

struct wr_code {
    int64_t code;
    int8_t ulps; /* -2 .. 1, but from wr_form_code_near */
    int8_t fine;
};

/* The codes of one aggregate's values, divided by the step of their run where that applies. */
struct wr_codes {
    uint8_t form; /* without WR_FORM_ULPS */
    uint8_t ulps; /* two bits each for min, max, first, last: neighbour + 2 */
    int8_t fine_min;
    int8_t fine_max;
    int8_t fine_first;
    int8_t fine_last;
    int64_t min;
    int64_t max;
    int64_t first;
    int64_t last;
};
#define WR_ULPS_NONE 0xAA /* neighbour 0 four times */

static inline int64_t wr_ordered64(double value) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

static inline double wr_unordered64(int64_t code) {
    int64_t bits = code < 0 ? code ^ INT64_MAX : code;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int64_t wr_ordered32(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

static inline float wr_unordered32(int64_t code) {
    int32_t bits = (int32_t)(uint32_t)(uint64_t)code; /* a forged code may be wider: its low half counts */
    bits = bits < 0 ? bits ^ INT32_MAX : bits;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* True if codes of this form are divided by the step. */
static inline bool wr_form_steps(const struct wr_grid *grid, unsigned form) { return form == grid->decimals || form == WR_FORM_INTEGER; }

/* The code of a double, not divided by the step. False if it does not come back bit for bit. */
bool wr_form_code(const struct wr_grid *grid, unsigned form, double value, struct wr_code *ret_code);
/* The same of a decimal form; the double may be up to `below` neighbours below it and one less above it. below <= 128 */
bool wr_form_code_near(unsigned form, double value, int below, struct wr_code *ret_code);
/* The double that an undivided code stands for. form <= WR_FORM_DOUBLE; fractions only where the grid has them. */
double wr_form_value(const struct wr_grid *grid, unsigned form, struct wr_code code);

/* The divided code that is nearest to a value, or somewhere near it: only expectations rest on it. */
int64_t wr_form_guess(const struct wr_grid *grid, unsigned form, double value);

/* The sum that the other values let expect: their mean times n, in 128 bits modulo 2^128. */
wr_i128 wr_sum_expected(const struct wr_codes *codes, uint64_t n);
/* The same from the values of a record, in doubles; 0 where they are integers. */
double wr_sum_expected_double(const struct wr_aggregate *record);
/* That at so many decimals, as a whole number; 0 if it is too large. */
wr_i128 wr_sum_expected_scaled(const struct wr_aggregate *record, uint8_t decimals);
/* An approximate sum as a decimal of this form; *ret_ulps -128..127. */
bool wr_sum_decimal(unsigned form, double sum, int64_t *ret_code, int *ret_ulps);
double wr_sum_decimal_value(unsigned form, int64_t code, int ulps);

/* What a sum of fractions is, at so many decimals, but for rounding: code / parts, `fine` multiples of 2^-fine_bits further. */
wr_i128 wr_sum_fraction(const struct wr_grid *grid, int64_t code, int64_t fine, uint8_t decimals);
/* The code and fine for which that comes nearest to scaled / 10^decimals, and what is left. False: too large. */
bool wr_sum_fraction_code(const struct wr_grid *grid, wr_i128 scaled, uint8_t decimals, int64_t *ret_code, int64_t *ret_fine,
                          int64_t *ret_rest);

#endif
