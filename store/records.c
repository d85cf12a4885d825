/* Records as JSON, packed into as few lane-0 segments as they fit: gap records (gaps.c) and those of the ledger (totals.c). */
#include "store/records.h"

#include "store/store_private.h"

bool wr_records_pause(const struct wr_store *store) {
    return store->lanes[WR_LANE_ALARMS].acks.n >= WR_RECORDS_PAUSE_RANGES;
}

void wr_records_begin(struct wr_records *records, struct wr_store *store, const struct wr_now *now) {
    *records = (struct wr_records){.store = store, .now = now};
    wr_buf_init(&records->texts, WR_STORE_ALARM_BYTES + 64);
}

static enum wr_result put_segment(struct wr_records *records, struct wr_error *err) {
    if (records->n == 0)
        return WR_OK;
    struct wr_store *store = records->store;
    struct wr_codec_header header = wr_outbox_header(store, WR_LANE_ALARMS, WR_SEGMENT_GAPS, records->now);
    header.t0_ns = records->t0_ns;
    header.t1_ns = records->t1_ns;
    const uint8_t *body;
    size_t len;
    enum wr_result result = wr_encode_texts(store->encoder, &header, records->texts.data, records->texts.len, records->n, &body, &len);
    if (result != WR_OK)
        return wr_error_set(err, result, "encoding %u records: %s", records->n, wr_result_name(result));
    wr_buf_clear(&records->texts);
    records->n = 0;
    return wr_outbox_put_row(store, &header, NULL, body, len, err);
}

enum wr_result wr_records_put(struct wr_records *records, const struct wr_buf *text, int64_t t0_ns, int64_t t1_ns, struct wr_error *err) {
    if (records->texts.len + text->len + 8 > WR_STORE_ALARM_BYTES)
        WR_TRY(put_segment(records, err));
    const enum wr_result result = wr_encode_pack_text(&records->texts, text->data, text->len);
    if (result != WR_OK)
        return wr_error_set(err, result, "a record of %zu bytes: %s", text->len, wr_result_name(result));
    if (records->n == 0 || t0_ns < records->t0_ns)
        records->t0_ns = t0_ns;
    if (records->n == 0 || t1_ns > records->t1_ns)
        records->t1_ns = t1_ns;
    records->n++;
    return WR_OK;
}

enum wr_result wr_records_end(struct wr_records *records, enum wr_result result, struct wr_error *err) {
    if (result == WR_OK)
        result = put_segment(records, err);
    wr_buf_fini(&records->texts);
    return result;
}
