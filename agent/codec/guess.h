/* The guess: how the next record of line protocol probably begins, since senders say the same things in the same order.
 *
 * The sink knows which series came behind the last one the time before, and its text as it was written: origin, a space, the name of the first
 * field, an equals sign. A codec that finds these very bytes knows where they end without looking for it, and says `guessed` in the record: so
 * the sink need not look the series up. One comparison instead of a search and a look-up; a wrong guess costs that comparison.
 *
 * Promise: what is parsed is the same with and without a guess, since where a word ends depends on its own bytes alone.
 * Ownership: the text is the sink's, and good until the next record is handed over.
 */
#ifndef WEIR_AGENT_CODEC_GUESS_H
#define WEIR_AGENT_CODEC_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/scan.h"

struct wr_guess {
    const char *text;
    uint32_t len; /* of text; 0: there is no guess */
    uint16_t origin_len;
    uint16_t field_len;
};

/* Whether the bytes [p, stop) begin so. */
WR_INLINE bool wr_guess_is_right(const struct wr_guess *guess, const char *p, const char *stop) {
    const size_t len = guess->len;
    return len != 0 && (size_t)(stop - p) > len && wr_scan_same(p, guess->text, len);
}

#endif
