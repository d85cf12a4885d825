/* Scanning bytes many at a time: the inner loop of every parser.
 *
 * 16 bytes a step with SSE2, which every x86-64 has; 8 bytes a step in a plain register elsewhere. Reads nothing at or behind `end`.
 * Source: the zero-byte test is that of "Bit Twiddling Hacks" (S. E. Anderson): the lowest byte it flags is right, higher ones may not be.
 * Threads: none; pure functions.
 */
#ifndef WEIR_CORE_SCAN_H
#define WEIR_CORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(WR_SCAN_PORTABLE)
#define WR_SCAN_SSE2 1
#include <emmintrin.h>
#else
#define WR_SCAN_SSE2 0
#endif

#define WR_INLINE static inline __attribute__((always_inline))

/* 8 bytes, the first one lowest, on any machine. */
WR_INLINE uint64_t wr_scan_load(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

WR_INLINE uint64_t wr_scan_repeat(char c) {
    return UINT64_C(0x0101010101010101) * (uint8_t)c;
}

/* Bit 7 of the first byte of word that is c, and perhaps of later ones. */
WR_INLINE uint64_t wr_scan_match(uint64_t word, char c) {
    uint64_t x = word ^ wr_scan_repeat(c);
    return (x - wr_scan_repeat(1)) & ~x & wr_scan_repeat((char)0x80);
}

#if WR_SCAN_SSE2
WR_INLINE __m128i wr_scan_equal(__m128i bytes, char c) {
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}
WR_INLINE __m128i wr_scan_equal_16(const char *a, const char *b) {
    return _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)a), _mm_loadu_si128((const __m128i *)(const void *)b));
}
/* The bytes of a text against the range '0'..'9': 16 bits, a set one for each digit. */
WR_INLINE unsigned wr_scan_digit_mask(__m128i bytes) {
    const __m128i shifted = _mm_add_epi8(bytes, _mm_set1_epi8((char)(0x80 - '0'))); /* they become the ten lowest signed values */
    return (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(shifted, _mm_set1_epi8((char)(0x80 + 10))));
}
#endif

/* The first byte in [p, end) that is one of the n <= 5 characters of set, or end. set and n are constants where it is called, and written
 * out here without a loop, so that the compiler folds them. */
WR_INLINE const char *wr_scan_any(const char *p, const char *end, const char *set, unsigned n) {
#if WR_SCAN_SSE2
    for (; end - p >= 16; p += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i found = wr_scan_equal(bytes, set[0]);
        found = n > 1 ? _mm_or_si128(found, wr_scan_equal(bytes, set[1])) : found;
        found = n > 2 ? _mm_or_si128(found, wr_scan_equal(bytes, set[2])) : found;
        found = n > 3 ? _mm_or_si128(found, wr_scan_equal(bytes, set[3])) : found;
        found = n > 4 ? _mm_or_si128(found, wr_scan_equal(bytes, set[4])) : found;
        const unsigned mask = (unsigned)_mm_movemask_epi8(found);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    for (; end - p >= 8; p += 8) {
        const uint64_t word = wr_scan_load(p);
        uint64_t found = wr_scan_match(word, set[0]);
        found |= n > 1 ? wr_scan_match(word, set[1]) : 0;
        found |= n > 2 ? wr_scan_match(word, set[2]) : 0;
        found |= n > 3 ? wr_scan_match(word, set[3]) : 0;
        found |= n > 4 ? wr_scan_match(word, set[4]) : 0;
        if (found != 0)
            return p + __builtin_ctzll(found) / 8;
    }
    for (; p < end; p++)
        for (unsigned i = 0; i < n; i++)
            if (*p == set[i])
                return p;
    return end;
}

/* All of a text of at most 8 bytes, without reading outside of it. */
WR_INLINE uint64_t wr_scan_load_short(const char *text, size_t len) {
    if (len >= 4) {
        uint32_t low;
        uint32_t high;
        memcpy(&low, text, 4);
        memcpy(&high, text + len - 4, 4);
        return (uint64_t)high << 32 | low;
    }
    return len == 0 ? 0 : (uint64_t)(uint8_t)text[0] << 16 | (uint64_t)(uint8_t)text[len / 2] << 8 | (uint8_t)text[len - 1];
}

/* Whether two texts of this length are the same. The last step overlaps the one before. */
WR_INLINE bool wr_scan_same(const char *a, const char *b, size_t len) {
    if (len <= 8)
        return wr_scan_load_short(a, len) == wr_scan_load_short(b, len);
#if WR_SCAN_SSE2
    if (len >= 16) {
        const char *last = a + len - 16;
        __m128i same = wr_scan_equal_16(last, b + len - 16);
        for (; a < last; a += 16, b += 16)
            same = _mm_and_si128(same, wr_scan_equal_16(a, b));
        return _mm_movemask_epi8(same) == 0xFFFF;
    }
#endif
    const char *last = a + len - 8;
    uint64_t differs = wr_scan_load(last) ^ wr_scan_load(b + len - 8);
    for (; a < last; a += 8, b += 8)
        differs |= wr_scan_load(a) ^ wr_scan_load(b);
    return differs == 0;
}

/* The value of 8 digit characters, or of fewer with zero bytes before them (lowest). No check. */
WR_INLINE uint32_t wr_scan_digits8(uint64_t word) {
    word &= wr_scan_repeat(0x0F);
    word = word * 10 + (word >> 8);
    const uint64_t pairs = UINT64_C(0x000000FF000000FF);
    word = (word & pairs) * UINT64_C(0x000F424000000064) + ((word >> 16) & pairs) * UINT64_C(0x0000271000000001);
    return (uint32_t)(word >> 32);
}

/* True if all 8 bytes are digits. */
WR_INLINE int wr_scan_all_digits(uint64_t word) {
    return (((word & wr_scan_repeat((char)0xF0)) | (((word + wr_scan_repeat(6)) & wr_scan_repeat((char)0xF0)) >> 4)) ==
            UINT64_C(0x3333333333333333));
}

/* True if the 16 bytes at p are digits. */
WR_INLINE int wr_scan_16_digits(const char *p) {
#if WR_SCAN_SSE2
    return wr_scan_digit_mask(_mm_loadu_si128((const __m128i *)(const void *)p)) == 0xFFFF;
#else
    return wr_scan_all_digits(wr_scan_load(p)) && wr_scan_all_digits(wr_scan_load(p + 8));
#endif
}

/* The value of the 16 digits at p. No check. */
WR_INLINE uint64_t wr_scan_digits16(const char *p) {
#if WR_SCAN_SSE2
    const __m128i bytes = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8('0'));
    const __m128i tens = _mm_mullo_epi16(_mm_and_si128(bytes, _mm_set1_epi16(0xFF)), _mm_set1_epi16(10));
    const __m128i pairs = _mm_add_epi16(tens, _mm_srli_epi16(bytes, 8));        /* 8 of 0..99 */
    const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(1 << 16 | 100)); /* 4 of 0..9999 */
    const __m128i packed = _mm_packs_epi32(fours, fours);
    const __m128i eights = _mm_madd_epi16(packed, _mm_set1_epi32(1 << 16 | 10000)); /* 2 of 0..99999999 */
    const uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
    return (both & UINT32_MAX) * UINT64_C(100000000) + (both >> 32);
#else
    return wr_scan_digits8(wr_scan_load(p)) * UINT64_C(100000000) + wr_scan_digits8(wr_scan_load(p + 8));
#endif
}

/* 0 to 15; -1: it is none. */
WR_INLINE int wr_scan_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        return (c | 0x20) - 'a' + 10;
    return -1;
}

#endif
