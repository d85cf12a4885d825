#include "rules/compile/schedule_compile.h"

#include <string.h>
#include <strings.h>

#include "core/calendar.h"
#include "core/nearest.h"
#include "core/timezone.h"
#include "rules/compile/rule_compile.h"
#include "rules/compile/rule_schema.h"

#define NAME_BYTES 64
#define ALL_DAYS 0x7F

enum { SCHEDULE_CODE = 346, ZONE_CODE = 347 };

/* clang-format off */
const struct wr_yaml_field wr_schedule_fields[] = {
    STRING(wr_file_schedule, name, .required = true, .help = "name; several of one name add up"),
    STRING(wr_file_schedule, tz, .required = true, .help = "time zone: UTC, or as Europe/Riga"),
    {.key = "days", .kind = WR_YAML_STRINGS, LIST(wr_file_schedule, days), .help = "days on which it begins: mon-fri, sun; default every day, or those of `dates` alone"},
    STRING(wr_file_schedule, from, .help = "local time, as \"20:00\"; default \"00:00\""),
    STRING(wr_file_schedule, to, .help = "local time; at or before `from`: of the next day; default \"24:00\""),
    {.key = "dates", .kind = WR_YAML_STRINGS, LIST(wr_file_schedule, dates), .help = "days beside `days`: \"2026-12-24..2026-12-31\", or of each year \"12-25\""},
    {.key = "except", .kind = WR_YAML_STRINGS, LIST(wr_file_schedule, except), .help = "days on which it does not begin, as `dates`"},
    END,
};
/* clang-format on */

/* The next item of a list of lists: ["mon-fri, sun", "sat"] has three. False: there is none. */
struct items {
    char **list;
    unsigned n;
    unsigned i;
    const char *at;
};

static bool next_item(struct items *items, const char **ret_text, size_t *ret_len) {
    while (!items->at) {
        if (items->i == items->n)
            return false;
        items->at = items->list[items->i++];
    }
    const char *text = items->at;
    size_t len = strcspn(text, ",");
    items->at = text[len] == ',' ? text + len + 1 : NULL;
    while (len > 0 && *text == ' ')
        text++, len--;
    while (len > 0 && text[len - 1] == ' ')
        len--;
    *ret_text = text;
    *ret_len = len;
    return true;
}

/* -- days --------------------------------------------------------------------------------------------------------------------------------- */

static bool read_day(const char *text, size_t len, int *ret_day) {
    static const char *const days[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
    for (int i = 0; i < 7; i++)
        if ((len == 3 || len == strlen(days[i])) && strncasecmp(text, days[i], len) == 0) {
            *ret_day = i;
            return true;
        }
    return false;
}

/* "mon", "mon-fri", "sat-mon" */
static bool read_range(const char *text, size_t len, uint8_t *days) {
    const char *dash = memchr(text, '-', len);
    const size_t first_len = dash ? (size_t)(dash - text) : len;
    int first;
    int last;
    if (!read_day(text, first_len, &first) || !read_day(dash ? dash + 1 : text, dash ? len - first_len - 1 : len, &last))
        return false;
    for (int day = first;; day = (day + 1) % 7) {
        *days |= (uint8_t)(1u << day);
        if (day == last)
            return true;
    }
}

static void read_days(struct wr_compile *compile, const struct wr_file_schedule *record, struct wr_schedule_span *span) {
    struct items items = {record->days, record->n_days, 0, NULL};
    const char *text;
    size_t len;
    if (record->n_days == 0 && record->n_dates == 0)
        span->weekdays = ALL_DAYS;
    while (next_item(&items, &text, &len))
        if (!read_range(text, len, &span->weekdays))
            WR_COMPILE_ERROR(compile, SCHEDULE_CODE, "days", "write mon-fri, or \"mon-wed, sun\"",
                             "'%.*s' is no day of the week, and no range of them", (int)len, text);
}

/* -- dates -------------------------------------------------------------------------------------------------------------------------------- */

static bool read_digits(const char **p, const char *end, int n, int *ret_value) {
    int value = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (*p == end || **p < '0' || **p > '9')
            return false;
        value = value * 10 + (**p - '0');
    }
    *ret_value = value;
    return true;
}

/* "2026-12-24", or "12-24" of each year. */
static bool read_date(const char **p, const char *end, int32_t *ret_date, bool *ret_yearly) {
    int year = 2000; /* a leap year: of each year there may be a 29 February */
    int month;
    int day;
    *ret_yearly = end - *p < 5 || (*p)[2] == '-';
    if (!*ret_yearly && (!read_digits(p, end, 4, &year) || *p == end || *(*p)++ != '-'))
        return false;
    if (!read_digits(p, end, 2, &month) || *p == end || *(*p)++ != '-' || !read_digits(p, end, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > wr_calendar_days_in_month(year, month))
        return false;
    *ret_date = *ret_yearly ? month * 32 + day : (int32_t)wr_calendar_days(year, month, day);
    return true;
}

static bool read_dates_item(const char *text, size_t len, struct wr_schedule_dates *dates) {
    const char *p = text;
    const char *end = text + len;
    bool yearly;
    if (!read_date(&p, end, &dates->first, &dates->yearly))
        return false;
    dates->last = dates->first;
    if (p == end)
        return true;
    if (end - p < 3 || p[0] != '.' || p[1] != '.')
        return false;
    p += 2;
    return read_date(&p, end, &dates->last, &yearly) && p == end && yearly == dates->yearly && (yearly || dates->first <= dates->last);
}

static uint32_t read_dates(struct wr_compile *compile, const char *key, char **list, unsigned n,
                           const struct wr_schedule_dates **ret_dates) {
    struct items items = {list, n, 0, NULL};
    struct wr_schedule_dates *dates = n > 0 ? wr_arena_take(&compile->ruleset->arena, WR_SCHEDULE_DATES * sizeof *dates) : NULL;
    const char *text;
    size_t len;
    uint32_t read = 0;
    while (dates && next_item(&items, &text, &len)) {
        if (read == WR_SCHEDULE_DATES) {
            WR_COMPILE_ERROR(compile, SCHEDULE_CODE, key, "give the schedule a second record of the same name", "more than %d dates",
                             WR_SCHEDULE_DATES);
            break;
        }
        if (read_dates_item(text, len, &dates[read]))
            read++;
        else
            WR_COMPILE_ERROR(compile, SCHEDULE_CODE, key, "write \"2026-12-24\", \"2026-12-24..2027-01-06\", or of each year \"12-25\"",
                             "'%.*s' is no date, and no range of them", (int)len, text);
    }
    *ret_dates = dates;
    return read;
}

/* -- times -------------------------------------------------------------------------------------------------------------------------------- */

/* "6:00", "06:00", "06:00:30" */
static bool read_clock(const char *text, int32_t *ret_s) {
    const char *end = text + strlen(text);
    const char *p = text;
    int hour;
    int minute;
    int second = 0;
    if (!read_digits(&p, end, text[0] && text[1] == ':' ? 1 : 2, &hour) || p == end || *p++ != ':' || !read_digits(&p, end, 2, &minute))
        return false;
    if (p < end && (*p++ != ':' || !read_digits(&p, end, 2, &second)))
        return false;
    *ret_s = hour * 3600 + minute * 60 + second;
    return p == end && minute <= 59 && second <= 59 && *ret_s <= WR_CALENDAR_DAY_S;
}

static void read_time(struct wr_compile *compile, const char *key, const char *text, bool end, int32_t *s) {
    int32_t value;
    if (!text)
        return;
    if (read_clock(text, &value) && (end || value < WR_CALENDAR_DAY_S))
        *s = value;
    else
        WR_COMPILE_ERROR(compile, SCHEDULE_CODE, key, end ? "write \"06:00\"; the end of the day is \"24:00\"" : "write \"20:00\"",
                         "'%.40s' is no time of day", text);
}

/* -- the whole ---------------------------------------------------------------------------------------------------------------------------- */

enum wr_result wr_ruleset_zone(struct wr_ruleset *ruleset, const char *name, const struct wr_timezone **ret_zone, struct wr_error *err) {
    for (uint32_t i = 0; i < ruleset->n_zones; i++)
        if (strcmp(ruleset->zones[i].name, name) == 0) {
            *ret_zone = ruleset->zones[i].zone;
            return WR_OK;
        }
    if (ruleset->n_zones == WR_RULESET_SCHEDULES)
        return wr_error_set(err, WR_LIMIT, "more than %d time zones", WR_RULESET_SCHEDULES);
    struct wr_ruleset_zone *zone = &ruleset->zones[ruleset->n_zones];
    zone->name = wr_arena_string(&ruleset->arena, name);
    if (!zone->name)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a time zone");
    WR_TRY(wr_timezone_open(name, &zone->zone, err));
    *ret_zone = zone->zone;
    ruleset->n_zones++;
    return WR_OK;
}

/* False: no memory. */
static bool read_zone(struct wr_compile *compile, const char *name, const struct wr_timezone **zone) {
    struct wr_error err;
    const enum wr_result result = name[0] ? wr_ruleset_zone(compile->ruleset, name, zone, &err)
                                          : wr_error_set(&err, WR_INVALID, "a time zone is UTC or Area/City, as Europe/Riga");
    if (result != WR_OK && result != WR_NO_MEMORY)
        WR_COMPILE_ERROR(compile, ZONE_CODE, "tz", NULL, "%s", err.text);
    return result != WR_NO_MEMORY;
}

/* The schedule of a name, made if it is the first record of it. NULL: no memory, or too many (told). */
static struct wr_schedule *schedule_of(struct wr_compile *compile, const char *name) {
    struct wr_ruleset *ruleset = compile->ruleset;
    for (uint32_t i = 0; i < ruleset->n_schedules; i++)
        if (strcmp(ruleset->schedules[i]->name, name) == 0)
            return ruleset->schedules[i];
    if (ruleset->n_schedules == WR_RULESET_SCHEDULES) {
        WR_COMPILE_ERROR(compile, SCHEDULE_CODE, "name", NULL, "more than %d schedules", WR_RULESET_SCHEDULES);
        return NULL;
    }
    struct wr_schedule *schedule = wr_arena_take(&ruleset->arena, sizeof *schedule);
    if (!schedule || !(schedule->name = wr_arena_string(&ruleset->arena, name)))
        return NULL;
    schedule->index = ruleset->n_schedules;
    ruleset->schedules[ruleset->n_schedules++] = schedule;
    return schedule;
}

static bool is_name(const char *name) {
    const size_t len = strlen(name);
    return len > 0 && len < NAME_BYTES && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")] == '\0';
}

static bool compile_schedule(struct wr_compile *compile, const struct wr_file_schedule *record) {
    if (!is_name(record->name)) {
        WR_COMPILE_ERROR(compile, SCHEDULE_CODE, "name", NULL, "the name of a schedule is 1 to %d letters, digits, _ - or .",
                         NAME_BYTES - 1);
        return true;
    }
    struct wr_schedule *schedule = schedule_of(compile, record->name);
    if (!schedule)
        return !compile->ruleset->arena.failed;
    if (schedule->n_spans == WR_SCHEDULE_SPANS) {
        WR_COMPILE_ERROR(compile, SCHEDULE_CODE, NULL, NULL, "more than %d records of the schedule '%.60s'", WR_SCHEDULE_SPANS,
                         record->name);
        return true;
    }
    struct wr_schedule_span *span = &schedule->spans[schedule->n_spans++];
    *span = (struct wr_schedule_span){.to_s = WR_CALENDAR_DAY_S};
    read_days(compile, record, span);
    read_time(compile, "from", record->from, false, &span->from_s);
    read_time(compile, "to", record->to, true, &span->to_s);
    span->n_dates = read_dates(compile, "dates", record->dates, record->n_dates, &span->dates);
    span->n_except = read_dates(compile, "except", record->except, record->n_except, &span->except);
    return read_zone(compile, record->tz, &span->zone) && !compile->ruleset->arena.failed;
}

bool wr_compile_schedules(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    compile->list = "schedules";
    for (unsigned i = 0; i < file->n_schedules; i++) {
        compile->index = i;
        if (!compile_schedule(compile, &file->schedules[i]))
            return false;
    }
    return true;
}

const struct wr_schedule *wr_ruleset_schedule(const struct wr_ruleset *ruleset, const char *name, const char **ret_near) {
    const char *names[WR_RULESET_SCHEDULES];
    for (uint32_t i = 0; i < ruleset->n_schedules; i++) {
        names[i] = ruleset->schedules[i]->name;
        if (strcmp(names[i], name) == 0)
            return ruleset->schedules[i];
    }
    if (ret_near)
        *ret_near = wr_nearest_name(name, names, ruleset->n_schedules);
    return NULL;
}
