/* A column of a CSV file as samples: csv(file.csv, column) in a test.
 *
 * The first row names the columns. A column called time, timestamp, ts or t gives each row's time: an instant (rules/testing/instant.h), or a number of
 * seconds since 1970 (milli-, micro- and nanoseconds are told by their size). Cells are numbers, true, false or texts; an empty one is missing.
 * Promise: what cannot be read is an error that names file, line and column. Threads: any. Ownership: wr_column_free.
 * Limits: WR_COLUMN_BYTES of file, WR_TEST_SAMPLES rows.
 */
#ifndef WEIR_RULES_TESTING_COLUMN_H
#define WEIR_RULES_TESTING_COLUMN_H

#include "core/buf.h"
#include "rules/testing/notation.h"

#define WR_COLUMN_BYTES (64u << 20)
#define WR_COLUMN_COLUMNS 256

struct wr_column_row {
    int64_t time_ns;
    struct wr_sample sample; /* a text points into the column's bytes */
};

struct wr_column {
    bool has_time;
    uint32_t n;
    uint32_t cap;
    struct wr_column_row *rows;
    struct wr_arena texts;
};

/* beside: the file whose folder a relative path begins at. WR_NOT_FOUND, WR_INVALID, WR_IO, WR_LIMIT, WR_NO_MEMORY in err. */
WR_MUST_USE enum wr_result wr_column_load(struct wr_column *column, const char *beside, const char *path, const char *name,
                                          struct wr_error *err);
void wr_column_free(struct wr_column *column);

#endif
