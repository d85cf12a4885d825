/* What a counter says between two of its values.
 *
 * A counter only counts up: a fall means that it began again at zero, or, where the point declares `wrap`, that it ran over. Which of the two:
 * a fall by more than half of its range is a wrap, a smaller one a restart; so the device that starts again does not look like billions counted.
 * Source: the overflow rule of RRDtool's COUNTER and DERIVE, and of Prometheus' rate() and resets(), both documented practice.
 */
#ifndef WEIR_RULES_OPERATORS_COUNTER_H
#define WEIR_RULES_OPERATORS_COUNTER_H

#include <stdbool.h>

static inline bool wr_counter_wrapped(double before, double after, double wrap) {
    return wrap > 0 && before < wrap && before - after > wrap / 2;
}

static inline bool wr_counter_reset(double before, double after, double wrap) {
    return after < before && !wr_counter_wrapped(before, after, wrap);
}

static inline double wr_counter_increase(double before, double after, double wrap) {
    if (after >= before)
        return after - before;
    return wr_counter_wrapped(before, after, wrap) ? wrap - before + after : after;
}

#endif
