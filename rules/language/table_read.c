/* A CSV into a table. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/csv_row.h"
#include "core/file.h"
#include "core/fingerprint.h"
#include "core/utf8.h"
#include "rules/diagnostics/lines.h"
#include "rules/language/table_private.h"

/* Codes of the diagnostics: docs/diagnostics.md. */
enum { FILE_CODE = 340, KEY_CODE = 341, HEADER_CODE = 342, ROW_CODE = 343, NUMBER_CODE = 344, TWICE_CODE = 345 };

struct reader {
    struct wr_arena *arena;
    const struct wr_table_origin *origin;
    const char *csv;
    const char *text;
    const char *end;
    struct wr_diagnostics *diagnostics;
    struct wr_table *table;
    struct wr_csv_row row;
    struct wr_csv_cell cells[WR_TABLE_COLUMNS + 1];
    const char *start;                    /* of the row */
    uint32_t line;                        /* of the row */
    uint32_t n_columns;                   /* as they stand in the file; 0: no header yet */
    uint32_t column_of[WR_TABLE_COLUMNS]; /* of the table; WR_TABLE_NONE: skipped */
    uint32_t key;                         /* column of the file */
    uint32_t n_cells;
    char *texts;
    size_t n_texts;
};

/* At a place in the row at hand; line 0: the file as a whole. */
static void complain(const struct reader *reader, unsigned code, const char *at, size_t len, const char *hint, const char *format, ...)
    WR_PRINTF(6, 7);
static void complain(const struct reader *reader, unsigned code, const char *at, size_t len, const char *hint, const char *format, ...) {
    const struct wr_table_origin *origin = reader->origin;
    struct wr_position where = {0};
    char message[WR_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (at) {
        const size_t row_len = (size_t)(reader->end - reader->start);
        wr_lines_position(reader->start, row_len, (size_t)(at - reader->start), &where.line, &where.column);
        where.line += reader->line - 1;
        for (const char *p = at; p < at + len; p += wr_lines_character(p, (size_t)(reader->end - p), 0))
            where.length++;
    }
    wr_diagnostics_add(reader->diagnostics, WR_DIAGNOSTIC_ERROR, code, reader->csv, reader->text, (size_t)(reader->end - reader->text),
                       where, hint, "%s (table '%.60s' of %s:%u:%u)", message, origin->name, origin->file, origin->at.line,
                       origin->at.column);
}

static struct wr_csv_cell trim(struct wr_csv_cell cell) {
    while (cell.len > 0 && (*cell.text == ' ' || *cell.text == '\t')) {
        cell.text++;
        cell.len--;
    }
    while (cell.len > 0 && (cell.text[cell.len - 1] == ' ' || cell.text[cell.len - 1] == '\t'))
        cell.len--;
    return cell;
}

bool wr_table_read_number(const char *text, double *ret_number) {
    if (text[strspn(text, "0123456789+-.eE")] != '\0' || !strpbrk(text, "0123456789"))
        return false;
    char *end;
    const double number = strtod(text, &end);
    if (*end != '\0' || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

/* -- the header --------------------------------------------------------------------------------------------------------------------------- */

/* "hi[°C]" into name and unit. */
static bool read_column(struct reader *reader, const struct wr_csv_cell *cell, struct wr_table_column *column) {
    const struct wr_csv_cell whole = trim(*cell);
    const char *bracket = memchr(whole.text, '[', whole.len);
    struct wr_csv_cell name = {whole.text, bracket ? (size_t)(bracket - whole.text) : whole.len, cell->at};
    name = trim(name);
    column->unit = wr_unit_plain();
    column->name = wr_arena_text(reader->arena, name.text, name.len);
    column->number = bracket != NULL;
    if (!column->name || !bracket)
        return column->name != NULL;
    const size_t len = (size_t)(whole.text + whole.len - bracket);
    struct wr_error err;
    if (len < 3 || name.len == 0 || bracket[len - 1] != ']') {
        complain(reader, HEADER_CODE, cell->at, cell->len, "name[unit], as in hi[°C]",
                 "a column is a name, or a name with a unit in brackets");
    } else if (wr_unit_parse(bracket + 1, len - 2, &column->unit, &err) != WR_OK) {
        complain(reader, HEADER_CODE, cell->at, cell->len, NULL, "%s", err.text);
    } else {
        column->unit.ambiguous_m = false; /* a column in m is in metres */
    }
    return true;
}

static void refuse_twice(struct reader *reader, uint32_t i, const struct wr_table_column *column) {
    const struct wr_table *table = reader->table;
    for (uint32_t k = 0; k < table->n_columns; k++)
        if (strcmp(table->columns[k].name, column->name) == 0)
            complain(reader, HEADER_CODE, reader->cells[i].at, reader->cells[i].len, NULL, "two columns are called '%.60s'", column->name);
}

static void no_key(struct reader *reader) {
    const struct wr_table_origin *origin = reader->origin;
    const char *near = NULL;
    char hint[128];
    (void)wr_table_column(reader->table, origin->key, &near);
    const bool semicolons = reader->n_columns == 1 && memchr(reader->cells[0].text, ';', reader->cells[0].len);
    snprintf(hint, sizeof hint, near ? "did you mean '%.60s'?" : "columns are separated by commas, not by semicolons", near);
    wr_diagnostics_add(reader->diagnostics, WR_DIAGNOSTIC_ERROR, KEY_CODE, origin->file, origin->text, origin->text_len, origin->key_at,
                       near || semicolons ? hint : NULL, "%s:%u:1 names no column '%.60s'", reader->csv, reader->line, origin->key);
}

static bool take_header(struct reader *reader) {
    struct wr_table *table = reader->table;
    reader->n_columns = (uint32_t)reader->row.n_cells;
    reader->key = WR_TABLE_NONE;
    for (uint32_t i = 0; i < reader->n_columns; i++) {
        reader->column_of[i] = WR_TABLE_NONE;
        if (trim(reader->cells[i]).len == 0)
            continue;
        struct wr_table_column *column = &table->columns[table->n_columns];
        if (!read_column(reader, &reader->cells[i], column))
            return false;
        refuse_twice(reader, i, column);
        if (strcmp(column->name, reader->origin->key) == 0) {
            reader->key = i;
            if (column->number)
                complain(reader, HEADER_CODE, reader->cells[i].at, reader->cells[i].len, NULL, "the key column is text: it takes no unit");
        }
        reader->column_of[i] = table->n_columns++;
    }
    if (reader->key == WR_TABLE_NONE)
        no_key(reader);
    return true;
}

/* -- rows --------------------------------------------------------------------------------------------------------------------------------- */

/* A cell of a column with a unit that is no number. */
static void no_number(struct reader *reader, const struct wr_csv_cell *cell, const char *text, const struct wr_table_column *column) {
    char hint[128];
    const size_t digits = strspn(text, "0123456789+-.,eE");
    double number;
    hint[0] = '\0';
    if (text[digits] == '\0' && strchr(text, ',') && strchr(text, ',') == strrchr(text, ',')) {
        snprintf(hint, sizeof hint, "write a point: %.*s.%s", (int)(strchr(text, ',') - text), text, strchr(text, ',') + 1);
    } else if (digits > 0 && text[digits] != '\0') {
        char head[32];
        snprintf(head, sizeof head, "%.*s", (int)digits, text);
        if (wr_table_read_number(head, &number))
            snprintf(hint, sizeof hint, "the unit stands in the header: write %s", head);
    }
    complain(reader, NUMBER_CODE, cell->at, cell->len, hint[0] ? hint : NULL, "'%.60s' is no number, but the column '%.60s' is in %s", text,
             column->name, column->unit.text);
}

static void take_cell(struct reader *reader, uint32_t i, uint32_t *ret_at) {
    const struct wr_csv_cell cell = trim(reader->cells[i]);
    struct wr_table_column *column = &reader->table->columns[reader->column_of[i]];
    *ret_at = WR_TABLE_NONE;
    if (cell.len == 0)
        return;
    if (cell.len > WR_TABLE_CELL_BYTES) {
        complain(reader, ROW_CODE, cell.at, 1, NULL, "a cell of more than %d bytes", WR_TABLE_CELL_BYTES);
        return;
    }
    char *text =
        reader->texts + reader->n_texts; /* each cell has a comma or a newline behind it, but for the last: there is room for its NUL */
    memcpy(text, cell.text, cell.len);
    text[cell.len] = '\0';
    *ret_at = (uint32_t)reader->n_texts;
    reader->n_texts += cell.len + 1;
    double number;
    if (column->number && i != reader->key && !wr_table_read_number(text, &number))
        no_number(reader, &reader->cells[i], text, column);
}

static bool is_blank(const struct reader *reader) {
    for (size_t i = 0; i < reader->row.n_cells; i++)
        if (trim(reader->cells[i]).len > 0)
            return false;
    return true;
}

static void take_row(struct reader *reader) {
    struct wr_table *table = reader->table;
    if (reader->row.n_cells != reader->n_columns) {
        complain(reader, ROW_CODE, reader->start, 0, NULL, "%zu cells in the row, %u in the header", reader->row.n_cells,
                 reader->n_columns);
        return;
    }
    uint32_t *cells = table->cells + reader->n_cells;
    for (uint32_t i = 0; i < reader->n_columns; i++)
        if (reader->column_of[i] != WR_TABLE_NONE)
            take_cell(reader, i, &cells[reader->column_of[i]]);
    const uint32_t key = cells[reader->column_of[reader->key]];
    if (key == WR_TABLE_NONE) {
        complain(reader, ROW_CODE, reader->cells[reader->key].at, 1, NULL, "a row without a key: the cell of '%.60s' is empty",
                 reader->origin->key);
        return;
    }
    table->rows[table->n_rows++] = (struct wr_table_entry){reader->texts + key, reader->n_cells, reader->line};
    reader->n_cells += table->n_columns;
}

static uint32_t count_breaks(const char *from, const char *to, const char *end) {
    uint32_t n = 0;
    for (const char *p = from; p < to;) {
        const size_t bytes = wr_lines_break(p, (size_t)(end - p), 0);
        n += bytes > 0;
        p += bytes > 0 ? bytes : 1;
    }
    return n;
}

/* A row that is none. The reading goes on with the next line. */
static void refuse_row(struct reader *reader, enum wr_csv_found found) {
    const char *at = reader->row.wrong;
    if (found == WR_CSV_ROW_LONG) {
        complain(reader, ROW_CODE, reader->start, 0, NULL, "more than %d columns", WR_TABLE_COLUMNS);
    } else if (found == WR_CSV_ROW_OPEN) {
        complain(reader, ROW_CODE, at, 1, NULL, "this quote is never closed");
    } else {
        const char *quote = reader->cells[reader->row.n_cells].at;
        const uint32_t lines = count_breaks(quote, at, reader->end);
        if (lines > 0) /* as a rule it swallowed the rows between */
            complain(reader, ROW_CODE, quote, 1, NULL, "this quote is not closed before line %u, and there is text behind it there",
                     reader->line + count_breaks(reader->start, at, reader->end));
        else
            complain(reader, ROW_CODE, at, 1, "a quote inside of quotes is written twice", "text behind a closing quote");
    }
    const char *newline = memchr(reader->start, '\n', (size_t)(reader->end - reader->start));
    reader->row.end = newline ? newline + 1 : reader->end;
}

/* Memory for as many rows as there are lines. */
static bool make_room(struct reader *reader) {
    struct wr_table *table = reader->table;
    size_t lines = 1;
    for (const char *p = reader->start; (p = memchr(p, '\n', (size_t)(reader->end - p))) != NULL; p++)
        lines++;
    if (lines > WR_TABLE_ROWS)
        lines = WR_TABLE_ROWS;
    table->rows = wr_arena_take(reader->arena, lines * sizeof *table->rows);
    table->cells = wr_arena_take(reader->arena, (lines * table->n_columns + 1) * sizeof *table->cells);
    reader->texts = wr_arena_take(reader->arena, (size_t)(reader->end - reader->start) + 1);
    table->texts = reader->texts;
    return table->rows && table->cells && reader->texts;
}

/* All rows; false: memory ran out. */
static bool read_rows(struct reader *reader) {
    while (reader->start < reader->end) {
        const enum wr_csv_found found = wr_csv_row_read(&reader->row, reader->start, reader->end, true);
        if (found == WR_CSV_ROW_MEMORY)
            return false;
        if (found != WR_CSV_ROW_FOUND) {
            refuse_row(reader, found);
            if (reader->n_columns == 0)
                return true; /* without a header nothing behind it means anything */
        } else if (!is_blank(reader)) {
            if (reader->n_columns > 0 && reader->table->n_rows == WR_TABLE_ROWS) {
                complain(reader, FILE_CODE, reader->start, 0, NULL, "more than %d rows", WR_TABLE_ROWS);
                return true;
            }
            if (reader->n_columns > 0)
                take_row(reader);
            else if (!take_header(reader) || !make_room(reader))
                return false;
            else if (reader->key == WR_TABLE_NONE)
                return true;
        }
        reader->line += count_breaks(reader->start, reader->row.end, reader->end);
        reader->start = reader->row.end;
    }
    if (reader->n_columns == 0)
        complain(reader, FILE_CODE, NULL, 0, NULL, "an empty file: the first row names the columns");
    return true;
}

/* -- the whole ---------------------------------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b) {
    const struct wr_table_entry *left = a;
    const struct wr_table_entry *right = b;
    const int keys = strcmp(left->key, right->key);
    return keys != 0 ? keys : (left->line > right->line) - (left->line < right->line);
}

static void sort_rows(struct reader *reader) {
    struct wr_table *table = reader->table;
    if (table->n_rows > 1)
        qsort(table->rows, table->n_rows, sizeof *table->rows, by_key);
    uint32_t first = 0;
    for (uint32_t i = 1; i < table->n_rows; i++) {
        if (strcmp(table->rows[first].key, table->rows[i].key) != 0) {
            first = i;
            continue;
        }
        const struct wr_table_origin *origin = reader->origin;
        const struct wr_position where = {.line = table->rows[i].line, .column = 1};
        wr_diagnostics_add(reader->diagnostics, WR_DIAGNOSTIC_ERROR, TWICE_CODE, reader->csv, reader->text,
                           (size_t)(reader->end - reader->text), where, NULL,
                           "the key '%.60s' stands in lines %u and %u (table '%.60s' of %s:%u:%u)", table->rows[i].key,
                           table->rows[first].line, where.line, origin->name, origin->file, origin->at.line, origin->at.column);
    }
}

/* A column without a unit holds numbers if all of its cells are some. */
static bool make_numbers(struct reader *reader) {
    struct wr_table *table = reader->table;
    for (uint32_t column = 0; column < table->n_columns; column++) {
        bool good = column != reader->column_of[reader->key];
        double number;
        for (uint32_t row = 0; good && row < table->n_rows; row++) {
            const char *text = wr_table_text(table, row, column);
            good = !text || wr_table_read_number(text, &number);
        }
        table->columns[column].number = good;
        if (!good)
            continue; /* the arena gives nothing back: memory for numbers only */
        double *numbers = wr_arena_take(reader->arena, (table->n_rows + 1) * sizeof *numbers);
        if (!numbers)
            return false;
        for (uint32_t row = 0; row < table->n_rows; row++) {
            const char *text = wr_table_text(table, row, column);
            numbers[row] = NAN;
            if (text && !wr_table_read_number(text, &numbers[row]))
                return false;
        }
        table->numbers[column] = numbers;
    }
    return true;
}

/* The first byte that is no text; NULL: all is well. */
static const char *not_utf8(const char *text, const char *end) {
    while (text < end) {
        const size_t len = *text == '\0' ? 0 : wr_utf8_length(text, (size_t)(end - text));
        if (len == 0)
            return text;
        text += len;
    }
    return NULL;
}

static bool read_all(struct reader *reader) {
    const size_t errors = reader->diagnostics->errors;
    const char *wrong = not_utf8(reader->text, reader->end);
    if (wrong)
        complain(reader, FILE_CODE, wrong, 1, "save the file as \"CSV UTF-8\"", "not UTF-8");
    else if (!read_rows(reader))
        return false;
    sort_rows(reader);
    reader->table->broken = reader->diagnostics->errors > errors;
    return reader->table->broken || make_numbers(reader);
}

/* An empty one of this name. NULL: no memory. */
static struct wr_table *make_table(struct wr_arena *arena, const struct wr_table_origin *origin) {
    struct wr_table *table = wr_arena_take(arena, sizeof *table);
    if (!table)
        return NULL;
    table->name = wr_arena_string(arena, origin->name);
    table->key = wr_arena_string(arena, origin->key);
    return table->name && table->key ? table : NULL;
}

bool wr_table_read(struct wr_arena *arena, const struct wr_table_origin *origin, const char *csv, const char *text, size_t len,
                   struct wr_diagnostics *diagnostics, struct wr_table **ret_table) {
    struct wr_table *table = make_table(arena, origin);
    struct reader *reader = table ? calloc(1, sizeof *reader) : NULL;
    if (!reader)
        return false;
    const size_t mark = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    reader->arena = arena;
    reader->origin = origin;
    reader->csv = csv;
    reader->text = reader->start = text + mark;
    reader->end = text + len;
    reader->diagnostics = diagnostics;
    reader->table = table;
    table->fingerprint = wr_fingerprint_add(WR_FINGERPRINT_START, text, len);
    reader->line = 1;
    wr_csv_row_init(&reader->row, reader->cells, WR_TABLE_COLUMNS);
    const bool good = read_all(reader);
    wr_csv_row_fini(&reader->row);
    free(reader);
    if (good)
        *ret_table = table;
    return good;
}

bool wr_table_load(struct wr_arena *arena, const struct wr_table_origin *origin, const char *path, struct wr_diagnostics *diagnostics,
                   struct wr_table **ret_table) {
    struct wr_buf text;
    struct wr_error err;
    wr_buf_init(&text, 0);
    const enum wr_result result = wr_file_read(path, WR_TABLE_BYTES, &text, &err);
    bool good = result != WR_NO_MEMORY;
    if (result == WR_OK) {
        good = wr_table_read(arena, origin, path, wr_buf_str(&text), text.len, diagnostics, ret_table);
    } else if (good) {
        struct wr_table *table = make_table(arena, origin);
        good = table != NULL;
        if (good) {
            wr_diagnostics_add(diagnostics, WR_DIAGNOSTIC_ERROR, FILE_CODE, origin->file, origin->text, origin->text_len, origin->at, NULL,
                               "%s", err.text);
            table->broken = true;
            *ret_table = table;
        }
    }
    wr_buf_fini(&text);
    return good;
}
