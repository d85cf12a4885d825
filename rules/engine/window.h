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
#ifndef WEIR_RULES_ENGINE_WINDOW_H
#define WEIR_RULES_ENGINE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/handover.h"
#include "core/ledger.h"
#include "core/result.h"
#include "core/series.h"
#include "rules/language/selector.h"

enum wr_window_forward { WR_FORWARD_WINDOWS, WR_FORWARD_CHANGES };

#define WR_WINDOWS_MAX 32
#define WR_WINDOW_EVERY_MIN_NS WR_NS_PER_MS
#define WR_WINDOW_EVERY_MAX_NS (WR_NS_PER_S * 7 * 24 * 3600)
#define WR_WINDOW_LATENESS_NS (5 * WR_NS_PER_S)                        /* the default */
#define WR_WINDOW_LATENESS_MAX_NS (WR_NS_PER_S * 7 * 24 * 3600)
#define WR_WINDOW_CLAMP_NS (5 * WR_NS_PER_S)                           /* an event time further ahead of the arrival becomes the arrival */
#define WR_WINDOW_STATE_BYTES 128                                      /* upper bound of the state of one open window */

struct wr_window_spec {
    char name[WR_LEDGER_NAME_BYTES];
    enum wr_window_forward forward;
    int64_t every_ns;    /* windows only; EVERY_MIN .. EVERY_MAX */
    int64_t lateness_ns; /* 0 .. LATENESS_MAX; a point overrides */
    int64_t keep_ns;     /* how long the readings themselves are kept; 0: they are not */
    struct wr_selector of;
};

#endif
