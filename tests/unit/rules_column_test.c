/* csv(file, column) of tests: what cells and times are, which files are refused and where the mistake is said to be, no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/testing/column.h"
#include "tests/support/failing.h"

static char folder[] = "/tmp/weir-column-XXXXXX";
static char rule_file[64]; /* beside which the files lie */
static char data_file[64];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    snprintf(rule_file, sizeof rule_file, "%s/rules.yaml", folder);
    snprintf(data_file, sizeof data_file, "%s/d.csv", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    (void)unlink(data_file);
    return rmdir(folder);
}

static void write_file(const char *bytes, size_t len) {
    FILE *file = fopen(data_file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static const char *describe(const struct wr_column *column) {
    static char words[4096];
    size_t n = 0;
    words[0] = '\0';
    for (uint32_t i = 0; i < column->n; i++) {
        const struct wr_sample *sample = &column->rows[i].sample;
        n += (size_t)snprintf(words + n, sizeof words - n, "%s", i > 0 ? " " : "");
        if (column->has_time)
            n += (size_t)snprintf(words + n, sizeof words - n, "%lld:", (long long)column->rows[i].time_ns);
        switch (sample->kind) {
        case WR_SAMPLE_NUMBER:
            n += (size_t)snprintf(words + n, sizeof words - n, "%g/%d", sample->number,
                                  sample->decimals == WR_DECIMALS_UNKNOWN ? -1 : (int)sample->decimals);
            break;
        case WR_SAMPLE_NAN:
            n += (size_t)snprintf(words + n, sizeof words - n, "nan");
            break;
        case WR_SAMPLE_TRUTH:
            n += (size_t)snprintf(words + n, sizeof words - n, "%s", sample->truth ? "true" : "false");
            break;
        case WR_SAMPLE_TEXT:
            n += (size_t)snprintf(words + n, sizeof words - n, "'%s'", sample->text);
            break;
        case WR_SAMPLE_MISSING:
        case WR_SAMPLE_BAD:
        case WR_SAMPLE_CSV:
            n += (size_t)snprintf(words + n, sizeof words - n, "_");
            break;
        }
    }
    return words;
}

static void reads_bytes(const char *bytes, size_t len, const char *words) {
    struct wr_column column;
    struct wr_error err = {0};
    write_file(bytes, len);
    if (wr_column_load(&column, rule_file, "d.csv", "v", &err) != WR_OK)
        fail_msg("%s", err.text);
    assert_string_equal(describe(&column), words);
    wr_column_free(&column);
}

static void reads(const char *text, const char *words) {
    reads_bytes(text, strlen(text), words);
}

static void refused_bytes(const char *bytes, size_t len, const char *words) {
    struct wr_column column;
    struct wr_error err = {0};
    write_file(bytes, len);
    assert_true(wr_column_load(&column, rule_file, "d.csv", "v", &err) != WR_OK);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
    assert_null(column.rows); /* nothing is left behind */
}

static void refused(const char *text, const char *words) {
    refused_bytes(text, strlen(text), words);
}

static void cells(void **state) {
    (void)state;
    reads("v\n1\n-2.50\n+.5\n", "1/0 -2.5/2 0.5/1");
    reads("a, v ,b\n7, 1.5\t,x\n7,2,\n", "1.5/1 2/0");
    reads("v\n1e3\n1E3\n1.00000000000000000001\n", "1000/-1 1000/-1 1/-1"); /* how many digits count is not known */
    reads("v\nnan\n1\nNaN\n", "nan 1/0 nan");
    reads("v\ntrue\nFALSE\n", "true false");
    reads("v\nopen\n\"half shut\"\n", "'open' 'half shut'");
    reads("v,w\n1,a\n,b\n2,c\n", "1/0 _ 2/0");
    reads("v\n1\n\n2\n", "1/0 2/0"); /* an empty line is nothing */
    reads("\xEF\xBB\xBFv\n1\n", "1/0");
    reads("v\n", "");
    reads("v\n0x10\ninf\n-Infinity\n1.2.3\n-\n1e999\n", "'0x10' 'inf' '-Infinity' '1.2.3' '-' '1e999'"); /* no numbers of ours */
    reads("v\n1234567890123456789012345678901234567890123456789012345678901234567890\n",
          "'1234567890123456789012345678901234567890123456789012345678901234567890'");
}

/* A NUL is no end: what stands behind it belongs to the cell. */
static void nul_bytes(void **state) {
    (void)state;
    reads_bytes("v\nab\0cd\n", 8, "'ab'");
    reads_bytes("v\n\0\n", 4, "''");
    refused_bytes("v\n1\n2\0junk\n", 11, "d.csv:3: '2\\x00junk' is of another sort than the cells above it");
    refused_bytes("ts,v\n2026\0"
                  "03\0"
                  "02,1\n",
                  18, "is no time");
}

static void times(void **state) {
    (void)state;
    reads("time,v\n1970-01-01T00:00:01Z,5\n", "1000000000:5/0");
    reads("v,ts\n5, 1772438400 \n5,1772438400500\n5,1772438400500000\n5,1772438400500000000\n",
          "1772438400000000000:5/0 1772438400500000000:5/0 1772438400500000000:5/0 1772438400500000000:5/0");
    reads("TIMESTAMP,t,v\n1.5,9,5\n", "1500000000:5/0"); /* the first of two */
    refused("t,v\nsoon,1\n", "d.csv:2: 'soon' is no time");
    refused("t,v\n1,1\n1e8,2\n8e9,3\n", "d.csv:4: more than 3660 days from the first row");
    refused("t,v\n1e30,1\n", "d.csv:2: '1e30' is no time"); /* and not 1970 */
    refused("t,v\n-1e25,1\n", "d.csv:2: '-1e25' is no time");
    struct wr_column column;
    write_file("t,v\n7,8\n", 8);
    assert_int_equal(wr_column_load(&column, rule_file, "d.csv", "t", NULL), WR_OK); /* itself the column that is asked for */
    assert_string_equal(describe(&column), "7/0");
    wr_column_free(&column);
}

static void mistakes(void **state) {
    (void)state;
    refused("", "d.csv is empty");
    refused("a,b\n1,2\n", "d.csv has no column 'v': its first row names the columns");
    refused("V\n1\n", "has no column 'v'");
    refused("a,v\n1\n", "d.csv:2: 1 cells, expected more than 1");
    refused("v,t\n1\n", "d.csv:2: 1 cells, expected more than 1");
    refused("v\n1\nopen\n", "d.csv:3: 'open' is of another sort than the cells above it");
    refused("v\n1\n\ntrue\n", "d.csv:4: 'true' is of another sort");
    refused("v\n\"open\n", "d.csv:2: a quote that is never closed");
    refused("v\n\"open\"x\n", "d.csv:2: text behind a closing quote");
    char many[2 * WR_COLUMN_COLUMNS + 8] = "v\n";
    for (size_t i = 0; i <= WR_COLUMN_COLUMNS; i++)
        memcpy(many + 2 + 2 * i, "1,", 3);
    refused(many, "d.csv:2: more than 256 columns");
    struct wr_column column;
    struct wr_error err = {0};
    assert_int_equal(wr_column_load(&column, rule_file, "none.csv", "v", &err), WR_NOT_FOUND);
    assert_non_null(strstr(err.text, "none.csv"));
}

/* Where a path begins: at the folder of the rule file, or at the root. */
static void paths(void **state) {
    (void)state;
    struct wr_column column;
    char here[128];
    write_file("v\n1\n", 4);
    assert_int_equal(wr_column_load(&column, rule_file, data_file, "v", NULL), WR_OK);
    wr_column_free(&column);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(wr_column_load(&column, "rules.yaml", "d.csv", "v", NULL), WR_OK);
    assert_int_equal(column.n, 1);
    wr_column_free(&column);
    assert_int_equal(chdir(here), 0);
}

static void no_memory(void **state) {
    (void)state;
    char text[8192] = "v\n";
    size_t len = 2;
    for (int i = 0; i < 600; i++) /* texts, in more than one room of rows */
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", i % 2 ? "shut\n" : "\"op\"\"en\"\n");
    write_file(text, len);
    long n = 0;
    for (;; n++) {
        struct wr_column column;
        struct wr_error err = {0};
        wr_failing_allocations(n);
        enum wr_result result = wr_column_load(&column, rule_file, "d.csv", "v", &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result == WR_OK)
            wr_column_free(&column);
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
    }
    assert_true(n > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells),    cmocka_unit_test(nul_bytes), cmocka_unit_test(times),
        cmocka_unit_test(mistakes), cmocka_unit_test(paths),     cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
