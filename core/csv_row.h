/* Rows of CSV: bytes into cells, in place.
 *
 * Form: RFC 4180: cells separated by commas, quotes around cells with commas, quotes (doubled) or newlines in them; CR LF or LF. What the
 * cells mean, and what to do with a row that is refused, is the caller's: recordings (agent/codec/csv.h), tables of rules (rules/language/table.h).
 * Promise: reads nothing at or behind `end`. Copies only cells with doubled quotes.
 * Threads: one at a time. Ownership: the cells are the caller's; they point into the bytes, or into the row until the next read.
 */
#ifndef WEIR_CORE_CSV_ROW_H
#define WEIR_CORE_CSV_ROW_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

struct wr_csv_cell {
    const char *text; /* without quotes, doubled ones resolved */
    size_t len;
    const char *at; /* where it stands, with its quote */
};

struct wr_csv_row {
    struct wr_csv_cell *cells;
    size_t max_cells;
    size_t n_cells;
    const char *end;        /* behind its newline */
    size_t n_lines;         /* how many it spans */
    const char *wrong;      /* of a row that is refused: where */
    size_t wrong_len;       /* WR_CSV_ROW_BEHIND: the rest of the line */
    struct wr_buf resolved; /* cells whose quotes were resolved */
};

enum wr_csv_found {
    WR_CSV_ROW_FOUND,
    WR_CSV_ROW_INCOMPLETE, /* no newline, or a quote that is still open: come again with more */
    WR_CSV_ROW_LONG,       /* more than max_cells */
    WR_CSV_ROW_OPEN,       /* the quote at `wrong` is never closed */
    WR_CSV_ROW_BEHIND,     /* text behind a closing quote */
    WR_CSV_ROW_MEMORY,
};

void wr_csv_row_init(struct wr_csv_row *row, struct wr_csv_cell *cells, size_t max_cells);
void wr_csv_row_fini(struct wr_csv_row *row);

/* The row at start. ended: nothing comes behind `end`, so it is never incomplete. An empty line is a row of one empty cell. */
enum wr_csv_found wr_csv_row_read(struct wr_csv_row *row, const char *start, const char *end, bool ended);

#endif
