/* relent: does the distribution of the last samples look like one that was seen before?
 *
 * Values are counted in a few bins over the declared range. The counts of the last window are compared with those of each hypothesis, a window seen
 * before: twice the window's length times the relative entropy is the statistic of a multinomial goodness of fit, chi-squared distributed where the
 * hypothesis holds. The answer is 1 less its tail: above 0.99 no hypothesis agrees at a level of 1 %. Then the window becomes one.
 *
 * Without a declared range the first window makes it: its own, widened by its half on both sides.
 * Limits: as many hypotheses as the state has room for; the one that agreed least often gives way.
 *
 * Source: Wang, Viswanathan, Choudur, Talwar, Satterfield, Schwan, "Statistical techniques for online anomaly detection in data centers", IM 2011.
 */
#include <math.h>
#include <string.h>

#include "rules/operators/anomaly.h"

#define BINS 5
#define WINDOW 52 /* samples */
#define HYPOTHESES 64
#define ALPHA 0.01

struct hypothesis {
    uint8_t counts[BINS];
    uint32_t agreed; /* windows */
};

struct relent {
    double low;
    double width; /* of a bin; 0: no range yet */
    double samples[WINDOW];
    uint32_t n; /* samples so far, up to WINDOW */
    uint32_t next;
    uint32_t known; /* hypotheses */
    struct hypothesis hypotheses[HYPOTHESES];
};

static void set_range(struct relent *state, double low, double high) {
    state->low = low;
    state->width = (high - low) / BINS;
}

static void learn_range(struct relent *state) {
    double low = state->samples[0];
    double high = low;
    for (int i = 1; i < WINDOW; i++) {
        low = fmin(low, state->samples[i]);
        high = fmax(high, state->samples[i]);
    }
    const double more = 0.5 * (high - low);
    set_range(state, low - more, high + more);
}

static void count(const struct relent *state, uint8_t counts[BINS]) {
    memset(counts, 0, BINS);
    for (int i = 0; i < WINDOW; i++) {
        const double bin = floor((state->samples[i] - state->low) / state->width);
        counts[bin >= BINS ? BINS - 1 : bin > 0 ? (int)bin : 0]++;
    }
}

/* Twice the window times the relative entropy of the counts to the hypothesis; infinite where it has none of what is seen. */
static double distance(const uint8_t counts[BINS], const struct hypothesis *hypothesis) {
    double sum = 0;
    for (int i = 0; i < BINS; i++)
        if (counts[i] > 0 && hypothesis->counts[i] == 0)
            return INFINITY;
        else if (counts[i] > 0)
            sum += counts[i] * log((double)counts[i] / hypothesis->counts[i]);
    return 2 * sum;
}

static struct hypothesis *room(struct relent *state) {
    if (state->known < HYPOTHESES)
        return &state->hypotheses[state->known++];
    struct hypothesis *least = &state->hypotheses[0];
    for (int i = 1; i < HYPOTHESES; i++)
        if (state->hypotheses[i].agreed < least->agreed)
            least = &state->hypotheses[i];
    return least;
}

static double compare(struct relent *state) {
    uint8_t counts[BINS];
    count(state, counts);
    struct hypothesis *nearest = NULL;
    double smallest = INFINITY;
    for (uint32_t i = 0; i < state->known; i++) {
        const double it = distance(counts, &state->hypotheses[i]);
        if (it < smallest) {
            smallest = it;
            nearest = &state->hypotheses[i];
        }
    }
    /* The tail of chi-squared with 4 = BINS - 1 degrees of freedom. */
    const double tail = isinf(smallest) ? 0 : exp(-smallest / 2) * (1 + smallest / 2);
    const bool first = state->known == 0;
    if (tail > ALPHA) {
        nearest->agreed += nearest->agreed < UINT32_MAX;
        return 1 - tail;
    }
    struct hypothesis *hypothesis = room(state);
    memcpy(hypothesis->counts, counts, BINS);
    hypothesis->agreed = 1;
    return first ? 0 : 1 - tail;
}

static double add(const struct wr_anomaly_setup *setup, void *memory, int64_t at_ns, double value) {
    struct relent *state = memory;
    (void)at_ns;
    if (!wr_anomaly_usable(value))
        return 0;
    state->samples[state->next] = value;
    state->next = (state->next + 1) % WINDOW;
    state->n += state->n < WINDOW;
    if (state->n < WINDOW)
        return 0;
    if (state->width == 0 && setup->high > setup->low)
        set_range(state, setup->low, setup->high);
    else if (state->width == 0)
        learn_range(state);
    return state->width > 0 ? compare(state) : 0;
}

static bool is_valid(const void *memory) {
    const struct relent *state = memory;
    bool valid = isfinite(state->low) && isfinite(state->width) && state->width >= 0 && state->n <= WINDOW && state->next < WINDOW &&
                 state->known <= HYPOTHESES;
    for (int i = 0; valid && i < WINDOW; i++)
        valid = wr_anomaly_usable(state->samples[i]);
    for (uint32_t i = 0; valid && i < state->known; i++) {
        int sum = 0;
        for (int bin = 0; bin < BINS; bin++)
            sum += state->hypotheses[i].counts[bin];
        valid = sum == WINDOW;
    }
    return valid;
}

const struct wr_anomaly wr_anomaly_relent = {"relent", sizeof(struct relent), add, is_valid};
