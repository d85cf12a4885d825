/* Random tables, written as spreadsheets write them, against the cells that were meant. */
#include <ctype.h>
#include <math.h>

#include "rules/language/table.h"
#include "tests/support/random.h"
#include "tests/support/rules_fixture.h"

#define ROWS 200
#define COLUMNS 12

struct model {
    uint32_t n_columns;
    uint32_t n_rows;
    bool unit[COLUMNS];
    char cells[ROWS][COLUMNS][40];
};

static void random_text(struct wr_random *random, char *into) {
    static const char *const pieces[] = {"a", "B", "7", " ", ",", "\"", "\n", "\r\n", "°", "ü", ";", "-", ".", "'"};
    char text[40] = "";
    for (uint64_t n = wr_random_below(random, 7); n > 0; n--)
        strcat(text, pieces[wr_random_below(random, sizeof pieces / sizeof pieces[0])]);
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ') /* blanks around a cell do not count */
        text[--len] = '\0';
    strcpy(into, text + strspn(text, " "));
}

static void random_model(struct wr_random *random, struct model *model) {
    model->n_columns = 1 + (uint32_t)wr_random_below(random, COLUMNS);
    model->n_rows = (uint32_t)wr_random_below(random, ROWS);
    for (uint32_t column = 0; column < model->n_columns; column++)
        model->unit[column] = column > 0 && wr_random_below(random, 2) > 0;
    for (uint32_t row = 0; row < model->n_rows; row++) {
        snprintf(model->cells[row][0], 40, "%s%llu-%u", wr_random_below(random, 2) ? "K" : "",
                 (unsigned long long)wr_random_below(random, 1000), row);
        for (uint32_t column = 1; column < model->n_columns; column++) {
            char *cell = model->cells[row][column];
            cell[0] = '\0';
            if (wr_random_below(random, 5) == 0)
                continue;
            if (model->unit[column] || column % 3 == 0) /* every third column has numbers though it has no unit */
                snprintf(cell, 40, "%.*g", (int)(1 + wr_random_below(random, 15)), ((double)wr_random_below(random, 2000000) - 1e6) / 64);
            else
                random_text(random, cell);
        }
    }
}

static void put_cell(struct wr_random *random, struct wr_buf *csv, const char *text) {
    const bool quotes = strpbrk(text, ",\"\r\n") || wr_random_below(random, 4) == 0;
    const char *blanks = !quotes && wr_random_below(random, 8) == 0 ? " " : "";
    assert_int_equal(wr_buf_text(csv, blanks), WR_OK);
    if (quotes)
        assert_int_equal(wr_buf_text(csv, "\""), WR_OK);
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            assert_int_equal(wr_buf_append(csv, "\"", 1), WR_OK);
        assert_int_equal(wr_buf_append(csv, p, 1), WR_OK);
    }
    assert_int_equal(wr_buf_text(csv, quotes ? "\"" : blanks), WR_OK);
}

static void write_csv(struct wr_random *random, const struct model *model, struct wr_buf *csv) {
    const char *newline = wr_random_below(random, 2) ? "\r\n" : "\n";
    if (wr_random_below(random, 2))
        assert_int_equal(wr_buf_text(csv, "\xEF\xBB\xBF"), WR_OK);
    assert_int_equal(wr_buf_text(csv, "key"), WR_OK);
    for (uint32_t column = 1; column < model->n_columns; column++)
        assert_int_equal(wr_buf_printf(csv, ",c%u%s", column, model->unit[column] ? "[mm/s]" : ""), WR_OK);
    for (uint32_t row = 0; row < model->n_rows; row++) {
        assert_int_equal(wr_buf_text(csv, newline), WR_OK);
        for (uint32_t column = 0; column < model->n_columns; column++) {
            if (column > 0)
                assert_int_equal(wr_buf_text(csv, ","), WR_OK);
            put_cell(random, csv, model->cells[row][column]);
        }
    }
    if (wr_random_below(random, 2))
        assert_int_equal(wr_buf_text(csv, newline), WR_OK);
}

static void compare(const struct model *model, const struct wr_table *table) {
    uint32_t n;
    const struct wr_table_column *columns = wr_table_columns(table, &n);
    assert_int_equal(n, model->n_columns);
    assert_int_equal(wr_table_rows(table), model->n_rows);
    for (uint32_t column = 0; column < n; column++) {
        bool numbers = column > 0;
        for (uint32_t row = 0; row < model->n_rows; row++) {
            const char *meant = model->cells[row][column];
            const uint32_t at = wr_table_row(table, model->cells[row][0], strlen(model->cells[row][0]));
            const char *text = wr_table_text(table, at, column);
            assert_true(at < model->n_rows && (text ? strcmp(text, meant) == 0 : !meant[0]));
            char *end;
            const double number = strtod(meant, &end);
            numbers = numbers && (!meant[0] || (*end == '\0' && !isspace((unsigned char)meant[0])));
            const double got = wr_table_number(table, at, column);
            if (columns[column].number)
                assert_true(meant[0] ? got == number : isnan(got));
            else
                assert_true(isnan(got));
        }
        assert_int_equal(columns[column].number, numbers);
    }
    assert_int_equal(wr_table_row(table, "K", 1), WR_TABLE_NONE);
    assert_int_equal(wr_table_row(table, "", 0), WR_TABLE_NONE);
}

static void what_was_written_is_found(void **state) {
    (void)state;
    static struct model model;
    struct wr_random random = wr_random_begin();
    const struct wr_table_origin origin = {.name = "t", .key = "key", .file = "r.yaml"};
    for (int round = 0; round < 300; round++) {
        struct wr_diagnostics diagnostics;
        struct wr_table *table = NULL;
        struct wr_arena arena;
        struct wr_buf csv;
        wr_arena_init(&arena);
        wr_buf_init(&csv, 0);
        wr_diagnostics_init(&diagnostics);
        random_model(&random, &model);
        write_csv(&random, &model, &csv);
        assert_true(wr_table_read(&arena, &origin, "t.csv", wr_buf_str(&csv), csv.len, &diagnostics, &table));
        if (diagnostics.errors > 0)
            fail_msg("%s\n%s", diagnostics.list[0].message, wr_buf_str(&csv));
        compare(&model, table);
        wr_diagnostics_fini(&diagnostics);
        wr_arena_fini(&arena);
        wr_buf_fini(&csv);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_written_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
