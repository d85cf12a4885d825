/* The table `segments`: a row a stored segment, of its head alone: what there is, how much, and whether the broker has it. */
#include <stdlib.h>

#include "store/query_private.h"

enum { LANE, SEQ, KIND, N, BYTES, FIRST_TIME, LAST_TIME, DELIVERED, FIRST_NS, LAST_NS };

static const struct wr_query_column columns[] = {
    [LANE] = {"lane", "TEXT", WR_BOUND_NONE},
    [SEQ] = {"seq", "INTEGER", WR_BOUND_NONE},
    [KIND] = {"kind", "TEXT", WR_BOUND_NONE},
    [N] = {"n", "INTEGER", WR_BOUND_NONE},
    [BYTES] = {"bytes", "INTEGER", WR_BOUND_NONE},
    [FIRST_TIME] = {"first_time", "TEXT COLLATE time", WR_BOUND_NONE},
    [LAST_TIME] = {"last_time", "TEXT COLLATE time", WR_BOUND_NONE},
    [DELIVERED] = {"delivered", "INTEGER", WR_BOUND_NONE},
    [FIRST_NS] = {"first_ns", "INTEGER HIDDEN", WR_BOUND_NONE},
    [LAST_NS] = {"last_ns", "INTEGER HIDDEN", WR_BOUND_NONE},
};

struct cursor {
    struct wr_query_cursor common; /* first */
    const struct wr_segment_head *head;
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
    *ret_cursor = &cursor->common.base;
    return SQLITE_OK;
}

static int close(sqlite3_vtab_cursor *base) {
    wr_query_cursor_fini((struct wr_query_cursor *)base);
    free(base);
    return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    return wr_query_cursor_result(&cursor->common, wr_query_scan_head(&cursor->common.scan, &cursor->head));
}

static int filter(sqlite3_vtab_cursor *base, int number, const char *plan, int argc, sqlite3_value **argv) {
    struct cursor *cursor = (struct cursor *)base;
    (void)number;
    const int code = wr_query_cursor_bounds(&cursor->common, plan, argc, argv);
    if (code != SQLITE_OK)
        return code;
    wr_query_scan_begin(&cursor->common.scan, cursor->common.query, (1U << WR_LANES) - 1, INT64_MIN, INT64_MAX);
    return wr_query_cursor_result(&cursor->common, wr_query_scan_head(&cursor->common.scan, &cursor->head));
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    const struct wr_segment_head *head = ((const struct cursor *)base)->head;
    switch (column) {
    case LANE:
        sqlite3_result_text(context, wr_lane_name((enum wr_lane)head->lane), -1, SQLITE_TRANSIENT);
        break;
    case SEQ:
        sqlite3_result_int64(context, head->seq);
        break;
    case KIND:
        sqlite3_result_text(context, wr_segment_kind_name((enum wr_segment_kind)head->kind), -1, SQLITE_TRANSIENT);
        break;
    case N:
        sqlite3_result_int64(context, head->n);
        break;
    case BYTES:
        sqlite3_result_int64(context, head->body_bytes);
        break;
    case FIRST_TIME:
        wr_query_put_time(context, head->t0_ns);
        break;
    case LAST_TIME:
        wr_query_put_time(context, head->t1_ns);
        break;
    case DELIVERED:
        sqlite3_result_int(context, head->delivered);
        break;
    case FIRST_NS:
        sqlite3_result_int64(context, head->t0_ns);
        break;
    default:
        sqlite3_result_int64(context, head->t1_ns);
        break;
    }
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid) {
    const struct cursor *cursor = (const struct cursor *)base;
    *ret_rowid = wr_query_rowid(cursor->head, 0);
    return SQLITE_OK;
}

const sqlite3_module wr_query_segments = {.iVersion = 1,
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
