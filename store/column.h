/* Columns of a segment body: which there are, and byte strings of varints.
 *
 * Everything that a body stores about numbers is a difference of two integers, computed modulo 2^64 (sums: 2^128): nothing overflows, and
 * every difference can be undone.
 *
 * Threads: none. Limits: a column is written without checks; its caller reserves the room before.
 */
#ifndef WEIR_STORE_COLUMN_H
#define WEIR_STORE_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decimal.h"

#define WR_VARINT_MAX 10

/* The columns of an aggregates body, in their order: those that repeat themselves, then those that only have a skewed distribution, so
 * that each part can be compressed in its own way. docs/segment-format.md says what stands in each. */
enum wr_column {
    WR_COLUMN_RUN_SHARED,
    WR_COLUMN_RUN_SUFFIX,
    WR_COLUMN_RUN_TYPE,
    WR_COLUMN_RUN_WINDOW,
    WR_COLUMN_RUN_COUNT,
    WR_COLUMN_RUN_GRID,
    WR_COLUMN_NAMES,
    WR_COLUMN_TEXTS,
    WR_COLUMN_TEXT_INDEX,
    WR_COLUMN_START,
    WR_COLUMN_N,
    WR_COLUMN_BAD,
    WR_COLUMN_FLAGS,
    WR_COLUMN_QUALITY,
    WR_COLUMN_FORM,
    WR_COLUMN_SUM_FORM,
    WR_COLUMN_SUM_EXTRA,
    WR_COLUMN_ULPS,
    WR_COLUMN_FINE,
    WR_COLUMN_SUM_FINE,
    WR_COLUMN_ENDS,
    WR_COLUMN_FIRST_WIDTH,
    WR_COLUMN_LOW_WIDTH,
    WR_COLUMN_HIGH_WIDTH,
    WR_COLUMN_LAST_WIDTH,
    WR_COLUMN_SUM_WIDTH,
    WR_COLUMNS_PACKED, /* up to here they are compressed */
    WR_COLUMN_SKEWED = WR_COLUMN_ENDS, /* the first of the second frame */
};

static inline uint64_t wr_zigzag(int64_t value) { return ((uint64_t)value << 1) ^ (0U - ((uint64_t)value >> 63)); }
static inline int64_t wr_unzigzag(uint64_t coded) { return (int64_t)((coded >> 1) ^ (0U - (coded & 1U))); }

/* a - b and a + b modulo 2^64. */
static inline int64_t wr_minus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t wr_plus(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }

static inline uint8_t *wr_put_varint(uint8_t *p, uint64_t value) {
    while (value >= 0x80) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p++ = (uint8_t)value;
    return p;
}

static inline uint8_t *wr_put_zigzag(uint8_t *p, int64_t value) { return wr_put_varint(p, wr_zigzag(value)); }

static inline wr_u128 wr_zigzag128(wr_i128 value) {
    const wr_u128 bits = wr_i128_unsigned(value);
    return wr_u128_xor(wr_u128_left(bits, 1), wr_u128_negate(wr_u128_right(bits, 127)));
}
static inline wr_i128 wr_unzigzag128(wr_u128 coded) {
    return wr_i128_signed(wr_u128_xor(wr_u128_right(coded, 1), wr_u128_negate(wr_u128_of(wr_u128_low(coded) & 1U))));
}

/* Reads a column. After reading past its end or a varint that is too long `bad` is set and every answer is 0. */
struct wr_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline uint8_t wr_get_byte(struct wr_cursor *cursor) {
    if (cursor->at >= cursor->end) {
        cursor->bad = true;
        return 0;
    }
    return *cursor->at++;
}

static inline uint64_t wr_get_varint(struct wr_cursor *cursor) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = wr_get_byte(cursor);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (shift == 63 && byte > 1)
                break;
            return value;
        }
    }
    cursor->bad = true;
    return 0;
}

static inline int64_t wr_get_zigzag(struct wr_cursor *cursor) { return wr_unzigzag(wr_get_varint(cursor)); }

#endif
