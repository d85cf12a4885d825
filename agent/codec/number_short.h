/* The short way for the numbers that sensors send: at most 15 characters of digits with at most one point, no exponent.
 *
 * All characters are classified at once, the point is shifted out, and the digits are converted eight at a time: no loop, no branch that
 * depends on the length. What does not fit goes to wr_number_read, which gives the same result.
 */
#ifndef WEIR_AGENT_CODEC_NUMBER_SHORT_H
#define WEIR_AGENT_CODEC_NUMBER_SHORT_H

#include "agent/codec/number.h"
#include "core/scan.h"

#if WR_SCAN_SSE2
__extension__ typedef unsigned __int128 wr_number_bytes;

/* The digits at p, as a whole number and how many of them stand behind the point. Returns the byte behind them, or NULL: not a short number. */
WR_INLINE const char *wr_number_digits_short(const char *p, const char *end, uint64_t *ret_mantissa, unsigned *ret_decimals) {
    if (end - p < 16)
        return NULL;
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    const unsigned digit = wr_scan_digit_mask(bytes);
    const unsigned point = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')));
    const unsigned length = (unsigned)__builtin_ctz(~(digit | point)); /* 32 - 16 high bits are set: never undefined */
    const unsigned points = point & ((1U << length) - 1);
    const unsigned digits = length - (points != 0);
    if (length > 15 || (points & (points - 1)) != 0 || digits == 0)
        return NULL;

    const unsigned at = points ? (unsigned)__builtin_ctz(points) : length;
    uint64_t mantissa;
    if (length <= 8) {
        uint64_t word = wr_scan_load(p);
        if (points) {
            const uint64_t before = (UINT64_C(1) << (8 * at)) - 1;
            word = (word & before) | ((word >> 8) & ~before);
        }
        mantissa = wr_scan_digits8(word << (8 * (8 - digits)));
    } else {
        wr_number_bytes word;
        memcpy(&word, p, sizeof word);
        if (points) {
            const wr_number_bytes before = ((wr_number_bytes)1 << (8 * at)) - 1;
            word = (word & before) | ((word >> 8) & ~before);
        }
        word <<= 8 * (16 - digits);
        mantissa = wr_scan_digits8((uint64_t)word) * UINT64_C(100000000) + wr_scan_digits8((uint64_t)(word >> 64));
    }
    *ret_mantissa = mantissa;
    *ret_decimals = points ? length - at - 1 : 0;
    return p + length;
}
#else
WR_INLINE const char *wr_number_digits_short(const char *p, const char *end, uint64_t *ret_mantissa, unsigned *ret_decimals) {
    (void)p, (void)end, (void)ret_mantissa, (void)ret_decimals;
    return NULL;
}
#endif

/* The number without sign at p. Returns the byte behind its digits and point, or NULL: not a short one. */
WR_INLINE const char *wr_number_read_short(const char *p, const char *end, double *ret_value, uint8_t *ret_decimals) {
    uint64_t mantissa;
    unsigned decimals;
    const char *behind = wr_number_digits_short(p, end, &mantissa, &decimals);
    if (!behind)
        return NULL;
    *ret_value = (double)mantissa / wr_number_powers[decimals];
    *ret_decimals = (uint8_t)decimals;
    return behind;
}

#endif
