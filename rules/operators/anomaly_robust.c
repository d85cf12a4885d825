/* robust: how far is a sample from the median of the 104 before it, in median absolute deviations, and how rare is that here?
 *
 * The distance in deviations is looked up in the tail of those before it in this series (rules/operators/tail.h), so that a series with many spikes does not
 * alarm at each: 0.99 is a distance that one sample in a hundred has, 0.999 one in a thousand. Where more than half of the samples are equal the mean
 * absolute deviation takes the place of the median one. Nothing before there are ten samples.
 *
 * Source: Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC 1993 (the modified z-score); Hampel 1974.
 */
#include <math.h>

#include "rules/operators/anomaly.h"
#include "rules/operators/regimes.h"
#include "rules/operators/select.h"
#include "rules/operators/tail.h"

#define LEARN 10
#define FROM_MEDIAN 1.4826 /* standard deviations of a normal distribution in a median absolute deviation */
#define FROM_MEAN 1.253314 /* in a mean one */

struct robust {
    struct wr_recent recent;
    struct wr_tail tail;
};

static double modified_z(const struct wr_recent *recent, double value) {
    double values[WR_RECENT_MAX];
    const uint32_t n = recent->n < WR_RECENT_MAX ? recent->n : WR_RECENT_MAX;
    double mean = 0;
    for (uint32_t i = 0; i < n; i++)
        values[i] = wr_recent_at(recent, i);
    const double median = wr_select_quantile(values, n, 0.5);
    for (uint32_t i = 0; i < n; i++) {
        values[i] = fabs(values[i] - median);
        mean += values[i] / n;
    }
    const double deviation = wr_select_quantile(values, n, 0.5);
    const double spread = deviation > 0 ? FROM_MEDIAN * deviation : FROM_MEAN * mean;
    const double distance = fabs(value - median);
    return spread > 0 ? distance / spread : distance > 0 ? INFINITY : 0;
}

static double add(const struct wr_anomaly_setup *setup, void *memory, int64_t at_ns, double value) {
    struct robust *state = memory;
    struct wr_recent *recent = &state->recent;
    (void)setup, (void)at_ns;
    if (!wr_anomaly_usable(value))
        return 0;
    const double less = (float)fmax(-WR_REGIMES_VALUE_MAX, fmin(WR_REGIMES_VALUE_MAX, value - recent->origin)); /* as those in the ring */
    const double surprise = recent->n >= LEARN ? wr_tail_add(&state->tail, modified_z(recent, less)) : 0;
    wr_recent_add(recent, value);
    return 1 - exp(-surprise);
}

static bool is_valid(const struct wr_anomaly_setup *setup, const void *memory) {
    (void)setup;
    return wr_recent_is_valid(&((const struct robust *)memory)->recent);
}

const struct wr_anomaly wr_anomaly_robust = {"robust", sizeof(struct robust), add, is_valid};
