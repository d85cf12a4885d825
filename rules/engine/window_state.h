/* The state of one open window of one stream: 96 bytes, and how readings and other states are folded into it.
 *
 * Invariants: S1 it stands for n + bad >= 1 readings, but the tail of a change window, which may be empty. S2 min, max, first, last and the
 * event times have a meaning only while n > 0 (a tail keeps its last value). S3 it spans [start, start + length * every).
 * Threads: the engine's.
 */
#ifndef WEIR_RULES_ENGINE_WINDOW_STATE_H
#define WEIR_RULES_ENGINE_WINDOW_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/aggregate.h"
#include "core/reading.h"
#include "rules/engine/window.h"

/* Above the published flags (enum wr_aggregate_flags) there is room for our own. */
#define WR_STATE_PUBLISHED 0x0f
#define WR_STATE_QUALITY_SHIFT 4 /* of a change window: quality of the present value, two bits */
#define WR_STATE_QUALITY 0x30
#define WR_STATE_UNSENT 0x40  /* of a change window: a change that found no room */
#define WR_STATE_INEXACT 0x80 /* the sum is approx and carry */

struct wr_window_state {
    uint32_t next; /* the next later open window of the same cell, or WR_SLAB_NONE */
    uint32_t due;  /* tick of the wheel at which it closes by boot time */
    int64_t start_ns;
    uint32_t n;
    uint32_t bad;
    int64_t last_event_ns;
    union wr_value last;
    union wr_value min;
    union wr_value max;
    uint64_t sum[2]; /* of struct wr_sum: scaled, low half first; or approx and carry */
    uint32_t length; /* in units of every; more than 1: widened */
    uint8_t flags;
    uint8_t decimals;     /* largest of the readings; WR_DECIMALS_UNKNOWN */
    uint8_t sum_decimals; /* of the exact sum */
    uint8_t known; /* of a change window: there is a present value */
    int64_t first_event_ns;
    union wr_value first;
};

_Static_assert(sizeof(struct wr_window_state) <= 96 && sizeof(struct wr_window_state) <= WR_WINDOW_STATE_BYTES, "the promised size");

static inline struct wr_sum wr_window_state_sum(const struct wr_window_state *state) {
    struct wr_sum sum = {.decimals = state->sum_decimals, .exact = !(state->flags & WR_STATE_INEXACT)};
    __builtin_memcpy(&sum.scaled, state->sum, sizeof state->sum);
    return sum;
}

static inline void wr_window_state_put_sum(struct wr_window_state *state, const struct wr_sum *sum) {
    __builtin_memcpy(state->sum, &sum->scaled, sizeof state->sum);
    state->sum_decimals = sum->decimals;
    if (!sum->exact)
        state->flags |= WR_STATE_INEXACT;
}

/* Empties what a state has counted; links, start and due stay. */
void wr_window_state_clear(struct wr_window_state *state);

/* Another reading would overflow a counter: it gets a sibling with the same start. */
static inline bool wr_window_state_is_full(const struct wr_window_state *state) {
    return state->n == UINT32_MAX || state->bad == UINT32_MAX;
}

/* All that is not done inline below. */
void wr_window_state_fold_other(struct wr_window_state *state, enum wr_type type, const struct wr_reading *reading);
void wr_window_state_add_other(struct wr_window_state *state, enum wr_type type, const struct wr_reading *reading);

/* Adds to the sum; inline is the usual case of wr_sum_add, without a copy of the sum. */
static inline void wr_window_state_add_float(struct wr_window_state *state, const struct wr_reading *reading) {
    int64_t mantissa;
    bool exact = !(state->flags & WR_STATE_INEXACT) && reading->decimals <= state->sum_decimals;
    if (exact && wr_decimal_mantissa(reading->value.f, state->sum_decimals, &mantissa)) {
        uint64_t low;
        uint64_t carry = __builtin_add_overflow(state->sum[0], (uint64_t)mantissa, &low);
        int64_t high;
        if (!__builtin_add_overflow((int64_t)state->sum[1], (int64_t)carry + (mantissa >> 63), &high)) {
            state->sum[0] = low;
            state->sum[1] = (uint64_t)high;
            return;
        }
    }
    wr_window_state_add_other(state, WR_TYPE_FLOAT, reading);
}

/* Puts one reading of the series' type into the state. Inline is the usual case: a good float after others. */
static inline void wr_window_state_fold(struct wr_window_state *state, enum wr_type type, const struct wr_reading *reading) {
    if (type != WR_TYPE_FLOAT || reading->quality != WR_QUALITY_GOOD || state->n == 0 || reading->event_ns < state->last_event_ns) {
        wr_window_state_fold_other(state, type, reading);
        return;
    }
    double value = reading->value.f;
    state->n++;
    state->last_event_ns = reading->event_ns;
    state->last.f = value;
    state->min.f = value < state->min.f ? value : state->min.f;
    state->max.f = value > state->max.f ? value : state->max.f;
    state->decimals = reading->decimals > state->decimals ? reading->decimals : state->decimals; /* unknown is the largest number */
    wr_window_state_add_float(state, reading);
}

/* Folds all that `other` has counted into `into`; first and last go by event time, `other` is the later one of equals. False: a counter
 * would overflow, and nothing was done. */
bool wr_window_state_merge(struct wr_window_state *into, enum wr_type type, const struct wr_window_state *other);

/* Writes counts and values; the caller fills in key, account, start and length. */
void wr_window_state_publish(const struct wr_window_state *state, enum wr_type type, struct wr_aggregate *into);

#endif
