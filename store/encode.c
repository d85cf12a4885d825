/* Aggregates to a segment body. In order: group the records into runs (one series, one window), sort the runs by key, write every run
 * into the columns (its values: encode_values.c), join the columns, compress, put the header in front. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/encode_private.h"

#define RECORDS WR_SEGMENT_RECORDS

enum wr_result wr_encoder_new(struct wr_encoder **ret_encoder) {
    struct wr_encoder *encoder = malloc(sizeof *encoder);
    if (!encoder || wr_pack_init(&encoder->pack) != WR_OK) {
        free(encoder);
        return WR_NO_MEMORY;
    }
    *ret_encoder = encoder;
    return WR_OK;
}

void wr_encoder_free(struct wr_encoder *encoder) {
    if (!encoder)
        return;
    wr_pack_fini(&encoder->pack);
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

/* Columns */

static enum wr_result put_run_head(struct wr_encoder *encoder, const struct wr_run *run, const struct wr_run *previous) {
    size_t shared = wr_runs_shared(previous, run);
    wr_column_varint(encoder, WR_COLUMN_RUN_SHARED, shared);
    wr_column_varint(encoder, WR_COLUMN_RUN_SUFFIX, run->key_len - shared);
    wr_column_byte(encoder, WR_COLUMN_RUN_TYPE, run->type);
    wr_column_zigzag(encoder, WR_COLUMN_RUN_WINDOW, wr_minus(run->window_ns, previous ? previous->window_ns : 0));
    wr_column_varint(encoder, WR_COLUMN_RUN_COUNT, run->count);
    return wr_buf_append(&encoder->pack.names, run->key + shared, run->key_len - shared);
}

static enum wr_result put_text(struct wr_encoder *encoder, uint32_t symbol, const struct wr_symbol_table *symbols) {
    const struct wr_pack_texts texts = {encoder->text_slots, TEXT_SLOTS, encoder->text_symbols};
    uint32_t index;
    WR_TRY(wr_pack_text(&encoder->pack, &texts, symbol, symbols, &index));
    wr_column_varint(encoder, WR_COLUMN_TEXT_INDEX, index);
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

static void end_body(struct wr_encoder *encoder, struct wr_codec_header *header, const uint8_t **ret_body, size_t *ret_len) {
    wr_codec_header_write(encoder->pack.body.data, encoder->pack.body.len, header);
    *ret_body = encoder->pack.body.data;
    *ret_len = encoder->pack.body.len;
}

/* Two frames, because they are compressed differently, then the noise as it is. */
static enum wr_result pack_columns(struct wr_encoder *encoder, struct wr_codec_header *header) {
    static const uint8_t frames[] = {WR_COLUMN_RUN_SHARED, WR_COLUMN_SKEWED};
    struct wr_pack *pack = &encoder->pack;
    struct wr_pack_column columns[WR_COLUMNS_PACKED];
    size_t frame_at[3];
    for (unsigned i = 0; i < WR_COLUMNS_PACKED; i++)
        columns[i] = (struct wr_pack_column){encoder->columns[i], (size_t)(encoder->end[i] - encoder->columns[i])};
    columns[WR_COLUMN_NAMES] = wr_pack_buf_column(&pack->names);
    columns[WR_COLUMN_TEXTS] = wr_pack_buf_column(&pack->texts);
    WR_TRY(wr_pack_join(pack, columns, WR_COLUMNS_PACKED, frames, 2, frame_at));
    WR_TRY(wr_pack_begin_body(pack));
    WR_TRY(wr_pack_frame(pack, pack->raw.data, frame_at[1], WR_PACK_MATCH_USUAL));
    WR_TRY(wr_pack_frame(pack, pack->raw.data + frame_at[1], frame_at[2] - frame_at[1], WR_PACK_MATCH_SKEWED));
    return wr_pack_bits(pack, &encoder->bits, encoder->bit_column, header);
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
    wr_pack_begin(&encoder->pack);
    find_runs(encoder, records, n);
    wr_runs_sort(encoder->runs, encoder->n_runs, encoder->run_of, n, encoder->sorted, encoder->order);
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
    WR_TRY(wr_pack_begin_body(&encoder->pack));
    WR_TRY(wr_pack_frame(&encoder->pack, packed, len, WR_PACK_MATCH_USUAL));
    end_body(encoder, header, ret_body, ret_len);
    return WR_OK;
}
