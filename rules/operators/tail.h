/* How rare is a number as large as this one? The tail of what was seen before, in 48 bytes.
 *
 * Promise: a histogram over the logarithm, two bins an octave from 1/4 to 1024, learned as it goes; the caller brings its numbers to a scale where
 * usual is about 1. A number beyond all seen before is as rare as a tail falling with the third power makes it. When there are some thousands of
 * numbers all counts are halved: what is old counts less and less.
 *
 * Threads: one at a time. Ownership: the caller's memory, all zero at the start; any bytes are a valid state.
 */
#ifndef WEIR_RULES_OPERATORS_TAIL_H
#define WEIR_RULES_OPERATORS_TAIL_H

#include <stdint.h>

#define WR_TAIL_BINS 24

struct wr_tail {
    uint16_t counts[WR_TAIL_BINS];
};

/* Learns x >= 0, and returns the surprise that it was: -ln(share of numbers at least as large), 0 to about 9. */
double wr_tail_add(struct wr_tail *tail, double x);

#endif
