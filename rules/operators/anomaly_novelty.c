/* novelty: three questions about each sample, and the most surprised answer.
 *
 * 1. Regimes: was the distribution of the last samples seen before (rules/operators/regimes.h)? Three memories with different windows and bins are
 *    asked, and two must be surprised within some samples of each other: what one alone finds new is mostly the edge of a bin. Where new regimes are
 *    rare, one more is a greater surprise.
 * 2. Calendar: is the mean of this hour so far unlike that of the same hour of the week before?
 * 3. Jump: do the last two samples lie apart from the fourteen before, measured by their own spread?
 *
 * A surprise is -ln of how often that happened before in this series (rules/operators/tail.h), so all three speak of the same thing and need no
 * setting. The answer is 1 - 3 exp(-surprise): three questions have three chances to be surprised. After an answer only a greater surprise is
 * answered, for a while: one event, one alarm.
 *
 * There are two sizes, which differ in how many regimes they remember. Samples may be 10 s or an hour apart; the windows are numbers of samples.
 *
 * Source: ours; docs/detectors.md says what each part is worth. The regimes after Wang et al. (regimes.h); surprise as the common measure after Lavin and
 * Ahmad's anomaly likelihood (arXiv 1510.03336) and conformal p-values (Laxhammar and Falkman, 2010).
 */
#include <math.h>
#include <string.h>

#include "rules/operators/anomaly.h"
#include "rules/operators/regimes.h"
#include "rules/operators/tail.h"

#define QUESTIONS 3
#define VOTERS 3
#define ROOM_SMALL 24
#define ROOM_LARGE 256
#define HOURS 168
#define HOUR_NS (INT64_C(3600) * 1000000000)
#define HOUR_WEIGHT 0.3  /* of the newest week */
#define CALENDAR_BONUS 1 /* an hour has one independent mean, not as many as samples */
#define REGIME_CAP 10    /* what is in a bin that was always empty is not infinitely odd */
#define USUAL_NOVELTY 4  /* surprise at a new regime where one sample in 50 brings one */
#define NOVELTY_SAMPLES 2000
#define VOTE_SAMPLES 20
#define QUIET_SAMPLES 150
#define SCALE_SAMPLES 2000
#define JUMP_NEW 2
#define JUMP_OLD 14
#define SURPRISE_MAX 100 /* of a valid state; far above what can be */

struct calendar {
    float mean[HOURS];
    uint8_t learned[HOURS / 8]; /* bits */
    uint16_t hour;              /* of the week, that runs */
    uint32_t n;                 /* its samples so far */
    double sum;                 /* of them, less the origin */
};

struct voter {
    struct wr_regimes regimes;
    float novelties; /* of the last while */
    float vote;      /* surprise, fading */
};

struct novelty {
    struct wr_recent recent;
    float scale;   /* mean step between samples */
    float peak;    /* of what was answered, fading */
    float samples; /* of the last while, to compare novelties with */
    struct wr_tail unlike_last_week;
    struct wr_tail jumps;
    struct calendar calendar;
    struct voter voters[VOTERS];
};

struct novelty_small {
    struct novelty novelty;
    struct wr_regime regimes[VOTERS][ROOM_SMALL];
};

struct novelty_large {
    struct novelty novelty;
    struct wr_regime regimes[VOTERS][ROOM_LARGE];
};

_Static_assert(sizeof(struct novelty_small) <= 2048, "novelty fits into 2 KB");
_Static_assert(sizeof(struct novelty_large) <= 16384, "novelty16 fits into 16 KB");

static struct wr_regimes_shape shape_of(unsigned voter, uint16_t room) {
    static const uint8_t windows[VOTERS] = {104, 104, 80};
    static const double shifts[VOTERS] = {0, 0.5, 0.25};
    return (struct wr_regimes_shape){.bins = 8, .window = windows[voter], .room = room, .shift = shifts[voter], .low = NAN, .high = NAN};
}

static double middle(double a, double b, double c) {
    return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

static double regimes_surprise(struct novelty *state, struct wr_regime *regimes, uint16_t room) {
    state->samples = state->samples * (1 - 1.0F / NOVELTY_SAMPLES) + 1;
    for (unsigned i = 0; i < VOTERS; i++) {
        struct voter *voter = &state->voters[i];
        const struct wr_regimes_shape shape = shape_of(i, room);
        const double tail = wr_regimes_add(&shape, &voter->regimes, &regimes[(size_t)i * room], &state->recent);
        double surprise = fmin(-log(fmax(tail, 1e-300)), REGIME_CAP);
        voter->novelties *= 1 - 1.0F / NOVELTY_SAMPLES;
        if (tail <= WR_REGIMES_LEVEL) {
            surprise -= log((voter->novelties + 0.5) / (state->samples + 0.5)) + USUAL_NOVELTY;
            voter->novelties++;
        }
        voter->vote = fmaxf(voter->vote * (1 - 1.0F / VOTE_SAMPLES), (float)surprise);
    }
    return middle(state->voters[0].vote, state->voters[1].vote, state->voters[2].vote);
}

static bool learned(const struct calendar *calendar, unsigned hour) {
    return calendar->learned[hour / 8] >> hour % 8 & 1;
}

static void end_hour(struct calendar *calendar) {
    float *mean = &calendar->mean[calendar->hour];
    const double newest = calendar->sum / calendar->n;
    *mean = (float)(learned(calendar, calendar->hour) ? *mean + HOUR_WEIGHT * (newest - *mean) : newest);
    calendar->learned[calendar->hour / 8] = (uint8_t)(calendar->learned[calendar->hour / 8] | 1u << calendar->hour % 8);
    calendar->n = 0;
    calendar->sum = 0;
}

/* How far the mean of the hour so far is from what it was in other weeks; -1: that is not known. */
static double calendar_distance(struct calendar *calendar, int64_t at_ns, double value) {
    const int64_t week_ns = HOURS * HOUR_NS;
    const unsigned hour = (unsigned)((at_ns % week_ns + week_ns) % week_ns / HOUR_NS);
    if (hour != calendar->hour && calendar->n > 0)
        end_hour(calendar);
    calendar->hour = (uint16_t)hour;
    calendar->n += calendar->n < UINT32_MAX;
    calendar->sum += value;
    return learned(calendar, hour) ? fabs(calendar->sum / calendar->n - calendar->mean[hour]) : -1;
}

static double jump_distance(const struct novelty *state, double scale) {
    double new_mean = 0;
    double old_mean = 0;
    double squares = 0;
    for (uint32_t i = 0; i < JUMP_NEW; i++)
        new_mean += wr_recent_at(&state->recent, i) / JUMP_NEW;
    for (uint32_t i = JUMP_NEW; i < JUMP_NEW + JUMP_OLD; i++)
        old_mean += wr_recent_at(&state->recent, i) / JUMP_OLD;
    for (uint32_t i = JUMP_NEW; i < JUMP_NEW + JUMP_OLD; i++)
        squares += pow(wr_recent_at(&state->recent, i) - old_mean, 2);
    return fabs(new_mean - old_mean) / (sqrt(squares / JUMP_OLD) + 0.3 * scale);
}

static void learn_scale(struct novelty *state) {
    const uint32_t n = state->recent.n;
    if (n < 2)
        return;
    const double step = fabs((double)wr_recent_at(&state->recent, 0) - wr_recent_at(&state->recent, 1));
    state->scale = (float)(state->scale + (step - state->scale) / (n < SCALE_SAMPLES ? n : SCALE_SAMPLES));
}

static double add(struct novelty *state, struct wr_regime *regimes, uint16_t room, int64_t at_ns, double value) {
    if (!wr_anomaly_usable(value))
        return 0;
    wr_recent_add(&state->recent, value);
    learn_scale(state);
    const double scale = state->scale + 1e-30; /* of a constant series any change is infinitely many steps */
    double surprise = regimes_surprise(state, regimes, room);
    const double apart = calendar_distance(&state->calendar, at_ns, wr_recent_at(&state->recent, 0));
    if (apart >= 0)
        surprise = fmax(surprise, wr_tail_add(&state->unlike_last_week, apart / scale) + CALENDAR_BONUS);
    if (state->recent.n > JUMP_NEW + JUMP_OLD)
        surprise = fmax(surprise, wr_tail_add(&state->jumps, jump_distance(state, scale)));
    const double answer = surprise > state->peak ? fmax(0, 1 - QUESTIONS * exp(-surprise)) : 0;
    state->peak = fmaxf(state->peak * (1 - 1.0F / QUIET_SAMPLES), (float)surprise);
    return answer;
}

static bool small_enough(float value) {
    return value >= -SURPRISE_MAX && value <= SURPRISE_MAX;
}

static bool is_valid(const struct novelty *state, const struct wr_regime *regimes, uint16_t room) {
    const struct calendar *calendar = &state->calendar;
    bool valid = wr_recent_is_valid(&state->recent) && state->scale >= 0 && isfinite(state->scale) && small_enough(state->peak) &&
                 state->samples >= 0 && state->samples <= 2 * NOVELTY_SAMPLES && calendar->hour < HOURS &&
                 fabs(calendar->sum) <= 2 * WR_REGIMES_VALUE_MAX * calendar->n;
    for (unsigned i = 0; valid && i < HOURS; i++)
        valid = fabsf(calendar->mean[i]) <= 2 * (float)WR_REGIMES_VALUE_MAX;
    for (unsigned i = 0; valid && i < VOTERS; i++) {
        const struct wr_regimes_shape shape = shape_of(i, room);
        const struct voter *voter = &state->voters[i];
        valid = voter->novelties >= 0 && voter->novelties <= 2 * NOVELTY_SAMPLES && small_enough(voter->vote) &&
                wr_regimes_is_valid(&shape, &voter->regimes, &regimes[(size_t)i * room]);
    }
    return valid;
}

static double add_small(const struct wr_anomaly_setup *setup, void *memory, int64_t at_ns, double value) {
    struct novelty_small *state = memory;
    (void)setup;
    return add(&state->novelty, state->regimes[0], ROOM_SMALL, at_ns, value);
}

static double add_large(const struct wr_anomaly_setup *setup, void *memory, int64_t at_ns, double value) {
    struct novelty_large *state = memory;
    (void)setup;
    return add(&state->novelty, state->regimes[0], ROOM_LARGE, at_ns, value);
}

static bool is_valid_small(const struct wr_anomaly_setup *setup, const void *memory) {
    const struct novelty_small *state = memory;
    (void)setup;
    return is_valid(&state->novelty, state->regimes[0], ROOM_SMALL);
}

static bool is_valid_large(const struct wr_anomaly_setup *setup, const void *memory) {
    const struct novelty_large *state = memory;
    (void)setup;
    return is_valid(&state->novelty, state->regimes[0], ROOM_LARGE);
}

const struct wr_anomaly wr_anomaly_novelty = {"novelty", sizeof(struct novelty_small), add_small, is_valid_small};
const struct wr_anomaly wr_anomaly_novelty16 = {"novelty16", sizeof(struct novelty_large), add_large, is_valid_large};
