/* Operators: the functions with memory of the rule language, each over one signal: windows, counters, models.
 *
 * A signal is a series, or a derived point of one tuple of labels; its samples come with their time on the signal's own clock
 * (rules/evaluator/evaluator_private.h). A condition is a signal too: 1 true, 0 false, NaN unknown.
 *
 * Life: the checker reads a call into struct wr_operator_call; wr_operator_plan decides how it is computed (exact samples, panes, histogram, model),
 * or says why not; the evaluator makes one state for each (signal, spec) and shares it among all calls whose specs are the same: avg, sum,
 * count, stddev and rms of one window are one state. Samples go in once, answers are taken when a rule wants one.
 *
 * Promise: add, advance and answer allocate nothing and take bounded time: `cost_ns` of the spec is the worst case. A state is one flat block without pointers, all zero
 * at the start: it can be copied, saved and restored as bytes. Answers are finite, or NaN for "not known yet".
 *
 * Threads: one at a time. Ownership: the caller's memory, wr_operator_bytes long, aligned to 8. Time: ns; the window at t is (t - span, t].
 */
#ifndef WEIR_RULES_OPERATORS_OPERATOR_H
#define WEIR_RULES_OPERATORS_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"
#include "rules/language/functions.h"

#define WR_OPERATOR_NUMBERS 4
#define WR_OPERATOR_BYTES_MAX (256u << 10) /* of one state: what would need more is refused at load */

struct wr_point;

/* A call as written, checked for units: lengths in ns, other numbers in the unit of the signal. */
struct wr_operator_call {
    enum wr_function_id function;
    int64_t span_ns;     /* 0: by count, or a function without a window */
    uint32_t count;      /* `count 20`; 0: by time */
    int64_t step_ns;     /* step=: resolution chosen by hand; 0: not given */
    int64_t tumbling_ns; /* tumbling=; 0: sliding */
    uint8_t method;      /* enum wr_operator_method, of anomaly */
    double numbers[WR_OPERATOR_NUMBERS]; /* further arguments in the order of the function's usage; NaN: not given */
    const struct wr_point *point; /* of the signal: period, range, resolution, counter, wrap; NULL: not declared */
    bool condition;               /* the signal is a condition */
};

enum wr_operator_method { WR_METHOD_NONE, WR_METHOD_ROBUST, WR_METHOD_RELENT, WR_METHOD_CUSUM, WR_METHOD_NOVELTY, WR_METHOD_NOVELTY16, WR_METHODS };

struct wr_operator_kind; /* rules/operators/kind.h: the table of functions of one way to compute */

/* How a call is computed: immutable, plain data, equal by wr_operator_same. */
struct wr_operator_spec {
    const struct wr_operator_kind *kind;
    int64_t span_ns;
    int64_t step_ns;
    uint32_t count;
    uint32_t capacity; /* samples, panes or bins in the state */
    double numbers[WR_OPERATOR_NUMBERS];
    double low, high, resolution; /* of the point, where the kind depends on them */
    double wrap;
    int64_t every_ns;
    bool counter;
    bool every_sample; /* needs each sample of its signal, also one that changes nothing */
    uint32_t bytes;    /* of a state */
    uint32_t cost_ns;  /* worst case of one add and one answer, estimated */
    double edge;       /* largest error at the window's edge, as a part of its length; 0: exact. For `weir check` */
};

/* WR_INVALID, WR_LIMIT: err says what cannot be computed and what to write instead. */
WR_MUST_USE enum wr_result wr_operator_plan(const struct wr_operator_call *call, struct wr_operator_spec *ret_spec, struct wr_error *err);
/* One state serves both. */
bool wr_operator_same(const struct wr_operator_spec *a, const struct wr_operator_spec *b);

/* The state is all zero. */
void wr_operator_init(const struct wr_operator_spec *spec, void *state);
/* A sample; NaN: the signal is unknown from here on. Samples may come out of order; what is older than the window is not taken. True when a sample was
 * pushed out by number before its time. */
bool wr_operator_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value);
/* The signal's clock has come to now_ns. */
void wr_operator_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns);
/* The answer to one of the functions that share the state; number: a further argument that is not part of the spec (q of quantile, `ahead` of
 * forecast). */
double wr_operator_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number);
/* The signal's time at which the answer can change though no sample comes; INT64_MAX: never. */
int64_t wr_operator_next(const struct wr_operator_spec *spec, const void *state);

/* Whether saved bytes can be a state of this spec: of the right length, and every index inside them in range. */
bool wr_operator_is_valid(const struct wr_operator_spec *spec, const void *state, size_t len);

#endif
