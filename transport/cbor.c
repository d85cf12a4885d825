#include "transport/cbor.h"

#include <string.h>

#include "core/utf8.h"

/* Major types, in the upper three bits. */
enum { UNSIGNED = 0x00, NEGATIVE = 0x20, TEXT = 0x60, ARRAY = 0x80, MAP = 0xA0, SIMPLE = 0xE0 };

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

static void put(struct wr_cbor *cbor, const void *bytes, size_t len) {
    if (cbor->failed == WR_OK)
        cbor->failed = wr_buf_append(cbor->into, bytes, len);
}

/* A first byte and n more of value, the highest first. */
static void put_big_endian(struct wr_cbor *cbor, uint8_t first, uint64_t value, size_t n) {
    uint8_t bytes[9] = {first};
    for (size_t i = 0; i < n; i++)
        bytes[1 + i] = (uint8_t)(value >> (8 * (n - 1 - i)));
    put(cbor, bytes, 1 + n);
}

static void put_head(struct wr_cbor *cbor, unsigned type, uint64_t value) {
    if (value < 24)
        put_big_endian(cbor, (uint8_t)(type | value), 0, 0);
    else if (value <= UINT8_MAX)
        put_big_endian(cbor, (uint8_t)(type | 24), value, 1);
    else if (value <= UINT16_MAX)
        put_big_endian(cbor, (uint8_t)(type | 25), value, 2);
    else if (value <= UINT32_MAX)
        put_big_endian(cbor, (uint8_t)(type | 26), value, 4);
    else
        put_big_endian(cbor, (uint8_t)(type | 27), value, 8);
}

void wr_cbor_begin(struct wr_cbor *cbor, struct wr_buf *into) {
    *cbor = (struct wr_cbor){.into = into};
}

enum wr_result wr_cbor_end(struct wr_cbor *cbor) {
    return cbor->failed;
}

void wr_cbor_array(struct wr_cbor *cbor) {
    cbor->array_at = cbor->into->len;
    put_big_endian(cbor, ARRAY | 25, 0, 2);
}

void wr_cbor_array_end(struct wr_cbor *cbor, size_t elements) {
    if (cbor->failed == WR_OK && elements > UINT16_MAX)
        cbor->failed = WR_LIMIT;
    if (cbor->failed != WR_OK)
        return;
    cbor->into->data[cbor->array_at + 1] = (uint8_t)(elements >> 8);
    cbor->into->data[cbor->array_at + 2] = (uint8_t)elements;
}

void wr_cbor_map(struct wr_cbor *cbor, size_t n) {
    put_head(cbor, MAP, n);
}

void wr_cbor_int(struct wr_cbor *cbor, int64_t value) {
    if (value >= 0)
        put_head(cbor, UNSIGNED, (uint64_t)value);
    else
        put_head(cbor, NEGATIVE, (uint64_t)(-1 - value));
}

void wr_cbor_uint(struct wr_cbor *cbor, uint64_t value) {
    put_head(cbor, UNSIGNED, value);
}

void wr_cbor_double(struct wr_cbor *cbor, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value >= -(double)__FLT_MAX__ && value <= (double)__FLT_MAX__ && (double)(float)value == value) {
        float shorter = (float)value;
        uint32_t short_bits;
        memcpy(&short_bits, &shorter, sizeof short_bits);
        put_big_endian(cbor, SIMPLE | 26, short_bits, 4);
    } else {
        put_big_endian(cbor, SIMPLE | 27, bits, 8);
    }
}

void wr_cbor_bool(struct wr_cbor *cbor, bool value) {
    put_big_endian(cbor, value ? SIMPLE | 21 : SIMPLE | 20, 0, 0);
}

void wr_cbor_text(struct wr_cbor *cbor, const char *text, size_t len) {
    size_t written = 0;
    for (size_t at = 0, n; at<len; at += n> 0 ? n : 1) {
        n = wr_utf8_length(text + at, len - at);
        written += n > 0 ? n : strlen(REPLACEMENT);
    }
    put_head(cbor, TEXT, written);
    if (written == len) { /* each replacement is longer than what it replaces */
        put(cbor, text, len);
        return;
    }
    for (size_t at = 0, n; at<len; at += n> 0 ? n : 1) {
        n = wr_utf8_length(text + at, len - at);
        put(cbor, n > 0 ? text + at : REPLACEMENT, n > 0 ? n : strlen(REPLACEMENT));
    }
}
