/* A segment body to raw readings. Everything in the body is checked before it is used: the CRC keeps out accidents, not forgeries. */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/raw_format.h"

/* Readings of one series. */
struct run {
    const char *key;
    uint16_t key_len;
    uint8_t type;
    uint32_t count;
    uint32_t at; /* of its first reading */
    struct wr_grid grid;
    uint8_t has;  /* WR_RAW_HAS_... */
    uint8_t form; /* the usual one */
    uint8_t scale;
    uint64_t constant;
};

struct wr_raw_decoder {
    ZSTD_DCtx *zstd;
    struct wr_buf raw;
    struct wr_buf keys;
    const char **texts; /* into raw */
    size_t n_texts;
    struct wr_codec_header header;
    struct wr_cursor columns[WR_RAW_COLUMNS];
    struct wr_bit_cursor bits;
    uint32_t n_runs;
    uint32_t run;    /* at hand */
    uint32_t in_run; /* readings of it given out */
    uint32_t given;
    int64_t times_start_ns;
    struct wr_raw_before before;
    struct wr_raw_scale scale;
    unsigned step;        /* the step before: which column has the next value */
    unsigned n_ulps;      /* of this run, given out */
    uint8_t two_ulps;     /* the byte at hand */
    union wr_value first; /* the first one that had a number of the last run that had any, and its type */
    uint8_t first_type;
    struct run runs[WR_SEGMENT_READINGS];
    int64_t times_ns[WR_SEGMENT_READINGS]; /* of the runs up to the one at hand */
};

enum wr_result wr_raw_decoder_new(struct wr_raw_decoder **ret_decoder) {
    struct wr_raw_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return WR_NO_MEMORY;
    wr_buf_init(&decoder->raw, WR_CODEC_RAW_MAX + WR_SEGMENT_BODY_MAX + 1);
    wr_buf_init(&decoder->keys, (size_t)WR_SEGMENT_READINGS * WR_SERIES_KEY_BYTES + 1);
    decoder->texts = calloc(WR_SEGMENT_READINGS, sizeof *decoder->texts);
    decoder->zstd = ZSTD_createDCtx();
    if (!decoder->texts || !decoder->zstd) {
        wr_raw_decoder_free(decoder);
        return WR_NO_MEMORY;
    }
    *ret_decoder = decoder;
    return WR_OK;
}

void wr_raw_decoder_free(struct wr_raw_decoder *decoder) {
    if (!decoder)
        return;
    ZSTD_freeDCtx(decoder->zstd);
    wr_buf_fini(&decoder->raw);
    wr_buf_fini(&decoder->keys);
    free(decoder->texts);
    free(decoder);
}

static enum wr_result corrupt(const struct wr_raw_decoder *decoder, struct wr_error *err, const char *what) {
    return wr_error_set(err, WR_CORRUPT, "segment %lld: %s", (long long)decoder->header.seq, what);
}

static bool is_old(const struct wr_raw_decoder *decoder) {
    return decoder->header.version == 1;
}

/* -- begin --------------------------------------------------------------------------------------------------------------------------------- */

/* What was compressed, a NUL, the bits. */
static enum wr_result unpack(struct wr_raw_decoder *decoder, const uint8_t *packed, size_t len, struct wr_error *err) {
    const size_t raw_len = decoder->header.raw_len;
    const size_t bits_len = decoder->header.bits_len;
    if (bits_len > len)
        return corrupt(decoder, err, "its bits are not all there");
    wr_buf_clear(&decoder->raw);
    if (wr_buf_reserve(&decoder->raw, raw_len + 1 + bits_len) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a segment of %zu bytes", raw_len);
    const size_t got = ZSTD_decompressDCtx(decoder->zstd, decoder->raw.data, raw_len, packed, len - bits_len);
    if (ZSTD_isError(got) || got != raw_len)
        return corrupt(decoder, err, "its payload does not unpack");
    decoder->raw.len = raw_len;
    decoder->raw.data[raw_len] = 0;
    uint8_t *bits = decoder->raw.data + raw_len + 1;
    if (bits_len > 0)
        memcpy(bits, packed + len - bits_len, bits_len);
    decoder->bits = (struct wr_bit_cursor){.bytes = bits, .n_bytes = bits_len};
    return WR_OK;
}

static enum wr_result split_columns(struct wr_raw_decoder *decoder, struct wr_error *err) {
    const unsigned n = is_old(decoder) ? WR_RAW_COLUMNS_1 : WR_RAW_COLUMNS;
    struct wr_cursor raw = {decoder->raw.data, decoder->raw.data + decoder->raw.len, false};
    uint64_t len[WR_RAW_COLUMNS] = {0};
    for (unsigned i = 0; i < n; i++)
        len[i] = wr_get_varint(&raw);
    for (unsigned i = 0; i < WR_RAW_COLUMNS; i++) {
        if (raw.bad || len[i] > (size_t)(raw.end - raw.at))
            return corrupt(decoder, err, "a column is not all there");
        decoder->columns[i] = (struct wr_cursor){raw.at, raw.at + len[i], false};
        raw.at += len[i];
    }
    return raw.at == raw.end ? WR_OK : corrupt(decoder, err, "there are bytes after its last column");
}

/* The front-coded keys: each is a prefix of the one before and a suffix of its own. */
static enum wr_result read_keys(struct wr_raw_decoder *decoder, struct wr_error *err) {
    struct wr_cursor shared = decoder->columns[WR_RAW_RUN_SHARED];
    struct wr_cursor suffix = decoder->columns[WR_RAW_RUN_SUFFIX];
    size_t total = 1;
    for (uint32_t i = 0; i < decoder->n_runs; i++) {
        const uint64_t a = wr_get_varint(&shared);
        const uint64_t b = wr_get_varint(&suffix);
        if (a > WR_SERIES_KEY_BYTES || b > WR_SERIES_KEY_BYTES || a + b > WR_SERIES_KEY_BYTES)
            return corrupt(decoder, err, "a series key is too long");
        total += (size_t)(a + b);
    }
    wr_buf_clear(&decoder->keys);
    if (wr_buf_reserve(&decoder->keys, total) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %zu bytes of series keys", total);
    struct wr_cursor *names = &decoder->columns[WR_RAW_NAMES];
    char *to = (char *)decoder->keys.data;
    const char *before = NULL;
    size_t before_len = 0;
    for (uint32_t i = 0; i < decoder->n_runs; i++) {
        const size_t a = (size_t)wr_get_varint(&decoder->columns[WR_RAW_RUN_SHARED]);
        const size_t b = (size_t)wr_get_varint(&decoder->columns[WR_RAW_RUN_SUFFIX]);
        if (a > before_len || b > (size_t)(names->end - names->at))
            return corrupt(decoder, err, "a series key is not all there");
        if (a > 0)
            memcpy(to, before, a);
        memcpy(to + a, names->at, b);
        names->at += b;
        if (!wr_series_key_valid(to, a + b))
            return corrupt(decoder, err, "a series key is not canonical");
        decoder->runs[i].key = to;
        decoder->runs[i].key_len = (uint16_t)(a + b);
        before = to;
        before_len = a + b;
        to += a + b;
    }
    return WR_OK;
}

static bool get_grid(struct wr_cursor *column, struct run *run) {
    const uint64_t step = wr_get_varint(column);
    run->grid = (struct wr_grid){.step = (int64_t)step, .decimals = WR_FORM_DOUBLE};
    if (step == 0 || step > INT64_MAX)
        return false;
    if (run->type != WR_TYPE_FLOAT)
        return true;
    run->grid.decimals = wr_get_byte(column);
    const uint64_t parts = wr_get_varint(column);
    if (run->grid.decimals > WR_FORM_DOUBLE || parts > WR_GRID_PARTS_MAX)
        return false;
    run->grid.parts = (uint32_t)parts;
    if (parts == 0)
        return true;
    run->grid.digits = wr_get_byte(column);
    run->grid.fine_bits = wr_get_byte(column);
    return run->grid.digits > 0 && run->grid.digits <= WR_GRID_DIGITS_MAX && run->grid.fine_bits <= WR_GRID_FINE_MAX;
}

/* What version 2 has behind the grid. */
static bool get_form(struct wr_cursor *column, struct run *run) {
    run->has = wr_get_byte(column);
    for (unsigned shift = 0; shift < 64 && run->has & WR_RAW_HAS_CONSTANT; shift += 8)
        run->constant |= (uint64_t)wr_get_byte(column) << shift;
    run->form = run->type == WR_TYPE_FLOAT ? wr_get_byte(column) : WR_FORM_INTEGER;
    run->scale = wr_get_byte(column);
    return run->has <= WR_RAW_HAS_MAX && run->scale <= WR_RAW_ADAPTS;
}

static enum wr_result read_runs(struct wr_raw_decoder *decoder, struct wr_error *err) {
    struct wr_cursor *types = &decoder->columns[WR_RAW_RUN_TYPE];
    uint32_t readings = 0;
    decoder->n_runs = 0;
    while (types->at < types->end) {
        if (decoder->n_runs == decoder->header.n)
            return corrupt(decoder, err, "it has more series than readings");
        struct run *run = &decoder->runs[decoder->n_runs++];
        *run = (struct run){.type = wr_get_byte(types), .at = readings};
        const uint64_t count = wr_get_varint(&decoder->columns[WR_RAW_RUN_COUNT]);
        if (run->type < WR_TYPE_FLOAT || run->type > WR_TYPE_SYMBOL || count == 0 || count > decoder->header.n - readings)
            return corrupt(decoder, err, "a series has no sensible type or count");
        run->count = (uint32_t)count;
        struct wr_cursor *grid = &decoder->columns[WR_RAW_RUN_GRID];
        if (run->type != WR_TYPE_SYMBOL && (!get_grid(grid, run) || (!is_old(decoder) && !get_form(grid, run))))
            return corrupt(decoder, err, "a series has no sensible grid");
        readings += run->count;
    }
    if (readings != decoder->header.n)
        return corrupt(decoder, err, "it has fewer readings than its header says");
    return read_keys(decoder, err);
}

/* Texts are NUL-terminated where they stand: each moves down over the length in front of it. */
static enum wr_result read_texts(struct wr_raw_decoder *decoder, struct wr_error *err) {
    struct wr_cursor *texts = &decoder->columns[WR_RAW_TEXTS];
    uint8_t *base = decoder->raw.data;
    decoder->n_texts = 0;
    while (texts->at < texts->end) {
        const size_t head = (size_t)(texts->at - base);
        const uint64_t len = wr_get_varint(texts);
        if (texts->bad || len > (size_t)(texts->end - texts->at) || decoder->n_texts == WR_SEGMENT_READINGS)
            return corrupt(decoder, err, "a text is not all there");
        memmove(base + head, texts->at, (size_t)len);
        base[head + len] = 0;
        if (memchr(base + head, 0, (size_t)len))
            return corrupt(decoder, err, "a text contains a NUL");
        decoder->texts[decoder->n_texts++] = (const char *)base + head;
        texts->at += len;
    }
    return WR_OK;
}

enum wr_result wr_raw_decode_begin(struct wr_raw_decoder *decoder, const uint8_t *body, size_t len, struct wr_codec_header *ret_header,
                                   struct wr_error *err) {
    struct wr_codec_header header;
    decoder->given = 0;
    decoder->n_runs = 0;
    decoder->header.n = 0; /* nothing to give if what follows fails */
    WR_TRY(wr_codec_check(body, len, &header, err));
    if (header.kind != WR_SEGMENT_RAW)
        return wr_error_set(err, WR_UNSUPPORTED, "segment %lld has no raw readings", (long long)header.seq);
    decoder->header = header;
    decoder->run = 0;
    decoder->in_run = 0;
    decoder->times_start_ns = 0;
    decoder->first_type = 0;
    enum wr_result result = unpack(decoder, body + WR_CODEC_HEADER_BYTES, len - WR_CODEC_HEADER_BYTES, err);
    if (result == WR_OK)
        result = split_columns(decoder, err);
    if (result == WR_OK)
        result = read_runs(decoder, err);
    if (result == WR_OK)
        result = read_texts(decoder, err);
    if (result != WR_OK) {
        decoder->header.n = 0;
        decoder->n_runs = 0;
        return result;
    }
    *ret_header = header;
    return WR_OK;
}

/* -- readings ------------------------------------------------------------------------------------------------------------------------------ */

/* Version 1: the width as a difference to the expected one. */
static uint64_t get_old_number(struct wr_raw_decoder *decoder, enum wr_raw_column column, struct wr_average *widths, bool learns) {
    const uint8_t width = (uint8_t)(wr_get_byte(&decoder->columns[column]) + wr_average_expect(widths));
    if (learns)
        wr_average_learn(widths, width);
    return wr_get_number(&decoder->bits, width);
}

/* What the byte of a number stands for. */
static uint64_t get_number(struct wr_raw_decoder *decoder, uint8_t byte, struct wr_raw_scale *scale) {
    uint64_t number;
    if (byte < WR_RAW_PLAIN) {
        const unsigned below = wr_raw_scale_now(scale);
        number = (uint64_t)byte << below | (wr_get_number(&decoder->bits, below + 1) ^ UINT64_C(1) << below);
    } else {
        number = wr_get_number(&decoder->bits, byte - WR_RAW_PLAIN); /* one that is too wide is told as bits that are missing */
    }
    wr_raw_scale_learn(scale, number);
    return number;
}

/* The first one, and what is between two others, in units. */
static enum wr_result read_steps(struct wr_raw_decoder *decoder, const struct run *run, int64_t unit, int64_t *times_ns,
                                 struct wr_error *err) {
    struct wr_cursor *column = &decoder->columns[WR_RAW_RUN_TIMES];
    struct wr_raw_scale scale = {0};
    int64_t start = is_old(decoder) ? wr_get_zigzag(column) : 0;
    const int64_t period = wr_get_zigzag(column);
    if (!is_old(decoder)) {
        scale.scale = wr_get_byte(column);
        start = wr_get_zigzag(column);
    }
    if (scale.scale > WR_RAW_ADAPTS)
        return corrupt(decoder, err, "its times have no sensible scale");
    int64_t at = wr_plus(start, decoder->times_start_ns / unit);
    for (uint32_t i = 0; i < run->count; i++) {
        if (i > 0) {
            const uint64_t off = is_old(decoder) ? get_old_number(decoder, WR_RAW_TIME, &scale.widths, true)
                                                 : get_number(decoder, wr_get_byte(&decoder->columns[WR_RAW_TIME]), &scale);
            at = wr_plus(wr_plus(at, period), wr_unzigzag(off));
        }
        times_ns[i] = (int64_t)((uint64_t)at * (uint64_t)unit);
    }
    return WR_OK;
}

/* All times of a run, when its first reading is asked for. */
static enum wr_result read_times(struct wr_raw_decoder *decoder, const struct run *run, struct wr_error *err) {
    struct wr_cursor *column = &decoder->columns[WR_RAW_RUN_TIMES];
    int64_t *times_ns = &decoder->times_ns[run->at];
    const uint64_t back = wr_get_varint(column);
    if (back > decoder->run)
        return corrupt(decoder, err, "a series has the times of none");
    if (back > 0) {
        const struct run *other = run - back;
        if (other->count != run->count)
            return corrupt(decoder, err, "a series has the times of one that is shorter or longer");
        memcpy(times_ns, &decoder->times_ns[other->at], run->count * sizeof *times_ns);
        return WR_OK;
    }
    const uint8_t unit_index = wr_get_byte(column);
    if (unit_index >= WR_TIME_UNITS)
        return corrupt(decoder, err, "its times have an unknown unit");
    WR_TRY(read_steps(decoder, run, wr_time_units[unit_index], times_ns, err));
    decoder->times_start_ns = times_ns[0];
    return WR_OK;
}

static enum wr_result begin_run(struct wr_raw_decoder *decoder, const struct run *run, struct wr_error *err) {
    WR_TRY(read_times(decoder, run, err));
    decoder->scale = (struct wr_raw_scale){.scale = run->scale};
    decoder->step = 0;
    decoder->n_ulps = 0;
    decoder->before = (struct wr_raw_before){
        .known = !is_old(decoder) && decoder->first_type == run->type, .form = WR_RAW_FORM_NONE, .value = decoder->first};
    return WR_OK;
}

/* Two stand in a byte, from the lower half. */
static int8_t get_ulps(struct wr_raw_decoder *decoder) {
    if (decoder->n_ulps++ % 2 == 0)
        decoder->two_ulps = wr_get_byte(&decoder->columns[WR_RAW_ULPS]);
    else
        decoder->two_ulps >>= 4;
    return (int8_t)((decoder->two_ulps & 15) - WR_RAW_ULPS_BELOW);
}

/* Version 1: a form and a number. */
static void get_old_value(struct wr_raw_decoder *decoder, const struct run *run, unsigned *ret_form, struct wr_code *code,
                          uint64_t *ret_off) {
    const unsigned byte = run->type == WR_TYPE_FLOAT ? wr_get_byte(&decoder->columns[WR_RAW_FORM]) : WR_FORM_INTEGER;
    const bool has_ulps = (byte & WR_FORM_ULPS) != 0;
    *ret_form = byte & ~(unsigned)WR_FORM_ULPS;
    if (has_ulps)
        code->ulps = (int8_t)((wr_get_byte(&decoder->columns[WR_RAW_ULPS]) & 3) - 2);
    *ret_off = get_old_number(decoder, WR_RAW_VALUE, &decoder->before.widths, decoder->before.known);
}

/* False: it is the constant. */
static bool get_coded_value(struct wr_raw_decoder *decoder, const struct run *run, unsigned *ret_form, struct wr_code *code,
                            uint64_t *ret_off) {
    struct wr_cursor *column = &decoder->columns[WR_RAW_VALUE + decoder->step];
    uint8_t byte = wr_get_byte(column);
    if (byte == WR_RAW_CONSTANT && run->has & WR_RAW_HAS_CONSTANT)
        return false;
    *ret_form = run->form;
    if (byte == WR_RAW_OTHER) {
        *ret_form = wr_get_byte(&decoder->columns[WR_RAW_FORM]);
        byte = wr_get_byte(column);
    }
    if (run->has & WR_RAW_HAS_ULPS && *ret_form <= WR_FORM_DECIMALS_MAX)
        code->ulps = get_ulps(decoder);
    const unsigned below = wr_raw_scale_now(&decoder->scale);
    *ret_off = get_number(decoder, byte, &decoder->scale);
    if (run->has & WR_RAW_HAS_STEPS)
        decoder->step = wr_raw_step(*ret_off, below);
    return true;
}

static enum wr_result get_value(struct wr_raw_decoder *decoder, const struct run *run, struct wr_raw_reading *reading,
                                struct wr_error *err) {
    const struct wr_grid *grid = &run->grid;
    struct wr_raw_before *before = &decoder->before;
    unsigned form;
    struct wr_code code = {0};
    uint64_t off;
    if (is_old(decoder)) {
        get_old_value(decoder, run, &form, &code, &off);
    } else if (!get_coded_value(decoder, run, &form, &code, &off)) {
        reading->value.u = run->constant;
        return WR_OK;
    }
    if (run->type == WR_TYPE_FLOAT ? form > WR_FORM_DOUBLE || (form == WR_FORM_FRACTION && grid->parts == 0) : form != WR_FORM_INTEGER)
        return corrupt(decoder, err, "a value has an unknown form");
    if (form == WR_FORM_FRACTION && grid->fine_bits > 0)
        code.fine = (int8_t)wr_get_byte(&decoder->columns[WR_RAW_FINE]);
    const int64_t divided = wr_plus(wr_raw_before_code(before, grid, form), wr_unzigzag(off));
    code.code = wr_form_steps(grid, form) ? (int64_t)((uint64_t)divided * (uint64_t)grid->step) : divided;
    if (form == WR_FORM_INTEGER)
        reading->value.i = code.code;
    else
        reading->value.f = wr_form_value(grid, form, code);
    if (form <= WR_DECIMALS_MAX && code.ulps == 0)
        reading->decimals = (uint8_t)form;
    if (before->form == WR_RAW_FORM_NONE) {
        decoder->first = reading->value;
        decoder->first_type = run->type;
    }
    wr_raw_before_learn(before, form, divided, reading->value);
    return WR_OK;
}

static bool read_past_end(const struct wr_raw_decoder *decoder) {
    bool bad = decoder->bits.bad;
    for (unsigned i = 0; i < WR_RAW_COLUMNS; i++)
        bad |= decoder->columns[i].bad;
    return bad;
}

enum wr_result wr_raw_decode(struct wr_raw_decoder *decoder, struct wr_raw_reading *ret_reading, struct wr_error *err) {
    if (decoder->given == decoder->header.n)
        return WR_EMPTY;
    const struct run *run = &decoder->runs[decoder->run];
    if (decoder->in_run == 0)
        WR_TRY(begin_run(decoder, run, err));
    struct wr_raw_reading reading = {.key = run->key,
                                     .key_len = run->key_len,
                                     .type = run->type,
                                     .decimals = WR_DECIMALS_UNKNOWN,
                                     .time_ns = decoder->times_ns[run->at + decoder->in_run]};
    const uint8_t quality = wr_get_byte(&decoder->columns[WR_RAW_QUALITY]);
    reading.flags = quality >> WR_RAW_FLAGS_SHIFT;
    reading.quality = quality & ((1U << WR_RAW_FLAGS_SHIFT) - 1);
    if (reading.quality > WR_QUALITY_BAD || reading.flags > WR_RAW_FLAGS_MAX)
        return corrupt(decoder, err, "a reading has an unknown quality");
    if (run->type == WR_TYPE_SYMBOL) {
        const uint64_t text = wr_get_varint(&decoder->columns[WR_RAW_TEXT_INDEX]);
        if (text >= decoder->n_texts)
            return corrupt(decoder, err, "a text is missing");
        reading.text = decoder->texts[text];
    } else {
        WR_TRY(get_value(decoder, run, &reading, err));
    }
    if (read_past_end(decoder))
        return corrupt(decoder, err, "a column ends too early");
    decoder->given++;
    if (++decoder->in_run == run->count) {
        decoder->run++;
        decoder->in_run = 0;
    }
    *ret_reading = reading;
    return WR_OK;
}

const char *wr_raw_decode_run(const struct wr_raw_decoder *decoder, uint32_t run, size_t *ret_key_len) {
    if (run >= decoder->n_runs)
        return NULL;
    *ret_key_len = decoder->runs[run].key_len;
    return decoder->runs[run].key;
}
