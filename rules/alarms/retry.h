/* How often an action is tried, and how long it waits in between: `retry: "3 1s x2"` is three tries, one second after the first, two after the
 * second. "1" alone is one try; without a factor the waits are equal.
 *
 * Threads: none; pure functions. Limits: WR_RETRY_TRIES tries, waits of WR_RETRY_WAIT_MAX_NS at most, factors 1 to 10 with two decimals.
 * Errors: WR_INVALID with what is wrong. Units: ns.
 */
#ifndef WEIR_RULES_ALARMS_RETRY_H
#define WEIR_RULES_ALARMS_RETRY_H

#include <stdint.h>

#include "core/result.h"

#define WR_RETRY_TRIES 1000
#define WR_RETRY_WAIT_MAX_NS (600 * INT64_C(1000000000))

struct wr_retry {
    uint32_t tries;   /* the first one counted; 1: never again */
    uint32_t percent; /* each wait is so many percent of the one before: 200 is x2 */
    int64_t wait_ns;  /* after the first try */
};

WR_MUST_USE enum wr_result wr_retry_parse(const char *text, struct wr_retry *ret_retry, struct wr_error *err);

/* The wait after so many tries, tried >= 1. */
int64_t wr_retry_wait_ns(const struct wr_retry *retry, uint32_t tried);

#endif
