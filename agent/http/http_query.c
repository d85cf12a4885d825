#include "agent/http/http_query.h"

#include <string.h>

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        return (c | 0x20) - 'a' + 10;
    return -1;
}

static enum wr_result decode(const char *p, const char *end, char *into, size_t size) {
    size_t len = 0;
    for (; p < end; p++) {
        char c = *p;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            if (end - p < 3 || hex(p[1]) < 0 || hex(p[2]) < 0)
                return WR_INVALID;
            c = (char)(hex(p[1]) << 4 | hex(p[2]));
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
