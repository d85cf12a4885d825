/* CSV: quoting, headers, roles of columns, where errors are, and that no split of the bytes changes anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/codec/csv.h"
#include "tests/support/collect.h"
#include "tests/support/failing.h"

static struct wr_csv csv;
static struct wr_config_csv options;
static struct wr_collect collect;
static char *list[4];

static int set_up(void **state) {
    (void)state;
    options = (struct wr_config_csv){.tags = list, .skip_columns = NULL};
    wr_collect_init(&collect);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_collect_fini(&collect);
    return 0;
}

static const char *read_in_pieces(const char *text, size_t cut, size_t step) {
    struct wr_error err;
    assert_int_equal(wr_csv_init(&csv, &options, "m", &err), WR_OK);
    wr_collect_clear(&collect);
    wr_collect_feed(&collect, wr_codec_stream_feed_csv, &csv, text, strlen(text), cut, step);
    wr_csv_fini(&csv);
    return wr_buf_str(&collect.text);
}

static const char *read_all(const char *text) {
    return read_in_pieces(text, SIZE_MAX, 0);
}

#define R(field, time, value, type)                                                                                                        \
    "{\"measurement\":\"m\",\"field\":\"" field "\",\"tags\":{},\"time_ns\":" time ",\"value\":" value ",\"type\":\"" type                 \
    "\",\"quality\":\"good\"}\n"

static void the_first_column_is_the_time(void **state) {
    (void)state;
    assert_string_equal(read_all("time,a,b\n1970-01-01T00:00:01Z,1.5,true\n1970-01-01 00:00:02,,x\r\n"),
                        R("a", "1000000000", "1.5", "float") R("b", "1000000000", "true", "bool") R("b", "2000000000", "\"x\"", "string"));
}

static void values(void **state) {
    (void)state;
    options.time_format = (char *)"ns";
    read_all("t,a,b,c,d,e,f\n5, 12.340 ,1e3,nan,-Inf,FALSE,1.2.3\n");
    assert_int_equal(collect.readings, 6);
    assert_string_equal(wr_buf_str(&collect.decimals), "3-----");
    assert_non_null(strstr(wr_buf_str(&collect.text),
                           "\"field\":\"c\",\"tags\":{},\"time_ns\":5,\"value\":null,\"type\":\"float\",\"quality\":\"bad\""));
    assert_non_null(strstr(wr_buf_str(&collect.text), "\"field\":\"f\",\"tags\":{},\"time_ns\":5,\"value\":\"1.2.3\",\"type\":\"string\""));
    assert_non_null(strstr(wr_buf_str(&collect.text), "\"field\":\"e\",\"tags\":{},\"time_ns\":5,\"value\":false,\"type\":\"bool\""));
}

static void quotes_hold_commas_quotes_and_newlines(void **state) {
    (void)state;
    options.time_format = (char *)"ns";
    assert_string_equal(read_all("t,\"a \"\"x\"\", b\",c\n1,\"one, \"\"two\"\"\nthree\",\"\"\n\"2\",\"4\",y\n"),
                        R("a \\\"x\\\", b", "1", "\"one, \\\"two\\\"\\nthree\"", "string") R("a \\\"x\\\", b", "2", "4", "float")
                            R("c", "2", "\"y\"", "string"));
    /* The line number goes on behind a row of two lines. */
    assert_string_equal(read_all("t,a\n1,\"x\ny\"\nbad,2\n"),
                        R("a", "1", "\"x\\ny\"", "string") "!4:1 rejected(time): not a time stamp: 'bad'\n");
}

static void a_header_as_r_writes_it(void **state) {
    (void)state;
    assert_string_equal(read_all("\"date\",\"a\"\n\"1\",\"1970-01-01 00:00:01\",23.5\n\"2\",1970-01-01 00:00:02,24\n"),
                        R("a", "1000000000", "23.5", "float") R("a", "2000000000", "24", "float"));
}

static void a_column_without_a_name_is_a_row_number(void **state) {
    (void)state;
    assert_string_equal(read_all(",date,a\n0,1970-01-01 00:00:01,23.5\n"), R("a", "1000000000", "23.5", "float"));
}

static void a_byte_order_mark_is_skipped(void **state) {
    (void)state;
    options.time_column = (char *)"t";
    options.time_format = (char *)"ns";
    assert_string_equal(read_all("\xEF\xBB\xBFt,a\n1,2\n"), R("a", "1", "2", "float"));
}

static void tags_come_from_columns_and_from_the_options(void **state) {
    (void)state;
    options.time_format = (char *)"s";
    options.measurement = (char *)"air";
    list[0] = (char *)"site=riga";
    list[1] = (char *)"room";
    options.n_tags = 2;
    assert_string_equal(
        read_all("t,room,v\n1,A1,20\n2,,21\n"),
        "{\"measurement\":\"air\",\"field\":\"v\",\"tags\":{\"room\":\"A1\",\"site\":\"riga\"},\"time_ns\":1000000000,\"value\":20,"
        "\"type\":\"float\",\"quality\":\"good\"}\n"
        "{\"measurement\":\"air\",\"field\":\"v\",\"tags\":{\"site\":\"riga\"},\"time_ns\":2000000000,\"value\":21,\"type\":\"float\","
        "\"quality\":\"good\"}\n");
}

static void the_time_may_stand_in_two_columns(void **state) {
    (void)state;
    options.time_column = (char *)"Date+Time";
    char *skip[] = {(char *)"x"};
    options.skip_columns = skip;
    options.n_skip_columns = 1;
    assert_string_equal(read_all("Date,x,Time,v\n1970-01-02,9,00:00:01,5\n"), R("v", "86401000000000", "5", "float"));
    /* A column of that very name goes before. */
    options.n_skip_columns = 0;
    options.time_format = (char *)"ns";
    assert_string_equal(read_all("Date+Time,v\n7,5\n"), R("v", "7", "5", "float"));
}

static void errors_have_a_place(void **state) {
    (void)state;
    options.time_format = (char *)"ns";
    assert_string_equal(read_all("t,a,b\n1,2\n2,3,4,5\nx,1,2\n3,\"q\"z,1\n,1,2\n4,5,6\n"),
                        "!2:1 rejected(syntax): 2 cells in the row, 3 in the header\n"
                        "!3:1 rejected(syntax): 4 cells in the row, 3 in the header\n"
                        "!4:1 rejected(time): not a time stamp: 'x'\n"
                        "!5:6 rejected(syntax): text behind a closing quote: 'z,1'\n"
                        "!6:1 rejected(time): no time stamp\n" R("a", "4", "5", "float") R("b", "4", "6", "float"));
}

static void a_quote_that_is_never_closed_costs_one_line(void **state) {
    (void)state;
    options.time_format = (char *)"ns";
    assert_string_equal(read_all("t,a\n1,\"x\n2,3\n3,4\n"),
                        "!2:3 rejected(syntax): quote never closed\n" R("a", "2", "3", "float") R("a", "3", "4", "float"));
}

static void a_header_that_does_not_fit_ends_the_file(void **state) {
    (void)state;
    options.time_column = (char *)"when";
    assert_string_equal(read_all("t,a\n1,2\n"), "!1:1 rejected(syntax): the header has no such column: 'when'\n");
    options.time_column = NULL;
    list[0] = (char *)"room";
    options.n_tags = 1;
    assert_string_equal(read_all("t,a\n1,2\n"), "!1:1 rejected(syntax): the header has no such column: 'room'\n");
}

static void bad_options_are_told_before_anything_is_read(void **state) {
    (void)state;
    struct wr_error err;
    options.time_format = (char *)"%Q";
    assert_int_equal(wr_csv_init(&csv, &options, "m", &err), WR_INVALID);
    wr_csv_fini(&csv);
    options.time_format = NULL;
    options.tz = (char *)"Nowhere/Town";
    assert_int_equal(wr_csv_init(&csv, &options, "m", &err), WR_NOT_FOUND);
    wr_csv_fini(&csv);
    options.tz = (char *)"../../etc/passwd";
    assert_int_equal(wr_csv_init(&csv, &options, "m", &err), WR_INVALID);
    wr_csv_fini(&csv);
}

static void no_split_changes_anything(void **state) {
    (void)state;
    options.time_format = (char *)"s";
    static const char text[] = "\xEF\xBB\xBFt,\"a\"\"b\",c\r\n1,\"x\r\ny, \"\"z\"\"\",2.5\r\n\r\n2,bad\nx,1,2\n3,,nan\n4,\"\",\"7\"\n5,6,7";
    char *whole = strdup(read_all(text));
    assert_non_null(whole);
    assert_int_equal(collect.readings, 6);
    assert_int_equal(collect.refusals, 2);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        for (size_t step = 0; step < 4; step++) {
            collect.full_every = cut % 4 > 1 ? (unsigned)(cut % 4) : 0;
            assert_string_equal(read_in_pieces(text, cut, step), whole);
        }
    }
    free(whole);
}

static void too_many_columns(void **state) {
    (void)state;
    options.time_format = (char *)"ns";
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_buf_text(&text, "t,a\n"), WR_OK);
    for (int i = 0; i < WR_CSV_COLUMNS + 5; i++)
        assert_int_equal(wr_buf_text(&text, "1,"), WR_OK);
    assert_int_equal(wr_buf_text(&text, "\n1,2\n"), WR_OK);
    read_all(wr_buf_str(&text));
    assert_int_equal(collect.refusals, 1);
    assert_int_equal(collect.readings, 1);
    wr_buf_fini(&text);
}

static void out_of_memory_loses_a_row_and_no_more(void **state) {
    (void)state;
    options.time_format = (char *)"ns";
    static const char text[] = "t,a\n1,2\n2,\"x\"\"y\"\n3,4\n";
    for (long n = 0;; n++) {
        struct wr_error err;
        wr_collect_clear(&collect);
        assert_int_equal(wr_buf_reserve(&collect.text, 4096), WR_OK);
        assert_int_equal(wr_buf_reserve(&collect.decimals, 64), WR_OK);
        uint64_t line = 0;
        size_t consumed;
        assert_int_equal(wr_csv_init(&csv, &options, "m", &err), WR_OK);
        wr_failing_allocations(n);
        const enum wr_result result = wr_csv_feed(&csv, text, sizeof text - 1, true, &line, &collect.sink, &consumed);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        wr_csv_fini(&csv);
        assert_true(result == WR_OK || (hit && result == WR_NO_MEMORY)); /* the header is needed for all */
        assert_int_equal(collect.refusals, hit ? 1 : 0);
        assert_true(collect.readings >= (result != WR_OK ? 0u : hit ? 2u : 3u));
        if (!hit)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_column_is_the_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quotes_hold_commas_quotes_and_newlines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_header_as_r_writes_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_column_without_a_name_is_a_row_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_byte_order_mark_is_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tags_come_from_columns_and_from_the_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_time_may_stand_in_two_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_have_a_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quote_that_is_never_closed_costs_one_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_header_that_does_not_fit_ends_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_options_are_told_before_anything_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_split_changes_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_loses_a_row_and_no_more, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
