#include "rules/operators/distribution.h"

#include <math.h>

#define TERMS_MAX 300
#define TINY 1e-300

double wr_distribution_normal(double x) {
    return 0.5 * erfc(-x / sqrt(2));
}

static double not_zero(double x) {
    return fabs(x) < TINY ? TINY : x;
}

/* The continued fraction of A&S 26.5.8, for x below the mean of the beta distribution. */
static double fraction(double x, double a, double b) {
    double c = 1;
    double d = 1 / not_zero(1 - (a + b) * x / (a + 1));
    double value = d;
    for (int m = 1; m < TERMS_MAX; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / not_zero(1 + even * d);
        c = not_zero(1 + even / c);
        value *= c * d;
        d = 1 / not_zero(1 + odd * d);
        c = not_zero(1 + odd / c);
        value *= c * d;
        if (fabs(c * d - 1) < 1e-14)
            break;
    }
    return value;
}

/* The regularised incomplete beta function; y is 1 - x, for where that is small. */
static double beta(double x, double y, double a, double b) {
    if (x > (a + 1) / (a + b + 2))
        return 1 - beta(y, x, b, a);
    if (!(x > 0))
        return 0;
    return exp(a * log(x) + b * log(y) + lgamma(a + b) - lgamma(a) - lgamma(b)) * fraction(x, a, b) / a;
}

double wr_distribution_f(double x, double a, double b) {
    if (!(x > 0))
        return 0;
    if (isinf(a * x))
        return 1;
    const double part = beta(a * x / (a * x + b), b / (a * x + b), a / 2, b / 2);
    return fmin(1, fmax(0, part));
}
