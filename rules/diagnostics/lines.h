/* Lines of a text, counted as YAML does.
 *
 * A line ends at LF, CRLF, CR, and at U+0085, U+2028 and U+2029: libyaml counts so, and a place in a file must mean the same line to all.
 * Threads: none; pure functions.
 */
#ifndef WEIR_RULES_DIAGNOSTICS_LINES_H
#define WEIR_RULES_DIAGNOSTICS_LINES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the line break at text[at], or 0 if there is none. */
size_t wr_lines_break(const char *text, size_t len, size_t at);

/* The first byte of a line (from 1) and its length without the break. A line behind the last one is empty, at the end. */
void wr_lines_find(const char *text, size_t len, uint32_t line, size_t *ret_start, size_t *ret_len);

/* Bytes of the character at text[at]: 1 for a byte that is no UTF-8. */
size_t wr_lines_character(const char *text, size_t len, size_t at);

/* Line and column (from 1, in characters) of a byte. */
void wr_lines_position(const char *text, size_t len, size_t at, uint32_t *ret_line, uint32_t *ret_column);

#endif
