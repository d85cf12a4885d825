#include "rules/engine/engine_private.h"

/* A change window has one state, the tail: the present value, and the readings since the last change. A new value is put into it, so that
 * it holds the unchanged readings and the one that changed, written, and emptied. Without room it stays as it is, marked unsent, and takes
 * what follows: the changes in between are lost as resolution, no reading is. Readings that are older than the present value do not
 * change it: they are written as late changes of their own. */

static enum wr_quality quality_of(const struct wr_window_state *tail) {
    return (enum wr_quality)((tail->flags & WR_STATE_QUALITY) >> WR_STATE_QUALITY_SHIFT);
}

static void set_quality(struct wr_window_state *tail, enum wr_quality quality) {
    unsigned others = tail->flags & (0xffu ^ WR_STATE_QUALITY);
    tail->flags = (uint8_t)(others | (unsigned)quality << WR_STATE_QUALITY_SHIFT);
}

/* Nothing since the last change: value, its time and quality stay. */
static void empty(struct wr_window_state *tail) {
    enum wr_quality quality = quality_of(tail);
    wr_window_state_clear(tail);
    set_quality(tail, quality);
}

static bool has_room(const struct wr_step *step) {
    return step->handover && !wr_step_is_full(step);
}

static void write_change(struct wr_step *step, uint32_t index, uint32_t window, struct wr_window_state *tail) {
    wr_window_emit(step, index, window, tail, 0);
    empty(tail);
}

static struct wr_window_state *find_tail(struct wr_step *step, const struct wr_cell_walk *at, const struct wr_reading *reading) {
    struct wr_engine *engine = step->engine;
    if (at->cell->newest == WR_SLAB_NONE) {
        uint32_t made = wr_slab_take(&engine->states);
        if (made == WR_SLAB_NONE)
            return NULL;
        struct wr_window_state *tail = wr_state_at(engine, made);
        *tail = (struct wr_window_state){.next = WR_SLAB_NONE, .last_event_ns = reading->event_ns};
        wr_window_state_clear(tail);
        at->cell->newest = made;
    }
    return wr_state_at(engine, at->cell->newest);
}

/* A value from before the present one. */
static void put_older(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, struct wr_window_state *tail,
                      const struct wr_reading *reading, bool changes) {
    struct wr_engine *engine = step->engine;
    const struct wr_stream *stream = wr_stream_at(engine, index);
    enum wr_type type = (enum wr_type)stream->type;
    if (changes && has_room(step)) {
        struct wr_window_state late = {.start_ns = reading->event_ns};
        wr_window_state_clear(&late);
        wr_window_state_fold(&late, type, reading);
        set_quality(&late, (enum wr_quality)reading->quality);
        wr_window_emit(step, index, at->window, &late, WR_AGGREGATE_LATE);
    } else {
        union wr_value last = tail->last;
        int64_t last_event_ns = tail->last_event_ns;
        wr_window_state_fold(tail, type, reading);
        tail->last = last;
        tail->last_event_ns = last_event_ns;
        if (changes)
            tail->flags |= WR_AGGREGATE_WIDENED;
    }
    if (changes) {
        engine->stats.late++;
        wr_engine_account(engine, stream->source, at->window)->late++;
    }
}

void wr_change_put(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, const struct wr_reading *reading,
                   int64_t arrival_boot_ns) {
    struct wr_engine *engine = step->engine;
    const struct wr_stream *stream = wr_stream_at(engine, index);
    bool first_ever = at->cell->newest == WR_SLAB_NONE;
    struct wr_window_state *tail = find_tail(step, at, reading);
    if (tail && wr_window_state_is_full(tail) && has_room(step))
        wr_change_flush(step, index, at->window, tail);
    if (!tail || wr_window_state_is_full(tail)) {
        wr_engine_account(engine, stream->source, at->window)->dropped_memory++;
        return;
    }
    bool bad = reading->quality == WR_QUALITY_BAD;
    bool changes = first_ever || reading->quality != quality_of(tail) || (!bad && reading->value.bits != tail->last.bits);
    if (reading->event_ns < tail->last_event_ns) {
        put_older(step, index, at, tail, reading, changes && !bad);
        return;
    }
    bool unsent = (tail->flags & WR_STATE_UNSENT) != 0;
    union wr_value previous = unsent && tail->n > 0 ? tail->first : tail->last;
    bool known = tail->known;
    wr_window_state_fold(tail, (enum wr_type)stream->type, reading);
    tail->last_event_ns = reading->event_ns;
    tail->known |= !bad;
    if (known && tail->n > 0)
        tail->first = previous;
    if (!changes)
        return;
    set_quality(tail, (enum wr_quality)reading->quality);
    tail->start_ns = reading->event_ns;
    if (unsent)
        tail->flags |= WR_AGGREGATE_WIDENED;
    if (has_room(step)) {
        write_change(step, index, at->window, tail);
        return;
    }
    tail->flags |= WR_STATE_UNSENT;
    tail->due = (uint32_t)wr_wheel_tick_after(wr_clock_add_ns(arrival_boot_ns, WR_CHANGE_RETRY_NS));
    wr_stream_want_timer(step, index, tail->due);
}

void wr_change_retry(struct wr_step *step, uint32_t index, uint32_t window, struct wr_window_state *tail) {
    if (!(tail->flags & WR_STATE_UNSENT))
        return;
    if (has_room(step))
        write_change(step, index, window, tail);
    else
        tail->due = (uint32_t)wr_wheel_tick_after(wr_clock_add_ns(step->boot_ns, WR_CHANGE_RETRY_NS));
}

void wr_change_flush(struct wr_step *step, uint32_t index, uint32_t window, struct wr_window_state *tail) {
    bool unsent = (tail->flags & WR_STATE_UNSENT) != 0;
    if (!unsent)
        tail->start_ns = tail->last_event_ns;
    wr_window_emit(step, index, window, tail, unsent ? 0 : WR_AGGREGATE_PARTIAL);
    empty(tail);
}
