/* Aggregates to a segment body. In order: group the records into runs (one series, one window), sort the runs by key, write every run
 * into the columns, join the columns, compress, put the header in front. */
#include <assert.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "store/codec_format.h"
#include "store/column.h"

#define RECORDS WR_SEGMENT_RECORDS
#define RUN_SLOTS (4 * RECORDS)
#define TEXT_SLOTS (4 * RECORDS)
#define COLUMN_BYTES (RECORDS * 2 * WR_VARINT_MAX) /* at most two varints a record */
#define FEW_DECIMALS 3                             /* tried where a run has many: a third among round numbers makes them look long */
#define BITS_BYTES (RECORDS * 56)                  /* four numbers of 64 bits and one of 128 a record */
#define ZSTD_LEVEL 1

/* Records of one series and window. */
struct run {
    const char *key;
    uint16_t key_len;
    uint8_t type;
    int64_t window_ns;
    uint32_t count;
    uint32_t at; /* where its records begin in order[] */
};

struct wr_encoder {
    ZSTD_CCtx *zstd;
    struct wr_buf names;
    struct wr_buf texts;
    struct wr_buf raw;
    struct wr_buf body;
    uint32_t n_runs;
    uint32_t n_texts;
    uint8_t *end[WR_COLUMNS]; /* where the next byte of each column goes */
    struct run runs[RECORDS];
    uint16_t run_of[RECORDS]; /* record -> run */
    uint16_t sorted[RECORDS]; /* runs in the order of their keys */
    uint16_t order[RECORDS];  /* records in the order of the segment */
    uint16_t run_slots[RUN_SLOTS];
    uint16_t text_slots[TEXT_SLOTS];
    uint32_t text_symbols[2 * RECORDS];
    struct wr_codes codes[RECORDS]; /* of the run at hand */
    struct wr_bits bits;
    uint8_t bit_column[BITS_BYTES];
    uint8_t columns[WR_COLUMNS][COLUMN_BYTES];
};

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
    size_t weight = 96U + aggregate->key_len;
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
        struct run *run;
        for (;; slot = (slot + 1) % RUN_SLOTS) {
            if (encoder->run_slots[slot] == 0) {
                run = &encoder->runs[encoder->n_runs++];
                *run = (struct run){.key = record->key, .key_len = record->key_len, .type = record->type, .window_ns = record->window_ns};
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
    const struct run *runs = user;
    const struct run *a = &runs[*(const uint16_t *)left];
    const struct run *b = &runs[*(const uint16_t *)right];
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
        struct run *run = &encoder->runs[encoder->sorted[i]];
        run->at = at;
        at += run->count;
        run->count = 0; /* counts up again below */
    }
    for (size_t i = 0; i < n; i++) {
        struct run *run = &encoder->runs[encoder->run_of[i]];
        encoder->order[run->at + run->count++] = (uint16_t)i;
    }
}

/* Columns */

static void put_byte(struct wr_encoder *encoder, enum wr_column column, uint8_t byte) {
    *encoder->end[column]++ = byte;
}

static void put_varint(struct wr_encoder *encoder, enum wr_column column, uint64_t value) {
    encoder->end[column] = wr_put_varint(encoder->end[column], value);
}

static void put_zigzag(struct wr_encoder *encoder, enum wr_column column, int64_t value) {
    encoder->end[column] = wr_put_zigzag(encoder->end[column], value);
}

static size_t shared_prefix(const struct run *previous, const struct run *run) {
    if (!previous)
        return 0;
    size_t shorter = previous->key_len < run->key_len ? previous->key_len : run->key_len;
    size_t shared = 0;
    while (shared < shorter && previous->key[shared] == run->key[shared])
        shared++;
    return shared;
}

static enum wr_result put_run_head(struct wr_encoder *encoder, const struct run *run, const struct run *previous) {
    size_t shared = shared_prefix(previous, run);
    put_varint(encoder, WR_COLUMN_RUN_SHARED, shared);
    put_varint(encoder, WR_COLUMN_RUN_SUFFIX, run->key_len - shared);
    put_byte(encoder, WR_COLUMN_RUN_TYPE, run->type);
    put_zigzag(encoder, WR_COLUMN_RUN_WINDOW, wr_minus(run->window_ns, previous ? previous->window_ns : 0));
    put_varint(encoder, WR_COLUMN_RUN_COUNT, run->count);
    return wr_buf_append(&encoder->names, run->key + shared, run->key_len - shared);
}

static bool codes_in_form(struct wr_codes *codes, unsigned form, const struct wr_aggregate *record) {
    int min;
    int max;
    int first;
    int last;
    codes->form = (uint8_t)form;
    if (!wr_form_code(form, record->min.f, &codes->min, &min) || !wr_form_code(form, record->max.f, &codes->max, &max) ||
        !wr_form_code(form, record->first.f, &codes->first, &first) || !wr_form_code(form, record->last.f, &codes->last, &last))
        return false;
    codes->ulps = (uint8_t)((min + 2) | (max + 2) << 2 | (first + 2) << 4 | (last + 2) << 6);
    return true;
}

static unsigned codes_cost(const struct wr_codes *codes, const struct wr_codes *previous) {
    int64_t before = previous ? wr_form_convert(previous->last, previous->form, codes->form) : 0;
    return wr_width(wr_zigzag(wr_minus(codes->min, before))) + wr_width((uint64_t)wr_minus(codes->max, codes->min)) +
           wr_width((uint64_t)wr_minus(codes->first, codes->min)) + wr_width((uint64_t)wr_minus(codes->last, codes->min)) +
           (codes->ulps == WR_ULPS_NONE ? 0 : 8);
}

/* The fewest places with which a record can be written: exactly if possible, else with neighbours. */
static unsigned detect_decimals(const struct wr_aggregate *record) {
    struct wr_codes codes;
    unsigned found = WR_FORM_DOUBLE;
    for (unsigned places = 0; places <= WR_FORM_DECIMALS_MAX; places++) {
        if (!codes_in_form(&codes, places, record))
            continue;
        if (codes.ulps == WR_ULPS_NONE)
            return places;
        if (found == WR_FORM_DOUBLE)
            found = places;
    }
    return found;
}

/* The form in which a run's doubles are decimals: the most places that any of its readings had, else, where nobody knows, what the first
 * record shows. WR_FORM_DOUBLE: none. */
static unsigned run_decimals(const struct wr_encoder *encoder, const struct run *run, const struct wr_aggregate *records) {
    unsigned most = 0;
    bool known = false;
    const struct wr_aggregate *first = NULL;
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_aggregate *record = &records[encoder->order[run->at + i]];
        if (record->n == 0)
            continue;
        if (!first)
            first = record;
        if (record->decimals <= WR_DECIMALS_MAX) {
            known = true;
            if (record->decimals > most)
                most = record->decimals;
        }
    }
    return known || !first ? most : detect_decimals(first);
}

static bool shorter(const struct wr_codes *a, const struct wr_codes *b, const struct wr_codes *previous) {
    return codes_cost(a, previous) < codes_cost(b, previous);
}

static void choose_double_codes(struct wr_codes *codes, unsigned decimals, const struct wr_aggregate *record,
                                const struct wr_codes *previous) {
    bool found = decimals <= WR_FORM_DECIMALS_MAX && codes_in_form(codes, decimals, record);
    if (found && decimals <= 6)
        return; /* no other form is shorter */
    if (!found && record->decimals != decimals && record->decimals <= WR_DECIMALS_MAX)
        found = codes_in_form(codes, record->decimals, record);
    static const uint8_t others[] = {FEW_DECIMALS, WR_FORM_FLOAT, WR_FORM_DOUBLE};
    for (size_t i = 0; i < sizeof others; i++) {
        struct wr_codes other;
        if (codes_in_form(&other, others[i], record) && (!found || shorter(&other, codes, previous))) {
            *codes = other;
            found = true;
        }
    }
}

/* A number: its width, as a difference to the expected one, into its column; its bits into theirs. */
static void put_number(struct wr_encoder *encoder, enum wr_column widths, wr_u128 value, unsigned expected_width) {
    unsigned width = wr_width128(value);
    put_byte(encoder, widths, (uint8_t)(width - expected_width));
    wr_put_below(&encoder->bits, value, width);
}

static uint8_t end_of(int64_t code, const struct wr_codes *codes, bool has_previous, int64_t previous) {
    if (code == codes->min)
        return WR_END_MIN;
    if (code == codes->max)
        return WR_END_MAX;
    return has_previous && code == previous ? WR_END_PREVIOUS : WR_END_OWN;
}

static void put_codes(struct wr_encoder *encoder, const struct wr_codes *codes, const struct wr_codes *previous) {
    int64_t before_last = previous ? wr_form_convert(previous->last, previous->form, codes->form) : 0;
    unsigned before = previous ? wr_width((uint64_t)wr_minus(previous->max, previous->min)) : 0;
    uint64_t span = (uint64_t)wr_minus(codes->max, codes->min);
    unsigned width = wr_width(span);
    put_number(encoder, WR_COLUMN_MIN_WIDTH, wr_zigzag(wr_minus(codes->min, before_last)), before);
    put_number(encoder, WR_COLUMN_SPAN_WIDTH, span, before);
    uint8_t first = end_of(codes->first, codes, previous != NULL, before_last);
    uint8_t last = end_of(codes->last, codes, true, codes->first);
    put_byte(encoder, WR_COLUMN_ENDS, (uint8_t)(first | last << 2));
    if (first == WR_END_OWN)
        put_number(encoder, WR_COLUMN_FIRST_WIDTH, (uint64_t)wr_minus(codes->first, codes->min), width);
    if (last == WR_END_OWN)
        put_number(encoder, WR_COLUMN_LAST_WIDTH, (uint64_t)wr_minus(codes->last, codes->min), width);
}

/* An exact sum at the decimals of the values' form, in steps; false if it has more of them, or lies between steps. */
static bool rescaled_sum(const struct wr_sum *sum, unsigned form, int64_t step, wr_i128 *ret_scaled) {
    unsigned places = form == WR_FORM_INTEGER ? 0 : form;
    wr_i128 scaled = sum->scaled;
    if (places > WR_DECIMALS_MAX || sum->decimals > places)
        return false;
    for (unsigned i = sum->decimals; i < places; i++)
        if (__builtin_mul_overflow(scaled, (wr_i128)10, &scaled))
            return false;
    if (step > 1 && scaled % step != 0)
        return false;
    *ret_scaled = step > 1 ? scaled / step : scaled;
    return true;
}

static void put_sum_number(struct wr_encoder *encoder, wr_i128 value, wr_i128 expected, const struct wr_codes *codes) {
    unsigned width = wr_width((uint64_t)wr_minus(codes->max, codes->min));
    put_number(encoder, WR_COLUMN_SUM_WIDTH, wr_zigzag128((wr_i128)((wr_u128)value - (wr_u128)expected)), width);
}

static void put_sum(struct wr_encoder *encoder, const struct wr_aggregate *record, const struct wr_codes *codes, int64_t step) {
    wr_i128 scaled;
    int64_t code;
    int ulps;
    if (record->sum.exact) {
        bool same = rescaled_sum(&record->sum, codes->form, step, &scaled);
        put_byte(encoder, WR_COLUMN_SUM_FORM, same ? WR_SUM_EXACT : WR_SUM_OTHER);
        if (!same)
            put_byte(encoder, WR_COLUMN_SUM_EXTRA, record->sum.decimals);
        put_sum_number(encoder, same ? scaled : record->sum.scaled, same ? wr_sum_expected(codes, record->n) : 0, codes);
        return;
    }
    double sum = wr_sum_double(&record->sum);
    if (wr_sum_decimal(codes->form, sum, &code, &ulps) && code % step == 0) {
        put_byte(encoder, WR_COLUMN_SUM_FORM, WR_SUM_DECIMAL);
        put_byte(encoder, WR_COLUMN_SUM_EXTRA, (uint8_t)ulps);
        put_sum_number(encoder, code / step, wr_sum_expected(codes, record->n), codes);
        return;
    }
    double expected = codes->form == WR_FORM_INTEGER ? 0 : wr_sum_expected_double(record->min.f, record->max.f, record->n);
    put_byte(encoder, WR_COLUMN_SUM_FORM, WR_SUM_DOUBLE);
    put_sum_number(encoder, wr_minus(wr_ordered64(sum), wr_ordered64(expected)), 0, codes);
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
    put_varint(encoder, WR_COLUMN_TEXT_INDEX, encoder->text_slots[slot] - 1U);
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
        put_zigzag(encoder, WR_COLUMN_START, wr_minus(start, before->run_start));
        before->run_start = start;
        before->step = window;
    } else {
        int64_t step = wr_minus(start, before->start);
        put_zigzag(encoder, WR_COLUMN_START, wr_minus(step, before->step));
        before->step = step;
    }
    before->start = start;
    put_zigzag(encoder, WR_COLUMN_N, wr_minus((int64_t)record->n, (int64_t)before->n));
    before->n = record->n;
    put_varint(encoder, WR_COLUMN_BAD, record->bad);
    put_byte(encoder, WR_COLUMN_FLAGS, record->flags);
    put_byte(encoder, WR_COLUMN_QUALITY, record->quality);
}

static void make_codes(struct wr_codes *codes, unsigned decimals, const struct wr_aggregate *record, const struct wr_codes *previous) {
    if (record->type == WR_TYPE_FLOAT)
        choose_double_codes(codes, decimals, record, previous);
    else
        *codes = (struct wr_codes){WR_FORM_INTEGER, WR_ULPS_NONE, record->min.i, record->max.i, record->first.i, record->last.i};
}

static uint64_t divisor(uint64_t a, int64_t code) {
    uint64_t b = code < 0 ? 0 - (uint64_t)code : (uint64_t)code;
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static bool has_step(const struct wr_codes *codes) {
    return codes->form <= WR_FORM_DECIMALS_MAX || codes->form == WR_FORM_INTEGER;
}

/* The step of a run: what all its codes are multiples of; a sensor that resolves 0.25 writes multiples of 25. */
static int64_t find_step(const struct wr_codes *codes, uint32_t n) {
    uint64_t step = 0;
    for (uint32_t i = 0; i < n && step != 1; i++)
        if (has_step(&codes[i]))
            step = divisor(divisor(divisor(divisor(step, codes[i].min), codes[i].max), codes[i].first), codes[i].last);
    return step == 0 || step > INT64_MAX ? 1 : (int64_t)step;
}

static void put_values(struct wr_encoder *encoder, const struct wr_aggregate *record, struct wr_codes *codes,
                       const struct wr_codes *previous, int64_t step) {
    if (record->type == WR_TYPE_FLOAT) {
        bool ulps = codes->ulps != WR_ULPS_NONE;
        put_byte(encoder, WR_COLUMN_FORM, (uint8_t)(codes->form | (ulps ? WR_FORM_ULPS : 0)));
        if (ulps)
            put_byte(encoder, WR_COLUMN_ULPS, codes->ulps);
    }
    if (step > 1 && has_step(codes)) {
        codes->min /= step;
        codes->max /= step;
        codes->first /= step;
        codes->last /= step;
    }
    put_codes(encoder, codes, previous);
    put_sum(encoder, record, codes, has_step(codes) ? step : 1);
}

static enum wr_result put_run(struct wr_encoder *encoder, const struct run *run, const struct wr_aggregate *records,
                              const struct wr_symbol_table *symbols, int64_t unit, struct before *before) {
    unsigned decimals = run->type == WR_TYPE_FLOAT ? run_decimals(encoder, run, records) : 0;
    uint32_t n = 0; /* records with codes */
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_aggregate *record = &records[encoder->order[run->at + i]];
        put_common(encoder, record, record->start_ns / unit, i == 0, run->window_ns / unit, before);
        if (record->n == 0)
            continue;
        if (run->type == WR_TYPE_SYMBOL) {
            WR_TRY(put_text(encoder, record->first.symbol, symbols));
            WR_TRY(put_text(encoder, record->last.symbol, symbols));
        } else {
            make_codes(&encoder->codes[n], decimals, record, n > 0 ? &encoder->codes[n - 1] : NULL);
            n++;
        }
    }
    int64_t step = find_step(encoder->codes, n);
    put_varint(encoder, WR_COLUMN_RUN_STEP, (uint64_t)step);
    n = 0;
    for (uint32_t i = 0; i < run->count && run->type != WR_TYPE_SYMBOL; i++) {
        const struct wr_aggregate *record = &records[encoder->order[run->at + i]];
        if (record->n == 0)
            continue;
        put_values(encoder, record, &encoder->codes[n], n > 0 ? &encoder->codes[n - 1] : NULL, step);
        n++;
    }
    return WR_OK;
}

static unsigned common_unit(const struct wr_aggregate *records, size_t n) {
    unsigned unit = WR_TIME_UNITS - 1;
    for (size_t i = 0; i < n; i++)
        while (records[i].start_ns % wr_time_units[unit] != 0)
            unit--; /* ends at 1 ns */
    return unit;
}

/* Joins the columns: the length of each, then all bytes. */
static enum wr_result join_columns(struct wr_encoder *encoder) {
    struct wr_buf *raw = &encoder->raw;
    const uint8_t *data[WR_COLUMNS];
    size_t len[WR_COLUMNS];
    size_t total = 0;
    uint8_t head[WR_COLUMNS * WR_VARINT_MAX];
    uint8_t *end = head;
    for (unsigned i = 0; i < WR_COLUMNS; i++) {
        const struct wr_buf *buf = i == WR_COLUMN_NAMES ? &encoder->names : i == WR_COLUMN_TEXTS ? &encoder->texts : NULL;
        data[i] = buf ? buf->data : i == WR_COLUMN_BITS ? encoder->bit_column : encoder->columns[i];
        len[i] = buf ? buf->len : (size_t)(encoder->end[i] - data[i]);
        total += len[i];
        end = wr_put_varint(end, len[i]);
    }
    wr_buf_clear(raw);
    WR_TRY(wr_buf_reserve(raw, (size_t)(end - head) + total));
    WR_TRY(wr_buf_append(raw, head, (size_t)(end - head)));
    for (unsigned i = 0; i < WR_COLUMNS; i++)
        if (len[i] > 0)
            WR_TRY(wr_buf_append(raw, data[i], len[i]));
    return WR_OK;
}

static enum wr_result compress(struct wr_encoder *encoder, struct wr_codec_header *header, const uint8_t *raw, size_t raw_len,
                               const uint8_t **ret_body, size_t *ret_len) {
    size_t room = ZSTD_compressBound(raw_len);
    wr_buf_clear(&encoder->body);
    if (room > WR_SEGMENT_BODY_MAX - WR_CODEC_HEADER_BYTES)
        room = WR_SEGMENT_BODY_MAX - WR_CODEC_HEADER_BYTES; /* zstd says so if it is not enough */
    WR_TRY(wr_buf_reserve(&encoder->body, WR_CODEC_HEADER_BYTES + room));
    size_t packed = ZSTD_compressCCtx(encoder->zstd, encoder->body.data + WR_CODEC_HEADER_BYTES, room, raw, raw_len, ZSTD_LEVEL);
    if (ZSTD_isError(packed))
        return ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation ? WR_NO_MEMORY : WR_LIMIT;
    encoder->body.len = WR_CODEC_HEADER_BYTES + packed;
    header->raw_len = (uint32_t)raw_len;
    wr_codec_header_write(encoder->body.data, encoder->body.len, header);
    *ret_body = encoder->body.data;
    *ret_len = encoder->body.len;
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
    for (unsigned i = 0; i < WR_COLUMNS; i++)
        encoder->end[i] = encoder->columns[i];
    encoder->bits = (struct wr_bits){.at = encoder->bit_column};
    wr_buf_clear(&encoder->names);
    wr_buf_clear(&encoder->texts);
    encoder->n_texts = 0;
    find_runs(encoder, records, n);
    sort_records(encoder, n);
    unsigned unit = common_unit(records, n);
    put_byte(encoder, WR_COLUMN_START, (uint8_t)unit);
    struct before before = {0};
    const struct run *previous = NULL;
    for (uint32_t i = 0; i < encoder->n_runs; i++) {
        const struct run *run = &encoder->runs[encoder->sorted[i]];
        WR_TRY(put_run_head(encoder, run, previous));
        WR_TRY(put_run(encoder, run, records, symbols, wr_time_units[unit], &before));
        previous = run;
    }
    encoder->end[WR_COLUMN_BITS] = wr_end_bits(&encoder->bits);
    WR_TRY(join_columns(encoder));
    header->n = (uint32_t)n;
    time_range(header, records, n);
    return compress(encoder, header, encoder->raw.data, encoder->raw.len, ret_body, ret_len);
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
    return compress(encoder, header, packed, len, ret_body, ret_len);
}
