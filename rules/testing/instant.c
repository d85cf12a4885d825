#include "rules/testing/instant.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "core/calendar.h"
#include "core/clock.h"

struct cursor {
    const char *at;
    const char *end;
};

static bool digits(struct cursor *cursor, int n, int low, int high, int *ret) {
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (cursor->at == cursor->end || !isdigit((unsigned char)*cursor->at))
            return false;
        value = value * 10 + (*cursor->at++ - '0');
    }
    *ret = value;
    return value >= low && value <= high;
}

static bool letter(struct cursor *cursor, const char *any) {
    if (cursor->at == cursor->end || *cursor->at == '\0' || !strchr(any, *cursor->at))
        return false;
    cursor->at++;
    return true;
}

/* .5: up to nine digits count. */
static int64_t fraction_ns(struct cursor *cursor) {
    int64_t ns = 0;
    int64_t unit = WR_NS_PER_S;
    while (cursor->at < cursor->end && isdigit((unsigned char)*cursor->at)) {
        unit /= 10;
        ns += unit * (*cursor->at++ - '0');
    }
    return ns;
}

static bool zone(struct cursor *cursor, int *ret_offset_s) {
    *ret_offset_s = 0;
    if (cursor->at == cursor->end || letter(cursor, "Zz"))
        return true;
    const bool west = *cursor->at == '-';
    int hour;
    int minute;
    if (!letter(cursor, "+-") || !digits(cursor, 2, 0, 23, &hour) || !letter(cursor, ":") || !digits(cursor, 2, 0, 59, &minute))
        return false;
    *ret_offset_s = (west ? -1 : 1) * (hour * 3600 + minute * 60);
    return true;
}

enum wr_result wr_instant_parse(const char *text, size_t len, int64_t *ret_wall_ns, struct wr_error *err) {
    struct cursor cursor = {text, text + len};
    int year, month, day, hour = 0, minute = 0, second = 0, offset_s = 0;
    int64_t ns = 0;
    bool good = digits(&cursor, 4, 1970, 2200, &year) && letter(&cursor, "-") && digits(&cursor, 2, 1, 12, &month) &&
                letter(&cursor, "-") && digits(&cursor, 2, 1, 31, &day) && day <= wr_calendar_days_in_month(year, month);
    if (good && letter(&cursor, "Tt ")) {
        good = digits(&cursor, 2, 0, 23, &hour) && letter(&cursor, ":") && digits(&cursor, 2, 0, 59, &minute);
        if (good && letter(&cursor, ":"))
            good = digits(&cursor, 2, 0, 59, &second);
        if (good && letter(&cursor, "."))
            ns = fraction_ns(&cursor);
        good = good && zone(&cursor, &offset_s);
    }
    if (!good || cursor.at != cursor.end) {
        char shown[48];
        return wr_error_set(err, WR_INVALID, "'%s' is no time: write it as 2026-03-02T08:00:00Z",
                            wr_error_escape(shown, sizeof shown, text, len));
    }
    const int64_t s = wr_calendar_days(year, month, day) * WR_CALENDAR_DAY_S + hour * 3600 + minute * 60 + second - offset_s;
    *ret_wall_ns = s * WR_NS_PER_S + ns;
    return WR_OK;
}
