/* The value of given rank, in a bounded number of steps.
 *
 * Source: quickselect (Hoare 1961) that turns to heapsort when its cuts are bad (Musser 1997, introselect); quantiles interpolate between the two
 * neighbours (Hyndman and Fan 1996, definition 7, the one of most tools).
 */
#ifndef WEIR_RULES_OPERATORS_SELECT_H
#define WEIR_RULES_OPERATORS_SELECT_H

#include <stdint.h>

/* values is reordered; q from 0 to 1; NaN of no values. */
double wr_select_quantile(double *values, uint32_t n, double q);

#endif
