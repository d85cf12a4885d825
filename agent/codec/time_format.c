#include "agent/codec/time_format.h"

#include <string.h>

#include "core/calendar.h"
#include "core/clock.h"

/* A stamp in parts, as far as they were read. */
struct parts {
    const char *p;
    const char *end;
    int year;
    int month;
    int day;
    int day_of_year; /* 0: none */
    int hour;
    int minute;
    int second;
    int32_t nanoseconds;
    int half; /* 0: none, 1 AM, 2 PM */
    bool has_offset;
    int32_t offset_s;
    bool has_epoch;
    int64_t epoch_s;
};

static bool take_char(struct parts *t, char c) {
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static bool is_digit(const struct parts *t) {
    return t->p < t->end && *t->p >= '0' && *t->p <= '9';
}

/* Between least and most digits, with a value in [low, high]. */
static bool take_int(struct parts *t, int least, int most, int low, int high, int *ret_value) {
    int value = 0;
    int n = 0;
    for (; n < most && is_digit(t); n++)
        value = value * 10 + (*t->p++ - '0');
    if (n < least || value < low || value > high)
        return false;
    *ret_value = value;
    return true;
}

/* Digits of a fraction; what is finer than a nanosecond is cut. */
static bool take_fraction(struct parts *t) {
    if (!is_digit(t))
        return false;
    int32_t value = 0;
    int n = 0;
    for (; is_digit(t); t->p++, n++)
        if (n < 9)
            value = value * 10 + (*t->p - '0');
    for (; n < 9; n++)
        value *= 10;
    t->nanoseconds = value;
    return true;
}

static bool take_seconds(struct parts *t, int least) {
    if (!take_int(t, least, 2, 0, 60, &t->second))
        return false;
    if (t->p < t->end && (*t->p == '.' || *t->p == ',')) {
        t->p++;
        return take_fraction(t);
    }
    return true;
}

/* Z, +hh, +hhmm, +hh:mm */
static bool take_offset(struct parts *t) {
    t->has_offset = true;
    if (take_char(t, 'Z') || take_char(t, 'z'))
        return true;
    const bool west = take_char(t, '-');
    int hours;
    int minutes = 0;
    if ((!west && !take_char(t, '+')) || !take_int(t, 2, 2, 0, 23, &hours))
        return false;
    if (take_char(t, ':') || is_digit(t))
        if (!take_int(t, 2, 2, 0, 59, &minutes))
            return false;
    t->offset_s = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
    return true;
}

static bool finish(const struct wr_time_format *format, const struct parts *t, int64_t *ret_ns) {
    int64_t seconds = t->epoch_s;
    if (!t->has_epoch) {
        int hour = t->hour;
        if (t->half != 0) {
            if (hour < 1 || hour > 12)
                return false;
            hour = hour % 12 + (t->half == 2 ? 12 : 0);
        }
        if (t->day_of_year == 0 && t->day > wr_calendar_days_in_month(t->year, t->month))
            return false;
        if (t->day_of_year > 365 + wr_calendar_leap(t->year))
            return false;
        const int64_t days =
            t->day_of_year > 0 ? wr_calendar_days(t->year, 1, 1) + t->day_of_year - 1 : wr_calendar_days(t->year, t->month, t->day);
        seconds = days * WR_CALENDAR_DAY_S + hour * INT64_C(3600) + t->minute * INT64_C(60) + t->second;
        seconds = t->has_offset ? seconds - t->offset_s : wr_timezone_to_utc(format->zone, seconds);
    }
    return !__builtin_mul_overflow(seconds, WR_NS_PER_S, ret_ns) && !__builtin_add_overflow(*ret_ns, (int64_t)t->nanoseconds, ret_ns);
}

static bool read_rfc3339(const struct wr_time_format *format, struct parts *t, int64_t *ret_ns) {
    if (!take_int(t, 4, 4, 0, 9999, &t->year) || !take_char(t, '-') || !take_int(t, 2, 2, 1, 12, &t->month) || !take_char(t, '-') ||
        !take_int(t, 2, 2, 1, 31, &t->day))
        return false;
    if (t->p < t->end) {
        if (!take_char(t, 'T') && !take_char(t, ' ') && !take_char(t, 't'))
            return false;
        if (!take_int(t, 2, 2, 0, 23, &t->hour) || !take_char(t, ':') || !take_int(t, 2, 2, 0, 59, &t->minute))
            return false;
        if (take_char(t, ':') && !take_seconds(t, 2))
            return false;
        if (t->p < t->end && *t->p == ' ')
            t->p++;
        if (t->p < t->end && !take_offset(t))
            return false;
    }
    return t->p == t->end && finish(format, t, ret_ns);
}

/* [-]digits[.digits] in units; the digits of the fraction down to a nanosecond. */
static bool read_unix(int64_t unit_ns, struct parts *t, int64_t *ret_ns) {
    const bool negative = take_char(t, '-');
    if (!is_digit(t))
        return false;
    int64_t ns = 0;
    for (; is_digit(t); t->p++)
        if (__builtin_mul_overflow(ns, INT64_C(10), &ns) || __builtin_add_overflow(ns, (int64_t)(*t->p - '0'), &ns))
            return false;
    if (__builtin_mul_overflow(ns, unit_ns, &ns))
        return false;
    if (take_char(t, '.')) {
        if (!is_digit(t))
            return false;
        for (; is_digit(t); t->p++) {
            unit_ns /= 10;
            if (__builtin_add_overflow(ns, unit_ns * (*t->p - '0'), &ns))
                return false;
        }
    }
    *ret_ns = negative ? -ns : ns;
    return t->p == t->end;
}

/* -- patterns ---------------------------------------------------------------------------------------------------------------------- */

static bool take_month_name(struct parts *t) {
    static const char *const names[] = {"january", "february", "march",     "april",   "may",      "june",
                                        "july",    "august",   "september", "october", "november", "december"};
    for (int month = 0; month < 12; month++) {
        const size_t left = (size_t)(t->end - t->p);
        const size_t whole = strlen(names[month]);
        if (left >= 3 && strncasecmp(t->p, names[month], 3) == 0) {
            t->p += left >= whole && strncasecmp(t->p, names[month], whole) == 0 ? whole : 3;
            t->month = month + 1;
            return true;
        }
    }
    return false;
}

static bool take_half(struct parts *t) {
    if (t->end - t->p < 2 || (strncasecmp(t->p, "am", 2) != 0 && strncasecmp(t->p, "pm", 2) != 0))
        return false;
    t->half = (*t->p | 0x20) == 'a' ? 1 : 2;
    t->p += 2;
    return true;
}

static bool take_zone_name(struct parts *t) {
    t->has_offset = true;
    if (t->end - t->p >= 3 && (strncmp(t->p, "UTC", 3) == 0 || strncmp(t->p, "GMT", 3) == 0)) {
        t->p += 3;
        return true;
    }
    return take_char(t, 'Z');
}

static bool take_epoch(struct parts *t) {
    const bool negative = take_char(t, '-');
    if (!is_digit(t))
        return false;
    int64_t value = 0;
    for (; is_digit(t); t->p++)
        if (__builtin_mul_overflow(value, INT64_C(10), &value) || __builtin_add_overflow(value, (int64_t)(*t->p - '0'), &value))
            return false;
    t->has_epoch = true;
    t->epoch_s = negative ? -value : value;
    return true;
}

static bool take_two_digit_year(struct parts *t) {
    if (!take_int(t, 2, 2, 0, 99, &t->year))
        return false;
    t->year += t->year < 69 ? 2000 : 1900; /* as POSIX */
    return true;
}

static bool take_pattern(struct parts *t, const char *pattern);

static bool take_directive(struct parts *t, char letter) {
    switch (letter) {
    case 'Y':
        return take_int(t, 1, 4, 0, 9999, &t->year);
    case 'y':
        return take_two_digit_year(t);
    case 'm':
        return take_int(t, 1, 2, 1, 12, &t->month);
    case 'b':
    case 'B':
    case 'h':
        return take_month_name(t);
    case 'e':
        (void)take_char(t, ' ');
        return take_int(t, 1, 2, 1, 31, &t->day);
    case 'd':
        return take_int(t, 1, 2, 1, 31, &t->day);
    case 'j':
        return take_int(t, 1, 3, 1, 366, &t->day_of_year);
    case 'H':
        return take_int(t, 1, 2, 0, 23, &t->hour);
    case 'I':
        return take_int(t, 1, 2, 1, 12, &t->hour);
    case 'p':
        return take_half(t);
    case 'M':
        return take_int(t, 1, 2, 0, 59, &t->minute);
    case 'S':
        return take_seconds(t, 1);
    case 'f':
        return take_fraction(t);
    case 's':
        return take_epoch(t);
    case 'z':
        return take_offset(t);
    case 'Z':
        return take_zone_name(t);
    case 'T':
        return take_pattern(t, "%H:%M:%S");
    case 'R':
        return take_pattern(t, "%H:%M");
    case 'F':
        return take_pattern(t, "%Y-%m-%d");
    case 'D':
        return take_pattern(t, "%m/%d/%y");
    case '%':
        return take_char(t, '%');
    default: /* n, t */
        while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
            t->p++;
        return true;
    }
}

static bool take_pattern(struct parts *t, const char *pattern) {
    for (; *pattern; pattern++) {
        if (*pattern == '%') {
            pattern++;
            if (!take_directive(t, *pattern))
                return false;
        } else if (*pattern == ' ') {
            while (t->p < t->end && *t->p == ' ')
                t->p++;
        } else if (!take_char(t, *pattern)) {
            return false;
        }
    }
    return true;
}

/* -- life ------------------------------------------------------------------------------------------------------------------------ */

enum wr_result wr_time_format_init(struct wr_time_format *format, const char *text, const char *tz, struct wr_error *err) {
    *format = (struct wr_time_format){.kind = WR_TIME_UNIX};
    if (!text || text[0] == '\0') {
        format->kind = WR_TIME_RFC3339;
    } else if (strcmp(text, "s") == 0) {
        format->unit_ns = WR_NS_PER_S;
    } else if (strcmp(text, "ms") == 0) {
        format->unit_ns = WR_NS_PER_MS;
    } else if (strcmp(text, "us") == 0) {
        format->unit_ns = WR_NS_PER_US;
    } else if (strcmp(text, "ns") == 0) {
        format->unit_ns = 1;
    } else {
        format->kind = WR_TIME_PATTERN;
        format->pattern = text;
        bool any = false;
        for (const char *p = text; *p; p++) {
            if (*p != '%')
                continue;
            p++;
            if (*p == '\0' || !strchr("YymdejHIpMSfbBhzZsTRFDnt%", *p))
                return wr_error_set(err, WR_INVALID, "unknown '%%%c' in the time format '%s'", *p ? *p : ' ', text);
            any = true;
        }
        if (!any)
            return wr_error_set(err, WR_INVALID, "time format '%s': write s, ms, us, ns or a pattern like %%Y-%%m-%%d %%H:%%M:%%S", text);
    }
    return wr_timezone_open(tz, &format->zone, err);
}

void wr_time_format_fini(struct wr_time_format *format) {
    wr_timezone_free(format->zone);
    format->zone = NULL;
}

bool wr_time_format_read(const struct wr_time_format *format, const char *text, size_t len, int64_t *ret_ns) {
    struct parts t = {.p = text, .end = text + len, .year = 1970, .month = 1, .day = 1};
    switch (format->kind) {
    case WR_TIME_RFC3339:
        return read_rfc3339(format, &t, ret_ns);
    case WR_TIME_UNIX:
        return read_unix(format->unit_ns, &t, ret_ns);
    case WR_TIME_PATTERN:
        return take_pattern(&t, format->pattern) && t.p == t.end && finish(format, &t, ret_ns);
    }
    return false;
}
