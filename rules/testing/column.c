#include "rules/testing/column.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/clock.h"
#include "core/csv_row.h"
#include "core/file.h"
#include "rules/testing/instant.h"

#define NO_COLUMN SIZE_MAX
#define NUMBER_BYTES 64

struct reader {
    struct wr_column *column;
    const char *shown; /* the file */
    const char *name;
    struct wr_csv_row row;
    struct wr_csv_cell cells[WR_COLUMN_COLUMNS];
    size_t value_at;
    size_t time_at;
    size_t line;
    enum wr_sample_kind kind; /* of the cells so far: numbers, true and false, or texts */
};

static bool cell_is(const struct wr_csv_cell *cell, const char *word) {
    return cell->len == strlen(word) && strncasecmp(cell->text, word, cell->len) == 0;
}

static void trim(struct wr_csv_cell *cell) {
    while (cell->len > 0 && isspace((unsigned char)cell->text[0]))
        cell->text++, cell->len--;
    while (cell->len > 0 && isspace((unsigned char)cell->text[cell->len - 1]))
        cell->len--;
}

static enum wr_result read_header(struct reader *reader, struct wr_error *err) {
    static const char *const times[] = {"time", "timestamp", "ts", "t"};
    char shown[48];
    reader->value_at = reader->time_at = NO_COLUMN;
    for (size_t i = 0; i < reader->row.n_cells; i++) {
        struct wr_csv_cell *cell = &reader->row.cells[i];
        trim(cell);
        if (cell->len == strlen(reader->name) && memcmp(cell->text, reader->name, cell->len) == 0)
            reader->value_at = i;
        for (size_t k = 0; k < sizeof times / sizeof times[0]; k++)
            if (reader->time_at == NO_COLUMN && cell_is(cell, times[k]))
                reader->time_at = i;
    }
    if (reader->value_at == NO_COLUMN)
        return wr_error_set(err, WR_INVALID, "%s has no column '%s': its first row names the columns", reader->shown,
                            wr_error_escape(shown, sizeof shown, reader->name, strlen(reader->name)));
    reader->column->has_time = reader->time_at != NO_COLUMN && reader->time_at != reader->value_at;
    return WR_OK;
}

/* A whole cell as a number. */
static bool to_number(const struct wr_csv_cell *cell, double *ret_number) {
    char copy[NUMBER_BYTES];
    char *end;
    if (cell->len == 0 || cell->len >= sizeof copy || !strchr("+-.0123456789", cell->text[0]))
        return false;
    memcpy(copy, cell->text, cell->len);
    copy[cell->len] = '\0';
    if (strpbrk(copy, "xXpPnN")) /* no hexadecimal, no inf */
        return false;
    *ret_number = strtod(copy, &end);
    return end == copy + cell->len && isfinite(*ret_number); /* a NUL inside is no end */
}

static uint8_t decimals_of(const struct wr_csv_cell *cell) {
    const char *point = memchr(cell->text, '.', cell->len);
    if (memchr(cell->text, 'e', cell->len) || memchr(cell->text, 'E', cell->len))
        return WR_DECIMALS_UNKNOWN;
    const size_t n = point ? cell->len - (size_t)(point - cell->text) - 1 : 0;
    return n <= WR_DECIMALS_MAX ? (uint8_t)n : WR_DECIMALS_UNKNOWN;
}

static enum wr_result read_value(struct reader *reader, const struct wr_csv_cell *cell, struct wr_sample *sample, struct wr_error *err) {
    *sample = (struct wr_sample){.kind = WR_SAMPLE_MISSING};
    if (cell->len == 0)
        return WR_OK;
    if (to_number(cell, &sample->number)) {
        sample->kind = WR_SAMPLE_NUMBER;
        sample->decimals = decimals_of(cell);
    } else if (cell_is(cell, "nan")) {
        sample->kind = WR_SAMPLE_NAN;
    } else if (cell_is(cell, "true") || cell_is(cell, "false")) {
        sample->kind = WR_SAMPLE_TRUTH;
        sample->truth = cell_is(cell, "true");
    } else {
        sample->kind = WR_SAMPLE_TEXT;
        sample->text = wr_arena_text(&reader->column->texts, cell->text, cell->len);
        if (!sample->text)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for %s", reader->shown);
    }
    return WR_OK;
}

/* A number of seconds since 1970, or of milli-, micro- or nanoseconds: today is 1.8e9 seconds. False: beyond all times. */
static bool epoch_ns(double number, int64_t *ret_ns) {
    static const struct {
        double below;
        double ns;
    } scales[] = {{1e11, 1e9}, {1e14, 1e6}, {1e17, 1e3}, {INFINITY, 1}};
    size_t i = 0;
    while (fabs(number) >= scales[i].below)
        i++;
    const double ns = number * scales[i].ns;
    if (!(fabs(ns) < 9e18))
        return false;
    *ret_ns = (int64_t)ns;
    return true;
}

static enum wr_result read_time(struct reader *reader, struct wr_csv_cell *cell, int64_t *ret_ns, struct wr_error *err) {
    double number;
    struct wr_error why;
    trim(cell);
    if (to_number(cell, &number) && epoch_ns(number, ret_ns))
        return WR_OK;
    if (wr_instant_parse(cell->text, cell->len, ret_ns, &why) == WR_OK)
        return WR_OK;
    return wr_error_set(err, WR_INVALID, "%s:%zu: %s", reader->shown, reader->line, why.text);
}

static enum wr_result add_row(struct reader *reader, struct wr_error *err) {
    struct wr_column *column = reader->column;
    const struct wr_csv_row *row = &reader->row;
    if (row->n_cells == 1 && row->cells[0].len == 0)
        return WR_OK; /* an empty line */
    const size_t needed = column->has_time && reader->time_at > reader->value_at ? reader->time_at : reader->value_at;
    if (row->n_cells <= needed)
        return wr_error_set(err, WR_INVALID, "%s:%zu: %zu cells, expected more than %zu", reader->shown, reader->line, row->n_cells,
                            needed);
    if (column->n == WR_TEST_SAMPLES)
        return wr_error_set(err, WR_LIMIT, "%s: more than %d rows", reader->shown, WR_TEST_SAMPLES);
    if (column->n == column->cap) {
        const uint32_t cap = column->cap > 0 ? column->cap * 2 : 256;
        struct wr_column_row *rows = realloc(column->rows, cap * sizeof *rows);
        if (!rows)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for %s", reader->shown);
        column->rows = rows;
        column->cap = cap;
    }
    struct wr_column_row *added = &column->rows[column->n];
    trim(&row->cells[reader->value_at]);
    WR_TRY(read_value(reader, &row->cells[reader->value_at], &added->sample, err));
    const enum wr_sample_kind kind = added->sample.kind == WR_SAMPLE_NAN ? WR_SAMPLE_NUMBER : added->sample.kind;
    if (kind != WR_SAMPLE_MISSING && reader->kind != WR_SAMPLE_MISSING && kind != reader->kind) {
        const struct wr_csv_cell *cell = &row->cells[reader->value_at];
        char shown[48];
        return wr_error_set(err, WR_INVALID, "%s:%zu: '%s' is of another sort than the cells above it", reader->shown, reader->line,
                            wr_error_escape(shown, sizeof shown, cell->text, cell->len));
    }
    reader->kind = kind != WR_SAMPLE_MISSING ? kind : reader->kind;
    added->time_ns = 0;
    if (column->has_time)
        WR_TRY(read_time(reader, &row->cells[reader->time_at], &added->time_ns, err));
    const bool wild = column->n > 0 && column->has_time &&
                      llabs(added->time_ns / WR_NS_PER_S - column->rows[0].time_ns / WR_NS_PER_S) > INT64_C(86400) * WR_TEST_DAYS;
    if (wild)
        return wr_error_set(err, WR_INVALID, "%s:%zu: more than %d days from the first row", reader->shown, reader->line, WR_TEST_DAYS);
    column->n++;
    return WR_OK;
}

static enum wr_result read_rows(struct reader *reader, const char *at, const char *end, struct wr_error *err) {
    for (bool header = true; at < end; header = false) {
        switch (wr_csv_row_read(&reader->row, at, end, true)) {
        case WR_CSV_ROW_FOUND:
            break;
        case WR_CSV_ROW_MEMORY:
            return wr_error_set(err, WR_NO_MEMORY, "no memory for %s", reader->shown);
        case WR_CSV_ROW_LONG:
            return wr_error_set(err, WR_INVALID, "%s:%zu: more than %d columns", reader->shown, reader->line, WR_COLUMN_COLUMNS);
        case WR_CSV_ROW_OPEN:
            return wr_error_set(err, WR_INVALID, "%s:%zu: a quote that is never closed", reader->shown, reader->line);
        case WR_CSV_ROW_BEHIND:
        case WR_CSV_ROW_INCOMPLETE:
            return wr_error_set(err, WR_INVALID, "%s:%zu: text behind a closing quote", reader->shown, reader->line);
        }
        WR_TRY(header ? read_header(reader, err) : add_row(reader, err));
        reader->line += reader->row.n_lines;
        at = reader->row.end;
    }
    if (reader->line == 1)
        return wr_error_set(err, WR_INVALID, "%s is empty", reader->shown);
    return WR_OK;
}

/* A relative path begins at the folder of the rule file. */
static enum wr_result find_path(const char *beside, const char *path, struct wr_buf *into, struct wr_error *err) {
    const char *slash = strrchr(beside, '/');
    const size_t folder = path[0] != '/' && slash ? (size_t)(slash - beside) + 1 : 0;
    if (wr_buf_append(into, beside, folder) != WR_OK || wr_buf_text(into, path) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %s", path);
    return WR_OK;
}

static enum wr_result read_file(struct reader *reader, const char *beside, const char *path, struct wr_error *err) {
    struct wr_buf full;
    struct wr_buf bytes;
    wr_buf_init(&full, 0);
    wr_buf_init(&bytes, 0);
    enum wr_result result = find_path(beside, path, &full, err);
    if (result == WR_OK)
        result = wr_file_read(wr_buf_str(&full), WR_COLUMN_BYTES, &bytes, err);
    if (result == WR_OK) {
        const char *text = wr_buf_str(&bytes);
        const size_t mark = bytes.len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
        wr_csv_row_init(&reader->row, reader->cells, WR_COLUMN_COLUMNS);
        result = read_rows(reader, text + mark, text + bytes.len, err);
        wr_csv_row_fini(&reader->row);
    }
    wr_buf_fini(&full);
    wr_buf_fini(&bytes);
    return result;
}

enum wr_result wr_column_load(struct wr_column *column, const char *beside, const char *path, const char *name, struct wr_error *err) {
    char shown[120];
    *column = (struct wr_column){0};
    wr_arena_init(&column->texts);
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a test");
    reader->column = column;
    reader->name = name;
    reader->shown = wr_error_escape(shown, sizeof shown, path, strlen(path));
    reader->line = 1;
    enum wr_result result = read_file(reader, beside, path, err);
    free(reader);
    if (result != WR_OK)
        wr_column_free(column);
    return result;
}

void wr_column_free(struct wr_column *column) {
    free(column->rows);
    wr_arena_fini(&column->texts);
    *column = (struct wr_column){0};
}
