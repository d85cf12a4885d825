/* What encoder and decoder of raw readings agree on: the columns, what the next value is expected to be, and how numbers are written.
 *
 * A number is a difference, mostly chance. Its upper part is a byte, and these bytes compress well, since small ones are much more frequent; the bits below,
 * so many as the scale says, stand in the string of bits as they are. The scale is that of the run, or follows the widths of its numbers (wr_average).
 *
 * Threads: none.
 */
#ifndef WEIR_STORE_RAW_FORMAT_H
#define WEIR_STORE_RAW_FORMAT_H

#include "store/bits.h"
#include "store/codec_format.h"
#include "store/form.h"
#include "store/raw_codec.h"

/* In their order: those that repeat themselves, then those that only have a skewed distribution, each another one. */
enum wr_raw_column {
    WR_RAW_RUN_SHARED,
    WR_RAW_RUN_SUFFIX,
    WR_RAW_RUN_TYPE,
    WR_RAW_RUN_COUNT,
    WR_RAW_RUN_TIMES,
    WR_RAW_RUN_GRID,
    WR_RAW_NAMES,
    WR_RAW_TEXTS,
    WR_RAW_TEXT_INDEX,
    WR_RAW_QUALITY,
    WR_RAW_FORM,
    WR_RAW_ULPS,
    WR_RAW_FINE,
    WR_RAW_TIME,
    WR_RAW_VALUE,
    WR_RAW_VALUE_UP, /* since version 2 */
    WR_RAW_VALUE_DOWN,
    WR_RAW_COLUMNS,
    WR_RAW_COLUMNS_1 = WR_RAW_VALUE_UP, /* of version 1 */
};

#define WR_RAW_FLAGS_SHIFT 2 /* in QUALITY, above the quality */
#define WR_RAW_FLAGS_MAX 1   /* WR_READING_HISTORIC */

/* What a run has besides its grid, in a byte. */
#define WR_RAW_HAS_CONSTANT 1 /* a value of eight bytes follows */
#define WR_RAW_HAS_ULPS 2     /* each of its decimals has half a byte in ULPS */
#define WR_RAW_HAS_STEPS 4    /* its values stand in three columns */
#define WR_RAW_HAS_MAX 7

#define WR_RAW_ULPS_BELOW 8 /* so many doubles below a decimal, and one less above it, a value may be */

/* -- what is expected ---------------------------------------------------------------------------------------------------------------------- */

/* The reading before, in the same run, that is not the constant; the first of a run has the first value of the run before. */
struct wr_raw_before {
    bool known;
    uint8_t form; /* WR_RAW_FORM_NONE: only the value counts */
    int64_t code;
    union wr_value value;
    struct wr_average widths; /* of version 1 */
};
#define WR_RAW_FORM_NONE 255

static inline int64_t wr_raw_before_code(const struct wr_raw_before *before, const struct wr_grid *grid, unsigned form) {
    if (!before->known)
        return 0;
    if (before->form == form)
        return before->code;
    return form == WR_FORM_INTEGER ? before->value.i / grid->step : wr_form_guess(grid, form, before->value.f);
}

static inline void wr_raw_before_learn(struct wr_raw_before *before, unsigned form, int64_t code, union wr_value value) {
    before->known = true;
    before->form = (uint8_t)form;
    before->code = code;
    before->value = value;
}

/* -- numbers ------------------------------------------------------------------------------------------------------------------------------- */

#define WR_RAW_PLAIN 128 /* upper parts below it are themselves; other numbers are so much plus their width, and all bits below the leading one */
#define WR_RAW_OTHER 254    /* in VALUE: its form is not the usual one but stands in FORM, and another byte follows */
#define WR_RAW_CONSTANT 255 /* in VALUE: the constant of the run */
#define WR_RAW_ADAPTS 64  /* in place of a scale, which is below it */
#define WR_RAW_UPPER_BITS 2 /* so many of a number of usual width */

struct wr_raw_scale {
    uint8_t scale;
    struct wr_average widths;
};

static inline unsigned wr_raw_scale_of(unsigned width) { return width > WR_RAW_UPPER_BITS ? width - WR_RAW_UPPER_BITS : 0; }

static inline unsigned wr_raw_scale_now(const struct wr_raw_scale *scale) {
    return scale->scale == WR_RAW_ADAPTS ? wr_raw_scale_of(wr_average_expect(&scale->widths)) : scale->scale;
}

static inline void wr_raw_scale_learn(struct wr_raw_scale *scale, uint64_t number) {
    if (scale->scale == WR_RAW_ADAPTS)
        wr_average_learn(&scale->widths, wr_width(number));
}

/* After a large step another one is likely to follow, or the way back. So the next value of some runs stands in a column by it: 0 it was not large, 1 up, 2 down. */
#define WR_RAW_STEPS 3
#define WR_RAW_LARGE 4 /* upper parts from here on */
static inline unsigned wr_raw_step(uint64_t number, unsigned scale) { return number >> scale < WR_RAW_LARGE ? 0 : 1 + (unsigned)(number & 1); }

#endif
