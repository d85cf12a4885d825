/* The life of a state: what comes in is made safe here, once for all kinds. */
#include "rules/operators/operator.h"

#include <string.h>

#include "rules/operators/kind.h"

void wr_operator_init(const struct wr_operator_spec *spec, void *state) {
    memset(state, 0, spec->bytes);
}

bool wr_operator_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    return wr_operator_time_fits(at_ns) && spec->kind->add(spec, state, at_ns, isfinite(value) ? value : NAN);
}

void wr_operator_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    if (wr_operator_time_fits(now_ns))
        spec->kind->advance(spec, state, now_ns);
}

double wr_operator_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    double answer = spec->kind->answer(spec, state, function, number);
    return isfinite(answer) ? answer : NAN;
}

int64_t wr_operator_next(const struct wr_operator_spec *spec, const void *state) {
    return spec->kind->next(spec, state);
}

bool wr_operator_is_valid(const struct wr_operator_spec *spec, const void *state, size_t len) {
    return len == spec->bytes && spec->kind->is_valid(spec, state);
}
