/* Time stamps and zones. The expected seconds are those of date(1) with the same zone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/time_format.h"
#include "core/clock.h"
#include "core/timezone.h"

#define NOT_ONE INT64_MIN

static int64_t read_as(const char *format, const char *tz, const char *text) {
    struct wr_time_format time_format;
    struct wr_error err = {0};
    if (wr_time_format_init(&time_format, format, tz, &err) != WR_OK)
        fail_msg("%s", err.text);
    int64_t ns = 0;
    const bool good = wr_time_format_read(&time_format, text, strlen(text), &ns);
    wr_time_format_fini(&time_format);
    return good ? ns : NOT_ONE;
}

#define S(seconds) (INT64_C(seconds) * WR_NS_PER_S)

static void rfc3339(void **state) {
    (void)state;
    assert_int_equal(read_as(NULL, NULL, "2015-02-02T14:19:00Z"), S(1422886740));
    assert_int_equal(read_as(NULL, NULL, "2015-02-02 14:19:00"), S(1422886740));
    assert_int_equal(read_as(NULL, NULL, "2015-02-02 14:19"), S(1422886740));
    assert_int_equal(read_as(NULL, NULL, "2015-02-02"), S(1422835200));
    assert_int_equal(read_as(NULL, NULL, "2015-02-02T14:19:00.123456789+02:00"), S(1422879540) + 123456789);
    assert_int_equal(read_as(NULL, NULL, "2015-02-02T14:19:00,5-0130"), S(1422892140) + 500000000);
    assert_int_equal(read_as(NULL, NULL, "2015-02-02 14:19:00.1234567891"), S(1422886740) + 123456789);
    assert_int_equal(read_as(NULL, NULL, "1969-12-31T23:59:59Z"), S(-1));
    assert_int_equal(read_as(NULL, NULL, "2016-12-31T23:59:60Z"), S(1483228800));
    static const char *const wrong[] = {"",
                                        "2015",
                                        "2015-2-2",
                                        "2015-02-30",
                                        "2015-13-01",
                                        "2015-00-01",
                                        "2015-02-02T24:00:00Z",
                                        "2015-02-02T14:60:00Z",
                                        "2015-02-02T14:19:00Zx",
                                        "2015-02-02T14:19:00.Z",
                                        "2015-02-02T",
                                        "15-02-02 14:19",
                                        "2300-01-01",
                                        "1500-01-01",
                                        "x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (read_as(NULL, NULL, wrong[i]) != NOT_ONE)
            fail_msg("taken: %s", wrong[i]);
    assert_int_equal(read_as(NULL, NULL, "2016-02-29"), S(1456704000));
    assert_int_equal(read_as(NULL, NULL, "1900-02-29"), NOT_ONE);
}

static void numbers_since_1970(void **state) {
    (void)state;
    assert_int_equal(read_as("s", NULL, "1700000000"), S(1700000000));
    assert_int_equal(read_as("s", NULL, "1700000000.25"), S(1700000000) + 250000000);
    assert_int_equal(read_as("s", NULL, "-1.5"), -1500000000);
    assert_int_equal(read_as("ms", NULL, "1700000000123"), S(1700000000) + 123000000);
    assert_int_equal(read_as("ms", NULL, "1.0000019"), 1000001);
    assert_int_equal(read_as("us", NULL, "7"), 7000);
    assert_int_equal(read_as("ns", NULL, "9223372036854775807"), INT64_MAX);
    assert_int_equal(read_as("ns", NULL, "9223372036854775808"), NOT_ONE);
    assert_int_equal(read_as("s", NULL, "9223372037"), NOT_ONE);
    assert_int_equal(read_as("s", NULL, "1x"), NOT_ONE);
    assert_int_equal(read_as("s", NULL, "1."), NOT_ONE);
    assert_int_equal(read_as("s", NULL, "-"), NOT_ONE);
}

static void patterns(void **state) {
    (void)state;
    assert_int_equal(read_as("%d/%m/%Y %H.%M.%S", NULL, "10/03/2004 18.00.00"), S(1078941600));
    assert_int_equal(read_as("%d/%m/%Y %H.%M.%S", NULL, "10/03/2004 18.00.00.5"), S(1078941600) + 500000000);
    assert_int_equal(read_as("%b %d %Y %I:%M:%S %p", NULL, "Mar 10 2004 06:00:00 PM"), S(1078941600));
    assert_int_equal(read_as("%B %e, %Y %I %p", NULL, "March  1, 2004 12 am"), S(1078099200));
    assert_int_equal(read_as("%y%m%dT%H%M%S", NULL, "040310T180000"), S(1078941600));
    assert_int_equal(read_as("%Y-%j", NULL, "2004-070"), S(1078876800));
    assert_int_equal(read_as("%Y-%j", NULL, "2003-366"), NOT_ONE);
    assert_int_equal(read_as("%F %T.%f%z", NULL, "2004-03-10 18:00:00.000000001+0100"), NOT_ONE); /* %S took the fraction */
    assert_int_equal(read_as("%F %H:%M,%f%z", NULL, "2004-03-10 18:00,25+0100"), S(1078938000) + 250000000);
    assert_int_equal(read_as("%s", NULL, "1078941600"), S(1078941600));
    assert_int_equal(read_as("%s", "Europe/Riga", "1078941600"), S(1078941600));
    assert_int_equal(read_as("%D %R %Z", "Europe/Riga", "03/10/04 18:00 UTC"), S(1078941600));
    assert_int_equal(read_as("%Y%%%m", NULL, "2004%03"), S(1078099200));
    assert_int_equal(read_as("%d.%m.%Y", NULL, "31.04.2004"), NOT_ONE);
    assert_int_equal(read_as("%d.%m.%Y", NULL, "30.04.2004x"), NOT_ONE);
    assert_int_equal(read_as("%I %p", NULL, "13 PM"), NOT_ONE);
    struct wr_time_format format;
    struct wr_error err;
    assert_int_equal(wr_time_format_init(&format, "%Y %q", NULL, &err), WR_INVALID);
    assert_int_equal(wr_time_format_init(&format, "trailing %", NULL, &err), WR_INVALID);
    assert_int_equal(wr_time_format_init(&format, "seconds", NULL, &err), WR_INVALID);
}

static bool no_tzdata(void) {
    struct wr_timezone *zone;
    struct wr_error err;
    if (wr_timezone_open("Europe/Riga", &zone, &err) != WR_OK)
        return true;
    wr_timezone_free(zone);
    return false;
}

static void zones(void **state) {
    (void)state;
    if (no_tzdata())
        skip();
    assert_int_equal(read_as(NULL, "Europe/Riga", "2026-01-15 12:00:00"), S(1768471200));
    assert_int_equal(read_as(NULL, "Europe/Riga", "2026-07-15 12:00:00"), S(1784106000));
    assert_int_equal(read_as(NULL, "Europe/Riga", "2026-07-15 12:00:00Z"), S(1784116800)); /* its own offset goes before */
    assert_int_equal(read_as(NULL, "Asia/Kolkata", "2026-07-15 12:00:00"), S(1784097000));
    assert_int_equal(read_as(NULL, "America/New_York", "2026-07-15 12:00:00"), S(1784131200));
    /* Far beyond the last transition in the file: the rule at its end. */
    assert_int_equal(read_as(NULL, "Europe/Riga", "2100-07-15 12:00:00"), S(4119325200));
    assert_int_equal(read_as(NULL, "Australia/Sydney", "2100-01-15 12:00:00"), S(4103658000));
    /* Clocks go back at 04:00 on 2026-10-25: 03:30 comes twice, the first is meant. Forward on 03-29: 03:30 does not exist. */
    assert_int_equal(read_as(NULL, "Europe/Riga", "2026-10-25 03:30:00"), S(1792888200));
    assert_int_equal(read_as(NULL, "Europe/Riga", "2026-10-25 04:30:00"), S(1792895400));
    assert_int_equal(read_as(NULL, "Europe/Riga", "2026-03-29 02:59:59"), S(1774745999));
    assert_int_equal(read_as(NULL, "Europe/Riga", "2026-03-29 03:30:00"), S(1774747800));
    assert_int_equal(read_as(NULL, "Europe/Riga", "2026-03-29 04:00:00"), S(1774746000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3339),
        cmocka_unit_test(numbers_since_1970),
        cmocka_unit_test(patterns),
        cmocka_unit_test(zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
