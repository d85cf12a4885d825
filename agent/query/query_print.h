/* How `weir query` shows an answer: an aligned table, CSV, JSON, or a line of bars for each series.
 *
 * Promise: names and values can do nothing to a terminal: control characters and what is no UTF-8 are escaped (but in CSV that goes into a file or pipe: there they are
 * quoted, and as they are). A table and a plot are printed at the end, since they need all rows; CSV and JSON row by row.
 * A plot draws one column: `mean`, else `value`, else the last that holds numbers; a line for each text that the other text columns make together, with time from left
 * to right if a column holds times, else in the order of the rows; where nothing was measured there is a gap.
 *
 * Threads: one. Ownership: init/fini; the stream stays the caller's.
 */
#ifndef WEIR_AGENT_QUERY_QUERY_PRINT_H
#define WEIR_AGENT_QUERY_QUERY_PRINT_H

#include <stdio.h>

#include "core/buf.h"
#include "store/query.h"

enum wr_query_format { WR_QUERY_TABLE, WR_QUERY_CSV, WR_QUERY_JSON, WR_QUERY_PLOT };

struct wr_query_cell {
    size_t at; /* in `texts`, NUL-terminated */
    bool is_number;
};

struct wr_query_point {
    uint32_t label;
    uint32_t order;
    int64_t at_ns; /* or the number of the row */
    double value;
};

struct wr_query_print {
    enum wr_query_format format;
    bool is_terminal;
    FILE *out;
    struct wr_buf names; /* of the columns, one behind the other, each with its NUL */
    unsigned n_columns;
    struct wr_buf line;  /* the row at hand, of CSV or JSON */
    struct wr_buf texts; /* of cells, of labels */
    struct wr_buf cells; /* struct wr_query_cell */
    uint32_t n_rows;
    /* plot */
    int drawn; /* the column; -1: not known yet */
    bool has_times;
    struct wr_buf labels; /* size_t: where in texts */
    struct wr_buf points; /* struct wr_query_point */
};

void wr_query_print_init(struct wr_query_print *print, enum wr_query_format format, bool is_terminal, FILE *out);
void wr_query_print_fini(struct wr_query_print *print);
struct wr_query_sink wr_query_print_sink(struct wr_query_print *print);
/* Behind the last row. WR_IO: the stream takes no more; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_query_print_end(struct wr_query_print *print, struct wr_error *err);

/* For query_plot.c: the text of a value, escaped, at the end of `into` with its NUL. */
WR_MUST_USE enum wr_result wr_query_print_text(struct wr_buf *into, const struct wr_query_value *value, bool escaped);
const char *wr_query_print_name(const struct wr_query_print *print, unsigned column);

/* query_plot.c */
WR_MUST_USE enum wr_result wr_query_plot_row(struct wr_query_print *print, const struct wr_query_value *values, unsigned n);
WR_MUST_USE enum wr_result wr_query_plot_end(struct wr_query_print *print, struct wr_error *err);

#endif
