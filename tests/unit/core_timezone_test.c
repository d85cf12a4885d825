/* Time zones against the C library, which knows one at a time, and against a search minute by minute. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/calendar.h"
#include "core/timezone.h"
#include "tests/support/failing.h"

static const char *const names[] = {"Europe/Riga",  "America/New_York", "Asia/Kolkata",     "Australia/Lord_Howe", "Africa/Casablanca",
                                    "Asia/Tehran",  "Europe/Dublin",    "Pacific/Apia",     "America/Sao_Paulo",   "Antarctica/Troll",
                                    "Asia/Gaza",    "Etc/GMT+5",        "Australia/Sydney", "America/Nuuk",        "America/Santiago",
                                    "Africa/Cairo", "Asia/Kathmandu",   "America/Caracas",  "Pacific/Chatham",     "Pacific/Kiritimati"};
#define N_NAMES (sizeof names / sizeof names[0])

static struct wr_timezone *open_zone(const char *name) {
    struct wr_timezone *zone = NULL;
    struct wr_error err = {0};
    if (wr_timezone_open(name, &zone, &err) != WR_OK)
        fail_msg("%s: %s", name, err.text);
    return zone;
}

static void offsets_agree_with_the_c_library(void **state) {
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        struct wr_timezone *zone = open_zone(names[i]);
        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t utc_s = -3000000000; utc_s < 5000000000; utc_s += 7654321) {
            struct tm local;
            const time_t moment = (time_t)utc_s;
            if (moment != utc_s)
                continue; /* more than the C library of this processor can tell */
            assert_non_null(localtime_r(&moment, &local));
            const struct wr_timezone_time shown = wr_timezone_local(zone, utc_s * 1000000000 + 999999999);
            assert_int_equal(shown.hour, local.tm_hour);
            assert_int_equal(shown.weekday, local.tm_wday == 0 ? 7 : local.tm_wday);
            if (wr_timezone_offset(zone, utc_s) != local.tm_gmtoff)
                fail_msg("%s at %lld: %d, the library says %ld", names[i], (long long)utc_s, wr_timezone_offset(zone, utc_s),
                         local.tm_gmtoff);
            const int64_t local_s = utc_s + local.tm_gmtoff;
            const int64_t back_s = wr_timezone_to_utc(zone, local_s);
            assert_true(back_s == utc_s || back_s + wr_timezone_offset(zone, back_s) == local_s);
        }
        wr_timezone_free(zone);
    }
    unsetenv("TZ");
    tzset();
}

/* Between one change and the next the C library sees the same offset everywhere; and the changes go on for ever where there is a rule. */
static void changes_are_where_the_c_library_sees_them(void **state) {
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        struct wr_timezone *zone = open_zone(names[i]);
        setenv("TZ", names[i], 1);
        tzset();
        const int64_t end_s = sizeof(time_t) > 4 ? 4700000000 : INT32_MAX; /* 2118 */
        int64_t from_s = 0;
        while (from_s < end_s) {
            const int64_t change_s = wr_timezone_next_change(zone, from_s);
            assert_true(change_s > from_s);
            const int64_t to_s = change_s < end_s ? change_s : end_s;
            for (int64_t utc_s = from_s; utc_s < to_s; utc_s += 1 + (to_s - from_s) / 7) {
                struct tm local;
                const time_t moment = (time_t)utc_s;
                assert_non_null(localtime_r(&moment, &local));
                assert_int_equal(local.tm_gmtoff, wr_timezone_offset(zone, from_s));
            }
            assert_int_equal(wr_timezone_offset(zone, to_s - 1), wr_timezone_offset(zone, from_s));
            from_s = to_s;
        }
        wr_timezone_free(zone);
    }
    unsetenv("TZ");
    tzset();
}

/* The model of wr_timezone_reaches: the clock on the wall is looked at every minute. */
static int64_t first_minute_that_shows(const struct wr_timezone *zone, int64_t local_s) {
    int64_t utc_s = local_s - 26 * 3600;
    while (utc_s + wr_timezone_offset(zone, utc_s) < local_s)
        utc_s += 60;
    return utc_s;
}

static void appointments_are_kept_around_each_change(void **state) {
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        struct wr_timezone *zone = open_zone(names[i]);
        int64_t change_s = 1262304000; /* 2010: offsets are whole minutes since */
        for (int n = 0; n < 12 && change_s != WR_TIMEZONE_NEVER_S; n++) {
            const int64_t about_s = change_s / 900 * 900 + wr_timezone_offset(zone, change_s);
            int64_t before_s = INT64_MIN;
            for (int64_t local_s = about_s - 3 * 3600; local_s <= about_s + 3 * 3600; local_s += 900) {
                const int64_t reached_s = wr_timezone_reaches(zone, local_s);
                assert_int_equal(reached_s, first_minute_that_shows(zone, local_s));
                assert_true(reached_s >= before_s);
                before_s = reached_s;
            }
            change_s = wr_timezone_next_change(zone, change_s);
        }
        wr_timezone_free(zone);
    }
    assert_int_equal(wr_timezone_reaches(NULL, 1234567), 1234567);
    assert_int_equal(wr_timezone_next_change(NULL, 0), WR_TIMEZONE_NEVER_S);
}

static void a_day_that_was_skipped_is_one_moment(void **state) {
    (void)state;
    struct wr_timezone *zone = open_zone("Pacific/Apia"); /* no 2011-12-30 there */
    const int64_t begin_s = wr_timezone_reaches(zone, wr_calendar_days(2011, 12, 30) * WR_CALENDAR_DAY_S);
    assert_int_equal(begin_s, wr_timezone_reaches(zone, wr_calendar_days(2011, 12, 31) * WR_CALENDAR_DAY_S));
    assert_int_equal(begin_s, wr_timezone_next_change(zone, begin_s - 1));
    wr_timezone_free(zone);
}

static void the_calendar_agrees_with_the_c_library(void **state) {
    (void)state;
    for (int64_t days = -200000; days < 200000; days += 37) {
        const time_t moment = (time_t)(days * WR_CALENDAR_DAY_S);
        struct tm utc;
        if (moment != days * WR_CALENDAR_DAY_S)
            continue;
        assert_non_null(gmtime_r(&moment, &utc));
        assert_int_equal(wr_calendar_year(days), utc.tm_year + 1900);
        assert_int_equal(wr_calendar_weekday(days), utc.tm_wday);
        assert_int_equal(wr_calendar_days(utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday), days);
    }
}

static void refused(const char *name, enum wr_result with, const char *said) {
    struct wr_timezone *zone = NULL;
    struct wr_error err = {0};
    assert_int_equal(wr_timezone_open(name, &zone, &err), with);
    if (!strstr(err.text, said))
        fail_msg("%s: %s", name, err.text);
}

static void a_wrong_name_gets_the_nearest(void **state) {
    (void)state;
    refused("../../../etc/passwd", WR_INVALID, "Area/City");
    refused("/etc/passwd", WR_INVALID, "Area/City");
    refused("Europe/Riga ", WR_INVALID, "Area/City");
    refused("Europe/Rigga", WR_NOT_FOUND, "did you mean 'Europe/Riga'?");
    refused("europe/riga", WR_NOT_FOUND, "did you mean 'Europe/Riga'?");
    refused("riga", WR_NOT_FOUND, "did you mean 'Europe/Riga'?");
    refused("Amerika/Argentina/Ushuaia", WR_NOT_FOUND, "did you mean 'America/Argentina/Ushuaia'?");
    refused("Europe/Atlantis_Beyond_The_Sea", WR_NOT_FOUND, "write UTC or Area/City");
    refused("Europe", WR_NOT_FOUND, "no time zone 'Europe'");
}

static void write_file(const char *path, const void *bytes, size_t len) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static size_t read_riga(uint8_t bytes[static 8192]) {
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Riga", "re");
    assert_non_null(file);
    const size_t len = fread(bytes, 1, 8192, file);
    fclose(file);
    return len;
}

static void tzdir_is_honoured(void **state) {
    (void)state;
    char directory[] = "/tmp/weir-zones-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(directory));
    setenv("TZDIR", directory, 1);
    refused("Europe/Riga", WR_NOT_FOUND, "install the package tzdata");
    uint8_t bytes[8192];
    const size_t len = read_riga(bytes);
    snprintf(path, sizeof path, "%s/Here", directory);
    write_file(path, bytes, len);
    refused("Europe/Riga", WR_NOT_FOUND, directory);
    struct wr_timezone *zone = open_zone("Here");
    assert_int_equal(wr_timezone_offset(zone, 1784116800), 10800);
    wr_timezone_free(zone);
    write_file(path, bytes, len / 2);
    refused("Here", WR_CORRUPT, path);
    unlink(path);
    mkfifo(path, 0600);
    refused("Here", WR_NOT_FOUND, "Here"); /* and does not wait for a writer */
    unlink(path);
    rmdir(directory);
    unsetenv("TZDIR");
}

static void damaged_zone_files_are_refused(void **state) {
    (void)state;
    struct wr_timezone *zone = NULL;
    struct wr_error err;
    assert_int_equal(wr_timezone_parse((const uint8_t *)"", 0, &zone, &err), WR_CORRUPT);
    assert_int_equal(wr_timezone_parse((const uint8_t *)"TZif2", 5, &zone, &err), WR_CORRUPT);
    uint8_t bytes[8192];
    const size_t len = read_riga(bytes);
    for (size_t cut = 0; cut < len; cut += 7)
        assert_int_equal(wr_timezone_parse(bytes, cut, &zone, &err), WR_CORRUPT);
    assert_int_equal(wr_timezone_parse(bytes, len, &zone, &err), WR_OK);
    wr_timezone_free(zone);
}

/* Two offsets, +1 h until 1970-01-02, then +2 h, in 32-bit times: what old tools write. */
static void files_of_version_1_are_read(void **state) {
    (void)state;
    uint8_t file[44 + 4 + 1 + 12 + 4] = "TZif";
    file[20 + 15] = 1; /* times */
    file[20 + 19] = 2; /* types */
    file[20 + 23] = 4; /* letters */
    const uint8_t data[] = {0, 1, 0x51, 0x80, 1, 0, 0, 0x0E, 0x10, 0, 0, 0, 0, 0x1C, 0x20, 1, 0};
    memcpy(file + 44, data, sizeof data);
    struct wr_timezone *zone;
    struct wr_error err = {0};
    assert_int_equal(wr_timezone_parse(file, sizeof file, &zone, &err), WR_OK);
    assert_int_equal(wr_timezone_offset(zone, 0), 3600);
    assert_int_equal(wr_timezone_offset(zone, 86399), 3600);
    assert_int_equal(wr_timezone_offset(zone, 86400), 7200);
    assert_int_equal(wr_timezone_next_change(zone, 0), 86400);
    assert_int_equal(wr_timezone_next_change(zone, 86400), WR_TIMEZONE_NEVER_S);
    wr_timezone_free(zone);
    uint8_t leaps[sizeof file + 8] = {0};
    memcpy(leaps, file, sizeof file);
    leaps[20 + 11] = 1;
    assert_int_equal(wr_timezone_parse(leaps, sizeof leaps, &zone, &err), WR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "leap seconds"));
}

static void memory_and_reads_that_fail(void **state) {
    (void)state;
    for (int io = 0; io < 2; io++)
        for (long n = 0;; n++) {
            struct wr_timezone *zone = NULL;
            struct wr_error err;
            if (io)
                wr_failing_io(n, EIO);
            else
                wr_failing_allocations(n);
            const enum wr_result result = wr_timezone_open("Europe/Riga", &zone, &err);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            assert_int_equal(result, hit ? (io ? WR_IO : WR_NO_MEMORY) : WR_OK);
            wr_timezone_free(zone);
            if (!hit)
                break;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_calendar_agrees_with_the_c_library),
        cmocka_unit_test(files_of_version_1_are_read),
        cmocka_unit_test(offsets_agree_with_the_c_library),
        cmocka_unit_test(changes_are_where_the_c_library_sees_them),
        cmocka_unit_test(appointments_are_kept_around_each_change),
        cmocka_unit_test(a_day_that_was_skipped_is_one_moment),
        cmocka_unit_test(a_wrong_name_gets_the_nearest),
        cmocka_unit_test(tzdir_is_honoured),
        cmocka_unit_test(damaged_zone_files_are_refused),
        cmocka_unit_test(memory_and_reads_that_fail),
    };
    const struct CMUnitTest plain[] = {tests[0], tests[1]};
    unsetenv("TZDIR");
    if (access("/usr/share/zoneinfo/Europe/Riga", R_OK) != 0) /* only what needs no tzdata */
        return cmocka_run_group_tests(plain, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
