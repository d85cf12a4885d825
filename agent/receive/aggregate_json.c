/* An aggregate read back from its JSON. */
#include <math.h>
#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/codec/number.h"
#include "agent/codec/record.h"
#include "agent/receive/decode.h"

enum member { MEASUREMENT, FIELD, TAGS, TIME_NS, WINDOW_NS, N, SUM, MIN, MAX, FIRST, LAST, BAD, MEMBERS };

static const char *const names[MEMBERS] = {
    [MEASUREMENT] = "measurement",
    [FIELD] = "field",
    [TAGS] = "tags",
    [TIME_NS] = "time_ns",
    [WINDOW_NS] = "window_ns",
    [N] = "n",
    [SUM] = "sum",
    [MIN] = "min",
    [MAX] = "max",
    [FIRST] = "first",
    [LAST] = "last",
    [BAD] = "bad",
};

struct members {
    struct wr_word at[MEMBERS]; /* as written */
    struct wr_buf *texts;       /* has room for all */
    struct wr_error *err;
};

static enum wr_result wrong(struct members *members, enum member member, const char *what) {
    char shown[WR_RECORD_EXCERPT_BYTES];
    const struct wr_word word = members->at[member];
    (void)wr_error_set(members->err, WR_INVALID, "%s is %s: '%s'", names[member], what,
                       wr_record_excerpt(shown, word.text ? word.text : "", word.len));
    return WR_INVALID;
}

static enum wr_result gather(struct members *members, struct wr_word object) {
    struct wr_json_scan scan = wr_json_scan_begin(object.text, object.text + object.len, true);
    struct wr_word name;
    struct wr_word value;
    if (!wr_json_scan_enter(&scan))
        return wr_error_set(members->err, WR_INVALID, "an empty record");
    while (wr_json_scan_member(&scan, &name) && wr_json_scan_value(&scan, &value))
        for (int i = 0; i < MEMBERS; i++)
            if (name.len == strlen(names[i]) + 2 && memcmp(name.text + 1, names[i], name.len - 2) == 0) {
                if (members->at[i].text)
                    return wr_error_set(members->err, WR_INVALID, "%s is there twice", names[i]);
                members->at[i] = value;
            }
    for (int i = 0; i < MEMBERS; i++)
        if (!members->at[i].text)
            return (void)wr_error_set(members->err, WR_INVALID, "not an aggregate: it has no %s", names[i]), WR_INVALID;
    return WR_OK;
}

/* A string with its quotes; NUL-terminated in texts. */
static enum wr_result unquote(struct members *members, enum member member, struct wr_word quoted, struct wr_word *ret_text) {
    if (!quoted.text || quoted.text[0] != '"')
        return wrong(members, member, "no string");
    char *text = (char *)members->texts->data + members->texts->len;
    size_t len;
    if (wr_json_unescape(quoted.text + 1, quoted.len - 2, text, &len))
        return wrong(members, member, "half of a surrogate pair");
    if (memchr(text, '\0', len))
        return wrong(members, member, "a text with a NUL");
    text[len] = '\0';
    members->texts->len += len + 1;
    *ret_text = (struct wr_word){text, len};
    return WR_OK;
}

static enum wr_result read_key(struct members *members, char *key, struct wr_aggregate *aggregate) {
    struct wr_word measurement;
    struct wr_word field;
    struct wr_tag tags[WR_SERIES_TAGS];
    size_t n_tags = 0;
    WR_TRY(unquote(members, MEASUREMENT, members->at[MEASUREMENT], &measurement));
    WR_TRY(unquote(members, FIELD, members->at[FIELD], &field));
    const struct wr_word object = members->at[TAGS];
    if (object.text[0] != '{')
        return wrong(members, TAGS, "no object");
    struct wr_json_scan scan = wr_json_scan_begin(object.text, object.text + object.len, true);
    struct wr_word name;
    struct wr_word value;
    if (wr_json_scan_enter(&scan))
        while (wr_json_scan_member(&scan, &name) && wr_json_scan_value(&scan, &value)) {
            if (n_tags == WR_SERIES_TAGS)
                return wrong(members, TAGS, "more than 32 tags");
            WR_TRY(unquote(members, TAGS, name, &tags[n_tags].name));
            WR_TRY(unquote(members, TAGS, value, &tags[n_tags].value));
            n_tags++;
        }
    size_t len;
    WR_TRY(wr_series_key_make(measurement, field, tags, n_tags, key, &len, members->err));
    aggregate->key = key;
    aggregate->key_len = (uint16_t)len;
    return WR_OK;
}

static enum wr_result read_count(struct members *members, enum member member, uint64_t *ret_value) {
    const struct wr_word word = members->at[member];
    return wr_number_uint64(word.text, word.text + word.len, ret_value) ? WR_OK : wrong(members, member, "not a whole number");
}

static enum wr_result read_time(struct members *members, enum member member, int64_t *ret_ns) {
    const struct wr_word word = members->at[member];
    return wr_number_int64(word.text, word.text + word.len, ret_ns) ? WR_OK : wrong(members, member, "not in nanoseconds");
}

static bool is_whole(struct wr_word word) {
    for (size_t i = 0; i < word.len; i++)
        if (!(word.text[i] >= '0' && word.text[i] <= '9') && !(i == 0 && word.text[i] == '-' && word.len > 1 && word.text[1] != '0'))
            return false;
    return true;
}

/* The type that holds min, max, first and last as they stand. */
static enum wr_type type_of(const struct members *members) {
    if (members->at[LAST].text[0] == '"')
        return WR_TYPE_SYMBOL;
    if (members->at[LAST].text[0] == 't' || members->at[LAST].text[0] == 'f')
        return WR_TYPE_BOOL;
    bool ints = true;
    bool uints = true;
    for (enum member i = MIN; i <= LAST; i++) {
        const struct wr_word word = members->at[i];
        int64_t as_int;
        uint64_t as_uint;
        ints = ints && is_whole(word) && wr_number_int64(word.text, word.text + word.len, &as_int);
        uints = uints && is_whole(word) && wr_number_uint64(word.text, word.text + word.len, &as_uint);
    }
    return ints ? WR_TYPE_INT : uints ? WR_TYPE_UINT : WR_TYPE_FLOAT;
}

static enum wr_result read_value(struct members *members, enum member member, enum wr_type type, union wr_value *ret_value) {
    const struct wr_word word = members->at[member];
    const char *end = word.text + word.len;
    struct wr_number number;
    ret_value->u = 0;
    if (type == WR_TYPE_BOOL) {
        if (word.text[0] != 't' && word.text[0] != 'f')
            return wrong(members, member, "not true or false");
        ret_value->u = word.text[0] == 't';
        return WR_OK;
    }
    if (type == WR_TYPE_INT && wr_number_int64(word.text, end, &ret_value->i))
        return WR_OK;
    if (type == WR_TYPE_UINT && wr_number_uint64(word.text, end, &ret_value->u))
        return WR_OK;
    if (wr_number_read(word.text, end, &number) != end || !isfinite(number.value))
        return wrong(members, member, "not a number");
    ret_value->f = number.value;
    return WR_OK;
}

/* Whole sums exactly, up to 38 digits; others as doubles. */
static enum wr_result read_sum(struct members *members, enum wr_type type, struct wr_sum *ret_sum) {
    const struct wr_word word = members->at[SUM];
    const bool negative = word.text[0] == '-';
    *ret_sum = wr_sum_zero();
    if (type != WR_TYPE_FLOAT && is_whole(word) && word.len <= 38) {
        wr_u128 size = wr_u128_zero();
        for (size_t i = negative; i < word.len; i++) /* 10^38 is below 2^127 */
            size = wr_u128_add(wr_u128_multiply(size, 10), wr_u128_of((uint64_t)(word.text[i] - '0')));
        ret_sum->scaled = wr_i128_of_size(negative, size);
        return WR_OK;
    }
    union wr_value value;
    WR_TRY(read_value(members, SUM, WR_TYPE_FLOAT, &value));
    ret_sum->exact = false;
    ret_sum->decimals = 0;
    ret_sum->approx = value.f;
    ret_sum->carry = 0;
    return WR_OK;
}

static enum wr_result read_values(struct members *members, struct wr_aggregate *aggregate) {
    const enum wr_type type = type_of(members);
    aggregate->type = (uint8_t)type;
    aggregate->decimals = WR_DECIMALS_UNKNOWN;
    if (type == WR_TYPE_SYMBOL) {
        struct wr_word first;
        struct wr_word last;
        WR_TRY(unquote(members, FIRST, members->at[FIRST], &first));
        WR_TRY(unquote(members, LAST, members->at[LAST], &last));
        aggregate->first_text = first.text;
        aggregate->last_text = last.text;
        return WR_OK;
    }
    WR_TRY(read_value(members, MIN, type, &aggregate->min));
    WR_TRY(read_value(members, MAX, type, &aggregate->max));
    WR_TRY(read_value(members, FIRST, type, &aggregate->first));
    WR_TRY(read_value(members, LAST, type, &aggregate->last));
    return read_sum(members, type, &aggregate->sum);
}

enum wr_result wr_receive_aggregate_json(struct wr_word object, struct wr_buf *texts, char key[WR_SERIES_KEY_BYTES],
                                         struct wr_aggregate *ret_aggregate, struct wr_error *err) {
    struct members members = {.texts = texts, .err = err};
    struct wr_aggregate aggregate = {.type = WR_TYPE_NONE, .sum = wr_sum_zero()};
    if (object.text[0] != '{')
        return wr_error_set(err, WR_INVALID, "a record that is no object");
    wr_buf_clear(texts);
    if (wr_buf_reserve(texts, 2 * object.len + 16) != WR_OK) /* resolved, no text is longer than written with its quotes */
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a record of %zu bytes", object.len);
    WR_TRY(gather(&members, object));
    WR_TRY(read_key(&members, key, &aggregate));
    WR_TRY(read_time(&members, TIME_NS, &aggregate.start_ns));
    WR_TRY(read_time(&members, WINDOW_NS, &aggregate.window_ns));
    WR_TRY(read_count(&members, N, &aggregate.n));
    WR_TRY(read_count(&members, BAD, &aggregate.bad));
    if (aggregate.n > 0)
        WR_TRY(read_values(&members, &aggregate));
    *ret_aggregate = aggregate;
    return WR_OK;
}
