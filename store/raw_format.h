/* What encoder and decoder of raw readings agree on: the columns, and what the next value is expected to be.
 *
 * Threads: none.
 */
#ifndef WEIR_STORE_RAW_FORMAT_H
#define WEIR_STORE_RAW_FORMAT_H

#include "store/bits.h"
#include "store/codec_format.h"
#include "store/form.h"
#include "store/raw_codec.h"

/* In their order: those that repeat themselves, then those that only have a skewed distribution. */
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
    WR_RAW_TIME_WIDTH,
    WR_RAW_VALUE_WIDTH,
    WR_RAW_COLUMNS,
    WR_RAW_SKEWED = WR_RAW_TIME_WIDTH, /* the first of the second frame */
};

#define WR_RAW_FLAGS_SHIFT 2 /* in QUALITY, above the quality */
#define WR_RAW_FLAGS_MAX 1   /* WR_READING_HISTORIC */

/* The reading before, in the same run. */
struct wr_raw_before {
    bool known;
    uint8_t form;
    int64_t code;
    union wr_value value;
    struct wr_average widths;
};

static inline int64_t wr_raw_before_code(const struct wr_raw_before *before, const struct wr_grid *grid, unsigned form) {
    if (!before->known)
        return 0;
    return before->form == form ? before->code : wr_form_guess(grid, form, before->value.f);
}

/* `width` is that of the difference; the first of a run says nothing about those to come. */
static inline void wr_raw_before_learn(struct wr_raw_before *before, unsigned form, int64_t code, union wr_value value, unsigned width) {
    if (before->known)
        wr_average_learn(&before->widths, width);
    before->known = true;
    before->form = (uint8_t)form;
    before->code = code;
    before->value = value;
}

#endif
