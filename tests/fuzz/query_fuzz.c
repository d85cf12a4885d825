/* Any bytes as a query over a small history: it ends, changes nothing and reads nothing else. The first byte chooses what the history says. */
#include <stdlib.h>
#include <string.h>

#include "store/codec.h"
#include "store/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wr_segment segment;

static void make_segment(void) {
    struct wr_encoder *encoder;
    struct wr_codec_header header = {.kind = WR_SEGMENT_AGGREGATES, .lane = WR_LANE_WINDOWS, .epoch = 1, .seq = 1};
    static const struct wr_aggregate records[] = {
        {.key = "t\0value\0room\0A1", .key_len = 16, .type = WR_TYPE_INT, .n = 1, .window_ns = 1},
        {.key = "t\0value\0room\0A2", .key_len = 16, .type = WR_TYPE_FLOAT, .bad = 1, .window_ns = 1}};
    const uint8_t *body;
    size_t len;
    struct wr_aggregate copy[2];
    memcpy(copy, records, sizeof copy);
    copy[0].sum = copy[1].sum = wr_sum_zero();
    if (wr_encoder_new(&encoder) != WR_OK || wr_encode_aggregates(encoder, &header, copy, 2, NULL, &body, &len) != WR_OK)
        abort();
    segment = (struct wr_segment){.seq = 1, .lane = header.lane, .kind = header.kind, .n = 2, .body_len = len, .body = malloc(len)};
    if (!segment.body)
        abort();
    memcpy(segment.body, body, len);
    wr_encoder_free(encoder);
}

static enum wr_result heads(void *user, struct wr_history_walk *walk, struct wr_segment_head *into, uint32_t *ret_n, struct wr_error *err) {
    const uint8_t *damage = user;
    (void)err;
    walk->is_over = true;
    *ret_n = walk->lane == WR_LANE_WINDOWS;
    if (*ret_n)
        into[0] = (struct wr_segment_head){.seq = 1,
                                           .n = 2,
                                           .lane = WR_LANE_WINDOWS,
                                           .kind = WR_SEGMENT_AGGREGATES,
                                           .correction = {.to_ns = *damage == 3, .move_ns = *damage == 3 ? INT64_MAX : 0}};
    return WR_OK;
}

static enum wr_result body(void *user, const struct wr_segment_head *head, uint32_t n, struct wr_segment *ret_segment,
                           struct wr_error *err) {
    const uint8_t *damage = user;
    (void)head, (void)n;
    if (*damage == 1)
        return wr_error_set(err, WR_NOT_FOUND, "gone");
    *ret_segment = segment;
    ret_segment->body = malloc(segment.body_len);
    if (!ret_segment->body)
        return WR_NO_MEMORY;
    memcpy(ret_segment->body, segment.body, segment.body_len);
    ret_segment->body[segment.body_len - 1] ^= *damage == 2;
    return WR_OK;
}

static enum wr_result on_columns(void *user, const char *const *names, unsigned n, struct wr_error *err) {
    (void)user, (void)err;
    return n > 0 && names[n - 1] ? WR_OK : WR_IO;
}

static enum wr_result on_row(void *user, const struct wr_query_value *values, unsigned n, struct wr_error *err) {
    volatile size_t *sum = user;
    (void)err;
    for (unsigned i = 0; i < n; i++)
        if (values[i].kind == WR_QUERY_TEXT)
            *sum += strlen(values[i].text);
    return WR_OK;
}

static bool stop(void *user) {
    return --*(int *)user < 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 4096)
        return 0;
    if (!segment.body)
        make_segment();
    char *sql = malloc(size);
    if (!sql)
        abort();
    memcpy(sql, data + 1, size - 1);
    sql[size - 1] = '\0';
    int looks = 300;
    uint8_t damage = data[0];
    size_t sum = 0;
    const struct wr_query_options options = {.history = {.user = &damage, .heads = heads, .body = body},
                                             .rows_max = 50,
                                             .memory_bytes = 4 << 20,
                                             .stop = stop,
                                             .stop_user = &looks};
    const struct wr_query_sink sink = {.user = &sum, .columns = on_columns, .row = on_row};
    struct wr_query_report report;
    struct wr_error err = {0};
    const enum wr_result result = wr_query_run(sql, &options, &sink, &report, &err);
    if (result == WR_IO || (result != WR_OK && err.text[0] == '\0') || report.error_at > (int)size || report.rows > 50)
        abort();
    free(sql);
    return 0;
}
