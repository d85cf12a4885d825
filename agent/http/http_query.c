#include "agent/http/http_query.h"

#include <string.h>

#include "core/scan.h"

static enum wr_result decode(const char *p, const char *end, char *into, size_t size) {
    size_t len = 0;
    for (; p < end; p++) {
        char c = *p;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            if (end - p < 3 || wr_scan_hex_digit(p[1]) < 0 || wr_scan_hex_digit(p[2]) < 0)
                return WR_INVALID;
            c = (char)(wr_scan_hex_digit(p[1]) << 4 | wr_scan_hex_digit(p[2]));
            p += 2;
        }
        if (c == '\0')
            return WR_INVALID;
        if (len + 1 >= size)
            return WR_LIMIT;
        into[len++] = c;
    }
    into[len] = '\0';
    return WR_OK;
}

enum wr_result wr_http_query_find(struct wr_word query, const char *name, char *into, size_t size) {
    const char *end = query.text + query.len;
    const size_t name_len = strlen(name);
    for (const char *p = query.text; p < end;) {
        const char *next = memchr(p, '&', (size_t)(end - p));
        const char *stop = next ? next : end;
        const char *equals = memchr(p, '=', (size_t)(stop - p));
        const char *name_end = equals ? equals : stop;
        if ((size_t)(name_end - p) == name_len && memcmp(p, name, name_len) == 0)
            return decode(equals ? equals + 1 : stop, stop, into, size);
        p = next ? next + 1 : end;
    }
    return WR_NOT_FOUND;
}
