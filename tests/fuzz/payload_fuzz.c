/* Any bytes as aggregates, in every format of the uplink: no crash, the number of records is the segment's, and what is written can be read: line
 * protocol by our own parser, each line one record. A record is a byte for type and flags, 8 for its times and values, then its words, a NUL after each. */
#include <stdlib.h>
#include <string.h>

#include "agent/codec/line.h"
#include "core/series.h"
#include "transport/payload.h"

#define RECORDS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

/* Takes one aggregate from *data. False: there is none. */
static int take(const uint8_t **data, const uint8_t *end, char *key, struct wr_aggregate *aggregate) {
    if (end - *data < 9)
        return 0;
    const uint8_t *p = *data;
    union wr_value value;
    memcpy(&value, p + 1, sizeof value);
    *aggregate = (struct wr_aggregate){.type = (uint8_t)(1 + p[0] % 5),
                                       .flags = p[0] >> 4,
                                       .start_ns = (int64_t)(value.u >> 1),
                                       .window_ns = p[1] & 1 ? (int64_t)(value.u % 100000000000) : 60000000000,
                                       .n = p[1] % 3,
                                       .bad = p[2],
                                       .sum = wr_sum_zero()};
    struct wr_word words[8];
    size_t n = 0;
    const uint8_t *word = p + 9;
    while (word < end && n < 8) {
        const uint8_t *behind = memchr(word, 0, (size_t)(end - word));
        words[n++] = (struct wr_word){(const char *)word, behind ? (size_t)(behind - word) : (size_t)(end - word)};
        word = behind ? behind + 1 : end;
    }
    *data = word;
    struct wr_tag tags[3];
    size_t n_tags = n < 4 ? 0 : (n - 2) / 2;
    for (size_t i = 0; i < n_tags; i++)
        tags[i] = (struct wr_tag){words[2 + 2 * i], words[3 + 2 * i]};
    size_t key_len;
    if (n < 2 || wr_series_key_make(words[0], words[1], tags, n_tags, key, &key_len, NULL) != WR_OK)
        return 0;
    aggregate->key = key;
    aggregate->key_len = (uint16_t)key_len;
    if (aggregate->type == WR_TYPE_SYMBOL) {
        aggregate->first_text = key;
        aggregate->last_text = wr_series_field(key);
        return 1;
    }
    if (aggregate->type == WR_TYPE_BOOL)
        value.u &= 1;
    aggregate->min = aggregate->max = aggregate->first = aggregate->last = value;
    wr_sum_add(&aggregate->sum, (enum wr_type)aggregate->type, value, 3);
    return 1;
}

static enum wr_result count(void *user, const struct wr_record *taken) {
    must(taken->n_fields > 0);
    ++*(uint32_t *)user;
    return WR_OK;
}

static void nothing_is_refused(void *user, const struct wr_refusal *refusal) {
    (void)user;
    (void)refusal;
    abort();
}

static void read_lines(const struct wr_buf *text, uint32_t records) {
    static struct wr_line_parser parser;
    uint32_t seen = 0;
    const struct wr_sink sink = {.record = count, .refused = nothing_is_refused, .user = &seen};
    uint64_t line = 0;
    size_t consumed;
    wr_line_parser_init(&parser, WR_PRECISION_NS, 1 << 20);
    char *bytes = malloc(text->len + 1);
    must(bytes != NULL);
    memcpy(bytes, text->data, text->len);
    must(wr_line_feed(&parser, bytes, text->len, 1, &line, &sink, &consumed) == WR_OK);
    must(seen == records && consumed == text->len);
    free(bytes);
    wr_line_parser_fini(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char keys[RECORDS][WR_SERIES_KEY_BYTES];
    struct wr_aggregate aggregates[RECORDS];
    const uint8_t *end = data + size;
    struct wr_segment segment = {.epoch = size, .seq = 1, .lane = WR_LANE_WINDOWS, .kind = WR_SEGMENT_AGGREGATES};
    while (segment.n < RECORDS && take(&data, end, keys[segment.n], &aggregates[segment.n]))
        segment.n++;
    struct wr_place place;
    must(wr_place_init(&place, "weir/1", "riga", "gw-7", NULL) == WR_OK);
    for (int format = WR_PAYLOAD_JSON; segment.n > 0 && format < WR_PAYLOAD_FORMATS; format++) {
        struct wr_buf into;
        struct wr_payload payload;
        wr_buf_init(&into, WR_PAYLOAD_BYTES_MAX);
        wr_payload_begin(&payload, (enum wr_payload_format)format, &into, &place, &segment);
        for (uint32_t i = 0; i < segment.n; i++)
            wr_payload_aggregate(&payload, &aggregates[i]);
        must(wr_payload_end(&payload, NULL) == WR_OK && into.len > 0);
        if (format == WR_PAYLOAD_INFLUX)
            read_lines(&into, segment.n);
        wr_buf_fini(&into);
    }
    return 0;
}
