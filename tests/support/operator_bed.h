/* One operator on its own, for tests: planned from a call, its state in a block of exactly its size, so that the sanitizer sees a step beside it. */
#ifndef WEIR_TESTS_SUPPORT_OPERATOR_BED_H
#define WEIR_TESTS_SUPPORT_OPERATOR_BED_H

#include <math.h>
#include <stdlib.h>

#include "rules/compile/compiled.h"
#include "rules/operators/operator.h"

#define S INT64_C(1000000000)

struct operator_bed {
    struct wr_operator_spec spec;
    void *state;
};

/* A call without anything given. */
static inline struct wr_operator_call operator_call(enum wr_function_id function) {
    return (struct wr_operator_call){.function = function, .numbers = {NAN, NAN, NAN, NAN}};
}

static inline enum wr_result operator_start(struct operator_bed *bed, const struct wr_operator_call *call, struct wr_error *err) {
    *bed = (struct operator_bed){0};
    WR_TRY(wr_operator_plan(call, &bed->spec, err));
    bed->state = malloc(bed->spec.bytes);
    if (!bed->state)
        return WR_NO_MEMORY;
    wr_operator_init(&bed->spec, bed->state);
    return WR_OK;
}

static inline void operator_stop(struct operator_bed *bed) {
    free(bed->state);
    bed->state = NULL;
}

/* As the evaluator does: the clock first, then the sample. */
static inline bool operator_take(struct operator_bed *bed, int64_t at_ns, double value) {
    wr_operator_advance(&bed->spec, bed->state, at_ns);
    return wr_operator_add(&bed->spec, bed->state, at_ns, value);
}

static inline double operator_says(struct operator_bed *bed, enum wr_function_id function) {
    return wr_operator_answer(&bed->spec, bed->state, function, NAN);
}

#endif
