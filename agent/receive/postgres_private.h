/* What postgres_*.c share: the rows of a batch, the cache of series, the binary form of COPY. */
#ifndef WEIR_AGENT_RECEIVE_POSTGRES_PRIVATE_H
#define WEIR_AGENT_RECEIVE_POSTGRES_PRIVATE_H

#include "agent/receive/ledger.h"
#include "agent/receive/postgres_connection.h"
#include "core/intern.h"

#define WR_POSTGRES_NO_TEXT UINT32_MAX

/* `@` in text becomes the schema. */
WR_MUST_USE enum wr_result wr_postgres_put_sql(struct wr_buf *into, const char *text, const char *schema);
/* The views of agent/receive/audit_postgres.c, up to NULL. */
extern const char *const wr_postgres_audit_views[];
WR_MUST_USE enum wr_result wr_postgres_make_schema(struct wr_postgres_connection *connection, struct wr_error *err);

/* An aggregate of the batch. */
struct wr_postgres_row {
    int64_t start_ns;
    int64_t window_ns;
    int64_t n;
    int64_t bad;
    double values[5];  /* sum, min, max, first, last */
    uint32_t series;   /* number in the cache */
    uint32_t texts[2]; /* first, last: places in the batch's texts; WR_POSTGRES_NO_TEXT: null */
    bool has_values;
    uint8_t time_quality; /* enum wr_time_quality */
};

/* Series of this process: number (dense) and, once the database was asked, its id. */
struct wr_postgres_series {
    struct wr_intern names; /* site NUL node NUL key */
    int32_t *ids;           /* 0: not asked yet */
    size_t cap;
    struct wr_buf params[6];
    struct wr_buf name;
};

WR_MUST_USE enum wr_result wr_postgres_series_init(struct wr_postgres_series *series, struct wr_error *err);
void wr_postgres_series_fini(struct wr_postgres_series *series);
WR_MUST_USE enum wr_result wr_postgres_series_number(struct wr_postgres_series *series, const struct wr_message_origin *origin,
                                                     const char *key, size_t len, uint32_t *ret_number);
/* Asks for the ids of the series that the rows use and that have none yet; makes those that the database does not know, in a transaction
 * of their own, sorted, so that instances do not wait for each other in a circle. */
WR_MUST_USE enum wr_result wr_postgres_series_resolve(struct wr_postgres_series *series, struct wr_postgres_connection *connection,
                                                      const struct wr_postgres_row *rows, size_t n, struct wr_error *err);
/* All ids are asked for again: another database may be behind a new connection. */
void wr_postgres_series_forget(struct wr_postgres_series *series);
/* Full: all numbers are forgotten. Only between two batches. */
void wr_postgres_series_trim(struct wr_postgres_series *series);

/* COPY in its binary form. */
extern const uint8_t wr_postgres_copy_head[19];
extern const uint8_t wr_postgres_copy_tail[2];
#define WR_POSTGRES_AGGREGATE_COLUMNS "time, series, window_ns, n, bad, sum, min, max, first, last, first_text, last_text, time_quality"
#define WR_POSTGRES_ALARM_COLUMNS                                                                                                          \
    "time, site, node, alarm, rule, instance, id, transition, severity, cause, from_state, to_state, value, limit_value, unit, message, "  \
    "time_quality, record"
#define WR_POSTGRES_GAP_COLUMNS "time, until, site, node, reason, time_quality, record"
#define WR_POSTGRES_LEDGER_COLUMNS "time, site, node, epoch, cut, accounts, time_quality, record"
WR_MUST_USE enum wr_result wr_postgres_put_aggregate(struct wr_buf *into, const struct wr_postgres_row *row, int32_t series,
                                                     const char *texts);
WR_MUST_USE enum wr_result wr_postgres_put_alarm(struct wr_buf *into, const struct wr_message_origin *origin, const char *json, size_t len);
WR_MUST_USE enum wr_result wr_postgres_put_gap(struct wr_buf *into, const struct wr_message_origin *origin, const char *json, size_t len);
WR_MUST_USE enum wr_result wr_postgres_put_ledger(struct wr_buf *into, const struct wr_message_origin *origin,
                                                  const struct wr_receive_ledger *ledger, const char *json, size_t len);

/* Tables of texts: one a kind, and that of ledger records, which come among the gaps. */
#define WR_POSTGRES_LEDGER WR_MESSAGE_KINDS
#define WR_POSTGRES_TEXTS (WR_MESSAGE_KINDS + 1)
#define WR_POSTGRES_KEY_COLUMNS 6

/* A message of the batch, with what it added: half-open ranges. */
struct wr_postgres_entry {
    struct wr_message_origin origin;
    size_t row_from, row_to;
    size_t text_from, text_to; /* binary rows of alarms or gaps; the JSON of a state */
    size_t ledger_from, ledger_to;
    size_t symbols_from;
    uint64_t texts;
    uint64_t readings;
    bool dropped;
    bool done;  /* committed already, entry by entry */
    bool fresh; /* its key was new in this transaction */
};

struct wr_postgres_sink {
    struct wr_postgres_options options;
    struct wr_postgres_connection connection;
    struct wr_postgres_series series;
    struct wr_postgres_entry *entries;
    size_t n, cap;
    struct wr_postgres_row *rows;
    size_t n_rows, cap_rows;
    struct wr_buf symbols; /* texts of rows, NUL-terminated */
    struct wr_buf texts[WR_POSTGRES_TEXTS];
    struct wr_buf copy;
    struct wr_buf params[WR_POSTGRES_KEY_COLUMNS];
    char last_key[WR_SERIES_KEY_BYTES]; /* of the row before, in the same entry */
    size_t last_len;
    bool one_by_one; /* PostgreSQL refused something of this batch: which entry? */
    int64_t compacted_ns;
    struct wr_sink_counts counts;
};

static inline bool wr_postgres_is_open(const struct wr_postgres_entry *entry) {
    return !entry->dropped && !entry->done;
}

/* The entries from .. to in one transaction. WR_CORRUPT: PostgreSQL refuses the data of one of them; with any other failure the connection is
 * closed. */
WR_MUST_USE enum wr_result wr_postgres_transact(struct wr_postgres_sink *sink, size_t from, size_t to, struct wr_error *err);
/* A statement in which `@` is the schema. */
WR_MUST_USE enum wr_result wr_postgres_statement(struct wr_postgres_sink *sink, const char *statement, const char *const *params, int n,
                                                 PGresult **ret_result, struct wr_error *err);

#endif
