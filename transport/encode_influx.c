#include "transport/encode_influx.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/quantity.h"
#include "core/series.h"
#include "core/utf8.h"
#include "transport/statistics.h"

#define OWN_TAGS 4
#define SHIFT_END 1000000 /* below a millisecond, which is what receivers round to */

/* ---- words ---- */

static enum wr_result put(struct wr_buf *into, const char *text, size_t len) {
    return wr_buf_append(into, text, len);
}

static bool is_control(char c) {
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/* What stands in place of the character at text[0..n): an escape, a replacement, or nothing else (0). */
static size_t instead_of(const char *text, size_t len, const char *escaped, char into[4], size_t *ret_n) {
    size_t n = wr_utf8_length(text, len);
    *ret_n = n > 0 ? n : 1;
    if (n == 0) {
        memcpy(into, "\xEF\xBF\xBD", 3); /* U+FFFD */
        return 3;
    }
    if (n > 1)
        return 0;
    char c = text[0];
    if (is_control(c)) /* in names a blank, which is itself escaped */
        c = ' ';
    bool special = strchr(escaped, c) != NULL;
    bool before_special = c == '\\' && len > 1 && (strchr("\\,= ", text[1]) != NULL || is_control(text[1]));
    if (!special && !before_special)
        return 0;
    into[0] = '\\';
    into[1] = c;
    return 2;
}

/* A name or tag value: without backslashes at its end, and never empty. */
static enum wr_result put_name(struct wr_buf *into, const char *text, const char *escaped) {
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\\')
        len--;
    if (len == 0)
        return put(into, "_", 1);
    size_t clean = 0;
    for (size_t at = 0, n; at < len; at += n) {
        char other[4];
        size_t other_len = instead_of(text + at, len - at, escaped, other, &n);
        if (other_len == 0)
            continue;
        WR_TRY(put(into, text + clean, at - clean));
        WR_TRY(put(into, other, other_len));
        clean = at + n;
    }
    return put(into, text + clean, len - clean);
}

/* A text value, in quotes: line breaks are allowed by the protocol and by hardly any reader, so they become blanks too. */
static enum wr_result put_text(struct wr_buf *into, const char *text) {
    size_t len = strlen(text);
    WR_TRY(put(into, "\"", 1));
    for (size_t at = 0, n; at < len; at += n) {
        n = wr_utf8_length(text + at, len - at);
        char c = text[at];
        if (n == 0)
            WR_TRY(put(into, "\xEF\xBF\xBD", 3));
        else if (n == 1 && (c == '"' || c == '\\'))
            WR_TRY(put(into, c == '"' ? "\\\"" : "\\\\", 2));
        else if (n == 1 && (c == '\n' || c == '\r'))
            WR_TRY(put(into, " ", 1));
        else
            WR_TRY(put(into, text + at, n));
        n += n == 0;
    }
    return put(into, "\"", 1);
}

/* ---- tags ---- */

struct tag {
    const char *name;
    const char *value;
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct tag *)a)->name, ((const struct tag *)b)->name);
}

/* Ours, but for those that say nothing, by name. */
static size_t own_tags(const struct wr_aggregate *aggregate, const char *site, const char *node, enum wr_time_quality quality,
                       char window[32], struct tag tags[OWN_TAGS]) {
    size_t n = 0;
    tags[n++] = (struct tag){"weir_node", node};
    if (strcmp(site, "-") != 0 && site[0] != '\0')
        tags[n++] = (struct tag){"weir_site", site};
    if (aggregate->window_ns > 0)
        tags[n++] = (struct tag){"weir_window", wr_quantity_format_duration(window, 32, aggregate->window_ns)};
    if (quality == WR_TIME_UNTRUSTED) /* what is corrected is of the same series as what follows it */
        tags[n++] = (struct tag){"weir_time_quality", wr_time_quality_name(quality)};
    for (size_t i = 0; i < n; i++) { /* the short name, unless the series has it */
        if (wr_series_tag(aggregate->key, aggregate->key_len, tags[i].name + strlen("weir_")) == NULL)
            tags[i].name += strlen("weir_");
    }
    qsort(tags, n, sizeof tags[0], by_name);
    return n;
}

static enum wr_result put_tag(struct wr_buf *into, const struct tag *tag) {
    WR_TRY(put(into, ",", 1));
    WR_TRY(put_name(into, tag->name, ",= "));
    WR_TRY(put(into, "=", 1));
    return put_name(into, tag->value, ",= ");
}

/* In the order of their names, as readers like it best: the series' are sorted already. */
static enum wr_result put_tags(struct wr_buf *into, const struct wr_aggregate *aggregate, const char *site, const char *node,
                               enum wr_time_quality quality) {
    char window[32];
    struct tag own[OWN_TAGS];
    size_t n = own_tags(aggregate, site, node, quality, window, own);
    bool written[OWN_TAGS] = {false};
    const char *cursor = NULL;
    struct tag tag;
    bool more;
    do {
        more = wr_series_next_tag(aggregate->key, aggregate->key_len, &cursor, &tag.name, &tag.value);
        for (size_t i = 0; i < n; i++) {
            if (written[i] || (more && strcmp(own[i].name, tag.name) > 0))
                continue;
            WR_TRY(put_tag(into, &own[i]));
            written[i] = true;
        }
        if (more)
            WR_TRY(put_tag(into, &tag));
    } while (more);
    return WR_OK;
}

/* ---- fields ---- */

static enum wr_result put_value(struct wr_buf *into, const struct wr_statistic *statistic) {
    char text[32];
    switch (statistic->type) {
    case WR_TYPE_FLOAT:
        return put(into, text, wr_json_format_double(text, statistic->value.f));
    case WR_TYPE_INT:
        return wr_buf_printf(into, "%" PRId64 "i", statistic->value.i);
    case WR_TYPE_UINT:
        return wr_buf_printf(into, "%" PRIu64 "u", statistic->value.u);
    case WR_TYPE_BOOL:
        return wr_buf_text(into, statistic->value.u != 0 ? "true" : "false");
    case WR_TYPE_SYMBOL:
        return put_text(into, statistic->text);
    case WR_TYPE_NONE:
        break;
    }
    return WR_INVALID;
}

static enum wr_result put_fields(struct wr_buf *into, const struct wr_aggregate *aggregate) {
    struct wr_statistic list[WR_STATISTICS_MAX];
    size_t n = wr_statistics_of(aggregate, list);
    const char *field = wr_series_field(aggregate->key);
    bool plain = strcmp(field, "value") == 0;
    for (size_t i = 0; i < n; i++) {
        WR_TRY(put(into, i == 0 ? " " : ",", 1));
        if (!plain) {
            WR_TRY(put_name(into, field, ",= "));
            WR_TRY(put(into, "_", 1));
        }
        WR_TRY(wr_buf_text(into, list[i].name));
        WR_TRY(put(into, "=", 1));
        WR_TRY(put_value(into, &list[i]));
    }
    return WR_OK;
}

static enum wr_result put_line(struct wr_buf *into, const char *site, const char *node, const struct wr_aggregate *aggregate,
                               enum wr_time_quality quality, int64_t shift_ns) {
    const char *measurement = wr_series_measurement(aggregate->key);
    if (measurement[0] == '#') /* would be a comment */
        WR_TRY(put(into, "\\", 1));
    WR_TRY(put_name(into, measurement, ", "));
    WR_TRY(put_tags(into, aggregate, site, node, quality));
    WR_TRY(put_fields(into, aggregate));
    return wr_buf_printf(into, " %" PRId64 "\n", wr_clock_add_ns(aggregate->start_ns, shift_ns));
}

/* All of it or nothing. */
enum wr_result wr_encode_influx_line(struct wr_buf *into, const char *site, const char *node, const struct wr_aggregate *aggregate,
                                     enum wr_time_quality quality, int64_t shift_ns) {
    size_t before = into->len;
    enum wr_result result = put_line(into, site, node, aggregate, quality, shift_ns);
    if (result != WR_OK && into->data != NULL) {
        into->len = before;
        into->data[before] = '\0';
    }
    return result;
}

/* ---- a segment ---- */

/* The finalizer of SplitMix64: neighbouring segments get places far apart. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

void wr_encode_influx_begin(struct wr_encode_influx *encode, struct wr_buf *into, const char *site, const char *node,
                            const struct wr_segment *segment) {
    *encode = (struct wr_encode_influx){.into = into,
                                        .site = site,
                                        .node = node,
                                        .segment = mix(segment->epoch + mix((uint64_t)segment->seq)),
                                        .time_quality = segment->time_quality,
                                        .announced = segment->n,
                                        .failed = WR_OK};
}

static bool is_second(const struct wr_encode_influx *encode, const struct wr_aggregate *aggregate) {
    if ((aggregate->flags & (WR_AGGREGATE_PARTIAL | WR_AGGREGATE_LATE)) != 0)
        return true;
    return encode->key != NULL && encode->key_len == aggregate->key_len && encode->start_ns == aggregate->start_ns &&
           encode->window_ns == aggregate->window_ns && memcmp(encode->key, aggregate->key, aggregate->key_len) == 0;
}

void wr_encode_influx_aggregate(struct wr_encode_influx *encode, const struct wr_aggregate *aggregate) {
    int64_t shift_ns = is_second(encode, aggregate) ? 1 + (int64_t)((encode->segment + encode->written) % (SHIFT_END - 1)) : 0;
    if (encode->failed == WR_OK)
        encode->failed = wr_encode_influx_line(encode->into, encode->site, encode->node, aggregate,
                                               (enum wr_time_quality)encode->time_quality, shift_ns);
    encode->written++;
    encode->key = aggregate->key;
    encode->key_len = aggregate->key_len;
    encode->start_ns = aggregate->start_ns;
    encode->window_ns = aggregate->window_ns;
}

enum wr_result wr_encode_influx_end(struct wr_encode_influx *encode, struct wr_error *err) {
    if (encode->failed != WR_OK)
        return wr_error_set(err, encode->failed, "encoding a segment as line protocol: %s", wr_result_name(encode->failed));
    if (encode->written != encode->announced)
        return wr_error_set(err, WR_INVALID, "the segment announces %" PRIu32 " records and holds %" PRIu32, encode->announced,
                            encode->written);
    return WR_OK;
}
