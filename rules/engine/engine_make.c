#include <stdlib.h>
#include <string.h>

#include "rules/engine/engine_private.h"

/* States in all, if the caller sets no ceiling: for each series and window that which is open, that which waits for late readings, and one
 * more for each `every` that lateness spans. */
#define STATES_PER_WINDOW_MAX 16

static uint32_t states_per_series(const struct wr_engine_options *options) {
    uint64_t states = 0;
    for (uint32_t i = 0; i < options->n_windows; i++) {
        const struct wr_window_spec *window = &options->windows[i];
        int64_t open = window->forward == WR_FORWARD_CHANGES ? 1 : 2 + window->lateness_ns / window->every_ns;
        states += (uint64_t)(open < STATES_PER_WINDOW_MAX ? open : STATES_PER_WINDOW_MAX);
    }
    return (uint32_t)states;
}

static uint32_t max_states(const struct wr_engine_options *options) {
    if (options->max_open_windows)
        return options->max_open_windows;
    uint64_t states = (uint64_t)options->max_series * states_per_series(options);
    return states < UINT32_MAX / 2 ? (uint32_t)states : UINT32_MAX / 2;
}

/* Streams of further sources begin in a chunk of their own. */
static uint32_t extra_base(const struct wr_engine_options *options) {
    return (options->max_series + WR_SLAB_CHUNK - 1) & ~(WR_SLAB_CHUNK - 1);
}
static uint32_t max_streams(const struct wr_engine_options *options) {
    return options->n_sources > 1 ? extra_base(options) + options->max_series : options->max_series;
}
static uint32_t max_cells(const struct wr_engine_options *options) {
    uint64_t cells = options->n_windows > 1 ? (uint64_t)max_streams(options) * (options->n_windows - 1) : 0;
    return cells < UINT32_MAX / 2 ? (uint32_t)cells : UINT32_MAX / 2;
}
static size_t n_accounts(const struct wr_engine_options *options) {
    return (size_t)options->n_sources * (options->n_windows + 2);
}

size_t wr_engine_bytes(const struct wr_engine_options *options) {
    return sizeof(struct wr_engine) + wr_slab_bytes(sizeof(struct wr_stream), max_streams(options)) +
           wr_slab_bytes(sizeof(struct wr_pace), max_streams(options)) + wr_slab_bytes(sizeof(struct wr_cell), max_cells(options)) +
           wr_slab_bytes(sizeof(struct wr_window_state), max_states(options)) +
           n_accounts(options) * (sizeof(struct wr_engine_account) + sizeof(uint32_t));
}

static enum wr_result check(const struct wr_engine_options *options, struct wr_error *err) {
    if (options->n_windows > WR_WINDOWS_MAX)
        return wr_error_set(err, WR_LIMIT, "%u windows: at most %d", options->n_windows, WR_WINDOWS_MAX);
    if (options->n_sources == 0 || options->n_sources > UINT16_MAX)
        return wr_error_set(err, WR_LIMIT, "%u sources: 1 to %d", options->n_sources, UINT16_MAX);
    if (options->max_series == 0 || options->max_series > UINT32_MAX / 4)
        return wr_error_set(err, WR_LIMIT, "max_series %u: 1 to %u", options->max_series, UINT32_MAX / 4);
    for (uint32_t i = 0; i < options->n_windows; i++) {
        const struct wr_window_spec *window = &options->windows[i];
        bool every_fits = window->every_ns >= WR_WINDOW_EVERY_MIN_NS && window->every_ns <= WR_WINDOW_EVERY_MAX_NS;
        if (window->forward == WR_FORWARD_WINDOWS && !every_fits)
            return wr_error_set(err, WR_INVALID, "window %s: every must be 1ms to 7d", window->name);
        if (window->lateness_ns < 0 || window->lateness_ns > WR_WINDOW_LATENESS_MAX_NS)
            return wr_error_set(err, WR_INVALID, "window %s: lateness must be 0 to 7d", window->name);
    }
    return WR_OK;
}

static enum wr_result make_memory(struct wr_engine *engine, const struct wr_engine_options *options) {
    WR_TRY(wr_slab_init(&engine->streams, sizeof(struct wr_stream), max_streams(options)));
    WR_TRY(wr_slab_init(&engine->paces, sizeof(struct wr_pace), max_streams(options)));
    WR_TRY(wr_slab_init(&engine->cells, sizeof(struct wr_cell), max_cells(options)));
    WR_TRY(wr_slab_init(&engine->states, sizeof(struct wr_window_state), max_states(options)));
    engine->accounts = calloc(n_accounts(options) + 1, sizeof *engine->accounts);
    engine->account_ids = calloc(n_accounts(options) + 1, sizeof *engine->account_ids);
    return engine->accounts && engine->account_ids ? WR_OK : WR_NO_MEMORY;
}

static void free_memory(struct wr_engine *engine) {
    wr_slab_fini(&engine->streams);
    wr_slab_fini(&engine->paces);
    wr_slab_fini(&engine->cells);
    wr_slab_fini(&engine->states);
    free(engine->accounts);
    free(engine->account_ids);
    free(engine);
}

/* How long they become under pressure. */
static void lengthen(struct wr_engine *engine, const struct wr_lengths *known) {
    struct wr_lengths lengths = {0};
    uint32_t number;
    if (known && !known->too_many) /* else the store merges nothing, and nobody has another idea of them */
        lengths = *known;
    for (uint32_t i = 0; i < engine->n_windows; i++)
        wr_lengths_add(&lengths, engine->every_ns[i]);
    for (uint32_t i = 0; i < engine->n_windows; i++)
        if (wr_lengths_find(&lengths, engine->every_ns[i], &number))
            engine->longer_ns[i] = lengths.longer_ns[number];
}

enum wr_result wr_engine_new(const struct wr_engine_options *options, struct wr_engine **ret_engine, struct wr_error *err) {
    WR_TRY(check(options, err));
    struct wr_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the engine");
    if (make_memory(engine, options) != WR_OK) {
        free_memory(engine);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the engine");
    }
    engine->series_table = options->series;
    engine->stats.skewed_series = WR_SERIES_NONE;
    engine->old_max_ns = WR_PACE_OLD_NS;
    engine->evaluator = options->evaluator;
    engine->windows = options->windows;
    engine->n_windows = options->n_windows;
    engine->n_sources = options->n_sources;
    engine->max_series = options->max_series;
    engine->extra_base = extra_base(options);
    for (uint32_t i = 0; i < options->n_windows; i++) {
        bool changes = options->windows[i].forward == WR_FORWARD_CHANGES;
        engine->every_ns[i] = changes ? 0 : options->windows[i].every_ns;
        engine->changes |= (uint32_t)changes << i;
        engine->keeps |= (uint32_t)(options->windows[i].keep_ns > 0) << i;
    }
    lengthen(engine, options->lengths);
    memcpy(engine->account_ids, options->accounts, n_accounts(options) * sizeof *engine->account_ids);
    wr_wheel_init(&engine->wheel, &engine->streams, offsetof(struct wr_stream, timer));
    *ret_engine = engine;
    return WR_OK;
}

void wr_engine_free(struct wr_engine *engine) {
    if (!engine)
        return;
    wr_evaluator_free(engine->evaluator);
    free_memory(engine);
}
