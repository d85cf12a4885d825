/* The figures of ISA-18.2 about the agent's own alarms, every ten seconds: as series that rules may read (weir.alarm_rate_10m ...), and as metrics.
 *
 * Measured in slices between two turns of the engine's loop, so that many alarms hold up no reading. A series exists only where a rule reads it, and goes to the
 * rules alone, not into windows.
 * Threads: the engine's; shown may be read by any. Ownership: a member of the loop; all zero at first.
 */
#ifndef WEIR_AGENT_LOOPS_ENGINE_FIGURES_H
#define WEIR_AGENT_LOOPS_ENGINE_FIGURES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/metrics.h"
#include "core/series.h"
#include "rules/alarms/alarm_kpi.h"
#include "rules/engine/engine.h"

#define WR_FIGURES_EVERY_NS (10 * WR_NS_PER_S)
#define WR_FIGURES_SLICE 512 /* records of alarms in one look */

enum wr_figure {
    WR_FIGURE_RATE_10M,
    WR_FIGURE_FLOOD_PCT,
    WR_FIGURE_STALE,
    WR_FIGURE_CHATTERING,
    WR_FIGURE_TOP10_SHARE,
    WR_FIGURE_MIX, /* four of them, by enum wr_severity */
    WR_FIGURE_UNACKED_MAX_AGE = WR_FIGURE_MIX + WR_KPI_SEVERITIES,
    WR_FIGURE_SHELVED,
    WR_FIGURE_SUPPRESSED,
    WR_FIGURE_OUT_OF_SERVICE,
    WR_FIGURES,
};

struct wr_engine_shadow;

struct wr_engine_figures {
    struct wr_series_table *table;   /* set by the agent before the start; NULL: no rule is told */
    struct wr_engine_shadow *shadow; /* is told, too; NULL: there is none */
    int64_t due_boot_ns;
    bool measuring;
    uint32_t cursor;
    struct wr_alarm_kpis kpis;
    uint32_t left; /* so many are still to be told, the last ones */
    double values[WR_FIGURES];
    _Atomic double shown[WR_FIGURES];
};

/* A turn of the loop. Transitions that come of it are in alarms. */
void wr_engine_figures_turn(struct wr_engine_figures *figures, struct wr_engine *engine, const struct wr_now *now,
                            struct wr_alarm_out *alarms);
WR_MUST_USE enum wr_result wr_engine_figures_metrics(struct wr_engine_figures *figures, struct wr_metrics *metrics, void *owner);

#endif
