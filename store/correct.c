/* The correction of a segment on its way to the uplink: times that a clock stamped which could not be trusted, moved by what is known of that boot since.
 *
 * The row stays as it is, and so do key and place; it is another body that is sent. A segment that is sent a second time may so have other times than the first
 * time: a receiver keeps what came first. Where the body cannot be made, the segment goes as it is, as untrusted. */
#include <stdlib.h>
#include <string.h>

#include "store/store_private.h"

struct correcting {
    struct wr_store *store;
    struct wr_correction correction;
    struct wr_codec_header header; /* of the new body */
    struct wr_decoder *decoder;
    struct wr_symbol_table *symbols;
    struct wr_aggregate *records;
    struct wr_buf texts;
};

/* The encoder takes texts by their numbers. */
static enum wr_result number_text(struct correcting *correcting, const char *text, union wr_value *value) {
    uint32_t symbol;
    WR_TRY(wr_symbol_intern(correcting->symbols, text, strlen(text), &symbol));
    *value = (union wr_value){.symbol = symbol};
    return WR_OK;
}

static enum wr_result take_aggregate(struct correcting *correcting, struct wr_aggregate *aggregate) {
    (void)wr_correction_start(&correcting->correction, &aggregate->start_ns, aggregate->window_ns);
    if (aggregate->type != WR_TYPE_SYMBOL || aggregate->n == 0)
        return WR_OK;
    WR_TRY(number_text(correcting, aggregate->first_text, &aggregate->first));
    return number_text(correcting, aggregate->last_text, &aggregate->last);
}

static enum wr_result move_aggregates(struct correcting *correcting, const uint8_t **ret_body, size_t *ret_len) {
    enum wr_result result = WR_OK;
    uint32_t n = 0;
    correcting->records = calloc(WR_SEGMENT_RECORDS, sizeof *correcting->records);
    if (!correcting->records || wr_symbol_table_new(2 * WR_SEGMENT_RECORDS, &correcting->symbols, NULL) != WR_OK)
        return WR_NO_MEMORY;
    while (n < WR_SEGMENT_RECORDS && result == WR_OK) {
        result = wr_decode_aggregate(correcting->decoder, &correcting->records[n], NULL);
        if (result == WR_OK)
            result = take_aggregate(correcting, &correcting->records[n++]);
    }
    if (result != WR_OK && result != WR_EMPTY)
        return result;
    return wr_encode_aggregates(correcting->store->encoder, &correcting->header, correcting->records, n, correcting->symbols, ret_body,
                                ret_len);
}

static enum wr_result move_text(struct correcting *correcting, const char *text, size_t len) {
    struct wr_buf moved;
    wr_buf_init(&moved, WR_CODEC_RAW_MAX);
    enum wr_result result = wr_correction_json(&correcting->correction, text, len, &moved);
    if (result == WR_OK)
        result = wr_encode_pack_text(&correcting->texts, moved.data, moved.len);
    wr_buf_fini(&moved);
    return result;
}

static enum wr_result move_texts(struct correcting *correcting, const uint8_t **ret_body, size_t *ret_len) {
    struct wr_codec_header *header = &correcting->header;
    enum wr_result result;
    const char *text;
    size_t len;
    while ((result = wr_decode_text(correcting->decoder, &text, &len, NULL)) == WR_OK)
        WR_TRY(move_text(correcting, text, len));
    if (result != WR_EMPTY)
        return result;
    (void)wr_correction_time(&correcting->correction, &header->t0_ns);
    (void)wr_correction_time(&correcting->correction, &header->t1_ns);
    if (header->t0_ns > header->t1_ns) { /* one of them was not stamped by this clock */
        const int64_t t0_ns = header->t0_ns;
        header->t0_ns = header->t1_ns;
        header->t1_ns = t0_ns;
    }
    return wr_encode_texts(correcting->store->encoder, header, correcting->texts.data, correcting->texts.len, header->n, ret_body, ret_len);
}

static enum wr_result replace_body(struct wr_segment *segment, const struct wr_codec_header *header, const uint8_t *body, size_t len) {
    uint8_t *copy = malloc(len);
    if (!copy)
        return WR_NO_MEMORY;
    memcpy(copy, body, len);
    free(segment->body);
    segment->body = copy;
    segment->body_len = len;
    segment->t0_ns = header->t0_ns;
    segment->t1_ns = header->t1_ns;
    segment->time_quality = WR_TIME_CORRECTED;
    return WR_OK;
}

static enum wr_result move_all(struct correcting *correcting, struct wr_segment *segment) {
    struct wr_codec_header *header = &correcting->header;
    const uint8_t *body;
    size_t len;
    WR_TRY(wr_decoder_new(&correcting->decoder));
    WR_TRY(wr_decode_begin(correcting->decoder, segment->body, segment->body_len, header, NULL));
    header->wall_trusted = true;
    header->times_moved = true;
    header->wall_ns = wr_clock_add_ns(header->wall_ns, correcting->correction.move_ns);
    if (header->kind == WR_SEGMENT_AGGREGATES)
        WR_TRY(move_aggregates(correcting, &body, &len));
    else if (header->kind == WR_SEGMENT_ALARMS || header->kind == WR_SEGMENT_GAPS)
        WR_TRY(move_texts(correcting, &body, &len));
    else
        return WR_UNSUPPORTED;
    return replace_body(segment, header, body, len);
}

struct wr_correction wr_correction_of(const struct wr_codec_header *header, int64_t offset_ns) {
    const int64_t wrong_ns = header->wall_ns - header->boot_ns;
    return (struct wr_correction){.from_ns = wrong_ns, .to_ns = header->wall_ns, .move_ns = offset_ns - wrong_ns};
}

enum wr_result wr_correct_segment(struct wr_store *store, const struct wr_now *now, struct wr_segment *segment, struct wr_error *err) {
    struct wr_codec_header header;
    int64_t offset_ns;
    if (wr_codec_check(segment->body, segment->body_len, &header, NULL) != WR_OK || header.wall_trusted)
        return WR_OK;
    const enum wr_result found = wr_boots_offset(store, header.boot_id, now, &offset_ns, err);
    if (found != WR_OK)
        return found == WR_EMPTY ? WR_OK : found;
    struct correcting correcting = {.store = store, .correction = wr_correction_of(&header, offset_ns)};
    wr_buf_init(&correcting.texts, WR_CODEC_RAW_MAX);
    const enum wr_result result = move_all(&correcting, segment);
    wr_decoder_free(correcting.decoder);
    wr_symbol_table_free(correcting.symbols);
    free(correcting.records);
    wr_buf_fini(&correcting.texts);
    return result == WR_NO_MEMORY
               ? wr_error_set(err, WR_NO_MEMORY, "no memory to correct the times of segment %lld", (long long)segment->seq)
               : WR_OK;
}
