/* A segment body to raw readings. Everything in the body is checked before it is used: the CRC keeps out accidents, not forgeries. */
#include <stdlib.h>
#include <string.h>

#include "store/raw_format.h"
#include "store/unpack.h"

/* How the values of a run are written; the last four not in version 1. */
struct forms {
    struct wr_grid grid;
    uint8_t has;  /* WR_RAW_HAS_... */
    uint8_t form; /* the usual one */
    uint8_t scale;
    uint64_t constant;
};

struct wr_raw_decoder {
    struct wr_unpack unpack;
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
    struct wr_run runs[WR_SEGMENT_READINGS];
    struct forms forms[WR_SEGMENT_READINGS];
    int64_t times_ns[WR_SEGMENT_READINGS]; /* of the runs up to the one at hand */
};

enum wr_result wr_raw_decoder_new(struct wr_raw_decoder **ret_decoder) {
    struct wr_raw_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return WR_NO_MEMORY;
    if (wr_unpack_init(&decoder->unpack, WR_SEGMENT_READINGS, WR_SEGMENT_READINGS) != WR_OK) {
        wr_raw_decoder_free(decoder);
        return WR_NO_MEMORY;
    }
    *ret_decoder = decoder;
    return WR_OK;
}

void wr_raw_decoder_free(struct wr_raw_decoder *decoder) {
    if (!decoder)
        return;
    wr_unpack_fini(&decoder->unpack);
    free(decoder);
}

static enum wr_result corrupt(const struct wr_raw_decoder *decoder, struct wr_error *err, const char *what) {
    return wr_unpack_corrupt(&decoder->unpack, err, what);
}

static bool is_old(const struct wr_raw_decoder *decoder) {
    return decoder->unpack.header.version == 1;
}

/* -- begin --------------------------------------------------------------------------------------------------------------------------------- */

static bool get_forms(struct wr_cursor *column, uint8_t type, bool old, struct forms *forms) {
    *forms = (struct forms){0};
    if (!wr_unpack_grid(column, type, &forms->grid))
        return false;
    if (old)
        return true;
    forms->has = wr_get_byte(column);
    for (unsigned shift = 0; shift < 64 && forms->has & WR_RAW_HAS_CONSTANT; shift += 8)
        forms->constant |= (uint64_t)wr_get_byte(column) << shift;
    forms->form = type == WR_TYPE_FLOAT ? wr_get_byte(column) : WR_FORM_INTEGER;
    forms->scale = wr_get_byte(column);
    return forms->has <= WR_RAW_HAS_MAX && forms->scale <= WR_RAW_ADAPTS;
}

static enum wr_result read_runs(struct wr_raw_decoder *decoder, struct wr_error *err) {
    struct wr_cursor *types = &decoder->unpack.columns[WR_RAW_RUN_TYPE];
    uint32_t readings = 0;
    decoder->n_runs = 0;
    while (types->at < types->end) {
        if (decoder->n_runs == decoder->unpack.header.n)
            return corrupt(decoder, err, "it has more series than readings");
        struct forms *forms = &decoder->forms[decoder->n_runs];
        struct wr_run *run = &decoder->runs[decoder->n_runs++];
        *run = (struct wr_run){.type = wr_get_byte(types), .at = readings};
        const uint64_t count = wr_get_varint(&decoder->unpack.columns[WR_RAW_RUN_COUNT]);
        if (run->type < WR_TYPE_FLOAT || run->type > WR_TYPE_SYMBOL || count == 0 || count > decoder->unpack.header.n - readings)
            return corrupt(decoder, err, "a series has no sensible type or count");
        run->count = (uint32_t)count;
        if (run->type != WR_TYPE_SYMBOL && !get_forms(&decoder->unpack.columns[WR_RAW_RUN_GRID], run->type, is_old(decoder), forms))
            return corrupt(decoder, err, "a series has no sensible grid");
        readings += run->count;
    }
    if (readings != decoder->unpack.header.n)
        return corrupt(decoder, err, "it has fewer readings than its header says");
    return wr_unpack_keys(&decoder->unpack, decoder->runs, decoder->n_runs, WR_RAW_RUN_SHARED, WR_RAW_RUN_SUFFIX, WR_RAW_NAMES, err);
}

enum wr_result wr_raw_decode_begin(struct wr_raw_decoder *decoder, const uint8_t *body, size_t len, struct wr_codec_header *ret_header,
                                   struct wr_error *err) {
    struct wr_codec_header header;
    decoder->given = 0;
    decoder->n_runs = 0;
    decoder->unpack.header.n = 0; /* nothing to give if what follows fails */
    WR_TRY(wr_codec_check(body, len, &header, err));
    if (header.kind != WR_SEGMENT_RAW)
        return wr_error_set(err, WR_UNSUPPORTED, "segment %lld has no raw readings", (long long)header.seq);
    decoder->unpack.header = header;
    decoder->run = 0;
    decoder->in_run = 0;
    decoder->times_start_ns = 0;
    decoder->first_type = 0;
    enum wr_result result = wr_unpack_body(&decoder->unpack, body + WR_CODEC_HEADER_BYTES, len - WR_CODEC_HEADER_BYTES, err);
    if (result == WR_OK)
        result = wr_unpack_columns(&decoder->unpack, is_old(decoder) ? WR_RAW_COLUMNS_1 : WR_RAW_COLUMNS, err);
    if (result == WR_OK)
        result = read_runs(decoder, err);
    if (result == WR_OK)
        result = wr_unpack_texts(&decoder->unpack, WR_RAW_TEXTS, err);
    if (result != WR_OK) {
        decoder->unpack.header.n = 0;
        decoder->n_runs = 0;
        return result;
    }
    *ret_header = header;
    return WR_OK;
}

/* -- readings ------------------------------------------------------------------------------------------------------------------------------ */

/* Version 1: the width as a difference to the expected one. */
static uint64_t get_old_number(struct wr_raw_decoder *decoder, enum wr_raw_column column, struct wr_average *widths, bool learns) {
    const uint8_t width = (uint8_t)(wr_get_byte(&decoder->unpack.columns[column]) + wr_average_expect(widths));
    if (learns)
        wr_average_learn(widths, width);
    return wr_get_number(&decoder->unpack.bits, width);
}

/* What the byte of a number stands for. */
static uint64_t get_number(struct wr_raw_decoder *decoder, uint8_t byte, struct wr_raw_scale *scale) {
    uint64_t number;
    if (byte < WR_RAW_PLAIN) {
        const unsigned below = wr_raw_scale_now(scale);
        number = (uint64_t)byte << below | (wr_get_number(&decoder->unpack.bits, below + 1) ^ UINT64_C(1) << below);
    } else {
        number = wr_get_number(&decoder->unpack.bits, byte - WR_RAW_PLAIN); /* one that is too wide is told as bits that are missing */
    }
    wr_raw_scale_learn(scale, number);
    return number;
}

/* The first one, and what is between two others, in units. */
static enum wr_result read_steps(struct wr_raw_decoder *decoder, const struct wr_run *run, int64_t unit, int64_t *times_ns,
                                 struct wr_error *err) {
    struct wr_cursor *column = &decoder->unpack.columns[WR_RAW_RUN_TIMES];
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
                                                 : get_number(decoder, wr_get_byte(&decoder->unpack.columns[WR_RAW_TIME]), &scale);
            at = wr_plus(wr_plus(at, period), wr_unzigzag(off));
        }
        times_ns[i] = (int64_t)((uint64_t)at * (uint64_t)unit);
    }
    return WR_OK;
}

/* All times of a run, when its first reading is asked for. */
static enum wr_result read_times(struct wr_raw_decoder *decoder, const struct wr_run *run, struct wr_error *err) {
    struct wr_cursor *column = &decoder->unpack.columns[WR_RAW_RUN_TIMES];
    int64_t *times_ns = &decoder->times_ns[run->at];
    const uint64_t back = wr_get_varint(column);
    if (back > decoder->run)
        return corrupt(decoder, err, "a series has the times of none");
    if (back > 0) {
        const struct wr_run *other = run - back;
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

static enum wr_result begin_run(struct wr_raw_decoder *decoder, const struct wr_run *run, struct wr_error *err) {
    WR_TRY(read_times(decoder, run, err));
    decoder->scale = (struct wr_raw_scale){.scale = decoder->forms[decoder->run].scale};
    decoder->step = 0;
    decoder->n_ulps = 0;
    decoder->before = (struct wr_raw_before){
        .known = !is_old(decoder) && decoder->first_type == run->type, .form = WR_RAW_FORM_NONE, .value = decoder->first};
    return WR_OK;
}

/* Two stand in a byte, from the lower half. */
static int8_t get_ulps(struct wr_raw_decoder *decoder) {
    if (decoder->n_ulps++ % 2 == 0)
        decoder->two_ulps = wr_get_byte(&decoder->unpack.columns[WR_RAW_ULPS]);
    else
        decoder->two_ulps >>= 4;
    return (int8_t)((decoder->two_ulps & 15) - WR_RAW_ULPS_BELOW);
}

/* Version 1: a form and a number. */
static void get_old_value(struct wr_raw_decoder *decoder, const struct wr_run *run, unsigned *ret_form, struct wr_code *code,
                          uint64_t *ret_off) {
    const unsigned byte = run->type == WR_TYPE_FLOAT ? wr_get_byte(&decoder->unpack.columns[WR_RAW_FORM]) : WR_FORM_INTEGER;
    const bool has_ulps = (byte & WR_FORM_ULPS) != 0;
    *ret_form = byte & ~(unsigned)WR_FORM_ULPS;
    if (has_ulps)
        code->ulps = (int8_t)((wr_get_byte(&decoder->unpack.columns[WR_RAW_ULPS]) & 3) - 2);
    *ret_off = get_old_number(decoder, WR_RAW_VALUE, &decoder->before.widths, decoder->before.known);
}

/* False: it is the constant. */
static bool get_coded_value(struct wr_raw_decoder *decoder, const struct forms *forms, unsigned *ret_form, struct wr_code *code,
                            uint64_t *ret_off) {
    struct wr_cursor *column = &decoder->unpack.columns[WR_RAW_VALUE + decoder->step];
    uint8_t byte = wr_get_byte(column);
    if (byte == WR_RAW_CONSTANT && forms->has & WR_RAW_HAS_CONSTANT)
        return false;
    *ret_form = forms->form;
    if (byte == WR_RAW_OTHER) {
        *ret_form = wr_get_byte(&decoder->unpack.columns[WR_RAW_FORM]);
        byte = wr_get_byte(column);
    }
    if (forms->has & WR_RAW_HAS_ULPS && *ret_form <= WR_FORM_DECIMALS_MAX)
        code->ulps = get_ulps(decoder);
    const unsigned below = wr_raw_scale_now(&decoder->scale);
    *ret_off = get_number(decoder, byte, &decoder->scale);
    if (forms->has & WR_RAW_HAS_STEPS)
        decoder->step = wr_raw_step(*ret_off, below);
    return true;
}

static enum wr_result get_value(struct wr_raw_decoder *decoder, const struct wr_run *run, struct wr_raw_reading *reading,
                                struct wr_error *err) {
    const struct forms *forms = &decoder->forms[decoder->run];
    const struct wr_grid *grid = &forms->grid;
    struct wr_raw_before *before = &decoder->before;
    unsigned form;
    struct wr_code code = {0};
    uint64_t off;
    if (is_old(decoder)) {
        get_old_value(decoder, run, &form, &code, &off);
    } else if (!get_coded_value(decoder, forms, &form, &code, &off)) {
        reading->value.u = forms->constant;
        return WR_OK;
    }
    if (run->type == WR_TYPE_FLOAT ? form > WR_FORM_DOUBLE || (form == WR_FORM_FRACTION && grid->parts == 0) : form != WR_FORM_INTEGER)
        return corrupt(decoder, err, "a value has an unknown form");
    if (form == WR_FORM_FRACTION && grid->fine_bits > 0)
        code.fine = (int8_t)wr_get_byte(&decoder->unpack.columns[WR_RAW_FINE]);
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

enum wr_result wr_raw_decode(struct wr_raw_decoder *decoder, struct wr_raw_reading *ret_reading, struct wr_error *err) {
    if (decoder->given == decoder->unpack.header.n)
        return WR_EMPTY;
    const struct wr_run *run = &decoder->runs[decoder->run];
    if (decoder->in_run == 0)
        WR_TRY(begin_run(decoder, run, err));
    struct wr_raw_reading reading = {.key = run->key,
                                     .key_len = run->key_len,
                                     .type = run->type,
                                     .decimals = WR_DECIMALS_UNKNOWN,
                                     .time_ns = decoder->times_ns[run->at + decoder->in_run]};
    const uint8_t quality = wr_get_byte(&decoder->unpack.columns[WR_RAW_QUALITY]);
    reading.flags = quality >> WR_RAW_FLAGS_SHIFT;
    reading.quality = quality & ((1U << WR_RAW_FLAGS_SHIFT) - 1);
    if (reading.quality > WR_QUALITY_BAD || reading.flags > WR_RAW_FLAGS_MAX)
        return corrupt(decoder, err, "a reading has an unknown quality");
    if (run->type == WR_TYPE_SYMBOL) {
        const uint64_t text = wr_get_varint(&decoder->unpack.columns[WR_RAW_TEXT_INDEX]);
        if (text >= decoder->unpack.n_texts)
            return corrupt(decoder, err, "a text is missing");
        reading.text = decoder->unpack.texts[text];
    } else {
        WR_TRY(get_value(decoder, run, &reading, err));
    }
    if (wr_unpack_past_end(&decoder->unpack))
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
