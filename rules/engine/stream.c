#include "rules/engine/engine_private.h"

uint32_t wr_stream_match(const struct wr_engine *engine, uint32_t series) {
    const struct wr_series *entry = wr_series_get(engine->series_table, series);
    uint32_t windows = 0;
    for (uint32_t i = 0; i < engine->n_windows; i++)
        if (wr_selector_matches(&engine->windows[i].of, entry->key, entry->key_len))
            windows |= UINT32_C(1) << i;
    return windows;
}

static struct wr_cell empty_cell(uint32_t next) {
    return (struct wr_cell){
        .closed_until_ns = INT64_MIN, .newest = WR_SLAB_NONE, .oldest = WR_SLAB_NONE, .late = WR_SLAB_NONE, .next = next};
}

/* Gives a stream one cell for each window: the first stands in the stream itself. */
static bool make_cells(struct wr_engine *engine, struct wr_stream *stream, uint32_t windows) {
    uint32_t next = WR_SLAB_NONE;
    for (int left = __builtin_popcount(windows); left > 1; left--) {
        uint32_t cell = wr_slab_take(&engine->cells);
        if (cell == WR_SLAB_NONE) {
            while (next != WR_SLAB_NONE) {
                uint32_t given = next;
                next = wr_cell_at(engine, given)->next;
                wr_slab_give(&engine->cells, given);
            }
            return false;
        }
        *wr_cell_at(engine, cell) = empty_cell(next);
        next = cell;
    }
    stream->cell = empty_cell(next);
    return true;
}

/* Fills a stream in; it counts as existing once its type is set. */
static bool make_stream(struct wr_engine *engine, struct wr_stream *stream, uint32_t windows, uint32_t source, enum wr_type type) {
    if (!make_cells(engine, stream, windows))
        return false;
    stream->max_event_ns = INT64_MIN;
    stream->close_event_ns = WR_NEVER_NS;
    wr_wheel_node_init(&stream->timer);
    stream->next = WR_SLAB_NONE;
    stream->source = source & UINT16_MAX;
    stream->type = type & 7u;
    stream->pace = WR_STREAM_RIGHT;
    stream->behind = 0;
    engine->stats.streams++;
    return true;
}

static uint32_t make_first(struct wr_engine *engine, uint32_t series, uint32_t source, enum wr_type type) {
    struct wr_stream *stream = wr_stream_at(engine, series);
    uint32_t windows = wr_stream_match(engine, series);
    if (!make_stream(engine, stream, windows, source, type))
        return WR_SLAB_NONE;
    stream->windows = windows;
    if (series >= engine->first_end)
        engine->first_end = series + 1;
    return series;
}

/* A further source of a series: chained behind its first stream. */
static uint32_t make_extra(struct wr_engine *engine, uint32_t series, uint32_t source) {
    uint32_t index = engine->extra_base + engine->extra_used;
    if (index >= engine->streams.max || wr_slab_ensure(&engine->streams, index) != WR_OK)
        return WR_SLAB_NONE;
    struct wr_stream *first = wr_stream_at(engine, series);
    struct wr_stream *stream = wr_stream_at(engine, index);
    if (!make_stream(engine, stream, first->windows, source, (enum wr_type)first->type))
        return WR_SLAB_NONE;
    stream->windows = series;
    stream->next = first->next;
    first->next = index;
    engine->extra_used++;
    return index;
}

uint32_t wr_stream_find(struct wr_engine *engine, uint32_t series, uint32_t source, enum wr_type type) {
    if (series >= engine->max_series || wr_slab_ensure(&engine->streams, series) != WR_OK)
        return WR_SLAB_NONE;
    struct wr_stream *stream = wr_stream_at(engine, series);
    if (stream->type == WR_TYPE_NONE)
        return make_first(engine, series, source, type);
    for (uint32_t index = series; index != WR_SLAB_NONE; index = wr_stream_at(engine, index)->next)
        if (wr_stream_at(engine, index)->source == source)
            return index;
    return make_extra(engine, series, source);
}

int64_t wr_stream_lateness(const struct wr_engine *engine, uint32_t series, uint32_t window) {
    int64_t declared = engine->evaluator && series < engine->attached ? wr_evaluator_lateness(engine->evaluator, series) : -1;
    return declared >= 0 && declared <= WR_WINDOW_LATENESS_MAX_NS ? declared : engine->windows[window].lateness_ns;
}

int64_t wr_stream_rule_lateness(const struct wr_engine *engine, uint32_t series, uint32_t windows) {
    int64_t longest = windows ? 0 : WR_WINDOW_LATENESS_NS;
    for (uint32_t left = windows; left; left &= left - 1) {
        int64_t lateness = wr_stream_lateness(engine, series, (uint32_t)__builtin_ctz(left));
        if (lateness > longest)
            longest = lateness;
    }
    return longest;
}

void wr_stream_set_close_event(struct wr_engine *engine, uint32_t index) {
    struct wr_stream *stream = wr_stream_at(engine, index);
    uint32_t series = wr_stream_series(engine, index);
    stream->close_event_ns = WR_NEVER_NS;
    for (struct wr_cell_walk at = wr_cell_walk(stream, wr_stream_windows(engine, index)); at.cell; wr_cell_walk_next(engine, &at)) {
        if (at.cell->oldest == WR_SLAB_NONE)
            continue;
        int64_t end = wr_state_end(engine, at.window, wr_state_at(engine, at.cell->oldest));
        int64_t closes = wr_clock_add_ns(end, wr_stream_lateness(engine, series, at.window));
        if (closes < stream->close_event_ns)
            stream->close_event_ns = closes;
    }
}

/* Keeps the earlier of two ticks, as seen from now. */
static void keep_earlier(uint32_t due, bool *found, uint32_t *earliest) {
    if (!*found || (int32_t)(due - *earliest) < 0)
        *earliest = due;
    *found = true;
}

void wr_stream_set_timer(struct wr_step *step, uint32_t index) {
    struct wr_engine *engine = step->engine;
    struct wr_stream *stream = wr_stream_at(engine, index);
    bool found = false;
    uint32_t earliest = 0;
    for (struct wr_cell_walk at = wr_cell_walk(stream, wr_stream_windows(engine, index)); at.cell; wr_cell_walk_next(engine, &at)) {
        for (uint32_t i = at.cell->oldest; i != WR_SLAB_NONE; i = wr_state_at(engine, i)->next)
            keep_earlier(wr_state_at(engine, i)->due, &found, &earliest);
        if (at.cell->late != WR_SLAB_NONE)
            keep_earlier(wr_state_at(engine, at.cell->late)->due, &found, &earliest);
        if (wr_cell_is_change(engine, &at) && at.cell->newest != WR_SLAB_NONE) {
            const struct wr_window_state *state = wr_state_at(engine, at.cell->newest);
            if (state->flags & WR_STATE_UNSENT)
                keep_earlier(state->due, &found, &earliest);
        }
    }
    if (found)
        wr_wheel_arm(&engine->wheel, index, earliest, step->tick);
    else
        wr_wheel_disarm(&engine->wheel, index);
}

void wr_stream_want_timer(struct wr_step *step, uint32_t index, uint32_t due) {
    const struct wr_wheel_node *timer = &wr_stream_at(step->engine, index)->timer;
    if (timer->prev == WR_WHEEL_IDLE || (int32_t)(due - timer->tick) < 0)
        wr_wheel_arm(&step->engine->wheel, index, due, step->tick);
}

void wr_stream_rewind(struct wr_engine *engine, uint32_t index, int64_t event_ns) {
    struct wr_stream *stream = wr_stream_at(engine, index);
    stream->max_event_ns = event_ns;
    stream->behind = 0;
    for (struct wr_cell_walk at = wr_cell_walk(stream, wr_stream_windows(engine, index)); at.cell; wr_cell_walk_next(engine, &at)) {
        at.cell->closed_until_ns = INT64_MIN;
        if (wr_cell_is_change(engine, &at) && at.cell->newest != WR_SLAB_NONE)
            wr_state_at(engine, at.cell->newest)->last_event_ns = event_ns; /* else every change to come would count as late */
    }
}
