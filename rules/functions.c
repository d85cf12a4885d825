#include "rules/functions.h"

#include <string.h>

#include "rules/diagnostics.h"

static const struct wr_function functions[] = {
    {"abs", WR_FUNCTION_ABS, WR_FORM_NUMBER, "abs(value)"},
    {"age", WR_FUNCTION_AGE, WR_FORM_SERIES, "age(series)"},
    {"last", WR_FUNCTION_LAST, WR_FORM_SERIES, "last(series)"},
    {"prev", WR_FUNCTION_PREV, WR_FORM_SERIES, "prev(series)"},
    {"delta", WR_FUNCTION_DELTA, WR_FORM_MAYBE_WINDOW, "delta(series) or delta(series, 5m)"},
    {"avg", WR_FUNCTION_AVG, WR_FORM_WINDOW, "avg(series, 5m)"},
    {"min", WR_FUNCTION_MIN, WR_FORM_WINDOW, "min(series, 5m)"},
    {"max", WR_FUNCTION_MAX, WR_FORM_WINDOW, "max(series, 5m)"},
    {"sum", WR_FUNCTION_SUM, WR_FORM_WINDOW, "sum(series, 5m)"},
    {"count", WR_FUNCTION_COUNT, WR_FORM_WINDOW, "count(series, 5m)"},
    {"rate", WR_FUNCTION_RATE, WR_FORM_WINDOW, "rate(series, 5m)"},
    {"period", WR_FUNCTION_PERIOD, WR_FORM_SERIES, "period(series)"},
    {"resolution", WR_FUNCTION_RESOLUTION, WR_FORM_SERIES, "resolution(series)"},
    {"quality", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"time", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"hour", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"weekday", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"rises", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"falls", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"changed", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"held", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"hits", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"span", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"stddev", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"rms", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"median", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"quantile", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"slope", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"rise", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"fall", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"first", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"integral", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"coverage", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"duty", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"changes", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"count_if", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"increase", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"resets", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"avg_of", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"max_of", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"min_of", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"count_of", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"vote", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"spread_of", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"ewma", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"baseline", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"cusum", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"anomaly", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"forecast", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"dewpoint", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"heat_index", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"if", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"clamp", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
    {"round", WR_FUNCTION_NONE, WR_FORM_LATER, ""},
};

#define N_FUNCTIONS (sizeof functions / sizeof functions[0])

const struct wr_function *wr_function_find(const char *name) {
    for (size_t i = 0; i < N_FUNCTIONS; i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

const char *wr_function_nearest(const char *name) {
    const char *names[N_FUNCTIONS];
    for (size_t i = 0; i < N_FUNCTIONS; i++)
        names[i] = functions[i].name;
    return wr_diagnostics_nearest(name, names, N_FUNCTIONS);
}
