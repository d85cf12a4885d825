/* An engine with an evaluator that only counts: what tests of the engine have in common. As statics, one a program.
 *
 * Threads: one. The test names its windows and starts the engine; teardown stops it.
 */
#ifndef WEIR_TESTS_SUPPORT_ENGINE_BED_H
#define WEIR_TESTS_SUPPORT_ENGINE_BED_H

#include "tests/support/engine_fixture.h"
#include "tests/support/fake_evaluator.h"

#define T0 WR_TEST_WALL_NS
#define S WR_TEST_S
#define MS WR_NS_PER_MS

static struct wr_test_engine test;
static struct wr_evaluator rules; /* quiet from 0 to 10 */

static inline int engine_bed_setup(void **state) {
    (void)state;
    test = (struct wr_test_engine){0};
    rules = (struct wr_evaluator){.low = 0, .high = 10, .lateness_ns = -1};
    return 0;
}

static inline int engine_bed_teardown(void **state) {
    (void)state;
    wr_test_engine_stop(&test);
    return 0;
}

#endif
