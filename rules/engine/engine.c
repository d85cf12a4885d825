#include "rules/engine/engine.h"

#include <assert.h>
#include <math.h>

#include "rules/engine/engine_private.h"

/* How many readings ahead memory is fetched. */
#define AHEAD_STREAM 24
#define AHEAD_CELL 16
#define AHEAD_STATE 8

/* One call of wr_engine_take. */
struct taking {
    struct wr_step step;
    const struct wr_batch *batch;
    const struct wr_now *now;
    struct wr_alarm_out *alarms;
    struct wr_kept *kept;
    struct wr_engine_tap *tap;       /* NULL: nobody else looks */
    struct wr_evaluator_band *bands; /* NULL: no rules */
    bool attach_tried;               /* once a call: without memory it would fail for every reading */
    struct wr_arrival arrival;
    struct wr_engine_account *accounts; /* of this source */
    void *const *streams;               /* the engine's chunks of streams */
    uint32_t first_end;                 /* as the engine's */
    uint32_t source;
};

struct wr_step wr_step_begin(struct wr_engine *engine, const struct wr_now *now, const struct wr_engine_out *out) {
    bool room = out->handover && out->handover->n < WR_HANDOVER_AGGREGATES;
    return (struct wr_step){
        .engine = engine, .handover = room ? out->handover : NULL, .boot_ns = now->boot_ns, .tick = wr_wheel_tick_of(now->boot_ns)};
}

static struct taking begin(struct wr_engine *engine, const struct wr_batch *batch, const struct wr_now *now, struct wr_engine_out *out) {
    assert(batch->source < engine->n_sources);
    struct taking taking = {
        .step = wr_step_begin(engine, now, out), .batch = batch, .now = now, .alarms = &out->alarms, .kept = out->kept, .tap = out->tap};
    taking.arrival = wr_arrival_of(engine, batch);
    taking.accounts = wr_engine_account(engine, batch->source, 0);
    taking.streams = engine->streams.chunks;
    taking.first_end = engine->first_end;
    taking.source = batch->source;
    if (engine->evaluator)
        taking.bands = wr_evaluator_bands(engine->evaluator);
    return taking;
}

/* The series id is new to the evaluator. False: it has no memory for it, so no rule sees it now. */
static bool attach(struct taking *taking, uint32_t series) {
    struct wr_engine *engine = taking->step.engine;
    if (taking->attach_tried)
        return false;
    taking->attach_tried = true;
    uint32_t count = wr_series_count(engine->series_table);
    engine->attached = wr_evaluator_attach(engine->evaluator, count, taking->now);
    taking->bands = wr_evaluator_bands(engine->evaluator);
    taking->attach_tried = engine->attached < count;
    return series < engine->attached;
}

/* Shows the reading to the rules, unless its value can flip nothing. False: no room for alarms, nothing was done. */
static inline bool show_to_rules(struct taking *taking, struct wr_reading *reading) {
    struct wr_evaluator *evaluator = taking->step.engine->evaluator;
    if (!evaluator || (reading->series >= taking->step.engine->attached && !attach(taking, reading->series)))
        return true;
    int64_t arrival_boot_ns = taking->batch->arrival_boot_ns;
    double number = reading->type == WR_TYPE_FLOAT ? reading->value.f : wr_reading_number((enum wr_type)reading->type, reading->value);
    if (reading->quality != WR_QUALITY_BAD && wr_evaluator_quiet(&taking->bands[reading->series], number, arrival_boot_ns))
        return true;
    return wr_evaluator_take(evaluator, reading, arrival_boot_ns, taking->now, taking->alarms) != WR_FULL;
}

/* The same, for whoever else looks, too. Apart, so that it costs nothing where nobody does. */
__attribute__((noinline)) static bool show_to_both(struct taking *taking, struct wr_reading *reading) {
    struct wr_engine_tap *tap = taking->tap;
    assert(tap->n < WR_BATCH_READINGS);
    tap->readings[tap->n] = *reading;
    const bool shown = show_to_rules(taking, reading);
    tap->n += shown;
    return shown;
}

static inline bool show(struct taking *taking, struct wr_reading *reading) {
    return taking->tap ? show_to_both(taking, reading) : show_to_rules(taking, reading);
}

/* The window that took the last reading takes this one too, most of the time. */
static inline void put_into_windows(struct taking *taking, uint32_t index, struct wr_stream *stream, uint32_t windows,
                                    const struct wr_reading *reading) {
    struct wr_engine *engine = taking->step.engine;
    bool bad = reading->quality == WR_QUALITY_BAD;
    for (struct wr_cell_walk at = wr_cell_walk(stream, windows); at.cell; wr_cell_walk_next(engine, &at)) {
        taking->accounts[at.window].taken++;
        taking->accounts[at.window].bad += bad;
        if (wr_cell_is_change(engine, &at)) {
            wr_change_put(&taking->step, index, &at, reading, taking->batch->arrival_boot_ns);
            continue;
        }
        if (at.cell->newest != WR_SLAB_NONE) {
            struct wr_window_state *state = wr_state_at(engine, at.cell->newest);
            uint64_t into = (uint64_t)reading->event_ns - (uint64_t)state->start_ns;
            if (into < state->length * (uint64_t)engine->every_ns[at.window] && !wr_window_state_is_full(state)) {
                wr_window_state_fold(state, (enum wr_type)stream->type, reading);
                continue;
            }
        }
        wr_window_put(&taking->step, index, &at, reading, taking->batch->arrival_boot_ns);
    }
}

/* It is in its windows already: once, however many keep it. */
static inline void keep(struct taking *taking, const struct wr_reading *reading) {
    struct wr_kept *kept = taking->kept;
    if (!kept || kept->n == WR_SEGMENT_READINGS) {
        taking->step.engine->stats.unkept++;
        return;
    }
    struct wr_reading *copy = &kept->readings[kept->n++];
    *copy = *reading;
    if (copy->event_ns == taking->arrival.wall_ns && copy->event_ns > 0)
        copy->event_ns -= copy->event_ns % WR_KEPT_ARRIVAL_NS;
}

static void book_unwanted(struct taking *taking, const struct wr_reading *reading) {
    struct wr_engine_account *none = &taking->accounts[taking->step.engine->n_windows];
    none->taken++;
    none->bad += reading->quality == WR_QUALITY_BAD;
    none->dropped_unwanted++;
}

/* The second guard behind the source's own check of types. */
static void refuse_type(struct taking *taking, const struct wr_reading *reading) {
    taking->step.engine->stats.type_refused++;
    book_unwanted(taking, reading);
}

/* There is no memory for the stream: the rules see the reading, the windows cannot. */
static bool take_without_stream(struct taking *taking, struct wr_reading *reading) {
    struct wr_engine *engine = taking->step.engine;
    enum wr_type type = wr_series_fix_type(wr_series_get(engine->series_table, reading->series), (enum wr_type)reading->type);
    if (reading->type != type) {
        refuse_type(taking, reading);
        return true;
    }
    struct wr_stamp stamp;
    wr_engine_fix_time(engine, &taking->arrival, WR_SLAB_NONE, reading, &stamp);
    if (!show(taking, reading))
        return false;
    wr_engine_settle_time(engine, &taking->arrival, WR_SLAB_NONE, &stamp);
    engine->stats.bad += reading->quality == WR_QUALITY_BAD;
    wr_window_drop(engine, taking->batch->source, reading);
    return true;
}

/* The stream at the index of a series, if there is one. */
static inline struct wr_stream *first_stream(const struct taking *taking, uint32_t series) {
    if (series >= taking->first_end)
        return NULL;
    struct wr_stream *chunk = taking->streams[series >> WR_SLAB_SHIFT];
    return chunk ? &chunk[series & (WR_SLAB_CHUNK - 1)] : NULL;
}

/* A stream that is new, or not the first of its series. */
static uint32_t find_other_stream(struct taking *taking, const struct wr_reading *reading) {
    struct wr_engine *engine = taking->step.engine;
    if (reading->type == WR_TYPE_NONE || reading->type > WR_TYPE_SYMBOL)
        return WR_SLAB_NONE;
    struct wr_series *entry = wr_series_get(engine->series_table, reading->series);
    enum wr_type type = wr_series_fix_type(entry, (enum wr_type)reading->type);
    uint32_t index = wr_stream_find(engine, reading->series, taking->source, type);
    taking->first_end = engine->first_end;
    return index;
}

/* Everything that may make a reading wait for room, before anything is counted: so it can be begun again. */
static inline bool make_room(struct taking *taking, uint32_t index, const struct wr_stream *stream, uint32_t windows, int64_t event_ns) {
    if (event_ns >= stream->close_event_ns && !wr_window_close_by_event(&taking->step, index, event_ns))
        return false;
    bool may_write = (windows & taking->step.engine->changes) != 0 || event_ns < stream->max_event_ns;
    return !may_write || !wr_step_is_full(&taking->step);
}

/* False: it must wait for room, and nothing of it was counted. */
static inline bool take_one(struct taking *taking, struct wr_reading reading) {
    struct wr_engine *engine = taking->step.engine;
    uint32_t index = reading.series;
    struct wr_stream *stream = first_stream(taking, index);
    uint32_t windows = stream ? stream->windows : 0;
    if (!stream || stream->source != taking->source || stream->type == WR_TYPE_NONE) {
        index = find_other_stream(taking, &reading);
        if (index == WR_SLAB_NONE)
            return take_without_stream(taking, &reading);
        stream = wr_stream_at(engine, index);
        windows = wr_stream_windows(engine, index);
    }
    if (reading.type != stream->type) {
        if (!wr_reading_convert((enum wr_type)reading.type, reading.value, (enum wr_type)stream->type, &reading.value)) {
            refuse_type(taking, &reading);
            return true;
        }
        reading.type = stream->type;
    }
    if (reading.type == WR_TYPE_FLOAT && !isfinite(reading.value.f))
        reading.quality = WR_QUALITY_BAD;
    struct wr_stamp stamp;
    bool plain = wr_arrival_is_plain(&taking->arrival, stream, reading.event_ns);
    bool known_old = !plain && wr_arrival_is_known_old(&taking->arrival, stream, reading.event_ns);
    if (known_old)
        reading.flags |= WR_READING_HISTORIC;
    else if (!plain)
        wr_engine_fix_time(engine, &taking->arrival, index, &reading, &stamp);
    bool late = false;
    if (reading.event_ns < stream->max_event_ns)
        late = wr_engine_is_late(engine, &taking->arrival, index, reading.event_ns);
    else if (stream->behind)
        stream->behind = 0;
    if (!make_room(taking, index, stream, windows, reading.event_ns) || (!late && !show(taking, &reading)))
        return false;
    if (known_old)
        engine->stats.historic++;
    else if (!plain)
        wr_engine_settle_time(engine, &taking->arrival, index, &stamp);
    engine->stats.bad += reading.quality == WR_QUALITY_BAD;
    if (reading.event_ns > stream->max_event_ns)
        stream->max_event_ns = reading.event_ns;
    if (windows)
        put_into_windows(taking, index, stream, windows, &reading);
    else
        book_unwanted(taking, &reading);
    if ((windows & engine->keeps) != 0)
        keep(taking, &reading);
    return true;
}

/* Ids are known long before their turn: so no look-up has to wait for memory. First the streams, then the cells behind the first one, then
 * the newest state of each cell. */
static inline void fetch_ahead(const struct taking *taking, uint32_t at) {
    const struct wr_engine *engine = taking->step.engine;
    const struct wr_batch *batch = taking->batch;
    if (at + AHEAD_STREAM < batch->n) {
        uint32_t series = batch->readings[at + AHEAD_STREAM].series;
        const struct wr_stream *stream = first_stream(taking, series);
        if (stream)
            __builtin_prefetch(stream, 1);
        if (taking->bands && series < engine->attached)
            __builtin_prefetch(&taking->bands[series], 1);
    }
    if (engine->n_windows > 1 && at + AHEAD_CELL < batch->n) {
        const struct wr_stream *stream = first_stream(taking, batch->readings[at + AHEAD_CELL].series);
        if (stream && stream->type != WR_TYPE_NONE && stream->cell.next != WR_SLAB_NONE)
            __builtin_prefetch(wr_cell_at(engine, stream->cell.next), 1);
    }
    if (at + AHEAD_STATE < batch->n) {
        struct wr_stream *stream = first_stream(taking, batch->readings[at + AHEAD_STATE].series);
        if (!stream || stream->type == WR_TYPE_NONE)
            return;
        for (struct wr_cell_walk walk = wr_cell_walk(stream, stream->windows); walk.cell; wr_cell_walk_next(engine, &walk)) {
            if (walk.cell->newest == WR_SLAB_NONE)
                continue;
            const char *state = (const char *)wr_state_at(engine, walk.cell->newest);
            __builtin_prefetch(state, 1);
            __builtin_prefetch(state + sizeof(struct wr_window_state) - 1, 1);
        }
    }
}

uint32_t wr_engine_take(struct wr_engine *engine, struct wr_batch *batch, uint32_t from, const struct wr_now *now,
                        struct wr_engine_out *out) {
    struct taking taking = begin(engine, batch, now, out);
    uint32_t at = from;
    for (; at < batch->n; at++) {
        fetch_ahead(&taking, at);
        if (!take_one(&taking, batch->readings[at]))
            break;
    }
    engine->stats.taken += at - from;
    wr_engine_account(engine, batch->source, engine->n_windows + 1)->taken += at - from;
    return at - from;
}

/* -- timers ---------------------------------------------------------------------------------------------------------------------------- */

bool wr_engine_timers(struct wr_engine *engine, const struct wr_now *now, uint32_t budget, struct wr_engine_out *out) {
    bool more_rules = false;
    if (engine->evaluator) { /* alarms first */
        bool more = false;
        enum wr_result result = wr_evaluator_timers(engine->evaluator, now, budget, &out->alarms, &more);
        more_rules = result == WR_FULL || more;
    }
    struct wr_step step = wr_step_begin(engine, now, out);
    bool more_windows = false;
    for (;;) {
        uint32_t index = wr_wheel_pop(&engine->wheel, step.tick, &budget, &more_windows);
        if (index == WR_SLAB_NONE)
            break;
        if (!wr_window_close_by_time(&step, index, &budget))
            return true;
    }
    return more_windows || more_rules;
}

void wr_engine_widen(struct wr_engine *engine, bool widens) {
    engine->widens = widens;
}

int64_t wr_engine_next_timer(const struct wr_engine *engine) {
    uint64_t tick = wr_wheel_next(&engine->wheel);
    int64_t windows_ns = tick == UINT64_MAX ? WR_NEVER_NS : (int64_t)(tick << WR_WHEEL_TICK_SHIFT);
    int64_t rules_ns = engine->evaluator ? wr_evaluator_next_timer(engine->evaluator) : WR_NEVER_NS;
    return windows_ns < rules_ns ? windows_ns : rules_ns;
}

bool wr_engine_flush(struct wr_engine *engine, const struct wr_now *now, struct wr_engine_out *out) {
    struct wr_step step = wr_step_begin(engine, now, out);
    if (!step.handover)
        return true;
    for (; wr_stream_walk(engine, &engine->flush_at); engine->flush_at++)
        if (!wr_window_flush(&step, engine->flush_at))
            return true;
    engine->flush_at = 0;
    return false;
}

enum wr_result wr_engine_tell(struct wr_engine *engine, struct wr_reading *reading, const struct wr_now *now, struct wr_alarm_out *alarms) {
    if (!engine->evaluator)
        return WR_OK;
    if (reading->series >= engine->attached)
        engine->attached = wr_evaluator_attach(engine->evaluator, wr_series_count(engine->series_table), now);
    if (reading->series >= engine->attached)
        return WR_NO_MEMORY;
    struct wr_evaluator_band *band = &wr_evaluator_bands(engine->evaluator)[reading->series];
    double number = wr_reading_number((enum wr_type)reading->type, reading->value);
    if (reading->quality != WR_QUALITY_BAD && wr_evaluator_quiet(band, number, now->boot_ns))
        return WR_OK;
    return wr_evaluator_take(engine->evaluator, reading, now->boot_ns, now, alarms);
}

struct wr_evaluator *wr_engine_evaluator(struct wr_engine *engine) {
    return engine->evaluator;
}

struct wr_evaluator *wr_engine_swap_evaluator(struct wr_engine *engine, struct wr_evaluator *evaluator) {
    struct wr_evaluator *old = engine->evaluator;
    engine->evaluator = evaluator;
    engine->attached = 0;
    return old;
}
