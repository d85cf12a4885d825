/* The inside of a query, shared by the files store/query*.c and nobody else. */
#ifndef WEIR_STORE_QUERY_PRIVATE_H
#define WEIR_STORE_QUERY_PRIVATE_H

#include <sqlite3.h>

#include "store/codec.h"
#include "store/query.h"
#include "store/raw_codec.h"
#include "store/raw_files.h"

#define WR_QUERY_STEPS 64 /* of SQLite's machine between two looks at time and memory */

struct wr_query {
    const struct wr_query_options *options;
    struct wr_query_report *report;
    sqlite3 *db;
    int64_t memory_before;
    enum wr_result ended;  /* why it was interrupted; WR_OK: it was not */
    struct wr_error error; /* of the history, and what the authorizer refused */
};

/* query.c */
/* True: the query has to end, and query->ended says why. */
bool wr_query_has_to_end(struct wr_query *query);

/* query_time.c */
/* The functions and the collation "time". */
WR_MUST_USE int wr_query_time_register(struct wr_query *query);

/* query_scan.c: the segments of some lanes that reach into a time, one body after the other. */
struct wr_query_scan {
    struct wr_query *query;
    struct wr_history_walk walk;
    unsigned lanes; /* bits: still to be walked, beside the present one */
    bool is_walking;
    uint32_t n_heads;
    uint32_t at; /* of the present head; n_heads: none */
    struct wr_segment_head heads[WR_HISTORY_HEADS];
    struct wr_decoder *decoder; /* made with the first body */
    struct wr_raw_decoder *raw; /* the same, with the first of raw readings */
};
void wr_query_scan_begin(struct wr_query_scan *scan, struct wr_query *query, unsigned lanes, int64_t from_ns, int64_t to_ns);
/* The next head; WR_EMPTY behind the last. */
WR_MUST_USE enum wr_result wr_query_scan_head(struct wr_query_scan *scan, const struct wr_segment_head **ret_head);
/* The next segment of this kind whose body is there and whole, ready to be decoded; WR_EMPTY behind the last. */
WR_MUST_USE enum wr_result wr_query_scan_segment(struct wr_query_scan *scan, enum wr_segment_kind kind,
                                                 const struct wr_segment_head **ret_head);
void wr_query_scan_fini(struct wr_query_scan *scan);

/* query_table.c: what the tables have in common. */
/* A table's column as a query may bound it. */
enum wr_query_bound { WR_BOUND_NONE, WR_BOUND_TIME, WR_BOUND_TIME_NS, WR_BOUND_TEXT };

struct wr_query_column {
    const char *name;
    const char *declared; /* type and the rest */
    enum wr_query_bound bound;
};

#define WR_QUERY_TEXTS 4 /* columns of WR_BOUND_TEXT */

/* What the conditions of a query leave of a table. Rows may be given that do not meet them: SQLite looks again. */
struct wr_query_bounds {
    int64_t from_ns;
    int64_t to_ns;
    bool is_empty;
    const char *texts[WR_QUERY_TEXTS]; /* by the order of the columns that have WR_BOUND_TEXT; NULL: any */
};

struct wr_query_table {
    sqlite3_vtab base; /* first, as SQLite wants it */
    struct wr_query *query;
    const struct wr_query_column *columns;
    unsigned n_columns;
};

struct wr_query_cursor {
    sqlite3_vtab_cursor base; /* first */
    struct wr_query *query;
    struct wr_query_scan scan;
    struct wr_query_bounds bounds;
    char *bound_texts[WR_QUERY_TEXTS]; /* owned */
    int64_t record;                    /* of the segment at hand, from 0: with its seq it names the row, however it was found */
    bool is_over;
};

int wr_query_table_connect(sqlite3 *db, struct wr_query *query, const struct wr_query_column *columns, unsigned n,
                           sqlite3_vtab **ret_table);
int wr_query_table_disconnect(sqlite3_vtab *table);
int wr_query_table_best_index(sqlite3_vtab *table, sqlite3_index_info *info);
/* The bounds of a filter into the cursor. */
int wr_query_cursor_bounds(struct wr_query_cursor *cursor, const char *plan, int argc, sqlite3_value **argv);
void wr_query_cursor_fini(struct wr_query_cursor *cursor);
/* What SQLite wants to hear of a scan's answer: WR_EMPTY ends the cursor. */
int wr_query_cursor_result(struct wr_query_cursor *cursor, enum wr_result result);
/* A number of its own for each record of the store: SQLite joins what the sides of an OR found by it. */
static inline sqlite3_int64 wr_query_rowid(const struct wr_segment_head *head, int64_t record) {
    if (wr_raw_is_seq(head->seq))
        return -1 - ((head->seq & ~WR_RAW_SEQ) * WR_SEGMENT_READINGS + record);
    return head->seq * WR_SEGMENT_RECORDS + record;
}
int wr_query_cursor_eof(sqlite3_vtab_cursor *cursor);
void wr_query_put_time(sqlite3_context *context, int64_t wall_ns);

/* query_series.c: what tables of readings have in common */
#define WR_QUERY_SERIES_BYTES (WR_SERIES_KEY_BYTES + 64) /* of the name as people write it: the key, with a sign where it has a NUL */
/* Their columns with WR_BOUND_TEXT, in this order. */
enum wr_query_series_bound { WR_QUERY_BOUND_SERIES, WR_QUERY_BOUND_NAME, WR_QUERY_BOUND_FIELD };
bool wr_query_series_wanted(const struct wr_query_bounds *bounds, const char *key, size_t len);
/* The tags of a key as JSON, in place of what is in `into`. */
WR_MUST_USE enum wr_result wr_query_series_tags(struct wr_buf *into, const char *key, size_t len);
void wr_query_put_text(sqlite3_context *context, const char *text); /* NULL: NULL */
void wr_query_put_unsigned(sqlite3_context *context, uint64_t value);
void wr_query_put_value(sqlite3_context *context, enum wr_type type, union wr_value value, const char *text);

extern const sqlite3_module wr_query_readings;
extern const sqlite3_module wr_query_raw;
extern const sqlite3_module wr_query_journal;
extern const sqlite3_module wr_query_segments;
/* Views over the journal. */
extern const char wr_query_views[];

#endif
