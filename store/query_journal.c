/* The table `journal`: a row an alarm entry or gap, as the JSON that it is; and the view `alarms` over it. */
#include <stdlib.h>
#include <string.h>

#include "store/query_private.h"

enum { TIME, JSON, KIND, TIME_NS, SEQ };

static const struct wr_query_column journal_columns[] = {
    [TIME] = {"time", "TEXT COLLATE time", WR_BOUND_TIME},
    [JSON] = {"json", "TEXT", WR_BOUND_NONE},
    [KIND] = {"kind", "TEXT", WR_BOUND_NONE},
    [TIME_NS] = {"time_ns", "INTEGER HIDDEN", WR_BOUND_TIME_NS},
    [SEQ] = {"seq", "INTEGER HIDDEN", WR_BOUND_NONE},
};

const char wr_query_views[] =
    "CREATE TEMP VIEW alarms AS SELECT time, json->>'alarm' AS alarm, json->>'severity' AS severity, json->>'cause' AS cause,"
    " json->>'from' AS from_state, json->>'to' AS to_state, json->>'value' AS value, json->>'limit' AS limit_value, json->>'unit' AS unit,"
    " json->>'message' AS message, json->>'level' AS level, json->>'by' AS by_whom, json->>'why' AS why, json->>'rule' AS rule,"
    " json->>'instance' AS instance, json->>'transition' AS transition, json->>'event' AS event, json->>'historic' AS historic,"
    " time_ns, json FROM journal WHERE kind = 'alarms'";

struct journal_cursor {
    struct wr_query_cursor common; /* first */
    const struct wr_segment_head *head;
    const char *text;
    size_t len;
    int64_t time_ns;
    enum wr_segment_kind kind;
};

static int connect_journal(sqlite3 *db, void *user, int argc, const char *const *argv, sqlite3_vtab **ret_table, char **ret_error) {
    (void)argc, (void)argv, (void)ret_error;
    return wr_query_table_connect(db, user, journal_columns, sizeof journal_columns / sizeof journal_columns[0], ret_table);
}

static int open_journal(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor) {
    struct journal_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return SQLITE_NOMEM;
    cursor->common.query = ((struct wr_query_table *)table)->query;
    *ret_cursor = &cursor->common.base;
    return SQLITE_OK;
}

static int close_journal(sqlite3_vtab_cursor *base) {
    wr_query_cursor_fini((struct wr_query_cursor *)base);
    free(base);
    return SQLITE_OK;
}

/* Within a text of JSON a quote stands behind a backslash, so this can only be the member itself. */
static bool time_of(const char *text, int64_t *ret_ns) {
    static const char member[] = "\"time_ns\":";
    const char *at = strstr(text, member);
    if (!at)
        return false;
    *ret_ns = strtoll(at + sizeof member - 1, NULL, 10);
    return true;
}

static enum wr_result advance_journal(struct journal_cursor *cursor) {
    struct wr_query_scan *scan = &cursor->common.scan;
    const struct wr_query_bounds *bounds = &cursor->common.bounds;
    for (;;) {
        if (!cursor->head) {
            const enum wr_result found = wr_query_scan_segment(scan, cursor->kind, &cursor->head);
            if (found == WR_EMPTY && cursor->kind == WR_SEGMENT_ALARMS) {
                cursor->kind = WR_SEGMENT_GAPS;
                wr_query_scan_begin(scan, scan->query, 1U << WR_LANE_ALARMS, bounds->from_ns, bounds->to_ns);
                continue;
            }
            WR_TRY(found);
            cursor->common.record = -1;
        }
        const enum wr_result result = wr_decode_text(scan->decoder, &cursor->text, &cursor->len, &scan->query->error);
        if (result == WR_OK) {
            cursor->common.record++;
            if (!time_of(cursor->text, &cursor->time_ns))
                cursor->time_ns = cursor->head->t0_ns;
            if (cursor->time_ns >= bounds->from_ns && cursor->time_ns <= bounds->to_ns)
                return WR_OK;
            continue;
        }
        cursor->head = NULL;
        if (result != WR_EMPTY && result != WR_CORRUPT)
            return result;
        scan->query->report->damaged += result == WR_CORRUPT;
    }
}

static int next_journal(sqlite3_vtab_cursor *base) {
    struct journal_cursor *cursor = (struct journal_cursor *)base;
    return wr_query_cursor_result(&cursor->common, advance_journal(cursor));
}

static int filter_journal(sqlite3_vtab_cursor *base, int number, const char *plan, int argc, sqlite3_value **argv) {
    struct journal_cursor *cursor = (struct journal_cursor *)base;
    (void)number;
    const int code = wr_query_cursor_bounds(&cursor->common, plan, argc, argv);
    if (code != SQLITE_OK)
        return code;
    const struct wr_query_bounds *bounds = &cursor->common.bounds;
    cursor->head = NULL;
    cursor->kind = WR_SEGMENT_ALARMS;
    if (bounds->is_empty)
        return wr_query_cursor_result(&cursor->common, WR_EMPTY);
    wr_query_scan_begin(&cursor->common.scan, cursor->common.query, 1U << WR_LANE_ALARMS, bounds->from_ns, bounds->to_ns);
    return wr_query_cursor_result(&cursor->common, advance_journal(cursor));
}

static int journal_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    const struct journal_cursor *cursor = (const struct journal_cursor *)base;
    if (column == TIME)
        wr_query_put_time(context, cursor->time_ns);
    else if (column == JSON)
        sqlite3_result_text(context, cursor->text, (int)cursor->len, SQLITE_TRANSIENT);
    else if (column == KIND)
        sqlite3_result_text(context, wr_segment_kind_name(cursor->kind), -1, SQLITE_TRANSIENT);
    else if (column == TIME_NS)
        sqlite3_result_int64(context, cursor->time_ns);
    else
        sqlite3_result_int64(context, cursor->head->seq);
    return SQLITE_OK;
}

static int journal_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid) {
    const struct journal_cursor *cursor = (const struct journal_cursor *)base;
    *ret_rowid = wr_query_rowid(cursor->head, cursor->common.record);
    return SQLITE_OK;
}

const sqlite3_module wr_query_journal = {.iVersion = 1,
                                         .xConnect = connect_journal,
                                         .xBestIndex = wr_query_table_best_index,
                                         .xDisconnect = wr_query_table_disconnect,
                                         .xOpen = open_journal,
                                         .xClose = close_journal,
                                         .xFilter = filter_journal,
                                         .xNext = next_journal,
                                         .xEof = wr_query_cursor_eof,
                                         .xColumn = journal_column,
                                         .xRowid = journal_rowid};
