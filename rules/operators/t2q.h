/* t2q: are several series together as they use to be? Multivariate control charts: Hotelling's T² and Q, the squared prediction error.
 *
 * While it learns, mean and covariance of the vectors are gathered as they come. Then the series, each in its own standard deviations, are turned into principal components,
 * of which the largest are kept that hold WR_T2Q_EXPLAINED of the variance. From there on nothing is learned. T² is how far a vector is from the mean along
 * what is kept, where the usual moves lie; Q how far it is off them: there the correlations are broken. Each comes with the part of
 * vectors of the time of learning that is expected below it (its limit at 99 % is where that part is 0.99): T² by the F distribution, as a new vector
 * against an estimated covariance; Q by the approximation of Jackson and Mudholkar. Both suppose that the vectors are about normally distributed.
 *
 * Promise: a state is a flat block without pointers, all zero at the start; nothing is allocated; a vector costs a bounded time, the one that ends the
 * learning up to a hundred times that. The part is never NaN or outside of [0, 1].
 * Refused: a vector with a number that is not finite or beyond WR_T2Q_VALUE_MAX is not taken. A series that stood still while it was learned has no
 * deviation to measure in, and is left out.
 *
 * Threads: one at a time. Ownership: the caller's memory, aligned to 8. Limits: 2 to 16 series; warm-up of at least two vectors more than series.
 * Source: Hotelling 1947; Tracy, Young and Mason, Journal of Quality Technology 24 (1992), the F distribution of new vectors; Jackson and Mudholkar,
 * Technometrics 21 (1979), the limit of Q; Welford 1962; Golub and Van Loan, Matrix Computations, chapter 8.5, cyclic Jacobi.
 */
#ifndef WEIR_RULES_OPERATORS_T2Q_H
#define WEIR_RULES_OPERATORS_T2Q_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_T2Q_SERIES_MAX 16
#define WR_T2Q_EXPLAINED 0.9
#define WR_T2Q_VALUE_MAX 1e100

struct wr_t2q_spec {
    uint32_t series; /* 2 to WR_T2Q_SERIES_MAX */
    uint32_t warmup; /* vectors to learn from */
};

struct wr_t2q {
    uint32_t n;    /* vectors learned */
    uint32_t kept; /* components; 0: still learning, or no series ever moved */
    double mean[WR_T2Q_SERIES_MAX];
    double deviation[WR_T2Q_SERIES_MAX];                  /* 0: left out. While learning: not used */
    double matrix[WR_T2Q_SERIES_MAX * WR_T2Q_SERIES_MAX]; /* while learning: sums of products; then the components, one a row */
    double variance[WR_T2Q_SERIES_MAX];                   /* of each component, falling */
};

struct wr_t2q_answer {
    double t2;
    double q;
    double t2_part; /* of vectors expected below */
    double q_part;
    double part; /* of the two the larger: what a rule compares with 0.99 */
};

/* WR_INVALID: err says what is wrong with the numbers. */
WR_MUST_USE enum wr_result wr_t2q_check(const struct wr_t2q_spec *spec, struct wr_error *err);
/* A vector of spec->series numbers. True with an answer once the learning is over; false while it learns, or when the vector is not taken. */
bool wr_t2q_add(const struct wr_t2q_spec *spec, struct wr_t2q *state, const double *vector, struct wr_t2q_answer *ret_answer);
/* Whether saved bytes can be a state of this spec. */
bool wr_t2q_is_valid(const struct wr_t2q_spec *spec, const struct wr_t2q *state);

#endif
