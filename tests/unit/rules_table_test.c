/* Tables of CSV files: what is read, what is refused and how, memory and reads that fail. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules/compile/compiled.h"
#include "tests/support/failing.h"
#include "tests/support/rules_fixture.h"

static char directory[] = "/tmp/weir-tables-XXXXXX";

static void put(const char *name, const char *bytes, size_t len) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void put_text(const char *name, const char *text) {
    put(name, text, strlen(text));
}

/* Loads the rule file; what it says, without the directory, is in `said`. */
static struct wr_ruleset *load(char *said, size_t size) {
    char path[128];
    const char *files[1] = {path};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_error err;
    struct wr_buf shown;
    snprintf(path, sizeof path, "%s/rules.yaml", directory);
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&shown, 0);
    const enum wr_result result = wr_ruleset_load(files, 1, NULL, &diagnostics, &rules, &err);
    assert_int_equal(wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &shown), WR_OK);
    assert_true(result == WR_OK || result == WR_INVALID);
    assert_int_equal(result == WR_OK, diagnostics.errors == 0);
    size_t len = 0;
    for (const char *p = wr_buf_str(&shown); *p && len + 1 < size;)
        if (strncmp(p, directory, strlen(directory)) == 0)
            p += strlen(directory) + 1;
        else
            said[len++] = *p++;
    said[len] = '\0';
    wr_buf_fini(&shown);
    wr_diagnostics_fini(&diagnostics);
    return rules;
}

#define RULES "tables:\n  - {name: rooms, csv: rooms.csv, key: room}\n"

static void refused(const char *csv, const char *expected) {
    char said[4096];
    put_text("rules.yaml", RULES);
    put_text("rooms.csv", csv);
    struct wr_ruleset *rules = load(said, sizeof said);
    if (rules || strcmp(said, expected) != 0)
        fail_msg("%s\nsaid:\n%s\nexpected:\n%s", csv, said, expected);
}

static struct wr_ruleset *taken(const char *csv, size_t len) {
    char said[4096];
    put_text("rules.yaml", RULES);
    put("rooms.csv", csv, len);
    struct wr_ruleset *rules = load(said, sizeof said);
    if (!rules)
        fail_msg("%s", said);
    return rules;
}

static double number(const struct wr_table *table, const char *key, const char *column) {
    return wr_table_number(table, wr_table_row(table, key, strlen(key)), wr_table_column(table, column, NULL));
}

static const char *text(const struct wr_table *table, const char *key, const char *column) {
    const char *cell = wr_table_text(table, wr_table_row(table, key, strlen(key)), wr_table_column(table, column, NULL));
    return cell ? cell : "(missing)";
}

static void cells_are_read(void **state) {
    (void)state;
    static const char csv[] = "\xEF\xBB\xBFroom, hi [°C],lo[°C],n,gw,spare,,note\r\n"
                              "A1,8,2,3,gw1,B1,,\r\n"
                              "\r\n"
                              "A2 , 8.5 ,,1e3,gw1,\"B1, \"\"lower\"\" shelf\r\nleft\",x,\r\n"
                              ",,,,,,,\r\n"
                              "17,-40,-4.5e1,,2,Ä,,";
    struct wr_ruleset *rules = taken(csv, sizeof csv - 1);
    const char *near;
    assert_null(wr_ruleset_table(rules, "roms", &near));
    assert_string_equal(near, "rooms");
    const struct wr_table *table = wr_ruleset_table(rules, "rooms", NULL);
    assert_string_equal(wr_table_name(table), "rooms");
    assert_string_equal(wr_table_key(table), "room");
    assert_false(wr_table_broken(table));
    assert_int_equal(wr_table_rows(table), 3);
    uint32_t n;
    const struct wr_table_column *columns = wr_table_columns(table, &n);
    assert_int_equal(n, 7);
    static const struct {
        const char *name;
        bool number;
        const char *unit;
    } expected[] = {{"room", false, ""}, {"hi", true, "°C"},   {"lo", true, "°C"}, {"n", true, ""},
                    {"gw", false, ""},   {"spare", false, ""}, {"note", true, ""}};
    for (uint32_t i = 0; i < n; i++) {
        assert_string_equal(columns[i].name, expected[i].name);
        assert_int_equal(columns[i].number, expected[i].number);
        assert_int_equal(columns[i].unit.plain, !expected[i].unit[0]);
        if (expected[i].unit[0])
            assert_string_equal(columns[i].unit.text, expected[i].unit);
        assert_int_equal(wr_table_column(table, expected[i].name, NULL), i);
    }
    assert_int_equal(wr_table_column(table, "spar", &near), WR_TABLE_NONE);
    assert_string_equal(near, "spare");
    assert_true(number(table, "A1", "hi") == 8 && number(table, "A1", "lo") == 2 && number(table, "A1", "n") == 3);
    assert_true(number(table, "A2", "hi") == 8.5 && isnan(number(table, "A2", "lo")) && number(table, "A2", "n") == 1000);
    assert_true(number(table, "17", "hi") == -40 && number(table, "17", "lo") == -45 && isnan(number(table, "17", "n")));
    assert_true(isnan(number(table, "A1", "gw")) && isnan(number(table, "A3", "hi")) && isnan(number(table, "A1", "no")));
    assert_string_equal(text(table, "A2", "spare"), "B1, \"lower\" shelf\r\nleft");
    assert_string_equal(text(table, "17", "spare"), "Ä");
    assert_string_equal(text(table, "A2", "hi"), "8.5");
    assert_string_equal(text(table, "A2", "lo"), "(missing)");
    assert_string_equal(text(table, "A3", "gw"), "(missing)");
    assert_int_equal(wr_table_row(table, "A", 1), WR_TABLE_NONE);
    assert_int_equal(wr_table_row(table, "A1x", 2), wr_table_row(table, "A1", 2));
    assert_int_equal(wr_table_row(table, "A11", 3), WR_TABLE_NONE);
    wr_ruleset_free(rules);
}

#define IN " (table 'rooms' of rules.yaml:2:24)\n"

static void what_is_wrong_is_told_at_once(void **state) {
    (void)state;
    refused("room,hi[°C],lo[K],n[V]\n"
            "A1,8,2,3\n"
            "A2,warm,2\n"
            "A3,\"7,5\",3K,1e999\n"
            "A1,8,2,3\n"
            ",8,2,3\n",
            "rooms.csv:3:1: error W343: 3 cells in the row, 4 in the header" IN "    3 | A2,warm,2\n"
            "rooms.csv:4:4: error W344: '7,5' is no number, but the column 'hi' is in °C (table 'rooms' of rules.yaml:2:24)\n"
            "    4 | A3,\"7,5\",3K,1e999\n"
            "      |    ^^^ write a point: 7.5\n"
            "rooms.csv:4:10: error W344: '3K' is no number, but the column 'lo' is in K (table 'rooms' of rules.yaml:2:24)\n"
            "    4 | A3,\"7,5\",3K,1e999\n"
            "      |          ^^ the unit stands in the header: write 3\n"
            "rooms.csv:4:13: error W344: '1e999' is no number, but the column 'n' is in V (table 'rooms' of rules.yaml:2:24)\n"
            "    4 | A3,\"7,5\",3K,1e999\n"
            "      |             ^^^^^\n"
            "rooms.csv:5:1: error W345: the key 'A1' stands in lines 2 and 5" IN "    5 | A1,8,2,3\n"
            "rooms.csv:6:1: error W343: a row without a key: the cell of 'room' is empty" IN "    6 | ,8,2,3\n"
            "      | ^\n");
}

static void wrong_headers(void **state) {
    (void)state;
    refused("", "rooms.csv: error W340: an empty file: the first row names the columns" IN);
    refused("\n,,\n", "rooms.csv: error W340: an empty file: the first row names the columns" IN);
    refused("rooom,hi[°C]\nA1,8\n", "rules.yaml:2:40: error W341: rooms.csv:1:1 names no column 'room'\n"
                                    "    2 |   - {name: rooms, csv: rooms.csv, key: room}\n"
                                    "      |                                        ^^^^ did you mean 'rooom'?\n");
    refused("room;hi[°C]\nA1;8\n",
            "rules.yaml:2:40: error W341: rooms.csv:1:1 names no column 'room'\n"
            "    2 |   - {name: rooms, csv: rooms.csv, key: room}\n"
            "      |                                        ^^^^ columns are separated by commas, not by semicolons\n");
    refused("room[°C],hi[kPaa],hi,lo[,[V]\n",
            "rooms.csv:1:1: error W342: the key column is text: it takes no unit" IN "    1 | room[°C],hi[kPaa],hi,lo[,[V]\n"
            "      | ^^^^^^^^\n"
            "rooms.csv:1:10: error W342: unknown unit 'kPaa': did you mean 'kPa'?" IN "    1 | room[°C],hi[kPaa],hi,lo[,[V]\n"
            "      |          ^^^^^^^^\n"
            "rooms.csv:1:19: error W342: two columns are called 'hi'" IN "    1 | room[°C],hi[kPaa],hi,lo[,[V]\n"
            "      |                   ^^\n"
            "rooms.csv:1:22: error W342: a column is a name, or a name with a unit in brackets" IN "    1 | room[°C],hi[kPaa],hi,lo[,[V]\n"
            "      |                      ^^^ name[unit], as in hi[°C]\n"
            "rooms.csv:1:26: error W342: a column is a name, or a name with a unit in brackets" IN "    1 | room[°C],hi[kPaa],hi,lo[,[V]\n"
            "      |                          ^^^ name[unit], as in hi[°C]\n");
}

static void wrong_rows(void **state) {
    (void)state;
    refused("room,hi\nA1,\"8\nA2,9\nA3,\"1\" 2\n",
            "rooms.csv:2:4: error W343: this quote is not closed before line 4, and there is text behind it there" IN "    2 | A1,\"8\n"
            "      |    ^\n"
            "rooms.csv:4:7: error W343: text behind a closing quote" IN "    4 | A3,\"1\" 2\n"
            "      |       ^ a quote inside of quotes is written twice\n");
    refused("room,hi\nA1,\"8\nA2,9\n", "rooms.csv:2:4: error W343: this quote is never closed" IN "    2 | A1,\"8\n"
                                       "      |    ^\n");
    refused("room,hi\nA1,8\xB0\n", "rooms.csv:2:5: error W340: not UTF-8" IN "    2 | A1,8\\xb0\n"
                                   "      |     ^^^^ save the file as \"CSV UTF-8\"\n");
    char csv[1024] = "room,note\nA1,";
    memset(csv + strlen(csv), 'x', 256);
    strcat(csv, "\n");
    char said[4096];
    put_text("rooms.csv", csv);
    assert_null(load(said, sizeof said));
    assert_non_null(strstr(said, "rooms.csv:2:4: error W343: a cell of more than 255 bytes"));
    csv[0] = '\0';
    for (int i = 0; i < 65; i++)
        snprintf(csv + strlen(csv), sizeof csv - strlen(csv), "c%d,", i);
    put_text("rooms.csv", csv);
    assert_null(load(said, sizeof said));
    assert_non_null(strstr(said, "rooms.csv:1:1: error W343: more than 64 columns"));
}

static void too_many_rows(void **state) {
    (void)state;
    struct wr_buf csv;
    char said[4096];
    wr_buf_init(&csv, 0);
    assert_int_equal(wr_buf_text(&csv, "room,hi\n"), WR_OK);
    for (int i = 0; i < WR_TABLE_ROWS; i++)
        assert_int_equal(wr_buf_printf(&csv, "R%d,%d\n", i, i % 77), WR_OK);
    struct wr_ruleset *rules = taken(wr_buf_str(&csv), csv.len);
    const struct wr_table *table = wr_ruleset_table(rules, "rooms", NULL);
    assert_int_equal(wr_table_rows(table), WR_TABLE_ROWS);
    assert_true(number(table, "R99999", "hi") == 99999 % 77);
    wr_ruleset_free(rules);
    assert_int_equal(wr_buf_text(&csv, "more,1\nand more,2\n"), WR_OK);
    put("rooms.csv", wr_buf_str(&csv), csv.len);
    assert_null(load(said, sizeof said));
    assert_string_equal(said, "rooms.csv:100002:1: error W340: more than 100000 rows" IN "100002 | more,1\n");
    while (csv.len <= WR_TABLE_BYTES)
        assert_int_equal(wr_buf_text(&csv, "................................................................"), WR_OK);
    put("rooms.csv", wr_buf_str(&csv), csv.len);
    assert_null(load(said, sizeof said));
    assert_non_null(strstr(said, "rules.yaml:2:24: error W340: rooms.csv: more than 8388608 bytes\n"));
    wr_buf_fini(&csv);
}

static void files_that_are_none(void **state) {
    (void)state;
    char said[4096];
    char path[128];
    snprintf(path, sizeof path, "%s/pipe.csv", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    put_text("good.csv", "room\n");
    put_text("rules.yaml", "tables:\n"
                           "  - {name: no, csv: no.csv, key: room}\n"
                           "  - {name: pipe, csv: pipe.csv, key: room}\n"
                           "  - {name: dir, csv: ., key: room}\n"
                           "  - {name: good, csv: good.csv, key: room}\n"
                           "  - {name: good, csv: good.csv, key: room}\n"
                           "  - {name: 2nd, csv: good.csv, key: room}\n"
                           "  - {name: half}\n");
    assert_null(load(said, sizeof said));
    assert_non_null(strstr(said, "rules.yaml:8:5: error W303"));
    put_text("rules.yaml", "tables:\n"
                           "  - {name: no, csv: no.csv, key: room}\n"
                           "  - {name: pipe, csv: pipe.csv, key: room}\n"
                           "  - {name: dir, csv: ., key: room}\n"
                           "  - {name: good, csv: good.csv, key: room}\n"
                           "  - {name: good, csv: good.csv, key: room}\n"
                           "  - {name: 2nd, csv: good.csv, key: room}\n");
    assert_null(load(said, sizeof said));
    assert_string_equal(said, "rules.yaml:2:21: error W340: no.csv: No such file or directory\n"
                              "    2 |   - {name: no, csv: no.csv, key: room}\n"
                              "      |                     ^^^^^^\n"
                              "rules.yaml:3:23: error W340: pipe.csv: not a regular file\n"
                              "    3 |   - {name: pipe, csv: pipe.csv, key: room}\n"
                              "      |                       ^^^^^^^^\n"
                              "rules.yaml:4:22: error W340: .: not a regular file\n"
                              "    4 |   - {name: dir, csv: ., key: room}\n"
                              "      |                      ^\n"
                              "rules.yaml:6:12: error W348: the table 'good' is given twice\n"
                              "    6 |   - {name: good, csv: good.csv, key: room}\n"
                              "      |            ^^^^\n"
                              "rules.yaml:7:12: error W340: the name of a table is 1 to 63 letters, digits or _, and begins with no digit\n"
                              "    7 |   - {name: 2nd, csv: good.csv, key: room}\n"
                              "      |            ^^^\n");
    unlink(path);
}

static void memory_and_reads_that_fail(void **state) {
    (void)state;
    char path[128];
    const char *files[1] = {path};
    snprintf(path, sizeof path, "%s/rules.yaml", directory);
    put_text("rules.yaml", RULES);
    put_text("rooms.csv", "room,hi[°C],note\nA1,8,\"a \"\"b\"\"\"\nA2,x,\n");
    for (int good = 0; good < 2; good++) {
        if (good)
            put_text("rooms.csv", "room,hi[°C],note\nA1,8,\"a \"\"b\"\"\"\nA2,9,\n");
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
                const enum wr_result result = wr_ruleset_load(files, 1, NULL, &diagnostics, &rules, &err);
                const bool hit = wr_failing_hit();
                wr_failing_off();
                if (!hit)
                    assert_int_equal(result, good ? WR_OK : WR_INVALID);
                else if (io) /* the rule file, or its table: which is an error of the rules */
                    assert_true(result == WR_IO ||
                                (result == WR_INVALID && strstr(diagnostics.list[0].message, "rooms.csv: Input/output error")));
                else
                    assert_int_equal(result, WR_NO_MEMORY);
                assert_true((rules != NULL) == (result == WR_OK));
                wr_ruleset_free(rules);
                wr_diagnostics_fini(&diagnostics);
                if (!hit)
                    break;
            }
    }
}

/* What a reload takes for a change: another text of the rules or of a table. */
static void a_set_tells_by_its_fingerprint_whether_it_says_the_same(void **state) {
    (void)state;
    static const char *const csvs[] = {"room,hi\nA1,8\n", "room,hi\nA1,8\n", "room,hi\nA1,9\n"};
    uint64_t prints[4];
    for (size_t i = 0; i < 3; i++) {
        struct wr_ruleset *rules = taken(csvs[i], strlen(csvs[i]));
        prints[i] = wr_ruleset_fingerprint(rules);
        wr_ruleset_free(rules);
    }
    char said[256];
    put_text("rules.yaml", RULES "# a comment is a change too\n");
    struct wr_ruleset *rules = load(said, sizeof said);
    prints[3] = wr_ruleset_fingerprint(rules);
    wr_ruleset_free(rules);
    assert_true(prints[0] == prints[1]);
    assert_true(prints[2] != prints[1] && prints[3] != prints[1] && prints[3] != prints[2]);
}

static int begin(void **state) {
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    static const char *const names[] = {"rules.yaml", "rooms.csv", "good.csv"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_read),
        cmocka_unit_test(what_is_wrong_is_told_at_once),
        cmocka_unit_test(wrong_headers),
        cmocka_unit_test(wrong_rows),
        cmocka_unit_test(too_many_rows),
        cmocka_unit_test(files_that_are_none),
        cmocka_unit_test(memory_and_reads_that_fail),
        cmocka_unit_test(a_set_tells_by_its_fingerprint_whether_it_says_the_same),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
