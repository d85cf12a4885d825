#include "core/result.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

const char *wr_result_name(enum wr_result code) {
    switch (code) {
    case WR_OK:
        return "ok";
    case WR_NO_MEMORY:
        return "no memory";
    case WR_INVALID:
        return "invalid";
    case WR_LIMIT:
        return "limit reached";
    case WR_NOT_FOUND:
        return "not found";
    case WR_EXISTS:
        return "exists already";
    case WR_FULL:
        return "full";
    case WR_EMPTY:
        return "empty";
    case WR_CLOSED:
        return "closed";
    case WR_TIMEOUT:
        return "timeout";
    case WR_CANCELED:
        return "cancelled";
    case WR_BUSY:
        return "busy";
    case WR_DENIED:
        return "denied";
    case WR_IO:
        return "input/output error";
    case WR_CORRUPT:
        return "corrupt";
    case WR_UNSUPPORTED:
        return "unsupported";
    case WR_PROTOCOL:
        return "protocol error";
    }
    return "unknown result";
}

/* Cuts what vsnprintf may have cut inside a character. */
static void end_at_character(char *text) {
    size_t len = strlen(text);
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        uint8_t byte = (uint8_t)text[len - back];
        if ((byte & 0xC0) == 0x80)
            continue;
        if (byte >= 0xC0 && wr_utf8_length(text + len - back, back) == 0)
            text[len - back] = '\0';
        return;
    }
}

enum wr_result wr_error_set(struct wr_error *err, enum wr_result code, const char *format, ...) {
    if (!err)
        return code;
    char text[WR_ERROR_TEXT_BYTES]; /* the arguments may point into err->text */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    end_at_character(text);
    err->code = code;
    memcpy(err->text, text, strlen(text) + 1);
    return code;
}

enum wr_result wr_error_wrap(struct wr_error *err, const char *format, ...) {
    if (!err)
        return WR_IO;
    assert(err->code != WR_OK);
    char text[WR_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t context = strlen(text);
    size_t rest = strlen(err->text);
    if (context + 2 < sizeof text) { /* else the context alone fills it */
        memcpy(text + context, ": ", 2);
        if (rest > sizeof text - context - 3)
            rest = sizeof text - context - 3;
        memcpy(text + context + 2, err->text, rest);
        text[context + 2 + rest] = '\0';
    }
    end_at_character(text);
    memcpy(err->text, text, strlen(text) + 1);
    return err->code;
}

/* C0, DEL and the C1 controls: they move cursors and forge lines. */
static bool is_control(const char *text, size_t len) {
    uint8_t first = (uint8_t)text[0];
    return first < 0x20 || first == 0x7F || (len == 2 && first == 0xC2 && (uint8_t)text[1] < 0xA0);
}

char *wr_error_escape(char *into, size_t size, const char *text, size_t len) {
    static const char hex[] = "0123456789abcdef";
    if (size == 0)
        return into;
    size_t out = 0;
    size_t mark = 0; /* the last place where "..." still fits behind */
    for (size_t at = 0; at < len;) {
        char unit[8];
        size_t unit_len = wr_utf8_length(text + at, len - at);
        if (unit_len > 0 && !is_control(text + at, unit_len)) {
            memcpy(unit, text + at, unit_len);
            at += unit_len;
        } else {
            uint8_t byte = (uint8_t)text[at++];
            unit[0] = '\\';
            unit[1] = 'x';
            unit[2] = hex[byte >> 4];
            unit[3] = hex[byte & 15];
            unit_len = 4;
        }
        if (out + unit_len + 1 > size) {
            out = mark;
            for (int dots = 0; dots < 3 && out + 1 < size; dots++)
                into[out++] = '.';
            break;
        }
        memcpy(into + out, unit, unit_len);
        out += unit_len;
        if (out + 4 <= size)
            mark = out;
    }
    into[out] = '\0';
    return into;
}
