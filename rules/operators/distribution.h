/* Distribution functions, for limits that come from one.
 *
 * Threads: any. Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5 and 26.6; the continued fraction of the incomplete beta function is evaluated by
 * Lentz's method (Applied Optics 15, 1976). Error: below 1e-9 for what statistics needs.
 */
#ifndef WEIR_RULES_OPERATORS_DISTRIBUTION_H
#define WEIR_RULES_OPERATORS_DISTRIBUTION_H

/* The standard normal distribution below x. */
double wr_distribution_normal(double x);
/* The F distribution below x, with a and b > 0 degrees of freedom. */
double wr_distribution_f(double x, double a, double b);

#endif
