/* Units: what stands behind a number in a rule, checked and converted at load, so that it costs nothing at run time.
 *
 * A unit is a factor to SI, an offset (only °C and °F have one) and a dimension: seven SI exponents and the flag `point`, which tells a
 * position on a scale (8°C) from a difference (1K). Differences can be added and multiplied; positions can only be compared, subtracted from
 * each other, and moved by a difference.
 *
 * Written: °C degC °F degF K % ppm, SI units with their prefixes (mbar kPa mm mA kW MWh), L min h d rpm, powers (m2 m3) and quotients (mm/s,
 * L/min, m3/h, %/min). A lone `m` is minutes beside a duration and metres beside a length; units tell which by `ambiguous_m`.
 * Source: the SI brochure, 9th edition; factors of bar, psi, ft and Wh are exact by definition.
 *
 * Threads: none; pure. Limits: WR_UNIT_BYTES of text. Errors: WR_INVALID with the unit that is not known and the nearest one.
 */
#ifndef WEIR_RULES_LANGUAGE_UNITS_H
#define WEIR_RULES_LANGUAGE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_UNIT_BYTES 16

enum wr_base { WR_BASE_M, WR_BASE_KG, WR_BASE_S, WR_BASE_A, WR_BASE_K, WR_BASE_MOL, WR_BASE_CD, WR_BASES };

struct wr_unit {
    double scale; /* SI = number * scale + offset */
    double offset;
    int8_t exponents[WR_BASES];
    bool point;       /* a position on a scale that has an offset */
    bool plain;       /* no unit was written: a bare number, or a series without a declared point */
    bool ambiguous_m; /* written as a lone m: metres so far */
    bool composed;    /* made of two by a product or a quotient, not written or declared as it is */
    char text[WR_UNIT_BYTES];
};

/* The unit of a number without one. */
struct wr_unit wr_unit_plain(void);
/* Seconds. */
struct wr_unit wr_unit_second(void);
/* Minutes: what an ambiguous m becomes beside a duration. */
struct wr_unit wr_unit_minute(void);

WR_MUST_USE enum wr_result wr_unit_parse(const char *text, size_t len, struct wr_unit *ret_unit, struct wr_error *err);

bool wr_unit_same_dimension(const struct wr_unit *a, const struct wr_unit *b);
bool wr_unit_is_time(const struct wr_unit *unit);
bool wr_unit_is_length(const struct wr_unit *unit);
/* Same factor and offset: no conversion needed. */
bool wr_unit_same_scale(const struct wr_unit *a, const struct wr_unit *b);

/* value in `from`, written in `to`; both have the same dimension. Exact where the units are the same. */
double wr_unit_convert(double value, const struct wr_unit *from, const struct wr_unit *to);

/* To twelve digits: so that 46.4°F is 8°C and not 8.000000000000002. */
double wr_unit_rounded(double value);

/* a*b, a/b; the text is put together as far as it fits, else left empty. */
struct wr_unit wr_unit_product(const struct wr_unit *a, const struct wr_unit *b, bool divide);
/* The unit of a difference: °C gives K, °F a degree of 5/9 K. */
struct wr_unit wr_unit_difference(const struct wr_unit *unit);

/* "temperature (°C)", "pressure (bar)", "plain number": for messages. Returns text. */
char *wr_unit_describe(char *text, size_t size, const struct wr_unit *unit);

#endif
