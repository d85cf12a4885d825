/* UTF-8, as far as output needs it: where a character ends, and where a text may be cut.
 *
 * Source: RFC 3629 (no surrogates, no overlong forms, at most U+10FFFF).
 * Threads: none; pure functions.
 */
#ifndef WEIR_CORE_UTF8_H
#define WEIR_CORE_UTF8_H

#include <stddef.h>

/* Bytes of the valid character at the start of text[len]: 1..4; 0 if there is none (NUL is a character of one byte). */
size_t wr_utf8_length(const char *text, size_t len);

/* The longest prefix of text[len] with at most max bytes that does not end inside a character. Bytes that are no UTF-8 count as one each. */
size_t wr_utf8_cut(const char *text, size_t len, size_t max);

/* Copies text to into[size], cut at a character boundary. Returns into. */
char *wr_utf8_copy(char *into, size_t size, const char *text);

#endif
