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
    WR_FUNCTION_ABS,
    WR_FUNCTION_AGE,
    WR_FUNCTION_LAST,
    WR_FUNCTION_PREV,
    WR_FUNCTION_DELTA,
    WR_FUNCTION_AVG,
    WR_FUNCTION_MIN,
    WR_FUNCTION_MAX,
    WR_FUNCTION_SUM,
    WR_FUNCTION_COUNT,
    WR_FUNCTION_RATE,
    WR_FUNCTION_PERIOD,
    WR_FUNCTION_RESOLUTION,
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
