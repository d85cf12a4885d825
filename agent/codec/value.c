#include "agent/codec/value.h"

#include <math.h>
#include <string.h>

#include "agent/codec/number.h"
#include "core/utf8.h"

static bool is_one_of(struct wr_word word, const char *lower, const char *title, const char *upper) {
    return word.len == strlen(lower) &&
           (memcmp(word.text, lower, word.len) == 0 || memcmp(word.text, title, word.len) == 0 || memcmp(word.text, upper, word.len) == 0);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_text(struct wr_word word) {
    for (size_t i = 0; i < word.len;) {
        size_t n = wr_utf8_length(word.text + i, word.len - i);
        if (n == 0 || (unsigned char)word.text[i] < 0x20 || word.text[i] == 0x7F)
            return false;
        i += n;
    }
    return true;
}

static struct wr_field number_field(double value, uint8_t decimals) {
    bool good = isfinite(value);
    return (struct wr_field){.value.f = good ? value : 0,
                             .type = WR_TYPE_FLOAT,
                             .quality = good ? WR_QUALITY_GOOD : WR_QUALITY_BAD,
                             .decimals = good ? decimals : WR_DECIMALS_UNKNOWN};
}

enum wr_result wr_value_read(const char *bytes, size_t len, struct wr_field *ret_field, struct wr_refusal *ret_refusal) {
    struct wr_word word = {bytes, len};
    while (word.len > 0 && is_space(word.text[0]))
        word = (struct wr_word){word.text + 1, word.len - 1};
    while (word.len > 0 && is_space(word.text[word.len - 1]))
        word.len--;
    struct wr_number number;
    double nonfinite;
    const char *end = word.text + word.len;
    const struct wr_word name = ret_field->name;
    if (word.len == 0) {
        wr_refusal_set(ret_refusal, WR_BOOK_REJECTED_SYNTAX, 1, bytes, word.text, "an empty payload");
        return WR_INVALID;
    }
    if (word.len <= WR_NUMBER_BYTES && wr_number_read(word.text, end, &number) == end)
        *ret_field = number_field(number.value, number.decimals);
    else if (wr_number_read_nonfinite(word.text, end, &nonfinite) == end || is_one_of(word, "null", "Null", "NULL"))
        *ret_field = number_field(NAN, 0);
    else if (is_one_of(word, "true", "True", "TRUE") || is_one_of(word, "false", "False", "FALSE"))
        *ret_field = (struct wr_field){.value.u = (word.text[0] | 0x20) == 't', .type = WR_TYPE_BOOL, .decimals = WR_DECIMALS_UNKNOWN};
    else if (word.len <= WR_VALUE_TEXT_BYTES && is_text(word))
        *ret_field = (struct wr_field){.text = word, .type = WR_TYPE_SYMBOL, .decimals = WR_DECIMALS_UNKNOWN};
    else {
        wr_refusal_set(ret_refusal, WR_BOOK_REJECTED_SYNTAX, 1, bytes, word.text, "neither a number nor a text of at most %d bytes",
                       WR_VALUE_TEXT_BYTES);
        return WR_INVALID;
    }
    ret_field->name = name;
    return WR_OK;
}
