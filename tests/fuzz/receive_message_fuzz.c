/* A message of a broker, for weir-receive: topic, content type and payload of any bytes. What is taken can be rendered in every format, and the
 * JSON lines are JSON. The first line of the input is the topic, the second the content type, the rest the payload. */
#include <stdlib.h>
#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/receive/decode.h"
#include "agent/receive/ledger.h"
#include "agent/receive/postgres_private.h"
#include "agent/receive/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wr_buf lines[3];
static struct wr_buf rows;
static struct wr_render renders[3];
static struct wr_message_origin seen;

static void must(bool holds) {
    if (!holds)
        abort();
}

static enum wr_result begin(void *self, const struct wr_message_origin *origin, struct wr_error *err) {
    (void)self, (void)err;
    seen = *origin;
    for (int format = 0; format < 3; format++)
        wr_render_begin(&renders[format], (enum wr_render_format)format, &lines[format], &seen);
    return WR_OK;
}

static void check_json(size_t from) {
    const char *text = (const char *)lines[WR_RENDER_JSON].data + from;
    const char *end = (const char *)lines[WR_RENDER_JSON].data + lines[WR_RENDER_JSON].len;
    struct wr_json_scan scan = wr_json_scan_begin(text, end, true);
    struct wr_word object;
    must(wr_json_scan_check(&scan, &object) == WR_JSON_FOUND && object.text + object.len == end - 1 && end[-1] == '\n');
}

static enum wr_result aggregate(void *self, const struct wr_aggregate *record, struct wr_error *err) {
    (void)self, (void)err;
    must(wr_series_key_valid(record->key, record->key_len));
    const size_t from = lines[WR_RENDER_JSON].len;
    for (int format = 0; format < 3; format++)
        must(wr_render_aggregate(&renders[format], record) == WR_OK);
    check_json(from);
    return WR_OK;
}

static enum wr_result text(void *self, const char *json, size_t len, struct wr_error *err) {
    (void)self, (void)err;
    const size_t from = lines[WR_RENDER_JSON].len;
    for (int format = 0; format < 3; format++) {
        const enum wr_result result = wr_render_text(&renders[format], json, len);
        must(result == WR_OK || (format == WR_RENDER_LINE && result == WR_INVALID));
    }
    check_json(from);
    must(wr_postgres_put_alarm(&rows, &seen, json, len) == WR_OK && wr_postgres_put_gap(&rows, &seen, json, len) == WR_OK);
    struct wr_receive_ledger ledger;
    struct wr_error ignored;
    const enum wr_result read = wr_receive_ledger_read(json, len, NULL, NULL, &ledger, &ignored);
    must(read != WR_NO_MEMORY && (read != WR_INVALID || seen.kind != WR_MESSAGE_GAP)); /* decode looked at it before */
    if (read == WR_OK)
        must(wr_postgres_put_ledger(&rows, &seen, &ledger, json, len) == WR_OK);
    return WR_OK;
}

static void end(void *self, bool keep) {
    (void)self, (void)keep;
}

static struct wr_word take_line(const char **at, const char *stop) {
    const char *newline = *at < stop ? memchr(*at, '\n', (size_t)(stop - *at)) : NULL;
    const char *line = *at;
    *at = newline ? newline + 1 : stop;
    return (struct wr_word){line, (size_t)((newline ? newline : stop) - line)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct wr_receive_decoder decoder;
    static const struct wr_receive_sink_ops ops = {.begin = begin, .aggregate = aggregate, .text = text, .end = end};
    const struct wr_receive_sink sink = {&ops, NULL};
    struct wr_error err;
    if (!decoder.segments) {
        must(wr_receive_decoder_init(&decoder, &err) == WR_OK);
        for (int i = 0; i < 3; i++)
            wr_buf_init(&lines[i], 0);
        wr_buf_init(&rows, 0);
    }
    for (int i = 0; i < 3; i++)
        wr_buf_clear(&lines[i]);
    wr_buf_clear(&rows);
    char *copy = malloc(size + 1); /* so that a step behind the end is seen */
    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    const char *at = copy;
    struct wr_subscriber_message message = {.arrival = {.wall_ns = 1}};
    struct wr_message_origin origin;
    message.topic = take_line(&at, copy + size);
    message.content_type = take_line(&at, copy + size);
    message.payload = (struct wr_word){at, (size_t)(copy + size - at)};
    (void)!wr_receive_decode(&decoder, &message, "weir/1", &sink, &origin, &err);
    free(copy);
    return 0;
}
