/* Finds out which numbers the values of a run are likely to be: see struct wr_grid.
 *
 * Promise: what is found is a good guess. The encoder checks every single value against it.
 * Threads: none; pure functions.
 */
#ifndef WEIR_STORE_GRID_H
#define WEIR_STORE_GRID_H

#include "core/aggregate.h"
#include "store/form.h"

#define WR_GRID_DIGITS_MIN 13 /* a value with fewer digits was not cut off */
#define WR_GRID_SHORT 9 /* with at most so many decimals a value is taken as it is; one with more may be a fraction */

/* True if the readings of a record had so many decimals that a fraction was perhaps behind them. */
static inline bool wr_grid_is_long(const struct wr_aggregate *record) {
    return record->decimals > WR_GRID_SHORT && record->decimals <= WR_DECIMALS_MAX;
}

/* Of the records of a float run: records[order[0]], ... The step is 1: wr_grid_step finds it once the codes are there. */
void wr_grid_find(struct wr_grid *grid, const struct wr_aggregate *records, const uint16_t *order, uint32_t count);

/* Makes the grid finer, so that it has this value too, as a fraction. False: it is none, or they would have too little in common. A grid without any begins with
 * WR_GRID_DIGITS_MIN digits. */
bool wr_grid_refine(struct wr_grid *grid, double value);

/* What a step and a code are both multiples of; a step of 0 is none yet. */
static inline uint64_t wr_grid_divisor(uint64_t step, int64_t code) {
    uint64_t b = code < 0 ? 0 - (uint64_t)code : (uint64_t)code;
    if (step > 0 && b % step == 0)
        return step; /* the usual case */
    while (b != 0) {
        const uint64_t rest = step % b;
        step = b;
        b = rest;
    }
    return step;
}

/* What all codes that count steps are multiples of; a sensor that resolves 0.25 writes multiples of 25. */
int64_t wr_grid_step(const struct wr_grid *grid, const struct wr_codes *codes, uint32_t n);

/* The codes of a record in a form. False if one of its values does not come back from it. */
bool wr_grid_codes(const struct wr_grid *grid, unsigned form, const struct wr_aggregate *record, struct wr_codes *codes);

/* Writes a grid as a run of floats, or of integers, has it in a body; behind its last byte. wr_unpack_grid reads it. */
uint8_t *wr_grid_put(uint8_t *at, const struct wr_grid *grid, bool is_float);

#endif
