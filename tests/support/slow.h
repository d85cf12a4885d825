/* How long a property test may run here: a sanitizer takes ten times as long for a step, an emulator thirty; and where lines are counted (WEIR_SHORT), more
 * steps reach no other line. What they look for shows in fewer steps; the plain builds take all of them. */
#ifndef WEIR_TESTS_SUPPORT_SLOW_H
#define WEIR_TESTS_SUPPORT_SLOW_H

#include <stdbool.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WR_TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WR_TEST_SANITIZED 1
#endif
#ifndef WR_TEST_SANITIZED
#define WR_TEST_SANITIZED 0
#endif

static inline bool wr_test_is_slow(void) {
    return WR_TEST_SANITIZED || getenv("WEIR_EMULATED") || getenv("WEIR_SHORT");
}

static inline int wr_test_steps(int steps) {
    return wr_test_is_slow() ? steps / 10 : steps;
}

#endif
