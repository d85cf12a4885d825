/* A cursor over a table of a query: the bounds of its filter, and the rows that lie in them, one segment after the other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/query_private.h"

/* -- bounds -------------------------------------------------------------------------------------------------------------------------------- */

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

static int take_bounds(struct wr_query_cursor *cursor, const char *plan, int argc, sqlite3_value **argv) {
    forget_bounds(cursor);
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

/* -- rows ---------------------------------------------------------------------------------------------------------------------------------- */

/* The next record of the segment that the query may want; WR_EMPTY behind the last. */
static enum wr_result advance_in_segment(struct wr_query_cursor *cursor) {
    for (;;) {
        WR_TRY(cursor->table->decode(cursor));
        cursor->record++;
        if (cursor->is_wanted && cursor->time_ns >= cursor->bounds.from_ns && cursor->time_ns <= cursor->bounds.to_ns)
            return WR_OK;
    }
}

/* The same over all segments. */
static enum wr_result advance(struct wr_query_cursor *cursor) {
    const struct wr_query_table *table = cursor->table;
    if (table->kinds == 0)
        return wr_query_scan_head(&cursor->scan, &cursor->head);
    for (;;) {
        if (!cursor->head) {
            WR_TRY(wr_query_scan_segment(&cursor->scan, table->kinds, &cursor->head));
            cursor->record = -1;
            cursor->is_wanted = true;
            if (table->begin && !table->begin(cursor))
                cursor->head = NULL;
            continue;
        }
        const enum wr_result result = advance_in_segment(cursor);
        if (result != WR_EMPTY && result != WR_CORRUPT)
            return result;
        cursor->query->report->damaged += result == WR_CORRUPT;
        cursor->head = NULL;
    }
}

/* What SQLite wants to hear of it: WR_EMPTY ends the cursor. */
static int answer(struct wr_query_cursor *cursor, enum wr_result result) {
    cursor->is_over = result != WR_OK;
    if (result == WR_OK || result == WR_EMPTY)
        return SQLITE_OK;
    if (cursor->query->ended == WR_OK)
        cursor->query->ended = result;
    return result == WR_NO_MEMORY ? SQLITE_NOMEM : SQLITE_INTERRUPT;
}

/* -- what SQLite calls --------------------------------------------------------------------------------------------------------------------- */

int wr_query_cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor) {
    const struct wr_query_vtab *vtab = (const struct wr_query_vtab *)base;
    struct wr_query_cursor *cursor = calloc(1, vtab->table->cursor_bytes); /* SQLite's own memory is not aligned for 128 bits */
    if (!cursor)
        return SQLITE_NOMEM;
    cursor->table = vtab->table;
    cursor->query = vtab->query;
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

int wr_query_cursor_close(sqlite3_vtab_cursor *base) {
    struct wr_query_cursor *cursor = (struct wr_query_cursor *)base;
    forget_bounds(cursor);
    wr_query_scan_fini(&cursor->scan);
    if (cursor->table->fini)
        cursor->table->fini(cursor);
    free(cursor);
    return SQLITE_OK;
}

int wr_query_cursor_filter(sqlite3_vtab_cursor *base, int number, const char *plan, int argc, sqlite3_value **argv) {
    struct wr_query_cursor *cursor = (struct wr_query_cursor *)base;
    (void)number;
    const int code = take_bounds(cursor, plan, argc, argv);
    if (code != SQLITE_OK)
        return code;
    const struct wr_query_bounds *bounds = &cursor->bounds;
    cursor->head = NULL;
    cursor->record = 0;
    if (bounds->is_empty)
        return answer(cursor, WR_EMPTY);
    wr_query_scan_begin(&cursor->scan, cursor->query, cursor->table->lanes, bounds->from_ns, bounds->to_ns);
    return answer(cursor, advance(cursor));
}

int wr_query_cursor_next(sqlite3_vtab_cursor *base) {
    struct wr_query_cursor *cursor = (struct wr_query_cursor *)base;
    return answer(cursor, advance(cursor));
}

int wr_query_cursor_eof(sqlite3_vtab_cursor *base) {
    return ((struct wr_query_cursor *)base)->is_over;
}

int wr_query_cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    struct wr_query_cursor *cursor = (struct wr_query_cursor *)base;
    return cursor->table->column(cursor, context, column);
}

/* A number of its own for each record of the store: SQLite joins what the sides of an OR found by it. */
int wr_query_cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid) {
    const struct wr_query_cursor *cursor = (const struct wr_query_cursor *)base;
    const int64_t seq = cursor->head->seq;
    if (wr_raw_is_seq(seq))
        *ret_rowid = -1 - ((seq & ~WR_RAW_SEQ) * WR_SEGMENT_READINGS + cursor->record);
    else
        *ret_rowid = seq * WR_SEGMENT_RECORDS + cursor->record;
    return SQLITE_OK;
}
