#include "core/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool continues(const char *byte) {
    return ((uint8_t)*byte & 0xC0) == 0x80;
}

size_t wr_utf8_length(const char *text, size_t len) {
    if (len == 0)
        return 0;
    uint8_t first = (uint8_t)text[0];
    if (first < 0x80)
        return 1;
    if (first < 0xC2)
        return 0; /* a continuation, or an overlong form */
    if (first < 0xE0)
        return len >= 2 && continues(text + 1) ? 2 : 0;
    uint8_t second = len >= 2 ? (uint8_t)text[1] : 0;
    if (first < 0xF0) {
        if (len < 3 || !continues(text + 1) || !continues(text + 2))
            return 0;
        if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F))
            return 0; /* overlong, or a surrogate */
        return 3;
    }
    if (first > 0xF4 || len < 4 || !continues(text + 1) || !continues(text + 2) || !continues(text + 3))
        return 0;
    if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
        return 0; /* overlong, or above U+10FFFF */
    return 4;
}

size_t wr_utf8_cut(const char *text, size_t len, size_t max) {
    if (len <= max)
        return len;
    /* Only the last character can be cut: step back to its first byte, at most three. */
    for (size_t back = 1; back <= 3 && back <= max; back++) {
        size_t start = max - back;
        if (continues(text + start))
            continue;
        size_t whole = wr_utf8_length(text + start, len - start);
        return whole > back ? start : max;
    }
    return max;
}

char *wr_utf8_copy(char *into, size_t size, const char *text) {
    if (size == 0)
        return into;
    size_t keep = wr_utf8_cut(text, strlen(text), size - 1);
    memcpy(into, text, keep);
    into[keep] = '\0';
    return into;
}
