#include "agent/codec/timezone.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/calendar.h"

#define DIRECTORY "/usr/share/zoneinfo/"
#define FILE_BYTES (1 << 20)
#define TYPES 256

/* When summer time begins or ends, as POSIX TZ writes it. */
struct rule {
    enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } kind; /* Mm.w.d, Jn (1..365, without 29 February), n (0..365) */
    int month;
    int week;
    int day;
    int32_t time_s; /* local time, of the offset before */
};

struct wr_timezone {
    size_t n;
    int64_t *at_s; /* transitions, ascending */
    uint8_t *type; /* from that moment on */
    int32_t offset_s[TYPES];
    /* After the last transition. */
    bool has_rule;
    bool has_summer;
    int32_t standard_s;
    int32_t summer_s;
    struct rule begins;
    struct rule ends;
};

/* -- the rule at the end of the file -------------------------------------------------------------------------------------------------- */

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

static bool take_rule(const char **p, struct rule *rule) {
    if (**p != ',')
        return false;
    (*p)++;
    *rule = (struct rule){.time_s = 2 * 3600};
    if (**p == 'M') {
        (*p)++;
        rule->kind = RULE_MONTH;
        if (!take_number(p, &rule->month) || **p != '.')
            return false;
        (*p)++;
        if (!take_number(p, &rule->week) || **p != '.')
            return false;
        (*p)++;
        if (!take_number(p, &rule->day) || rule->month < 1 || rule->month > 12 || rule->week < 1 || rule->week > 5 || rule->day > 6)
            return false;
    } else {
        rule->kind = **p == 'J' ? RULE_JULIAN : RULE_DAY;
        *p += **p == 'J';
        if (!take_number(p, &rule->day) || rule->day > 365 || (rule->kind == RULE_JULIAN && rule->day == 0))
            return false;
    }
    if (**p != '/')
        return true;
    (*p)++;
    return take_time(p, &rule->time_s);
}

/* An empty rule is allowed: then the last transition holds for ever. POSIX counts offsets to the west. */
static bool parse_rule(struct wr_timezone *zone, const char *text) {
    const char *p = text;
    if (*p == '\0')
        return true;
    if (!skip_name(&p) || !take_time(&p, &zone->standard_s))
        return false;
    zone->standard_s = -zone->standard_s;
    zone->has_rule = true;
    if (*p == '\0')
        return true;
    if (!skip_name(&p))
        return false;
    zone->summer_s = zone->standard_s + 3600;
    if (*p != ',') {
        if (!take_time(&p, &zone->summer_s))
            return false;
        zone->summer_s = -zone->summer_s;
    }
    zone->has_summer = true;
    return take_rule(&p, &zone->begins) && take_rule(&p, &zone->ends) && *p == '\0';
}

/* The local second of a rule in a year. */
static int64_t rule_local_s(const struct rule *rule, int year) {
    int64_t day;
    if (rule->kind == RULE_MONTH) {
        const int64_t first = wr_calendar_days(year, rule->month, 1);
        int of_month = (rule->day - wr_calendar_weekday(first) + 7) % 7 + (rule->week - 1) * 7;
        if (of_month >= wr_calendar_days_in_month(year, rule->month))
            of_month -= 7; /* week 5 is the last one */
        day = first + of_month;
    } else {
        day = wr_calendar_days(year, 1, 1) + rule->day;
        if (rule->kind == RULE_JULIAN)
            day += (wr_calendar_leap(year) && rule->day >= 60) - 1;
    }
    return day * WR_CALENDAR_DAY_S + rule->time_s;
}

static int64_t floor_days(int64_t seconds) {
    return seconds / WR_CALENDAR_DAY_S - (seconds % WR_CALENDAR_DAY_S < 0);
}

static int32_t offset_by_rule(const struct wr_timezone *zone, int64_t utc_s) {
    if (!zone->has_summer)
        return zone->standard_s;
    const int year = wr_calendar_year(floor_days(utc_s + zone->standard_s));
    const int64_t begins = rule_local_s(&zone->begins, year) - zone->standard_s;
    const int64_t ends = rule_local_s(&zone->ends, year) - zone->summer_s;
    const bool summer = begins < ends ? utc_s >= begins && utc_s < ends : utc_s >= begins || utc_s < ends;
    return summer ? zone->summer_s : zone->standard_s;
}

/* -- the file ------------------------------------------------------------------------------------------------------------------------ */

static int64_t big_endian(const uint8_t *p, size_t bytes) {
    uint64_t value = p[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return (int64_t)value;
}

#define HEAD_BYTES 44
struct head {
    size_t utc_flags;
    size_t standard_flags;
    size_t leaps;
    size_t times;
    size_t types;
    size_t letters;
    size_t bytes; /* of the data behind the head */
};

static bool read_head(const uint8_t *p, size_t len, size_t time_bytes, struct head *head) {
    if (len < HEAD_BYTES || memcmp(p, "TZif", 4) != 0)
        return false;
    size_t count[6];
    for (size_t i = 0; i < 6; i++) {
        const int64_t n = big_endian(p + 20 + 4 * i, 4);
        if (n < 0 || n > FILE_BYTES)
            return false;
        count[i] = (size_t)n;
    }
    *head = (struct head){count[0], count[1], count[2], count[3], count[4], count[5], 0};
    head->bytes = head->times * (time_bytes + 1) + head->types * 6 + head->letters + head->leaps * (time_bytes + 4) + head->standard_flags +
                  head->utc_flags;
    return head->types > 0 && head->types <= TYPES && len - HEAD_BYTES >= head->bytes;
}

/* The block of 64-bit times; version 1 files, which end in 2037, are not made any more. */
static bool read_block(struct wr_timezone *zone, const uint8_t *bytes, size_t len, bool *ret_no_memory) {
    struct head head;
    if (!read_head(bytes, len, 4, &head) || bytes[4] < '2')
        return false;
    const size_t first = HEAD_BYTES + head.bytes;
    if (!read_head(bytes + first, len - first, 8, &head))
        return false;
    const uint8_t *times = bytes + first + HEAD_BYTES;
    const uint8_t *indexes = times + head.times * 8;
    const uint8_t *types = indexes + head.times;
    zone->at_s = calloc(head.times + 1, sizeof *zone->at_s);
    zone->type = calloc(head.times + 1, 1);
    *ret_no_memory = !zone->at_s || !zone->type;
    if (*ret_no_memory)
        return false;
    zone->n = head.times;
    for (size_t i = 0; i < head.types; i++)
        zone->offset_s[i] = (int32_t)big_endian(types + 6 * i, 4);
    for (size_t i = 0; i < head.times; i++) {
        zone->at_s[i] = big_endian(times + 8 * i, 8);
        zone->type[i] = indexes[i];
        if (indexes[i] >= head.types || (i > 0 && zone->at_s[i] <= zone->at_s[i - 1]))
            return false;
    }
    for (size_t i = 0; i < head.types; i++)
        if (zone->offset_s[i] < -26 * 3600 || zone->offset_s[i] > 26 * 3600)
            return false;
    const uint8_t *footer = bytes + first + HEAD_BYTES + head.bytes;
    const size_t left = len - (size_t)(footer - bytes);
    const uint8_t *end = left > 1 && footer[0] == '\n' ? memchr(footer + 1, '\n', left - 1) : NULL;
    char rule[128];
    if (!end || (size_t)(end - footer) > sizeof rule)
        return false;
    memcpy(rule, footer + 1, (size_t)(end - footer) - 1);
    rule[end - footer - 1] = '\0';
    return parse_rule(zone, rule);
}

enum wr_result wr_timezone_parse(const uint8_t *bytes, size_t len, struct wr_timezone **ret_zone, struct wr_error *err) {
    struct wr_timezone *zone = calloc(1, sizeof *zone);
    if (!zone)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a time zone");
    bool no_memory = false;
    if (!read_block(zone, bytes, len, &no_memory)) {
        wr_timezone_free(zone);
        if (no_memory)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for a time zone");
        return wr_error_set(err, WR_CORRUPT, "not a time zone file of version 2 or later");
    }
    *ret_zone = zone;
    return WR_OK;
}

void wr_timezone_free(struct wr_timezone *zone) {
    if (!zone)
        return;
    free(zone->at_s);
    free(zone->type);
    free(zone);
}

static enum wr_result load(const char *name, struct wr_timezone **ret_zone, struct wr_error *err) {
    char path[256];
    snprintf(path, sizeof path, DIRECTORY "%s", name);
    FILE *file = fopen(path, "re");
    if (!file)
        return wr_error_set(err, WR_NOT_FOUND, "no time zone '%s': %s: %s", name, path, strerror(errno));
    uint8_t *bytes = malloc(FILE_BYTES);
    enum wr_result result;
    if (!bytes) {
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for time zone '%s'", name);
    } else {
        const size_t len = fread(bytes, 1, FILE_BYTES, file);
        result = wr_timezone_parse(bytes, len, ret_zone, err);
        if (result != WR_OK)
            result = wr_error_wrap(err, "%s", path);
    }
    free(bytes);
    fclose(file);
    return result;
}

enum wr_result wr_timezone_open(const char *name, struct wr_timezone **ret_zone, struct wr_error *err) {
    if (!name || strcmp(name, "") == 0 || strcmp(name, "UTC") == 0 || strcmp(name, "GMT") == 0 || strcmp(name, "Z") == 0) {
        *ret_zone = NULL;
        return WR_OK;
    }
    const size_t len = strlen(name);
    const size_t good = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");
    if (good != len || len > 64 || name[0] == '/') /* no dots: nothing outside of the directory */
        return wr_error_set(err, WR_INVALID, "not the name of a time zone (write UTC or Area/City)");
    return load(name, ret_zone, err);
}

/* -- use ----------------------------------------------------------------------------------------------------------------------------- */

int32_t wr_timezone_offset(const struct wr_timezone *zone, int64_t utc_s) {
    if (!zone)
        return 0;
    if (zone->n == 0 || utc_s < zone->at_s[0])
        return zone->n == 0 && zone->has_rule ? offset_by_rule(zone, utc_s) : zone->offset_s[0];
    if (utc_s >= zone->at_s[zone->n - 1])
        return zone->has_rule ? offset_by_rule(zone, utc_s) : zone->offset_s[zone->type[zone->n - 1]];
    size_t low = 0;
    size_t high = zone->n - 1; /* at_s[low] <= utc_s < at_s[high] */
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (zone->at_s[middle] <= utc_s)
            low = middle;
        else
            high = middle;
    }
    return zone->offset_s[zone->type[low]];
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
