/* Base64 for URLs, without padding.
 *
 * Promise: each sequence of bytes has one text, and only that one is taken: other characters, padding, a length that cannot be, and spare bits that
 * are not zero are refused.
 * Threads: none; pure. Source: RFC 4648 5 and 3.5.
 */
#ifndef WEIR_CORE_BASE64URL_H
#define WEIR_CORE_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

/* Into bytes[size], which may be the text itself. False: this is none, or has more than size bytes; bytes may be changed then. */
bool wr_base64url_decode(const char *text, size_t len, void *bytes, size_t size, size_t *ret_len);
/* WR_NO_MEMORY, WR_LIMIT: of into, which may have part of it then. */
WR_MUST_USE enum wr_result wr_base64url_append(struct wr_buf *into, const void *bytes, size_t len);

#endif
