/* The log: both formats, escaping, cutting, silence. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/utf8.h"
#include "tests/support/failing.h"

static int ends[2];
static char got[4 * WR_LOG_LINE_BYTES];

static int begin(void **state) {
    (void)state;
    return pipe(ends);
}

static int end(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_INFO, WR_LOG_LOGFMT, 2);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* What was written since, without the time, which is checked for its form. */
static const char *line(void) {
    ssize_t len = read(ends[0], got, sizeof got - 1);
    assert_true(len > 0);
    got[len] = '\0';
    assert_true(got[len - 1] == '\n');
    got[len - 1] = '\0';
    bool json = got[0] == '{';
    const char *time = got + strlen(json ? "{\"time\":\"" : "time=");
    assert_true(strncmp(got, json ? "{\"time\":\"" : "time=", (size_t)(time - got)) == 0);
    static const char form[] = "0000-00-00T00:00:00.000Z";
    for (size_t i = 0; i < sizeof form - 1; i++)
        assert_true(form[i] == '0' ? time[i] >= '0' && time[i] <= '9' : time[i] == form[i]);
    const char *rest = time + sizeof form - 1;
    return rest + (json ? 2 : 1);
}

static void nothing_written(void) {
    /* A mark behind it is the first thing there. */
    assert_int_equal(write(ends[1], "mark", 4), 4);
    char mark[8] = "";
    assert_int_equal(read(ends[0], mark, sizeof mark), 4);
    assert_string_equal(mark, "mark");
}

static void logfmt(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_INFO, WR_LOG_LOGFMT, ends[1]);
    WR_LOG(WR_LOG_INFO, "line", "ready");
    assert_string_equal(line(), "level=info component=line msg=ready");
    WR_LOG_WITH(WR_LOG_WARN, "line", "client connected", WR_LOG_STR("peer", "1.2.3.4:5"), WR_LOG_INT("clients", -3),
                WR_LOG_NUM("load", 0.25), WR_LOG_NUM("nothing", NAN), WR_LOG_STR("empty", ""), WR_LOG_STR("null", NULL));
    assert_string_equal(line(), "level=warn component=line msg=\"client connected\" peer=1.2.3.4:5 clients=-3 load=0.25 nothing=null "
                                "empty=\"\" null=\"\"");
    struct wr_error err;
    assert_int_equal(wr_error_set(&err, WR_IO, "no such file"), WR_IO);
    WR_LOG_WITH(WR_LOG_ERROR, "config", "refused", WR_LOG_ERR(&err));
    assert_string_equal(line(), "level=error component=config msg=refused error=\"no such file\"");
}

static void json(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_DEBUG, WR_LOG_JSON, ends[1]);
    WR_LOG_WITH(WR_LOG_DEBUG, "line", "client \"x\"", WR_LOG_STR("peer", "a"), WR_LOG_INT("n", INT64_MIN), WR_LOG_NUM("d", 1.5),
                WR_LOG_NUM("inf", INFINITY));
    assert_string_equal(line(), "\"level\":\"debug\",\"component\":\"line\",\"msg\":\"client \\\"x\\\"\",\"peer\":\"a\","
                                "\"n\":-9223372036854775808,\"d\":1.5,\"inf\":null}");
}

static void nothing_from_outside_forges_a_line(void **state) {
    (void)state;
    const char *evil = "x\nlevel=error msg=\"\\\x1b[2J\x7F\xC2\x9B\xFF";
    wr_log_configure(WR_LOG_INFO, WR_LOG_LOGFMT, ends[1]);
    WR_LOG_WITH(WR_LOG_INFO, "line", "bad", WR_LOG_STR("text", evil));
    assert_string_equal(line(), "level=info component=line msg=bad "
                                "text=\"x\\nlevel=error msg=\\\"\\\\\\u001b[2J\\u007f\\u009b\xEF\xBF\xBD\"");
    wr_log_configure(WR_LOG_INFO, WR_LOG_JSON, ends[1]);
    WR_LOG_WITH(WR_LOG_INFO, "line", "bad", WR_LOG_STR("text", evil));
    assert_string_equal(line(), "\"level\":\"info\",\"component\":\"line\",\"msg\":\"bad\","
                                "\"text\":\"x\\nlevel=error msg=\\\"\\\\\\u001b[2J\\u007f\\u009b\xEF\xBF\xBD\"}");
}

static void the_level_decides(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_WARN, WR_LOG_LOGFMT, ends[1]);
    assert_false(wr_log_enabled(WR_LOG_INFO));
    assert_true(wr_log_enabled(WR_LOG_WARN));
    WR_LOG(WR_LOG_INFO, "line", "quiet");
    nothing_written();
    enum wr_log_level level = WR_LOG_ERROR;
    assert_int_equal(wr_log_level_parse("debug", &level, NULL), WR_OK);
    assert_int_equal(level, WR_LOG_DEBUG);
    assert_int_equal(wr_log_level_parse("error", &level, NULL), WR_OK);
    assert_int_equal(level, WR_LOG_ERROR);
    struct wr_error err;
    assert_int_equal(wr_log_level_parse("loud", &level, &err), WR_INVALID);
    assert_string_equal(err.text, "'loud' is no log level: write debug, info, warn or error");
}

static void long_lines_are_cut_whole(void **state) {
    (void)state;
    char text[3 * WR_LOG_LINE_BYTES];
    for (int format = WR_LOG_LOGFMT; format <= WR_LOG_JSON; format++)
        for (size_t fill = 1850; fill < 2100; fill++) {
            static struct wr_log_site sites[2][300];
            struct wr_log_site *site = &sites[format][fill - 1850];
            wr_log_configure(WR_LOG_INFO, (enum wr_log_format)format, ends[1]);
            memset(text, 'x', fill);
            memcpy(text + fill, "\n\xE2\x82\xAC\n\n\xE2\x82\xAC", 10); /* escapes and characters at the edge */
            struct wr_log_value values[] = {WR_LOG_STR("text", text), WR_LOG_INT("n", INT64_MIN), WR_LOG_STR("more", text)};
            atomic_store(&site->suppressed, UINT32_MAX);
            wr_log_write(site, WR_LOG_INFO, "line", "cut", values, 3);
            const char *rest = line();
            size_t len = strlen(got);
            assert_true(len < WR_LOG_LINE_BYTES);
            assert_non_null(strstr(rest, "suppressed"));
            for (size_t at = 0; at < len;) {
                size_t character = wr_utf8_length(got + at, len - at);
                assert_true(character > 0 && (unsigned char)got[at] >= 0x20);
                at += character;
            }
            /* Whole: an even number of quotes, and the end of the format. */
            size_t quotes = 0;
            for (size_t at = 0; at < len; at++)
                quotes += got[at] == '"' && got[at - 1] != '\\';
            assert_int_equal(quotes % 2, 0);
            if (format == WR_LOG_JSON)
                assert_string_equal(got + len - strlen(",\"suppressed\":4294967295}"), ",\"suppressed\":4294967295}");
        }
}

static void a_busy_site_is_silenced(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_INFO, WR_LOG_LOGFMT, ends[1]);
    static struct wr_log_site site;
    for (int i = 0; i < WR_LOG_BURST; i++) {
        wr_log_write(&site, WR_LOG_INFO, "line", "again", NULL, 0);
        assert_string_equal(line(), "level=info component=line msg=again");
    }
    atomic_store(&site.limiter.full_ns, INT64_C(1) << 60); /* empty, and nothing comes in while this runs */
    for (int i = 0; i < 5; i++)
        wr_log_write(&site, WR_LOG_INFO, "line", "again", NULL, 0);
    nothing_written();
    static struct wr_log_site other;
    wr_log_write(&other, WR_LOG_INFO, "line", "another place", NULL, 0);
    assert_string_equal(line(), "level=info component=line msg=\"another place\"");
    atomic_store(&site.limiter.full_ns, 0); /* time has passed */
    wr_log_write(&site, WR_LOG_INFO, "line", "again", NULL, 0);
    assert_string_equal(line(), "level=info component=line msg=again suppressed=5");
    wr_log_write(&site, WR_LOG_INFO, "line", "again", NULL, 0);
    assert_string_equal(line(), "level=info component=line msg=again");
}

/* However fast it goes: at first a burst, then no more than the rate. */
static void a_flood_comes_through_at_the_rate(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_INFO, WR_LOG_LOGFMT, ends[1]);
    static struct wr_log_site site;
    const int64_t began_ns = wr_clock_boot_ns(wr_clock_real());
    for (int i = 0; i < 100000; i++)
        wr_log_write(&site, WR_LOG_INFO, "line", "again", NULL, 0);
    const int64_t took_ns = wr_clock_boot_ns(wr_clock_real()) - began_ns;
    const uint32_t told = 100000 - atomic_load(&site.suppressed);
    assert_true(told >= WR_LOG_BURST);
    assert_true(told <= WR_LOG_BURST + took_ns / (WR_LOG_WINDOW_S * WR_NS_PER_S / WR_LOG_BURST) + 1);
}

static void without_a_site_nothing_is_silenced(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_INFO, WR_LOG_LOGFMT, ends[1]);
    for (int i = 0; i < 2 * WR_LOG_BURST; i++) {
        wr_log_write(NULL, WR_LOG_INFO, "alarm", "alarm", NULL, 0);
        assert_string_equal(line(), "level=info component=alarm msg=alarm");
    }
}

static void a_failing_descriptor_is_no_matter(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_INFO, WR_LOG_LOGFMT, ends[1]);
    wr_failing_io(0, EAGAIN);
    errno = ENOENT;
    WR_LOG(WR_LOG_INFO, "line", "lost");
    assert_int_equal(errno, ENOENT);
    assert_true(wr_failing_hit());
    wr_failing_off();
    nothing_written();
}

static void it_writes_once_and_allocates_nothing(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_INFO, WR_LOG_LOGFMT, ends[1]);
    wr_failing_off(); /* counts from here */
    WR_LOG_WITH(WR_LOG_INFO, "line", "one", WR_LOG_NUM("d", 1.0 / 3), WR_LOG_STR("s", "two words"));
    assert_int_equal(wr_failing_count(), 1);
    line();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(logfmt, begin, end),
        cmocka_unit_test_setup_teardown(json, begin, end),
        cmocka_unit_test_setup_teardown(nothing_from_outside_forges_a_line, begin, end),
        cmocka_unit_test_setup_teardown(the_level_decides, begin, end),
        cmocka_unit_test_setup_teardown(long_lines_are_cut_whole, begin, end),
        cmocka_unit_test_setup_teardown(a_busy_site_is_silenced, begin, end),
        cmocka_unit_test_setup_teardown(a_flood_comes_through_at_the_rate, begin, end),
        cmocka_unit_test_setup_teardown(without_a_site_nothing_is_silenced, begin, end),
        cmocka_unit_test_setup_teardown(a_failing_descriptor_is_no_matter, begin, end),
        cmocka_unit_test_setup_teardown(it_writes_once_and_allocates_nothing, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
