/* The functions of the rule language: names, forms, and which of them this version can run.
 *
 * Threads: none; a const table. A name that the language has but this version does not is known here, so that it is refused by name.
 */
#ifndef WEIR_RULES_FUNCTIONS_H
#define WEIR_RULES_FUNCTIONS_H

#include <stddef.h>

enum wr_function_form {
    WR_FORM_NUMBER,       /* f(expr) */
    WR_FORM_SERIES,       /* f(series) */
    WR_FORM_WINDOW,       /* f(series, window) */
    WR_FORM_MAYBE_WINDOW, /* f(series) or f(series, window) */
    WR_FORM_LATER,        /* not supported in this version */
};

enum wr_function_id {
    /* the value and its sample */
    WR_FUNCTION_LAST,
    WR_FUNCTION_PREV,
    WR_FUNCTION_DELTA, /* of the last two; or over a window */
    WR_FUNCTION_AGE,
    WR_FUNCTION_QUALITY,
    WR_FUNCTION_PERIOD,
    WR_FUNCTION_RESOLUTION,
    WR_FUNCTION_TIME,
    WR_FUNCTION_HOUR,
    WR_FUNCTION_WEEKDAY,
    /* of conditions */
    WR_FUNCTION_RISES,
    WR_FUNCTION_FALLS,
    WR_FUNCTION_CHANGED,
    WR_FUNCTION_HELD,
    WR_FUNCTION_HITS,
    WR_FUNCTION_DUTY,
    WR_FUNCTION_COUNT_IF,
    WR_FUNCTION_VOTE,
    /* windows */
    WR_FUNCTION_AVG,
    WR_FUNCTION_MIN,
    WR_FUNCTION_MAX,
    WR_FUNCTION_SUM,
    WR_FUNCTION_COUNT,
    WR_FUNCTION_SPAN,
    WR_FUNCTION_STDDEV,
    WR_FUNCTION_RMS,
    WR_FUNCTION_MEDIAN,
    WR_FUNCTION_QUANTILE,
    WR_FUNCTION_SLOPE,
    WR_FUNCTION_RISE,
    WR_FUNCTION_FALL,
    WR_FUNCTION_FIRST,
    WR_FUNCTION_INTEGRAL,
    WR_FUNCTION_COVERAGE,
    WR_FUNCTION_CHANGES,
    /* counters */
    WR_FUNCTION_INCREASE,
    WR_FUNCTION_RATE,
    WR_FUNCTION_RESETS,
    /* across series */
    WR_FUNCTION_AVG_OF,
    WR_FUNCTION_MAX_OF,
    WR_FUNCTION_MIN_OF,
    WR_FUNCTION_COUNT_OF,
    WR_FUNCTION_SPREAD_OF,
    /* models */
    WR_FUNCTION_EWMA,
    WR_FUNCTION_BASELINE,
    WR_FUNCTION_CUSUM,
    WR_FUNCTION_ANOMALY,
    WR_FUNCTION_FORECAST,
    WR_FUNCTION_T2Q,
    /* arithmetic */
    WR_FUNCTION_ABS,
    WR_FUNCTION_IF,
    WR_FUNCTION_CLAMP,
    WR_FUNCTION_ROUND,
    WR_FUNCTION_DEWPOINT,
    WR_FUNCTION_HEAT_INDEX,
    WR_FUNCTION_NONE,
};

struct wr_function {
    const char *name;
    enum wr_function_id id;
    enum wr_function_form form;
    const char *usage;
};

/* NULL when there is no such function. */
const struct wr_function *wr_function_find(const char *name);
/* The nearest name, or NULL. */
const char *wr_function_nearest(const char *name);

#endif
