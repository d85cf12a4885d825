/* Rows in the binary form of COPY: a count of columns, then for each its length and bytes, all big endian; length -1 is null.
 * Source: PostgreSQL 15 documentation, COPY, "Binary Format"; timestamptz is microseconds since 2000-01-01, jsonb a byte 1 and its text. */
#include <endian.h>
#include <string.h>

#include "agent/receive/members.h"
#include "agent/receive/postgres_private.h"

#define EPOCH_2000_US INT64_C(946684800000000)
#define AGGREGATE_BYTES_MAX 160 /* without texts */

const uint8_t wr_postgres_copy_head[19] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 0};
const uint8_t wr_postgres_copy_tail[2] = {0xff, 0xff};

static uint8_t *put16(uint8_t *p, uint16_t value) {
    value = htobe16(value);
    memcpy(p, &value, sizeof value);
    return p + sizeof value;
}

static uint8_t *put32(uint8_t *p, uint32_t value) {
    value = htobe32(value);
    memcpy(p, &value, sizeof value);
    return p + sizeof value;
}

static uint8_t *put_int64(uint8_t *p, int64_t value) {
    const uint64_t big = htobe64((uint64_t)value);
    p = put32(p, sizeof big);
    memcpy(p, &big, sizeof big);
    return p + sizeof big;
}

static uint8_t *put_double(uint8_t *p, double value) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_int64(p, bits);
}

static uint8_t *put_null(uint8_t *p) {
    return put32(p, UINT32_MAX);
}

/* Towards the past, so that order is kept. */
static uint8_t *put_time(uint8_t *p, int64_t ns) {
    return put_int64(p, ns / 1000 - (ns % 1000 < 0) - EPOCH_2000_US);
}

/* Text as a column; what is no UTF-8 is replaced. */
static enum wr_result put_text(struct wr_buf *into, const char *text, size_t len, const char *before) {
    static const uint8_t room[4];
    const size_t at = into->len;
    WR_TRY(wr_buf_append(into, room, sizeof room));
    WR_TRY(wr_buf_text(into, before));
    WR_TRY(wr_members_utf8(into, text, len));
    (void)put32(into->data + at, (uint32_t)(into->len - at - sizeof room));
    return WR_OK;
}

/* Null: trusted. */
static enum wr_result put_quality(struct wr_buf *into, enum wr_time_quality quality) {
    const char *name = wr_time_quality_name(quality);
    if (quality != WR_TIME_TRUSTED)
        return put_text(into, name, strlen(name), "");
    uint8_t null[4];
    return wr_buf_append(into, null, (size_t)(put_null(null) - null));
}

enum wr_result wr_postgres_put_aggregate(struct wr_buf *into, const struct wr_postgres_row *row, int32_t series, const char *texts) {
    WR_TRY(wr_buf_reserve(into, AGGREGATE_BYTES_MAX));
    uint8_t *p = into->data + into->len;
    p = put16(p, 13);
    p = put_time(p, row->start_ns);
    p = put32(p, sizeof series);
    p = put32(p, (uint32_t)series);
    p = put_int64(p, row->window_ns);
    p = put_int64(p, row->n);
    p = put_int64(p, row->bad);
    for (int i = 0; i < 5; i++)
        p = row->has_values ? put_double(p, row->values[i]) : put_null(p);
    if (row->texts[0] == WR_POSTGRES_NO_TEXT) {
        p = put_null(p);
        p = put_null(p);
    }
    into->len = (size_t)(p - into->data);
    for (int i = 0; i < 2 && row->texts[0] != WR_POSTGRES_NO_TEXT; i++) {
        const char *text = texts + row->texts[i];
        WR_TRY(put_text(into, text, strlen(text), ""));
    }
    return put_quality(into, (enum wr_time_quality)row->time_quality);
}

/* -- alarms and gaps ---------------------------------------------------------------------------------------------------------------------------- */

/* A fixed-size column by one of the functions above. */
static enum wr_result put_fixed(struct wr_buf *into, const uint8_t *bytes, const uint8_t *end) {
    return wr_buf_append(into, bytes, (size_t)(end - bytes));
}

static enum wr_result put_count(struct wr_buf *into, uint16_t columns) {
    uint8_t bytes[2];
    return put_fixed(into, bytes, put16(bytes, columns));
}

static enum wr_result put_time_column(struct wr_buf *into, int64_t ns) {
    uint8_t bytes[12];
    return put_fixed(into, bytes, put_time(bytes, ns));
}

static enum wr_result put_null_column(struct wr_buf *into) {
    uint8_t bytes[4];
    return put_fixed(into, bytes, put_null(bytes));
}

static enum wr_result put_text_member(struct wr_buf *into, const char *json, size_t len, const char *name) {
    struct wr_word value;
    struct wr_buf text;
    if (!wr_members_find(json, len, name, &value))
        return put_null_column(into);
    wr_buf_init(&text, 0);
    enum wr_result result = wr_members_text(&text, value);
    if (result == WR_OK)
        result = put_text(into, wr_buf_str(&text), text.len, "");
    wr_buf_fini(&text);
    return result;
}

static enum wr_result put_number_member(struct wr_buf *into, const char *json, size_t len, const char *name) {
    uint8_t bytes[12];
    double value;
    if (!wr_members_number(json, len, name, &value))
        return put_null_column(into);
    return put_fixed(into, bytes, put_double(bytes, value));
}

static enum wr_result put_text_members(struct wr_buf *into, const char *json, size_t len, const char *const *names) {
    for (; *names; names++)
        WR_TRY(put_text_member(into, json, len, *names));
    return WR_OK;
}

enum wr_result wr_postgres_put_alarm(struct wr_buf *into, const struct wr_message_origin *origin, const char *json, size_t len) {
    static const char *const names[] = {"alarm", "rule", "instance", "id", NULL};
    static const char *const states[] = {"severity", "cause", "from", "to", NULL};
    static const char *const texts[] = {"unit", "message", NULL};
    uint8_t bytes[12];
    WR_TRY(put_count(into, 18));
    WR_TRY(put_time_column(into, wr_members_int(json, len, "time_ns", origin->arrival_ns)));
    WR_TRY(put_text(into, origin->site, strlen(origin->site), ""));
    WR_TRY(put_text(into, origin->key.node, strlen(origin->key.node), ""));
    WR_TRY(put_text_members(into, json, len, names));
    WR_TRY(put_fixed(into, bytes, put_int64(bytes, wr_members_int(json, len, "transition", 0))));
    WR_TRY(put_text_members(into, json, len, states));
    WR_TRY(put_number_member(into, json, len, "value"));
    WR_TRY(put_number_member(into, json, len, "limit"));
    WR_TRY(put_text_members(into, json, len, texts));
    WR_TRY(put_quality(into, origin->time_quality));
    return put_text(into, json, len, "\x01");
}

/* The times are the record's own, where it has them; several share a segment. */
enum wr_result wr_postgres_put_gap(struct wr_buf *into, const struct wr_message_origin *origin, const char *json, size_t len) {
    const int64_t from_ns = origin->t0_ns != 0 ? origin->t0_ns : origin->arrival_ns;
    const int64_t to_ns = origin->t1_ns != 0 ? origin->t1_ns : origin->arrival_ns;
    WR_TRY(put_count(into, 7));
    WR_TRY(put_time_column(into, wr_members_int(json, len, "from_ns", from_ns)));
    WR_TRY(put_time_column(into, wr_members_int(json, len, "to_ns", to_ns)));
    WR_TRY(put_text(into, origin->site, strlen(origin->site), ""));
    WR_TRY(put_text(into, origin->key.node, strlen(origin->key.node), ""));
    WR_TRY(put_text_member(into, json, len, "reason"));
    WR_TRY(put_quality(into, origin->time_quality));
    return put_text(into, json, len, "\x01");
}

static enum wr_result put_int64_column(struct wr_buf *into, int64_t value) {
    uint8_t bytes[12];
    return put_fixed(into, bytes, put_int64(bytes, value));
}

enum wr_result wr_postgres_put_ledger(struct wr_buf *into, const struct wr_message_origin *origin, const struct wr_receive_ledger *ledger,
                                      const char *json, size_t len) {
    WR_TRY(put_count(into, 8));
    WR_TRY(put_time_column(into, ledger->time_ns));
    WR_TRY(put_text(into, origin->site, strlen(origin->site), ""));
    WR_TRY(put_text(into, origin->key.node, strlen(origin->key.node), ""));
    WR_TRY(put_int64_column(into, (int64_t)ledger->epoch));
    WR_TRY(put_int64_column(into, ledger->cut));
    WR_TRY(put_int64_column(into, ledger->of));
    WR_TRY(put_quality(into, origin->time_quality));
    return put_text(into, json, len, "\x01");
}
