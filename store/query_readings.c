/* The table `readings`: a row an aggregate or change. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/series.h"
#include "store/query_private.h"

#define EXACT 9007199254740992.0 /* below it a double holds every integer */
#define LANES (1U << WR_LANE_CHANGES | 1U << WR_LANE_WINDOWS)

enum column {
    TIME,
    SERIES,
    N,
    MEAN,
    MIN,
    MAX,
    FIRST,
    LAST,
    SUM,
    BAD,
    QUALITY,
    TIME_NS,
    NAME,
    FIELD,
    TAGS,
    TYPE,
    WINDOW_NS,
    LATE,
    PARTIAL,
    WIDENED,
    LANE,
    SEQ,
    KEY,
};

/* Hidden ones are not in `SELECT *`. Texts with bounds stand in the order of enum wr_query_series_bound. */
static const struct wr_query_column columns[] = {
    [TIME] = {"time", "TEXT COLLATE time", WR_BOUND_TIME},
    [SERIES] = {"series", "TEXT", WR_BOUND_TEXT},
    [N] = {"n", "INTEGER", WR_BOUND_NONE},
    [MEAN] = {"mean", "REAL", WR_BOUND_NONE},
    [MIN] = {"min", "", WR_BOUND_NONE},
    [MAX] = {"max", "", WR_BOUND_NONE},
    [FIRST] = {"first", "", WR_BOUND_NONE},
    [LAST] = {"last", "", WR_BOUND_NONE},
    [SUM] = {"sum", "", WR_BOUND_NONE},
    [BAD] = {"bad", "INTEGER", WR_BOUND_NONE},
    [QUALITY] = {"quality", "TEXT", WR_BOUND_NONE},
    [TIME_NS] = {"time_ns", "INTEGER HIDDEN", WR_BOUND_TIME_NS},
    [NAME] = {"name", "TEXT HIDDEN", WR_BOUND_TEXT},
    [FIELD] = {"field", "TEXT HIDDEN", WR_BOUND_TEXT},
    [TAGS] = {"tags", "TEXT HIDDEN", WR_BOUND_NONE},
    [TYPE] = {"type", "TEXT HIDDEN", WR_BOUND_NONE},
    [WINDOW_NS] = {"window_ns", "INTEGER HIDDEN", WR_BOUND_NONE},
    [LATE] = {"late", "INTEGER HIDDEN", WR_BOUND_NONE},
    [PARTIAL] = {"partial", "INTEGER HIDDEN", WR_BOUND_NONE},
    [WIDENED] = {"widened", "INTEGER HIDDEN", WR_BOUND_NONE},
    [LANE] = {"lane", "TEXT HIDDEN", WR_BOUND_NONE},
    [SEQ] = {"seq", "INTEGER HIDDEN", WR_BOUND_NONE},
    [KEY] = {"key", "BLOB HIDDEN", WR_BOUND_NONE}, /* as core/series.h has it */
};
struct cursor {
    struct wr_query_cursor common; /* first */
    const struct wr_segment_head *head;
    struct wr_aggregate aggregate;
    const char *key; /* of the run at hand: in a segment no other has the same address */
    uint32_t run;
    uint32_t n_runs; /* of the segment, up to the last that is wanted */
    bool wanted[WR_SEGMENT_RECORDS];
    bool tags_known;
    char series[WR_QUERY_SERIES_BYTES];
    struct wr_buf tags;
};

static int connect(sqlite3 *db, void *user, int argc, const char *const *argv, sqlite3_vtab **ret_table, char **ret_error) {
    (void)argc, (void)argv, (void)ret_error;
    return wr_query_table_connect(db, user, columns, sizeof columns / sizeof columns[0], ret_table);
}

static int open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor) {
    struct cursor *cursor = calloc(1, sizeof *cursor); /* SQLite's own memory is not aligned for 128 bits */
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
    cursor->n_runs = 0;
    for (uint32_t i = 0; i < WR_SEGMENT_RECORDS && (key = wr_decode_run(cursor->common.scan.decoder, i, &len)); i++) {
        cursor->wanted[i] = wr_query_series_wanted(&cursor->common.bounds, key, len);
        if (cursor->wanted[i])
            cursor->n_runs = i + 1;
    }
    cursor->run = 0;
    return cursor->n_runs > 0;
}

static void begin_run(struct cursor *cursor) {
    const struct wr_aggregate *aggregate = &cursor->aggregate;
    cursor->run += cursor->key != NULL;
    cursor->key = aggregate->key;
    cursor->tags_known = false;
    if (cursor->run < cursor->n_runs && cursor->wanted[cursor->run])
        wr_series_display(cursor->series, sizeof cursor->series, aggregate->key, aggregate->key_len);
}

/* The next record of the segment that the query may want; WR_EMPTY behind the last. */
static enum wr_result advance_in_segment(struct cursor *cursor) {
    const struct wr_query_bounds *bounds = &cursor->common.bounds;
    for (;;) {
        WR_TRY(wr_decode_aggregate(cursor->common.scan.decoder, &cursor->aggregate, &cursor->common.query->error));
        cursor->common.record++;
        if (cursor->aggregate.key != cursor->key)
            begin_run(cursor);
        if (cursor->run == cursor->n_runs)
            return WR_EMPTY;
        if (cursor->wanted[cursor->run] && cursor->aggregate.start_ns >= bounds->from_ns && cursor->aggregate.start_ns <= bounds->to_ns)
            return WR_OK;
    }
}

/* The same over all segments. */
static enum wr_result advance(struct cursor *cursor) {
    for (;;) {
        if (!cursor->head) {
            WR_TRY(wr_query_scan_segment(&cursor->common.scan, WR_SEGMENT_AGGREGATES, &cursor->head));
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
    wr_query_scan_begin(&cursor->common.scan, cursor->common.query, LANES, bounds->from_ns, bounds->to_ns);
    return wr_query_cursor_result(&cursor->common, advance(cursor));
}

/* -- columns ------------------------------------------------------------------------------------------------------------------------------- */

static void put_sum(sqlite3_context *context, const struct wr_aggregate *aggregate) {
    const struct wr_sum *sum = &aggregate->sum;
    if (aggregate->type != WR_TYPE_FLOAT && sum->exact && sum->decimals == 0 && wr_i128_is_int64(sum->scaled))
        sqlite3_result_int64(context, wr_i128_low(sum->scaled));
    else
        sqlite3_result_double(context, wr_sum_double(sum));
}

/* Rounded once where the sum is exact: 60.3 of three is 20.1. */
static double mean_of(const struct wr_aggregate *aggregate) {
    const struct wr_sum *sum = &aggregate->sum;
    const double n = (double)aggregate->n;
    if (sum->exact && wr_i128_is_int64(sum->scaled) && sum->decimals <= WR_DECIMALS_MAX) {
        const double scaled = (double)wr_i128_low(sum->scaled);
        const double parts = n * wr_decimal_powers[sum->decimals];
        if (fabs(scaled) < EXACT && parts < EXACT)
            return scaled / parts;
    }
    return wr_sum_double(sum) / n;
}

/* Of what the readings said; NULL where there was no good one, or where they were texts. */
static void put_measured(sqlite3_context *context, const struct wr_aggregate *aggregate, int column) {
    const bool is_text = aggregate->type == WR_TYPE_SYMBOL;
    if (aggregate->n == 0 || (is_text && column != FIRST && column != LAST))
        return;
    if (column == MEAN)
        sqlite3_result_double(context, mean_of(aggregate));
    else if (column == SUM)
        put_sum(context, aggregate);
    else if (column == MIN)
        wr_query_put_value(context, (enum wr_type)aggregate->type, aggregate->min, NULL);
    else if (column == MAX)
        wr_query_put_value(context, (enum wr_type)aggregate->type, aggregate->max, NULL);
    else if (column == FIRST)
        wr_query_put_value(context, (enum wr_type)aggregate->type, aggregate->first, aggregate->first_text);
    else
        wr_query_put_value(context, (enum wr_type)aggregate->type, aggregate->last, aggregate->last_text);
}

/* Of a change that of its value; of a window "uncertain" if one of its readings was, "bad" if no good one was there. */
static enum wr_quality quality_of(const struct wr_aggregate *aggregate) {
    if (aggregate->quality != WR_QUALITY_GOOD)
        return (enum wr_quality)aggregate->quality;
    if (aggregate->n == 0 && aggregate->bad > 0)
        return WR_QUALITY_BAD;
    return aggregate->flags & WR_AGGREGATE_UNCERTAIN ? WR_QUALITY_UNCERTAIN : WR_QUALITY_GOOD;
}

static int put_tags(sqlite3_context *context, struct cursor *cursor) {
    if (!cursor->tags_known && wr_query_series_tags(&cursor->tags, cursor->aggregate.key, cursor->aggregate.key_len) != WR_OK)
        return SQLITE_NOMEM;
    cursor->tags_known = true;
    wr_query_put_text(context, wr_buf_str(&cursor->tags));
    return SQLITE_OK;
}

/* What stands about the row, beside what was measured. */
static void put_about(sqlite3_context *context, const struct cursor *cursor, int column) {
    const struct wr_aggregate *aggregate = &cursor->aggregate;
    switch ((enum column)column) {
    case TIME:
        wr_query_put_time(context, aggregate->start_ns);
        return;
    case SERIES:
        wr_query_put_text(context, cursor->series);
        return;
    case N:
        wr_query_put_unsigned(context, aggregate->n);
        return;
    case BAD:
        wr_query_put_unsigned(context, aggregate->bad);
        return;
    case QUALITY:
        wr_query_put_text(context, wr_quality_name(quality_of(aggregate)));
        return;
    case TIME_NS:
        sqlite3_result_int64(context, aggregate->start_ns);
        return;
    case NAME:
        wr_query_put_text(context, wr_series_measurement(aggregate->key));
        return;
    case FIELD:
        wr_query_put_text(context, wr_series_field(aggregate->key));
        return;
    case TYPE:
        wr_query_put_text(context, wr_type_name((enum wr_type)aggregate->type));
        return;
    case WINDOW_NS:
        sqlite3_result_int64(context, aggregate->window_ns);
        return;
    case LATE:
        sqlite3_result_int(context, (aggregate->flags & WR_AGGREGATE_LATE) != 0);
        return;
    case PARTIAL:
        sqlite3_result_int(context, (aggregate->flags & WR_AGGREGATE_PARTIAL) != 0);
        return;
    case WIDENED:
        sqlite3_result_int(context, (aggregate->flags & WR_AGGREGATE_WIDENED) != 0);
        return;
    case LANE:
        wr_query_put_text(context, wr_lane_name((enum wr_lane)cursor->head->lane));
        return;
    case SEQ:
        sqlite3_result_int64(context, cursor->head->seq);
        return;
    case KEY:
        sqlite3_result_blob(context, aggregate->key, aggregate->key_len, SQLITE_TRANSIENT);
        return;
    default:
        return;
    }
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    struct cursor *cursor = (struct cursor *)base;
    if (column == TAGS)
        return put_tags(context, cursor);
    if (column >= MEAN && column <= SUM)
        put_measured(context, &cursor->aggregate, column);
    else
        put_about(context, cursor, column);
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid) {
    const struct cursor *cursor = (const struct cursor *)base;
    *ret_rowid = wr_query_rowid(cursor->head, cursor->common.record);
    return SQLITE_OK;
}

const sqlite3_module wr_query_readings = {.iVersion = 1,
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
