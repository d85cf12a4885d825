/* What ends a simulation: a finding, told with the seed and the moment, so that it can be run again. */
#ifndef WEIR_TESTS_SIM_CHECK_H
#define WEIR_TESTS_SIM_CHECK_H

#include <stdnoreturn.h>

#include "core/result.h"

/* Prints "FOUND seed=... day=... : text" and leaves with exit code 1. */
noreturn void sim_found(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define SIM_ASSERT(condition, ...) ((condition) ? (void)0 : sim_found(__VA_ARGS__))
#define SIM_MUST(call) sim_must((call), #call)

static inline void sim_must(enum wr_result result, const char *call) {
    if (result != WR_OK)
        sim_found("%s: %s", call, wr_result_name(result));
}

#endif
