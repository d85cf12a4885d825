/* The rule at the end of a zone file, as POSIX TZ writes it: EET-2EEST,M3.5.0/3,M10.5.0/4 */
#include <string.h>

#include "core/calendar.h"
#include "core/timezone_private.h"

static bool take_number(const char **p, int *ret_value) {
    if (**p < '0' || **p > '9')
        return false;
    int value = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++)
        if (value < 100000)
            value = value * 10 + (**p - '0');
    *ret_value = value;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(const char **p, int32_t *ret_s) {
    const bool negative = **p == '-';
    if (**p == '-' || **p == '+')
        (*p)++;
    int part;
    if (!take_number(p, &part) || part > 167)
        return false;
    int32_t seconds = part * 3600;
    for (int unit = 60; unit >= 1 && **p == ':'; unit /= 60) {
        (*p)++;
        if (!take_number(p, &part) || part > 59)
            return false;
        seconds += part * unit;
    }
    *ret_s = negative ? -seconds : seconds;
    return true;
}

static bool skip_name(const char **p) {
    const char *from = *p;
    if (**p == '<') {
        *p += strcspn(*p, ">");
        if (**p != '>')
            return false;
        (*p)++;
        return true;
    }
    while ((**p >= 'A' && **p <= 'Z') || (**p >= 'a' && **p <= 'z'))
        (*p)++;
    return *p - from >= 3;
}

static bool take_switch(const char **p, struct wr_timezone_switch *at) {
    if (**p != ',')
        return false;
    (*p)++;
    *at = (struct wr_timezone_switch){.time_s = 2 * 3600};
    if (**p == 'M') {
        (*p)++;
        at->kind = WR_TIMEZONE_MONTH;
        if (!take_number(p, &at->month) || **p != '.')
            return false;
        (*p)++;
        if (!take_number(p, &at->week) || **p != '.')
            return false;
        (*p)++;
        if (!take_number(p, &at->day) || at->month < 1 || at->month > 12 || at->week < 1 || at->week > 5 || at->day > 6)
            return false;
    } else {
        at->kind = **p == 'J' ? WR_TIMEZONE_JULIAN : WR_TIMEZONE_DAY;
        *p += **p == 'J';
        if (!take_number(p, &at->day) || at->day > 365 || (at->kind == WR_TIMEZONE_JULIAN && at->day == 0))
            return false;
    }
    if (**p != '/')
        return true;
    (*p)++;
    return take_time(p, &at->time_s);
}

/* Of a zone: at most a day and a bit, though a switch may be a week off. POSIX counts them to the west. */
static bool take_offset(const char **p, int32_t *ret_s) {
    int32_t west_s;
    if (!take_time(p, &west_s) || west_s > WR_TIMEZONE_OFFSET_MAX_S || west_s < -WR_TIMEZONE_OFFSET_MAX_S)
        return false;
    *ret_s = -west_s;
    return true;
}

bool wr_timezone_rule_parse(struct wr_timezone_rule *rule, const char *text) {
    const char *p = text;
    *rule = (struct wr_timezone_rule){.exists = *p != '\0'};
    if (!rule->exists)
        return true;
    if (!skip_name(&p) || !take_offset(&p, &rule->standard_s))
        return false;
    if (*p == '\0')
        return true;
    if (!skip_name(&p))
        return false;
    rule->summer_s = rule->standard_s + 3600;
    if (*p != ',' ? !take_offset(&p, &rule->summer_s) : rule->summer_s > WR_TIMEZONE_OFFSET_MAX_S)
        return false;
    rule->has_summer = true;
    return take_switch(&p, &rule->begins) && take_switch(&p, &rule->ends) && *p == '\0';
}

/* The local second of a switch in a year. */
static int64_t local_s(const struct wr_timezone_switch *at, int year) {
    int64_t day;
    if (at->kind == WR_TIMEZONE_MONTH) {
        const int64_t first = wr_calendar_days(year, at->month, 1);
        int of_month = (at->day - wr_calendar_weekday(first) + 7) % 7 + (at->week - 1) * 7;
        if (of_month >= wr_calendar_days_in_month(year, at->month))
            of_month -= 7; /* week 5 is the last one */
        day = first + of_month;
    } else {
        day = wr_calendar_days(year, 1, 1) + at->day;
        if (at->kind == WR_TIMEZONE_JULIAN)
            day += (wr_calendar_leap(year) && at->day >= 60) - 1;
    }
    return day * WR_CALENDAR_DAY_S + at->time_s;
}

static int year_of(const struct wr_timezone_rule *rule, int64_t utc_s) {
    return wr_calendar_year(wr_calendar_floor(utc_s + rule->standard_s, WR_CALENDAR_DAY_S));
}

static int64_t begins_s(const struct wr_timezone_rule *rule, int year) {
    return local_s(&rule->begins, year) - rule->standard_s;
}

static int64_t ends_s(const struct wr_timezone_rule *rule, int year) {
    return local_s(&rule->ends, year) - rule->summer_s;
}

/* By the latest switch that has come; of two in the same moment, which end one summer and begin the next, the beginning counts. A switch may be
 * written as a week off its year. */
int32_t wr_timezone_rule_offset(const struct wr_timezone_rule *rule, int64_t utc_s) {
    int64_t latest = INT64_MIN;
    int32_t offset_s = rule->standard_s;
    if (!rule->has_summer)
        return offset_s;
    const int year = year_of(rule, utc_s);
    for (int y = year - 2; y <= year + 1; y++) {
        const int64_t begins = begins_s(rule, y);
        const int64_t ends = ends_s(rule, y);
        if (ends <= utc_s && ends > latest) {
            latest = ends;
            offset_s = rule->standard_s;
        }
        if (begins <= utc_s && begins >= latest) {
            latest = begins;
            offset_s = rule->summer_s;
        }
    }
    return offset_s;
}

int64_t wr_timezone_rule_next_change(const struct wr_timezone_rule *rule, int64_t utc_s) {
    int64_t next = WR_TIMEZONE_NEVER_S;
    if (!rule->has_summer)
        return next;
    const int year = year_of(rule, utc_s);
    for (int y = year - 1; y <= year + 2; y++) {
        const int64_t at[2] = {begins_s(rule, y), ends_s(rule, y)};
        for (int i = 0; i < 2; i++)
            if (at[i] > utc_s && at[i] < next)
                next = at[i];
    }
    return next;
}
