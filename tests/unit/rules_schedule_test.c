/* Schedules: what is read and refused; known days, also those on which clocks are set; memory and reads that fail. */
#include <errno.h>
#include <unistd.h>

#include "core/calendar.h"
#include "rules/compile/compiled.h"
#include "tests/support/failing.h"
#include "tests/support/rules_fixture.h"

/* Wall time of a UTC date and time. */
static int64_t utc(int year, int month, int day, int hour, int minute) {
    return (wr_calendar_days(year, month, day) * WR_CALENDAR_DAY_S + hour * 3600 + minute * 60) * FIXTURE_SECOND;
}

static struct wr_ruleset *load(const char *records) {
    char text[2048];
    snprintf(text, sizeof text, "schedules:\n%s", records);
    return fixture_load(text);
}

static const struct wr_schedule *schedule(const struct wr_ruleset *rules, const char *name) {
    const struct wr_schedule *found = wr_ruleset_schedule(rules, name, NULL);
    assert_non_null(found);
    return found;
}

/* The next n edges after from are these, and it is on between every second pair. */
static void edges(const struct wr_schedule *schedule, int64_t from, bool on, const int64_t *expected, size_t n) {
    int64_t at = from;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(wr_schedule_active(schedule, at), on);
        int64_t next = wr_schedule_next_edge(schedule, at);
        while (next < expected[i] && wr_schedule_active(schedule, next) == on) {
            assert_int_equal(next, at + WR_SCHEDULE_AHEAD_NS);
            at = next;
            next = wr_schedule_next_edge(schedule, at);
        }
        if (next != expected[i]) {
            char is[40];
            char should[40];
            fail_msg("edge %zu: %s, not %s", i, wr_clock_format(is, sizeof is, next), wr_clock_format(should, sizeof should, expected[i]));
        }
        assert_int_equal(wr_schedule_active(schedule, next - 1), on);
        assert_int_equal(wr_schedule_active(schedule, next), !on);
        at = next;
        on = !on;
    }
}

#define EDGES(schedule, from, on, ...)                                                                                                     \
    edges((schedule), (from), (on), (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* What a rule asks with each sample is looked up twice a day. */
static void the_answer_is_kept_until_the_next_edge(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "schedules:\n  - {name: other, tz: UTC, from: \"00:00\", to: \"01:00\"}\n  - {name: open, tz: UTC, from: \"06:00\", "
                     "to: \"18:00\"}\n"
                     "rules:\n  - {rule: load, when: p > 2, active: open, auto_ack: true}\n");
    const uint32_t p = fixture_series(&f, "p", "");
    int64_t from_ns = 0;
    unsigned lookups = 0;
    for (int i = 0; i < 4 * 1440; i++) { /* four days from 08:00 on, each minute */
        fixture_value(&f, p, 3);
        const int64_t minute = f.now.wall_ns / FIXTURE_MINUTE % 1440;
        assert_int_equal(fixture_state(&f, "load", ""), minute >= 6 * 60 && minute < 18 * 60 ? WR_ALARM_ACKED : WR_ALARM_NORMAL);
        const struct wr_schedule_answer *kept = &f.evaluator->scheduled[schedule(f.rules, "open")->index];
        lookups += kept->from_ns != from_ns;
        from_ns = kept->from_ns;
        fixture_pass(&f, FIXTURE_MINUTE);
    }
    assert_int_equal(lookups, 9); /* the first, and two edges a day */
    fixture_fini(&f);
}

static void a_night_belongs_to_the_day_on_which_it_begins(void **state) {
    (void)state;
    struct wr_ruleset *rules = load("  - {name: closed, tz: Europe/Riga, days: mon-fri, from: \"20:00\", to: \"06:00\"}\n");
    /* 2026-03-02 is a Monday; Riga is at +2. */
    EDGES(schedule(rules, "closed"), utc(2026, 3, 1, 12, 0), false, utc(2026, 3, 2, 18, 0), utc(2026, 3, 3, 4, 0), utc(2026, 3, 3, 18, 0),
          utc(2026, 3, 4, 4, 0), utc(2026, 3, 4, 18, 0), utc(2026, 3, 5, 4, 0), utc(2026, 3, 5, 18, 0), utc(2026, 3, 6, 4, 0),
          utc(2026, 3, 6, 18, 0), utc(2026, 3, 7, 4, 0), utc(2026, 3, 9, 18, 0));
    wr_ruleset_free(rules);
}

static void spans_of_one_name_add_up(void **state) {
    (void)state;
    struct wr_ruleset *rules = load("  - {name: closed, tz: UTC, days: mon-fri, from: \"20:00\", to: \"06:00\"}\n"
                                    "  - {name: closed, tz: UTC, days: \"sat, sun\"}\n"
                                    "  - {name: closed, tz: UTC, days: [MON], from: \"0:00\", to: \"6:00\"}\n");
    EDGES(schedule(rules, "closed"), utc(2026, 3, 6, 12, 0), false, utc(2026, 3, 6, 20, 0), utc(2026, 3, 9, 6, 0), utc(2026, 3, 9, 20, 0));
    wr_ruleset_free(rules);
}

static void days_on_which_clocks_are_set(void **state) {
    (void)state;
    struct wr_ruleset *rules = load("  - {name: a, tz: Europe/Riga, from: \"02:30\", to: \"03:30\"}\n"
                                    "  - {name: b, tz: Europe/Riga, from: \"03:30\", to: \"04:30\"}\n"
                                    "  - {name: c, tz: Europe/Riga, from: \"03:10\", to: \"03:50\"}\n"
                                    "  - {name: whole, tz: Europe/Riga, days: sun}\n");
    /* On 2026-03-29 the clock goes from 03:00 to 04:00, which is 01:00 UTC. */
    EDGES(schedule(rules, "a"), utc(2026, 3, 28, 12, 0), false, utc(2026, 3, 29, 0, 30), utc(2026, 3, 29, 1, 0), utc(2026, 3, 29, 23, 30));
    EDGES(schedule(rules, "b"), utc(2026, 3, 28, 12, 0), false, utc(2026, 3, 29, 1, 0), utc(2026, 3, 29, 1, 30), utc(2026, 3, 30, 0, 30));
    EDGES(schedule(rules, "c"), utc(2026, 3, 28, 12, 0), false, utc(2026, 3, 30, 0, 10)); /* it does not occur on that day */
    EDGES(schedule(rules, "whole"), utc(2026, 3, 28, 12, 0), false, utc(2026, 3, 28, 22, 0), utc(2026, 3, 29, 21, 0));
    /* On 2026-10-25 it goes from 04:00 back to 03:00, which is 01:00 UTC too: 03:30 is at 00:30 and at 01:30. */
    EDGES(schedule(rules, "a"), utc(2026, 10, 24, 12, 0), false, utc(2026, 10, 24, 23, 30), utc(2026, 10, 25, 0, 30),
          utc(2026, 10, 26, 0, 30));
    EDGES(schedule(rules, "b"), utc(2026, 10, 24, 12, 0), false, utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 2, 30),
          utc(2026, 10, 26, 1, 30));
    EDGES(schedule(rules, "whole"), utc(2026, 10, 24, 12, 0), false, utc(2026, 10, 24, 21, 0), utc(2026, 10, 25, 22, 0));
    wr_ruleset_free(rules);
}

static void dates_and_exceptions(void **state) {
    (void)state;
    struct wr_ruleset *rules =
        load("  - {name: open, tz: UTC, days: mon-fri, from: \"08:00\", to: \"16:00\", except: [\"12-24..01-01\", \"2027-01-04\"]}\n"
             "  - {name: feast, tz: UTC, dates: \"2026-12-24..2026-12-26, 02-29\"}\n");
    EDGES(schedule(rules, "open"), utc(2026, 12, 23, 9, 0), true, utc(2026, 12, 23, 16, 0), utc(2027, 1, 5, 8, 0), utc(2027, 1, 5, 16, 0));
    EDGES(schedule(rules, "feast"), utc(2026, 12, 1, 0, 0), false, utc(2026, 12, 24, 0, 0), utc(2026, 12, 27, 0, 0), utc(2028, 2, 29, 0, 0),
          utc(2028, 3, 1, 0, 0));
    wr_ruleset_free(rules);
}

static void a_schedule_that_never_ends(void **state) {
    (void)state;
    struct wr_ruleset *rules = load("  - {name: always, tz: Asia/Kolkata}\n"
                                    "  - {name: day, tz: UTC, days: wed, from: \"06:00\", to: \"06:00\"}\n");
    const struct wr_schedule *always = schedule(rules, "always");
    for (int64_t at = utc(2026, 1, 1, 0, 0); at < utc(2026, 3, 1, 0, 0); at += 7777 * FIXTURE_SECOND) {
        assert_true(wr_schedule_active(always, at));
        assert_int_equal(wr_schedule_next_edge(always, at), at + WR_SCHEDULE_AHEAD_NS);
    }
    EDGES(schedule(rules, "day"), utc(2026, 3, 3, 0, 0), false, utc(2026, 3, 4, 6, 0), utc(2026, 3, 5, 6, 0), utc(2026, 3, 11, 6, 0));
    (void)wr_schedule_active(always, INT64_MAX);
    assert_int_equal(wr_schedule_next_edge(always, INT64_MAX), INT64_MAX);
    (void)wr_schedule_next_edge(always, INT64_MIN);
    wr_ruleset_free(rules);
}

static void refused(const char *record, const char *expected) {
    char text[1024];
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_buf shown;
    struct wr_error err;
    snprintf(text, sizeof text, "schedules:\n  - %s\n", record);
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&shown, 0);
    assert_int_equal(wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &diagnostics, &rules, &err), WR_INVALID);
    assert_int_equal(wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &shown), WR_OK);
    if (!strstr(wr_buf_str(&shown), expected))
        fail_msg("%s\nsaid:\n%s\nexpected:\n%s", record, wr_buf_str(&shown), expected);
    wr_buf_fini(&shown);
    wr_diagnostics_fini(&diagnostics);
}

static void what_is_wrong_is_told(void **state) {
    (void)state;
    refused("{name: x}", "error W303");
    refused("{name: x y, tz: UTC}", "r.yaml:2:12: error W346: the name of a schedule is 1 to 63 letters, digits, _ - or .");
    refused("{name: x, tz: \"\"}", "W347: a time zone is UTC or Area/City");
    refused("{name: x, tz: Europe/Rigga}", "r.yaml:2:19: error W347: no time zone 'Europe/Rigga': did you mean 'Europe/Riga'?");
    refused("{name: x, tz: UTC, days: mon-fry}", "r.yaml:2:30: error W346: 'mon-fry' is no day of the week, and no range of them");
    refused("{name: x, tz: UTC, days: \"mon,,tue\"}", "'' is no day of the week");
    refused("{name: x, tz: UTC, from: 8}", "'8' is no time of day");
    refused("{name: x, tz: UTC, from: \"24:00\"}", "W346: '24:00' is no time of day");
    refused("{name: x, tz: UTC, to: \"24:01\"}", "the end of the day is \"24:00\"");
    refused("{name: x, tz: UTC, to: \"12:60\"}", "'12:60' is no time of day");
    refused("{name: x, tz: UTC, to: \"12:30:1\"}", "'12:30:1' is no time of day");
    refused("{name: x, tz: UTC, to: \"-1:30\"}", "'-1:30' is no time of day");
    refused("{name: x, tz: UTC, dates: \"2026-02-29\"}", "'2026-02-29' is no date, and no range of them");
    refused("{name: x, tz: UTC, dates: \"2026-02-27..2026-02-26\"}", "is no date");
    refused("{name: x, tz: UTC, dates: \"2026-02-27..02-28\"}", "is no date");
    refused("{name: x, tz: UTC, except: [\"02-30\", \"2\", \"2026-1-1\"]}", "'02-30' is no date");
    char many[900] = "{name: x, tz: UTC, dates: \"01-01";
    for (int i = 0; i < WR_SCHEDULE_DATES; i++)
        strcat(many, ", 01-01");
    refused(strcat(many, "\"}"), "more than 64 dates");
}

static void memory_and_reads_that_fail(void **state) {
    (void)state;
    static const char text[] = "schedules:\n  - {name: a, tz: Europe/Riga, dates: \"01-01\"}\n  - {name: b, tz: Asia/Gaza}\n";
    for (int io = 0; io < 2; io++)
        for (long n = 0;; n++) {
            struct wr_diagnostics diagnostics;
            struct wr_ruleset *rules = NULL;
            struct wr_error err;
            wr_diagnostics_init(&diagnostics);
            if (io)
                wr_failing_io(n, EIO);
            else
                wr_failing_allocations(n);
            const enum wr_result result = wr_ruleset_load_text("r.yaml", text, sizeof text - 1, NULL, &diagnostics, &rules, &err);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            assert_int_equal(result, !hit ? WR_OK : io ? WR_INVALID : WR_NO_MEMORY);
            if (hit && io)
                assert_non_null(strstr(diagnostics.list[0].message, "Input/output error"));
            wr_ruleset_free(rules);
            wr_diagnostics_fini(&diagnostics);
            if (!hit)
                break;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_kept_until_the_next_edge),
        cmocka_unit_test(a_night_belongs_to_the_day_on_which_it_begins),
        cmocka_unit_test(spans_of_one_name_add_up),
        cmocka_unit_test(days_on_which_clocks_are_set),
        cmocka_unit_test(dates_and_exceptions),
        cmocka_unit_test(a_schedule_that_never_ends),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(memory_and_reads_that_fail),
    };
    unsetenv("TZDIR");
    if (access("/usr/share/zoneinfo/Europe/Riga", R_OK) != 0) /* tests on other processors have no tzdata */
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
