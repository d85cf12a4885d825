#include "core/timezone.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/calendar.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/timezone_private.h"

static bool is_utc(const char *name) {
    return !name || strcmp(name, "") == 0 || strcmp(name, "UTC") == 0 || strcmp(name, "GMT") == 0 || strcmp(name, "Z") == 0;
}

enum wr_result wr_timezone_open(const char *name, struct wr_timezone **ret_zone, struct wr_error *err) {
    if (is_utc(name)) {
        *ret_zone = NULL;
        return WR_OK;
    }
    if (!wr_timezone_name_valid(name))
        return wr_error_set(err, WR_INVALID, "not the name of a time zone (write UTC or Area/City)");
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", wr_timezone_directory(), name) >= sizeof path)
        return wr_error_set(err, WR_LIMIT, "the path of the time zones is too long");
    struct wr_buf bytes;
    wr_buf_init(&bytes, 0);
    enum wr_result result = wr_file_read(path, WR_TIMEZONE_FILE_BYTES, &bytes, err);
    if (result == WR_NOT_FOUND || result == WR_INVALID) { /* a directory is an area, not a zone */
        result = wr_timezone_not_found(name, err);
    } else if (result == WR_OK) {
        result = wr_timezone_parse(bytes.data, bytes.len, ret_zone, err);
        if (result != WR_OK && err)
            result = wr_error_wrap(err, "%s", path);
    }
    wr_buf_fini(&bytes);
    return result;
}

/* -- use ----------------------------------------------------------------------------------------------------------------------------- */

/* How many transitions are at or before a moment. */
static size_t passed(const struct wr_timezone *zone, int64_t utc_s) {
    size_t low = 0;
    size_t high = zone->n; /* those before low are passed, those from high on are not */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (zone->at_s[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t wr_timezone_offset(const struct wr_timezone *zone, int64_t utc_s) {
    if (!zone)
        return 0;
    const size_t n = passed(zone, utc_s);
    if (n == zone->n && zone->rule.exists)
        return wr_timezone_rule_offset(&zone->rule, utc_s);
    return zone->offset_s[n > 0 ? zone->type[n - 1] : 0];
}

struct wr_timezone_time wr_timezone_local(const struct wr_timezone *zone, int64_t wall_ns) {
    const int64_t utc_s = wr_calendar_floor(wall_ns, WR_NS_PER_S);
    const int64_t local_s = utc_s + wr_timezone_offset(zone, utc_s);
    const int64_t day = wr_calendar_floor(local_s, WR_CALENDAR_DAY_S);
    const int weekday = wr_calendar_weekday(day);
    return (struct wr_timezone_time){(int)((local_s - day * WR_CALENDAR_DAY_S) / 3600), weekday == 0 ? 7 : weekday};
}

int64_t wr_timezone_next_change(const struct wr_timezone *zone, int64_t utc_s) {
    if (!zone)
        return WR_TIMEZONE_NEVER_S;
    const size_t n = passed(zone, utc_s);
    if (n < zone->n)
        return zone->at_s[n];
    return zone->rule.exists ? wr_timezone_rule_next_change(&zone->rule, utc_s) : WR_TIMEZONE_NEVER_S;
}

int64_t wr_timezone_to_utc(const struct wr_timezone *zone, int64_t local_s) {
    if (!zone)
        return local_s;
    const int64_t before = local_s - wr_timezone_offset(zone, local_s - WR_CALENDAR_DAY_S);
    if (local_s - wr_timezone_offset(zone, before) == before)
        return before;
    const int64_t after = local_s - wr_timezone_offset(zone, local_s + WR_CALENDAR_DAY_S);
    if (local_s - wr_timezone_offset(zone, after) == after)
        return after;
    return before; /* skipped: counted from the clock as it was */
}

int64_t wr_timezone_reaches(const struct wr_timezone *zone, int64_t local_s) {
    if (!zone)
        return local_s;
    /* From a moment at which no clock of the world can show it yet, from one change to the next. */
    int64_t from = local_s - WR_TIMEZONE_OFFSET_MAX_S - 1;
    for (;;) {
        const int64_t here = local_s - wr_timezone_offset(zone, from);
        const int64_t reached = here > from ? here : from;
        const int64_t change = wr_timezone_next_change(zone, from);
        if (reached < change)
            return reached;
        from = change;
    }
}
