/* The functions of the rule language: one table that says of each how it is written, what it takes, what it answers, and how it is computed. The
 * checker reads calls by it (rules/language/check_call.c), and docs/rules-reference.md is made from it.
 *
 * Threads: none; a const table. A name that the language has but this version does not is known here, so that it is refused by name.
 */
#ifndef WEIR_RULES_LANGUAGE_FUNCTIONS_H
#define WEIR_RULES_LANGUAGE_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>

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

/* Into what a call is compiled. */
enum wr_function_how {
    WR_HOW_LOAD,     /* an instruction that looks at the signal: last, age ... */
    WR_HOW_DECLARED, /* a constant of the point */
    WR_HOW_TIME,
    WR_HOW_PULSE,
    WR_HOW_HELD, /* a node with a delay */
    WR_HOW_VOTE,
    WR_HOW_OPERATOR, /* memory over one signal: rules/operators/operator.h */
    WR_HOW_SET,      /* a node over all series of a selector */
    WR_HOW_VECTOR,   /* a model over several signals together */
    WR_HOW_VALUE,    /* arithmetic on the stack */
    WR_HOW_LATER,    /* not in this version */
};

/* What an argument must be. */
enum wr_argument {
    WR_ARGUMENT_NUMBER,     /* an expression */
    WR_ARGUMENT_TRUTH,      /* a condition of which only the present value counts */
    WR_ARGUMENT_SIGNAL,     /* a number with a history: a series, a derived point, or an expression */
    WR_ARGUMENT_CONDITION,  /* a condition with a history */
    WR_ARGUMENT_ANY,        /* a number or a text with a history */
    WR_ARGUMENT_SERIES,     /* a declared series, by name */
    WR_ARGUMENT_SELECTOR,   /* a series, as many as match */
    WR_ARGUMENT_ELEMENT,    /* a condition over one series, for each that matches */
    WR_ARGUMENT_WINDOW,     /* 5m, count 20, 1h step=1m, tumbling=1m */
    WR_ARGUMENT_DURATION,   /* a constant */
    WR_ARGUMENT_COUNT,      /* a whole number, constant */
    WR_ARGUMENT_RATIO,      /* a constant of 0 to 1, or in % */
    WR_ARGUMENT_PLAIN,      /* a number without a unit, constant */
    WR_ARGUMENT_DIFFERENCE, /* a constant, a difference in the unit of the signal */
    WR_ARGUMENT_ZONE,       /* a time zone, in quotes */
    WR_ARGUMENT_WORD,       /* one of words */
};

/* The unit of the answer. */
enum wr_answer {
    WR_ANSWER_SAME,       /* of the first argument */
    WR_ANSWER_DIFFERENCE, /* of two values of the first argument */
    WR_ANSWER_PER_SECOND, /* such a difference by time */
    WR_ANSWER_TIMES_TIME, /* the value by time */
    WR_ANSWER_PLAIN,      /* a bare number */
    WR_ANSWER_RATIO,      /* 0 to 1, to be compared with 0.9 or 90% */
    WR_ANSWER_SECONDS,
    WR_ANSWER_CELSIUS,
    WR_ANSWER_TRUTH,
    WR_ANSWER_QUALITY, /* "good", "uncertain" or "bad" */
};

#define WR_FUNCTION_PARAMETERS 5

struct wr_parameter {
    const char *name; /* as in name=...; NULL: ends the list */
    enum wr_argument kind;
    bool optional;
    bool by_name; /* only as name=... */
    double low;   /* COUNT, DURATION (s): the least and the most; none when low is not below high */
    double high;
    const char *const *words; /* WORD: ends with NULL; the number is the index */
};

struct wr_function {
    const char *name;
    enum wr_function_id id;
    enum wr_function_how how;
    enum wr_answer answer;
    bool many;      /* the last parameter that is not by_name may come again */
    bool no_points; /* a position on a scale has no such thing: the sum of temperatures */
    struct wr_parameter parameters[WR_FUNCTION_PARAMETERS];
    const char *usage;
    const char *help;
    const char *example; /* a condition; tests compile it */
};

/* In the order of the reference; ends with a name of NULL. */
extern const struct wr_function wr_functions[];

/* NULL when there is no such function. */
const struct wr_function *wr_function_find(const char *name);
/* The nearest name, or NULL. */
const char *wr_function_nearest(const char *name);

#endif
