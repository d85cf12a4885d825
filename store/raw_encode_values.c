/* The values of one run into the columns, as differences to what was expected. */
#include <math.h>

#include "store/grid.h"
#include "store/raw_encode_private.h"

#define COLUMNS_BITS 1000 /* what it costs to have two columns more */

/* What all codes that count steps are multiples of. */
static int64_t find_step(const struct wr_raw_encoder *encoder, const struct wr_grid *grid) {
    uint64_t step = 0;
    for (uint32_t i = 0; i < encoder->count && step != 1; i++)
        if (wr_form_steps(grid, encoder->forms[i]))
            step = wr_grid_divisor(step, encoder->codes[i].code);
    return step == 0 || step > INT64_MAX ? 1 : (int64_t)step;
}

/* What goes with the forms: neighbours of decimals, two in a byte, and what fractions have. False: there are no neighbours. */
static bool put_neighbours(struct wr_raw_encoder *encoder, const struct wr_grid *grid) {
    int8_t any = 0;
    for (uint32_t i = 0; i < encoder->count; i++)
        any |= encoder->codes[i].ulps;
    if (grid->parts > 0 && grid->fine_bits > 0)
        for (uint32_t i = 0; i < encoder->count; i++)
            if (encoder->forms[i] == WR_FORM_FRACTION)
                wr_raw_byte(encoder, WR_RAW_FINE, (uint8_t)encoder->codes[i].fine);
    if (any == 0)
        return false;
    unsigned held = 0;
    unsigned n = 0;
    for (uint32_t i = 0; i < encoder->count; i++) {
        if (encoder->forms[i] > WR_FORM_DECIMALS_MAX)
            continue;
        held |= (unsigned)(encoder->codes[i].ulps + WR_RAW_ULPS_BELOW) << 4 * (n % 2);
        if (n++ % 2 == 1) {
            wr_raw_byte(encoder, WR_RAW_ULPS, (uint8_t)held);
            held = 0;
        }
    }
    if (n % 2 == 1)
        wr_raw_byte(encoder, WR_RAW_ULPS, (uint8_t)held);
    return true;
}

/* The differences to what was expected, of all that are not the constant. Returns how many. */
static uint32_t find_numbers(struct wr_raw_encoder *encoder, const struct wr_grid *grid) {
    struct wr_raw_before before = {.known = encoder->first_type == encoder->type, .form = WR_RAW_FORM_NONE, .value = encoder->first};
    uint32_t n = 0;
    for (uint32_t i = 0; i < encoder->count; i++) {
        const unsigned form = encoder->forms[i];
        if (form == WR_RAW_CONSTANT)
            continue;
        int64_t code = encoder->codes[i].code;
        if (grid->step > 1 && wr_form_steps(grid, form))
            code /= grid->step;
        encoder->numbers[n] = wr_zigzag(wr_minus(code, wr_raw_before_code(&before, grid, form)));
        wr_raw_before_learn(&before, form, code, encoder->values[i]);
        if (n++ == 0) {
            encoder->first = encoder->values[i];
            encoder->first_type = encoder->type;
        }
    }
    return n;
}

/* True if a step tells so much of the next one that values had better stand in three columns: by the mutual information of their kinds. */
static bool steps_follow(const struct wr_raw_encoder *encoder, uint32_t n, struct wr_raw_scale scale) {
    uint32_t counts[WR_RAW_STEPS][WR_RAW_STEPS] = {0};
    double bits = -COLUMNS_BITS;
    if (n < COLUMNS_BITS)
        return false;
    unsigned before = 0;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned step = wr_raw_step(encoder->numbers[i], wr_raw_scale_now(&scale));
        wr_raw_scale_learn(&scale, encoder->numbers[i]);
        counts[before][step]++;
        before = step;
    }
    for (unsigned a = 0; a < WR_RAW_STEPS; a++)
        for (unsigned b = 0; b < WR_RAW_STEPS; b++) {
            const double of_a = counts[a][0] + counts[a][1] + counts[a][2];
            const double of_b = counts[0][b] + counts[1][b] + counts[2][b];
            if (counts[a][b] > 0)
                bits += counts[a][b] * log2(counts[a][b] * (double)n / (of_a * of_b));
        }
    return bits > 0;
}

static void put_numbers(struct wr_raw_encoder *encoder, unsigned usual, bool follow, struct wr_raw_scale *scale) {
    const uint64_t *number = encoder->numbers;
    enum wr_raw_column column = WR_RAW_VALUE;
    for (uint32_t i = 0; i < encoder->count; i++) {
        const unsigned form = encoder->forms[i];
        if (form == WR_RAW_CONSTANT) {
            wr_raw_byte(encoder, column, WR_RAW_CONSTANT);
            continue;
        }
        if (form != usual) {
            wr_raw_byte(encoder, column, WR_RAW_OTHER);
            wr_raw_byte(encoder, WR_RAW_FORM, (uint8_t)form);
        }
        const unsigned below = wr_raw_scale_now(scale);
        wr_raw_number(encoder, column, *number, below);
        wr_raw_scale_learn(scale, *number);
        if (follow)
            column = WR_RAW_VALUE + wr_raw_step(*number, below);
        number++;
    }
}

void wr_raw_encode_values(struct wr_raw_encoder *encoder, const struct wr_run *run, const struct wr_reading *readings) {
    encoder->count = run->count;
    encoder->type = run->type;
    for (uint32_t i = 0; i < run->count; i++) {
        const struct wr_reading *reading = &readings[encoder->order[run->at + i]];
        encoder->values[i] = reading->value;
        encoder->decimals[i] = reading->decimals;
    }
    struct wr_raw_forms forms;
    wr_raw_encode_forms(encoder, &forms);
    forms.grid.step = find_step(encoder, &forms.grid);
    encoder->end[WR_RAW_RUN_GRID] = wr_grid_put(encoder->end[WR_RAW_RUN_GRID], &forms.grid, run->type == WR_TYPE_FLOAT);
    const bool has_ulps = put_neighbours(encoder, &forms.grid);
    const uint32_t n = find_numbers(encoder, &forms.grid);
    struct wr_raw_scale scale = wr_raw_encode_scale(encoder, n);
    const bool follow = steps_follow(encoder, n, scale);
    wr_raw_byte(
        encoder, WR_RAW_RUN_GRID,
        (uint8_t)((forms.has_constant ? WR_RAW_HAS_CONSTANT : 0) | (has_ulps ? WR_RAW_HAS_ULPS : 0) | (follow ? WR_RAW_HAS_STEPS : 0)));
    for (unsigned shift = 0; shift < 64 && forms.has_constant; shift += 8)
        wr_raw_byte(encoder, WR_RAW_RUN_GRID, (uint8_t)(forms.constant.u >> shift));
    if (run->type == WR_TYPE_FLOAT)
        wr_raw_byte(encoder, WR_RAW_RUN_GRID, forms.usual);
    wr_raw_byte(encoder, WR_RAW_RUN_GRID, scale.scale);
    put_numbers(encoder, forms.usual, follow, &scale);
}
