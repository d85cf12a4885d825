/* Windows: tumbling, by event time, per (series, window, source): what a reading is condensed into.
 *
 * Promise: every reading goes into exactly one state of each window that selects its series, or is counted where it was dropped. A window
 * closes by watermark (highest event time of the series and source minus lateness) or by boot time, whichever comes first, so a series
 * that falls silent still closes. A late reading makes a late partial aggregate. Nothing is handed over by force: an aggregate for which
 * there is no room stays open for another interval (widened). `forward: changes` emits a change at once.
 * State per open window is at most 128 bytes, from one pool with a fixed ceiling; beyond it readings are dropped(memory) and counted.
 *
 * Threads: the engine's only. Pure: time is an argument. Units: ns; window starts are multiples of `every` since 1970 in wall time.
 */
#ifndef WEIR_RULES_WINDOW_H
#define WEIR_RULES_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/handover.h"
#include "core/ledger.h"
#include "core/result.h"
#include "core/series.h"
#include "rules/selector.h"

enum wr_window_forward { WR_FORWARD_WINDOWS, WR_FORWARD_CHANGES };

#define WR_WINDOWS_MAX 32

struct wr_window_spec {
    char name[WR_LEDGER_NAME_BYTES];
    enum wr_window_forward forward;
    int64_t every_ns;    /* windows only */
    int64_t lateness_ns; /* default 5 s; a point overrides */
    struct wr_selector of;
};

#endif
