/* Detectors: how unusual is a sample for its series? Each learns as it goes, from the samples alone.
 *
 * A detector is a row of a table: the bytes of its state and a function that takes a sample and answers a number of [0, 1]: near 0 usual, near 1
 * hardly ever seen. Nothing is looked at twice, nothing from later on. docs/detectors.md says which is for what, with their scores.
 *
 * Promise: a state is a flat block without pointers, all zero at the start: it can be copied, saved and restored as bytes; adding allocates
 * nothing and takes bounded time; the answer is never NaN or outside of [0, 1]; the same samples give the same answers. What is not finite or
 * larger than WR_ANOMALY_VALUE_MAX is not taken, and answered with 0.
 *
 * Threads: one at a time. Ownership: the caller's memory, aligned to 8. Time: ns, not running backwards (a step back counts as no time).
 */
#ifndef WEIR_RULES_OPERATORS_ANOMALY_H
#define WEIR_RULES_OPERATORS_ANOMALY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_ANOMALY_VALUE_MAX 1e100 /* so that sums and squares stay finite */

/* What is known beforehand. */
struct wr_anomaly_setup {
    double low; /* the declared range of the point; NaN: none */
    double high;
};

struct wr_anomaly {
    const char *name;
    uint32_t bytes;
    double (*add)(const struct wr_anomaly_setup *setup, void *state, int64_t at_ns, double value);
    /* Whether saved bytes can be a state: every index in range, every number finite where it must be. */
    bool (*is_valid)(const struct wr_anomaly_setup *setup, const void *state);
};

extern const struct wr_anomaly wr_anomaly_robust;
extern const struct wr_anomaly wr_anomaly_cusum;
extern const struct wr_anomaly wr_anomaly_relent;
extern const struct wr_anomaly wr_anomaly_novelty;   /* within 2 KB */
extern const struct wr_anomaly wr_anomaly_novelty16; /* within 16 KB */

/* A number that a detector takes, or that can be in a state; false for NaN. */
static inline bool wr_anomaly_usable(double value) {
    return value >= -WR_ANOMALY_VALUE_MAX && value <= WR_ANOMALY_VALUE_MAX;
}

#endif
