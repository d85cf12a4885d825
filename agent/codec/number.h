/* Numbers as sensors write them: exact decimal text to the nearest double, whatever the locale.
 *
 * Promise: the double is the one nearest to the text (IEEE 754, ties to even). Up to 2^53 with an exponent of at most 22 this is one exact
 * multiplication or division; else it is left to strtod in the C locale. `decimals` is set as core/reading.h says. Integers are exact or
 * refused. Nothing is skipped before or behind the number.
 * Source: W. D. Clinger, "How to read floating point numbers accurately" (1990), for the fast path.
 * Threads: any; pure functions. Limits: WR_NUMBER_BYTES characters.
 */
#ifndef WEIR_AGENT_CODEC_NUMBER_H
#define WEIR_AGENT_CODEC_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/reading.h"

#define WR_NUMBER_BYTES 1024

struct wr_number {
    double value;     /* infinity when the text is out of range */
    uint8_t decimals; /* WR_DECIMALS_UNKNOWN, or digits after the point */
    bool whole;       /* no point, no exponent */
};

/* 10^0 .. 10^22: the powers of ten that a double holds exactly. */
#define WR_NUMBER_POWERS 23
extern const double wr_number_powers[WR_NUMBER_POWERS];

/* Reads [+-]digits[.digits][e[+-]digits] at text. Returns the byte behind it, or NULL when there is no number (*ret then unchanged). */
const char *wr_number_read(const char *text, const char *end, struct wr_number *ret);

/* nan, inf or infinity with an optional sign, in any case. Returns the byte behind it, or NULL. */
const char *wr_number_read_nonfinite(const char *text, const char *end, double *ret_value);

/* The whole of [text, end) as an integer: [+-]digits. False: not one, or out of range. */
bool wr_number_int64(const char *text, const char *end, int64_t *ret_value);
bool wr_number_uint64(const char *text, const char *end, uint64_t *ret_value);

#endif
