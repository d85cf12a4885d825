/* cusum: has the level shifted, though no single sample is far off?
 *
 * Samples are measured against mean and deviation of those before them (self-starting), and what they lie off beyond half a deviation is summed, upwards
 * and downwards, never below zero. Of noise the sum exceeds S with a chance that falls like exp(-S): the answer is 1 - exp(-S). A single sample counts as
 * four deviations at most, so that it takes several. A sum of SHIFTED says that the level is a new one: it is learned from there on.
 *
 * Source: Page 1954; Hawkins 1987 (self-starting); Lucas and Crosier 1982 (bounded samples); Siegmund 1985 (the tail of the sum).
 */
#include <math.h>

#include "rules/operators/anomaly.h"

#define SLACK 0.5
#define OUTLIER 4.0
#define LEARN 20
#define MEMORY 1000 /* samples of which mean and deviation are */
#define SHIFTED 10.0

struct cusum {
    double mean;
    double variance;
    double up;
    double down;
    uint32_t n; /* up to MEMORY */
};

static void learn(struct cusum *state, double value) {
    state->n += state->n < MEMORY;
    const double off = value - state->mean;
    state->mean += off / state->n;
    state->variance += (off * (value - state->mean) - state->variance) / state->n;
}

static double deviations(const struct cusum *state, double value) {
    const double off = value - state->mean;
    const double deviation = sqrt(fmax(state->variance, 0));
    const double z = deviation > 0 ? off / deviation : off > 0 ? OUTLIER : off < 0 ? -OUTLIER : 0;
    return fmax(-OUTLIER, fmin(OUTLIER, z));
}

static double add(const struct wr_anomaly_setup *setup, void *memory, int64_t at_ns, double value) {
    struct cusum *state = memory;
    (void)setup, (void)at_ns;
    if (!wr_anomaly_usable(value))
        return 0;
    double answer = 0;
    if (state->n >= LEARN) {
        const double z = deviations(state, value);
        state->up = fmax(0, state->up + z - SLACK);
        state->down = fmax(0, state->down - z - SLACK);
        const double sum = fmax(state->up, state->down);
        answer = 1 - exp(-2 * SLACK * sum);
        if (sum >= SHIFTED)
            *state = (struct cusum){0};
    }
    learn(state, value);
    return answer;
}

static bool is_valid(const struct wr_anomaly_setup *setup, const void *memory) {
    const struct cusum *state = memory;
    (void)setup;
    return wr_anomaly_usable(state->mean) && state->variance >= 0 && state->variance <= 1e250 && state->up >= 0 && state->up <= SHIFTED &&
           state->down >= 0 && state->down <= SHIFTED && state->n <= MEMORY;
}

const struct wr_anomaly wr_anomaly_cusum = {"cusum", sizeof(struct cusum), add, is_valid};
