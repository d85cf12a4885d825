/* The score of the Numenta Anomaly Benchmark: how early, and with how few false alarms, a detector finds the labelled windows of recordings.
 *
 * Every row of a file has a worth: what it counts when the detector's score there reaches the threshold. In a labelled window that is positive,
 * almost 1 at its left edge and falling along a sigmoid towards its right edge; of each window the best row alone counts, and a window without one
 * costs fn. Behind a window the worth of a row falls along the same sigmoid to -fp, which it is before the first window too; each such row counts. The
 * first 15 % of a file, of 5000 rows at most, count nothing: there a detector may learn. One threshold holds for all files, the best
 * one; and the sum is put between that of the detector that never speaks (0) and of the one that finds the first row of each window and nothing else (100).
 *
 * Source: Lavin, Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark", arXiv 1510.03336. Where the paper leaves
 * room (the paper's formula has no width of a row and no end of the slope) this does what its published scores were computed with: position in a
 * window -(last - row + 1) / rows of the window, scaled so that its first row is worth 1; behind it (row - last) / (rows - 1), from 3 on -1.
 *
 * Threads: any. Ownership: the caller's arrays. Memory: nab_score_all ends the program when there is none, as it is of tests alone.
 */
#ifndef WEIR_TESTS_SUPPORT_NAB_SCORE_H
#define WEIR_TESTS_SUPPORT_NAB_SCORE_H

#include <stddef.h>
#include <stdint.h>

#define NAB_WINDOWS_MAX 16

struct nab_window {
    size_t first; /* rows, both belong to it */
    size_t last;
};

struct nab_profile {
    double tp;
    double fp; /* costs are positive */
    double fn;
};

/* The profile whose scores are quoted everywhere. */
extern const struct nab_profile nab_standard;

struct nab_file {
    const char *name;
    size_t n;
    const int64_t *at_ns;
    const double *values;
    struct nab_window windows[NAB_WINDOWS_MAX]; /* by time, apart */
    size_t n_windows;
};

struct nab_result {
    double threshold; /* a row counts when its score is at least this; above 1: the best is to say nothing */
    double raw;
    double score; /* 0 to 100, or below 0 */
};

/* Rows that count nothing. */
size_t nab_probation(size_t n);
/* -1: left edge of a window, 0: right edge, 1: as far behind it as it is wide. */
double nab_sigmoid(double position);
/* What a row counts when it is detected; ret_window is the index of its window, or -1. */
double nab_worth(const struct nab_file *file, size_t row, const struct nab_profile *profile, int *ret_window);
/* Of one file, not normalised. */
double nab_raw(const struct nab_file *file, const double *scores, double threshold, const struct nab_profile *profile);
/* At the best threshold over all of them. scores[i] has a number of [0, 1] for each row of files[i]; NaN counts as 0. */
struct nab_result nab_score_all(const struct nab_file *files, const double *const *scores, size_t n_files,
                                const struct nab_profile *profile);
/* At a given threshold. */
struct nab_result nab_score_at(const struct nab_file *files, const double *const *scores, size_t n_files, double threshold,
                               const struct nab_profile *profile);

#endif
