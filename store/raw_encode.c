/* Raw readings to a segment body. In order: group the readings into runs (one series), sort the runs by key, write every run into the columns (its
 * times: raw_encode_run.c, its values: raw_encode_forms.c, raw_encode_values.c), join the columns, compress, put the header in front. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/raw_encode_private.h"

#define NO_MATCHES 131072 /* the largest target length: zstd hardly looks for any */
#define SHORT_FRAME 32    /* it cannot be made much shorter */
/* "literalCompressionMode" of zstd: Huffman also where no matches are looked for. Should a zstd not have it, such frames are long, and lose to those with matches. */
#define LITERALS ZSTD_c_experimentalParam5

/* The most bytes that a reading, or its run, has in a column; those with none are buffers that grow. */
static const uint8_t column_bytes[WR_RAW_COLUMNS] = {
    [WR_RAW_RUN_SHARED] = 2, [WR_RAW_RUN_SUFFIX] = 2, [WR_RAW_RUN_TYPE] = 1, [WR_RAW_RUN_COUNT] = 2, [WR_RAW_RUN_TIMES] = 25,
    [WR_RAW_RUN_GRID] = 27,  [WR_RAW_TEXT_INDEX] = 2, [WR_RAW_QUALITY] = 1,  [WR_RAW_FORM] = 1,      [WR_RAW_ULPS] = 1,
    [WR_RAW_FINE] = 1,       [WR_RAW_TIME] = 1,       [WR_RAW_VALUE] = 2,    [WR_RAW_VALUE_UP] = 2,  [WR_RAW_VALUE_DOWN] = 2}; /* 72 */

enum wr_result wr_raw_encoder_new(struct wr_raw_encoder **ret_encoder) {
    struct wr_raw_encoder *encoder = malloc(sizeof *encoder);
    if (!encoder || wr_pack_init(&encoder->pack) != WR_OK) {
        free(encoder);
        return WR_NO_MEMORY;
    }
    (void)ZSTD_CCtx_setParameter(encoder->pack.zstd, LITERALS, 1);
    uint8_t *at = encoder->columns;
    for (unsigned i = 0; i < WR_RAW_COLUMNS; i++) {
        encoder->begin[i] = at;
        at += (size_t)column_bytes[i] * WR_SEGMENT_READINGS;
    }
    assert(at == encoder->columns + sizeof encoder->columns);
    *ret_encoder = encoder;
    return WR_OK;
}

void wr_raw_encoder_free(struct wr_raw_encoder *encoder) {
    if (!encoder)
        return;
    wr_pack_fini(&encoder->pack);
    free(encoder);
}

size_t wr_raw_encoder_bytes(void) {
    return sizeof(struct wr_raw_encoder) + (size_t)4 * WR_SEGMENT_BODY_BYTES + (1U << 20); /* buffers; zstd at this level */
}

/* -- runs ---------------------------------------------------------------------------------------------------------------------------------- */

static struct wr_run *run_of(struct wr_raw_encoder *encoder, const struct wr_reading *reading) {
    size_t slot = (reading->series * UINT32_C(0x9E3779B1) >> 16) % WR_RAW_SLOTS;
    for (; encoder->slots[slot] != 0; slot = (slot + 1) % WR_RAW_SLOTS) {
        const size_t i = encoder->slots[slot] - 1U;
        if (encoder->series[i] == reading->series && encoder->runs[i].type == reading->type)
            return &encoder->runs[i];
    }
    struct wr_run *run = &encoder->runs[encoder->n_runs];
    *run = (struct wr_run){.type = reading->type};
    encoder->series[encoder->n_runs++] = reading->series;
    encoder->slots[slot] = (uint16_t)encoder->n_runs;
    return run;
}

static void find_runs(struct wr_raw_encoder *encoder, const struct wr_reading *readings, size_t n, const struct wr_series_table *table) {
    memset(encoder->slots, 0, sizeof encoder->slots);
    encoder->n_runs = 0;
    struct wr_run *run = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!run || readings[i].series != readings[i - 1].series || run->type != readings[i].type)
            run = run_of(encoder, &readings[i]);
        run->count++;
        encoder->run_of[i] = (uint16_t)(run - encoder->runs);
    }
    for (uint32_t i = 0; i < encoder->n_runs; i++) {
        const struct wr_series *series = wr_series_get(table, encoder->series[i]);
        encoder->runs[i].key = series->key;
        encoder->runs[i].key_len = series->key_len;
    }
}

/* -- columns ------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result put_run_head(struct wr_raw_encoder *encoder, const struct wr_run *run, const struct wr_run *previous) {
    const size_t shared = wr_runs_shared(previous, run);
    wr_raw_varint(encoder, WR_RAW_RUN_SHARED, shared);
    wr_raw_varint(encoder, WR_RAW_RUN_SUFFIX, run->key_len - shared);
    wr_raw_byte(encoder, WR_RAW_RUN_TYPE, run->type);
    wr_raw_varint(encoder, WR_RAW_RUN_COUNT, run->count);
    return wr_buf_append(&encoder->pack.names, run->key + shared, run->key_len - shared);
}

static enum wr_result put_text(struct wr_raw_encoder *encoder, uint32_t symbol) {
    const struct wr_pack_texts texts = {encoder->text_slots, WR_RAW_SLOTS, encoder->text_symbols};
    uint32_t index;
    WR_TRY(wr_pack_text(&encoder->pack, &texts, symbol, encoder->symbols, &index));
    wr_raw_varint(encoder, WR_RAW_TEXT_INDEX, index);
    return WR_OK;
}

static enum wr_result put_run(struct wr_raw_encoder *encoder, uint32_t place, const struct wr_reading *readings) {
    const struct wr_run *run = &encoder->runs[encoder->sorted[place]];
    wr_raw_encode_times(encoder, place, readings);
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_reading *reading = &readings[encoder->order[run->at + i]];
        wr_raw_byte(encoder, WR_RAW_QUALITY, (uint8_t)(reading->quality | reading->flags << WR_RAW_FLAGS_SHIFT));
        if (run->type == WR_TYPE_SYMBOL)
            WR_TRY(put_text(encoder, reading->value.symbol));
    }
    if (run->type != WR_TYPE_SYMBOL)
        wr_raw_encode_values(encoder, run, readings);
    return WR_OK;
}

static enum wr_result put_runs(struct wr_raw_encoder *encoder, const struct wr_reading *readings) {
    for (unsigned i = 0; i < WR_RAW_COLUMNS; i++)
        encoder->end[i] = encoder->begin[i];
    encoder->bits = (struct wr_bits){.at = encoder->bit_column};
    encoder->times_start_ns = 0;
    encoder->period = 0;
    encoder->scale = 0;
    encoder->first_type = 0;
    wr_pack_begin(&encoder->pack);
    memset(encoder->slots, 0, sizeof encoder->slots);
    for (uint32_t i = 0; i < encoder->n_runs; i++) {
        const struct wr_run *previous = i > 0 ? &encoder->runs[encoder->sorted[i - 1]] : NULL;
        WR_TRY(put_run_head(encoder, &encoder->runs[encoder->sorted[i]], previous));
        WR_TRY(put_run(encoder, i, readings));
    }
    return WR_OK;
}

/* -- the body ------------------------------------------------------------------------------------------------------------------------------ */

/* A frame of what has only a skewed distribution: without a look for matches, and with one. The shorter frame stays. */
static enum wr_result put_skewed(struct wr_pack *pack, const uint8_t *raw, size_t len) {
    const size_t begin = pack->body.len;
    (void)ZSTD_CCtx_setParameter(pack->zstd, ZSTD_c_targetLength, NO_MATCHES);
    const enum wr_result result = wr_pack_frame(pack, raw, len, WR_PACK_MATCH_SKEWED);
    (void)ZSTD_CCtx_setParameter(pack->zstd, ZSTD_c_targetLength, 0);
    const size_t middle = pack->body.len;
    if (result != WR_OK || middle - begin <= SHORT_FRAME)
        return result;
    WR_TRY(wr_pack_frame(pack, raw, len, WR_PACK_MATCH_SKEWED));
    const size_t with_matches = pack->body.len - middle;
    if (with_matches < middle - begin)
        memmove(pack->body.data + begin, pack->body.data + middle, with_matches);
    pack->body.len = begin + (with_matches < middle - begin ? with_matches : middle - begin);
    return WR_OK;
}

static enum wr_result pack_columns(struct wr_raw_encoder *encoder, struct wr_codec_header *header) {
    static const uint8_t frames[] = {WR_RAW_RUN_SHARED, WR_RAW_ULPS,     WR_RAW_TIME,
                                     WR_RAW_VALUE,      WR_RAW_VALUE_UP, WR_RAW_VALUE_DOWN}; /* what has a distribution of its own */
    struct wr_pack *pack = &encoder->pack;
    struct wr_pack_column columns[WR_RAW_COLUMNS];
    size_t frame_at[sizeof frames + 1];
    for (unsigned i = 0; i < WR_RAW_COLUMNS; i++)
        columns[i] = (struct wr_pack_column){encoder->begin[i], (size_t)(encoder->end[i] - encoder->begin[i])};
    columns[WR_RAW_NAMES] = wr_pack_buf_column(&pack->names);
    columns[WR_RAW_TEXTS] = wr_pack_buf_column(&pack->texts);
    WR_TRY(wr_pack_join(pack, columns, WR_RAW_COLUMNS, frames, sizeof frames, frame_at));
    WR_TRY(wr_pack_begin_body(pack));
    WR_TRY(wr_pack_frame(pack, pack->raw.data, frame_at[1], WR_PACK_MATCH_USUAL));
    for (size_t i = 1; i < sizeof frames; i++)
        if (frame_at[i + 1] > frame_at[i])
            WR_TRY(put_skewed(pack, pack->raw.data + frame_at[i], frame_at[i + 1] - frame_at[i]));
    return wr_pack_bits(pack, &encoder->bits, encoder->bit_column, header);
}

void wr_raw_encode_seal(struct wr_raw_encoder *encoder, struct wr_codec_header *header) {
    wr_codec_header_write(encoder->pack.body.data, encoder->pack.body.len, header);
}

enum wr_result wr_raw_encode(struct wr_raw_encoder *encoder, struct wr_codec_header *header, const struct wr_reading *readings, size_t n,
                             const struct wr_series_table *series, const struct wr_symbol_table *symbols, const uint8_t **ret_body,
                             size_t *ret_len) {
    assert(n > 0 && n <= WR_SEGMENT_READINGS);
    encoder->symbols = symbols;
    find_runs(encoder, readings, n, series);
    wr_runs_sort(encoder->runs, encoder->n_runs, encoder->run_of, n, encoder->sorted, encoder->order);
    WR_TRY(put_runs(encoder, readings));
    WR_TRY(pack_columns(encoder, header));
    header->kind = WR_SEGMENT_RAW;
    header->lane = WR_LANE_RAW;
    header->n = (uint32_t)n;
    header->t0_ns = INT64_MAX;
    header->t1_ns = INT64_MIN;
    for (size_t i = 0; i < n; i++) {
        if (readings[i].event_ns < header->t0_ns)
            header->t0_ns = readings[i].event_ns;
        if (readings[i].event_ns > header->t1_ns)
            header->t1_ns = readings[i].event_ns;
    }
    wr_raw_encode_seal(encoder, header);
    *ret_body = encoder->pack.body.data;
    *ret_len = encoder->pack.body.len;
    return WR_OK;
}
