/* The reading: one value of one series at one time. Fixed size, no pointers, copied by value.
 *
 * The arrival time is not in it: the readings of a batch arrived together, so it stands once in struct wr_batch.
 * Integers stay exact. `decimals` is the number of digits after the point as the sensor wrote them: windows sum the scaled integer
 * value * 10^decimals, so that sums are exact and compress well.
 */
#ifndef WEIR_CORE_READING_H
#define WEIR_CORE_READING_H

#include <stdint.h>

enum wr_type {
    WR_TYPE_NONE = 0, /* a series that has had no reading yet */
    WR_TYPE_FLOAT = 1,
    WR_TYPE_INT = 2,
    WR_TYPE_UINT = 3,
    WR_TYPE_BOOL = 4,
    WR_TYPE_SYMBOL = 5, /* text, interned: see core/symbol.h */
};

enum wr_quality {
    WR_QUALITY_GOOD = 0,
    WR_QUALITY_UNCERTAIN = 1, /* usable, with doubt: a clamped time stamp, a skewed device */
    WR_QUALITY_BAD = 2,       /* NaN, infinity, out of the declared range: counted, never computed with */
};

#define WR_DECIMALS_UNKNOWN 255 /* more than WR_DECIMALS_MAX digits, an exponent, more than 15 significant digits, or not a float */
#define WR_DECIMALS_MAX 15

union wr_value {
    double f;
    int64_t i;
    uint64_t u;
    uint32_t symbol; /* also zero the upper half: values are compared as u */
    uint64_t bits;
};

struct wr_reading {
    int64_t event_ns; /* wall time of the measurement; WR_EVENT_NONE when the sensor gave none: then it is the arrival */
    union wr_value value;
    uint32_t series; /* id in the series table */
    uint8_t type;    /* enum wr_type */
    uint8_t quality; /* enum wr_quality */
    uint8_t decimals;
    uint8_t flags; /* WR_READING_... */
};

#define WR_READING_HISTORIC 1 /* old data, handed in later: drives no outputs */

#define WR_EVENT_NONE INT64_MIN

/* "float", "int", "uint", "bool", "string"; "none" for anything else. */
const char *wr_type_name(enum wr_type type);
/* "good", "uncertain", "bad". */
const char *wr_quality_name(enum wr_quality quality);

/* The value as a double: integers rounded once, bool 0 or 1, symbols NaN. */
double wr_reading_number(enum wr_type type, union wr_value value);

/* Whether a is below b; both of this type. Never for symbols. Inline: the windows ask for each reading. */
static inline _Bool wr_reading_below(enum wr_type type, union wr_value a, union wr_value b) {
    switch (type) {
    case WR_TYPE_FLOAT:
        return a.f < b.f;
    case WR_TYPE_INT:
        return a.i < b.i;
    case WR_TYPE_UINT:
    case WR_TYPE_BOOL:
        return a.u < b.u;
    case WR_TYPE_SYMBOL:
    case WR_TYPE_NONE:
        break;
    }
    return 0;
}

/* Converts value from one numeric type to another if the result is exact. False otherwise, and always from or to symbols. */
_Bool wr_reading_convert(enum wr_type from, union wr_value value, enum wr_type to, union wr_value *ret_value);

#endif
