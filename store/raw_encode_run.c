/* The times and the values of one run into the columns. */
#include <math.h>

#include "store/grid.h"
#include "store/raw_encode_private.h"

#define FEW_DECIMALS 3 /* tried where a run has many: a third among round numbers makes them look long */
#define ALWAYS_SHORT 6 /* decimals of which no other form is shorter */

/* -- times --------------------------------------------------------------------------------------------------------------------------------- */

static int64_t time_at(const struct wr_raw_encoder *encoder, const struct wr_raw_run *run, const struct wr_reading *readings, uint32_t i) {
    return readings[encoder->order[run->at + i]].event_ns;
}

static bool same_times(const struct wr_raw_encoder *encoder, const struct wr_raw_run *a, const struct wr_raw_run *b,
                       const struct wr_reading *readings) {
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (time_at(encoder, a, readings, i) != time_at(encoder, b, readings, i))
            return false;
    return true;
}

/* A run before this one that was measured at the same times: fields of one device are. How many runs before; 0: there is none. */
static uint32_t find_times(struct wr_raw_encoder *encoder, uint32_t place, const struct wr_reading *readings) {
    const struct wr_raw_run *run = &encoder->runs[encoder->sorted[place]];
    uint64_t hash = run->count;
    for (uint32_t i = 0; i < run->count; i++)
        hash = (hash ^ (uint64_t)time_at(encoder, run, readings, i)) * UINT64_C(0x9E3779B97F4A7C15);
    size_t slot = (size_t)(hash >> 40) % WR_RAW_SLOTS;
    for (; encoder->slots[slot] != 0; slot = (slot + 1) % WR_RAW_SLOTS) {
        const uint32_t other = encoder->slots[slot] - 1U;
        if (same_times(encoder, run, &encoder->runs[encoder->sorted[other]], readings))
            return place - other;
    }
    encoder->slots[slot] = (uint16_t)(place + 1);
    return 0;
}

static unsigned common_unit(const struct wr_raw_encoder *encoder, const struct wr_raw_run *run, const struct wr_reading *readings) {
    unsigned unit = WR_TIME_UNITS - 1;
    for (uint32_t i = 0; i < run->count; i++)
        while (time_at(encoder, run, readings, i) % wr_time_units[unit] != 0)
            unit--; /* ends at 1 ns */
    return unit;
}

/* What a step of this run mostly is: the one that most have, if more than half do, else their mean; whichever leaves less to write. */
static int64_t find_period(const struct wr_raw_encoder *encoder, const struct wr_raw_run *run, const struct wr_reading *readings,
                           int64_t unit) {
    if (run->count < 2)
        return 0;
    int64_t before = time_at(encoder, run, readings, 0) / unit;
    const int64_t end = time_at(encoder, run, readings, run->count - 1) / unit;
    const int64_t mean = wr_minus(end, before) / (int64_t)(run->count - 1);
    int64_t usual = 0;
    uint32_t votes = 0;
    for (uint32_t i = 1; i < run->count; i++) {
        const int64_t at = time_at(encoder, run, readings, i) / unit;
        const int64_t step = wr_minus(at, before);
        before = at;
        if (votes == 0)
            usual = step;
        votes = step == usual ? votes + 1 : votes - 1;
    }
    uint64_t with_mean = 0;
    uint64_t with_usual = 0;
    before = time_at(encoder, run, readings, 0) / unit;
    for (uint32_t i = 1; i < run->count; i++) {
        const int64_t at = time_at(encoder, run, readings, i) / unit;
        const int64_t step = wr_minus(at, before);
        before = at;
        with_mean += wr_width(wr_zigzag(wr_minus(step, mean)));
        with_usual += wr_width(wr_zigzag(wr_minus(step, usual)));
    }
    return with_usual <= with_mean ? usual : mean;
}

void wr_raw_encode_times(struct wr_raw_encoder *encoder, uint32_t place, const struct wr_reading *readings) {
    const struct wr_raw_run *run = &encoder->runs[encoder->sorted[place]];
    const uint32_t back = find_times(encoder, place, readings);
    wr_raw_varint(encoder, WR_RAW_RUN_TIMES, back);
    if (back > 0)
        return;
    const unsigned unit_index = common_unit(encoder, run, readings);
    const int64_t unit = wr_time_units[unit_index];
    const int64_t period = find_period(encoder, run, readings, unit);
    const int64_t start_ns = time_at(encoder, run, readings, 0);
    wr_raw_byte(encoder, WR_RAW_RUN_TIMES, (uint8_t)unit_index);
    wr_raw_zigzag(encoder, WR_RAW_RUN_TIMES, wr_minus(start_ns / unit, encoder->times_start_ns / unit));
    wr_raw_zigzag(encoder, WR_RAW_RUN_TIMES, period);
    encoder->times_start_ns = start_ns;
    struct wr_average widths = {0};
    int64_t before = start_ns / unit;
    for (uint32_t i = 1; i < run->count; i++) {
        const int64_t at = time_at(encoder, run, readings, i) / unit;
        const uint64_t off = wr_zigzag(wr_minus(wr_minus(at, before), period));
        wr_average_learn(&widths, wr_raw_number(encoder, WR_RAW_TIME_WIDTH, off, wr_average_expect(&widths)));
        before = at;
    }
}

/* -- values -------------------------------------------------------------------------------------------------------------------------------- */

static const struct wr_reading *reading_of(const struct wr_raw_encoder *encoder, const struct wr_raw_run *run,
                                           const struct wr_reading *readings, uint32_t i) {
    return &readings[encoder->order[run->at + i]];
}

static bool is_long(const struct wr_reading *reading) {
    return reading->decimals > WR_GRID_SHORT && reading->decimals <= WR_DECIMALS_MAX;
}

/* From a sample, as if each of its readings were an aggregate; but the decimals are those of all. */
static void find_grid(struct wr_raw_encoder *encoder, const struct wr_raw_run *run, const struct wr_reading *readings,
                      struct wr_grid *grid) {
    static const uint16_t order[WR_RAW_SAMPLE] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                  22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
                                                  44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const uint32_t stride = (run->count + WR_RAW_SAMPLE - 1) / WR_RAW_SAMPLE;
    uint32_t n = 0;
    int most_short = -1;
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_reading *reading = reading_of(encoder, run, readings, i);
        if (reading->decimals <= WR_GRID_SHORT && reading->decimals > most_short)
            most_short = reading->decimals;
        if (i % stride == 0 && isfinite(reading->value.f))
            encoder->sample[n++] = (struct wr_aggregate){.n = 1,
                                                         .decimals = reading->decimals,
                                                         .min = reading->value,
                                                         .max = reading->value,
                                                         .first = reading->value,
                                                         .last = reading->value};
    }
    wr_grid_find(grid, encoder->sample, order, n);
    if (most_short >= 0)
        grid->decimals = (uint8_t)most_short;
}

static unsigned cost(const struct wr_grid *grid, unsigned form, const struct wr_code *code, const struct wr_raw_before *before) {
    return wr_width(wr_zigzag(wr_minus(code->code, wr_raw_before_code(before, grid, form)))) + (code->ulps == 0 ? 0 : 8);
}

static unsigned choose_form(const struct wr_grid *grid, const struct wr_reading *reading, const struct wr_raw_before *before,
                            struct wr_code *ret_code) {
    const double value = reading->value.f;
    if (grid->parts > 0 && is_long(reading) && wr_form_code(grid, WR_FORM_FRACTION, value, ret_code))
        return WR_FORM_FRACTION;
    unsigned form = grid->decimals;
    bool found = form <= WR_FORM_DECIMALS_MAX && wr_form_code(grid, form, value, ret_code);
    if (found && form <= ALWAYS_SHORT)
        return form;
    if (!found && reading->decimals != form && reading->decimals <= WR_DECIMALS_MAX) {
        form = reading->decimals;
        found = wr_form_code(grid, form, value, ret_code);
    }
    static const uint8_t others[] = {FEW_DECIMALS, WR_FORM_FLOAT, WR_FORM_DOUBLE};
    for (size_t i = 0; i < sizeof others; i++) {
        struct wr_code other;
        if (wr_form_code(grid, others[i], value, &other) &&
            (!found || cost(grid, others[i], &other, before) < cost(grid, form, ret_code, before))) {
            *ret_code = other;
            form = others[i];
            found = true;
        }
    }
    return form;
}

static uint64_t divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* What all codes that count steps are multiples of. */
static int64_t find_step(const struct wr_raw_encoder *encoder, const struct wr_grid *grid, uint32_t n) {
    uint64_t step = 0;
    for (uint32_t i = 0; i < n && step != 1; i++) {
        const int64_t code = encoder->codes[i].code;
        if (wr_form_steps(grid, encoder->forms[i]))
            step = divisor(step, code < 0 ? 0 - (uint64_t)code : (uint64_t)code);
    }
    return step == 0 || step > INT64_MAX ? 1 : (int64_t)step;
}

static void find_codes(struct wr_raw_encoder *encoder, const struct wr_raw_run *run, const struct wr_reading *readings,
                       struct wr_grid *grid) {
    struct wr_raw_before before = {0};
    const bool is_float = run->type == WR_TYPE_FLOAT;
    if (is_float)
        find_grid(encoder, run, readings, grid);
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_reading *reading = reading_of(encoder, run, readings, i);
        encoder->forms[i] = WR_FORM_INTEGER;
        if (!is_float) {
            encoder->codes[i] = (struct wr_code){.code = reading->value.i};
            continue;
        }
        encoder->forms[i] = (uint8_t)choose_form(grid, reading, &before, &encoder->codes[i]);
        wr_raw_before_learn(&before, encoder->forms[i], encoder->codes[i].code, reading->value, 0);
    }
    grid->step = find_step(encoder, grid, run->count);
}

static void put_grid(struct wr_raw_encoder *encoder, const struct wr_grid *grid, bool is_float) {
    wr_raw_varint(encoder, WR_RAW_RUN_GRID, (uint64_t)grid->step);
    if (!is_float)
        return;
    wr_raw_byte(encoder, WR_RAW_RUN_GRID, grid->decimals);
    wr_raw_varint(encoder, WR_RAW_RUN_GRID, grid->parts);
    if (grid->parts > 0) {
        wr_raw_byte(encoder, WR_RAW_RUN_GRID, grid->digits);
        wr_raw_byte(encoder, WR_RAW_RUN_GRID, grid->fine_bits);
    }
}

void wr_raw_encode_values(struct wr_raw_encoder *encoder, const struct wr_raw_run *run, const struct wr_reading *readings) {
    struct wr_grid grid = {.step = 1, .decimals = WR_FORM_DOUBLE};
    const bool is_float = run->type == WR_TYPE_FLOAT;
    find_codes(encoder, run, readings, &grid);
    put_grid(encoder, &grid, is_float);
    struct wr_raw_before before = {0};
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_code *code = &encoder->codes[i];
        const unsigned form = encoder->forms[i];
        if (is_float) {
            wr_raw_byte(encoder, WR_RAW_FORM, (uint8_t)(form | (code->ulps != 0 ? WR_FORM_ULPS : 0)));
            if (code->ulps != 0)
                wr_raw_byte(encoder, WR_RAW_ULPS, (uint8_t)(code->ulps + 2));
            if (form == WR_FORM_FRACTION && grid.fine_bits > 0)
                wr_raw_byte(encoder, WR_RAW_FINE, (uint8_t)code->fine);
        }
        const int64_t divided = wr_form_steps(&grid, form) ? code->code / grid.step : code->code;
        const uint64_t off = wr_zigzag(wr_minus(divided, wr_raw_before_code(&before, &grid, form)));
        const unsigned width = wr_raw_number(encoder, WR_RAW_VALUE_WIDTH, off, wr_average_expect(&before.widths));
        wr_raw_before_learn(&before, form, divided, reading_of(encoder, run, readings, i)->value, width);
    }
}
