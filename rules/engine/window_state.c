#include "rules/engine/window_state.h"

void wr_window_state_clear(struct wr_window_state *state) {
    state->n = 0;
    state->bad = 0;
    state->sum[0] = 0;
    state->sum[1] = 0;
    state->sum_decimals = 0;
    state->flags = 0;
    state->decimals = 0;
    state->length = 1;
}

/* The scale of the first reading is a good guess for all: so the sum need not be scaled up with the second. */
static void begin(struct wr_window_state *state, enum wr_type type, const struct wr_reading *reading) {
    state->min = reading->value;
    state->max = reading->value;
    state->first = reading->value;
    state->last = reading->value;
    state->first_event_ns = reading->event_ns;
    state->last_event_ns = reading->event_ns;
    if (type == WR_TYPE_FLOAT && reading->decimals <= WR_DECIMALS_MAX)
        state->sum_decimals = reading->decimals;
}

static void extend(struct wr_window_state *state, enum wr_type type, const struct wr_reading *reading) {
    if (reading->event_ns >= state->last_event_ns) {
        state->last_event_ns = reading->event_ns;
        state->last = reading->value;
    } else if (reading->event_ns < state->first_event_ns) {
        state->first_event_ns = reading->event_ns;
        state->first = reading->value;
    }
    if (wr_reading_below(type, reading->value, state->min))
        state->min = reading->value;
    if (wr_reading_below(type, state->max, reading->value))
        state->max = reading->value;
}

void wr_window_state_add_other(struct wr_window_state *state, enum wr_type type, const struct wr_reading *reading) {
    struct wr_sum sum = wr_window_state_sum(state);
    wr_sum_add(&sum, type, reading->value, reading->decimals);
    wr_window_state_put_sum(state, &sum);
}

void wr_window_state_fold_other(struct wr_window_state *state, enum wr_type type, const struct wr_reading *reading) {
    if (reading->quality == WR_QUALITY_BAD) {
        state->bad++;
        return;
    }
    if (reading->quality == WR_QUALITY_UNCERTAIN)
        state->flags |= WR_AGGREGATE_UNCERTAIN;
    if (state->n++ == 0)
        begin(state, type, reading);
    else
        extend(state, type, reading);
    if (reading->decimals > state->decimals)
        state->decimals = reading->decimals;
    if (type == WR_TYPE_FLOAT)
        wr_window_state_add_float(state, reading);
    else if (type != WR_TYPE_SYMBOL)
        wr_window_state_add_other(state, type, reading);
}

bool wr_window_state_merge(struct wr_window_state *into, enum wr_type type, const struct wr_window_state *other) {
    if (other->n > UINT32_MAX - into->n || other->bad > UINT32_MAX - into->bad)
        return false;
    into->bad += other->bad;
    into->flags |= other->flags & WR_STATE_PUBLISHED;
    if (other->n == 0)
        return true;
    bool empty = into->n == 0;
    into->n += other->n;
    if (empty || other->last_event_ns >= into->last_event_ns) {
        into->last = other->last;
        into->last_event_ns = other->last_event_ns;
    }
    if (empty || other->first_event_ns < into->first_event_ns) {
        into->first = other->first;
        into->first_event_ns = other->first_event_ns;
    }
    if (empty || wr_reading_below(type, other->min, into->min))
        into->min = other->min;
    if (empty || wr_reading_below(type, into->max, other->max))
        into->max = other->max;
    if (other->decimals > into->decimals)
        into->decimals = other->decimals;
    if (type == WR_TYPE_SYMBOL)
        return true;
    struct wr_sum sum = wr_window_state_sum(into);
    struct wr_sum more = wr_window_state_sum(other);
    wr_sum_merge(&sum, &more);
    wr_window_state_put_sum(into, &sum);
    return true;
}

void wr_window_state_publish(const struct wr_window_state *state, enum wr_type type, struct wr_aggregate *into) {
    into->type = (uint8_t)type;
    into->flags = state->flags & WR_STATE_PUBLISHED;
    into->n = state->n;
    into->bad = state->bad;
    into->first_text = NULL;
    into->last_text = NULL;
    if (state->n == 0) {
        into->decimals = 0;
        into->sum = wr_sum_zero();
        into->min = into->max = into->first = into->last = (union wr_value){.bits = 0};
        return;
    }
    into->decimals = state->decimals;
    into->sum = wr_window_state_sum(state);
    into->first = state->first;
    into->last = state->last;
    bool text = type == WR_TYPE_SYMBOL;
    into->min = text ? (union wr_value){.bits = 0} : state->min;
    into->max = text ? (union wr_value){.bits = 0} : state->max;
}
