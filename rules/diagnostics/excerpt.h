/* The excerpt of a diagnostic: one source line as it is shown, with the place of the carets below it.
 *
 * Promise: what is shown is printable, of WR_EXCERPT_CHARACTERS at most, and the carets stand below the characters that are meant: a tab is
 * shown as a space, a control character or a byte that is no UTF-8 as \xNN, and a long line is cut around the place.
 * Threads: none; pure. Ownership: the text is the caller's.
 */
#ifndef WEIR_RULES_DIAGNOSTICS_EXCERPT_H
#define WEIR_RULES_DIAGNOSTICS_EXCERPT_H

#include <stddef.h>
#include <stdint.h>

#define WR_EXCERPT_CHARACTERS 110
#define WR_EXCERPT_BYTES (WR_EXCERPT_CHARACTERS * 4 + 8)

struct wr_excerpt {
    char text[WR_EXCERPT_BYTES];
    uint32_t caret;  /* characters before the first caret */
    uint32_t carets; /* 0 when the place has no length */
};

/* line[len] without its break; column (from 1) and length in characters. */
void wr_excerpt_make(struct wr_excerpt *excerpt, const char *line, size_t len, uint32_t column, uint32_t length);

#endif
