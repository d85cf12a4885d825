/* Aggregates to a segment body. In order: group the records into runs (one series, one window), sort the runs by key, write every run
 * into the columns (its values: encode_values.c), join the columns, compress, put the header in front. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zstd_errors.h>

#include "store/encode_private.h"

#define RECORDS WR_SEGMENT_RECORDS
#define ZSTD_LEVEL 1
#define MIN_MATCH_USUAL 5
#define MIN_MATCH_SKEWED 7 /* short matches in columns without repetitions are chance, and cost more than they save */

enum wr_result wr_encoder_new(struct wr_encoder **ret_encoder) {
    struct wr_encoder *encoder = malloc(sizeof *encoder);
    if (!encoder)
        return WR_NO_MEMORY;
    encoder->zstd = ZSTD_createCCtx();
    wr_buf_init(&encoder->names, WR_CODEC_RAW_MAX);
    wr_buf_init(&encoder->texts, WR_CODEC_RAW_MAX);
    wr_buf_init(&encoder->raw, WR_CODEC_RAW_MAX);
    wr_buf_init(&encoder->body, WR_SEGMENT_BODY_MAX);
    if (!encoder->zstd) {
        wr_encoder_free(encoder);
        return WR_NO_MEMORY;
    }
    (void)ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    *ret_encoder = encoder;
    return WR_OK;
}

void wr_encoder_free(struct wr_encoder *encoder) {
    if (!encoder)
        return;
    ZSTD_freeCCtx(encoder->zstd);
    wr_buf_fini(&encoder->names);
    wr_buf_fini(&encoder->texts);
    wr_buf_fini(&encoder->raw);
    wr_buf_fini(&encoder->body);
    free(encoder);
}

size_t wr_encode_weight(const struct wr_aggregate *aggregate, const struct wr_symbol_table *symbols) {
    size_t weight = 144U + aggregate->key_len;
    if (aggregate->type == WR_TYPE_SYMBOL && aggregate->n > 0) {
        size_t len = 0;
        (void)wr_symbol_text(symbols, aggregate->first.symbol, &len);
        weight += len;
        (void)wr_symbol_text(symbols, aggregate->last.symbol, &len);
        weight += len;
    }
    return weight;
}

/* Runs */

static size_t run_slot(const struct wr_aggregate *record) {
    uint64_t mixed = ((uint64_t)(uintptr_t)record->key ^ (uint64_t)record->window_ns * 31) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 40) % RUN_SLOTS;
}

/* Records with the same key pointer, window and type are one run. The same key under two pointers makes two runs: larger, not wrong. */
static void find_runs(struct wr_encoder *encoder, const struct wr_aggregate *records, size_t n) {
    memset(encoder->run_slots, 0, sizeof encoder->run_slots);
    encoder->n_runs = 0;
    for (size_t i = 0; i < n; i++) {
        const struct wr_aggregate *record = &records[i];
        size_t slot = run_slot(record);
        struct wr_run *run;
        for (;; slot = (slot + 1) % RUN_SLOTS) {
            if (encoder->run_slots[slot] == 0) {
                run = &encoder->runs[encoder->n_runs++];
                *run =
                    (struct wr_run){.key = record->key, .key_len = record->key_len, .type = record->type, .window_ns = record->window_ns};
                encoder->run_slots[slot] = (uint16_t)encoder->n_runs;
                break;
            }
            run = &encoder->runs[encoder->run_slots[slot] - 1];
            if (run->key == record->key && run->window_ns == record->window_ns && run->type == record->type &&
                run->key_len == record->key_len)
                break;
        }
        run->count++;
        encoder->run_of[i] = (uint16_t)(run - encoder->runs);
    }
}

static int compare_runs(const void *left, const void *right, void *user) {
    const struct wr_run *runs = user;
    const struct wr_run *a = &runs[*(const uint16_t *)left];
    const struct wr_run *b = &runs[*(const uint16_t *)right];
    size_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    int difference = memcmp(a->key, b->key, shorter);
    if (difference == 0)
        difference = (a->key_len > b->key_len) - (a->key_len < b->key_len);
    if (difference == 0)
        difference = (a->window_ns > b->window_ns) - (a->window_ns < b->window_ns);
    return difference != 0 ? difference : (a > b) - (a < b);
}

static void sort_records(struct wr_encoder *encoder, size_t n) {
    for (uint32_t i = 0; i < encoder->n_runs; i++)
        encoder->sorted[i] = (uint16_t)i;
    qsort_r(encoder->sorted, encoder->n_runs, sizeof encoder->sorted[0], compare_runs, encoder->runs);
    uint32_t at = 0;
    for (uint32_t i = 0; i < encoder->n_runs; i++) {
        struct wr_run *run = &encoder->runs[encoder->sorted[i]];
        run->at = at;
        at += run->count;
        run->count = 0; /* counts up again below */
    }
    for (size_t i = 0; i < n; i++) {
        struct wr_run *run = &encoder->runs[encoder->run_of[i]];
        encoder->order[run->at + run->count++] = (uint16_t)i;
    }
}

/* Columns */

static size_t shared_prefix(const struct wr_run *previous, const struct wr_run *run) {
    if (!previous)
        return 0;
    size_t shorter = previous->key_len < run->key_len ? previous->key_len : run->key_len;
    size_t shared = 0;
    while (shared < shorter && previous->key[shared] == run->key[shared])
        shared++;
    return shared;
}

static enum wr_result put_run_head(struct wr_encoder *encoder, const struct wr_run *run, const struct wr_run *previous) {
    size_t shared = shared_prefix(previous, run);
    wr_column_varint(encoder, WR_COLUMN_RUN_SHARED, shared);
    wr_column_varint(encoder, WR_COLUMN_RUN_SUFFIX, run->key_len - shared);
    wr_column_byte(encoder, WR_COLUMN_RUN_TYPE, run->type);
    wr_column_zigzag(encoder, WR_COLUMN_RUN_WINDOW, wr_minus(run->window_ns, previous ? previous->window_ns : 0));
    wr_column_varint(encoder, WR_COLUMN_RUN_COUNT, run->count);
    return wr_buf_append(&encoder->names, run->key + shared, run->key_len - shared);
}

static enum wr_result put_text(struct wr_encoder *encoder, uint32_t symbol, const struct wr_symbol_table *symbols) {
    if (encoder->n_texts == 0)
        memset(encoder->text_slots, 0, sizeof encoder->text_slots);
    size_t slot = (symbol * UINT32_C(0x9E3779B1) >> 16) % TEXT_SLOTS;
    while (encoder->text_slots[slot] != 0 && encoder->text_symbols[encoder->text_slots[slot] - 1] != symbol)
        slot = (slot + 1) % TEXT_SLOTS;
    if (encoder->text_slots[slot] == 0) {
        size_t len = 0;
        const char *text = wr_symbol_text(symbols, symbol, &len);
        uint8_t head[WR_VARINT_MAX];
        WR_TRY(wr_buf_append(&encoder->texts, head, (size_t)(wr_put_varint(head, len) - head)));
        WR_TRY(wr_buf_append(&encoder->texts, text, len));
        encoder->text_symbols[encoder->n_texts++] = symbol;
        encoder->text_slots[slot] = (uint16_t)encoder->n_texts;
    }
    wr_column_varint(encoder, WR_COLUMN_TEXT_INDEX, encoder->text_slots[slot] - 1U);
    return WR_OK;
}

/* What the next record is predicted from. */
struct before {
    int64_t run_start; /* first start of the run before, in units */
    int64_t start;
    int64_t step;
    uint64_t n;
};

static void put_common(struct wr_encoder *encoder, const struct wr_aggregate *record, int64_t start, bool first_of_run, int64_t window,
                       struct before *before) {
    if (first_of_run) {
        wr_column_zigzag(encoder, WR_COLUMN_START, wr_minus(start, before->run_start));
        before->run_start = start;
        before->step = window;
    } else {
        int64_t step = wr_minus(start, before->start);
        wr_column_zigzag(encoder, WR_COLUMN_START, wr_minus(step, before->step));
        before->step = step;
    }
    before->start = start;
    wr_column_zigzag(encoder, WR_COLUMN_N, wr_minus((int64_t)record->n, (int64_t)before->n));
    before->n = record->n;
    wr_column_varint(encoder, WR_COLUMN_BAD, record->bad);
    wr_column_byte(encoder, WR_COLUMN_FLAGS, record->flags);
    wr_column_byte(encoder, WR_COLUMN_QUALITY, record->quality);
}

static enum wr_result put_run(struct wr_encoder *encoder, const struct wr_run *run, const struct wr_aggregate *records,
                              const struct wr_symbol_table *symbols, int64_t unit, struct before *before) {
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_aggregate *record = &records[encoder->order[run->at + i]];
        put_common(encoder, record, record->start_ns / unit, i == 0, run->window_ns / unit, before);
        if (record->n == 0 || run->type != WR_TYPE_SYMBOL)
            continue;
        WR_TRY(put_text(encoder, record->first.symbol, symbols));
        WR_TRY(put_text(encoder, record->last.symbol, symbols));
    }
    if (run->type != WR_TYPE_SYMBOL)
        wr_encode_values(encoder, run, records);
    return WR_OK;
}

static unsigned common_unit(const struct wr_aggregate *records, size_t n) {
    unsigned unit = WR_TIME_UNITS - 1;
    for (size_t i = 0; i < n; i++)
        while (records[i].start_ns % wr_time_units[unit] != 0)
            unit--; /* ends at 1 ns */
    return unit;
}

/* Joins the columns that are compressed: the length of each, then all bytes. *ret_skewed_at is where those with skewed distributions begin. */
static enum wr_result join_columns(struct wr_encoder *encoder, size_t *ret_skewed_at) {
    struct wr_buf *raw = &encoder->raw;
    const uint8_t *data[WR_COLUMNS_PACKED];
    size_t len[WR_COLUMNS_PACKED];
    size_t total = 0;
    uint8_t head[WR_COLUMNS_PACKED * WR_VARINT_MAX];
    uint8_t *end = head;
    for (unsigned i = 0; i < WR_COLUMNS_PACKED; i++) {
        const struct wr_buf *buf = i == WR_COLUMN_NAMES ? &encoder->names : i == WR_COLUMN_TEXTS ? &encoder->texts : NULL;
        data[i] = buf ? buf->data : encoder->columns[i];
        len[i] = buf ? buf->len : (size_t)(encoder->end[i] - data[i]);
        total += len[i];
        end = wr_put_varint(end, len[i]);
    }
    wr_buf_clear(raw);
    WR_TRY(wr_buf_reserve(raw, (size_t)(end - head) + total));
    WR_TRY(wr_buf_append(raw, head, (size_t)(end - head)));
    for (unsigned i = 0; i < WR_COLUMNS_PACKED; i++) {
        if (i == WR_COLUMN_SKEWED)
            *ret_skewed_at = raw->len;
        if (len[i] > 0)
            WR_TRY(wr_buf_append(raw, data[i], len[i]));
    }
    return WR_OK;
}

/* Appends one zstd frame to the body. */
static enum wr_result compress(struct wr_encoder *encoder, const uint8_t *raw, size_t raw_len, int min_match) {
    struct wr_buf *body = &encoder->body;
    size_t room = ZSTD_compressBound(raw_len);
    if (room > WR_SEGMENT_BODY_MAX - body->len)
        room = WR_SEGMENT_BODY_MAX - body->len; /* zstd says so if it is not enough */
    WR_TRY(wr_buf_reserve(body, room));
    (void)ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_minMatch, min_match);
    size_t packed = ZSTD_compress2(encoder->zstd, body->data + body->len, room, raw, raw_len);
    if (ZSTD_isError(packed))
        return ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation ? WR_NO_MEMORY : WR_LIMIT;
    body->len += packed;
    return WR_OK;
}

/* An empty body with room for its header. */
static enum wr_result begin_body(struct wr_encoder *encoder) {
    wr_buf_clear(&encoder->body);
    WR_TRY(wr_buf_reserve(&encoder->body, WR_CODEC_HEADER_BYTES));
    encoder->body.len = WR_CODEC_HEADER_BYTES;
    return WR_OK;
}

static void end_body(struct wr_encoder *encoder, struct wr_codec_header *header, const uint8_t **ret_body, size_t *ret_len) {
    wr_codec_header_write(encoder->body.data, encoder->body.len, header);
    *ret_body = encoder->body.data;
    *ret_len = encoder->body.len;
}

/* Two frames, because they are compressed differently, then the noise as it is. */
static enum wr_result pack_columns(struct wr_encoder *encoder, struct wr_codec_header *header) {
    size_t skewed_at = 0;
    WR_TRY(join_columns(encoder, &skewed_at));
    WR_TRY(begin_body(encoder));
    const struct wr_buf *raw = &encoder->raw;
    WR_TRY(compress(encoder, raw->data, skewed_at, MIN_MATCH_USUAL));
    WR_TRY(compress(encoder, raw->data + skewed_at, raw->len - skewed_at, MIN_MATCH_SKEWED));
    size_t bits_len = (size_t)(wr_end_bits(&encoder->bits) - encoder->bit_column);
    WR_TRY(wr_buf_append(&encoder->body, encoder->bit_column, bits_len));
    header->raw_len = (uint32_t)raw->len;
    header->bits_len = (uint32_t)bits_len;
    return WR_OK;
}

static void time_range(struct wr_codec_header *header, const struct wr_aggregate *records, size_t n) {
    header->t0_ns = INT64_MAX;
    header->t1_ns = INT64_MIN;
    for (size_t i = 0; i < n; i++) {
        int64_t end_ns = wr_clock_add_ns(records[i].start_ns, records[i].window_ns);
        if (records[i].start_ns < header->t0_ns)
            header->t0_ns = records[i].start_ns;
        if (end_ns > header->t1_ns)
            header->t1_ns = end_ns;
    }
}

enum wr_result wr_encode_aggregates(struct wr_encoder *encoder, struct wr_codec_header *header, const struct wr_aggregate *records,
                                    size_t n, const struct wr_symbol_table *symbols, const uint8_t **ret_body, size_t *ret_len) {
    assert(n > 0 && n <= RECORDS);
    for (unsigned i = 0; i < WR_COLUMNS_PACKED; i++)
        encoder->end[i] = encoder->columns[i];
    encoder->bits = (struct wr_bits){.at = encoder->bit_column};
    wr_buf_clear(&encoder->names);
    wr_buf_clear(&encoder->texts);
    encoder->n_texts = 0;
    find_runs(encoder, records, n);
    sort_records(encoder, n);
    unsigned unit = common_unit(records, n);
    wr_column_byte(encoder, WR_COLUMN_START, (uint8_t)unit);
    struct before before = {0};
    const struct wr_run *previous = NULL;
    for (uint32_t i = 0; i < encoder->n_runs; i++) {
        const struct wr_run *run = &encoder->runs[encoder->sorted[i]];
        WR_TRY(put_run_head(encoder, run, previous));
        WR_TRY(put_run(encoder, run, records, symbols, wr_time_units[unit], &before));
        previous = run;
    }
    WR_TRY(pack_columns(encoder, header));
    header->n = (uint32_t)n;
    time_range(header, records, n);
    end_body(encoder, header, ret_body, ret_len);
    return WR_OK;
}

enum wr_result wr_encode_pack_text(struct wr_buf *packed, const void *text, size_t len) {
    uint8_t head[WR_VARINT_MAX];
    size_t head_len = (size_t)(wr_put_varint(head, len) - head);
    WR_TRY(wr_buf_reserve(packed, head_len + len));
    WR_TRY(wr_buf_append(packed, head, head_len));
    return wr_buf_append(packed, text, len);
}

enum wr_result wr_encode_texts(struct wr_encoder *encoder, struct wr_codec_header *header, const uint8_t *packed, size_t len, size_t n,
                               const uint8_t **ret_body, size_t *ret_len) {
    assert(n > 0 && n <= RECORDS);
    if (len > WR_CODEC_RAW_MAX)
        return WR_LIMIT;
    header->n = (uint32_t)n;
    header->raw_len = (uint32_t)len;
    header->bits_len = 0;
    WR_TRY(begin_body(encoder));
    WR_TRY(compress(encoder, packed, len, MIN_MATCH_USUAL));
    end_body(encoder, header, ret_body, ret_len);
    return WR_OK;
}
