#include "transport/encode_senml.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/series.h"
#include "transport/statistics.h"

#define ABSOLUTE_S (INT64_C(1) << 28) /* lower times are relative to now */
#define NAME_BYTES (3 * WR_SERIES_KEY_BYTES + 256)

/* Labels of RFC 8428, table 4. */
enum label { LABEL_BASE_NAME = -2, LABEL_BASE_TIME = -3, LABEL_NAME = 0, LABEL_UNIT = 1, LABEL_VALUE = 2, LABEL_TEXT = 3, LABEL_BOOL = 4 };

static const char *json_label(enum label label) {
    switch (label) {
    case LABEL_BASE_NAME:
        return "bn";
    case LABEL_BASE_TIME:
        return "bt";
    case LABEL_NAME:
        return "n";
    case LABEL_UNIT:
        return "u";
    case LABEL_VALUE:
        return "v";
    case LABEL_TEXT:
        return "vs";
    case LABEL_BOOL:
        return "vb";
    }
    return "?";
}

/* ---- members of a record, in either form ---- */

static void put_text(struct wr_encode_senml *encode, enum label label, const char *text) {
    if (!encode->binary) {
        wr_json_string(&encode->json, json_label(label), text);
        return;
    }
    wr_cbor_int(&encode->cbor, label);
    wr_cbor_text(&encode->cbor, text, strlen(text));
}

static void put_int(struct wr_encode_senml *encode, enum label label, int64_t value) {
    if (!encode->binary) {
        wr_json_int(&encode->json, json_label(label), value);
        return;
    }
    wr_cbor_int(&encode->cbor, label);
    wr_cbor_int(&encode->cbor, value);
}

/* Nanoseconds as seconds: a whole number where it is one. */
static void put_seconds(struct wr_encode_senml *encode, enum label label, int64_t ns) {
    int64_t fraction_ns = ns % WR_NS_PER_S;
    if (fraction_ns == 0) {
        put_int(encode, label, ns / WR_NS_PER_S);
    } else if (encode->binary) {
        wr_cbor_int(&encode->cbor, label);
        wr_cbor_double(&encode->cbor, wr_decimal_to_double(wr_i128_of(ns), 9));
    } else {
        char text[32];
        int len = snprintf(text, sizeof text, "%" PRId64 ".%09" PRId64, ns / WR_NS_PER_S, fraction_ns);
        while (text[len - 1] == '0')
            len--;
        wr_json_raw(&encode->json, json_label(label), text, (size_t)len);
    }
}

static void put_statistic(struct wr_encode_senml *encode, const struct wr_statistic *statistic) {
    switch (statistic->type) {
    case WR_TYPE_FLOAT:
        if (!encode->binary) {
            wr_json_double(&encode->json, "v", statistic->value.f);
            return;
        }
        wr_cbor_int(&encode->cbor, LABEL_VALUE);
        wr_cbor_double(&encode->cbor, statistic->value.f);
        return;
    case WR_TYPE_INT:
        put_int(encode, LABEL_VALUE, statistic->value.i);
        return;
    case WR_TYPE_UINT:
        if (!encode->binary) {
            wr_json_uint(&encode->json, "v", statistic->value.u);
            return;
        }
        wr_cbor_int(&encode->cbor, LABEL_VALUE);
        wr_cbor_uint(&encode->cbor, statistic->value.u);
        return;
    case WR_TYPE_BOOL:
        if (!encode->binary) {
            wr_json_bool(&encode->json, "vb", statistic->value.u != 0);
            return;
        }
        wr_cbor_int(&encode->cbor, LABEL_BOOL);
        wr_cbor_bool(&encode->cbor, statistic->value.u != 0);
        return;
    case WR_TYPE_SYMBOL:
        put_text(encode, LABEL_TEXT, statistic->text);
        return;
    case WR_TYPE_NONE:
        break;
    }
}

/* ---- names ---- */

static enum wr_result put_word(struct wr_buf *name, const char *word) {
    static const char hex[] = "0123456789ABCDEF";
    for (const char *p = word; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        const char escaped[3] = {':', hex[c >> 4], hex[c & 15]};
        WR_TRY(wr_buf_append(name, plain ? p : escaped, plain ? 1 : sizeof escaped));
    }
    return wr_buf_append(name, "/", 1);
}

static enum wr_result make_name(struct wr_buf *name, const char *node, const char *key, size_t key_len) {
    wr_buf_clear(name);
    WR_TRY(wr_buf_text(name, "weir:"));
    WR_TRY(put_word(name, node));
    WR_TRY(put_word(name, wr_series_measurement(key)));
    WR_TRY(put_word(name, wr_series_field(key)));
    const char *cursor = NULL, *tag, *value;
    while (wr_series_next_tag(key, key_len, &cursor, &tag, &value)) {
        WR_TRY(put_word(name, tag));
        WR_TRY(put_word(name, value));
    }
    return WR_OK;
}

/* ---- records ---- */

/* What is new since the record before. */
struct base {
    bool name;
    bool time;
};

static void open_record(struct wr_encode_senml *encode, struct base *base, bool has_unit) {
    encode->records++;
    if (!encode->binary)
        wr_json_object(&encode->json, NULL);
    else
        wr_cbor_map(&encode->cbor, 2U + base->name + base->time + has_unit);
    if (base->name)
        put_text(encode, LABEL_BASE_NAME, wr_buf_str(&encode->name));
    if (base->time)
        put_seconds(encode, LABEL_BASE_TIME, encode->base_ns);
    *base = (struct base){0};
}

static void close_record(struct wr_encode_senml *encode) {
    if (!encode->binary)
        wr_json_object_end(&encode->json);
}

/* A name of another series, or a start of another window. */
static struct base take_base(struct wr_encode_senml *encode, const struct wr_aggregate *aggregate) {
    struct base base = {0};
    if (encode->key == NULL || encode->key_len != aggregate->key_len || memcmp(encode->key, aggregate->key, aggregate->key_len) != 0) {
        base.name = true;
        encode->failed = make_name(&encode->name, encode->node, aggregate->key, aggregate->key_len);
        encode->key = aggregate->key;
        encode->key_len = aggregate->key_len;
    }
    int64_t start_ns = aggregate->start_ns >= ABSOLUTE_S * WR_NS_PER_S ? aggregate->start_ns : 0;
    base.time = start_ns != encode->base_ns;
    encode->base_ns = start_ns;
    return base;
}

void wr_encode_senml_begin(struct wr_encode_senml *encode, bool binary, struct wr_buf *into, const char *node,
                           const struct wr_segment *segment) {
    *encode = (struct wr_encode_senml){.binary = binary, .node = node, .announced = segment->n, .failed = WR_OK};
    wr_buf_init(&encode->name, NAME_BYTES);
    wr_json_begin(&encode->json, into);
    wr_cbor_begin(&encode->cbor, into);
    if (binary)
        wr_cbor_array(&encode->cbor);
    else
        wr_json_array(&encode->json, NULL);
}

void wr_encode_senml_aggregate(struct wr_encode_senml *encode, const struct wr_aggregate *aggregate) {
    encode->written++;
    if (encode->failed != WR_OK)
        return;
    struct base base = take_base(encode, aggregate);
    if (encode->failed != WR_OK)
        return;
    struct wr_statistic list[WR_STATISTICS_MAX];
    size_t n = wr_statistics_of(aggregate, list);
    for (size_t i = 0; i < n; i++) {
        bool count = strcmp(list[i].name, "n") == 0 || strcmp(list[i].name, "bad") == 0;
        open_record(encode, &base, count);
        put_text(encode, LABEL_NAME, list[i].name);
        if (count)
            put_text(encode, LABEL_UNIT, "count");
        put_statistic(encode, &list[i]);
        close_record(encode);
    }
    if (aggregate->window_ns > 0) {
        open_record(encode, &base, true);
        put_text(encode, LABEL_NAME, "window");
        put_text(encode, LABEL_UNIT, "s");
        put_seconds(encode, LABEL_VALUE, aggregate->window_ns);
        close_record(encode);
    }
}

enum wr_result wr_encode_senml_end(struct wr_encode_senml *encode, struct wr_error *err) {
    wr_buf_fini(&encode->name);
    if (encode->binary)
        wr_cbor_array_end(&encode->cbor, encode->records);
    else
        wr_json_array_end(&encode->json);
    enum wr_result result = encode->failed;
    if (result == WR_OK)
        result = encode->binary ? wr_cbor_end(&encode->cbor) : wr_json_end(&encode->json);
    if (result != WR_OK)
        return wr_error_set(err, result, "encoding a segment as SenML: %s", wr_result_name(result));
    if (encode->written != encode->announced)
        return wr_error_set(err, WR_INVALID, "the segment announces %" PRIu32 " records and holds %" PRIu32, encode->announced,
                            encode->written);
    return WR_OK;
}
