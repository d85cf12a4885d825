/* The proleptic Gregorian calendar: dates to days since 1970-01-01 and back to parts.
 *
 * Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms". Threads: none; pure functions.
 */
#ifndef WEIR_CORE_CALENDAR_H
#define WEIR_CORE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define WR_CALENDAR_DAY_S 86400

/* Division that rounds down, also before 1970. */
static inline int64_t wr_calendar_floor(int64_t at, int64_t length) { return at / length - (at % length < 0); }

static inline bool wr_calendar_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

/* month 1..12 */
static inline int wr_calendar_days_in_month(int year, int month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && wr_calendar_leap(year));
}

static inline int64_t wr_calendar_days(int year, int month, int day) {
    const int64_t y = year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* The year that holds this day. */
static inline int wr_calendar_year(int64_t days) {
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t day_of_era = z - era * 146097;
    const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    return (int)(year_of_era + era * 400 + (day_of_year >= 306)); /* the computed year begins in March */
}

/* 0 Sunday .. 6 Saturday */
static inline int wr_calendar_weekday(int64_t days) { return (int)((days % 7 + 11) % 7); }

#endif
