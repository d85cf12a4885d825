/* Numbers as strings of bits.
 *
 * Differences of values are mostly noise, which no compressor makes smaller. So each is split: how many bits it has (its width) goes, as a
 * difference to what was expected, into a column of bytes that compresses well; the bits below the leading one go into a string of bits as
 * they are. What is expected is the average of the widths before.
 *
 * Threads: none. Limits: bits are written without checks; their caller reserves the room before, and WR_BITS_BEHIND bytes behind it. They are read with checks.
 */
#ifndef WEIR_STORE_BITS_H
#define WEIR_STORE_BITS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store/column.h"

/* Bits of a number: 0 for 0, 1 for 1, 2 for 2 and 3, ... */
static inline unsigned wr_width(uint64_t value) { return value == 0 ? 0 : 64U - (unsigned)__builtin_clzll(value); }
static inline unsigned wr_width128(wr_u128 value) {
    return wr_u128_high(value) ? 64 + wr_width(wr_u128_high(value)) : wr_width(wr_u128_low(value));
}

/* Writes bits, lowest first, into bytes, lowest first. */
struct wr_bits {
    uint8_t *at;
    uint64_t held;
    unsigned n_held; /* < 8 between calls */
};

#define WR_BITS_BEHIND 8 /* written over, whatever stands there */

/* n <= 56; bits of value above n must be zero. */
static inline void wr_put_bits56(struct wr_bits *bits, uint64_t value, unsigned n) {
    bits->held |= value << bits->n_held;
    bits->n_held += n;
    const uint64_t bytes = htole64(bits->held);
    memcpy(bits->at, &bytes, sizeof bytes);
    bits->at += bits->n_held / 8;
    bits->held >>= bits->n_held / 8 * 8;
    bits->n_held %= 8;
}

/* The bits of value below its leading one; `width` is wr_width128(value). */
static inline void wr_put_below(struct wr_bits *bits, wr_u128 value, unsigned width) {
    if (width < 2)
        return;
    unsigned n = width - 1;
    for (; n > 56; n -= 56, value = wr_u128_right(value, 56))
        wr_put_bits56(bits, wr_u128_low(value) & ((UINT64_C(1) << 56) - 1), 56);
    wr_put_bits56(bits, wr_u128_low(value) & ((UINT64_C(1) << n) - 1), n);
}

static inline uint8_t *wr_end_bits(struct wr_bits *bits) {
    if (bits->n_held > 0)
        *bits->at++ = (uint8_t)bits->held;
    return bits->at;
}

/* Reads bits. After reading past the end `bad` is set and every answer is 0. */
struct wr_bit_cursor {
    const uint8_t *bytes;
    size_t n_bytes; /* < 2^60 */
    size_t at;      /* the next bit */
    bool bad;
};

/* n <= 56. */
static inline uint64_t wr_get_bits56(struct wr_bit_cursor *cursor, unsigned n) {
    size_t byte = cursor->at >> 3;
    uint64_t held = 0;
    if (byte + sizeof held <= cursor->n_bytes) {
        memcpy(&held, cursor->bytes + byte, sizeof held);
        held = le64toh(held);
    } else {
        if (cursor->at + n > cursor->n_bytes * 8) {
            cursor->bad = true;
            return 0;
        }
        for (unsigned i = 0; byte + i < cursor->n_bytes; i++)
            held |= (uint64_t)cursor->bytes[byte + i] << (8 * i);
    }
    held >>= cursor->at & 7;
    cursor->at += n;
    return held & ((UINT64_C(1) << n) - 1);
}

/* A number of this width: its leading one is not stored. A width above 128 sets bad. */
static inline wr_u128 wr_get_wide(struct wr_bit_cursor *cursor, unsigned width) {
    if (width > 128)
        cursor->bad = true;
    if (width == 0 || width > 128)
        return wr_u128_zero();
    wr_u128 value = wr_u128_left(wr_u128_of(1), width - 1);
    unsigned shift = 0;
    for (unsigned left = width - 1; left > 0;) {
        unsigned n = left > 56 ? 56 : left;
        value = wr_u128_or(value, wr_u128_left(wr_u128_of(wr_get_bits56(cursor, n)), shift));
        shift += n;
        left -= n;
    }
    return value;
}

/* The same, of 64 bits. */
static inline uint64_t wr_get_number(struct wr_bit_cursor *cursor, unsigned width) {
    if (width > 57)
        return wr_u128_low(wr_get_wide(cursor, width));
    if (width < 2)
        return width;
    return UINT64_C(1) << (width - 1) | wr_get_bits56(cursor, width - 1);
}

/* An average of widths that follows them: a quarter of each new one. */
struct wr_average {
    uint32_t sixteenths;
    bool known;
};

static inline unsigned wr_average_expect(const struct wr_average *average) { return (average->sixteenths + 8) / 16; }

static inline void wr_average_learn(struct wr_average *average, unsigned width) {
    average->sixteenths = average->known ? average->sixteenths - average->sixteenths / 4 + 4 * width : 16 * width;
    average->known = true;
}

#endif
