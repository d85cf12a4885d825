/* What the tables of a query have in common: their declaration, what conditions they look at before they make rows, their cursors' ends. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "store/query_private.h"

int wr_query_table_connect(sqlite3 *db, struct wr_query *query, const struct wr_query_column *columns, unsigned n,
                           sqlite3_vtab **ret_table) {
    struct wr_buf sql;
    wr_buf_init(&sql, 0);
    enum wr_result result = wr_buf_text(&sql, "CREATE TABLE t(");
    for (unsigned i = 0; i < n && result == WR_OK; i++)
        result = wr_buf_printf(&sql, "%s%s %s", i > 0 ? ", " : "", columns[i].name, columns[i].declared);
    if (result == WR_OK)
        result = wr_buf_text(&sql, ")");
    int code = result == WR_OK ? sqlite3_declare_vtab(db, wr_buf_str(&sql)) : SQLITE_NOMEM;
    wr_buf_fini(&sql);
    struct wr_query_table *table = code == SQLITE_OK ? sqlite3_malloc64(sizeof *table) : NULL;
    if (!table)
        return code == SQLITE_OK ? SQLITE_NOMEM : code;
    *table = (struct wr_query_table){.query = query, .columns = columns, .n_columns = n};
    sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
    *ret_table = &table->base;
    return SQLITE_OK;
}

int wr_query_table_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

/* -- the plan: for each value of a filter two characters, the column's kind of bound and the comparison --------------------------------------------- */

static char operation(int op) {
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
        return '=';
    case SQLITE_INDEX_CONSTRAINT_GT:
    case SQLITE_INDEX_CONSTRAINT_GE:
        return '>'; /* SQLite looks at each row again: a bound that is too wide is right */
    case SQLITE_INDEX_CONSTRAINT_LT:
    case SQLITE_INDEX_CONSTRAINT_LE:
        return '<';
    default:
        return '\0';
    }
}

/* 't' time, 'n' ns, '0'.. a text. '\0': a condition that does not bound anything. */
static char bound_of(const struct wr_query_table *table, sqlite3_index_info *info, int i) {
    const int column = info->aConstraint[i].iColumn;
    const char op = operation(info->aConstraint[i].op);
    if (column < 0 || (unsigned)column >= table->n_columns || !info->aConstraint[i].usable || op == '\0' || sqlite3_vtab_in(info, i, -1))
        return '\0';
    const char *collation = sqlite3_vtab_collation(info, i);
    const enum wr_query_bound bound = table->columns[column].bound;
    if (bound == WR_BOUND_TIME)
        return collation && strcmp(collation, "time") == 0 ? 't' : '\0';
    if (bound == WR_BOUND_TIME_NS)
        return 'n';
    if (bound != WR_BOUND_TEXT || op != '=' || !collation || strcmp(collation, "BINARY") != 0)
        return '\0';
    char text = '0';
    for (int k = 0; k < column; k++)
        text = (char)(text + (table->columns[k].bound == WR_BOUND_TEXT));
    return text;
}

int wr_query_table_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    const struct wr_query_table *table = (const struct wr_query_table *)base;
    char *plan = sqlite3_malloc64(2 * (sqlite3_uint64)info->nConstraint + 1);
    if (!plan)
        return SQLITE_NOMEM;
    int n = 0;
    double rows = 1e7;
    double bodies = 1e6; /* what reading them costs */
    for (int i = 0; i < info->nConstraint; i++) {
        const char bound = bound_of(table, info, i);
        if (bound == '\0')
            continue;
        plan[2 * n] = bound;
        plan[2 * n + 1] = operation(info->aConstraint[i].op);
        info->aConstraintUsage[i].argvIndex = ++n;
        const bool is_time = bound == 't' || bound == 'n';
        rows /= is_time ? 8 : 50;
        bodies /= is_time ? (plan[2 * n - 1] == '=' ? 500 : 8) : 1;
    }
    plan[2 * n] = '\0';
    info->idxStr = plan;
    info->needToFreeIdxStr = 1;
    info->estimatedCost = bodies + rows;
    info->estimatedRows = (sqlite3_int64)rows + 1;
    return SQLITE_OK;
}

static int wrong(struct wr_query_cursor *cursor, const char *message) {
    sqlite3_free(cursor->base.pVtab->zErrMsg);
    cursor->base.pVtab->zErrMsg = sqlite3_mprintf("%s", message);
    return SQLITE_ERROR;
}

/* A value that bounds ns, widened where it lies between two. */
static int ns_of(struct wr_query_cursor *cursor, sqlite3_value *value, char op, int64_t *ret_ns) {
    if (sqlite3_value_type(value) == SQLITE_INTEGER) {
        *ret_ns = sqlite3_value_int64(value);
        return SQLITE_OK;
    }
    if (sqlite3_value_type(value) != SQLITE_FLOAT)
        return wrong(cursor, "time_ns is a number of ns since 1970: compare it with time_ns('2026-03-02T08:00Z'), or time with a text");
    const double real = sqlite3_value_double(value);
    if (real >= 9.2e18 || real <= -9.2e18)
        *ret_ns = real > 0 ? INT64_MAX : INT64_MIN;
    else
        *ret_ns = (int64_t)(op == '<' ? ceil(real) : floor(real));
    return SQLITE_OK;
}

static int time_of(struct wr_query_cursor *cursor, sqlite3_value *value, int64_t *ret_ns) {
    const char *text = sqlite3_value_type(value) == SQLITE_TEXT ? (const char *)sqlite3_value_text(value) : NULL;
    if (text && wr_query_time_read(text, (size_t)sqlite3_value_bytes(value), ret_ns))
        return SQLITE_OK;
    return wrong(cursor,
                 "time is compared with what is no time: write it as '2026-03-02T08:00Z', or ago('2h'); numbers of ns go with time_ns");
}

static int bound_time(struct wr_query_cursor *cursor, char bound, char op, sqlite3_value *value) {
    struct wr_query_bounds *bounds = &cursor->bounds;
    int64_t ns = 0;
    const int code = bound == 't' ? time_of(cursor, value, &ns) : ns_of(cursor, value, op, &ns);
    if (code != SQLITE_OK)
        return code;
    if (op != '<' && ns > bounds->from_ns)
        bounds->from_ns = ns;
    if (op != '>' && ns < bounds->to_ns)
        bounds->to_ns = ns;
    return SQLITE_OK;
}

static int bound_text(struct wr_query_cursor *cursor, unsigned i, sqlite3_value *value) {
    struct wr_query_bounds *bounds = &cursor->bounds;
    const char *text = (const char *)sqlite3_value_text(value); /* a number, too: the columns have the affinity of texts */
    if (!text)
        return SQLITE_NOMEM;
    if (bounds->texts[i]) {
        bounds->is_empty |= strcmp(bounds->texts[i], text) != 0;
        return SQLITE_OK;
    }
    bounds->texts[i] = cursor->bound_texts[i] = strdup(text);
    return bounds->texts[i] ? SQLITE_OK : SQLITE_NOMEM;
}

static void forget_bounds(struct wr_query_cursor *cursor) {
    for (unsigned i = 0; i < WR_QUERY_TEXTS; i++) {
        free(cursor->bound_texts[i]);
        cursor->bound_texts[i] = NULL;
    }
    cursor->bounds = (struct wr_query_bounds){.from_ns = INT64_MIN, .to_ns = INT64_MAX};
}

int wr_query_cursor_bounds(struct wr_query_cursor *cursor, const char *plan, int argc, sqlite3_value **argv) {
    forget_bounds(cursor);
    cursor->is_over = false;
    for (int i = 0; i < argc; i++) {
        const char bound = plan[2 * i];
        if (sqlite3_value_type(argv[i]) == SQLITE_NULL) { /* nothing compares with NULL */
            cursor->bounds.is_empty = true;
            continue;
        }
        const int code = bound == 't' || bound == 'n' ? bound_time(cursor, bound, plan[2 * i + 1], argv[i])
                                                      : bound_text(cursor, (unsigned)(bound - '0'), argv[i]);
        if (code != SQLITE_OK)
            return code;
    }
    cursor->bounds.is_empty |= cursor->bounds.from_ns > cursor->bounds.to_ns;
    return SQLITE_OK;
}

void wr_query_cursor_fini(struct wr_query_cursor *cursor) {
    forget_bounds(cursor);
    wr_query_scan_fini(&cursor->scan);
}

int wr_query_cursor_result(struct wr_query_cursor *cursor, enum wr_result result) {
    if (result == WR_OK)
        return SQLITE_OK;
    cursor->is_over = true;
    if (result == WR_EMPTY)
        return SQLITE_OK;
    if (cursor->query->ended == WR_OK)
        cursor->query->ended = result;
    return result == WR_NO_MEMORY ? SQLITE_NOMEM : SQLITE_INTERRUPT;
}

int wr_query_cursor_eof(sqlite3_vtab_cursor *base) {
    return ((struct wr_query_cursor *)base)->is_over;
}
