/* The tables of a query as SQLite sees them: their declaration, and which conditions they look at before they make rows. */
#include <string.h>

#include "core/buf.h"
#include "store/query_private.h"

static enum wr_result declare(const struct wr_query_table *table, struct wr_buf *sql) {
    WR_TRY(wr_buf_text(sql, "CREATE TABLE t("));
    for (unsigned i = 0; i < table->n_columns; i++)
        WR_TRY(wr_buf_printf(sql, "%s%s %s", i > 0 ? ", " : "", table->columns[i].name, table->columns[i].declared));
    return wr_buf_text(sql, ")");
}

static int connect(sqlite3 *db, void *user, int argc, const char *const *argv, sqlite3_vtab **ret_vtab, char **ret_error) {
    const struct wr_query_vtab *template = user;
    struct wr_buf sql;
    (void)argc, (void)argv, (void)ret_error;
    wr_buf_init(&sql, 0);
    const int code = declare(template->table, &sql) == WR_OK ? sqlite3_declare_vtab(db, wr_buf_str(&sql)) : SQLITE_NOMEM;
    wr_buf_fini(&sql);
    struct wr_query_vtab *vtab = code == SQLITE_OK ? sqlite3_malloc64(sizeof *vtab) : NULL;
    if (!vtab)
        return code == SQLITE_OK ? SQLITE_NOMEM : code;
    *vtab = *template;
    sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
    *ret_vtab = &vtab->base;
    return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *vtab) {
    sqlite3_free(vtab);
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

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    const struct wr_query_table *table = ((const struct wr_query_vtab *)base)->table;
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

int wr_query_table_register(struct wr_query *query) {
    static const sqlite3_module module = {.iVersion = 1,
                                          .xConnect = connect,
                                          .xBestIndex = best_index,
                                          .xDisconnect = disconnect,
                                          .xOpen = wr_query_cursor_open,
                                          .xClose = wr_query_cursor_close,
                                          .xFilter = wr_query_cursor_filter,
                                          .xNext = wr_query_cursor_next,
                                          .xEof = wr_query_cursor_eof,
                                          .xColumn = wr_query_cursor_column,
                                          .xRowid = wr_query_cursor_rowid};
    static const struct wr_query_table *const tables[WR_QUERY_TABLES] = {&wr_query_readings, &wr_query_raw, &wr_query_journal,
                                                                         &wr_query_segments};
    int code = SQLITE_OK;
    for (unsigned i = 0; i < WR_QUERY_TABLES && code == SQLITE_OK; i++) {
        query->tables[i] = (struct wr_query_vtab){.query = query, .table = tables[i]};
        code = sqlite3_create_module_v2(query->db, tables[i]->name, &module, &query->tables[i], NULL);
    }
    return code;
}
