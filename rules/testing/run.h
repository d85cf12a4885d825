/* Runs one test: samples, timers, commands and expectations in the order of their times.
 *
 * At one instant first the samples come, in the order of `given`, then the timers that are due, then commands, then expectations.
 * Promise: pure but for the files of csv(); the same seed gives the same run. Threads: one at a time.
 */
#ifndef WEIR_RULES_TESTING_RUN_H
#define WEIR_RULES_TESTING_RUN_H

#include "rules/testing/scenario.h"
#include "rules/testing/world.h"

#define WR_TEST_SEED 1

/* An expectation that was not met, or a command that was not taken. */
struct wr_test_failure {
    const struct wr_test *test;
    const struct wr_world *world; /* for what was told until then */
    int64_t t_ns;
    struct wr_position at;
    const struct wr_selector *selector; /* whose transitions are of interest; NULL: none */
    char message[512];
};

typedef void wr_test_failed(void *user, const struct wr_test_failure *failure);

struct wr_test_options {
    uint64_t seed;          /* of the noise */
    wr_test_failed *failed; /* NULL: only whether; then the run ends at the first */
    void *user;
    uint32_t max_timers; /* 0: WR_WORLD_TIMERS */
};

/* *ret_failures: how many expectations were not met. WR_NO_MEMORY; WR_LIMIT: it went beyond a limit of the world. Files of csv() that cannot be read are failures. */
WR_MUST_USE enum wr_result wr_test_run(struct wr_ruleset *rules, const struct wr_test *test, const struct wr_test_options *options,
                                       uint32_t *ret_failures, struct wr_error *err);

/* expect.c: whether it is met now; else failure->message and at say what was there. */
bool wr_test_met(const struct wr_world *world, const struct wr_test *test, const struct wr_test_expect *expect,
                 struct wr_test_failure *failure);

#endif
