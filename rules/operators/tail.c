#include "rules/operators/tail.h"

#include <math.h>

#define OCTAVES_BELOW_1 2
#define BINS_AN_OCTAVE 2
#define HALVE_AT 8000
#define NONE 0.5                /* seen before anything was */
#define FALL 0.3535533905932738 /* of the tail from bin to bin: 2 to the -3 / BINS_AN_OCTAVE */

static void learn(struct wr_tail *tail, unsigned bin, uint32_t n) {
    if (n >= HALVE_AT)
        for (unsigned i = 0; i < WR_TAIL_BINS; i++)
            tail->counts[i] = (uint16_t)(tail->counts[i] / 2);
    if (tail->counts[bin] < UINT16_MAX)
        tail->counts[bin]++;
}

double wr_tail_add(struct wr_tail *tail, double x) {
    double place = x > 0 ? (log2(x) + OCTAVES_BELOW_1) * BINS_AN_OCTAVE : 0;
    place = place > 0 ? fmin(place, WR_TAIL_BINS - 0.001) : 0;
    const unsigned bin = (unsigned)place;
    double smaller = 0; /* each as far as the fallen tail of its bin reaches here */
    double larger = 0;
    uint32_t n = 0;
    for (unsigned i = 0; i < WR_TAIL_BINS; i++) {
        if (i < bin)
            smaller = (smaller + tail->counts[i]) * FALL;
        else
            larger += tail->counts[i];
        n += tail->counts[i];
    }
    smaller *= pow(FALL, place - bin - 0.5);
    const double share = (smaller + larger + NONE) / (n + NONE);
    learn(tail, bin, n);
    return share < 1 ? -log(share) : 0;
}
