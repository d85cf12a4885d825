/* The inside of a query, shared by the files store/query*.c and nobody else. */
#ifndef WEIR_STORE_QUERY_PRIVATE_H
#define WEIR_STORE_QUERY_PRIVATE_H

#include <sqlite3.h>

#include "core/buf.h"
#include "core/series.h"
#include "store/codec.h"
#include "store/query.h"
#include "store/raw_codec.h"
#include "store/raw_files.h"

#define WR_QUERY_STEPS 64 /* of SQLite's machine between two looks at time and memory */

#define WR_QUERY_TABLES 4

struct wr_query_vtab {
    sqlite3_vtab base; /* first, as SQLite wants it */
    struct wr_query *query;
    const struct wr_query_table *table;
};

struct wr_query {
    const struct wr_query_options *options;
    struct wr_query_report *report;
    sqlite3 *db;
    int64_t memory_before;
    enum wr_result ended;  /* why it was interrupted; WR_OK: it was not */
    struct wr_error error; /* of the history, and what the authorizer refused */
    struct wr_query_vtab tables[WR_QUERY_TABLES]; /* how those of SQLite begin */
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
/* The next segment of one of these kinds (bits) whose body is there and whole, ready to be decoded; WR_EMPTY behind the last. */
WR_MUST_USE enum wr_result wr_query_scan_segment(struct wr_query_scan *scan, unsigned kinds, const struct wr_segment_head **ret_head);
/* The key of a run of its readings, from 0. NULL: there are no more. */
const char *wr_query_scan_run(const struct wr_query_scan *scan, uint32_t run, size_t *ret_key_len);
void wr_query_scan_fini(struct wr_query_scan *scan);

/* A table's column as a query may bound it. */
enum wr_query_bound { WR_BOUND_NONE, WR_BOUND_TIME, WR_BOUND_TIME_NS, WR_BOUND_TEXT };

struct wr_query_column {
    const char *name;
    const char *declared; /* type and the rest; hidden ones are not in `SELECT *` */
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

struct wr_query_cursor {
    sqlite3_vtab_cursor base; /* first */
    const struct wr_query_table *table;
    struct wr_query *query;
    struct wr_query_scan scan;
    struct wr_query_bounds bounds;
    char *bound_texts[WR_QUERY_TEXTS];  /* owned */
    const struct wr_segment_head *head; /* of the segment at hand; NULL: none */
    int64_t record;                     /* of it, from 0: with its seq it names the row, however it was found */
    int64_t time_ns;                    /* of the row */
    bool is_wanted;                     /* by what is not its time */
    bool is_over;
};

/* A table by what is its own: the rest is the same for all, query_table.c before a query runs, query_cursor.c while it does. */
struct wr_query_table {
    const char *name;
    const struct wr_query_column *columns;
    unsigned n_columns;
    unsigned lanes;      /* bits: where its rows are */
    unsigned kinds;      /* bits: of which segments; 0: a head is a row */
    size_t cursor_bytes; /* of its cursor, which begins with a struct wr_query_cursor and is all zero at first */
    /* A segment is ready to be decoded. False: it has no row that is wanted. NULL: it may have. */
    bool (*begin)(struct wr_query_cursor *cursor);
    /* The next record: its time, and whether it is wanted. WR_EMPTY behind the last that is. */
    enum wr_result (*decode)(struct wr_query_cursor *cursor);
    int (*column)(struct wr_query_cursor *cursor, sqlite3_context *context, int column);
    void (*fini)(struct wr_query_cursor *cursor); /* of what is its own; may be NULL */
};

extern const struct wr_query_table wr_query_readings;
extern const struct wr_query_table wr_query_raw;
extern const struct wr_query_table wr_query_journal;
extern const struct wr_query_table wr_query_segments;
/* Views over the journal. */
extern const char wr_query_views[];

/* query_table.c */
WR_MUST_USE int wr_query_table_register(struct wr_query *query);

/* query_cursor.c */
int wr_query_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **ret_cursor);
int wr_query_cursor_close(sqlite3_vtab_cursor *base);
int wr_query_cursor_filter(sqlite3_vtab_cursor *base, int number, const char *plan, int argc, sqlite3_value **argv);
int wr_query_cursor_next(sqlite3_vtab_cursor *base);
int wr_query_cursor_eof(sqlite3_vtab_cursor *base);
int wr_query_cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column);
int wr_query_cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid);

/* query_series.c: what tables of readings have in common. */
#define WR_QUERY_SERIES_BYTES (WR_SERIES_KEY_BYTES + 64) /* of the name as people write it: the key, with a sign where it has a NUL */

/* Their first columns; those with WR_BOUND_TEXT in the order of enum wr_query_series_bound. */
enum wr_query_series_column {
    WR_QUERY_TIME,
    WR_QUERY_SERIES,
    WR_QUERY_TIME_NS,
    WR_QUERY_NAME,
    WR_QUERY_FIELD,
    WR_QUERY_TAGS,
    WR_QUERY_TYPE,
    WR_QUERY_TIME_QUALITY,
    WR_QUERY_SEQ,
    WR_QUERY_KEY, /* as core/series.h has it */
    WR_QUERY_SERIES_COLUMNS,
};
enum wr_query_series_bound { WR_QUERY_BOUND_SERIES, WR_QUERY_BOUND_NAME, WR_QUERY_BOUND_FIELD };
#define WR_QUERY_SERIES_DECLARED                                                                                                           \
    [WR_QUERY_TIME] = {"time", "TEXT COLLATE time", WR_BOUND_TIME},                                                                        \
    [WR_QUERY_SERIES] = {"series", "TEXT", WR_BOUND_TEXT},                                                                                 \
    [WR_QUERY_TIME_NS] = {"time_ns", "INTEGER HIDDEN", WR_BOUND_TIME_NS},                                                                  \
    [WR_QUERY_NAME] = {"name", "TEXT HIDDEN", WR_BOUND_TEXT},                                                                              \
    [WR_QUERY_FIELD] = {"field", "TEXT HIDDEN", WR_BOUND_TEXT},                                                                            \
    [WR_QUERY_TAGS] = {"tags", "TEXT HIDDEN", WR_BOUND_NONE},                                                                              \
    [WR_QUERY_TYPE] = {"type", "TEXT HIDDEN", WR_BOUND_NONE},                                                                              \
    [WR_QUERY_TIME_QUALITY] = {"time_quality", "TEXT HIDDEN", WR_BOUND_NONE},                                                              \
    [WR_QUERY_SEQ] = {"seq", "INTEGER HIDDEN", WR_BOUND_NONE},                                                                             \
    [WR_QUERY_KEY] = {"key", "BLOB HIDDEN", WR_BOUND_NONE}

struct wr_query_series {
    struct wr_query_cursor cursor; /* first */
    const char *key;               /* of the run at hand: in a segment no other has the same address */
    size_t key_len;
    uint32_t run;
    uint32_t n_runs; /* of the segment, up to the last that is wanted */
    bool wanted[WR_SEGMENT_READINGS];
    bool tags_known;
    char name[WR_QUERY_SERIES_BYTES];
    struct wr_buf tags;
};
/* For `begin` and `fini` of such a table. */
bool wr_query_series_begin(struct wr_query_cursor *cursor);
void wr_query_series_fini(struct wr_query_cursor *cursor);
void wr_query_series_begin_run(struct wr_query_series *series, const char *key, size_t key_len);
/* The last step of its `decode`: the key of the record. */
WR_MUST_USE static inline enum wr_result wr_query_series_take(struct wr_query_series *series, const char *key, size_t key_len) {
    if (key != series->key)
        wr_query_series_begin_run(series, key, key_len);
    return series->run < series->n_runs ? WR_OK : WR_EMPTY;
}
/* One of the first columns. */
int wr_query_series_column(struct wr_query_series *series, sqlite3_context *context, int column, enum wr_type type);

/* query_time.c, query_series.c: results. A text that is NULL is NULL. */
void wr_query_put_time(sqlite3_context *context, int64_t wall_ns);
void wr_query_put_text(sqlite3_context *context, const char *text);
void wr_query_put_time_quality(sqlite3_context *context, const struct wr_segment_head *head); /* NULL: trusted, as in CSV and PostgreSQL */
void wr_query_put_unsigned(sqlite3_context *context, uint64_t value);
void wr_query_put_value(sqlite3_context *context, enum wr_type type, union wr_value value, const char *text);

#endif
