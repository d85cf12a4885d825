/* Random schedules against a model that looks at the clock on the wall and the calendar beside it minute by minute, with the C library's time zones. */
#include <time.h>
#include <unistd.h>

#include "core/calendar.h"
#include "core/timezone.h"
#include "rules/language/schedule.h"
#include "tests/support/random.h"
#include "tests/support/rules_fixture.h"

#define MINUTES (6 * 1440)
#define DAYS_BEFORE 4 /* the model begins so early, so that it sees every beginning that matters */

static const char *const zones[] = {"Europe/Riga",     "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago",
                                    "Pacific/Chatham", "America/Havana",      "Asia/Beirut",       "Antarctica/Troll",
                                    "Pacific/Apia",    "America/St_Johns",    "Atlantic/Azores",   "Asia/Kolkata"};

/* A minute as the clock on the wall shows it. */
struct shown {
    int64_t local_s;
};

static struct wr_schedule_dates random_dates(struct wr_random *random, int64_t day) {
    struct wr_schedule_dates dates = {.yearly = wr_random_below(random, 2)};
    const int32_t first = (int32_t)(day + (int64_t)wr_random_below(random, 12) - 4);
    const int32_t last = first + (int32_t)wr_random_below(random, 3);
    if (!dates.yearly) {
        dates.first = first;
        dates.last = last;
        return dates;
    }
    time_t at = (time_t)first * 86400;
    struct tm parts;
    gmtime_r(&at, &parts);
    dates.first = (parts.tm_mon + 1) * 32 + parts.tm_mday;
    at = (time_t)last * 86400;
    gmtime_r(&at, &parts);
    dates.last = (parts.tm_mon + 1) * 32 + parts.tm_mday;
    return dates;
}

static bool listed(const struct wr_schedule_dates *dates, uint32_t n, const struct tm *day, int64_t days) {
    for (uint32_t i = 0; i < n; i++) {
        if (!dates[i].yearly && days >= dates[i].first && days <= dates[i].last)
            return true;
        if (!dates[i].yearly)
            continue;
        for (int32_t date = dates[i].first;; date++) { /* day by day through a year that has 32 days in every month */
            if (date > 12 * 32 + 31)
                date = 32;
            if (date == (day->tm_mon + 1) * 32 + day->tm_mday)
                return true;
            if (date == dates[i].last)
                break;
        }
    }
    return false;
}

static bool begins(const struct wr_schedule_span *span, int64_t days) {
    const time_t at = (time_t)days * 86400;
    struct tm day;
    gmtime_r(&at, &day);
    const bool weekday = span->weekdays >> ((day.tm_wday + 6) % 7) & 1;
    return (weekday || listed(span->dates, span->n_dates, &day, days)) && !listed(span->except, span->n_except, &day, days);
}

/* Marks the minutes in which the span is on: the clock is watched for the first minute that shows a time or a later one. */
static void watch(const struct wr_schedule_span *span, const struct shown *clock, int n, bool *on) {
    const int64_t first_day = clock[0].local_s / 86400 + 1;
    const int64_t last_day = clock[n - 1].local_s / 86400;
    for (int64_t day = first_day; day <= last_day; day++) {
        if (!begins(span, day))
            continue;
        const int64_t from_s = day * 86400 + span->from_s;
        const int64_t to_s = (span->to_s > span->from_s ? day : day + 1) * 86400 + span->to_s;
        int at = 0;
        while (at < n && clock[at].local_s < from_s)
            at++;
        int end = 0;
        while (end < n && clock[end].local_s < to_s)
            end++;
        for (; at < end; at++)
            on[at] = true;
    }
}

/* A moment in the middle of a window in which clocks may be set. */
static int64_t random_begin(struct wr_random *random, const struct wr_timezone *zone) {
    int64_t at_s = 1262304000 + (int64_t)wr_random_below(random, 25 * 365) * 86400;
    const int64_t change_s = wr_timezone_next_change(zone, at_s);
    const int64_t end_s = 2145916800; /* 2038: the model's C library may count in 32 bits */
    if (change_s < end_s && wr_random_below(random, 4) > 0)
        at_s = change_s - 2 * 86400;
    return at_s / 60 * 60;
}

static int32_t random_time(struct wr_random *random) {
    return (int32_t)(wr_random_below(random, 2) ? wr_random_below(random, 24) * 3600 : wr_random_below(random, 1440) * 60);
}

static void one_round(struct wr_random *random) {
    static struct shown clock[MINUTES + DAYS_BEFORE * 1440];
    static bool on[MINUTES + DAYS_BEFORE * 1440];
    const int n = MINUTES + DAYS_BEFORE * 1440;
    const char *name = zones[wr_random_below(random, sizeof zones / sizeof zones[0])];
    struct wr_timezone *zone;
    struct wr_error err;
    assert_int_equal(wr_timezone_open(name, &zone, &err), WR_OK);
    setenv("TZ", name, 1);
    tzset();
    const int64_t begin_s = random_begin(random, zone) - DAYS_BEFORE * 86400;
    for (int i = 0; i < n; i++) {
        const time_t moment = (time_t)(begin_s + i * 60);
        struct tm parts;
        assert_non_null(localtime_r(&moment, &parts));
        clock[i].local_s = wr_calendar_days(parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday) * 86400 + parts.tm_hour * 3600 +
                           parts.tm_min * 60 + parts.tm_sec;
        on[i] = false;
    }
    struct wr_schedule_dates dates[4];
    struct wr_schedule schedule = {.name = "s", .n_spans = 1 + (uint32_t)wr_random_below(random, 3)};
    for (uint32_t i = 0; i < schedule.n_spans; i++) {
        struct wr_schedule_span *span = &schedule.spans[i];
        *span = (struct wr_schedule_span){
            .zone = zone, .from_s = random_time(random), .to_s = random_time(random), .dates = dates, .except = dates + 2};
        span->weekdays = (uint8_t)wr_random_below(random, 128);
        if (wr_random_below(random, 4) == 0)
            span->to_s = WR_CALENDAR_DAY_S;
        for (int k = 0; k < 4; k++)
            dates[k] = random_dates(random, begin_s / 86400 + DAYS_BEFORE);
        span->n_dates = (uint32_t)wr_random_below(random, 3);
        span->n_except = (uint32_t)wr_random_below(random, 3);
    }
    for (uint32_t i = 0; i < schedule.n_spans; i++)
        watch(&schedule.spans[i], clock, n, on);
    int64_t edge_ns = INT64_MIN;
    struct wr_schedule_answer kept = {0};
    for (int i = DAYS_BEFORE * 1440; i < n - 2 * 1440; i++) {
        const int64_t at_ns = (begin_s + i * 60) * FIXTURE_SECOND;
        if (wr_schedule_active(&schedule, at_ns) != on[i])
            fail_msg("%s, minute %lld: %s", name, (long long)(begin_s + i * 60), on[i] ? "on in the model" : "off in the model");
        if (wr_schedule_ask(&schedule, at_ns, &kept)->active != on[i] || kept.edge_ns <= at_ns)
            fail_msg("%s, minute %lld: what was kept says otherwise", name, (long long)(begin_s + i * 60));
        if (i % 31 == 0) { /* a sample of old data in between */
            const int back = DAYS_BEFORE * 1440 + (int)wr_random_below(random, (uint64_t)(i - DAYS_BEFORE * 1440 + 1));
            if (wr_schedule_ask(&schedule, (begin_s + back * 60) * FIXTURE_SECOND, &kept)->active != on[back])
                fail_msg("%s, minute %lld: going back", name, (long long)(begin_s + back * 60));
        }
        if (on[i] != on[i - 1] && edge_ns != INT64_MIN && edge_ns != at_ns)
            fail_msg("%s: an edge at %lld, not told before", name, (long long)(begin_s + i * 60));
        if (edge_ns == at_ns && on[i] == on[i - 1])
            fail_msg("%s: no edge at %lld, as was told", name, (long long)(begin_s + i * 60));
        if (edge_ns <= at_ns || i % 97 == 0)
            edge_ns = wr_schedule_next_edge(&schedule, at_ns);
        assert_true(edge_ns > at_ns && edge_ns <= at_ns + WR_SCHEDULE_AHEAD_NS);
    }
    wr_timezone_free(zone);
}

static void schedules_agree_with_the_clock_on_the_wall(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 200; round++)
        one_round(&random);
    unsetenv("TZ");
    tzset();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(schedules_agree_with_the_clock_on_the_wall)};
    unsetenv("TZDIR");
    if (access("/usr/share/zoneinfo/Europe/Riga", R_OK) != 0) /* tests on other processors have no tzdata */
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
