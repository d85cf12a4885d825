/* A connection to PostgreSQL on which nothing waits without a deadline: libpq without its blocking calls.
 *
 * Errors: WR_CORRUPT: PostgreSQL refuses this data (the transaction is over, the connection lives); WR_CANCELED: stopped; WR_TIMEOUT, WR_DENIED,
 * WR_IO: the connection is closed. Texts carry PostgreSQL's message and SQLSTATE.
 * Threads: one at a time. Ownership: caller's memory.
 */
#ifndef WEIR_AGENT_RECEIVE_POSTGRES_CONNECTION_H
#define WEIR_AGENT_RECEIVE_POSTGRES_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "agent/receive/postgres.h"

struct wr_postgres_connection {
    const struct wr_postgres_options *options;
    PGconn *conn; /* NULL: not connected */
};

WR_MUST_USE enum wr_result wr_postgres_connect(struct wr_postgres_connection *connection, struct wr_error *err);
void wr_postgres_disconnect(struct wr_postgres_connection *connection);

/* One statement with parameters as text; n 0: several statements may stand in sql. *ret_result (may be NULL) is the caller's to PQclear. */
WR_MUST_USE enum wr_result wr_postgres_exec(struct wr_postgres_connection *connection, const char *sql, const char *const *params, int n,
                                            PGresult **ret_result, struct wr_error *err);

/* COPY ... FROM STDIN: begin, any number of puts, end. A failure ends it. */
WR_MUST_USE enum wr_result wr_postgres_copy_begin(struct wr_postgres_connection *connection, const char *sql, struct wr_error *err);
WR_MUST_USE enum wr_result wr_postgres_copy_put(struct wr_postgres_connection *connection, const void *bytes, size_t len,
                                                struct wr_error *err);
WR_MUST_USE enum wr_result wr_postgres_copy_end(struct wr_postgres_connection *connection, struct wr_error *err);

/* The elements of an array parameter: '{"a","b"}'. begin, elements, end. */
WR_MUST_USE enum wr_result wr_postgres_array_begin(struct wr_buf *into);
WR_MUST_USE enum wr_result wr_postgres_array_text(struct wr_buf *into, const char *text, size_t len);
WR_MUST_USE enum wr_result wr_postgres_array_bytes(struct wr_buf *into, const void *bytes, size_t len);
WR_MUST_USE enum wr_result wr_postgres_array_int(struct wr_buf *into, int64_t value);
WR_MUST_USE enum wr_result wr_postgres_array_end(struct wr_buf *into);

#endif
