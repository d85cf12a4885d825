/* A query from beginning to end: the connection and what it may do, the statement, its rows. */
#include "store/query.h"

#include <string.h>
#include <strings.h>

#include "core/quantity.h"
#include "store/query_private.h"

/* -- what ends it -------------------------------------------------------------------------------------------------------------------------- */

bool wr_query_has_to_end(struct wr_query *query) {
    const struct wr_query_options *options = query->options;
    char size[32];
    if (query->ended != WR_OK)
        return true;
    if (options->stop && options->stop(options->stop_user))
        query->ended = wr_error_set(&query->error, WR_TIMEOUT, "stopped");
    else if (sqlite3_memory_used() - query->memory_before > (int64_t)options->memory_bytes)
        query->ended = wr_error_set(&query->error, WR_LIMIT, "what is to be sorted or grouped does not fit into %s",
                                    wr_quantity_format_size(size, sizeof size, options->memory_bytes));
    return query->ended != WR_OK;
}

static int look(void *user) {
    return wr_query_has_to_end(user);
}

/* -- what it may do ------------------------------------------------------------------------------------------------------------------------ */

static bool is_one_of(const char *word, const char *const *words) {
    for (; *words; words++)
        if (word && strcasecmp(word, *words) == 0)
            return true;
    return false;
}

static int deny(struct wr_query *query, const char *what, const char *name) {
    char word[64];
    if (query->error.code == WR_OK)
        (void)wr_error_set(&query->error, WR_DENIED,
                           "%s%s is not allowed: a query reads readings, raw, alarms, journal and segments, with SELECT", what,
                           name ? wr_error_escape(word, sizeof word, name, strlen(name)) : "");
    return SQLITE_DENY;
}

/* Only what is listed here, so that a later SQLite brings nothing in. */
static int authorize(void *user, int action, const char *a, const char *b, const char *database, const char *view) {
    static const char *const tables[] = {"readings", "raw", "alarms", "journal", "segments", "json_each", "json_tree", NULL};
    static const char *const functions[] = {"load_extension", "fts3_tokenizer", "sqlite_log", NULL};
    struct wr_query *query = user;
    (void)database, (void)view;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_READ: /* no column: only rows are counted, or it is a table of the query's own (WITH) */
        return is_one_of(a, tables) || !b || *b == '\0' ? SQLITE_OK : deny(query, "reading ", a);
    case SQLITE_FUNCTION:
        return is_one_of(b, functions) ? deny(query, "the function ", b) : SQLITE_OK;
    case SQLITE_PRAGMA:
        return deny(query, "PRAGMA ", a);
    case SQLITE_ATTACH:
        return deny(query, "ATTACH", NULL);
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return deny(query, "writing", NULL);
    default:
        return deny(query, "this", NULL);
    }
}

static void limit(sqlite3 *db) {
    static const struct {
        int what;
        int most;
    } limits[] = {{SQLITE_LIMIT_LENGTH, WR_QUERY_VALUE_BYTES},
                  {SQLITE_LIMIT_SQL_LENGTH, WR_QUERY_SQL_BYTES},
                  {SQLITE_LIMIT_COLUMN, WR_QUERY_COLUMNS},
                  {SQLITE_LIMIT_EXPR_DEPTH, 100},
                  {SQLITE_LIMIT_COMPOUND_SELECT, 50},
                  {SQLITE_LIMIT_VDBE_OP, 100000},
                  {SQLITE_LIMIT_FUNCTION_ARG, 64},
                  {SQLITE_LIMIT_ATTACHED, 0},
                  {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256},
                  {SQLITE_LIMIT_TRIGGER_DEPTH, 0},
                  {SQLITE_LIMIT_WORKER_THREADS, 0}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        sqlite3_limit(db, limits[i].what, limits[i].most);
}

/* -- the statement ------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result failed(struct wr_query *query, int code, struct wr_error *err) {
    if (query->ended != WR_OK)
        return wr_error_set(err, query->ended, "%s", query->error.text);
    if (query->error.code == WR_DENIED)
        return wr_error_set(err, WR_DENIED, "%s", query->error.text);
    if ((code & 0xff) == SQLITE_NOMEM)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the query");
    query->report->error_at = sqlite3_error_offset(query->db);
    return wr_error_set(err, WR_INVALID, "%s", sqlite3_errmsg(query->db));
}

static enum wr_result open_tables(struct wr_query *query, struct wr_error *err) {
    int code = sqlite3_open_v2(":memory:", &query->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(query->db, "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = wr_query_time_register(query);
    if (code == SQLITE_OK)
        code = wr_query_table_register(query);
    if (code == SQLITE_OK)
        code = sqlite3_exec(query->db, wr_query_views, NULL, NULL, NULL);
    if (code == SQLITE_OK) /* a table is declared when it is first named, which the authorizer would refuse */
        code = sqlite3_exec(query->db, "SELECT 1 FROM readings, raw, alarms, segments, json_each('[]'), json_tree('[]') LIMIT 0", NULL,
                            NULL, NULL);
    if (code != SQLITE_OK)
        return failed(query, query->db ? code : SQLITE_NOMEM, err);
    sqlite3_db_config(query->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    limit(query->db);
    sqlite3_set_authorizer(query->db, authorize, query);
    sqlite3_progress_handler(query->db, WR_QUERY_STEPS, look, query);
    return WR_OK;
}

/* The first byte behind blanks, comments and semicolons. */
static const char *skip_nothing(const char *at) {
    for (;;) {
        const char *before = at;
        at += strspn(at, " \t\r\n\f;");
        if (at[0] == '-' && at[1] == '-')
            at += strcspn(at, "\n");
        if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            at = end ? end + 2 : at + strlen(at);
        }
        if (at == before)
            return at;
    }
}

static enum wr_result refuse(struct wr_query *query, int at, const char *message, struct wr_error *err) {
    query->report->error_at = at;
    return wr_error_set(err, WR_INVALID, "%s", message);
}

static enum wr_result prepare(struct wr_query *query, const char *sql, sqlite3_stmt **ret_statement, struct wr_error *err) {
    const char *rest = NULL;
    const char *begin = skip_nothing(sql);
    if (strlen(sql) > WR_QUERY_SQL_BYTES)
        return refuse(query, -1, "the query is too long", err);
    if (*begin == '\0')
        return refuse(query, -1, "there is no query", err);
    const int code = sqlite3_prepare_v2(query->db, begin, -1, ret_statement, &rest);
    if (code != SQLITE_OK) {
        const enum wr_result result = failed(query, code, err);
        if (query->report->error_at >= 0)
            query->report->error_at += (int)(begin - sql);
        return result;
    }
    rest = skip_nothing(rest);
    if (*rest != '\0')
        return refuse(query, (int)(rest - sql), "one statement at a time", err);
    if (sqlite3_bind_parameter_count(*ret_statement) > 0)
        return refuse(query, -1, "'?' and named parameters have no value here: write the value", err);
    if (sqlite3_column_count(*ret_statement) == 0 || !sqlite3_stmt_readonly(*ret_statement)) {
        (void)deny(query, "this", NULL);
        return wr_error_set(err, WR_DENIED, "%s", query->error.text);
    }
    return WR_OK;
}

/* False: no memory for it. */
static bool value_of(sqlite3_stmt *statement, int i, struct wr_query_value *ret_value) {
    const int type = sqlite3_column_type(statement, i);
    *ret_value = (struct wr_query_value){.kind = WR_QUERY_NULL};
    if (type == SQLITE_INTEGER) {
        ret_value->kind = WR_QUERY_INTEGER;
        ret_value->integer = sqlite3_column_int64(statement, i);
    } else if (type == SQLITE_FLOAT) {
        ret_value->kind = WR_QUERY_REAL;
        ret_value->real = sqlite3_column_double(statement, i);
    } else if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
        ret_value->kind = type == SQLITE_TEXT ? WR_QUERY_TEXT : WR_QUERY_BLOB;
        ret_value->text = type == SQLITE_TEXT ? (const char *)sqlite3_column_text(statement, i) : sqlite3_column_blob(statement, i);
        ret_value->len = (size_t)sqlite3_column_bytes(statement, i);
        if (!ret_value->text && (type == SQLITE_TEXT || ret_value->len > 0))
            return false;
        if (!ret_value->text)
            ret_value->text = "";
    }
    return true;
}

static enum wr_result give_columns(sqlite3_stmt *statement, const struct wr_query_sink *sink, struct wr_error *err) {
    const char *names[WR_QUERY_COLUMNS];
    const int n = sqlite3_column_count(statement);
    for (int i = 0; i < n; i++) {
        names[i] = sqlite3_column_name(statement, i);
        if (!names[i])
            return wr_error_set(err, WR_NO_MEMORY, "no memory for the query");
    }
    return sink->columns(sink->user, names, (unsigned)n, err);
}

static enum wr_result give_rows(struct wr_query *query, sqlite3_stmt *statement, const struct wr_query_sink *sink, struct wr_error *err) {
    struct wr_query_value values[WR_QUERY_COLUMNS];
    const int n = sqlite3_column_count(statement);
    WR_TRY(give_columns(statement, sink, err));
    for (;;) {
        const int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            return WR_OK;
        if (code != SQLITE_ROW)
            return failed(query, code, err);
        if (query->report->rows == query->options->rows_max) {
            query->report->cut = true;
            return WR_OK;
        }
        for (int i = 0; i < n; i++)
            if (!value_of(statement, i, &values[i]))
                return wr_error_set(err, WR_NO_MEMORY, "no memory for the query");
        query->report->rows++;
        WR_TRY(sink->row(sink->user, values, (unsigned)n, err));
    }
}

enum wr_result wr_query_run(const char *sql, const struct wr_query_options *options, const struct wr_query_sink *sink,
                            struct wr_query_report *ret_report, struct wr_error *err) {
    struct wr_query query = {.options = options, .report = ret_report, .memory_before = sqlite3_memory_used()};
    sqlite3_stmt *statement = NULL;
    *ret_report = (struct wr_query_report){.error_at = -1};
    enum wr_result result = open_tables(&query, err);
    if (result == WR_OK)
        result = prepare(&query, sql, &statement, err);
    if (result == WR_OK)
        result = give_rows(&query, statement, sink, err);
    sqlite3_finalize(statement);
    sqlite3_close(query.db);
    return result;
}
