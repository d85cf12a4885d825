/* Raw readings to a segment body. In order: group the readings into runs (one series), sort the runs by key, write every run into the columns (its
 * times: raw_encode_run.c, its values: raw_encode_values.c), join the columns, compress, put the header in front. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zstd_errors.h>

#include "store/raw_encode_private.h"

#define ZSTD_LEVEL 1
#define MIN_MATCH_USUAL 5
#define MIN_MATCH_SKEWED 7
#define NO_MATCHES 131072 /* the largest target length: zstd hardly looks for any */
#define SHORT_FRAME 32    /* it cannot be made much shorter */

#define LITERALS                                                                                                                           \
    ZSTD_c_experimentalParam5 /* "literalCompressionMode": Huffman, also where no matches are looked for. If a zstd has it no more, such frames lose the comparison */

/* The most bytes that a reading, or its run, has in a column; those with none are buffers that grow. */
static const uint8_t column_bytes[WR_RAW_COLUMNS] = {
    [WR_RAW_RUN_SHARED] = 2, [WR_RAW_RUN_SUFFIX] = 2, [WR_RAW_RUN_TYPE] = 1, [WR_RAW_RUN_COUNT] = 2, [WR_RAW_RUN_TIMES] = 25,
    [WR_RAW_RUN_GRID] = 27,  [WR_RAW_TEXT_INDEX] = 2, [WR_RAW_QUALITY] = 1,  [WR_RAW_FORM] = 1,      [WR_RAW_ULPS] = 1,
    [WR_RAW_FINE] = 1,       [WR_RAW_TIME] = 1,       [WR_RAW_VALUE] = 2,    [WR_RAW_VALUE_UP] = 2,  [WR_RAW_VALUE_DOWN] = 2}; /* 72 */

enum wr_result wr_raw_encoder_new(struct wr_raw_encoder **ret_encoder) {
    struct wr_raw_encoder *encoder = malloc(sizeof *encoder);
    if (!encoder)
        return WR_NO_MEMORY;
    encoder->zstd = ZSTD_createCCtx();
    wr_buf_init(&encoder->names, WR_CODEC_RAW_MAX);
    wr_buf_init(&encoder->texts, WR_CODEC_RAW_MAX);
    wr_buf_init(&encoder->raw, WR_CODEC_RAW_MAX);
    wr_buf_init(&encoder->body, WR_SEGMENT_BODY_MAX);
    if (!encoder->zstd) {
        wr_raw_encoder_free(encoder);
        return WR_NO_MEMORY;
    }
    (void)ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    (void)ZSTD_CCtx_setParameter(encoder->zstd, LITERALS, 1);
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
    ZSTD_freeCCtx(encoder->zstd);
    wr_buf_fini(&encoder->names);
    wr_buf_fini(&encoder->texts);
    wr_buf_fini(&encoder->raw);
    wr_buf_fini(&encoder->body);
    free(encoder);
}

size_t wr_raw_encoder_bytes(void) {
    return sizeof(struct wr_raw_encoder) + (size_t)4 * WR_SEGMENT_BODY_BYTES + (1U << 20); /* buffers; zstd at this level */
}

/* -- runs ---------------------------------------------------------------------------------------------------------------------------------- */

static struct wr_raw_run *run_of(struct wr_raw_encoder *encoder, const struct wr_reading *reading) {
    size_t slot = (reading->series * UINT32_C(0x9E3779B1) >> 16) % WR_RAW_SLOTS;
    for (; encoder->slots[slot] != 0; slot = (slot + 1) % WR_RAW_SLOTS) {
        struct wr_raw_run *run = &encoder->runs[encoder->slots[slot] - 1];
        if (run->series == reading->series && run->type == reading->type)
            return run;
    }
    struct wr_raw_run *run = &encoder->runs[encoder->n_runs++];
    *run = (struct wr_raw_run){.series = reading->series, .type = reading->type};
    encoder->slots[slot] = (uint16_t)encoder->n_runs;
    return run;
}

static void find_runs(struct wr_raw_encoder *encoder, const struct wr_reading *readings, size_t n, const struct wr_series_table *table) {
    memset(encoder->slots, 0, sizeof encoder->slots);
    encoder->n_runs = 0;
    struct wr_raw_run *run = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!run || run->series != readings[i].series || run->type != readings[i].type)
            run = run_of(encoder, &readings[i]);
        run->count++;
        encoder->run_of[i] = (uint16_t)(run - encoder->runs);
    }
    for (uint32_t i = 0; i < encoder->n_runs; i++) {
        const struct wr_series *series = wr_series_get(table, encoder->runs[i].series);
        encoder->runs[i].key = series->key;
        encoder->runs[i].key_len = series->key_len;
    }
}

static int compare_runs(const void *left, const void *right, void *user) {
    const struct wr_raw_run *runs = user;
    const struct wr_raw_run *a = &runs[*(const uint16_t *)left];
    const struct wr_raw_run *b = &runs[*(const uint16_t *)right];
    const size_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    int difference = memcmp(a->key, b->key, shorter);
    if (difference == 0)
        difference = (a->key_len > b->key_len) - (a->key_len < b->key_len);
    return difference != 0 ? difference : (a > b) - (a < b);
}

static void sort_readings(struct wr_raw_encoder *encoder, size_t n) {
    for (uint32_t i = 0; i < encoder->n_runs; i++)
        encoder->sorted[i] = (uint16_t)i;
    qsort_r(encoder->sorted, encoder->n_runs, sizeof encoder->sorted[0], compare_runs, encoder->runs);
    uint32_t at = 0;
    for (uint32_t i = 0; i < encoder->n_runs; i++) {
        struct wr_raw_run *run = &encoder->runs[encoder->sorted[i]];
        run->at = at;
        at += run->count;
        run->count = 0; /* counts up again below */
    }
    for (size_t i = 0; i < n; i++) {
        struct wr_raw_run *run = &encoder->runs[encoder->run_of[i]];
        encoder->order[run->at + run->count++] = (uint16_t)i;
    }
}

/* -- columns ------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result put_run_head(struct wr_raw_encoder *encoder, const struct wr_raw_run *run, const struct wr_raw_run *previous) {
    const size_t shorter = !previous ? 0 : previous->key_len < run->key_len ? previous->key_len : run->key_len;
    size_t shared = 0;
    while (shared < shorter && previous->key[shared] == run->key[shared])
        shared++;
    wr_raw_varint(encoder, WR_RAW_RUN_SHARED, shared);
    wr_raw_varint(encoder, WR_RAW_RUN_SUFFIX, run->key_len - shared);
    wr_raw_byte(encoder, WR_RAW_RUN_TYPE, run->type);
    wr_raw_varint(encoder, WR_RAW_RUN_COUNT, run->count);
    return wr_buf_append(&encoder->names, run->key + shared, run->key_len - shared);
}

static enum wr_result put_text(struct wr_raw_encoder *encoder, uint32_t symbol) {
    size_t slot = (symbol * UINT32_C(0x9E3779B1) >> 16) % WR_RAW_SLOTS;
    while (encoder->text_slots[slot] != 0 && encoder->text_symbols[encoder->text_slots[slot] - 1] != symbol)
        slot = (slot + 1) % WR_RAW_SLOTS;
    if (encoder->text_slots[slot] == 0) {
        size_t len = 0;
        const char *text = wr_symbol_text(encoder->symbols, symbol, &len);
        uint8_t head[WR_VARINT_MAX];
        WR_TRY(wr_buf_append(&encoder->texts, head, (size_t)(wr_put_varint(head, len) - head)));
        WR_TRY(wr_buf_append(&encoder->texts, text, len));
        encoder->text_symbols[encoder->n_texts++] = symbol;
        encoder->text_slots[slot] = (uint16_t)encoder->n_texts;
    }
    wr_raw_varint(encoder, WR_RAW_TEXT_INDEX, encoder->text_slots[slot] - 1U);
    return WR_OK;
}

static enum wr_result put_run(struct wr_raw_encoder *encoder, uint32_t place, const struct wr_reading *readings) {
    const struct wr_raw_run *run = &encoder->runs[encoder->sorted[place]];
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
    encoder->n_texts = 0;
    wr_buf_clear(&encoder->names);
    wr_buf_clear(&encoder->texts);
    memset(encoder->slots, 0, sizeof encoder->slots);
    memset(encoder->text_slots, 0, sizeof encoder->text_slots);
    for (uint32_t i = 0; i < encoder->n_runs; i++) {
        const struct wr_raw_run *previous = i > 0 ? &encoder->runs[encoder->sorted[i - 1]] : NULL;
        WR_TRY(put_run_head(encoder, &encoder->runs[encoder->sorted[i]], previous));
        WR_TRY(put_run(encoder, i, readings));
    }
    return WR_OK;
}

/* -- the body ------------------------------------------------------------------------------------------------------------------------------ */

/* The first column of each frame: what has a distribution of its own. */
static const uint8_t frames[] = {WR_RAW_RUN_SHARED, WR_RAW_ULPS,       WR_RAW_TIME,   WR_RAW_VALUE,
                                 WR_RAW_VALUE_UP,   WR_RAW_VALUE_DOWN, WR_RAW_COLUMNS};
#define FRAMES (sizeof frames / sizeof frames[0] - 1)

/* Joins the columns that are compressed: the length of each, then all bytes. frame_at: where each frame begins, and the last one ends. */
static enum wr_result join_columns(struct wr_raw_encoder *encoder, size_t frame_at[FRAMES + 1]) {
    struct wr_buf *raw = &encoder->raw;
    const uint8_t *data[WR_RAW_COLUMNS];
    size_t len[WR_RAW_COLUMNS];
    uint8_t head[WR_RAW_COLUMNS * WR_VARINT_MAX];
    uint8_t *end = head;
    for (unsigned i = 0; i < WR_RAW_COLUMNS; i++) {
        const struct wr_buf *buf = i == WR_RAW_NAMES ? &encoder->names : i == WR_RAW_TEXTS ? &encoder->texts : NULL;
        data[i] = buf ? buf->data : encoder->begin[i];
        len[i] = buf ? buf->len : (size_t)(encoder->end[i] - encoder->begin[i]);
        end = wr_put_varint(end, len[i]);
    }
    wr_buf_clear(raw);
    WR_TRY(wr_buf_append(raw, head, (size_t)(end - head)));
    size_t frame = 0;
    for (unsigned i = 0; i < WR_RAW_COLUMNS; i++) {
        if (i == frames[frame]) {
            frame_at[frame] = frame == 0 ? 0 : raw->len;
            frame++;
        }
        if (len[i] > 0)
            WR_TRY(wr_buf_append(raw, data[i], len[i]));
    }
    frame_at[FRAMES] = raw->len;
    return WR_OK;
}

/* Appends one zstd frame to the body. */
static enum wr_result compress(struct wr_raw_encoder *encoder, const uint8_t *raw, size_t raw_len) {
    struct wr_buf *body = &encoder->body;
    size_t room = ZSTD_compressBound(raw_len);
    if (room > WR_SEGMENT_BODY_MAX - body->len)
        room = WR_SEGMENT_BODY_MAX - body->len; /* zstd says so if it is not enough */
    WR_TRY(wr_buf_reserve(body, room));
    const size_t packed = ZSTD_compress2(encoder->zstd, body->data + body->len, room, raw, raw_len);
    if (ZSTD_isError(packed))
        return ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation ? WR_NO_MEMORY : WR_LIMIT;
    body->len += packed;
    return WR_OK;
}

/* A column that has only a skewed distribution: without a look for matches, which mostly are chance there and cost more than they save; and with one. The shorter
 * frame stays. */
static enum wr_result compress_skewed(struct wr_raw_encoder *encoder, const uint8_t *raw, size_t raw_len) {
    struct wr_buf *body = &encoder->body;
    const size_t begin = body->len;
    (void)ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_targetLength, NO_MATCHES);
    const enum wr_result result = compress(encoder, raw, raw_len);
    (void)ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_targetLength, 0);
    const size_t middle = body->len;
    if (result != WR_OK || middle - begin <= SHORT_FRAME)
        return result;
    WR_TRY(compress(encoder, raw, raw_len));
    const size_t with_matches = body->len - middle;
    if (with_matches < middle - begin) {
        memmove(body->data + begin, body->data + middle, with_matches);
        body->len = begin + with_matches;
    } else {
        body->len = middle;
    }
    return WR_OK;
}

static enum wr_result pack(struct wr_raw_encoder *encoder, struct wr_codec_header *header) {
    struct wr_buf *body = &encoder->body;
    const struct wr_buf *raw = &encoder->raw;
    size_t frame_at[FRAMES + 1] = {0};
    WR_TRY(join_columns(encoder, frame_at));
    wr_buf_clear(body);
    WR_TRY(wr_buf_reserve(body, WR_CODEC_HEADER_BYTES));
    body->len = WR_CODEC_HEADER_BYTES;
    (void)ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_minMatch, MIN_MATCH_USUAL);
    WR_TRY(compress(encoder, raw->data, frame_at[1]));
    (void)ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_minMatch, MIN_MATCH_SKEWED);
    for (size_t i = 1; i < FRAMES; i++)
        if (frame_at[i + 1] > frame_at[i])
            WR_TRY(compress_skewed(encoder, raw->data + frame_at[i], frame_at[i + 1] - frame_at[i]));
    const size_t bits_len = (size_t)(wr_end_bits(&encoder->bits) - encoder->bit_column);
    WR_TRY(wr_buf_append(body, encoder->bit_column, bits_len));
    header->raw_len = (uint32_t)raw->len;
    header->bits_len = (uint32_t)bits_len;
    return WR_OK;
}

void wr_raw_encode_seal(struct wr_raw_encoder *encoder, struct wr_codec_header *header) {
    wr_codec_header_write(encoder->body.data, encoder->body.len, header);
}

enum wr_result wr_raw_encode(struct wr_raw_encoder *encoder, struct wr_codec_header *header, const struct wr_reading *readings, size_t n,
                             const struct wr_series_table *series, const struct wr_symbol_table *symbols, const uint8_t **ret_body,
                             size_t *ret_len) {
    assert(n > 0 && n <= WR_SEGMENT_READINGS);
    encoder->symbols = symbols;
    find_runs(encoder, readings, n, series);
    sort_readings(encoder, n);
    WR_TRY(put_runs(encoder, readings));
    WR_TRY(pack(encoder, header));
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
    *ret_body = encoder->body.data;
    *ret_len = encoder->body.len;
    return WR_OK;
}
