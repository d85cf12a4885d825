#include "store/grid.h"

#include <float.h>
#include <math.h>

#define PLAIN_PARTS 10000 /* largest denominator that is looked for */
#define COARSE_PARTS 300  /* the same in a sensor that computes in floats: less is known about each value */
#define FAILURES_MAX 8    /* values that are no fractions, until the run is taken to have none */

bool wr_grid_codes(const struct wr_grid *grid, unsigned form, const struct wr_aggregate *record, struct wr_codes *codes) {
    struct wr_code min;
    struct wr_code max;
    struct wr_code first;
    struct wr_code last;
    if (!wr_form_code(grid, form, record->min.f, &min) || !wr_form_code(grid, form, record->max.f, &max) ||
        !wr_form_code(grid, form, record->first.f, &first) || !wr_form_code(grid, form, record->last.f, &last))
        return false;
    *codes = (struct wr_codes){.form = (uint8_t)form,
                               .ulps = (uint8_t)((min.ulps + 2) | (max.ulps + 2) << 2 | (first.ulps + 2) << 4 | (last.ulps + 2) << 6),
                               .fine_min = min.fine,
                               .fine_max = max.fine,
                               .fine_first = first.fine,
                               .fine_last = last.fine,
                               .min = min.code,
                               .max = max.code,
                               .first = first.code,
                               .last = last.code};
    return true;
}

int64_t wr_grid_step(const struct wr_grid *grid, const struct wr_codes *codes, uint32_t n) {
    uint64_t step = 0;
    for (uint32_t i = 0; i < n && step != 1; i++)
        if (wr_form_steps(grid, codes[i].form)) {
            step = wr_grid_divisor(wr_grid_divisor(step, codes[i].min), codes[i].max);
            step = wr_grid_divisor(wr_grid_divisor(step, codes[i].first), codes[i].last);
        }
    return step == 0 || step > INT64_MAX ? 1 : (int64_t)step;
}

/* The fewest places with which a record can be written: exactly if possible, else with neighbours. */
static unsigned detect_decimals(const struct wr_grid *grid, const struct wr_aggregate *record) {
    struct wr_codes codes;
    unsigned found = WR_FORM_DOUBLE;
    for (unsigned places = 0; places <= WR_FORM_DECIMALS_MAX; places++) {
        if (!wr_grid_codes(grid, places, record, &codes))
            continue;
        if (codes.ulps == WR_ULPS_NONE)
            return places;
        if (found == WR_FORM_DOUBLE)
            found = places;
    }
    return found;
}

/* The denominator of the simplest fraction within tolerance of x, 0 <= x < 1, by its continued fraction; 0: none up to limit. */
static uint32_t denominator(double x, double tolerance, double limit) {
    double above = 1; /* of the fraction before this one, and of this one */
    double below = 0;
    double p = 0;
    double q = 1;
    double rest = x;
    while (fabs(x * q - p) > tolerance * q) {
        if (rest * limit < 1)
            return 0;
        rest = 1 / rest;
        double p_next = floor(rest) * p + above;
        double q_next = floor(rest) * q + below;
        above = p;
        below = q;
        p = p_next;
        q = q_next;
        if (q > limit)
            return 0;
        rest -= floor(rest);
    }
    return (uint32_t)q;
}

/* The fewest significant digits, from WR_GRID_DIGITS_MIN on, with which a value can be written, and half a unit of the last one. */
static bool count_digits(double size, uint8_t *ret_digits, double *ret_tolerance) {
    uint8_t before_point = 0;
    while (before_point <= WR_GRID_DIGITS_MAX && size >= wr_decimal_powers[before_point])
        if (++before_point > WR_GRID_DIGITS_MIN)
            return false;
    for (uint8_t digits = WR_GRID_DIGITS_MIN; digits <= WR_GRID_DIGITS_MAX; digits++) {
        int64_t mantissa;
        uint8_t decimals = (uint8_t)(digits - before_point);
        if (!wr_decimal_scale(size, decimals, &mantissa))
            continue;
        *ret_digits = digits;
        *ret_tolerance = 0.505 / wr_decimal_powers[decimals];
        return true;
    }
    return false;
}

/* How many binary places a value has, if it was a float, or a mean of a few, before it was written in decimals; 0: it was not. */
static uint8_t binary_places(double size, double tolerance) {
    for (uint8_t bits = 16; bits <= WR_GRID_FINE_MAX; bits++) {
        double scaled = ldexp(size, bits);
        if (fabs(scaled - nearbyint(scaled)) <= ldexp(tolerance, bits))
            return bits;
    }
    return 0;
}

bool wr_grid_refine(struct wr_grid *grid, double value) {
    double size = fabs(value);
    uint8_t digits;
    double tolerance;
    if (!count_digits(size, &digits, &tolerance))
        return false;
    double part = size - floor(size);
    uint8_t bits = 0;
    uint32_t parts = denominator(part, tolerance, PLAIN_PARTS);
    if (parts == 0) {
        bits = binary_places(size, tolerance);
        parts = bits > 0 ? denominator(part, size * 0x1p-23, COARSE_PARTS) : 0;
    }
    if (parts == 0)
        return false;
    uint64_t common = grid->parts == 0 ? parts : grid->parts / wr_grid_divisor(grid->parts, parts) * parts;
    if (common > WR_GRID_PARTS_MAX)
        return false;
    grid->parts = (uint32_t)common;
    if (digits > grid->digits)
        grid->digits = digits;
    if (bits > grid->fine_bits)
        grid->fine_bits = bits;
    return true;
}

static void find_fraction(struct wr_grid *grid, const struct wr_aggregate *records, const uint16_t *order, uint32_t count) {
    unsigned failures = 0;
    for (uint32_t i = 0; i < count && failures < FAILURES_MAX; i++) {
        const struct wr_aggregate *record = &records[order[i]];
        if (record->n == 0 || !wr_grid_is_long(record))
            continue;
        const double values[] = {record->min.f, record->max.f, record->first.f, record->last.f};
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            struct wr_code code;
            if (!wr_form_code(grid, WR_FORM_FRACTION, values[k], &code) && !wr_grid_refine(grid, values[k]))
                failures++;
        }
    }
    if (failures == FAILURES_MAX)
        grid->parts = 0;
}

void wr_grid_find(struct wr_grid *grid, const struct wr_aggregate *records, const uint16_t *order, uint32_t count) {
    const struct wr_aggregate *first = NULL;
    int most = -1;
    int most_short = -1;
    for (uint32_t i = 0; i < count; i++) {
        const struct wr_aggregate *record = &records[order[i]];
        if (record->n == 0)
            continue;
        if (!first)
            first = record;
        if (record->decimals > WR_DECIMALS_MAX)
            continue;
        if (record->decimals > most)
            most = record->decimals;
        if (!wr_grid_is_long(record) && record->decimals > most_short)
            most_short = record->decimals;
    }
    *grid = (struct wr_grid){.step = 1, .digits = WR_GRID_DIGITS_MIN};
    if (most < 0)
        grid->decimals = (uint8_t)(first ? detect_decimals(grid, first) : 0);
    else
        grid->decimals = (uint8_t)(most_short >= 0 ? most_short : most);
    if (most > WR_GRID_SHORT)
        find_fraction(grid, records, order, count);
}

uint8_t *wr_grid_put(uint8_t *at, const struct wr_grid *grid, bool is_float) {
    at = wr_put_varint(at, (uint64_t)grid->step);
    if (!is_float)
        return at;
    *at++ = grid->decimals;
    at = wr_put_varint(at, grid->parts);
    if (grid->parts > 0) {
        *at++ = grid->digits;
        *at++ = grid->fine_bits;
    }
    return at;
}
