#include "core/int128.h"

#include <math.h>

struct wr_words wr_words_product(uint64_t a, uint64_t b) {
    const uint64_t a_low = (uint32_t)a;
    const uint64_t a_high = a >> 32;
    const uint64_t b_low = (uint32_t)b;
    const uint64_t b_high = b >> 32;
    const uint64_t low = a_low * b_low;
    const uint64_t middle = a_high * b_low + (low >> 32); /* at most (2^32-1)^2 + 2^32-1: no overflow */
    const uint64_t other = a_low * b_high + (uint32_t)middle;
    return (struct wr_words){other << 32 | (uint32_t)low, a_high * b_high + (middle >> 32) + (other >> 32)};
}

struct wr_words wr_words_multiply(struct wr_words a, uint64_t b, bool *ret_overflow) {
    struct wr_words product = wr_words_product(a.low, b);
    const struct wr_words upper = wr_words_product(a.high, b);
    const uint64_t high = product.high + upper.low;
    if (ret_overflow)
        *ret_overflow = upper.high != 0 || high < product.high;
    product.high = high;
    return product;
}

struct wr_words wr_words_divide(struct wr_words a, uint64_t b, uint64_t *ret_rest) {
    struct wr_words quotient = {0, a.high / b};
    uint64_t rest = a.high % b;
    for (int bit = 63; bit >= 0; bit--) { /* schoolbook, in base 2: only 32-bit processors come here, and seldom */
        const bool carry = rest >> 63 != 0;
        rest = rest << 1 | (a.low >> bit & 1U);
        if (carry || rest >= b) {
            rest -= b;
            quotient.low |= UINT64_C(1) << bit;
        }
    }
    *ret_rest = rest;
    return quotient;
}

double wr_words_double(struct wr_words a) {
    if (a.high == 0)
        return (double)a.low;
    const unsigned over = 64U - (unsigned)__builtin_clzll(a.high); /* bits above 64 */
    struct wr_words top = wr_words_right(a, over);
    const struct wr_words back = wr_words_left(top, over);
    if (back.low != a.low || back.high != a.high)
        top.low |= 1U; /* 64 bits are more than a double has: the lowest one tells the rounding that there was more */
    return ldexp((double)top.low, (int)over);
}

#if !defined(__SIZEOF_INT128__) || defined(WEIR_WITHOUT_INT128)
bool wr_i128_multiply_overflow(wr_i128 a, int64_t b, wr_i128 *ret) {
    const bool negative = wr_i128_negative(a) != (b < 0);
    bool overflow;
    const wr_u128 size = wr_words_multiply(wr_i128_size(a), b < 0 ? 0U - (uint64_t)b : (uint64_t)b, &overflow);
    const wr_u128 limit = wr_u128_words(UINT64_C(1) << 63, 0); /* 2^127 */
    if (overflow || (negative ? wr_u128_below(limit, size) : !wr_u128_below(size, limit)))
        return true;
    *ret = wr_i128_of_size(negative, size);
    return false;
}
#endif

wr_i128 wr_i128_of_double(double value) {
    const double size = trunc(fabs(value));
    const double high = trunc(ldexp(size, -64));
    const double low = size - ldexp(high, 64); /* exact: the lower bits of the same number */
    return wr_i128_of_size(value < 0, wr_u128_words((uint64_t)high, (uint64_t)low));
}
