#include "rules/engine/window.h"

#include "rules/engine/engine_private.h"

/* The window that an event time belongs to begins at a multiple of every, also before 1970. */
static int64_t window_start(int64_t event_ns, int64_t every_ns) {
    int64_t into = event_ns % every_ns;
    return event_ns - (into < 0 ? into + every_ns : into);
}

/* The span of a window that is to be opened. */
struct span {
    int64_t start_ns;
    int64_t end_ns;
};

/* The span under pressure: that of the longer window around it, as far as it was not closed yet and no other window is open in it. */
static struct span widen_span(const struct wr_engine *engine, const struct wr_cell_walk *at, uint32_t before, struct span span) {
    const int64_t every_ns = engine->every_ns[at->window];
    const int64_t longer_ns = engine->longer_ns[at->window];
    struct span wide = {.start_ns = window_start(span.start_ns, longer_ns)};
    wide.end_ns = wide.start_ns + longer_ns;
    const struct wr_window_state *prior = before == WR_SLAB_NONE ? NULL : wr_state_at(engine, before);
    const uint32_t after = prior ? prior->next : at->cell->oldest;
    const int64_t taken_ns = prior ? wr_state_end(engine, at->window, prior) : INT64_MIN;
    if (wide.start_ns < at->cell->closed_until_ns)
        wide.start_ns = at->cell->closed_until_ns;
    if (wide.start_ns < taken_ns)
        wide.start_ns = taken_ns;
    if (after != WR_SLAB_NONE && wr_state_at(engine, after)->start_ns < wide.end_ns)
        wide.end_ns = wr_state_at(engine, after)->start_ns;
    /* A full sibling overlaps; and what a clock that was set left behind lies on no grid. */
    const bool fits = wide.start_ns <= span.start_ns && wide.end_ns >= span.end_ns && (span.start_ns - wide.start_ns) % every_ns == 0 &&
                      (wide.end_ns - span.end_ns) % every_ns == 0;
    return fits ? wide : span;
}

static uint32_t make_state(struct wr_engine *engine, int64_t start_ns, uint32_t due) {
    uint32_t index = wr_slab_take(&engine->states);
    if (index == WR_SLAB_NONE)
        return index;
    struct wr_window_state *state = wr_state_at(engine, index);
    wr_window_state_clear(state);
    state->next = WR_SLAB_NONE;
    state->start_ns = start_ns;
    state->due = due;
    return index;
}

/* The open state that takes this event time, or WR_SLAB_NONE; *ret_before is the last state that starts at or before it. */
static uint32_t find_state(const struct wr_engine *engine, const struct wr_cell_walk *at, int64_t event_ns, uint32_t *ret_before) {
    *ret_before = WR_SLAB_NONE;
    for (uint32_t i = at->cell->oldest; i != WR_SLAB_NONE; i = wr_state_at(engine, i)->next) {
        const struct wr_window_state *state = wr_state_at(engine, i);
        if (state->start_ns > event_ns)
            break;
        *ret_before = i;
        if (event_ns < wr_state_end(engine, at->window, state) && !wr_window_state_is_full(state))
            return i;
    }
    return WR_SLAB_NONE;
}

static void link_state(struct wr_engine *engine, struct wr_cell *cell, uint32_t index, uint32_t before) {
    struct wr_window_state *state = wr_state_at(engine, index);
    if (before == WR_SLAB_NONE) {
        state->next = cell->oldest;
        cell->oldest = index;
    } else {
        state->next = wr_state_at(engine, before)->next;
        wr_state_at(engine, before)->next = index;
    }
    if (state->next == WR_SLAB_NONE)
        cell->newest = index;
}

/* A late reading of another window, and the late state cannot be written: it grows over both. False: that would be too long. */
static bool grow_late(struct wr_window_state *late, int64_t start_ns, int64_t every_ns) {
    int64_t begin = late->start_ns < start_ns ? late->start_ns : start_ns;
    int64_t end = late->start_ns + (int64_t)late->length * every_ns;
    if (end < start_ns + every_ns)
        end = start_ns + every_ns;
    uint64_t length = ((uint64_t)end - (uint64_t)begin) / (uint64_t)every_ns;
    if (length > wr_state_longest(every_ns))
        return false;
    late->start_ns = begin;
    late->length = (uint32_t)length;
    late->flags |= WR_AGGREGATE_WIDENED;
    return true;
}

static bool covers(const struct wr_window_state *state, int64_t start_ns, int64_t every_ns) {
    return start_ns >= state->start_ns && start_ns < state->start_ns + (int64_t)state->length * every_ns;
}

/* All late readings of a cell share one state, written when the next one belongs to another window, or after `every`. */
static void put_late(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, const struct wr_reading *reading,
                     int64_t start_ns, int64_t arrival_boot_ns) {
    struct wr_engine *engine = step->engine;
    int64_t every_ns = engine->every_ns[at->window];
    const struct wr_stream *stream = wr_stream_at(engine, index);
    struct wr_engine_account *account = wr_engine_account(engine, stream->source, at->window);
    uint32_t due = (uint32_t)wr_wheel_tick_after(wr_clock_add_ns(arrival_boot_ns, every_ns));
    engine->stats.late++;
    if (at->cell->late == WR_SLAB_NONE) {
        uint32_t made = make_state(engine, start_ns, due);
        if (made == WR_SLAB_NONE) {
            account->dropped_memory++;
            return;
        }
        at->cell->late = made;
    }
    struct wr_window_state *late = wr_state_at(engine, at->cell->late);
    bool full = wr_window_state_is_full(late);
    if (full || !covers(late, start_ns, every_ns)) {
        if (step->handover && !wr_step_is_full(step)) {
            wr_window_emit(step, index, at->window, late, WR_AGGREGATE_LATE);
            wr_window_state_clear(late);
            late->start_ns = start_ns;
            late->due = due;
        } else if (full || !grow_late(late, start_ns, every_ns)) {
            account->dropped_late++;
            return;
        }
    }
    account->late++;
    wr_window_state_fold(late, (enum wr_type)stream->type, reading);
    wr_stream_want_timer(step, index, late->due);
}

void wr_window_put(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, const struct wr_reading *reading,
                   int64_t arrival_boot_ns) {
    struct wr_engine *engine = step->engine;
    struct wr_stream *stream = wr_stream_at(engine, index);
    enum wr_type type = (enum wr_type)stream->type;
    uint32_t before;
    uint32_t found = find_state(engine, at, reading->event_ns, &before);
    if (found != WR_SLAB_NONE) {
        wr_window_state_fold(wr_state_at(engine, found), type, reading);
        return;
    }
    int64_t every_ns = engine->every_ns[at->window];
    struct span span = {.start_ns = window_start(reading->event_ns, every_ns)};
    span.end_ns = span.start_ns + every_ns;
    int64_t lateness_ns = wr_stream_lateness(engine, wr_stream_series(engine, index), at->window);
    if (span.end_ns <= at->cell->closed_until_ns || span.end_ns <= wr_clock_add_ns(stream->max_event_ns, -lateness_ns)) {
        put_late(step, index, at, reading, span.start_ns, arrival_boot_ns);
        return;
    }
    if (engine->widens && engine->longer_ns[at->window] > 0)
        span = widen_span(engine, at, before, span);
    int64_t wait_ns = span.end_ns - reading->event_ns + lateness_ns; /* at most its length, since the event lies in its window */
    uint32_t due = (uint32_t)wr_wheel_tick_after(wr_clock_add_ns(arrival_boot_ns, wait_ns));
    uint32_t made = make_state(engine, span.start_ns, due);
    if (made == WR_SLAB_NONE) {
        wr_engine_account(engine, stream->source, at->window)->dropped_memory++;
        return;
    }
    link_state(engine, at->cell, made, before);
    struct wr_window_state *state = wr_state_at(engine, made);
    state->length = (uint32_t)((span.end_ns - span.start_ns) / every_ns);
    state->flags |= state->length > 1 ? WR_AGGREGATE_WIDENED : 0;
    wr_window_state_fold(state, type, reading);
    int64_t closes_ns = wr_clock_add_ns(span.end_ns, lateness_ns);
    if (closes_ns < stream->close_event_ns)
        stream->close_event_ns = closes_ns;
    wr_stream_want_timer(step, index, due);
}

void wr_window_drop(struct wr_engine *engine, uint32_t source, const struct wr_reading *reading) {
    uint32_t windows = wr_stream_match(engine, reading->series);
    bool bad = reading->quality == WR_QUALITY_BAD;
    if (!windows) {
        struct wr_engine_account *none = wr_engine_account(engine, source, engine->n_windows);
        none->taken++;
        none->bad += bad;
        none->dropped_unwanted++;
    }
    for (; windows; windows &= windows - 1) {
        struct wr_engine_account *account = wr_engine_account(engine, source, (uint32_t)__builtin_ctz(windows));
        account->taken++;
        account->bad += bad;
        account->dropped_memory++;
    }
}
