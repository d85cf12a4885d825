/* What an operator's way to compute has to bring, and where it is registered: one file of this folder for each way.
 *
 * A new way: a file NAME.c with `const struct wr_operator_kind wr_NAME_kind` and `wr_operator_planner wr_NAME_plan`, both declared below, and
 * a row for each of its functions in the table of plan.c.
 *
 * Promise of each function: no allocation, no lock, no clock, no recursion; a bounded number of steps; indexes stay inside the state also when
 * its bytes came from a file and is_valid took them. Flags inside a state are whole numbers, never bool (any byte may stand there).
 * Threads: one at a time on one state; the tables are const.
 */
#ifndef WEIR_RULES_OPERATORS_KIND_H
#define WEIR_RULES_OPERATORS_KIND_H

#include <math.h>

#include "rules/operators/operator.h"

/* Times lie within so many ns of 1970, so that differences of two of them fit. */
#define WR_OPERATOR_TIME_MAX_NS INT64_C(4000000000000000000)
/* The longest window, season or time constant. */
#define WR_OPERATOR_SPAN_MAX_NS (INT64_C(400) * 86400 * 1000000000)
/* By number a window has no length that says which sample is of another time: one that is further ahead of the signal's clock. */
#define WR_OPERATOR_AHEAD_NS WR_OPERATOR_MINUTE_NS
#define WR_OPERATOR_NS_PER_S 1e9
#define WR_OPERATOR_MINUTE_NS (INT64_C(60) * 1000000000)

struct wr_operator_kind {
    const char *name;
    /* value is finite or NaN (unknown from here on); the time is in range. */
    bool (*add)(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value);
    /* The time is in range; it may go back. */
    void (*advance)(const struct wr_operator_spec *spec, void *state, int64_t now_ns);
    /* What is not finite is made NaN by the caller. */
    double (*answer)(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number);
    int64_t (*next)(const struct wr_operator_spec *spec, const void *state);
    /* The length has been compared. */
    bool (*is_valid)(const struct wr_operator_spec *spec, const void *state);
};

/* Fills kind, capacity, bytes, cost_ns and what else its kind reads; the rest of *spec is zero. */
typedef enum wr_result wr_operator_planner(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err);

extern const struct wr_operator_kind wr_samples_kind;   /* samples.c */
extern const struct wr_operator_kind wr_panes_kind;     /* panes.c */
extern const struct wr_operator_kind wr_tumbling_kind;  /* panes.c */
extern const struct wr_operator_kind wr_quantiles_kind; /* quantiles.c */
extern const struct wr_operator_kind wr_duty_kind;      /* duty.c */
extern const struct wr_operator_kind wr_hits_kind;      /* hits.c */
extern const struct wr_operator_kind wr_ewma_kind;      /* ewma.c */
extern const struct wr_operator_kind wr_baseline_kind;  /* baseline.c */
extern const struct wr_operator_kind wr_cusum_kind;     /* cusum.c */
extern const struct wr_operator_kind wr_anomaly_kind;   /* anomaly.c */

wr_operator_planner wr_samples_plan, wr_panes_plan, wr_tumbling_plan, wr_quantiles_plan; /* chosen by plan.c: one function, several ways */
wr_operator_planner wr_duty_plan, wr_hits_plan, wr_ewma_plan, wr_baseline_plan, wr_cusum_plan, wr_anomaly_plan;

/* The function's name as rules write it. */
const char *wr_operator_function(enum wr_function_id function);
/* "5m", for error texts. */
struct wr_operator_text {
    char text[64];
};
struct wr_operator_text wr_operator_length(int64_t ns);
/* The same for what to write instead: rounded up to a length that a person would choose. */
struct wr_operator_text wr_operator_length_above(int64_t ns);

static inline bool wr_operator_time_fits(int64_t at_ns) {
    return at_ns >= -WR_OPERATOR_TIME_MAX_NS && at_ns <= WR_OPERATOR_TIME_MAX_NS;
}

static inline bool wr_operator_is_number(double value) {
    return isfinite(value) || isnan(value);
}

#endif
