/* The values of one run into the columns: finds the forms, then writes every record as differences to what was expected. */
#include "store/before.h"
#include "store/encode_private.h"
#include "store/grid.h"

#define FEW_DECIMALS 3 /* tried where a run has many: a third among round numbers makes them look long */
#define ALWAYS_SHORT 6 /* decimals of which no other form is shorter */

static unsigned codes_cost(const struct wr_grid *grid, const struct wr_codes *codes, const struct wr_before *before) {
    return wr_width(wr_zigzag(wr_minus(codes->first, wr_before_code(before, grid, codes->form)))) + wr_width(wr_span(codes)) +
           wr_width((uint64_t)wr_minus(codes->first, codes->min)) + wr_width((uint64_t)wr_minus(codes->last, codes->min)) +
           (codes->ulps == WR_ULPS_NONE ? 0 : 8);
}

static void choose_double_codes(struct wr_codes *codes, const struct wr_grid *grid, const struct wr_aggregate *record,
                                const struct wr_before *before) {
    if (grid->parts > 0 && wr_grid_is_long(record) && wr_grid_codes(grid, WR_FORM_FRACTION, record, codes))
        return;
    bool found = grid->decimals <= WR_FORM_DECIMALS_MAX && wr_grid_codes(grid, grid->decimals, record, codes);
    if (found && grid->decimals <= ALWAYS_SHORT)
        return;
    if (!found && record->decimals != grid->decimals && record->decimals <= WR_DECIMALS_MAX)
        found = wr_grid_codes(grid, record->decimals, record, codes);
    static const uint8_t others[] = {FEW_DECIMALS, WR_FORM_FLOAT, WR_FORM_DOUBLE};
    for (size_t i = 0; i < sizeof others; i++) {
        struct wr_codes other;
        if (wr_grid_codes(grid, others[i], record, &other) &&
            (!found || codes_cost(grid, &other, before) < codes_cost(grid, codes, before))) {
            *codes = other;
            found = true;
        }
    }
}

/* A number: its width, as a difference to the expected one, into its column; its bits into theirs. Returns the width. */
static unsigned put_number(struct wr_encoder *encoder, enum wr_column widths, uint64_t value, unsigned expected_width) {
    unsigned width = wr_width(value);
    wr_column_byte(encoder, widths, (uint8_t)(width - expected_width));
    wr_put_below(&encoder->bits, wr_u128_of(value), width);
    return width;
}

static unsigned first_end(const struct wr_codes *codes) {
    bool is_min = codes->first == codes->min && codes->fine_first == codes->fine_min;
    bool is_max = codes->first == codes->max && codes->fine_first == codes->fine_max;
    return is_min ? (is_max ? WR_END_BOTH : WR_END_MIN) : is_max ? WR_END_MAX : WR_END_OWN;
}

static unsigned last_end(const struct wr_codes *codes) {
    if (codes->last == codes->min && codes->fine_last == codes->fine_min)
        return WR_END_MIN;
    if (codes->last == codes->max && codes->fine_last == codes->fine_max)
        return WR_END_MAX;
    return codes->last == codes->first && codes->fine_last == codes->fine_first ? WR_END_FIRST : WR_END_OWN;
}

static void put_codes(struct wr_encoder *encoder, const struct wr_grid *grid, const struct wr_codes *codes, struct wr_before *before) {
    bool fine = codes->form == WR_FORM_FRACTION && grid->fine_bits > 0;
    unsigned first = first_end(codes);
    unsigned last = last_end(codes);
    wr_column_byte(encoder, WR_COLUMN_ENDS, (uint8_t)(first | last << 2));
    uint64_t step = wr_zigzag(wr_minus(codes->first, wr_before_code(before, grid, codes->form)));
    unsigned width = put_number(encoder, WR_COLUMN_FIRST_WIDTH, step, wr_before_width(before));
    if (before->known)
        wr_average_learn(&before->first, width);
    if (fine)
        wr_column_byte(encoder, WR_COLUMN_FINE, (uint8_t)codes->fine_first);
    if (first == WR_END_MAX || first == WR_END_OWN) {
        uint64_t low = (uint64_t)wr_minus(codes->first, codes->min);
        wr_average_learn(&before->reach, put_number(encoder, WR_COLUMN_LOW_WIDTH, low, wr_average_expect(&before->reach)));
        if (fine)
            wr_column_byte(encoder, WR_COLUMN_FINE, (uint8_t)codes->fine_min);
    }
    if (first == WR_END_MIN || first == WR_END_OWN) {
        uint64_t high = (uint64_t)wr_minus(codes->max, codes->first);
        wr_average_learn(&before->reach, put_number(encoder, WR_COLUMN_HIGH_WIDTH, high, wr_average_expect(&before->reach)));
        if (fine)
            wr_column_byte(encoder, WR_COLUMN_FINE, (uint8_t)codes->fine_max);
    }
    if (last == WR_END_OWN) {
        (void)put_number(encoder, WR_COLUMN_LAST_WIDTH, (uint64_t)wr_minus(codes->last, codes->min), wr_width(wr_span(codes)));
        if (fine)
            wr_column_byte(encoder, WR_COLUMN_FINE, (uint8_t)codes->fine_last);
    }
}

/* An exact sum at the decimals of the values' form, in steps; false if it has more of them, or lies between steps. */
static bool rescaled_sum(const struct wr_sum *sum, unsigned form, int64_t step, wr_i128 *ret_scaled) {
    unsigned places = form == WR_FORM_INTEGER ? 0 : form;
    wr_i128 scaled = sum->scaled;
    if (places > WR_DECIMALS_MAX || sum->decimals > places)
        return false;
    for (unsigned i = sum->decimals; i < places; i++)
        if (wr_i128_multiply_overflow(scaled, 10, &scaled))
            return false;
    if (step > 1) {
        int64_t rest;
        if (wr_i128_is_int64(scaled)) { /* the usual case, and dividing 64 bits is much faster */
            rest = wr_i128_low(scaled) % step;
            scaled = wr_i128_of(wr_i128_low(scaled) / step);
        } else {
            scaled = wr_i128_divide(scaled, step, &rest);
        }
        if (rest != 0)
            return false;
    }
    *ret_scaled = scaled;
    return true;
}

static void put_sum_number(struct wr_encoder *encoder, wr_i128 value, wr_i128 expected, const struct wr_codes *codes) {
    wr_u128 difference = wr_zigzag128(wr_i128_signed(wr_u128_subtract(wr_i128_unsigned(value), wr_i128_unsigned(expected))));
    unsigned width = wr_width128(difference);
    wr_column_byte(encoder, WR_COLUMN_SUM_WIDTH, (uint8_t)(width - wr_width(wr_span(codes))));
    wr_put_below(&encoder->bits, difference, width);
}

static bool put_sum_fraction(struct wr_encoder *encoder, const struct wr_grid *grid, const struct wr_aggregate *record,
                             const struct wr_codes *codes) {
    int64_t code;
    int64_t fine;
    int64_t rest;
    if (codes->form != WR_FORM_FRACTION || !wr_sum_fraction_code(grid, record->sum.scaled, record->sum.decimals, &code, &fine, &rest))
        return false;
    wr_column_byte(encoder, WR_COLUMN_SUM_FORM, WR_SUM_EXACT);
    wr_column_byte(encoder, WR_COLUMN_SUM_EXTRA, record->sum.decimals);
    if (grid->fine_bits > 0)
        wr_column_zigzag(encoder, WR_COLUMN_SUM_FINE, fine);
    wr_column_zigzag(encoder, WR_COLUMN_SUM_FINE, rest);
    put_sum_number(encoder, wr_i128_of(code), wr_sum_expected(codes, record->n), codes);
    return true;
}

static void put_exact_sum(struct wr_encoder *encoder, const struct wr_grid *grid, const struct wr_aggregate *record,
                          const struct wr_codes *codes, int64_t step) {
    wr_i128 scaled;
    if (rescaled_sum(&record->sum, codes->form, step, &scaled)) {
        wr_column_byte(encoder, WR_COLUMN_SUM_FORM, WR_SUM_EXACT);
        put_sum_number(encoder, scaled, wr_sum_expected(codes, record->n), codes);
    } else if (!put_sum_fraction(encoder, grid, record, codes)) {
        wr_column_byte(encoder, WR_COLUMN_SUM_FORM, WR_SUM_OTHER);
        wr_column_byte(encoder, WR_COLUMN_SUM_EXTRA, record->sum.decimals);
        put_sum_number(encoder, record->sum.scaled, wr_sum_expected_scaled(record, record->sum.decimals), codes);
    }
}

static void put_sum(struct wr_encoder *encoder, const struct wr_grid *grid, const struct wr_aggregate *record,
                    const struct wr_codes *codes) {
    int64_t step = wr_form_steps(grid, codes->form) ? grid->step : 1;
    int64_t code;
    int ulps;
    if (record->sum.exact) {
        put_exact_sum(encoder, grid, record, codes, step);
        return;
    }
    double sum = wr_sum_double(&record->sum);
    if (wr_sum_decimal(codes->form, sum, &code, &ulps) && code % step == 0) {
        wr_column_byte(encoder, WR_COLUMN_SUM_FORM, WR_SUM_DECIMAL);
        wr_column_byte(encoder, WR_COLUMN_SUM_EXTRA, (uint8_t)ulps);
        put_sum_number(encoder, wr_i128_of(code / step), wr_sum_expected(codes, record->n), codes);
        return;
    }
    wr_column_byte(encoder, WR_COLUMN_SUM_FORM, WR_SUM_DOUBLE);
    const int64_t off = wr_minus(wr_ordered64(sum), wr_ordered64(wr_sum_expected_double(record)));
    put_sum_number(encoder, wr_i128_of(off), wr_i128_zero(), codes);
}

static void put_values(struct wr_encoder *encoder, const struct wr_grid *grid, const struct wr_aggregate *record, struct wr_codes *codes,
                       struct wr_before *before) {
    if (record->type == WR_TYPE_FLOAT) {
        bool ulps = codes->ulps != WR_ULPS_NONE;
        wr_column_byte(encoder, WR_COLUMN_FORM, (uint8_t)(codes->form | (ulps ? WR_FORM_ULPS : 0)));
        if (ulps)
            wr_column_byte(encoder, WR_COLUMN_ULPS, codes->ulps);
    }
    if (grid->step > 1 && wr_form_steps(grid, codes->form)) {
        codes->min /= grid->step;
        codes->max /= grid->step;
        codes->first /= grid->step;
        codes->last /= grid->step;
    }
    put_codes(encoder, grid, codes, before);
    put_sum(encoder, grid, record, codes);
    wr_before_learn(before, codes, record->last);
}

void wr_encode_values(struct wr_encoder *encoder, const struct wr_run *run, const struct wr_aggregate *records) {
    const uint16_t *order = &encoder->order[run->at];
    struct wr_grid grid = {.step = 1, .decimals = WR_FORM_DOUBLE};
    bool is_float = run->type == WR_TYPE_FLOAT;
    struct wr_before before = {0};
    uint32_t n = 0; /* records with values */
    if (is_float)
        wr_grid_find(&grid, records, order, run->count);
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_aggregate *record = &records[order[i]];
        if (record->n == 0)
            continue;
        struct wr_codes *codes = &encoder->codes[n++];
        if (is_float) {
            choose_double_codes(codes, &grid, record, &before);
            wr_before_learn(&before, codes, record->last);
        } else {
            *codes = (struct wr_codes){.form = WR_FORM_INTEGER,
                                       .ulps = WR_ULPS_NONE,
                                       .min = record->min.i,
                                       .max = record->max.i,
                                       .first = record->first.i,
                                       .last = record->last.i};
        }
    }
    grid.step = wr_grid_step(&grid, encoder->codes, n);
    encoder->end[WR_COLUMN_RUN_GRID] = wr_grid_put(encoder->end[WR_COLUMN_RUN_GRID], &grid, is_float);
    before = (struct wr_before){0};
    n = 0;
    for (uint32_t i = 0; i < run->count; i++)
        if (records[order[i]].n > 0)
            put_values(encoder, &grid, &records[order[i]], &encoder->codes[n++], &before);
}
