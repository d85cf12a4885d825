/* The table `raw`: a row a reading that a window has kept. */
#include <stdlib.h>

#include "core/series.h"
#include "store/query_private.h"

enum column { TIME, SERIES, VALUE, QUALITY, TIME_NS, NAME, FIELD, TAGS, TYPE, HISTORIC, SEQ, KEY };

/* Hidden ones are not in `SELECT *`. Texts with bounds stand in the order of enum wr_query_series_bound. */
static const struct wr_query_column columns[] = {
    [TIME] = {"time", "TEXT COLLATE time", WR_BOUND_TIME},
    [SERIES] = {"series", "TEXT", WR_BOUND_TEXT},
    [VALUE] = {"value", "", WR_BOUND_NONE},
    [QUALITY] = {"quality", "TEXT", WR_BOUND_NONE},
    [TIME_NS] = {"time_ns", "INTEGER HIDDEN", WR_BOUND_TIME_NS},
    [NAME] = {"name", "TEXT HIDDEN", WR_BOUND_TEXT},
    [FIELD] = {"field", "TEXT HIDDEN", WR_BOUND_TEXT},
    [TAGS] = {"tags", "TEXT HIDDEN", WR_BOUND_NONE},
    [TYPE] = {"type", "TEXT HIDDEN", WR_BOUND_NONE},
    [HISTORIC] = {"historic", "INTEGER HIDDEN", WR_BOUND_NONE},
    [SEQ] = {"seq", "INTEGER HIDDEN", WR_BOUND_NONE},
    [KEY] = {"key", "BLOB HIDDEN", WR_BOUND_NONE}, /* as core/series.h has it */
};

struct cursor {
    struct wr_query_cursor common; /* first */
    const struct wr_segment_head *head;
    struct wr_raw_reading reading;
    const char *key; /* of the run at hand: in a segment no other has the same address */
    uint32_t run;
    uint32_t n_runs; /* of the segment, up to the last that is wanted */
    bool wanted[WR_SEGMENT_READINGS];
    bool tags_known;
    char series[WR_QUERY_SERIES_BYTES];
    struct wr_buf tags;
};

static int connect(sqlite3 *db, void *user, int argc, const char *const *argv, sqlite3_vtab **ret_table, char **ret_error) {
    (void)argc, (void)argv, (void)ret_error;
    return wr_query_table_connect(db, user, columns, sizeof columns / sizeof columns[0], ret_table);
}

static int open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor) {
    struct cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return SQLITE_NOMEM;
    cursor->common.query = ((struct wr_query_table *)table)->query;
    wr_buf_init(&cursor->tags, 0);
    *ret_cursor = &cursor->common.base;
    return SQLITE_OK;
}

static int close(sqlite3_vtab_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    wr_query_cursor_fini(&cursor->common);
    wr_buf_fini(&cursor->tags);
    free(cursor);
    return SQLITE_OK;
}

/* A segment begins: which of its runs are wanted. Behind the last of them nothing has to be decoded. False: none is. */
static bool begin_segment(struct cursor *cursor) {
    size_t len;
    const char *key;
    cursor->common.record = -1;
    cursor->key = NULL;
    cursor->run = 0;
    cursor->n_runs = 0;
    for (uint32_t i = 0; i < WR_SEGMENT_READINGS && (key = wr_raw_decode_run(cursor->common.scan.raw, i, &len)); i++) {
        cursor->wanted[i] = wr_query_series_wanted(&cursor->common.bounds, key, len);
        if (cursor->wanted[i])
            cursor->n_runs = i + 1;
    }
    return cursor->n_runs > 0;
}

static void begin_run(struct cursor *cursor) {
    cursor->run += cursor->key != NULL;
    cursor->key = cursor->reading.key;
    cursor->tags_known = false;
    if (cursor->run < cursor->n_runs && cursor->wanted[cursor->run])
        wr_series_display(cursor->series, sizeof cursor->series, cursor->reading.key, cursor->reading.key_len);
}

/* The next reading of the segment that the query may want; WR_EMPTY behind the last. */
static enum wr_result advance_in_segment(struct cursor *cursor) {
    const struct wr_query_bounds *bounds = &cursor->common.bounds;
    for (;;) {
        WR_TRY(wr_raw_decode(cursor->common.scan.raw, &cursor->reading, &cursor->common.query->error));
        cursor->common.record++;
        if (cursor->reading.key != cursor->key)
            begin_run(cursor);
        if (cursor->run == cursor->n_runs)
            return WR_EMPTY;
        if (cursor->wanted[cursor->run] && cursor->reading.time_ns >= bounds->from_ns && cursor->reading.time_ns <= bounds->to_ns)
            return WR_OK;
    }
}

/* The same over all segments. */
static enum wr_result advance(struct cursor *cursor) {
    for (;;) {
        if (!cursor->head) {
            WR_TRY(wr_query_scan_segment(&cursor->common.scan, WR_SEGMENT_RAW, &cursor->head));
            if (!begin_segment(cursor))
                cursor->head = NULL;
            continue;
        }
        const enum wr_result result = advance_in_segment(cursor);
        if (result != WR_EMPTY && result != WR_CORRUPT)
            return result;
        cursor->common.query->report->damaged += result == WR_CORRUPT;
        cursor->head = NULL;
    }
}

static int next(sqlite3_vtab_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    return wr_query_cursor_result(&cursor->common, advance(cursor));
}

static int filter(sqlite3_vtab_cursor *base, int number, const char *plan, int argc, sqlite3_value **argv) {
    struct cursor *cursor = (struct cursor *)base;
    (void)number;
    const int code = wr_query_cursor_bounds(&cursor->common, plan, argc, argv);
    if (code != SQLITE_OK)
        return code;
    const struct wr_query_bounds *bounds = &cursor->common.bounds;
    cursor->head = NULL;
    if (bounds->is_empty)
        return wr_query_cursor_result(&cursor->common, WR_EMPTY);
    wr_query_scan_begin(&cursor->common.scan, cursor->common.query, 1U << WR_LANE_RAW, bounds->from_ns, bounds->to_ns);
    return wr_query_cursor_result(&cursor->common, advance(cursor));
}

static int put_tags(sqlite3_context *context, struct cursor *cursor) {
    if (!cursor->tags_known && wr_query_series_tags(&cursor->tags, cursor->reading.key, cursor->reading.key_len) != WR_OK)
        return SQLITE_NOMEM;
    cursor->tags_known = true;
    wr_query_put_text(context, wr_buf_str(&cursor->tags));
    return SQLITE_OK;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    struct cursor *cursor = (struct cursor *)base;
    const struct wr_raw_reading *reading = &cursor->reading;
    switch ((enum column)column) {
    case TIME:
        wr_query_put_time(context, reading->time_ns);
        break;
    case SERIES:
        wr_query_put_text(context, cursor->series);
        break;
    case VALUE:
        wr_query_put_value(context, (enum wr_type)reading->type, reading->value, reading->text);
        break;
    case QUALITY:
        wr_query_put_text(context, wr_quality_name((enum wr_quality)reading->quality));
        break;
    case TIME_NS:
        sqlite3_result_int64(context, reading->time_ns);
        break;
    case NAME:
        wr_query_put_text(context, wr_series_measurement(reading->key));
        break;
    case FIELD:
        wr_query_put_text(context, wr_series_field(reading->key));
        break;
    case TAGS:
        return put_tags(context, cursor);
    case TYPE:
        wr_query_put_text(context, wr_type_name((enum wr_type)reading->type));
        break;
    case HISTORIC:
        sqlite3_result_int(context, (reading->flags & WR_READING_HISTORIC) != 0);
        break;
    case SEQ:
        sqlite3_result_int64(context, cursor->head->seq);
        break;
    case KEY:
        sqlite3_result_blob(context, reading->key, reading->key_len, SQLITE_TRANSIENT);
        break;
    }
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid) {
    const struct cursor *cursor = (const struct cursor *)base;
    *ret_rowid = wr_query_rowid(cursor->head, cursor->common.record);
    return SQLITE_OK;
}

const sqlite3_module wr_query_raw = {.iVersion = 1,
                                     .xConnect = connect,
                                     .xBestIndex = wr_query_table_best_index,
                                     .xDisconnect = wr_query_table_disconnect,
                                     .xOpen = open,
                                     .xClose = close,
                                     .xFilter = filter,
                                     .xNext = next,
                                     .xEof = wr_query_cursor_eof,
                                     .xColumn = column,
                                     .xRowid = rowid};
