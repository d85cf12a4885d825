/* What the files of the engine share: streams, cells, and the engine itself. Nobody else includes this.
 *
 *   stream  one series of one source: its watermark, its timer, its first cell        64 bytes, one cache line
 *   cell    one window of one stream: its open states, its late state                24 bytes, the first inside the stream
 *   state   one open window: rules/engine/window_state.h                                    96 bytes
 *
 * The first stream of a series stands at the index of the series; streams of other sources of the same series are chained behind it. So a
 * reading finds its state by array look-ups alone: series -> stream -> newest state.
 *
 * Invariants:
 *   E1  the open states of a cell are chained oldest to newest by ascending start; their spans do not overlap (but for full siblings)
 *   E2  close_event_ns of a stream is the lowest event time that closes one of its windows: no reading below it has to look
 *   E3  the timer of a stream stands at or before the first `due` of its states; it may stand earlier, then it is only set anew
 *   E4  per account: taken = readings in states + readings in aggregates written + dropped
 *   E5  the pace of a stream is WR_STREAM_RIGHT exactly if that in engine->paces, at the same index, is idle or not there; stats.skewed counts
 *       those with WR_STREAM_SKEWED
 */
#ifndef WEIR_RULES_ENGINE_ENGINE_PRIVATE_H
#define WEIR_RULES_ENGINE_ENGINE_PRIVATE_H

#include "rules/engine/engine.h"
#include "rules/engine/pace.h"
#include "rules/engine/slab.h"
#include "rules/engine/wheel.h"
#include "rules/engine/window_state.h"

/* A watermark older than all readings of so long: the device's clock was set back, and the watermark starts over. In units of about 17 s. */
#define WR_STREAM_BEHIND_SHIFT 34
#define WR_STREAM_BEHIND_UNITS 4
/* The pace of a stream: its stamps are right; its device is skewed. */
#define WR_STREAM_RIGHT 0
#define WR_STREAM_SKEWED 127
#define WR_STREAM_MARKS 126 /* those between them */
/* A change that found no room is tried again so soon. */
#define WR_CHANGE_RETRY_NS (100 * WR_NS_PER_MS)
/* Event times beyond 146 years around 1970 are no times. */
#define WR_EVENT_SANE_NS (INT64_MAX / 2)

struct wr_cell {
    int64_t closed_until_ns; /* end of the latest window that was closed */
    uint32_t newest;
    uint32_t oldest; /* WR_SLAB_NONE with newest; of a change window unused */
    uint32_t late;
    uint32_t next; /* cell of the next window of this stream */
};

struct wr_stream {
    int64_t max_event_ns; /* the watermark is this minus lateness */
    int64_t close_event_ns;
    struct wr_cell cell;
    struct wr_wheel_node timer;
    uint32_t next;    /* stream of another source of the series */
    uint32_t windows; /* at the index of a series: one bit for each window that takes it; elsewhere the series id */
    unsigned source : 16;
    unsigned type : 3;   /* enum wr_type; WR_TYPE_NONE: there is no stream here yet */
    unsigned behind : 6; /* since when all readings were late: arrival in units of 17 s, 0: not */
    unsigned pace : 7;   /* WR_STREAM_..., or else a run is under way, last looked at in the second of this mark: engine->paces holds it */
};

_Static_assert(sizeof(struct wr_stream) == 64, "a stream is a cache line");

struct wr_engine_account {
    uint64_t taken;
    uint64_t bad;
    uint64_t late;
    uint64_t widened;
    uint64_t dropped_late;
    uint64_t dropped_memory;
    uint64_t dropped_unwanted;
};

struct wr_engine {
    struct wr_series_table *series_table;
    struct wr_evaluator *evaluator;
    const struct wr_window_spec *windows;
    uint32_t n_windows;
    uint32_t n_sources;
    uint32_t max_series;
    uint32_t extra_base; /* streams from here on are not the first of their series */
    uint32_t extra_used;
    uint32_t first_end; /* streams of series stand below this */
    uint32_t attached;  /* series known to the evaluator */
    uint32_t changes;   /* windows that forward changes, one bit each */
    uint32_t keeps;     /* windows that keep raw readings */
    bool widens;        /* a new window is as long as longer_ns */
    uint32_t flush_at;  /* next stream to flush */
    int64_t every_ns[WR_WINDOWS_MAX];
    int64_t longer_ns[WR_WINDOWS_MAX]; /* under pressure; 0: as it is */
    struct wr_slab streams;
    struct wr_slab cells;
    struct wr_slab states;
    struct wr_slab paces; /* of odd streams; a sparse array beside the streams */
    struct wr_pace_clock clock;
    int64_t old_max_ns; /* the highest bound of what is old, of all streams that were judged */
    struct wr_wheel wheel;
    struct wr_engine_account *accounts; /* [source * (n_windows + 2) + window] */
    uint32_t *account_ids;              /* the same, as in the ledger */
    struct wr_engine_stats stats;
};

/* -- look-ups ------------------------------------------------------------------------------------------------------------------------- */

static inline struct wr_stream *wr_stream_at(const struct wr_engine *engine, uint32_t index) {
    return (struct wr_stream *)engine->streams.chunks[index >> WR_SLAB_SHIFT] + (index & (WR_SLAB_CHUNK - 1));
}
static inline struct wr_window_state *wr_state_at(const struct wr_engine *engine, uint32_t index) {
    return (struct wr_window_state *)engine->states.chunks[index >> WR_SLAB_SHIFT] + (index & (WR_SLAB_CHUNK - 1));
}
static inline struct wr_cell *wr_cell_at(const struct wr_engine *engine, uint32_t index) {
    return (struct wr_cell *)engine->cells.chunks[index >> WR_SLAB_SHIFT] + (index & (WR_SLAB_CHUNK - 1));
}
static inline uint32_t wr_stream_series(const struct wr_engine *engine, uint32_t index) {
    return index < engine->extra_base ? index : wr_stream_at(engine, index)->windows;
}
static inline uint32_t wr_stream_windows(const struct wr_engine *engine, uint32_t index) {
    return wr_stream_at(engine, wr_stream_series(engine, index))->windows;
}
static inline struct wr_engine_account *wr_engine_account(const struct wr_engine *engine, uint32_t source, uint32_t window) {
    return &engine->accounts[source * (engine->n_windows + 2) + window];
}

/* Walks the cells of a stream with their windows. */
struct wr_cell_walk {
    struct wr_cell *cell; /* NULL at the end */
    uint32_t window;
    uint32_t left;
};
static inline struct wr_cell_walk wr_cell_walk(struct wr_stream *stream, uint32_t windows) {
    if (!windows)
        return (struct wr_cell_walk){.cell = NULL};
    return (struct wr_cell_walk){.cell = &stream->cell, .window = (uint32_t)__builtin_ctz(windows), .left = windows & (windows - 1)};
}
static inline void wr_cell_walk_next(const struct wr_engine *engine, struct wr_cell_walk *walk) {
    if (!walk->left) {
        walk->cell = NULL;
        return;
    }
    walk->cell = wr_cell_at(engine, walk->cell->next);
    walk->window = (uint32_t)__builtin_ctz(walk->left);
    walk->left &= walk->left - 1;
}

static inline bool wr_cell_is_change(const struct wr_engine *engine, const struct wr_cell_walk *at) {
    return (engine->changes >> at->window & 1) != 0;
}
/* Where the span of a window state ends: S3. */
static inline int64_t wr_state_end(const struct wr_engine *engine, uint32_t window, const struct wr_window_state *state) {
    return state->start_ns + (int64_t)state->length * engine->every_ns[window];
}

/* The longest span in units of every, so that S3 never overflows. */
static inline uint64_t wr_state_longest(int64_t every_ns) {
    uint64_t longest = (uint64_t)WR_EVENT_SANE_NS / (uint64_t)every_ns;
    return longest < UINT32_MAX ? longest : UINT32_MAX;
}

/* Walks all streams: moves *index to the first at or after it; false at the end. */
static inline bool wr_stream_walk(const struct wr_engine *engine, uint32_t *index) {
    for (;; (*index)++) {
        if (*index >= engine->first_end && *index < engine->extra_base)
            *index = engine->extra_base;
        if (*index >= engine->extra_base + engine->extra_used)
            return false;
        if (engine->streams.chunks[*index >> WR_SLAB_SHIFT] && wr_stream_at(engine, *index)->type != WR_TYPE_NONE)
            return true;
    }
}

/* What a step works with. handover is NULL when there is no room: also one that was full when the step began counts as none. */
struct wr_step {
    struct wr_engine *engine;
    struct wr_handover *handover;
    int64_t boot_ns;
    uint64_t tick;
};

static inline bool wr_step_is_full(const struct wr_step *step) {
    return step->handover && step->handover->n == WR_HANDOVER_AGGREGATES;
}

struct wr_step wr_step_begin(struct wr_engine *engine, const struct wr_now *now, const struct wr_engine_out *out);

/* -- engine_time.c: what the stamps of a batch mean ----------------------------------------------------------------------------------- */

struct wr_arrival {
    int64_t boot_ns;
    int64_t wall_ns;
    int64_t earliest_event_ns; /* stamps from here on, span_ns long, are right: see wr_arrival_is_plain */
    uint64_t span_ns;
    int64_t latest_event_ns; /* beyond it a stamp is from the future */
    bool trusted;            /* the wall clock */
    bool recorded;
    uint64_t surely_old; /* stamps so little above -WR_EVENT_SANE_NS are old for every series: see wr_arrival_is_known_old */
    uint8_t second;      /* a mark of the second of boot time, 1 to WR_STREAM_MARKS */
};

/* What was found out about one reading; settled once it is taken. */
struct wr_stamp {
    struct wr_pace pace;
    bool judged; /* the pace of its stream has moved on */
    bool clamped;
    bool moved;
    bool historic;
    int64_t old_ns; /* judged by this bound */
};

struct wr_arrival wr_arrival_of(struct wr_engine *engine, const struct wr_batch *batch);

/* The stamp needs no further look. */
static inline bool wr_arrival_is_plain(const struct wr_arrival *arrival, const struct wr_stream *stream, int64_t event_ns) {
    return (uint64_t)event_ns - (uint64_t)arrival->earliest_event_ns <= arrival->span_ns && stream->pace == WR_STREAM_RIGHT;
}
/* Old, of a stream of which a reading was judged in this second: another one tells nothing new. Memory that is dumped comes by the thousand. */
static inline bool wr_arrival_is_known_old(const struct wr_arrival *arrival, const struct wr_stream *stream, int64_t event_ns) {
    return (uint64_t)event_ns + (uint64_t)WR_EVENT_SANE_NS < arrival->surely_old && stream->pace == arrival->second;
}
/* Fixes event time, quality and flags of a reading whose stamp is not plain. index WR_SLAB_NONE: there is no stream. Changes nothing else. */
void wr_engine_fix_time(const struct wr_engine *engine, const struct wr_arrival *arrival, uint32_t index, struct wr_reading *reading,
                        struct wr_stamp *ret_stamp);
/* The reading was taken: counts, and keeps the pace. */
void wr_engine_settle_time(struct wr_engine *engine, const struct wr_arrival *arrival, uint32_t index, const struct wr_stamp *stamp);
/* The event is older than the newest of its stream. True: too old for the rules. May start the watermark over, when it cannot be right. */
bool wr_engine_is_late(struct wr_engine *engine, const struct wr_arrival *arrival, uint32_t index, int64_t event_ns);

/* -- stream.c: streams and their watermarks ------------------------------------------------------------------------------------------- */

/* The stream of (series, source), made if it is new. WR_SLAB_NONE: no memory, or the ceiling is reached. */
uint32_t wr_stream_find(struct wr_engine *engine, uint32_t series, uint32_t source, enum wr_type type);
/* Which windows take a series: one bit each. */
uint32_t wr_stream_match(const struct wr_engine *engine, uint32_t series);
/* Lateness of a window for a series: the point's, or the window's own. */
int64_t wr_stream_lateness(const struct wr_engine *engine, uint32_t series, uint32_t window);
/* How far behind the watermark rules still take a reading: the point's, or the longest of the series' windows, or the default. */
int64_t wr_stream_rule_lateness(const struct wr_engine *engine, uint32_t series, uint32_t windows);
/* Computes close_event_ns anew (E2). */
void wr_stream_set_close_event(struct wr_engine *engine, uint32_t index);
/* Sets the timer to the first `due` of all its states (E3). */
void wr_stream_set_timer(struct wr_step *step, uint32_t index);
/* Sets the timer earlier if `due` comes before it. */
void wr_stream_want_timer(struct wr_step *step, uint32_t index, uint32_t due);
/* The watermark was wrong: it starts over at event_ns. Open windows stay open until their boot time. */
void wr_stream_rewind(struct wr_engine *engine, uint32_t index, int64_t event_ns);

/* -- window.c: readings into states --------------------------------------------------------------------------------------------------- */

/* Puts a reading into the window of a cell when it is not simply the newest: finds or makes its state, or that for late readings. */
void wr_window_put(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, const struct wr_reading *reading,
                   int64_t arrival_boot_ns);
/* Counts a reading whose stream could not be made. */
void wr_window_drop(struct wr_engine *engine, uint32_t source, const struct wr_reading *reading);

/* -- window_close.c: states into aggregates ------------------------------------------------------------------------------------------- */

/* Writes a state to the handover, which has room; the state is not freed. */
void wr_window_emit(struct wr_step *step, uint32_t index, uint32_t window, const struct wr_window_state *state, uint8_t more_flags);
/* Closes what event_ns makes due; false: the handover is full now, call again. */
bool wr_window_close_by_event(struct wr_step *step, uint32_t index, int64_t event_ns);
/* Closes what is due by boot time, at most *budget states; then sets the timer. False: the handover is full now. */
bool wr_window_close_by_time(struct wr_step *step, uint32_t index, uint32_t *budget);
/* Writes all states of a stream as partials; false: the handover is full. */
bool wr_window_flush(struct wr_step *step, uint32_t index);

/* -- window_change.c: forward: changes ------------------------------------------------------------------------------------------------ */

void wr_change_put(struct wr_step *step, uint32_t index, const struct wr_cell_walk *at, const struct wr_reading *reading,
                   int64_t arrival_boot_ns);
/* Tries to write a change that found no room before. */
void wr_change_retry(struct wr_step *step, uint32_t index, uint32_t window, struct wr_window_state *state);
/* Writes the tail, the unchanged readings since the last change; needs room. */
void wr_change_flush(struct wr_step *step, uint32_t index, uint32_t window, struct wr_window_state *state);

#endif
