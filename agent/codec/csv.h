/* CSV: one row is one record, one column one field.
 *
 * Form: RFC 4180: cells separated by commas, quotes around cells with commas, quotes (doubled) or newlines in them; CR LF or LF; the first row
 * names the columns. A header with one name less than the rows have cells (as R writes it) begins at the second column. A column without a name
 * is no field (a row number, as other tools write it). A byte order mark is skipped.
 * Roles: options as struct wr_config_csv tells. Without them the first named column is the time, the others are fields.
 * Values: a number is a float (a column may hold 20 and then 20.5), nan and inf are bad readings, true and false are bool, the rest is text. An
 * empty cell gives no reading. A tag column with an empty cell is no tag of that row.
 * Errors: a row is refused whole; then the reading goes on with the next line, also inside of a quote that was never closed. A header that does
 * not have the columns of the options ends the file: WR_INVALID.
 *
 * Threads: one at a time. Ownership: caller's memory, init/fini; the options outlive it. Limits: WR_CSV_COLUMNS columns.
 */
#ifndef WEIR_AGENT_CODEC_CSV_H
#define WEIR_AGENT_CODEC_CSV_H

#include "agent/codec/record.h"
#include "agent/codec/time_format.h"
#include "agent/config/config.h"
#include "core/buf.h"
#include "core/csv_row.h"

#define WR_CSV_COLUMNS 512
#define WR_CSV_TIME_PARTS 4

enum wr_csv_role { WR_CSV_FIELD, WR_CSV_TIME, WR_CSV_TAG, WR_CSV_SKIP };

struct wr_csv {
    const struct wr_config_csv *options;
    const char *measurement;
    struct wr_time_format time;
    bool has_header;
    bool shifted; /* rows have one cell more than the header */
    bool shift_known;
    size_t n_columns;
    enum wr_csv_role roles[WR_CSV_COLUMNS];
    struct wr_word names[WR_CSV_COLUMNS]; /* in `header` */
    size_t time_columns[WR_CSV_TIME_PARTS];
    size_t n_time_columns;
    struct wr_buf header;
    struct wr_buf origin; /* measurement and tag names, then the tag cells of the row */
    size_t origin_fixed;
    struct wr_refusal refusal;
    struct wr_csv_row row;
    struct wr_csv_cell cells[WR_CSV_COLUMNS + 1];
    struct wr_field fields[WR_CSV_COLUMNS];
};

/* measurement: when the options name none. WR_INVALID, WR_NOT_FOUND: time format or zone. */
WR_MUST_USE enum wr_result wr_csv_init(struct wr_csv *csv, const struct wr_config_csv *options, const char *measurement,
                                       struct wr_error *err);
void wr_csv_fini(struct wr_csv *csv);

/* As wr_line_feed, for rows. */
WR_MUST_USE enum wr_result wr_csv_feed(struct wr_csv *csv, const char *bytes, size_t len, bool ended, uint64_t *line,
                                       const struct wr_sink *sink, size_t *ret_consumed);

#endif
