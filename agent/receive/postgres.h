/* The sink of PostgreSQL: many segments a transaction, their keys in the same transaction as their records.
 *
 * How a segment comes to be there exactly once: the transaction first inserts the keys, `ON CONFLICT DO NOTHING`, and copies only the records of
 * those keys that were new. If the connection breaks and nobody knows whether the commit happened, the same batch is committed again: what
 * was there is known. Two instances with the same key at once: the second insert waits for the first transaction, then finds the key.
 * Keys older than a day are folded into ranges (`compact` in the schema), so they cost nothing in the long run. Their readings stay, added up.
 *
 * Deadlines: a connect has connect_timeout, everything else statement_timeout; a stop ends any wait. Then, and at any error, the connection is given
 * up and made anew at the next commit. Data that PostgreSQL refuses (SQLSTATE classes 22, 23, 54) is found by committing entry by entry, and
 * told as poison.
 *
 * Threads: one at a time. Ownership: new; the sink's close frees. Limits: WR_POSTGRES_SERIES series in the cache of ids; beyond it is begun anew.
 * Values are double precision: integers beyond 2^53 are rounded (files keep them exact); times are cut to microseconds.
 */
#ifndef WEIR_AGENT_RECEIVE_POSTGRES_H
#define WEIR_AGENT_RECEIVE_POSTGRES_H

#include <stdint.h>

#include "agent/receive/sink.h"
#include "core/buf.h"
#include "core/result.h"

#define WR_POSTGRES_SERIES (1u << 20)

struct wr_postgres_options {
    const char *url;
    const char *password_file; /* NULL: none; read at each connect */
    const char *schema;
    int64_t connect_timeout_ns;
    int64_t statement_timeout_ns;
    int stop_fd; /* readable: give up any wait; -1: none */
};

/* Whether an address is one of libpq's, and has no password in it. */
WR_MUST_USE enum wr_result wr_postgres_check(const char *url, struct wr_error *err);

/* Connects only at the first commit. */
WR_MUST_USE enum wr_result wr_postgres_sink_new(const struct wr_postgres_options *options, struct wr_receive_sink *ret_sink,
                                                struct wr_error *err);

/* The SQL that makes the tables; running it twice changes nothing. */
WR_MUST_USE enum wr_result wr_postgres_schema(const char *schema, struct wr_buf *into);
/* Connects and runs it. */
WR_MUST_USE enum wr_result wr_postgres_init(const struct wr_postgres_options *options, struct wr_error *err);

#endif
