#include "rules/operators/regimes.h"

#include <math.h>
#include <string.h>

#define DOUBLINGS_MAX 300 /* from the smallest float to the largest */

/* Natural logarithms of 0 (not used) to WR_RECENT_MAX. */
static const float ln[WR_RECENT_MAX + 1] = {
    0,         0,         0.693147F, 1.098612F, 1.386294F, 1.609438F, 1.791759F, 1.945910F, 2.079442F, 2.197225F, 2.302585F, 2.397895F,
    2.484907F, 2.564949F, 2.639057F, 2.708050F, 2.772589F, 2.833213F, 2.890372F, 2.944439F, 2.995732F, 3.044522F, 3.091042F, 3.135494F,
    3.178054F, 3.218876F, 3.258097F, 3.295837F, 3.332205F, 3.367296F, 3.401197F, 3.433987F, 3.465736F, 3.496508F, 3.526361F, 3.555348F,
    3.583519F, 3.610918F, 3.637586F, 3.663562F, 3.688879F, 3.713572F, 3.737670F, 3.761200F, 3.784190F, 3.806662F, 3.828641F, 3.850148F,
    3.871201F, 3.891820F, 3.912023F, 3.931826F, 3.951244F, 3.970292F, 3.988984F, 4.007333F, 4.025352F, 4.043051F, 4.060443F, 4.077537F,
    4.094345F, 4.110874F, 4.127134F, 4.143135F, 4.158883F, 4.174387F, 4.189655F, 4.204693F, 4.219508F, 4.234107F, 4.248495F, 4.262680F,
    4.276666F, 4.290459F, 4.304065F, 4.317488F, 4.330733F, 4.343805F, 4.356709F, 4.369448F, 4.382027F, 4.394449F, 4.406719F, 4.418841F,
    4.430817F, 4.442651F, 4.454347F, 4.465908F, 4.477337F, 4.488636F, 4.499810F, 4.510860F, 4.521789F, 4.532599F, 4.543295F, 4.553877F,
    4.564348F, 4.574711F, 4.584967F, 4.595120F, 4.605170F, 4.615121F, 4.624973F, 4.634729F, 4.644391F,
};

void wr_recent_add(struct wr_recent *recent, double value) {
    if (recent->n == 0)
        recent->origin = value;
    if (recent->n == UINT32_MAX - 1) /* goes on from a number with the same place in the ring */
        recent->n = recent->n % WR_RECENT_MAX + WR_RECENT_MAX;
    const double less = value - recent->origin;
    recent->ring[recent->n++ % WR_RECENT_MAX] = (float)fmax(-WR_REGIMES_VALUE_MAX, fmin(WR_REGIMES_VALUE_MAX, less));
}

float wr_recent_at(const struct wr_recent *recent, uint32_t back) {
    return recent->ring[(recent->n - 1 - back) % WR_RECENT_MAX];
}

bool wr_recent_is_valid(const struct wr_recent *recent) {
    bool valid = isfinite(recent->origin) && recent->n < UINT32_MAX;
    for (int i = 0; i < WR_RECENT_MAX; i++)
        valid = valid && fabsf(recent->ring[i]) <= 2 * (float)WR_REGIMES_VALUE_MAX;
    return valid;
}

static void first_range(const struct wr_regimes_shape *shape, struct wr_regimes *state, const struct wr_recent *recent) {
    if (shape->high > shape->low) {
        state->low = (float)fmax(-WR_REGIMES_VALUE_MAX, shape->low - recent->origin);
        state->width = (float)fmin(WR_REGIMES_VALUE_MAX, (shape->high - shape->low) / shape->bins);
        return;
    }
    float low = wr_recent_at(recent, 0);
    float high = low;
    for (uint32_t i = 1; i < shape->window; i++) {
        low = fminf(low, wr_recent_at(recent, i));
        high = fmaxf(high, wr_recent_at(recent, i));
    }
    state->width = (float)((high - low) / (shape->bins - 2 * shape->shift));
    state->low = (float)(low - shape->shift * state->width);
}

/* Doubles the range until the value is in it: below what it was, or above. However often, the regimes are counted anew once. */
static void cover(const struct wr_regimes_shape *shape, struct wr_regimes *state, struct wr_regime *regimes, double value) {
    uint8_t becomes[WR_REGIMES_BINS_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
    int doublings = 0;
    for (; doublings < DOUBLINGS_MAX; doublings++) {
        const bool below = value < state->low;
        if (!below && value <= state->low + (double)shape->bins * state->width)
            break;
        for (unsigned bin = 0; bin < shape->bins; bin++)
            becomes[bin] = (uint8_t)(becomes[bin] / 2 + (below ? shape->bins / 2 : 0));
        if (below)
            state->low -= shape->bins * state->width;
        state->width *= 2;
    }
    for (uint32_t i = 0; doublings > 0 && i < state->known; i++) {
        uint8_t counts[WR_REGIMES_BINS_MAX] = {0};
        for (unsigned bin = 0; bin < shape->bins; bin++)
            counts[becomes[bin]] = (uint8_t)(counts[becomes[bin]] + regimes[i].counts[bin]);
        memcpy(regimes[i].counts, counts, sizeof counts);
    }
}

/* Returns which bins have something. */
static unsigned count(const struct wr_regimes_shape *shape, const struct wr_regimes *state, const struct wr_recent *recent,
                      uint8_t *counts) {
    const unsigned last = (shape->bins - 1u) % WR_REGIMES_BINS_MAX;
    unsigned used = 0;
    memset(counts, 0, WR_REGIMES_BINS_MAX);
    for (uint32_t i = 0; i < shape->window; i++) {
        const double place = ((double)wr_recent_at(recent, i) - state->low) / state->width;
        const unsigned bin = place > 0 ? (place < last ? (unsigned)place : last) : 0;
        counts[bin]++;
        used |= 1u << bin;
    }
    return used;
}

/* Infinite where the regime has nothing of what is seen. */
static double statistic(const uint8_t *counts, unsigned used, const struct wr_regime *regime) {
    double sum = 0;
    for (unsigned bin = 0; used >> bin; bin++) {
        if (!(used >> bin & 1))
            continue;
        if (regime->counts[bin] == 0)
            return INFINITY;
        sum += counts[bin] * (double)(ln[counts[bin]] - ln[regime->counts[bin]]);
    }
    return 2 * fmax(sum, 0);
}

/* The upper tail of chi-squared, for a whole number of degrees of freedom: the finite sums of Abramowitz and Stegun, 26.4.4 and 26.4.5. */
static double chi_squared_tail(double x, unsigned degrees) {
    if (isinf(x))
        return 0;
    double term = degrees % 2 ? sqrt(2 * x / 3.14159265358979324) * exp(-x / 2) : exp(-x / 2);
    double tail = degrees % 2 ? erfc(sqrt(x / 2)) : 0;
    for (unsigned i = degrees % 2 ? 3 : 2; i <= degrees; i += 2) {
        tail += term;
        term *= x / i;
    }
    return fmin(tail, 1);
}

static struct wr_regime *room(const struct wr_regimes_shape *shape, struct wr_regimes *state, struct wr_regime *regimes) {
    if (state->known < shape->room)
        return &regimes[state->known++];
    struct wr_regime *least = regimes;
    for (uint32_t i = 1; i < state->known; i++)
        if (regimes[i].agreed < least->agreed)
            least = &regimes[i];
    return least;
}

static void agree(struct wr_regimes *state, struct wr_regime *regimes, struct wr_regime *nearest) {
    if (nearest->agreed == UINT8_MAX)
        for (uint32_t i = 0; i < state->known; i++)
            regimes[i].agreed = (uint8_t)(regimes[i].agreed / 2);
    nearest->agreed++;
}

double wr_regimes_add(const struct wr_regimes_shape *shape, struct wr_regimes *state, struct wr_regime *regimes,
                      const struct wr_recent *recent) {
    if (recent->n < shape->window)
        return 1;
    if (state->width == 0)
        first_range(shape, state, recent);
    if (!(state->width > 0))
        return 1;
    if (!(shape->high > shape->low))
        cover(shape, state, regimes, wr_recent_at(recent, 0));
    uint8_t counts[WR_REGIMES_BINS_MAX];
    const unsigned used = count(shape, state, recent, counts);
    uint32_t nearest = 0;
    double smallest = INFINITY;
    for (uint32_t i = 0; i < state->known; i++) {
        const double it = statistic(counts, used, &regimes[i]);
        if (it < smallest) {
            smallest = it;
            nearest = i;
        }
    }
    const double tail = chi_squared_tail(smallest, shape->bins - 1u);
    const bool first = state->known == 0;
    if (tail > WR_REGIMES_LEVEL) { /* so there is one that is near */
        agree(state, regimes, &regimes[nearest]);
        return tail;
    }
    struct wr_regime *regime = room(shape, state, regimes);
    memcpy(regime->counts, counts, sizeof counts);
    regime->agreed = 1;
    return first ? 1 : tail;
}

bool wr_regimes_is_valid(const struct wr_regimes_shape *shape, const struct wr_regimes *state, const struct wr_regime *regimes) {
    bool valid = isfinite(state->low) && isfinite(state->width) && state->width >= 0 && state->known <= shape->room;
    for (uint32_t i = 0; valid && i < state->known; i++) {
        unsigned sum = 0;
        for (unsigned bin = 0; bin < shape->bins; bin++)
            sum += regimes[i].counts[bin];
        valid = sum == shape->window;
    }
    return valid;
}
