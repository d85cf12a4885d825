#include "core/base64url.h"

#include <stdint.h>

/* -1: none of the alphabet. */
static int value_of(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool wr_base64url_decode(const char *text, size_t len, void *bytes, size_t size, size_t *ret_len) {
    uint8_t *into = bytes;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const int value = value_of(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        if (n == size)
            return false;
        into[n++] = (uint8_t)(bits >> n_bits);
        bits &= (1u << n_bits) - 1;
    }
    if (n_bits == 6 || bits != 0) /* a lone character; spare bits */
        return false;
    *ret_len = n;
    return true;
}

enum wr_result wr_base64url_append(struct wr_buf *into, const void *bytes, size_t len) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *from = bytes;
    for (size_t i = 0; i < len; i += 3) {
        const size_t left = len - i < 3 ? len - i : 3;
        const uint32_t three =
            (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) | (left > 2 ? (uint32_t)from[i + 2] : 0);
        const char four[4] = {alphabet[three >> 18], alphabet[three >> 12 & 63], alphabet[three >> 6 & 63], alphabet[three & 63]};
        WR_TRY(wr_buf_append(into, four, left + 1));
    }
    return WR_OK;
}
