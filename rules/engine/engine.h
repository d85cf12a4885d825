/* The engine: the step function that takes batches of readings and the time, and returns alarms and aggregates.
 *
 * It fixes the time of each reading (arrival, clamp of future stamps, clocks that are off, old data, lateness), lets the rules see it, and puts it into its windows. It
 * never waits, locks, logs or reads a clock: agent/loops/engine_loop.c does that around it.
 *
 * Promise: readings of one source are taken in order. Counts are exact: every reading of a batch is in exactly one place of the ledger of
 * each account that wants it. `open` is counted by walking the state (wr_engine_count_open), in slices.
 * Threads: the engine's thread only. Ownership: takes over the evaluator it is given; batches and handovers stay the caller's.
 * Limits: max_series, max_windows_open; memory is allocated in chunks up to the ceiling that wr_engine_bytes tells.
 */
#ifndef WEIR_RULES_ENGINE_ENGINE_H
#define WEIR_RULES_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/clock.h"
#include "core/handover.h"
#include "core/kept.h"
#include "core/ledger.h"
#include "core/lengths.h"
#include "core/result.h"
#include "core/series.h"
#include "core/symbol.h"
#include "rules/engine/window.h"
#include "rules/evaluator/evaluator.h"

struct wr_engine;

struct wr_engine_options {
    struct wr_series_table *series;
    struct wr_symbol_table *symbols;
    uint32_t max_series;
    uint32_t
        max_open_windows; /* states in all; 0: enough for every series in every window, for lateness / every + 2 at once (at most 16) */
    uint32_t n_sources;   /* indexes of batches are below this */
    const struct wr_window_spec *windows; /* must outlive the engine */
    uint32_t n_windows;
    /* What windows are told apart by, also from those of former configurations; NULL, or too many of them: from each other only. */
    const struct wr_lengths *lengths;
    /* account of (source, window): accounts[source * (n_windows + 2) + window]; window n_windows is "none", n_windows + 1 is "intake". */
    const uint32_t *accounts;
    struct wr_evaluator *evaluator; /* may be NULL: no rules */
};

/* What the rules were shown, as they were shown it: with its time fixed, and before a rule found it bad. For who shows it to other rules, too. */
struct wr_engine_tap {
    uint32_t n;
    struct wr_reading readings[WR_BATCH_READINGS];
};

/* What a step may fill. handover NULL: the store takes nothing now; one that is full already when the step begins says the same. */
struct wr_engine_out {
    struct wr_alarm_out alarms;
    struct wr_handover *handover;
    /* Readings of windows that keep them, with times and qualities as the windows saw them (arrivals: WR_KEPT_ARRIVAL_NS). NULL or full: they go unkept. */
    struct wr_kept *kept;
    struct wr_engine_tap *tap; /* filled by wr_engine_take alone, emptied by its caller before each; NULL: nobody wants it */
};

WR_MUST_USE enum wr_result wr_engine_new(const struct wr_engine_options *options, struct wr_engine **ret_engine, struct wr_error *err);
void wr_engine_free(struct wr_engine *engine);

/* Takes readings from batch, starting at `from`; returns how many were taken: fewer than the rest when alarms in out need to be emptied
 * first, or when the handover has become full: replace it, or set it to NULL, and go on. With the same full one the step goes on too, and
 * holds its windows open. Nothing of the reading at which it stopped was counted or shown to the rules.
 * The type of a reading is the source's to check; one that cannot be converted here is booked in "none", as unwanted, and counted in stats. */
uint32_t wr_engine_take(struct wr_engine *engine, struct wr_batch *batch, uint32_t from, const struct wr_now *now,
                        struct wr_engine_out *out);

/* Runs rule timers that are due, then closes windows that are, at most `budget` of each; true: more are due (call again, after a batch from
 * each source). A handover that becomes full makes it stop; without room due windows are widened. Windows close at most about a
 * millisecond after their time, never before. */
bool wr_engine_timers(struct wr_engine *engine, const struct wr_now *now, uint32_t budget, struct wr_engine_out *out);
/* Boot time at which wr_engine_timers has something to do (perhaps only to sort its timers); WR_NEVER_NS. */
int64_t wr_engine_next_timer(const struct wr_engine *engine);

/* From now on windows that open are longer than configured (core/lengths.h), on the grid of that length, and are marked as widened; false: as they
 * are configured. Those that are open stay as they are. For a store that fills up. */
void wr_engine_widen(struct wr_engine *engine, bool widens);

/* Clean stop, or reload of windows: writes open windows as partials into the handover; true: more to come, with another handover. The
 * engine may go on afterwards: what comes then for the same windows makes further partials. */
bool wr_engine_flush(struct wr_engine *engine, const struct wr_now *now, struct wr_engine_out *out);

/* Appends the cumulative counts of all accounts, consistent with what was handed over up to now including handover. */
void wr_engine_counts(const struct wr_engine *engine, struct wr_handover *handover);
uint32_t wr_engine_max_counts(uint32_t n_sources, uint32_t n_windows);
/* Readings that never came to the engine are counted into the intake of their source by its caller. */

/* Walks the state: open readings per account, added to open[account]. *cursor starts at 0; true: call again. Between the slices of one walk
 * readings may arrive: the caller stops taking batches, or accepts that. */
bool wr_engine_count_open(const struct wr_engine *engine, uint64_t *cursor, uint32_t budget, uint64_t *open);

/* Shows a reading to the rules alone: no window takes it, no account counts it. For what the agent says about itself. WR_FULL: alarms is full, nothing was
 * done; empty it and call again. WR_NO_MEMORY: the series is new, and there is no memory for its rules. */
WR_MUST_USE enum wr_result wr_engine_tell(struct wr_engine *engine, struct wr_reading *reading, const struct wr_now *now,
                                          struct wr_alarm_out *alarms);

struct wr_evaluator *wr_engine_evaluator(struct wr_engine *engine);
/* Replaces the evaluator (reload); returns the old one, which the caller frees. With the next reading wr_evaluator_attach is called for all
 * series: a caller that must not wait calls it before, in slices. */
struct wr_evaluator *wr_engine_swap_evaluator(struct wr_engine *engine, struct wr_evaluator *evaluator);

struct wr_engine_stats {
    uint64_t taken;
    uint64_t clamped;  /* a stamp from the future, or none that can be: replaced by the arrival */
    uint64_t historic; /* old data: rules see it as such */
    uint64_t moved;    /* readings of skewed streams: their stamps were moved */
    uint64_t late;     /* a reading counts once for each window that had it late */
    uint64_t bad;
    uint64_t type_refused;
    uint64_t aggregates;
    uint64_t widened; /* readings in windows that were longer than configured */
    uint64_t unkept;  /* that a window would keep, and no room was for */
    uint32_t open_windows;
    uint32_t streams;       /* (series, source) pairs */
    uint32_t skewed;        /* streams of devices whose clocks are off: rules/engine/pace.h */
    uint32_t skewed_series; /* the last that was found to be; WR_SERIES_NONE: none yet */
    int64_t skew_ns;        /* by how much its clock was behind; negative: ahead */
    size_t bytes;
};
void wr_engine_stats(const struct wr_engine *engine, struct wr_engine_stats *ret_stats);

/* The memory ceiling for these options, evaluator not counted. */
size_t wr_engine_bytes(const struct wr_engine_options *options);

#endif
