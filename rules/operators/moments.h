/* Count, mean, spread and straight line of samples (t, x), taken one by one or joined from two sets, without cancellation.
 *
 * Source: Welford 1962 for one by one; Chan, Golub, LeVeque 1979 for joining; the same with a cross moment is the least squares line.
 * Times in seconds, relative to an origin that the owner keeps.
 */
#ifndef WEIR_RULES_OPERATORS_MOMENTS_H
#define WEIR_RULES_OPERATORS_MOMENTS_H

#include <math.h>

struct wr_moments {
    double n;
    double mean_t;
    double mean_x;
    double tt; /* sums of products of deviations from the means */
    double xx;
    double tx;
};

static inline void wr_moments_add(struct wr_moments *moments, double t, double x) {
    moments->n += 1;
    double dt = t - moments->mean_t;
    double dx = x - moments->mean_x;
    moments->mean_t += dt / moments->n;
    moments->mean_x += dx / moments->n;
    moments->tt += dt * (t - moments->mean_t);
    moments->xx += dx * (x - moments->mean_x);
    moments->tx += dt * (x - moments->mean_x);
}

/* Both relative to the same origin. */
static inline void wr_moments_join(struct wr_moments *into, const struct wr_moments *from) {
    double n = into->n + from->n;
    if (from->n <= 0)
        return;
    double dt = from->mean_t - into->mean_t;
    double dx = from->mean_x - into->mean_x;
    double part = from->n / n;
    double weight = into->n * part;
    into->tt += from->tt + dt * dt * weight;
    into->xx += from->xx + dx * dx * weight;
    into->tx += from->tx + dt * dx * weight;
    into->mean_t += dt * part;
    into->mean_x += dx * part;
    into->n = n;
}

/* Of a sample (n - 1); NaN: one alone has none. */
static inline double wr_moments_stddev(const struct wr_moments *moments) {
    return moments->n < 2 ? NAN : sqrt(fmax(moments->xx, 0) / (moments->n - 1));
}

static inline double wr_moments_rms(const struct wr_moments *moments) {
    return moments->n < 1 ? NAN : sqrt(moments->mean_x * moments->mean_x + fmax(moments->xx, 0) / moments->n);
}

/* Per second; NaN: all at one time. */
static inline double wr_moments_slope(const struct wr_moments *moments) {
    return moments->n < 2 || moments->tt <= 0 ? NAN : moments->tx / moments->tt;
}

/* The line's value at this time. */
static inline double wr_moments_line(const struct wr_moments *moments, double t) {
    return moments->mean_x + wr_moments_slope(moments) * (t - moments->mean_t);
}

#endif
