/* The correction: what a wall clock that was wrong has stamped becomes what the right one would have said.
 *
 * A machine without a battery clock boots in 1970, or at whatever time was saved last, until somebody sets its clock. Boot time goes on evenly all
 * the while. So each time that this clock has stamped is off by the same amount, which is known once the clock is right.
 * Promise: only what the wrong clock can have stamped is moved: what lies between the first and the last time that it has shown. A device that stamps by a
 * clock of its own, which was right, keeps its times.
 *
 * Threads: none; pure. Units: wall times in ns.
 */
#ifndef WEIR_CORE_CORRECTION_H
#define WEIR_CORE_CORRECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/result.h"

/* How far the times of a segment can be relied on. */
enum wr_time_quality {
    WR_TIME_TRUSTED,   /* the clock could be trusted when it stamped */
    WR_TIME_CORRECTED, /* it could not, at least in part; the times are moved to the right clock */
    WR_TIME_UNTRUSTED, /* it could not, and what it was off by is not known */
};

struct wr_correction {
    int64_t from_ns; /* what the wrong clock showed first ... */
    int64_t to_ns;   /* ... and last */
    int64_t move_ns; /* to be added */
};

/* "trusted", "corrected", "untrusted". */
const char *wr_time_quality_name(enum wr_time_quality quality);
/* False: it is none of them. */
bool wr_time_quality_parse(const char *text, size_t len, enum wr_time_quality *ret_quality);

/* Moves *wall_ns, if the clock can have stamped it. True: it is moved. */
bool wr_correction_time(const struct wr_correction *correction, int64_t *wall_ns);
/* Moves the start of a window, whose readings may be as much as its length later. */
bool wr_correction_start(const struct wr_correction *correction, int64_t *start_ns, int64_t window_ns);
/* Appends the JSON object of an alarm or a gap with its times moved: the pairs of wr_json_time named event, time, until, from and to. The end of a shelving lies in the
 * future of the clock, and goes with the time in front of it. */
WR_MUST_USE enum wr_result wr_correction_json(const struct wr_correction *correction, const char *object, size_t len, struct wr_buf *into);

#endif
