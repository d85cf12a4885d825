/* The pace of a stream: what a stamp that does not agree with the arrival means: a device whose clock is off, or old data.
 *
 * A stamp is as much behind its arrival as the device's clock is behind ours and the reading was under way (of both it can only be told how much they
 * are together). What agrees with the arrival is `right`: at most WR_WINDOW_CLAMP_NS ahead, and not old: at most `old` behind. Whatever else comes is judged
 * by its pace:
 *   steady   always the same amount, to WR_PACE_STEADY_NS: readings come as fast as they are stamped. The device is at work now and its clock is off: it
 *            is *skewed*. Steady is a run of five readings and five seconds, or of three readings and a minute, one after the other
 *   else     memory that is dumped comes faster than it was stamped, so each reading is less behind than the one before. It is *old data*
 * The stamps of a skewed stream are moved by its offset: they count as of their arrival, at the distances that the device gave them, with quality uncertain;
 * and what is old, is told by the moved stamp. It is skewed no more when its stamps are right again, to within WR_PACE_WELL_NS (so that one at the edge does not change
 * sides all the time, and the first right stamp is not late behind the moved ones); another offset must be steady before it is believed.
 *
 * Offsets are kept in boot time, so our own clock may be set: streams that were right are skewed from then on, or are right again, without a run.
 *
 * Threads: none; pure. Ownership: plain values; all zero is a stream whose stamps are right. Units: ns.
 */
#ifndef WEIR_RULES_ENGINE_PACE_H
#define WEIR_RULES_ENGINE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"

#define WR_PACE_OLD_NS (60 * WR_NS_PER_S)   /* or the lateness of the series, if that is longer */
#define WR_PACE_WELL_NS (5 * WR_NS_PER_S)   /* half of it ahead */
#define WR_PACE_STEADY_NS (2 * WR_NS_PER_S) /* how much the offsets of a run may differ from its first */
#define WR_PACE_READINGS 5
#define WR_PACE_SPAN_NS (5 * WR_NS_PER_S)
#define WR_PACE_FEW_READINGS 3
#define WR_PACE_FEW_SPAN_NS (60 * WR_NS_PER_S)
#define WR_PACE_STEP_NS WR_NS_PER_S             /* less is a clock that is slewed */
#define WR_PACE_STEP_AGE_NS (600 * WR_NS_PER_S) /* so long a stream may be silent, and a step of our clock still explains its offset */

struct wr_pace {
    int64_t offset_ns;     /* skewed: arrival in boot time minus stamp, of a reading that is live */
    int64_t run_offset_ns; /* of the first of the run */
    int64_t run_since_ns;  /* its arrival */
    uint32_t run_n;        /* 0: there is none */
    bool skewed;
};

/* Our own clock, over all streams. */
struct wr_pace_clock {
    int64_t wall_offset_ns;   /* wall = boot + offset, at the last arrival; meaningless while known is false */
    int64_t before_offset_ns; /* before it was set, at stepped_ns */
    int64_t after_offset_ns;
    int64_t stepped_ns;       /* boot */
    bool known;
    bool stepped;
};

/* Something arrived, with this offset of a trusted wall clock. */
void wr_pace_arrived(struct wr_pace_clock *clock, int64_t arrival_boot_ns, int64_t wall_offset_ns);

struct wr_pace_verdict {
    int64_t event_ns; /* the stamp, moved where it has to be */
    bool moved;       /* it is: quality uncertain */
    bool ahead;       /* clamped: from the future, and no offset is known */
    bool historic;    /* old data */
};

/* Judges a stamp that arrived at arrival_boot_ns, and moves the pace on. The wall clock must be trusted. old_ns: at least WR_PACE_OLD_NS. */
struct wr_pace_verdict wr_pace_judge(struct wr_pace *pace, const struct wr_pace_clock *clock, int64_t arrival_boot_ns, int64_t old_ns,
                                     int64_t event_ns);

/* Nothing unusual: a stamp that is right would change nothing. */
static inline bool wr_pace_is_idle(const struct wr_pace *pace) {
    return !pace->skewed && pace->run_n == 0;
}

#endif
