#include "rules/operators/t2q.h"

#include <math.h>
#include <string.h>

#include "rules/operators/distribution.h"

#define SWEEPS_MAX 50
#define LEAST 1e-140 /* deviation that can be measured in */
#define FLAT 1e-10   /* a component with less than this part of the variance is noise of the arithmetic */

enum wr_result wr_t2q_check(const struct wr_t2q_spec *spec, struct wr_error *err) {
    if (spec->series < 2 || spec->series > WR_T2Q_SERIES_MAX)
        return wr_error_set(err, WR_INVALID, "t2q compares 2 to %d series, not %u", WR_T2Q_SERIES_MAX, spec->series);
    if (spec->warmup < spec->series + 2)
        return wr_error_set(err, WR_INVALID, "t2q of %u series has to learn from at least %u samples", spec->series, spec->series + 2);
    return WR_OK;
}

static bool usable(const double *vector, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (!(fabs(vector[i]) <= WR_T2Q_VALUE_MAX))
            return false;
    return true;
}

/* Welford's update, of all pairs. */
static void learn(const struct wr_t2q_spec *spec, struct wr_t2q *state, const double *vector) {
    const uint32_t n = spec->series;
    double before[WR_T2Q_SERIES_MAX];
    state->n++;
    for (uint32_t i = 0; i < n; i++) {
        before[i] = vector[i] - state->mean[i];
        state->mean[i] += before[i] / state->n;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j <= i; j++)
            state->matrix[i * n + j] += before[i] * (vector[j] - state->mean[j]);
}

/* Sums of products become correlations, in both triangles. */
static void correlate(uint32_t n, struct wr_t2q *state, double *correlation) {
    for (uint32_t i = 0; i < n; i++) {
        const double variance = state->matrix[i * n + i] / (state->n - 1);
        const bool moved = variance > fmax(LEAST * LEAST, 1e-24 * state->mean[i] * state->mean[i]); /* else it is rounding */
        state->deviation[i] = moved ? sqrt(variance) : 0;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j <= i; j++) {
            const double both = state->deviation[i] * state->deviation[j];
            const double it = both > 0 ? state->matrix[i * n + j] / (state->n - 1) / both : 0;
            correlation[i * n + j] = correlation[j * n + i] = i == j ? both > 0 : fmax(-1, fmin(1, it));
        }
}

/* One rotation that makes a[p][q] zero; vectors has the eigenvectors as rows. */
static void rotate(uint32_t n, double *a, double *vectors, uint32_t p, uint32_t q) {
    const double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
    const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    const double c = 1 / sqrt(t * t + 1);
    const double s = t * c;
    for (uint32_t k = 0; k < n; k++) {
        const double kp = a[k * n + p];
        const double kq = a[k * n + q];
        a[k * n + p] = c * kp - s * kq;
        a[k * n + q] = s * kp + c * kq;
    }
    for (uint32_t k = 0; k < n; k++) {
        const double pk = a[p * n + k];
        const double qk = a[q * n + k];
        a[p * n + k] = c * pk - s * qk;
        a[q * n + k] = s * pk + c * qk;
        const double vp = vectors[p * n + k];
        const double vq = vectors[q * n + k];
        vectors[p * n + k] = c * vp - s * vq;
        vectors[q * n + k] = s * vp + c * vq;
    }
}

/* Eigenvalues end on the diagonal of a, their vectors in the rows of vectors. */
static void jacobi(uint32_t n, double *a, double *vectors) {
    memset(vectors, 0, (size_t)n * n * sizeof *vectors);
    for (uint32_t i = 0; i < n; i++)
        vectors[i * n + i] = 1;
    for (int sweep = 0; sweep < SWEEPS_MAX; sweep++) {
        double off = 0;
        for (uint32_t p = 0; p < n; p++)
            for (uint32_t q = p + 1; q < n; q++) {
                off += fabs(a[p * n + q]);
                if (fabs(a[p * n + q]) > 1e-300)
                    rotate(n, a, vectors, p, q);
            }
        if (off < 1e-14 * n)
            return;
    }
}

/* The learning is over: the components, largest first, and how many of them are kept. */
static void settle(const struct wr_t2q_spec *spec, struct wr_t2q *state) {
    const uint32_t n = spec->series;
    double a[WR_T2Q_SERIES_MAX * WR_T2Q_SERIES_MAX];
    double vectors[WR_T2Q_SERIES_MAX * WR_T2Q_SERIES_MAX];
    double total = 0;
    correlate(n, state, a);
    jacobi(n, a, vectors);
    for (uint32_t rank = 0; rank < n; rank++) {
        uint32_t largest = 0;
        for (uint32_t i = 1; i < n; i++)
            if (a[i * n + i] > a[largest * n + largest])
                largest = i;
        state->variance[rank] = fmax(0, a[largest * n + largest]);
        memcpy(&state->matrix[rank * n], &vectors[largest * n], n * sizeof *vectors);
        a[largest * n + largest] = -1;
        total += state->variance[rank];
    }
    double held = 0;
    for (state->kept = 0; state->kept < n && held < WR_T2Q_EXPLAINED * total; state->kept++)
        held += state->variance[state->kept];
}

/* Jackson and Mudholkar: a power of Q is about normal. */
static double q_part(const struct wr_t2q_spec *spec, const struct wr_t2q *state, double q) {
    double theta[3] = {0, 0, 0};
    for (uint32_t i = state->kept; i < spec->series; i++)
        for (int power = 0; power < 3; power++)
            theta[power] += pow(state->variance[i], power + 1);
    if (theta[0] < FLAT * spec->series) /* nothing was ever off what is kept: anything is too much, but for rounding */
        return q > FLAT * spec->series ? 1 : 0;
    const double h = 1 - 2 * theta[0] * theta[2] / (3 * theta[1] * theta[1]);
    if (fabs(h) < 1e-6)
        return wr_distribution_normal(theta[0] * log(q / theta[0]) / sqrt(2 * theta[1]) + theta[1] / theta[0] / sqrt(2 * theta[1]));
    const double shifted = pow(q / theta[0], h) - 1 - theta[1] * h * (h - 1) / (theta[0] * theta[0]);
    return wr_distribution_normal(theta[0] * shifted / sqrt(2 * theta[1] * h * h) * (h < 0 ? -1 : 1));
}

static double t2_part(const struct wr_t2q *state, double t2) {
    const double a = state->kept;
    const double n = state->n;
    return wr_distribution_f(t2 * n * (n - a) / (a * (n - 1) * (n + 1)), a, n - a);
}

static struct wr_t2q_answer answer_for(const struct wr_t2q_spec *spec, const struct wr_t2q *state, const double *vector) {
    const uint32_t n = spec->series;
    struct wr_t2q_answer answer = {0};
    double rest[WR_T2Q_SERIES_MAX];
    for (uint32_t i = 0; i < n; i++)
        rest[i] = state->deviation[i] > 0 ? (vector[i] - state->mean[i]) / state->deviation[i] : 0;
    for (uint32_t component = 0; component < state->kept; component++) {
        const double *axis = &state->matrix[component * n];
        double along = 0;
        for (uint32_t i = 0; i < n; i++)
            along += axis[i] * rest[i];
        for (uint32_t i = 0; i < n; i++)
            rest[i] -= along * axis[i];
        answer.t2 += along * along / state->variance[component];
    }
    for (uint32_t i = 0; i < n; i++)
        answer.q += rest[i] * rest[i];
    answer.t2_part = t2_part(state, answer.t2);
    answer.q_part = q_part(spec, state, answer.q);
    answer.part = fmax(answer.t2_part, answer.q_part);
    return answer;
}

bool wr_t2q_add(const struct wr_t2q_spec *spec, struct wr_t2q *state, const double *vector, struct wr_t2q_answer *ret_answer) {
    if (!usable(vector, spec->series))
        return false;
    if (state->n < spec->warmup) {
        learn(spec, state, vector);
        if (state->n == spec->warmup)
            settle(spec, state);
        return false;
    }
    if (state->kept == 0)
        return false;
    *ret_answer = answer_for(spec, state, vector);
    return true;
}

bool wr_t2q_is_valid(const struct wr_t2q_spec *spec, const struct wr_t2q *state) {
    const uint32_t n = spec->series;
    const bool learned = state->n == spec->warmup;
    const double limit = learned ? 1.01 : 1e250;
    bool valid = state->n <= spec->warmup && state->kept <= (learned ? n : 0);
    for (uint32_t i = 0; valid && i < n * n; i++)
        valid = fabs(state->matrix[i]) <= limit;
    for (uint32_t i = 0; valid && i < n; i++)
        valid = fabs(state->mean[i]) <= 2 * WR_T2Q_VALUE_MAX &&
                (state->deviation[i] >= LEAST || fpclassify(state->deviation[i]) == FP_ZERO) && state->deviation[i] <= 1e150 &&
                state->variance[i] >= 0 && state->variance[i] <= 1.01 * n && (i >= state->kept || state->variance[i] > 0);
    return valid;
}
