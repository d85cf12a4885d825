#include "core/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 128

void wr_buf_init(struct wr_buf *buf, size_t max) {
    *buf = (struct wr_buf){.max = max > 0 ? max : SIZE_MAX / 4};
}

void wr_buf_fini(struct wr_buf *buf) {
    free(buf->data);
    *buf = (struct wr_buf){.max = buf->max};
}

void wr_buf_clear(struct wr_buf *buf) {
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

enum wr_result wr_buf_reserve(struct wr_buf *buf, size_t more) {
    if (more > buf->max - buf->len)
        return WR_LIMIT;
    size_t need = buf->len + more + 1; /* the NUL behind the data */
    if (need <= buf->cap)
        return WR_OK;
    size_t cap = buf->cap > 0 ? buf->cap : FIRST_BYTES;
    while (cap < need)
        cap *= 2; /* cannot overflow: max is at most SIZE_MAX / 4 */
    if (cap > buf->max + 1)
        cap = buf->max + 1;
    uint8_t *data = realloc(buf->data, cap);
    if (!data)
        return WR_NO_MEMORY;
    data[buf->len] = '\0';
    buf->data = data;
    buf->cap = cap;
    return WR_OK;
}

enum wr_result wr_buf_append(struct wr_buf *buf, const void *bytes, size_t len) {
    if (len == 0)
        return WR_OK;
    WR_TRY(wr_buf_reserve(buf, len));
    memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return WR_OK;
}

enum wr_result wr_buf_text(struct wr_buf *buf, const char *text) {
    return wr_buf_append(buf, text, strlen(text));
}

enum wr_result wr_buf_vprintf(struct wr_buf *buf, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    size_t room = buf->cap - buf->len;
    int printed = vsnprintf(room > 0 ? (char *)buf->data + buf->len : NULL, room, format, arguments);
    enum wr_result result = WR_INVALID; /* a format or a wide character that the C library refuses */
    if (printed < 0)
        goto undo;
    size_t len = (size_t)printed;
    if (len >= room) {
        result = wr_buf_reserve(buf, len);
        if (result != WR_OK)
            goto undo;
        vsnprintf((char *)buf->data + buf->len, len + 1, format, again);
    }
    va_end(again);
    buf->len += len;
    return WR_OK;
undo:
    va_end(again);
    if (buf->data)
        buf->data[buf->len] = '\0';
    return result;
}

enum wr_result wr_buf_printf(struct wr_buf *buf, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const enum wr_result result = wr_buf_vprintf(buf, format, arguments);
    va_end(arguments);
    return result;
}

const char *wr_buf_str(const struct wr_buf *buf) {
    return buf->data ? (const char *)buf->data : "";
}

uint8_t *wr_buf_steal(struct wr_buf *buf, size_t *ret_len) {
    uint8_t *data = buf->data;
    if (ret_len)
        *ret_len = buf->len;
    *buf = (struct wr_buf){.max = buf->max};
    return data;
}
