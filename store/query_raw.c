/* The table `raw`: a row a reading that a window has kept. */
#include "store/query_private.h"

enum column { VALUE = WR_QUERY_SERIES_COLUMNS, QUALITY, HISTORIC };

static const struct wr_query_column columns[] = {
    WR_QUERY_SERIES_DECLARED,
    [VALUE] = {"value", "", WR_BOUND_NONE},
    [QUALITY] = {"quality", "TEXT", WR_BOUND_NONE},
    [HISTORIC] = {"historic", "INTEGER HIDDEN", WR_BOUND_NONE},
};

struct cursor {
    struct wr_query_series series; /* first */
    struct wr_raw_reading reading;
};

static enum wr_result decode(struct wr_query_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    WR_TRY(wr_raw_decode(base->scan.raw, &cursor->reading, &base->query->error));
    base->time_ns = cursor->reading.time_ns;
    (void)wr_correction_time(&base->head->correction, &base->time_ns);
    return wr_query_series_take(&cursor->series, cursor->reading.key, cursor->reading.key_len);
}

static int column(struct wr_query_cursor *base, sqlite3_context *context, int column) {
    struct cursor *cursor = (struct cursor *)base;
    const struct wr_raw_reading *reading = &cursor->reading;
    const enum wr_type type = (enum wr_type)reading->type;
    if (column < WR_QUERY_SERIES_COLUMNS)
        return wr_query_series_column(&cursor->series, context, column, type);
    if (column == VALUE)
        wr_query_put_value(context, type, reading->value, reading->text);
    else if (column == QUALITY)
        wr_query_put_text(context, wr_quality_name((enum wr_quality)reading->quality));
    else
        sqlite3_result_int(context, (reading->flags & WR_READING_HISTORIC) != 0);
    return SQLITE_OK;
}

const struct wr_query_table wr_query_raw = {.name = "raw",
                                            .columns = columns,
                                            .n_columns = sizeof columns / sizeof columns[0],
                                            .lanes = 1U << WR_LANE_RAW,
                                            .kinds = 1U << WR_SEGMENT_RAW,
                                            .cursor_bytes = sizeof(struct cursor),
                                            .begin = wr_query_series_begin,
                                            .decode = decode,
                                            .column = column,
                                            .fini = wr_query_series_fini};
