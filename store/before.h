/* What the next record of a run is predicted from. Encoder and decoder do the very same with it.
 *
 * Threads: none.
 */
#ifndef WEIR_STORE_BEFORE_H
#define WEIR_STORE_BEFORE_H

#include "store/bits.h"
#include "store/form.h"

struct wr_before {
    bool known; /* there was a record before, in this run, with values */
    struct wr_codes codes;
    union wr_value last;
    struct wr_average first; /* widths of FIRST */
    struct wr_average reach; /* widths of LOW and HIGH */
};

static inline uint64_t wr_span(const struct wr_codes *codes) { return (uint64_t)wr_minus(codes->max, codes->min); }

/* The first value goes on where the last one of the record before ended. */
static inline int64_t wr_before_code(const struct wr_before *before, const struct wr_grid *grid, unsigned form) {
    if (!before->known)
        return 0;
    return before->codes.form == form ? before->codes.last : wr_form_guess(grid, form, before->last.f);
}

static inline unsigned wr_before_width(const struct wr_before *before) {
    if (!before->known)
        return 0;
    return before->first.known ? wr_average_expect(&before->first) : wr_width(wr_span(&before->codes));
}

static inline void wr_before_learn(struct wr_before *before, const struct wr_codes *codes, union wr_value last) {
    before->known = true;
    before->codes = *codes;
    before->last = last;
}

#endif
