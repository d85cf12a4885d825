/* Times in SQL: a text that people read, which compares as a time in any of its forms, and functions on it. */
#include <string.h>

#include "core/calendar.h"
#include "core/clock.h"
#include "core/quantity.h"
#include "store/query_private.h"

#define YEAR_FIRST 1678 /* whole years of an int64_t of ns */
#define YEAR_LAST 2261

/* As wr_clock_format, with as many digits of the fraction as it has. */
size_t wr_query_time_print(char *text, int64_t wall_ns) {
    const int64_t ns = wall_ns - wr_calendar_floor(wall_ns, WR_NS_PER_S) * WR_NS_PER_S;
    const int digits = ns == 0 ? 0 : ns % WR_NS_PER_MS == 0 ? 3 : ns % WR_NS_PER_US == 0 ? 6 : 9;
    wr_clock_format(text, WR_QUERY_TIME_BYTES, wall_ns);
    char *at = strchr(text, '.');
    int64_t unit = WR_NS_PER_S;
    for (int i = 0; i < digits; i++) {
        unit /= 10;
        *++at = (char)('0' + ns / unit % 10);
    }
    at += digits > 0;
    memcpy(at, "Z", 2);
    return (size_t)(at + 1 - text);
}

/* -- reading ------------------------------------------------------------------------------------------------------------------------------- */

struct reader {
    const char *at;
    const char *end;
};

static bool take(struct reader *reader, char c) {
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static bool take_digits(struct reader *reader, int n, int low, int high, int *ret_value) {
    int value = 0;
    for (int i = 0; i < n; i++, reader->at++) {
        if (reader->at == reader->end || *reader->at < '0' || *reader->at > '9')
            return false;
        value = value * 10 + (*reader->at - '0');
    }
    *ret_value = value;
    return value >= low && value <= high;
}

static bool take_fraction(struct reader *reader, int64_t *ret_ns) {
    int64_t ns = 0;
    int n = 0;
    for (; reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; reader->at++, n++)
        if (n < 9)
            ns = ns * 10 + (*reader->at - '0');
    for (int i = n; i < 9; i++)
        ns *= 10;
    *ret_ns = ns;
    return n > 0;
}

/* "Z", "+01:00", "-0330", or nothing: UTC. */
static bool take_zone(struct reader *reader, int64_t *ret_offset_s) {
    int hours;
    int minutes;
    *ret_offset_s = 0;
    if (reader->at == reader->end || take(reader, 'Z') || take(reader, 'z'))
        return true;
    const bool west = take(reader, '-');
    if (!west && !take(reader, '+'))
        return false;
    if (!take_digits(reader, 2, 0, 23, &hours))
        return false;
    (void)take(reader, ':');
    if (!take_digits(reader, 2, 0, 59, &minutes))
        return false;
    *ret_offset_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

bool wr_query_time_read(const char *text, size_t len, int64_t *ret_wall_ns) {
    struct reader reader = {text, text + len};
    int year, month, day;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int64_t ns = 0;
    int64_t offset_s = 0;
    if (!take_digits(&reader, 4, YEAR_FIRST, YEAR_LAST, &year) || !take(&reader, '-') || !take_digits(&reader, 2, 1, 12, &month) ||
        !take(&reader, '-') || !take_digits(&reader, 2, 1, wr_calendar_days_in_month(year, month), &day))
        return false;
    if (reader.at < reader.end) {
        if (!take(&reader, 'T') && !take(&reader, ' '))
            return false;
        if (!take_digits(&reader, 2, 0, 23, &hour) || !take(&reader, ':') || !take_digits(&reader, 2, 0, 59, &minute))
            return false;
        if (take(&reader, ':')) {
            if (!take_digits(&reader, 2, 0, 60, &second)) /* a leap second is the first of the next minute */
                return false;
            if (take(&reader, '.') && !take_fraction(&reader, &ns))
                return false;
        }
        if (!take_zone(&reader, &offset_s))
            return false;
    }
    const int64_t seconds = wr_calendar_days(year, month, day) * WR_CALENDAR_DAY_S + hour * 3600 + minute * 60 + second - offset_s;
    *ret_wall_ns = seconds * WR_NS_PER_S + ns;
    return reader.at == reader.end;
}

/* -- in SQL -------------------------------------------------------------------------------------------------------------------------------- */

/* Times in their order, before them whatever is none, bytewise: so it is one order of all texts. */
static int compare(void *user, int a_len, const void *a, int b_len, const void *b) {
    int64_t a_ns;
    int64_t b_ns;
    (void)user;
    const bool a_is = wr_query_time_read(a, (size_t)a_len, &a_ns);
    const bool b_is = wr_query_time_read(b, (size_t)b_len, &b_ns);
    if (a_is && b_is)
        return (a_ns > b_ns) - (a_ns < b_ns);
    if (a_is != b_is)
        return a_is ? 1 : -1;
    const int order = memcmp(a, b, (size_t)(a_len < b_len ? a_len : b_len));
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

void wr_query_put_time(sqlite3_context *context, int64_t wall_ns) {
    char text[WR_QUERY_TIME_BYTES];
    const size_t len = wr_query_time_print(text, wall_ns);
    sqlite3_result_text(context, text, (int)len, SQLITE_TRANSIENT);
}

static void refuse(sqlite3_context *context, const char *function, sqlite3_value *value, const char *wanted) {
    char word[64];
    const char *text = (const char *)sqlite3_value_text(value);
    wr_error_escape(word, sizeof word, text ? text : "NULL", text ? (size_t)sqlite3_value_bytes(value) : 4);
    char *message = sqlite3_mprintf("%s: '%s' is no %s", function, word, wanted);
    if (message)
        sqlite3_result_error(context, message, -1);
    else
        sqlite3_result_error_nomem(context);
    sqlite3_free(message);
}

static bool duration_of(sqlite3_context *context, const char *function, sqlite3_value *value, int64_t *ret_ns) {
    const char *text = (const char *)sqlite3_value_text(value);
    if (text && wr_quantity_duration(text, ret_ns, NULL) == WR_OK && *ret_ns > 0)
        return true;
    refuse(context, function, value, "duration: write it as '90m', '2h' or '7d'");
    return false;
}

/* A text as a time, a number as ns. */
static bool time_of(sqlite3_context *context, const char *function, sqlite3_value *value, int64_t *ret_ns) {
    if (sqlite3_value_type(value) == SQLITE_INTEGER) {
        *ret_ns = sqlite3_value_int64(value);
        return true;
    }
    const char *text = (const char *)sqlite3_value_text(value);
    if (text && wr_query_time_read(text, (size_t)sqlite3_value_bytes(value), ret_ns))
        return true;
    refuse(context, function, value, "time: write it as '2026-03-02T08:00Z'");
    return false;
}

static void run_ago(sqlite3_context *context, int argc, sqlite3_value **argv) {
    const struct wr_query *query = sqlite3_user_data(context);
    int64_t ns;
    (void)argc;
    if (duration_of(context, "ago", argv[0], &ns))
        wr_query_put_time(context, wr_clock_add_ns(query->options->now_wall_ns, -ns));
}

static void run_bucket(sqlite3_context *context, int argc, sqlite3_value **argv) {
    int64_t length_ns;
    int64_t ns;
    (void)argc;
    if (!duration_of(context, "bucket", argv[0], &length_ns) || sqlite3_value_type(argv[1]) == SQLITE_NULL)
        return;
    if (!time_of(context, "bucket", argv[1], &ns))
        return;
    const int64_t rest = ns % length_ns;
    wr_query_put_time(context, wr_clock_add_ns(ns, rest < 0 ? -rest - length_ns : -rest));
}

static void run_time_ns(sqlite3_context *context, int argc, sqlite3_value **argv) {
    int64_t ns;
    (void)argc;
    if (sqlite3_value_type(argv[0]) != SQLITE_NULL && time_of(context, "time_ns", argv[0], &ns))
        sqlite3_result_int64(context, ns);
}

static void run_time_of(sqlite3_context *context, int argc, sqlite3_value **argv) {
    int64_t ns;
    (void)argc;
    if (sqlite3_value_type(argv[0]) != SQLITE_NULL && time_of(context, "time_of", argv[0], &ns))
        wr_query_put_time(context, ns);
}

int wr_query_time_register(struct wr_query *query) {
    static const struct {
        const char *name;
        int arguments;
        void (*run)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {{"ago", 1, run_ago}, {"bucket", 2, run_bucket}, {"time_ns", 1, run_time_ns}, {"time_of", 1, run_time_of}};
    int code = sqlite3_create_collation(query->db, "time", SQLITE_UTF8, NULL, compare);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && code == SQLITE_OK; i++)
        code = sqlite3_create_function_v2(query->db, functions[i].name, functions[i].arguments,
                                          SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, query, functions[i].run, NULL, NULL, NULL);
    return code;
}
