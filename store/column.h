/* Columns of a segment body: byte strings of varints, a string of bits, and the integers that stand for values.
 *
 * Everything that a body stores about numbers is a difference of two integers, computed modulo 2^64 (sums: 2^128): nothing overflows, and
 * every difference can be undone. A value becomes such an integer (its code) in one of these forms:
 *   decimal d    round(value * 10^d), for doubles that are code / 10^d, either exactly or up to two neighbours away ("ulps", stored apart:
 *                sensors that multiply by 0.1 write such numbers)
 *   float        the bits of the float that the double exactly is, ordered
 *   double       the bits of the double, ordered: always possible
 *   integer      the value itself: int, uint and bool
 * Ordered bits: all but the sign bit are inverted in negative numbers, so that codes compare as the numbers do, and near numbers have near
 * codes.
 *
 * Differences of values are mostly noise, which no compressor makes smaller. So each is split: how many bits it has goes, as a difference
 * to what was expected, into a column of bytes that compresses well; the bits below the leading one go into the string of bits as they are.
 *
 * Threads: none. Limits: a column is written without checks; its caller reserves the room before.
 */
#ifndef WEIR_STORE_COLUMN_H
#define WEIR_STORE_COLUMN_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/decimal.h"
#include "core/reading.h"

#define WR_VARINT_MAX 10

__extension__ typedef unsigned __int128 wr_u128;

/* The columns of an aggregates body, in their order. docs/segment-format.md says what stands in each. */
enum wr_column {
    WR_COLUMN_RUN_SHARED,
    WR_COLUMN_RUN_SUFFIX,
    WR_COLUMN_RUN_TYPE,
    WR_COLUMN_RUN_WINDOW,
    WR_COLUMN_RUN_COUNT,
    WR_COLUMN_RUN_STEP,
    WR_COLUMN_NAMES,
    WR_COLUMN_START,
    WR_COLUMN_N,
    WR_COLUMN_BAD,
    WR_COLUMN_FLAGS,
    WR_COLUMN_QUALITY,
    WR_COLUMN_FORM,
    WR_COLUMN_ENDS,
    WR_COLUMN_ULPS,
    WR_COLUMN_SUM_FORM,
    WR_COLUMN_SUM_EXTRA,
    WR_COLUMN_MIN_WIDTH,
    WR_COLUMN_SPAN_WIDTH,
    WR_COLUMN_FIRST_WIDTH,
    WR_COLUMN_LAST_WIDTH,
    WR_COLUMN_SUM_WIDTH,
    WR_COLUMN_BITS,
    WR_COLUMN_TEXT_INDEX,
    WR_COLUMN_TEXTS,
    WR_COLUMNS
};

/* Forms 0 to WR_FORM_DECIMALS_MAX: decimal with so many places. */
#define WR_FORM_DECIMALS_MAX 22 /* 10^22 is the largest power that a double holds exactly */
#define WR_FORM_FLOAT 24
#define WR_FORM_DOUBLE 25
#define WR_FORM_INTEGER 26 /* never written: the type says it */
#define WR_FORM_ULPS 32    /* with a decimal form: neighbours follow in their column */

enum wr_sum_form {
    WR_SUM_EXACT = 0,   /* at the decimals of the values' form */
    WR_SUM_OTHER = 1,   /* exact, decimals in SUM_EXTRA */
    WR_SUM_DECIMAL = 2, /* approximate, written as a decimal in the values' form, neighbour in SUM_EXTRA */
    WR_SUM_DOUBLE = 3,  /* approximate, ordered bits */
};

/* Where first and last stand, two bits each. */
enum wr_end {
    WR_END_MIN = 0,
    WR_END_MAX = 1,
    WR_END_OWN = 2,      /* a difference of its own */
    WR_END_PREVIOUS = 3, /* first: the previous record's last; last: first */
};

/* The codes of one aggregate's values, divided by the step of their run where the form is decimal or integer. */
struct wr_codes {
    uint8_t form; /* without WR_FORM_ULPS */
    uint8_t ulps; /* two bits each for min, max, first, last: neighbour + 2 */
    int64_t min;
    int64_t max;
    int64_t first;
    int64_t last;
};
#define WR_ULPS_NONE 0xAA /* neighbour 0 four times */

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

static inline wr_u128 wr_zigzag128(wr_i128 value) { return ((wr_u128)value << 1) ^ ((wr_u128)0 - ((wr_u128)value >> 127)); }
static inline wr_i128 wr_unzigzag128(wr_u128 coded) { return (wr_i128)((coded >> 1) ^ ((wr_u128)0 - (coded & 1))); }

/* Bits of a number: 0 for 0, 1 for 1, 2 for 2 and 3, ... */
static inline unsigned wr_width(uint64_t value) { return value == 0 ? 0 : 64U - (unsigned)__builtin_clzll(value); }
static inline unsigned wr_width128(wr_u128 value) {
    return value >> 64 ? 64 + wr_width((uint64_t)(value >> 64)) : wr_width((uint64_t)value);
}

/* Writes bits, lowest first, into bytes, lowest first. */
struct wr_bits {
    uint8_t *at;
    uint64_t held;
    unsigned n_held; /* < 8 between calls */
};

/* n <= 56; bits of value above n must be zero. */
static inline void wr_put_bits56(struct wr_bits *bits, uint64_t value, unsigned n) {
    bits->held |= value << bits->n_held;
    bits->n_held += n;
    for (; bits->n_held >= 8; bits->n_held -= 8, bits->held >>= 8)
        *bits->at++ = (uint8_t)bits->held;
}

/* The bits of value below its leading one; `width` is wr_width128(value). */
static inline void wr_put_below(struct wr_bits *bits, wr_u128 value, unsigned width) {
    if (width < 2)
        return;
    unsigned n = width - 1;
    value &= ((wr_u128)1 << n) - 1;
    for (; n > 56; n -= 56, value >>= 56)
        wr_put_bits56(bits, (uint64_t)value & ((UINT64_C(1) << 56) - 1), 56);
    wr_put_bits56(bits, (uint64_t)value, n);
}

static inline uint8_t *wr_end_bits(struct wr_bits *bits) {
    if (bits->n_held > 0)
        *bits->at++ = (uint8_t)bits->held;
    return bits->at;
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

/* Reads bits from the rest of a column. */
struct wr_bit_cursor {
    struct wr_cursor bytes;
    uint64_t held;
    unsigned n_held;
};

/* n <= 56. */
static inline uint64_t wr_get_bits56(struct wr_bit_cursor *cursor, unsigned n) {
    while (cursor->n_held < n) {
        cursor->held |= (uint64_t)wr_get_byte(&cursor->bytes) << cursor->n_held;
        cursor->n_held += 8;
    }
    uint64_t value = cursor->held & ((UINT64_C(1) << n) - 1);
    cursor->held >>= n;
    cursor->n_held -= n;
    return value;
}

/* A number of this width: its leading one is not stored. A width above 128 sets bad. */
static inline wr_u128 wr_get_number(struct wr_bit_cursor *cursor, unsigned width) {
    if (width > 128)
        cursor->bytes.bad = true;
    if (width == 0 || width > 128)
        return 0;
    wr_u128 value = (wr_u128)1 << (width - 1);
    unsigned shift = 0;
    for (unsigned left = width - 1; left > 0;) {
        unsigned n = left > 56 ? 56 : left;
        value |= (wr_u128)wr_get_bits56(cursor, n) << shift;
        shift += n;
        left -= n;
    }
    return value;
}

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

/* The code of a double in this form; *ret_ulps, -2..1, is how many doubles above code / 10^form it is, 0 for other forms. False if it does
 * not come back bit for bit. */
bool wr_form_code(unsigned form, double value, int64_t *ret_code, int *ret_ulps);
/* The double that a code stands for. form <= WR_FORM_DOUBLE. */
double wr_form_value(unsigned form, int64_t code, int ulps);

/* A code in another form, as well as it can be said: exact between decimals where places are added, cut towards zero where they are taken
 * away; 0 for anything else. Only expectations rest on it. */
int64_t wr_form_convert(int64_t code, unsigned from, unsigned to);

/* The sum that the other values let expect: their mean times n, in 128 bits modulo 2^128. */
wr_i128 wr_sum_expected(const struct wr_codes *codes, uint64_t n);
/* The same for an approximate sum, in doubles. */
double wr_sum_expected_double(double min, double max, uint64_t n);
/* An approximate sum as a decimal of this form; *ret_ulps -128..127. */
bool wr_sum_decimal(unsigned form, double sum, int64_t *ret_code, int *ret_ulps);

#endif
