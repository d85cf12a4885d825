#include "rules/engine/engine_private.h"

void wr_window_emit(struct wr_step *step, uint32_t index, uint32_t window, const struct wr_window_state *state, uint8_t more_flags) {
    struct wr_engine *engine = step->engine;
    const struct wr_stream *stream = wr_stream_at(engine, index);
    const struct wr_series *series = wr_series_get(engine->series_table, wr_stream_series(engine, index));
    struct wr_aggregate *aggregate = &step->handover->aggregates[step->handover->n++];
    wr_window_state_publish(state, (enum wr_type)stream->type, aggregate);
    aggregate->key = series->key;
    aggregate->key_len = series->key_len;
    aggregate->quality = (state->flags & WR_STATE_QUALITY) >> WR_STATE_QUALITY_SHIFT;
    aggregate->flags |= more_flags;
    aggregate->account = engine->account_ids[stream->source * (engine->n_windows + 2) + window];
    aggregate->start_ns = state->start_ns;
    aggregate->window_ns = (int64_t)state->length * engine->every_ns[window];
    engine->stats.aggregates++;
    if (aggregate->flags & WR_AGGREGATE_WIDENED) {
        uint64_t readings = wr_aggregate_readings(aggregate);
        wr_engine_account(engine, stream->source, window)->widened += readings;
        engine->stats.widened += readings;
    }
}

/* Takes a state out of the chain of its cell; `before` is the one before it, or WR_SLAB_NONE. */
static void unlink_state(struct wr_engine *engine, struct wr_cell *cell, uint32_t state, uint32_t before) {
    uint32_t next = wr_state_at(engine, state)->next;
    if (before == WR_SLAB_NONE)
        cell->oldest = next;
    else
        wr_state_at(engine, before)->next = next;
    if (next == WR_SLAB_NONE)
        cell->newest = before;
    wr_slab_give(&engine->states, state);
}

static void close_state(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, uint32_t state, uint32_t before) {
    const struct wr_window_state *closing = wr_state_at(step->engine, state);
    wr_window_emit(step, index, at->window, closing, 0);
    int64_t end_ns = wr_state_end(step->engine, at->window, closing);
    if (end_ns > at->cell->closed_until_ns)
        at->cell->closed_until_ns = end_ns;
    unlink_state(step->engine, at->cell, state, before);
}

/* Moves the end of a state on, to least_end_ns at least, and stops short only where its length is at its limit. */
static void lengthen(const struct wr_engine *engine, uint32_t window, struct wr_window_state *state, int64_t least_end_ns) {
    int64_t every_ns = engine->every_ns[window];
    int64_t missing_ns = least_end_ns - wr_state_end(engine, window, state);
    if (missing_ns <= 0)
        return;
    uint64_t more = ((uint64_t)missing_ns + (uint64_t)every_ns - 1) / (uint64_t)every_ns;
    uint64_t length = state->length + more;
    uint64_t longest = wr_state_longest(every_ns);
    state->length = (uint32_t)(length < longest ? length : longest);
}

/* There is no room for a window that is due: its end moves on, and the windows that it then overlaps become part of it. */
static void widen(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, uint32_t widened, int64_t least_end_ns) {
    struct wr_engine *engine = step->engine;
    struct wr_window_state *state = wr_state_at(engine, widened);
    enum wr_type type = (enum wr_type)wr_stream_at(engine, index)->type;
    lengthen(engine, at->window, state, least_end_ns);
    state->flags |= WR_AGGREGATE_WIDENED;
    state->due = (uint32_t)wr_wheel_tick_after(wr_clock_add_ns(step->boot_ns, engine->every_ns[at->window]));
    while (state->next != WR_SLAB_NONE) {
        const struct wr_window_state *next = wr_state_at(engine, state->next);
        if (next->start_ns >= wr_state_end(engine, at->window, state) || !wr_window_state_merge(state, type, next))
            break;
        lengthen(engine, at->window, state, wr_state_end(engine, at->window, next));
        if ((int32_t)(next->due - state->due) > 0)
            state->due = next->due;
        unlink_state(engine, at->cell, state->next, widened);
    }
    wr_stream_want_timer(step, index, state->due);
}

bool wr_window_close_by_event(struct wr_step *step, uint32_t index, int64_t event_ns) {
    struct wr_engine *engine = step->engine;
    struct wr_stream *stream = wr_stream_at(engine, index);
    uint32_t series = wr_stream_series(engine, index);
    bool finished = true;
    for (struct wr_cell_walk at = wr_cell_walk(stream, wr_stream_windows(engine, index)); at.cell; wr_cell_walk_next(engine, &at)) {
        if (at.cell->oldest == WR_SLAB_NONE)
            continue;
        int64_t watermark_ns = wr_clock_add_ns(event_ns, -wr_stream_lateness(engine, series, at.window));
        uint32_t before = WR_SLAB_NONE;
        uint32_t i = at.cell->oldest;
        while (i != WR_SLAB_NONE && wr_state_end(engine, at.window, wr_state_at(engine, i)) <= watermark_ns) {
            if (wr_step_is_full(step)) {
                finished = false;
                break;
            }
            uint32_t next = wr_state_at(engine, i)->next;
            if (step->handover) {
                close_state(step, index, &at, i, before);
            } else {
                widen(step, index, &at, i, wr_clock_add_ns(watermark_ns, 1));
                before = i;
                next = wr_state_at(engine, i)->next;
            }
            i = next;
        }
    }
    wr_stream_set_close_event(engine, index);
    return finished;
}

/* The chained states of one cell; false: no budget or no room is left. */
static bool close_cell_by_time(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, uint32_t *budget) {
    struct wr_engine *engine = step->engine;
    uint32_t before = WR_SLAB_NONE;
    for (uint32_t i = at->cell->oldest; i != WR_SLAB_NONE;) {
        struct wr_window_state *state = wr_state_at(engine, i);
        uint32_t next = state->next;
        if (!wr_wheel_is_due(state->due, step->tick)) {
            before = i;
        } else if (*budget == 0 || wr_step_is_full(step)) {
            return false;
        } else if (step->handover) {
            (*budget)--;
            close_state(step, index, at, i, before);
        } else {
            (*budget)--;
            widen(step, index, at, i, wr_clock_add_ns(wr_state_end(engine, at->window, state), engine->every_ns[at->window]));
            before = i;
            next = state->next;
        }
        i = next;
    }
    return true;
}

static bool close_late_by_time(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, uint32_t *budget) {
    struct wr_engine *engine = step->engine;
    if (at->cell->late == WR_SLAB_NONE)
        return true;
    struct wr_window_state *late = wr_state_at(engine, at->cell->late);
    if (!wr_wheel_is_due(late->due, step->tick))
        return true;
    if (*budget == 0 || wr_step_is_full(step))
        return false;
    (*budget)--;
    if (!step->handover) {
        late->due = (uint32_t)wr_wheel_tick_after(wr_clock_add_ns(step->boot_ns, engine->every_ns[at->window]));
        return true;
    }
    wr_window_emit(step, index, at->window, late, WR_AGGREGATE_LATE);
    wr_slab_give(&engine->states, at->cell->late);
    at->cell->late = WR_SLAB_NONE;
    return true;
}

bool wr_window_close_by_time(struct wr_step *step, uint32_t index, uint32_t *budget) {
    struct wr_engine *engine = step->engine;
    struct wr_stream *stream = wr_stream_at(engine, index);
    bool finished = true;
    for (struct wr_cell_walk at = wr_cell_walk(stream, wr_stream_windows(engine, index)); at.cell && finished;
         wr_cell_walk_next(engine, &at)) {
        if (wr_cell_is_change(engine, &at)) {
            if (at.cell->newest != WR_SLAB_NONE)
                wr_change_retry(step, index, at.window, wr_state_at(engine, at.cell->newest));
        } else {
            finished = close_cell_by_time(step, index, &at, budget) && close_late_by_time(step, index, &at, budget);
        }
    }
    wr_stream_set_close_event(engine, index);
    wr_stream_set_timer(step, index);
    return finished || !wr_step_is_full(step);
}

bool wr_window_flush(struct wr_step *step, uint32_t index) {
    struct wr_engine *engine = step->engine;
    struct wr_stream *stream = wr_stream_at(engine, index);
    bool finished = true;
    for (struct wr_cell_walk at = wr_cell_walk(stream, wr_stream_windows(engine, index)); at.cell && finished;
         wr_cell_walk_next(engine, &at)) {
        if (wr_cell_is_change(engine, &at)) {
            struct wr_window_state *tail = at.cell->newest == WR_SLAB_NONE ? NULL : wr_state_at(engine, at.cell->newest);
            if (tail && tail->n + (uint64_t)tail->bad > 0) {
                finished = !wr_step_is_full(step);
                if (finished)
                    wr_change_flush(step, index, at.window, tail);
            }
            continue;
        }
        while (at.cell->oldest != WR_SLAB_NONE && !wr_step_is_full(step)) {
            wr_window_emit(step, index, at.window, wr_state_at(engine, at.cell->oldest), WR_AGGREGATE_PARTIAL);
            unlink_state(engine, at.cell, at.cell->oldest, WR_SLAB_NONE);
        }
        if (at.cell->late != WR_SLAB_NONE && !wr_step_is_full(step)) {
            wr_window_emit(step, index, at.window, wr_state_at(engine, at.cell->late), WR_AGGREGATE_LATE | WR_AGGREGATE_PARTIAL);
            wr_slab_give(&engine->states, at.cell->late);
            at.cell->late = WR_SLAB_NONE;
        }
        finished = at.cell->oldest == WR_SLAB_NONE && at.cell->late == WR_SLAB_NONE;
    }
    wr_stream_set_close_event(engine, index);
    wr_stream_set_timer(step, index);
    return finished;
}
