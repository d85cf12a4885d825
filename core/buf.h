/* A growable byte buffer with a hard ceiling.
 *
 * Promise: append either takes all bytes or none. The data is always followed by a NUL that is not counted, so that a text can be
 * printed. Growth doubles, up to `max`.
 * Threads: one at a time. Ownership: the struct is caller's memory; wr_buf_fini frees the data.
 */
#ifndef WEIR_CORE_BUF_H
#define WEIR_CORE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

struct wr_buf {
    uint8_t *data; /* NULL until the first append */
    size_t len;
    size_t cap;
    size_t max;
};

/* max 0: SIZE_MAX / 4. Allocates nothing. */
void wr_buf_init(struct wr_buf *buf, size_t max);
void wr_buf_fini(struct wr_buf *buf);
/* Empties it, keeps the memory. */
void wr_buf_clear(struct wr_buf *buf);

/* WR_NO_MEMORY, or WR_LIMIT when it would pass max. */
WR_MUST_USE enum wr_result wr_buf_reserve(struct wr_buf *buf, size_t more);
WR_MUST_USE enum wr_result wr_buf_append(struct wr_buf *buf, const void *bytes, size_t len);
WR_MUST_USE enum wr_result wr_buf_text(struct wr_buf *buf, const char *text);
WR_MUST_USE enum wr_result wr_buf_printf(struct wr_buf *buf, const char *format, ...) WR_PRINTF(2, 3);
WR_MUST_USE enum wr_result wr_buf_vprintf(struct wr_buf *buf, const char *format, va_list arguments) WR_PRINTF(2, 0);

/* "" while empty. */
const char *wr_buf_str(const struct wr_buf *buf);
/* Takes the data out: the caller frees it; the buffer is empty then. */
uint8_t *wr_buf_steal(struct wr_buf *buf, size_t *ret_len);

#endif
