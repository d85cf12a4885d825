#include "rules/language/schedule.h"

#include <stdlib.h>

#include "core/calendar.h"
#include "core/clock.h"
#include "core/timezone.h"

/* Days beside a moment's own that are looked at: a span may have begun the day before, and clocks may show a day that is over, or not yet. */
#define DAYS_BEFORE 2
#define DAYS_AFTER 1
#define AHEAD_S (WR_SCHEDULE_AHEAD_NS / WR_NS_PER_S)
#define AHEAD_DAYS ((int)(AHEAD_S / WR_CALENDAR_DAY_S))
#define INTERVALS (WR_SCHEDULE_SPANS * (DAYS_BEFORE + 1 + AHEAD_DAYS + DAYS_AFTER))

/* One time that a span is on: from its first second to before its last. */
struct interval {
    int64_t from_s;
    int64_t to_s;
};

static int32_t month_and_day(int64_t day) {
    const int year = wr_calendar_year(day);
    int month = 12;
    while (day < wr_calendar_days(year, month, 1))
        month--;
    return month * 32 + (int32_t)(day - wr_calendar_days(year, month, 1)) + 1;
}

static bool holds(const struct wr_schedule_dates *dates, uint32_t n, int64_t day, int32_t yearly) {
    for (uint32_t i = 0; i < n; i++) {
        const int64_t at = dates[i].yearly ? yearly : day;
        const bool turned = dates[i].first > dates[i].last; /* over New Year */
        if (turned ? at >= dates[i].first || at <= dates[i].last : at >= dates[i].first && at <= dates[i].last)
            return true;
    }
    return false;
}

static bool begins_on(const struct wr_schedule_span *span, int64_t day) {
    const int weekday = (wr_calendar_weekday(day) + 6) % 7; /* from Monday */
    const bool listed = span->weekdays >> weekday & 1;
    if (span->n_dates == 0 && span->n_except == 0)
        return listed;
    const int32_t yearly = month_and_day(day);
    return (listed || holds(span->dates, span->n_dates, day, yearly)) && !holds(span->except, span->n_except, day, yearly);
}

static struct interval interval_of(const struct wr_schedule_span *span, int64_t day) {
    const int64_t end_day = span->to_s > span->from_s ? day : day + 1;
    return (struct interval){wr_timezone_reaches(span->zone, day * WR_CALENDAR_DAY_S + span->from_s),
                             wr_timezone_reaches(span->zone, end_day * WR_CALENDAR_DAY_S + span->to_s)};
}

static int64_t local_day(const struct wr_schedule_span *span, int64_t utc_s) {
    return wr_calendar_floor(utc_s + wr_timezone_offset(span->zone, utc_s), WR_CALENDAR_DAY_S);
}

bool wr_schedule_active(const struct wr_schedule *schedule, int64_t wall_ns) {
    const int64_t utc_s = wr_calendar_floor(wall_ns, WR_NS_PER_S);
    for (uint32_t i = 0; i < schedule->n_spans; i++) {
        const struct wr_schedule_span *span = &schedule->spans[i];
        const int64_t today = local_day(span, utc_s);
        for (int64_t day = today - DAYS_BEFORE; day <= today + DAYS_AFTER; day++) {
            if (!begins_on(span, day))
                continue;
            const struct interval interval = interval_of(span, day);
            if (utc_s >= interval.from_s && utc_s < interval.to_s)
                return true;
        }
    }
    return false;
}

static int by_begin(const void *a, const void *b) {
    const struct interval *left = a;
    const struct interval *right = b;
    return (left->from_s > right->from_s) - (left->from_s < right->from_s);
}

/* All intervals that may matter from utc_s to AHEAD_S later, by their beginning. */
static int collect(const struct wr_schedule *schedule, int64_t utc_s, struct interval intervals[static INTERVALS]) {
    int n = 0;
    for (uint32_t i = 0; i < schedule->n_spans; i++) {
        const struct wr_schedule_span *span = &schedule->spans[i];
        const int64_t today = local_day(span, utc_s);
        for (int64_t day = today - DAYS_BEFORE; day <= today + AHEAD_DAYS + DAYS_AFTER; day++) {
            if (!begins_on(span, day))
                continue;
            const struct interval interval = interval_of(span, day);
            if (interval.from_s < interval.to_s && interval.to_s > utc_s)
                intervals[n++] = interval;
        }
    }
    if (n > 1)
        qsort(intervals, (size_t)n, sizeof intervals[0], by_begin);
    return n;
}

int64_t wr_schedule_next_edge(const struct wr_schedule *schedule, int64_t wall_ns) {
    struct interval intervals[INTERVALS];
    const int64_t utc_s = wr_calendar_floor(wall_ns, WR_NS_PER_S);
    const int64_t limit_ns = wr_clock_add_ns(wall_ns, WR_SCHEDULE_AHEAD_NS);
    const int n = collect(schedule, utc_s, intervals);
    if (n == 0)
        return limit_ns;
    int64_t edge_s = intervals[0].from_s;
    if (edge_s <= utc_s) { /* it is on: until no interval goes on where the last one ends */
        edge_s = utc_s;
        for (int i = 0; i < n && intervals[i].from_s <= edge_s; i++)
            if (intervals[i].to_s > edge_s)
                edge_s = intervals[i].to_s;
    }
    return edge_s > wr_calendar_floor(limit_ns, WR_NS_PER_S) ? limit_ns : edge_s * WR_NS_PER_S;
}

const struct wr_schedule_answer *wr_schedule_ask(const struct wr_schedule *schedule, int64_t wall_ns, struct wr_schedule_answer *kept) {
    if (wall_ns < kept->from_ns || wall_ns >= kept->edge_ns)
        *kept = (struct wr_schedule_answer){wall_ns, wr_schedule_next_edge(schedule, wall_ns), wr_schedule_active(schedule, wall_ns)};
    return kept;
}
