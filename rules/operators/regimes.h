/* Regimes: the distributions that a series has shown before, each as the counts of one window of samples in a few bins.
 *
 * Promise: with each sample the last window is compared with every regime known. Twice the window times the relative entropy of its counts to
 * those of a regime is, where the regime holds, chi-squared distributed (a multinomial goodness of fit); the answer is the tail probability at the nearest
 * regime. Below WR_REGIMES_LEVEL none agrees: then the window becomes a regime. Of more than there is room for, the one that agreed least often gives
 * way.
 *
 * The bins cover a declared range; without one they begin on the first window, and the range doubles whenever a sample lies outside: neighbouring bins,
 * of which there must be an even number, become one, in all regimes.
 *
 * Source: Wang, Viswanathan, Choudur, Talwar, Satterfield, Schwan, "Statistical techniques for online anomaly detection in data centers", IM 2011; the growing range
 * is ours.
 *
 * Threads: one at a time. Ownership: the caller's memory, all zero at the start. Limits: 4 to 8 bins, windows of at most WR_RECENT_MAX samples.
 */
#ifndef WEIR_RULES_OPERATORS_REGIMES_H
#define WEIR_RULES_OPERATORS_REGIMES_H

#include <stdbool.h>
#include <stdint.h>

#define WR_RECENT_MAX 104
#define WR_REGIMES_BINS_MAX 8
#define WR_REGIMES_LEVEL 0.01
#define WR_REGIMES_VALUE_MAX 1e30 /* what lies further from the first sample counts as this far */

/* The last samples, less the first of all: so that a small change on a large number is not lost. */
struct wr_recent {
    double origin;
    uint32_t n; /* samples so far; stays at UINT32_MAX - 1 or less */
    float ring[WR_RECENT_MAX];
};

void wr_recent_add(struct wr_recent *recent, double value);
/* The sample `back` before the last one; back < min(n, WR_RECENT_MAX). */
float wr_recent_at(const struct wr_recent *recent, uint32_t back);
bool wr_recent_is_valid(const struct wr_recent *recent);

struct wr_regime {
    uint8_t counts[WR_REGIMES_BINS_MAX];
    uint8_t agreed; /* how often; of all halved when one is full */
};

struct wr_regimes_shape {
    uint8_t bins;
    uint8_t window;
    uint16_t room;    /* regimes */
    double shift;     /* by which part of a bin the first range begins below the first window; so that the bins of several differ */
    double low, high; /* declared range; NaN: none */
};

struct wr_regimes {
    float low;   /* less the origin of the samples */
    float width; /* of a bin; 0: no range yet */
    uint16_t known;
};

/* To be called after each wr_recent_add. Returns the tail probability; 1 as long as there is nothing to compare with. regimes: room for
 * shape->room. */
double wr_regimes_add(const struct wr_regimes_shape *shape, struct wr_regimes *state, struct wr_regime *regimes,
                      const struct wr_recent *recent);
bool wr_regimes_is_valid(const struct wr_regimes_shape *shape, const struct wr_regimes *state, const struct wr_regime *regimes);

#endif
