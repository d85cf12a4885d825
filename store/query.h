/* SQL over history: one SELECT over tables that are made of stored segments while it runs.
 *
 * Tables: readings (a row an aggregate or change), raw (a row a reading that was kept), alarms (a row an entry of the journal), journal (the same as JSON), segments (their heads). Conditions
 * on time, series, name and field are looked at before rows are made: segments outside of the time are not read. One body is in memory at a time. Functions beside
 * SQLite's own: ago('2h'), bucket('5m', time), time_ns(time), time_of(ns). docs/query.md is for users.
 *
 * Promise: nothing is changed, nothing but these tables is read, no file is opened: an authorizer refuses all else before it runs. It ends when it is told to
 * (`stop`), when SQLite takes more than memory_bytes, and after rows_max rows. The database is an empty one in memory: the store is not SQLite to the query.
 *
 * Threads: one at a time. Ownership: the values of a row live until the sink returns. Limits: WR_QUERY_SQL_BYTES of SQL, WR_QUERY_VALUE_BYTES a value,
 * WR_QUERY_COLUMNS columns. Units: ns since 1970. Errors: WR_INVALID the SQL, error_at says where; WR_DENIED what is not allowed; WR_TIMEOUT stopped;
 * WR_LIMIT memory; those of the history and the sink; WR_NO_MEMORY.
 */
#ifndef WEIR_STORE_QUERY_H
#define WEIR_STORE_QUERY_H

#include "store/history.h"

#define WR_QUERY_SQL_BYTES 65536
#define WR_QUERY_VALUE_BYTES (1 << 20)
#define WR_QUERY_COLUMNS 100

enum wr_query_kind { WR_QUERY_NULL, WR_QUERY_INTEGER, WR_QUERY_REAL, WR_QUERY_TEXT, WR_QUERY_BLOB };

struct wr_query_value {
    enum wr_query_kind kind;
    int64_t integer;
    double real;
    const char *text; /* of a text or blob; NUL-terminated, but may hold NULs */
    size_t len;
};

/* Takes the answer: the names of the columns once, before any row. A failure ends the query and is its result. */
struct wr_query_sink {
    void *user;
    enum wr_result (*columns)(void *user, const char *const *names, unsigned n, struct wr_error *err);
    enum wr_result (*row)(void *user, const struct wr_query_value *values, unsigned n, struct wr_error *err);
};

struct wr_query_options {
    struct wr_history history;
    int64_t now_wall_ns;      /* ago() counts from here */
    uint64_t rows_max;        /* at least 1 */
    uint64_t memory_bytes;    /* of SQLite: sorting, grouping */
    bool (*stop)(void *user); /* asked every few microseconds; true ends the query. May be NULL */
    void *stop_user;
};

struct wr_query_report {
    uint64_t rows;
    bool cut;          /* there are more than rows_max */
    uint64_t segments; /* whose bodies were read */
    uint64_t damaged;  /* of these, left out, or from their first damaged record on; and those that cannot be read */
    uint64_t unreadable; /* places in the store that cannot be read: what segments are there is not known. The most that one walk met */
    int error_at;      /* WR_INVALID: byte of the SQL; -1: nowhere in particular */
};

WR_MUST_USE enum wr_result wr_query_run(const char *sql, const struct wr_query_options *options, const struct wr_query_sink *sink,
                                        struct wr_query_report *ret_report, struct wr_error *err);

/* "2026-03-02T08:00:00.5Z": the fraction in 3, 6 or 9 digits, and only where there is one. Into text[WR_QUERY_TIME_BYTES]; returns its length. */
#define WR_QUERY_TIME_BYTES 40
size_t wr_query_time_print(char *text, int64_t wall_ns);
/* "2026-03-02", "2026-03-02 08:00", "2026-03-02T08:00:00.5+01:00"; without a zone it is UTC. */
bool wr_query_time_read(const char *text, size_t len, int64_t *ret_wall_ns);

#endif
