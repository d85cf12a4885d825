/* Integers of 128 bits, on every processor: the compiler's own where it has them (64-bit processors), two words where it has not.
 *
 * Promise: both forms give the same bits; tests compare them. Arithmetic without `_overflow` in its name is modulo 2^128; with it, true
 * means that the exact result does not fit, and then *ret is not touched. Conversions to double round once, to nearest even.
 * Threads: none; plain values. No operator works on wr_i128 and wr_u128 in code that must also compile for 32 bits: only these functions.
 */
#ifndef WEIR_CORE_INT128_H
#define WEIR_CORE_INT128_H

#include <stdbool.h>
#include <stdint.h>

/* -- two words: the form for 32 bits, always here so that it can be tested everywhere ------------------------------------------------------ */

struct wr_words {
    uint64_t low;
    uint64_t high; /* two's complement: its highest bit is the sign of a signed number */
};

static inline struct wr_words wr_words_add(struct wr_words a, struct wr_words b) {
    uint64_t low = a.low + b.low;
    return (struct wr_words){low, a.high + b.high + (low < a.low)};
}

static inline struct wr_words wr_words_subtract(struct wr_words a, struct wr_words b) {
    return (struct wr_words){a.low - b.low, a.high - b.high - (a.low < b.low)};
}

static inline bool wr_words_below(struct wr_words a, struct wr_words b) { return a.high != b.high ? a.high < b.high : a.low < b.low; }

/* n < 128 */
static inline struct wr_words wr_words_left(struct wr_words a, unsigned n) {
    if (n == 0)
        return a;
    return n >= 64 ? (struct wr_words){0, a.low << (n - 64)} : (struct wr_words){a.low << n, a.high << n | a.low >> (64 - n)};
}

static inline struct wr_words wr_words_right(struct wr_words a, unsigned n) {
    if (n == 0)
        return a;
    return n >= 64 ? (struct wr_words){a.high >> (n - 64), 0} : (struct wr_words){a.low >> n | a.high << (64 - n), a.high >> n};
}

/* The whole product of two words. */
struct wr_words wr_words_product(uint64_t a, uint64_t b);
/* a * b modulo 2^128; *ret_overflow (may be NULL) tells whether that is not all. */
struct wr_words wr_words_multiply(struct wr_words a, uint64_t b, bool *ret_overflow);
/* a / b, b > 0. */
struct wr_words wr_words_divide(struct wr_words a, uint64_t b, uint64_t *ret_rest);
double wr_words_double(struct wr_words a);

/* -- wr_u128 and wr_i128 ------------------------------------------------------------------------------------------------------------------ */

#if defined(__SIZEOF_INT128__) && !defined(WEIR_WITHOUT_INT128)

__extension__ typedef __int128 wr_i128;
__extension__ typedef unsigned __int128 wr_u128;

static inline wr_u128 wr_u128_of(uint64_t value) { return value; }
static inline wr_u128 wr_u128_words(uint64_t high, uint64_t low) { return (wr_u128)high << 64 | low; }
static inline uint64_t wr_u128_low(wr_u128 a) { return (uint64_t)a; }
static inline uint64_t wr_u128_high(wr_u128 a) { return (uint64_t)(a >> 64); }
static inline wr_u128 wr_u128_add(wr_u128 a, wr_u128 b) { return a + b; }
static inline wr_u128 wr_u128_subtract(wr_u128 a, wr_u128 b) { return a - b; }
static inline wr_u128 wr_u128_or(wr_u128 a, wr_u128 b) { return a | b; }
static inline wr_u128 wr_u128_xor(wr_u128 a, wr_u128 b) { return a ^ b; }
static inline wr_u128 wr_u128_left(wr_u128 a, unsigned n) { return a << n; }
static inline wr_u128 wr_u128_right(wr_u128 a, unsigned n) { return a >> n; }
static inline bool wr_u128_below(wr_u128 a, wr_u128 b) { return a < b; }
static inline wr_u128 wr_u128_product(uint64_t a, uint64_t b) { return (wr_u128)a * b; }
static inline wr_u128 wr_u128_multiply(wr_u128 a, uint64_t b) { return a * b; }
static inline wr_u128 wr_u128_divide(wr_u128 a, uint64_t b, uint64_t *ret_rest) {
    *ret_rest = (uint64_t)(a % b);
    return a / b;
}
static inline double wr_u128_double(wr_u128 a) { return (double)a; }

static inline wr_i128 wr_i128_of(int64_t value) { return value; }
static inline wr_i128 wr_i128_of_u64(uint64_t value) { return value; }
static inline wr_i128 wr_i128_signed(wr_u128 a) { return (wr_i128)a; }
static inline wr_u128 wr_i128_unsigned(wr_i128 a) { return (wr_u128)a; }
static inline bool wr_i128_negative(wr_i128 a) { return a < 0; }
static inline bool wr_i128_equal(wr_i128 a, wr_i128 b) { return a == b; }
static inline bool wr_i128_add_overflow(wr_i128 a, wr_i128 b, wr_i128 *ret) {
    wr_i128 sum;
    if (__builtin_add_overflow(a, b, &sum))
        return true;
    *ret = sum;
    return false;
}
static inline bool wr_i128_multiply_overflow(wr_i128 a, int64_t b, wr_i128 *ret) {
    wr_i128 product;
    if (__builtin_mul_overflow(a, b, &product))
        return true;
    *ret = product;
    return false;
}

#else

typedef struct wr_words wr_i128;
typedef struct wr_words wr_u128;

static inline wr_u128 wr_u128_of(uint64_t value) { return (wr_u128){value, 0}; }
static inline wr_u128 wr_u128_words(uint64_t high, uint64_t low) { return (wr_u128){low, high}; }
static inline uint64_t wr_u128_low(wr_u128 a) { return a.low; }
static inline uint64_t wr_u128_high(wr_u128 a) { return a.high; }
static inline wr_u128 wr_u128_add(wr_u128 a, wr_u128 b) { return wr_words_add(a, b); }
static inline wr_u128 wr_u128_subtract(wr_u128 a, wr_u128 b) { return wr_words_subtract(a, b); }
static inline wr_u128 wr_u128_or(wr_u128 a, wr_u128 b) { return (wr_u128){a.low | b.low, a.high | b.high}; }
static inline wr_u128 wr_u128_xor(wr_u128 a, wr_u128 b) { return (wr_u128){a.low ^ b.low, a.high ^ b.high}; }
static inline wr_u128 wr_u128_left(wr_u128 a, unsigned n) { return wr_words_left(a, n); }
static inline wr_u128 wr_u128_right(wr_u128 a, unsigned n) { return wr_words_right(a, n); }
static inline bool wr_u128_below(wr_u128 a, wr_u128 b) { return wr_words_below(a, b); }
static inline wr_u128 wr_u128_product(uint64_t a, uint64_t b) { return wr_words_product(a, b); }
static inline wr_u128 wr_u128_multiply(wr_u128 a, uint64_t b) { return wr_words_multiply(a, b, (bool *)0); }
static inline wr_u128 wr_u128_divide(wr_u128 a, uint64_t b, uint64_t *ret_rest) { return wr_words_divide(a, b, ret_rest); }
static inline double wr_u128_double(wr_u128 a) { return wr_words_double(a); }

static inline wr_i128 wr_i128_of(int64_t value) { return (wr_i128){(uint64_t)value, value < 0 ? UINT64_MAX : 0}; }
static inline wr_i128 wr_i128_of_u64(uint64_t value) { return (wr_i128){value, 0}; }
static inline wr_i128 wr_i128_signed(wr_u128 a) { return a; }
static inline wr_u128 wr_i128_unsigned(wr_i128 a) { return a; }
static inline bool wr_i128_negative(wr_i128 a) { return a.high >> 63 != 0; }
static inline bool wr_i128_equal(wr_i128 a, wr_i128 b) { return a.low == b.low && a.high == b.high; }
static inline bool wr_i128_add_overflow(wr_i128 a, wr_i128 b, wr_i128 *ret) {
    wr_i128 sum = wr_words_add(a, b);
    if (wr_i128_negative(a) == wr_i128_negative(b) && wr_i128_negative(sum) != wr_i128_negative(a))
        return true;
    *ret = sum;
    return false;
}
bool wr_i128_multiply_overflow(wr_i128 a, int64_t b, wr_i128 *ret);

#endif

/* -- made of the above ---------------------------------------------------------------------------------------------------------------------- */

static inline wr_u128 wr_u128_zero(void) { return wr_u128_of(0); }
static inline wr_i128 wr_i128_zero(void) { return wr_i128_of(0); }
static inline wr_u128 wr_u128_negate(wr_u128 a) { return wr_u128_subtract(wr_u128_zero(), a); }
static inline wr_i128 wr_i128_negate(wr_i128 a) { return wr_i128_signed(wr_u128_negate(wr_i128_unsigned(a))); }
/* |a|; of -2^127 it is 2^127. */
static inline wr_u128 wr_i128_size(wr_i128 a) {
    return wr_i128_negative(a) ? wr_u128_negate(wr_i128_unsigned(a)) : wr_i128_unsigned(a);
}
static inline wr_i128 wr_i128_of_size(bool negative, wr_u128 size) { return wr_i128_signed(negative ? wr_u128_negate(size) : size); }
/* The lowest 64 bits. */
static inline int64_t wr_i128_low(wr_i128 a) { return (int64_t)wr_u128_low(wr_i128_unsigned(a)); }
static inline bool wr_i128_is_int64(wr_i128 a) { return wr_i128_equal(a, wr_i128_of(wr_i128_low(a))); }
static inline double wr_i128_double(wr_i128 a) {
    double size = wr_u128_double(wr_i128_size(a));
    return wr_i128_negative(a) ? -size : size;
}
/* a / b towards zero, b > 0; *ret_rest has the sign of a. */
static inline wr_i128 wr_i128_divide(wr_i128 a, int64_t b, int64_t *ret_rest) {
    uint64_t rest;
    wr_u128 size = wr_u128_divide(wr_i128_size(a), (uint64_t)b, &rest);
    *ret_rest = wr_i128_negative(a) ? -(int64_t)rest : (int64_t)rest;
    return wr_i128_of_size(wr_i128_negative(a), size);
}
/* Towards zero; |value| < 2^127. */
wr_i128 wr_i128_of_double(double value);

#endif
