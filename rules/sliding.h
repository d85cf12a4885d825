/* Sliding windows: the samples of one series over the last while (5m), or the last so many (count 20), exact.
 *
 * Promise: every answer is computed from the samples themselves, in the order of their time: no running sums, so no drift, and the same
 * answer as a naive sum. At most WR_SLIDING_MAX samples: when more come within the span the oldest are pushed out, which is counted. (256 is
 * checked at load where the point declares its period; a scan of 256 numbers costs about as much as two cache misses.) Samples may
 * come out of order; one that is older than the window, or than all of a full window, is not taken. A window shared by several
 * rules is one window: each sample is put in once, each answer computed once per change.
 *
 * Time: the series' own clock (rules/evaluator_private.h): event time, made immune to steps of the local wall clock. The window at t is the half-open
 * interval (t - span, t].
 * Threads: one at a time. Memory: one allocation, when it is made.
 */
#ifndef WEIR_RULES_SLIDING_H
#define WEIR_RULES_SLIDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"
#include "rules/functions.h"

#define WR_SLIDING_MAX 256

struct wr_sliding_sample {
    int64_t at_ns;
    double value;
};

struct wr_sliding {
    int64_t span_ns;   /* 0: the last `capacity` samples */
    uint32_t capacity; /* samples */
    uint32_t first;    /* index of the oldest */
    uint32_t n;
    uint32_t users;
    bool cached; /* the answers below hold */
    double sum;
    double min;
    double max;
    struct wr_sliding_sample ring[];
};

/* Bytes of a window of this many samples. */
size_t wr_sliding_bytes(uint32_t capacity);
WR_MUST_USE enum wr_result wr_sliding_new(int64_t span_ns, uint32_t capacity, struct wr_sliding **ret_window);
void wr_sliding_free(struct wr_sliding *window);

/* Forgets what is not in (now - span, now]. */
void wr_sliding_advance(struct wr_sliding *window, int64_t now_ns);
/* Puts a sample in, by its time; of equal times the later call is later. True when a sample was pushed out by number before its time. */
bool wr_sliding_add(struct wr_sliding *window, int64_t at_ns, double value);
/* Time at which the oldest sample leaves; INT64_MAX: none will. */
int64_t wr_sliding_next_leave(const struct wr_sliding *window);

/* The answer of avg, min, max, sum, count, rate or delta; NaN: there is none yet (no sample; one alone for rate and delta).
 * rate is per second; of a counter it takes a fall for a reset to zero, or with wrap > 0 for a wrap, and delta likewise. */
double wr_sliding_answer(struct wr_sliding *window, enum wr_function_id function, bool counter, double wrap);

#endif
