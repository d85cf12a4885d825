#include "core/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/utf8.h"

void wr_json_begin(struct wr_json *json, struct wr_buf *into) {
    *json = (struct wr_json){.into = into};
}

enum wr_result wr_json_end(struct wr_json *json) {
    assert(json->failed != WR_OK || json->depth == 0);
    return json->failed;
}

static void put(struct wr_json *json, const char *bytes, size_t len) {
    if (json->failed == WR_OK)
        json->failed = wr_buf_append(json->into, bytes, len);
}

/* The escape of a character that must not stand in a string as it is; 0: it may. */
static size_t escape(char *into, uint8_t byte) {
    static const char hex[] = "0123456789abcdef";
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: the character, its letter */
    if (byte >= 0x20 && byte != '"' && byte != '\\')
        return 0;
    into[0] = '\\';
    for (const char *pair = shorts; *pair != '\0'; pair += 2)
        if ((uint8_t)*pair == byte) {
            into[1] = pair[1];
            return 2;
        }
    into[1] = 'u';
    into[2] = '0';
    into[3] = '0';
    into[4] = hex[byte >> 4];
    into[5] = hex[byte & 15];
    return 6;
}

/* Clean stretches are appended whole. */
static void put_string(struct wr_json *json, const char *text, size_t len) {
    size_t clean = 0; /* where the stretch not yet written begins */
    put(json, "\"", 1);
    for (size_t at = 0; at < len;) {
        char escaped[6];
        const char *instead = escaped;
        size_t character = wr_utf8_length(text + at, len - at);
        size_t n = character == 1 ? escape(escaped, (uint8_t)text[at]) : 0;
        if (character == 0) {
            instead = "\xEF\xBF\xBD"; /* U+FFFD */
            n = 3;
            character = 1;
        }
        if (n > 0) {
            put(json, text + clean, at - clean);
            put(json, instead, n);
            clean = at + character;
        }
        at += character;
    }
    put(json, text + clean, len - clean);
    put(json, "\"", 1);
}

/* What stands before every value: the comma and the name. */
static void lead(struct wr_json *json, const char *name) {
    if (json->depth > 0) {
        if (json->comma[json->depth])
            put(json, ",", 1);
        json->comma[json->depth] = true;
    }
    if (name) {
        put_string(json, name, strlen(name));
        put(json, ":", 1);
    }
}

static void enter(struct wr_json *json, const char *name, const char *bracket) {
    lead(json, name);
    if (json->depth + 1 >= WR_JSON_DEPTH) {
        if (json->failed == WR_OK)
            json->failed = WR_LIMIT;
        return;
    }
    put(json, bracket, 1);
    json->depth++;
    json->comma[json->depth] = false;
}

static void leave(struct wr_json *json, const char *bracket) {
    put(json, bracket, 1);
    assert(json->failed != WR_OK || json->depth > 0);
    if (json->depth > 0)
        json->depth--;
}

void wr_json_object(struct wr_json *json, const char *name) {
    enter(json, name, "{");
}

void wr_json_object_end(struct wr_json *json) {
    leave(json, "}");
}

void wr_json_array(struct wr_json *json, const char *name) {
    enter(json, name, "[");
}

void wr_json_array_end(struct wr_json *json) {
    leave(json, "]");
}

void wr_json_string(struct wr_json *json, const char *name, const char *text) {
    wr_json_bytes(json, name, text, strlen(text));
}

void wr_json_bytes(struct wr_json *json, const char *name, const char *text, size_t len) {
    lead(json, name);
    put_string(json, text, len);
}

#define DIGITS_MAX 40 /* 2^127 has 39 */

/* Writes the digits to the end of text[DIGITS_MAX]; returns where they begin. */
static char *digits(char *text, wr_u128 value) {
    char *at = text + DIGITS_MAX;
    while (wr_u128_high(value) != 0) { /* 19 digits at a time: dividing 64 bits is much faster than 128 */
        uint64_t low;
        value = wr_u128_divide(value, UINT64_C(10000000000000000000), &low);
        for (int i = 0; i < 19; i++, low /= 10)
            *--at = (char)('0' + low % 10);
    }
    uint64_t rest = wr_u128_low(value);
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    return at;
}

static void put_integer(struct wr_json *json, const char *name, bool negative, wr_u128 size) {
    char text[1 + DIGITS_MAX];
    char *at = digits(text + 1, size);
    if (negative)
        *--at = '-';
    lead(json, name);
    put(json, at, (size_t)(text + sizeof text - at));
}

void wr_json_int(struct wr_json *json, const char *name, int64_t value) {
    put_integer(json, name, value < 0, wr_u128_of(value < 0 ? 0U - (uint64_t)value : (uint64_t)value));
}

void wr_json_uint(struct wr_json *json, const char *name, uint64_t value) {
    put_integer(json, name, false, wr_u128_of(value));
}

void wr_json_i128(struct wr_json *json, const char *name, wr_i128 value) {
    put_integer(json, name, wr_i128_negative(value), wr_i128_size(value));
}

void wr_json_double(struct wr_json *json, const char *name, double value) {
    char text[32];
    size_t len = wr_json_format_double(text, value);
    lead(json, name);
    put(json, text, len);
}

void wr_json_bool(struct wr_json *json, const char *name, bool value) {
    lead(json, name);
    put(json, value ? "true" : "false", value ? 4 : 5);
}

void wr_json_null(struct wr_json *json, const char *name) {
    lead(json, name);
    put(json, "null", 4);
}

void wr_json_time(struct wr_json *json, const char *name_ns, const char *name, int64_t wall_ns) {
    char text[32];
    wr_json_int(json, name_ns, wall_ns);
    wr_json_string(json, name, wr_clock_format(text, sizeof text, wall_ns));
}

void wr_json_raw(struct wr_json *json, const char *name, const char *text, size_t len) {
    lead(json, name);
    put(json, text, len);
}

/* The usual number of a sensor: at most 15 digits and not very small. The smallest number of decimals that gives the same double is the
 * shortest text, because two different decimals of at most 15 digits are never the same double. 0: it is not such a number. */
static size_t format_short(char *text, double value) {
    double size = fabs(value);
    if (!(size == 0.0 || (size >= 1e-4 && size < WR_DECIMAL_MANTISSA_END)))
        return 0;
    int64_t mantissa;
    uint8_t decimals = 0;
    while (!wr_decimal_scale(size, decimals, &mantissa)) {
        if (++decimals > WR_DECIMALS_MAX || size * wr_decimal_powers[decimals] >= WR_DECIMAL_MANTISSA_END)
            return 0;
    }
    char *at = text;
    if (signbit(value))
        *at++ = '-';
    char all[DIGITS_MAX];
    char *first = digits(all, wr_u128_of((uint64_t)mantissa));
    while (all + DIGITS_MAX - first <= decimals) /* at least one digit before the point */
        *--first = '0';
    size_t whole = (size_t)(all + DIGITS_MAX - first) - decimals;
    memcpy(at, first, whole);
    at += whole;
    if (decimals > 0) {
        *at++ = '.';
        memcpy(at, first + whole, decimals);
        at += decimals;
    }
    *at = '\0';
    return (size_t)(at - text);
}

size_t wr_json_format_double(char *text, double value) {
    if (!isfinite(value)) {
        memcpy(text, "null", 5);
        return 4;
    }
    size_t len = format_short(text, value);
    if (len > 0)
        return len;
    /* 15 digits always survive text -> double -> text, 17 always survive double -> text -> double. A subnormal has fewer bits: there the
     * search begins at one digit. (Next to a power of two, 17 digits may come where a 16-digit text further away would have done.) */
    int digits_first = fabs(value) < 2.2250738585072014e-308 ? 1 : 15;
    for (int precision = digits_first; precision <= 17; precision++) {
        len = (size_t)snprintf(text, 32, "%.*g", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return len;
}
