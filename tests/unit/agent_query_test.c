/* `weir query`: how an answer is shown, its words and exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/commands/commands.h"
#include "agent/query/query_print.h"
#include "tests/support/failing.h"
#include "tests/support/said.h"
#include "tests/support/store_fixture.h"

static char shown[65536];

#define TEXT(t)                                                                                                                            \
    { .kind = WR_QUERY_TEXT, .text = (t), .len = sizeof(t) - 1 }
#define INTEGER(i)                                                                                                                         \
    { .kind = WR_QUERY_INTEGER, .integer = (i) }
#define REAL(r)                                                                                                                            \
    { .kind = WR_QUERY_REAL, .real = (r) }
#define NOTHING                                                                                                                            \
    { .kind = WR_QUERY_NULL }

static enum wr_result show(enum wr_query_format format, bool is_terminal, const char *const *names, unsigned n_columns,
                           const struct wr_query_value *values, unsigned n_rows) {
    struct wr_query_print print;
    struct wr_error err = {0};
    FILE *out = tmpfile();
    assert_non_null(out);
    wr_query_print_init(&print, format, is_terminal, out);
    const struct wr_query_sink sink = wr_query_print_sink(&print);
    enum wr_result result = sink.columns(sink.user, names, n_columns, &err);
    for (unsigned i = 0; i < n_rows && result == WR_OK; i++)
        result = sink.row(sink.user, values + i * n_columns, n_columns, &err);
    if (result == WR_OK)
        result = wr_query_print_end(&print, &err);
    wr_query_print_fini(&print);
    rewind(out);
    shown[fread(shown, 1, sizeof shown - 1, out)] = '\0';
    fclose(out);
    return result;
}

static const char *const names[] = {"series", "n", "mean"};
static const struct wr_query_value values[] = {TEXT("temp{room=A1}"), INTEGER(10), REAL(20.5), /* */
                                               TEXT("t\xC3\xBCr"),    INTEGER(-7), NOTHING,    /* */
                                               TEXT("\x1b[31m,\"\n"), NOTHING,     REAL(1e300)};

static void test_a_table_is_aligned_and_harmless(void **state) {
    (void)state;
    assert_int_equal(show(WR_QUERY_TABLE, false, names, 3, values, 3), WR_OK);
    assert_string_equal(shown, "series           n    mean\n"
                               "temp{room=A1}   10    20.5\n"
                               "t\xC3\xBCr             -7  \n"
                               "\\x1b[31m,\"\\x0a      1e+300\n");
    assert_int_equal(show(WR_QUERY_TABLE, false, names, 3, values, 0), WR_OK);
    assert_string_equal(shown, "series  n  mean\n");
}

static void test_csv(void **state) {
    (void)state;
    static const struct wr_query_value empty[] = {TEXT(""), NOTHING, {.kind = WR_QUERY_BLOB, .text = "\0\xff", .len = 2}};
    assert_int_equal(show(WR_QUERY_CSV, false, names, 3, values, 3), WR_OK);
    assert_string_equal(shown, "series,n,mean\ntemp{room=A1},10,20.5\nt\xC3\xBCr,-7,\n\"\x1b[31m,\"\"\n\",,1e+300\n");
    assert_int_equal(show(WR_QUERY_CSV, true, names, 3, values, 3), WR_OK); /* a terminal would obey */
    assert_string_equal(shown, "series,n,mean\ntemp{room=A1},10,20.5\nt\xC3\xBCr,-7,\n\"\\x1b[31m,\"\"\\x0a\",,1e+300\n");
    assert_int_equal(show(WR_QUERY_CSV, false, names, 3, empty, 1), WR_OK);
    assert_string_equal(shown, "series,n,mean\n\"\",,x'00ff'\n");
}

static void test_json(void **state) {
    (void)state;
    assert_int_equal(show(WR_QUERY_JSON, false, names, 3, values, 2), WR_OK);
    assert_string_equal(
        shown, "[\n{\"series\":\"temp{room=A1}\",\"n\":10,\"mean\":20.5},\n{\"series\":\"t\xC3\xBCr\",\"n\":-7,\"mean\":null}\n]\n");
    assert_int_equal(show(WR_QUERY_JSON, false, names, 3, values, 0), WR_OK);
    assert_string_equal(shown, "[]\n");
}

static void test_a_plot_is_a_line_a_series(void **state) {
    (void)state;
    static const char *const columns[] = {"time", "series", "mean", "n"};
    static const struct wr_query_value rows[] = {
        TEXT("2026-03-02T08:00:00Z"), TEXT("b"),    REAL(1), INTEGER(9), /* */
        TEXT("2026-03-02T08:03:00Z"), TEXT("b"),    REAL(8), INTEGER(9), /* the rows may come in any order */
        TEXT("2026-03-02T08:01:00Z"), TEXT("b"),    REAL(2), INTEGER(9), /* */
        TEXT("2026-03-02T08:00:00Z"), TEXT("aa\n"), REAL(5), INTEGER(9), /* */
        TEXT("2026-03-02T08:02:30Z"), TEXT("aa\n"), NOTHING, INTEGER(9), /* */
    };
    assert_int_equal(show(WR_QUERY_PLOT, false, columns, 4, rows, 5), WR_OK);
    assert_string_equal(shown, "b       ▁▂█  min 1  max 8  last 8\n"
                               "aa\\x0a  ▄    min 5  max 5  last 5\n"
                               "mean from 2026-03-02T08:00:00Z to 2026-03-02T08:03:00Z\n");
    static const char *const bare[] = {"x"};
    static const struct wr_query_value numbers[] = {INTEGER(3), INTEGER(1), INTEGER(2)};
    assert_int_equal(show(WR_QUERY_PLOT, false, bare, 1, numbers, 3), WR_OK);
    assert_string_equal(shown, "█▁▅  min 1  max 3  last 2\n");
    assert_int_equal(show(WR_QUERY_PLOT, false, names, 1, values, 1), WR_INVALID); /* nothing to draw */
    assert_int_equal(show(WR_QUERY_PLOT, false, names, 3, values, 0), WR_OK);
    assert_string_equal(shown, "");
}

static void test_survives_failing_pieces(void **state) {
    (void)state;
    for (int format = WR_QUERY_TABLE; format <= WR_QUERY_PLOT; format++)
        for (long n = 0;; n++) {
            wr_failing_pieces(n);
            const enum wr_result result = show((enum wr_query_format)format, false, names, 3, values, 3);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
            if (!hit)
                break;
        }
}

/* -- the command --------------------------------------------------------------------------------------------------------------------------------- */

#define QUERY(...) say(wr_command_query, (char *[]){"query", __VA_ARGS__, NULL})

static void test_the_words(void **state) {
    (void)state;
    expect(QUERY("--store"), 2, "unknown word '--store', or its value is missing");
    expect(QUERY("--store", "/nowhere"), 2, "what is the query?");
    expect(QUERY("--rows", "0", "SELECT 1"), 2, "--rows '0' is no number");
    expect(QUERY("--timeout", "5", "SELECT 1"), 2, "--timeout '5' is no duration");
    expect(QUERY("--memory", "lots", "SELECT 1"), 2, "--memory 'lots' is no size");
    expect(QUERY("SELECT 1", "SELECT 2"), 2, "unknown word 'SELECT 2'");
    expect(QUERY("--store", "/nowhere", "SELECT 1"), 2, "there is no store in /nowhere");
}

static void test_a_stopped_store(void **state) {
    struct store_fixture *fixture = calloc(1, sizeof *fixture);
    (void)state;
    store_fixture_init(fixture);
    assert_int_equal(store_fixture_open(fixture), WR_OK);
    store_fixture_segment(fixture, 1, 8, 2);
    expect(QUERY("--store", fixture->directory, "SELECT 1"), 2, "open: ask it, without --store");
    assert_int_equal(wr_store_close(fixture->store, &fixture->now, &fixture->err), WR_OK);
    fixture->store = NULL;
    expect(QUERY("--store", fixture->directory, "--csv", "SELECT series, n FROM readings WHERE series LIKE '%A7}'"), 0,
           "series,n\ntemp{room=A7},2\n");
    expect(QUERY("--store", fixture->directory, "--rows", "3", "SELECT series FROM readings"), 1,
           "weir query: only the first 3 rows; more with --rows");
    expect(QUERY("--store", fixture->directory, "SELECT n,\n \"t\xC3\xBCr\" + nix FROM readings"), 2,
           "no such column: nix\n   \"t\xC3\xBCr\" + nix FROM readings\n           ^\n");
    expect(QUERY("--store", fixture->directory, "--timeout", "100ms",
                 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"),
           2, "not done within 100ms");
    expect(QUERY("--store", fixture->directory, "--plot", "SELECT time, series, mean FROM readings WHERE series = 'temp{room=A1}'"), 0,
           "temp{room=A1}  ▄  min");
    store_fixture_fini(fixture);
    free(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table_is_aligned_and_harmless),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_a_plot_is_a_line_a_series),
        cmocka_unit_test(test_survives_failing_pieces),
        cmocka_unit_test(test_the_words),
        cmocka_unit_test(test_a_stopped_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
