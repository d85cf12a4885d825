/* The line protocol: exact values, escapes, where errors are, and that no split of the bytes changes anything. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/line.h"
#include "tests/support/collect.h"
#include "tests/support/failing.h"

static struct wr_line_parser parser;
static struct wr_collect collect;

static int set_up(void **state) {
    (void)state;
    wr_line_parser_init(&parser, WR_PRECISION_NS, 65536);
    wr_collect_init(&collect);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_line_parser_fini(&parser);
    wr_collect_fini(&collect);
    return 0;
}

static const char *read_all(const char *text) {
    wr_collect_clear(&collect);
    wr_collect_feed(&collect, wr_codec_stream_feed_line, &parser, text, strlen(text), SIZE_MAX, 0);
    return wr_buf_str(&collect.text);
}

#define R(field, value, type)                                                                                                              \
    "{\"measurement\":\"m\",\"field\":\"" field "\",\"tags\":{},\"time_ns\":1,\"value\":" value ",\"type\":\"" type                        \
    "\",\"quality\":\"good\"}\n"

static void values_of_every_type(void **state) {
    (void)state;
    assert_string_equal(read_all("m f=1.5,i=-12i,u=12u,b=true,s=\"text\" 1\n"),
                        R("f", "1.5", "float") R("i", "-12", "int") R("u", "12", "uint") R("b", "true", "bool")
                            R("s", "\"text\"", "string"));
}

static void booleans_in_all_spellings(void **state) {
    (void)state;
    assert_string_equal(read_all("m a=t,b=T,c=true,d=True,e=TRUE 1\n"),
                        R("a", "true", "bool") R("b", "true", "bool") R("c", "true", "bool") R("d", "true", "bool") R("e", "true", "bool"));
    assert_string_equal(read_all("m a=f,b=F,c=false,d=False,e=FALSE 1\n"),
                        R("a", "false", "bool") R("b", "false", "bool") R("c", "false", "bool") R("d", "false", "bool")
                            R("e", "false", "bool"));
    read_all("m a=tRUE 1\nm a=truex 1\nm a=y 1\n");
    assert_int_equal(collect.refusals, 3);
    assert_int_equal(collect.readings, 0);
}

static void integers_are_exact_to_the_last_bit(void **state) {
    (void)state;
    assert_string_equal(read_all("m a=9223372036854775807i,b=-9223372036854775808i,c=18446744073709551615u,d=9007199254740993i,e=+7i 1\n"),
                        R("a", "9223372036854775807", "int") R("b", "-9223372036854775808", "int") R("c", "18446744073709551615", "uint")
                            R("d", "9007199254740993", "int") R("e", "7", "int"));
    assert_string_equal(read_all("m a=9223372036854775808i 1\nm a=-1u 1\nm a=1.0i 1\nm a=1e2i 1\nm a=12.i 1\n"),
                        "!1:5 rejected(syntax): not a 64-bit integer at '9223372036854775808i 1'\n"
                        "!2:5 rejected(syntax): not an unsigned 64-bit integer at '-1u 1'\n"
                        "!3:5 rejected(syntax): not a 64-bit integer at '1.0i 1'\n"
                        "!4:5 rejected(syntax): not a 64-bit integer at '1e2i 1'\n"
                        "!5:5 rejected(syntax): not a 64-bit integer at '12.i 1'\n");
}

static void floats_are_the_nearest_doubles(void **state) {
    (void)state;
    assert_string_equal(read_all("m a=0.1,b=1e3,c=-2.5E-3,d=123456789.123456789,e=.5,f=5.,g=+1,h=1e22,i=1e23 1\n"),
                        R("a", "0.1", "float") R("b", "1000", "float") R("c", "-0.0025", "float") R("d", "123456789.12345679", "float")
                            R("e", "0.5", "float") R("f", "5", "float") R("g", "1", "float") R("h", "1e+22", "float")
                                R("i", "1e+23", "float"));
    /* 9007199254740993 lies between two doubles; long texts are rounded once, too. */
    assert_string_equal(
        read_all("m a=9007199254740993,b=0.1000000000000000055511151231257827021181583404541015625,c=2.2250738585072014e-308,"
                 "d=1.7976931348623157e308,e=5e-324 1\n"),
        R("a", "9007199254740992", "float") R("b", "0.1", "float") R("c", "2.2250738585072014e-308", "float")
            R("d", "1.7976931348623157e+308", "float") R("e", "5e-324", "float"));
}

static void decimals_are_as_the_sensor_wrote_them(void **state) {
    (void)state;
    read_all("m a=12.340,b=7,c=1e2,d=0.123456789012345,e=1234567890123456.7,f=0.00476416302416414,g=-0.5,h=3i,i=t,j=999999999999999,"
             "k=1000000000000000,l=1.,m=00012.5 1\n");
    assert_string_equal(wr_buf_str(&collect.decimals), "30-f--1--0-01");
}

static void not_a_number_and_infinity_are_bad_readings(void **state) {
    (void)state;
    read_all("m a=nan,b=NaN,c=-nan,d=inf,e=+Inf,f=-INFINITY,g=1e400 1\n");
    assert_int_equal(collect.readings, 7);
    assert_int_equal(collect.refusals, 0);
    const char *p = wr_buf_str(&collect.text);
    for (int i = 0; i < 7; i++) {
        p = strstr(p, "\"value\":null,\"type\":\"float\",\"quality\":\"bad\"");
        assert_non_null(p);
        p++;
    }
    read_all("m a=nano 1\nm a=infinit 1\nm a=n 1\n");
    assert_int_equal(collect.refusals, 3);
}

static void escapes(void **state) {
    (void)state;
    assert_string_equal(
        read_all("a\\,b\\ c\\=d\\\\e,t\\,1=v\\=1,t\\ 2=\\\\ fi\\=e\\,l\\ d=1 1\n"),
        "{\"measurement\":\"a,b c=d\\\\e\",\"field\":\"fi=e,l d\",\"tags\":{\"t 2\":\"\\\\\",\"t,1\":\"v=1\"},\"time_ns\":1,\"value\":1,"
        "\"type\":\"float\",\"quality\":\"good\"}\n");
    /* Before any other character a backslash is itself. */
    assert_string_equal(read_all("m,path=C:\\temp f=1 1\n"),
                        "{\"measurement\":\"m\",\"field\":\"f\",\"tags\":{\"path\":\"C:\\\\temp\"},\"time_ns\":1,\"value\":1,"
                        "\"type\":\"float\",\"quality\":\"good\"}\n");
    assert_string_equal(read_all("m a=\"say \\\"hi\\\", \\\\ and \\n\",b=\"a,b=c d\",c=\"\" 1\n"),
                        R("a", "\"say \\\"hi\\\", \\\\ and \\\\n\"", "string") R("b", "\"a,b=c d\"", "string") R("c", "\"\"", "string"));
}

static void tags_are_sorted_and_utf8_passes(void **state) {
    (void)state;
    assert_string_equal(read_all("m\xC3\xA9,z=1,a=\xF0\x9F\x98\x80,b=3 v=1 1\n"),
                        "{\"measurement\":\"m\xC3\xA9\",\"field\":\"v\",\"tags\":{\"a\":\"\xF0\x9F\x98\x80\",\"b\":\"3\",\"z\":\"1\"},"
                        "\"time_ns\":1,\"value\":1,"
                        "\"type\":\"float\",\"quality\":\"good\"}\n");
}

static void comments_empty_lines_and_spaces(void **state) {
    (void)state;
    assert_string_equal(read_all("# m v=1\n\n\r\n   \n  # x\n  m   v=1   1  \nm v=2 1\r\nm v=3 1"),
                        R("v", "1", "float") R("v", "2", "float") R("v", "3", "float"));
    assert_string_equal(read_all("# the last line is a comment"), "");
    read_all("m v=1\r\n");
    assert_int_equal(collect.readings, 1);
}

static void time_stamps(void **state) {
    (void)state;
    read_all("m v=1\nm v=1 -5\nm v=1 1700000000000000000\nm v=1 9223372036854775807\nm v=1 0\n");
    assert_int_equal(collect.readings, 5);
    assert_non_null(strstr(wr_buf_str(&collect.text), "\"time_ns\":null"));
    assert_non_null(strstr(wr_buf_str(&collect.text), "\"time_ns\":-5"));
    assert_non_null(strstr(wr_buf_str(&collect.text), "\"time_ns\":1700000000000000000"));
    assert_non_null(strstr(wr_buf_str(&collect.text), "\"time_ns\":9223372036854775807"));
    assert_string_equal(read_all("m v=1 9223372036854775808\nm v=1 1.5\nm v=1 x\nm v=1 1 2\nm v=1 -\nm v=1 12345678901234567890123\n"),
                        "!1:7 rejected(time): time stamp out of range (is the precision right?) at '9223372036854775808'\n"
                        "!2:7 rejected(time): not a time stamp at '1.5'\n"
                        "!3:7 rejected(time): not a time stamp at 'x'\n"
                        "!4:9 rejected(syntax): text behind the time stamp at '2'\n"
                        "!5:7 rejected(time): not a time stamp at '-'\n"
                        "!6:7 rejected(time): not a time stamp at '12345678901234567890123'\n");
}

static void precision_scales_stamps(void **state) {
    (void)state;
    const struct {
        enum wr_precision precision;
        const char *text;
    } cases[] = {{WR_PRECISION_S, "m v=1 17\n"},
                 {WR_PRECISION_MS, "m v=1 17000\n"},
                 {WR_PRECISION_US, "m v=1 17000000\n"},
                 {WR_PRECISION_NS, "m v=1 17000000000\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wr_line_parser_fini(&parser);
        wr_line_parser_init(&parser, cases[i].precision, 65536);
        assert_non_null(strstr(read_all(cases[i].text), "\"time_ns\":17000000000,"));
    }
    wr_line_parser_init(&parser, WR_PRECISION_S, 65536);
    assert_string_equal(read_all("m v=1 1700000000000\n"),
                        "!1:7 rejected(time): time stamp out of range (is the precision right?) at '1700000000000'\n");
}

static void errors_have_a_place_and_quote_the_text(void **state) {
    (void)state;
    assert_string_equal(
        read_all("m\nm v\nm v=\nm v=1,\nm v=1,=2\nm =1\n,a=1 v=1\nm,a v=1\nm,a= v=1\nm,=1 v=1\nm, v=1\nm,a=1,a=2 v=1\nm,a=1=2 v=1\n"
                 "m v=\"x\nm v=\"x\"y\nm v=1x\nm v=1 1\n"),
        "!1:2 rejected(syntax): no fields at the end of the line\n"
        "!2:3 rejected(syntax): no fields at 'v'\n"
        "!3:5 rejected(syntax): missing value at the end of the line\n"
        "!4:7 rejected(syntax): expected field=value at the end of the line\n"
        "!5:7 rejected(syntax): missing field name at '=2'\n"
        "!6:3 rejected(syntax): missing field name at '=1'\n"
        "!7:1 rejected(syntax): missing measurement at ',a=1'\n"
        "!8:3 rejected(syntax): expected tag=value at 'a'\n"
        "!9:3 rejected(syntax): tag without a value at 'a='\n"
        "!10:3 rejected(syntax): expected tag=value at '=1'\n"
        "!11:3 rejected(syntax): expected tag=value at the end of the tags\n"
        "!12:7 rejected(syntax): tag twice at 'a=2'\n"
        "!13:3 rejected(syntax): '=' in a tag value needs a backslash at 'a=1=2'\n"
        "!14:5 rejected(syntax): text without closing quote at '\"x'\n"
        "!15:8 rejected(syntax): expected a comma or a space behind the closing quote at 'y'\n"
        "!16:5 rejected(syntax): not a number at '1x'\n" R("v", "1", "float"));
}

static void a_line_is_taken_or_refused_whole(void **state) {
    (void)state;
    assert_string_equal(read_all("m a=1,b=x,c=3 1\nm c=4 1\n"),
                        "!1:9 rejected(syntax): not a value (text needs quotes) at 'x,c=3 1'\n" R("c", "4", "float"));
}

static void offending_text_is_cut_and_escaped(void **state) {
    (void)state;
    char text[400];
    memset(text, 'y', sizeof text);
    memcpy(text, "m v=\x01\xFF", 6);
    memcpy(text + 398, "\n", 2);
    const char *told = read_all(text);
    assert_non_null(strstr(told, "at '\\x01\\xff"));
    assert_non_null(strstr(told, "...'"));
    assert_true(strlen(told) < 160);
}

static void nul_bytes_do_not_end_anything(void **state) {
    (void)state;
    wr_collect_clear(&collect);
    static const char text[] = "m\0,x=1 v=1 1\nm v=\"a\0b\" 1\nm,t\0=1 v=1 1\n";
    wr_collect_feed(&collect, wr_codec_stream_feed_line, &parser, text, sizeof text - 1, SIZE_MAX, 0);
    assert_int_equal(collect.refusals, 2);
    assert_int_equal(collect.readings, 1);
    assert_non_null(strstr(wr_buf_str(&collect.text), "a\\u0000b"));
}

static void limits(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_buf_text(&text, "m "), WR_OK);
    for (int i = 0; i <= WR_LINE_FIELDS; i++)
        assert_int_equal(wr_buf_printf(&text, "%sf%d=1", i ? "," : "", i), WR_OK);
    assert_int_equal(wr_buf_text(&text, "\nm v=1 1\n"), WR_OK);
    read_all(wr_buf_str(&text));
    assert_int_equal(collect.refusals, 1);
    assert_int_equal(collect.readings, 1);
    assert_non_null(strstr(wr_buf_str(&collect.text), "rejected(too_long)") ? ""
                                                                            : strstr(wr_buf_str(&collect.text), "more than 1024 fields"));

    wr_buf_clear(&text);
    assert_int_equal(wr_buf_text(&text, "m"), WR_OK);
    for (int i = 0; i <= WR_SERIES_TAGS; i++)
        assert_int_equal(wr_buf_printf(&text, ",t%d=1", i), WR_OK);
    assert_int_equal(wr_buf_text(&text, " v=1 1\n"), WR_OK);
    assert_non_null(strstr(read_all(wr_buf_str(&text)), "more than 32 tags"));

    wr_line_parser_fini(&parser);
    wr_line_parser_init(&parser, WR_PRECISION_NS, 12);
    read_all("m v=1 12345\nm v=1 123456\nm v=1 1\n");
    assert_int_equal(collect.readings, 2);
    assert_int_equal(collect.refusals, 1);
    wr_buf_fini(&text);
}

/* Every way to cut the input in two, byte by byte, and with a sink that is often full. */
static void no_split_changes_anything(void **state) {
    (void)state;
    static const char text[] =
        "# c\nm,b=2,a=1 v=1.25,s=\"a\\\"b \\\\\" 17\r\n\nbroken\nm v=nan\nm v=t 123\nm x=1i,y=2u -4\nm v=\"unfinished\nm v=12.5 99";
    char *whole = strdup(read_all(text));
    assert_non_null(whole);
    assert_int_equal(collect.readings, 7);
    assert_int_equal(collect.refusals, 2);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        for (size_t step = 0; step < 4; step++) {
            wr_collect_clear(&collect);
            collect.full_every = (unsigned)(cut % 4);
            if (collect.full_every == 1)
                collect.full_every = 0;
            wr_collect_feed(&collect, wr_codec_stream_feed_line, &parser, text, sizeof text - 1, cut, step);
            assert_string_equal(wr_buf_str(&collect.text), whole);
        }
    }
    collect.full_every = 0;
    free(whole);
}

static void the_locale_does_not_matter(void **state) {
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "C.UTF-8"))
        skip();
    assert_string_equal(read_all("m v=1234567890.12345678 1\n"), R("v", "1234567890.1234567", "float"));
    setlocale(LC_ALL, "C");
}

static void out_of_memory_loses_a_line_and_no_more(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        wr_line_parser_fini(&parser);
        wr_line_parser_init(&parser, WR_PRECISION_NS, 65536);
        wr_collect_clear(&collect);
        assert_int_equal(wr_buf_reserve(&collect.text, 4096), WR_OK); /* the collector itself must not be the one that fails */
        assert_int_equal(wr_buf_reserve(&collect.decimals, 64), WR_OK);
        static const char text[] = "m v=\"a\\\"b\" 1\nm v=2 1\nm v=3 1";
        uint64_t line = 0;
        size_t consumed;
        wr_failing_allocations(n);
        assert_int_equal(wr_line_feed(&parser, text, sizeof text - 1, true, &line, &collect.sink, &consumed), WR_OK);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(consumed, sizeof text - 1);
        assert_int_equal(collect.readings, hit ? 2 : 3);
        assert_int_equal(collect.refusals, hit ? 1 : 0);
        if (!hit)
            break;
        assert_non_null(strstr(wr_buf_str(&collect.text), "rejected(memory)"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_of_every_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(booleans_in_all_spellings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(integers_are_exact_to_the_last_bit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(floats_are_the_nearest_doubles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(decimals_are_as_the_sensor_wrote_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_a_number_and_infinity_are_bad_readings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(escapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tags_are_sorted_and_utf8_passes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(comments_empty_lines_and_spaces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_stamps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(precision_scales_stamps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_have_a_place_and_quote_the_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_is_taken_or_refused_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offending_text_is_cut_and_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nul_bytes_do_not_end_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_split_changes_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_locale_does_not_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_loses_a_line_and_no_more, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
