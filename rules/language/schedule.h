/* Schedules: named spans of local time, as in "closed: Monday to Friday from 20:00 to 06:00 in Riga".
 *
 * A schedule is one or more spans, which add up. A span begins at `from` on each of its days and ends at the next `to`: on the same day, or on the next one
 * where `to` is not later than `from`. So with days mon-fri, from 20:00, to 06:00 the night from Friday to Saturday belongs to it, that from Sunday to
 * Monday does not. A day belongs to a span if its weekday or its date is listed, and its date is not excepted.
 *
 * Clocks that are set on or back: a time of day means the first moment at which the clock on the wall shows that time or a later one. So a time that is
 * skipped is the moment of the skip, one that comes twice is the first of the two, and of two spans that meet on paper one ends exactly where the
 * other begins, on every day of the year.
 *
 * Threads: immutable once made, so any. Ownership: plain values; what they point to lives as long as they, in the rule set.
 * Limits: WR_SCHEDULE_SPANS spans, WR_SCHEDULE_DATES ranges of dates a span. Units: wall time in ns since 1970.
 */
#ifndef WEIR_RULES_LANGUAGE_SCHEDULE_H
#define WEIR_RULES_LANGUAGE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_SCHEDULE_SPANS 32
#define WR_SCHEDULE_DATES 64
#define WR_SCHEDULE_AHEAD_NS (INT64_C(8) * 86400 * 1000000000)

struct wr_timezone; /* core/timezone.h */

/* Days without a time, as many as a calendar has: from first to last, both included. */
struct wr_schedule_dates {
    int32_t first; /* yearly: month * 32 + day, and last may be below first (over New Year); else days since 1970-01-01 */
    int32_t last;
    bool yearly;
};

struct wr_schedule_span {
    const struct wr_timezone *zone; /* NULL: UTC */
    uint8_t weekdays;               /* bit 0 Monday .. bit 6 Sunday */
    int32_t from_s;                 /* local time of day, 0 .. WR_CALENDAR_DAY_S - 1 */
    int32_t to_s;                   /* 0 .. WR_CALENDAR_DAY_S; at or below from_s: of the next day */
    uint32_t n_dates;
    const struct wr_schedule_dates *dates; /* days beside the weekdays */
    uint32_t n_except;
    const struct wr_schedule_dates *except; /* days that are none, whatever the others say */
};

struct wr_schedule {
    const char *name;
    uint32_t index; /* in the rule set's schedules */
    uint32_t n_spans;
    struct wr_schedule_span spans[WR_SCHEDULE_SPANS];
};

bool wr_schedule_active(const struct wr_schedule *schedule, int64_t wall_ns);

/* The next moment after wall_ns at which it begins or ends. Without one in the next eight days: the end of those, to ask again; so never later than
 * wall_ns + WR_SCHEDULE_AHEAD_NS. The caller's wall clock may be set in between: whoever waits for it on another clock looks again from time to time. */
int64_t wr_schedule_next_edge(const struct wr_schedule *schedule, int64_t wall_ns);

/* Both answers, kept until the next edge, so that a rule that is evaluated a thousand times a second looks into its calendar twice a day. All zero: none
 * yet. The caller's, one for each schedule; one thread at a time. */
struct wr_schedule_answer {
    int64_t from_ns; /* they hold from here to edge_ns */
    int64_t edge_ns;
    bool active;
};

/* Asks the schedule where what is kept says nothing of this moment. Returns kept. */
const struct wr_schedule_answer *wr_schedule_ask(const struct wr_schedule *schedule, int64_t wall_ns, struct wr_schedule_answer *kept);

#endif
