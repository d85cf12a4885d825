/* relent: does the distribution of the last 52 samples look like one that was seen before?
 *
 * The answer is 1 less the tail probability at the nearest regime (rules/operators/regimes.h): above 0.99 no regime agrees at a level of 1 %. With a
 * declared range it has five bins, as published with the benchmark; without one six, which grow with what comes.
 *
 * Source: Wang, Viswanathan, Choudur, Talwar, Satterfield, Schwan, "Statistical techniques for online anomaly detection in data centers", IM 2011.
 */
#include <math.h>

#include "rules/operators/anomaly.h"
#include "rules/operators/regimes.h"

#define WINDOW 52
#define ROOM 64

struct relent {
    struct wr_recent recent;
    struct wr_regimes state;
    struct wr_regime regimes[ROOM];
};

static struct wr_regimes_shape shape_for(double low, double high) {
    return (struct wr_regimes_shape){.bins = high > low ? 5 : 6, .window = WINDOW, .room = ROOM, .low = low, .high = high};
}

static double add(const struct wr_anomaly_setup *setup, void *memory, int64_t at_ns, double value) {
    struct relent *state = memory;
    (void)at_ns;
    if (!wr_anomaly_usable(value))
        return 0;
    const struct wr_regimes_shape shape = shape_for(setup->low, setup->high);
    wr_recent_add(&state->recent, value);
    return 1 - wr_regimes_add(&shape, &state->state, state->regimes, &state->recent);
}

static bool is_valid(const struct wr_anomaly_setup *setup, const void *memory) {
    const struct relent *state = memory;
    const struct wr_regimes_shape shape = shape_for(setup->low, setup->high);
    return wr_recent_is_valid(&state->recent) && wr_regimes_is_valid(&shape, &state->state, state->regimes);
}

const struct wr_anomaly wr_anomaly_relent = {"relent", sizeof(struct relent), add, is_valid};
