/* Tables: limits and texts of many things in one spreadsheet, a CSV file beside the rule file.
 *
 *   room,hi[°C],lo[°C],gw,spare
 *   A1,8,2,gw1,B1
 *   A2,8.5,,gw1,"B1, lower shelf"
 *
 * Form: RFC 4180, commas, UTF-8, a byte order mark is skipped; blanks around a cell do not count. The first row names the columns. A column with a unit in
 * brackets holds numbers in that unit; another one holds plain numbers if every cell of it is one, else text. The key column is text, and no key
 * stands twice. An empty cell is missing. A column without a name is skipped.
 *
 * Promise: everything that is wrong is told at once, each with the place in the CSV and the place in the rule file that named it. Looking up allocates nothing;
 * a row is found in O(log n).
 * Threads: immutable once read, so any. Ownership: lives in the arena; copies what it needs. Limits: the three below; WR_TABLE_CELL_BYTES a cell.
 * Units: a cell's number is in the unit of its column, as written.
 */
#ifndef WEIR_RULES_LANGUAGE_TABLE_H
#define WEIR_RULES_LANGUAGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/diagnostics/diagnostics.h"
#include "rules/language/arena.h"
#include "rules/language/units.h"

#define WR_TABLE_BYTES (8u << 20)
#define WR_TABLE_ROWS 100000
#define WR_TABLE_COLUMNS 64
#define WR_TABLE_CELL_BYTES 255
#define WR_TABLE_NONE UINT32_MAX /* no such row, no such column */

struct wr_table;

struct wr_table_column {
    const char *name;
    bool number;         /* else text */
    struct wr_unit unit; /* of numbers; plain: none was written */
};

/* Where the rule file names the table. */
struct wr_table_origin {
    const char *name; /* of the table */
    const char *key;  /* of its key column */
    const char *file; /* the rule file */
    const char *text; /* the rule file's text, for excerpts; NULL: none */
    size_t text_len;
    struct wr_position at;     /* of `csv` */
    struct wr_position key_at; /* of `key` */
};

/* A table from the text of a CSV; csv is its name in diagnostics. False: memory ran out. With errors there is a broken table of the columns that could be
 * read. */
WR_MUST_USE bool wr_table_read(struct wr_arena *arena, const struct wr_table_origin *origin, const char *csv, const char *text, size_t len,
                               struct wr_diagnostics *diagnostics, struct wr_table **ret_table);
/* The same from a file. */
WR_MUST_USE bool wr_table_load(struct wr_arena *arena, const struct wr_table_origin *origin, const char *path,
                               struct wr_diagnostics *diagnostics, struct wr_table **ret_table);

const char *wr_table_name(const struct wr_table *table);
/* Of the text that it was read from: core/fingerprint.h. */
uint64_t wr_table_fingerprint(const struct wr_table *table);
/* There were errors: whether it has a column, and of what kind, may not be known. For whoever checks rules that use it and would blame them. */
bool wr_table_broken(const struct wr_table *table);
/* The name of the key column: the label by which an instance finds its row. */
const char *wr_table_key(const struct wr_table *table);
uint32_t wr_table_rows(const struct wr_table *table);
/* All columns, the key column among them. */
const struct wr_table_column *wr_table_columns(const struct wr_table *table, uint32_t *ret_n);
/* WR_TABLE_NONE when there is none; *ret_near (may be NULL) is then the nearest name, or NULL. */
uint32_t wr_table_column(const struct wr_table *table, const char *name, const char **ret_near);

/* The row of a key, or WR_TABLE_NONE. key[len] needs no NUL. */
uint32_t wr_table_row(const struct wr_table *table, const char *key, size_t len);
/* A cell as a number, in the unit of its column; NaN: missing (also without a row: WR_TABLE_NONE), or a text. */
double wr_table_number(const struct wr_table *table, uint32_t row, uint32_t column);
/* A cell as text, as it is written; NULL: missing. Numbers have a text too. */
const char *wr_table_text(const struct wr_table *table, uint32_t row, uint32_t column);

#endif
