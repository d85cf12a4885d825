/* Doubles come back bit for bit and short; strings come back as a small reader of RFC 8259 reads them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "core/utf8.h"
#include "tests/support/random.h"

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? */
static bool is_json_number(const char *text) {
    text += *text == '-';
    if (*text == '0')
        text++;
    else if (*text >= '1' && *text <= '9')
        text += strspn(text, "0123456789");
    else
        return false;
    if (*text == '.') {
        size_t digits = strspn(++text, "0123456789");
        if (digits == 0)
            return false;
        text += digits;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        size_t digits = strspn(text, "0123456789");
        if (digits == 0)
            return false;
        text += digits;
    }
    return *text == '\0';
}

/* Digits without leading and trailing zeros. */
static int significant(const char *text) {
    int digits = 0;
    int zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++)
        if (*text >= '1' && *text <= '9') {
            digits += zeros + 1;
            zeros = 0;
        } else if (*text == '0' && digits > 0) {
            zeros++;
        }
    return digits;
}

static void check_double(double value) {
    char text[32];
    size_t len = wr_json_format_double(text, value);
    union wr_value before = {.f = value};
    union wr_value after = {.f = strtod(text, NULL)};
    if (len != strlen(text) || len > 31 || !is_json_number(text) || before.bits != after.bits)
        fail_msg("%.17g was written '%s'", value, text);
    char reference[40];
    int precision = 1;
    for (; precision < 17; precision++) {
        snprintf(reference, sizeof reference, "%.*g", precision, value);
        if (strtod(reference, NULL) == value)
            break;
    }
    if (significant(text) > precision)
        fail_msg("%s has more digits than %s", text, reference);
}

static void doubles_come_back(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int i = 0; i < 30000; i++) {
        union wr_value noise = {.bits = wr_random_u64(&random)};
        if (isfinite(noise.f))
            check_double(noise.f);
        check_double((double)(int64_t)(noise.bits >> wr_random_below(&random, 64)));
        /* what sensors send: few digits, few decimals */
        char text[40];
        uint64_t end = (uint64_t)wr_decimal_powers[1 + wr_random_below(&random, WR_DECIMALS_MAX)];
        snprintf(text, sizeof text, "%s%llu.%0*llu", i % 2 ? "-" : "", (unsigned long long)wr_random_below(&random, end),
                 (int)wr_random_below(&random, 8) + 1, (unsigned long long)wr_random_below(&random, 100));
        check_double(strtod(text, NULL));
    }
}

static void put_byte(char *into, size_t *len, unsigned code) {
    into[(*len)++] = (char)code;
}

/* Reads what the writer may write: only the escapes of bytes below 0x80. */
static size_t read_string(const char *json, size_t len, char *into) {
    size_t out = 0;
    assert_true(len >= 2 && json[0] == '"' && json[len - 1] == '"');
    for (size_t at = 1; at < len - 1; at++) {
        unsigned char byte = (unsigned char)json[at];
        assert_true(byte >= 0x20 && byte != '"');
        if (byte != '\\') {
            put_byte(into, &out, byte);
            continue;
        }
        static const char letters[] = "\"\\/bfnrt";
        static const char meanings[] = "\"\\/\b\f\n\r\t";
        const char *letter = strchr(letters, json[++at]);
        if (letter && *letter != '\0') {
            put_byte(into, &out, (unsigned char)meanings[letter - letters]);
        } else {
            assert_int_equal(json[at], 'u');
            char hex[5] = {json[at + 1], json[at + 2], json[at + 3], json[at + 4], '\0'};
            unsigned code = (unsigned)strtoul(hex, NULL, 16);
            assert_true(code < 0x80);
            put_byte(into, &out, code);
            at += 4;
        }
    }
    return out;
}

static void strings_come_back(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    struct wr_buf buf;
    wr_buf_init(&buf, 0);
    for (int i = 0; i < 30000; i++) {
        char text[24];
        size_t len = wr_random_below(&random, sizeof text);
        for (size_t at = 0; at < len; at++)
            text[at] = (char)(wr_random_below(&random, 3) ? wr_random_below(&random, 0x60) : wr_random_u64(&random));
        char expected[3 * sizeof text];
        size_t expected_len = 0;
        for (size_t at = 0; at < len;) {
            size_t n = wr_utf8_length(text + at, len - at);
            memcpy(expected + expected_len, n > 0 ? text + at : "\xEF\xBF\xBD", n > 0 ? n : 3);
            expected_len += n > 0 ? n : 3;
            at += n > 0 ? n : 1;
        }
        struct wr_json json;
        wr_buf_clear(&buf);
        wr_json_begin(&json, &buf);
        wr_json_bytes(&json, NULL, text, len);
        assert_int_equal(wr_json_end(&json), WR_OK);
        char got[3 * sizeof text];
        assert_int_equal(read_string(wr_buf_str(&buf), buf.len, got), expected_len);
        assert_memory_equal(got, expected, expected_len);
    }
    wr_buf_fini(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(doubles_come_back), cmocka_unit_test(strings_come_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
