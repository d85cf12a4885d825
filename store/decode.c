/* A segment body to records. Everything in the body is checked before it is used: the CRC keeps out accidents, not forgeries. */
#include <stdlib.h>

#include "store/before.h"
#include "store/unpack.h"

#define RECORDS WR_SEGMENT_RECORDS

struct wr_decoder {
    struct wr_unpack unpack;
    struct wr_cursor packed; /* texts of alarms and gaps */
    struct wr_buf text;      /* the one given out */
    uint32_t n_runs;
    uint32_t run;    /* at hand */
    uint32_t in_run; /* records of it given out */
    uint32_t given;  /* records given out in all */
    int64_t unit_ns;
    /* What the next record is predicted from. */
    int64_t run_start;
    int64_t start;
    int64_t step;
    uint64_t n;
    struct wr_before before;
    struct wr_run runs[RECORDS];
    struct wr_grid grids[RECORDS];
};

enum wr_result wr_decoder_new(struct wr_decoder **ret_decoder) {
    struct wr_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return WR_NO_MEMORY;
    wr_buf_init(&decoder->text, WR_CODEC_RAW_MAX);
    if (wr_unpack_init(&decoder->unpack, RECORDS, (size_t)2 * RECORDS) != WR_OK) {
        wr_decoder_free(decoder);
        return WR_NO_MEMORY;
    }
    *ret_decoder = decoder;
    return WR_OK;
}

void wr_decoder_free(struct wr_decoder *decoder) {
    if (!decoder)
        return;
    wr_unpack_fini(&decoder->unpack);
    wr_buf_fini(&decoder->text);
    free(decoder);
}

static enum wr_result corrupt(const struct wr_decoder *decoder, struct wr_error *err, const char *what) {
    return wr_unpack_corrupt(&decoder->unpack, err, what);
}

static enum wr_result read_runs(struct wr_decoder *decoder, struct wr_error *err) {
    struct wr_cursor *types = &decoder->unpack.columns[WR_COLUMN_RUN_TYPE];
    int64_t window_ns = 0;
    uint32_t records = 0;
    decoder->n_runs = 0;
    while (types->at < types->end) {
        if (decoder->n_runs == decoder->unpack.header.n)
            return corrupt(decoder, err, "it has more series than records");
        struct wr_grid *grid = &decoder->grids[decoder->n_runs];
        struct wr_run *run = &decoder->runs[decoder->n_runs++];
        run->type = wr_get_byte(types);
        window_ns = wr_plus(window_ns, wr_get_zigzag(&decoder->unpack.columns[WR_COLUMN_RUN_WINDOW]));
        run->window_ns = window_ns;
        uint64_t count = wr_get_varint(&decoder->unpack.columns[WR_COLUMN_RUN_COUNT]);
        if (run->type < WR_TYPE_FLOAT || run->type > WR_TYPE_SYMBOL || window_ns < 0 || count == 0 ||
            count > decoder->unpack.header.n - records)
            return corrupt(decoder, err, "a series has no sensible type, window or count");
        run->count = (uint32_t)count;
        if (run->type != WR_TYPE_SYMBOL && !wr_unpack_grid(&decoder->unpack.columns[WR_COLUMN_RUN_GRID], run->type, grid))
            return corrupt(decoder, err, "a series has no sensible grid");
        records += run->count;
    }
    if (records != decoder->unpack.header.n)
        return corrupt(decoder, err, "it has fewer records than its header says");
    return wr_unpack_keys(&decoder->unpack, decoder->runs, decoder->n_runs, WR_COLUMN_RUN_SHARED, WR_COLUMN_RUN_SUFFIX, WR_COLUMN_NAMES,
                          err);
}

enum wr_result wr_decode_begin(struct wr_decoder *decoder, const uint8_t *body, size_t len, struct wr_codec_header *ret_header,
                               struct wr_error *err) {
    decoder->given = 0;
    decoder->unpack.header.n = 0; /* nothing to give if what follows fails */
    struct wr_codec_header header;
    WR_TRY(wr_codec_check(body, len, &header, err));
    if (header.kind == WR_SEGMENT_RAW)
        return wr_error_set(err, WR_UNSUPPORTED, "segment %lld has raw readings", (long long)header.seq);
    decoder->unpack.header = header;
    decoder->unpack.header.n = 0;
    WR_TRY(wr_unpack_body(&decoder->unpack, body + WR_CODEC_HEADER_BYTES, len - WR_CODEC_HEADER_BYTES, err));
    decoder->run = 0;
    decoder->in_run = 0;
    decoder->run_start = 0;
    decoder->n = 0;
    decoder->packed = (struct wr_cursor){decoder->unpack.raw.data, decoder->unpack.raw.data + decoder->unpack.raw.len, false};
    if (header.kind == WR_SEGMENT_AGGREGATES) {
        WR_TRY(wr_unpack_columns(&decoder->unpack, WR_COLUMNS_PACKED, err));
        const uint8_t unit = wr_get_byte(&decoder->unpack.columns[WR_COLUMN_START]);
        if (unit >= WR_TIME_UNITS)
            return corrupt(decoder, err, "its times have an unknown unit");
        decoder->unit_ns = wr_time_units[unit];
        decoder->unpack.header.n = header.n;
        enum wr_result result = read_runs(decoder, err);
        if (result == WR_OK)
            result = wr_unpack_texts(&decoder->unpack, WR_COLUMN_TEXTS, err);
        if (result != WR_OK) {
            decoder->unpack.header.n = 0;
            return result;
        }
    }
    decoder->unpack.header.n = header.n;
    *ret_header = header;
    return WR_OK;
}

/* Records */

static void get_common(struct wr_decoder *decoder, const struct wr_run *run, struct wr_aggregate *record) {
    int64_t difference = wr_get_zigzag(&decoder->unpack.columns[WR_COLUMN_START]);
    if (decoder->in_run == 0) {
        decoder->start = wr_plus(decoder->run_start, difference);
        decoder->run_start = decoder->start;
        decoder->step = run->window_ns / decoder->unit_ns;
        decoder->before = (struct wr_before){0};
    } else {
        decoder->step = wr_plus(decoder->step, difference);
        decoder->start = wr_plus(decoder->start, decoder->step);
    }
    record->start_ns = (int64_t)((uint64_t)decoder->start * (uint64_t)decoder->unit_ns);
    record->n = decoder->n = decoder->n + (uint64_t)wr_get_zigzag(&decoder->unpack.columns[WR_COLUMN_N]);
    record->bad = wr_get_varint(&decoder->unpack.columns[WR_COLUMN_BAD]);
    record->flags = wr_get_byte(&decoder->unpack.columns[WR_COLUMN_FLAGS]);
    record->quality = wr_get_byte(&decoder->unpack.columns[WR_COLUMN_QUALITY]);
}

/* *ret_width is the width of the number. */
static int64_t get_number(struct wr_decoder *decoder, enum wr_column widths, unsigned expected_width, unsigned *ret_width) {
    uint8_t width = (uint8_t)(wr_get_byte(&decoder->unpack.columns[widths]) + expected_width);
    *ret_width = width;
    return (int64_t)wr_get_number(&decoder->unpack.bits, width);
}

static int8_t get_fine(struct wr_decoder *decoder, bool fine) {
    return fine ? (int8_t)wr_get_byte(&decoder->unpack.columns[WR_COLUMN_FINE]) : 0;
}

static void get_codes(struct wr_decoder *decoder, const struct wr_grid *grid, struct wr_codes *codes) {
    struct wr_before *before = &decoder->before;
    bool fine = codes->form == WR_FORM_FRACTION && grid->fine_bits > 0;
    uint8_t ends = wr_get_byte(&decoder->unpack.columns[WR_COLUMN_ENDS]);
    unsigned first = ends & 3;
    unsigned last = ends >> 2 & 3;
    unsigned width;
    int64_t step = wr_unzigzag((uint64_t)get_number(decoder, WR_COLUMN_FIRST_WIDTH, wr_before_width(before), &width));
    if (before->known)
        wr_average_learn(&before->first, width);
    codes->first = codes->min = codes->max = wr_plus(wr_before_code(before, grid, codes->form), step);
    codes->fine_first = codes->fine_min = codes->fine_max = get_fine(decoder, fine);
    if (first == WR_END_MAX || first == WR_END_OWN) {
        codes->min = wr_minus(codes->first, get_number(decoder, WR_COLUMN_LOW_WIDTH, wr_average_expect(&before->reach), &width));
        wr_average_learn(&before->reach, width);
        codes->fine_min = get_fine(decoder, fine);
    }
    if (first == WR_END_MIN || first == WR_END_OWN) {
        codes->max = wr_plus(codes->first, get_number(decoder, WR_COLUMN_HIGH_WIDTH, wr_average_expect(&before->reach), &width));
        wr_average_learn(&before->reach, width);
        codes->fine_max = get_fine(decoder, fine);
    }
    if (last == WR_END_OWN) {
        codes->last = wr_plus(codes->min, get_number(decoder, WR_COLUMN_LAST_WIDTH, wr_width(wr_span(codes)), &width));
        codes->fine_last = get_fine(decoder, fine);
    } else {
        codes->last = last == WR_END_MIN ? codes->min : last == WR_END_MAX ? codes->max : codes->first;
        codes->fine_last = last == WR_END_MIN ? codes->fine_min : last == WR_END_MAX ? codes->fine_max : codes->fine_first;
    }
}

static enum wr_result get_fraction_sum(struct wr_decoder *decoder, const struct wr_grid *grid, wr_u128 code, uint8_t decimals,
                                       struct wr_sum *sum, struct wr_error *err) {
    struct wr_cursor *column = &decoder->unpack.columns[WR_COLUMN_SUM_FINE];
    int64_t fine = grid->fine_bits > 0 ? wr_get_zigzag(column) : 0;
    int64_t rest = wr_get_zigzag(column);
    if (decimals > WR_DECIMALS_MAX)
        return corrupt(decoder, err, "a sum has too many decimals");
    const wr_u128 near = wr_i128_unsigned(wr_sum_fraction(grid, (int64_t)wr_u128_low(code), fine, decimals));
    sum->scaled = wr_i128_signed(wr_u128_add(near, wr_i128_unsigned(wr_i128_of(rest))));
    sum->decimals = decimals;
    return WR_OK;
}

static enum wr_result get_sum(struct wr_decoder *decoder, struct wr_aggregate *record, const struct wr_grid *grid,
                              const struct wr_codes *codes, struct wr_error *err) {
    uint8_t form = wr_get_byte(&decoder->unpack.columns[WR_COLUMN_SUM_FORM]);
    bool integer = codes->form == WR_FORM_INTEGER;
    bool fraction = codes->form == WR_FORM_FRACTION;
    bool has_extra = form == WR_SUM_OTHER || form == WR_SUM_DECIMAL || (form == WR_SUM_EXACT && fraction);
    uint8_t extra = has_extra ? wr_get_byte(&decoder->unpack.columns[WR_COLUMN_SUM_EXTRA]) : 0;
    uint8_t width = (uint8_t)(wr_get_byte(&decoder->unpack.columns[WR_COLUMN_SUM_WIDTH]) + wr_width(wr_span(codes)));
    wr_u128 coded = width > 57 ? wr_get_wide(&decoder->unpack.bits, width) : wr_u128_of(wr_get_number(&decoder->unpack.bits, width));
    wr_u128 difference = wr_i128_unsigned(wr_unzigzag128(coded));
    wr_u128 whole = wr_u128_add(wr_i128_unsigned(wr_sum_expected(codes, record->n)), difference);
    struct wr_sum *sum = &record->sum;
    uint64_t step = wr_form_steps(grid, codes->form) ? (uint64_t)grid->step : 1;
    sum->exact = form <= WR_SUM_OTHER;
    switch (form) {
    case WR_SUM_EXACT:
        if (fraction) {
            WR_TRY(get_fraction_sum(decoder, grid, whole, extra, sum, err));
            break;
        }
        sum->scaled = wr_i128_signed(wr_u128_multiply(whole, step));
        sum->decimals = integer ? 0 : codes->form;
        break;
    case WR_SUM_OTHER:
        if (extra > WR_DECIMALS_MAX)
            return corrupt(decoder, err, "a sum has too many decimals");
        sum->scaled = wr_i128_signed(wr_u128_add(wr_i128_unsigned(wr_sum_expected_scaled(record, extra)), difference));
        sum->decimals = extra;
        break;
    case WR_SUM_DECIMAL:
        if (codes->form > WR_FORM_DECIMALS_MAX)
            return corrupt(decoder, err, "a sum is a decimal, its values are not");
        *sum = (struct wr_sum){.approx =
                                   wr_sum_decimal_value(codes->form, (int64_t)wr_u128_low(wr_u128_multiply(whole, step)), (int8_t)extra)};
        break;
    case WR_SUM_DOUBLE:
        *sum = (struct wr_sum){.approx =
                                   wr_unordered64(wr_plus(wr_ordered64(wr_sum_expected_double(record)), (int64_t)wr_u128_low(difference)))};
        break;
    default:
        return corrupt(decoder, err, "a sum has an unknown form");
    }
    if (sum->exact && sum->decimals > WR_DECIMALS_MAX)
        return corrupt(decoder, err, "a sum has too many decimals");
    record->decimals = sum->exact && !integer ? sum->decimals : WR_DECIMALS_UNKNOWN;
    return WR_OK;
}

static enum wr_result get_form(struct wr_decoder *decoder, const struct wr_grid *grid, struct wr_codes *codes, struct wr_error *err) {
    uint8_t form = wr_get_byte(&decoder->unpack.columns[WR_COLUMN_FORM]);
    bool ulps = (form & WR_FORM_ULPS) != 0;
    codes->form = form & (uint8_t)~WR_FORM_ULPS;
    if (codes->form > WR_FORM_DOUBLE || (ulps && codes->form > WR_FORM_DECIMALS_MAX) ||
        (codes->form == WR_FORM_FRACTION && grid->parts == 0))
        return corrupt(decoder, err, "a value has an unknown form");
    if (ulps)
        codes->ulps = wr_get_byte(&decoder->unpack.columns[WR_COLUMN_ULPS]);
    return WR_OK;
}

/* shift says which two bits of codes->ulps are this value's. */
static union wr_value value_of(const struct wr_grid *grid, const struct wr_codes *codes, int64_t code, int8_t fine, unsigned shift) {
    if (wr_form_steps(grid, codes->form))
        code = (int64_t)((uint64_t)code * (uint64_t)grid->step);
    if (codes->form == WR_FORM_INTEGER)
        return (union wr_value){.i = code};
    struct wr_code whole = {.code = code, .ulps = (int8_t)((codes->ulps >> shift & 3) - 2), .fine = fine};
    return (union wr_value){.f = wr_form_value(grid, codes->form, whole)};
}

static enum wr_result get_values(struct wr_decoder *decoder, struct wr_aggregate *record, struct wr_error *err) {
    const struct wr_grid *grid = &decoder->grids[decoder->run];
    struct wr_codes codes = {.form = WR_FORM_INTEGER, .ulps = WR_ULPS_NONE};
    if (record->type == WR_TYPE_FLOAT)
        WR_TRY(get_form(decoder, grid, &codes, err));
    get_codes(decoder, grid, &codes);
    record->min = value_of(grid, &codes, codes.min, codes.fine_min, 0);
    record->max = value_of(grid, &codes, codes.max, codes.fine_max, 2);
    record->first = value_of(grid, &codes, codes.first, codes.fine_first, 4);
    record->last = value_of(grid, &codes, codes.last, codes.fine_last, 6);
    WR_TRY(get_sum(decoder, record, grid, &codes, err));
    wr_before_learn(&decoder->before, &codes, record->last);
    return WR_OK;
}

static enum wr_result get_texts(struct wr_decoder *decoder, struct wr_aggregate *record, struct wr_error *err) {
    uint64_t first = wr_get_varint(&decoder->unpack.columns[WR_COLUMN_TEXT_INDEX]);
    uint64_t last = wr_get_varint(&decoder->unpack.columns[WR_COLUMN_TEXT_INDEX]);
    if (first >= decoder->unpack.n_texts || last >= decoder->unpack.n_texts)
        return corrupt(decoder, err, "a text is missing");
    record->first_text = decoder->unpack.texts[first];
    record->last_text = decoder->unpack.texts[last];
    return WR_OK;
}

enum wr_result wr_decode_aggregate(struct wr_decoder *decoder, struct wr_aggregate *ret_aggregate, struct wr_error *err) {
    if (decoder->given == decoder->unpack.header.n)
        return WR_EMPTY;
    if (decoder->unpack.header.kind != WR_SEGMENT_AGGREGATES)
        return wr_error_set(err, WR_INVALID, "segment %lld has no aggregates", (long long)decoder->unpack.header.seq);
    const struct wr_run *run = &decoder->runs[decoder->run];
    struct wr_aggregate record = {.key = run->key,
                                  .key_len = run->key_len,
                                  .type = run->type,
                                  .decimals = WR_DECIMALS_UNKNOWN,
                                  .window_ns = run->window_ns,
                                  .sum = wr_sum_zero()};
    get_common(decoder, run, &record);
    if (record.n > 0)
        WR_TRY(run->type == WR_TYPE_SYMBOL ? get_texts(decoder, &record, err) : get_values(decoder, &record, err));
    if (record.quality > WR_QUALITY_BAD)
        return corrupt(decoder, err, "a record has an unknown quality");
    if (wr_unpack_past_end(&decoder->unpack))
        return corrupt(decoder, err, "a column ends too early");
    decoder->given++;
    if (++decoder->in_run == run->count) {
        decoder->run++;
        decoder->in_run = 0;
    }
    *ret_aggregate = record;
    return WR_OK;
}

const char *wr_decode_run(const struct wr_decoder *decoder, uint32_t run, size_t *ret_key_len) {
    if (run >= decoder->n_runs)
        return NULL;
    *ret_key_len = decoder->runs[run].key_len;
    return decoder->runs[run].key;
}

enum wr_result wr_decode_text(struct wr_decoder *decoder, const char **ret_text, size_t *ret_len, struct wr_error *err) {
    if (decoder->given == decoder->unpack.header.n)
        return WR_EMPTY;
    if (decoder->unpack.header.kind == WR_SEGMENT_AGGREGATES)
        return wr_error_set(err, WR_INVALID, "segment %lld has aggregates, not texts", (long long)decoder->unpack.header.seq);
    uint64_t len = wr_get_varint(&decoder->packed);
    if (decoder->packed.bad || len > (size_t)(decoder->packed.end - decoder->packed.at))
        return corrupt(decoder, err, "a text is not all there");
    wr_buf_clear(&decoder->text);
    if (wr_buf_append(&decoder->text, decoder->packed.at, (size_t)len) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a text of %zu bytes", (size_t)len);
    decoder->packed.at += len;
    decoder->given++;
    *ret_text = wr_buf_str(&decoder->text);
    *ret_len = (size_t)len;
    return WR_OK;
}
