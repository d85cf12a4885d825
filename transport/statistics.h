/* What an aggregate says, as a list of named values: the one place that decides which statistics the formats for other receivers carry.
 *
 *   n     readings, bad ones not counted        always
 *   mean  sum / n; of a bool the share of true  numbers and bool, with n > 0
 *   min max sum                                 the same
 *   first last                                  every type, with n > 0
 *   bad   readings of bad quality               always
 *
 * min, max, first and last have the type of the series. The sum of floats is a float, that of integers and bool an exact integer. A sum that does
 * not fit its type is left out, and so is a float that is not finite: receivers fix the type of a column by its first value, and mean and n tell it
 * nearly. The window's start and length are not in the list.
 * Threads: none; pure. Ownership: texts are the aggregate's.
 */
#ifndef WEIR_TRANSPORT_STATISTICS_H
#define WEIR_TRANSPORT_STATISTICS_H

#include <stddef.h>

#include "core/aggregate.h"

#define WR_STATISTICS_MAX 8

struct wr_statistic {
    const char *name;
    enum wr_type type; /* never NONE */
    union wr_value value;
    const char *text; /* SYMBOL */
};

/* Returns how many there are. */
size_t wr_statistics_of(const struct wr_aggregate *aggregate, struct wr_statistic ret_list[WR_STATISTICS_MAX]);

#endif
