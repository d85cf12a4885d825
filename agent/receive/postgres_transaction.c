/* One transaction of the sink: the keys that are new, and the records of those. */
#include <stdlib.h>
#include <string.h>

#include "agent/receive/members.h"
#include "agent/receive/postgres_private.h"

#define COPY_CHUNK_BYTES (256u << 10)

static enum wr_result no_memory(struct wr_error *err) {
    return wr_error_set(err, WR_NO_MEMORY, "no memory for a batch");
}

enum wr_result wr_postgres_statement(struct wr_postgres_sink *sink, const char *statement, const char *const *params, int n,
                                     PGresult **ret_result, struct wr_error *err) {
    struct wr_buf sql;
    wr_buf_init(&sql, 0);
    const enum wr_result result = wr_postgres_put_sql(&sql, statement, sink->options.schema) == WR_OK
                                      ? wr_postgres_exec(&sink->connection, wr_buf_str(&sql), params, n, ret_result, err)
                                      : no_memory(err);
    wr_buf_fini(&sql);
    return result;
}

static bool same_key(const struct wr_message_key *a, const struct wr_message_key *b) {
    return a->seq == b->seq && a->epoch == b->epoch && strcmp(a->node, b->node) == 0;
}

static enum wr_result gather_keys(struct wr_postgres_sink *sink, size_t from, size_t to) {
    struct wr_buf *params = sink->params;
    for (int i = 0; i < WR_POSTGRES_KEY_COLUMNS; i++)
        WR_TRY(wr_postgres_array_begin(&params[i]));
    for (size_t i = from; i < to; i++) {
        const struct wr_postgres_entry *entry = &sink->entries[i];
        if (!wr_postgres_is_open(entry) || !entry->origin.keyed)
            continue;
        const char *kind = wr_message_kind_name(entry->origin.kind);
        const size_t records = entry->row_to - entry->row_from + entry->texts;
        WR_TRY(wr_postgres_array_text(&params[0], entry->origin.key.node, strlen(entry->origin.key.node)));
        WR_TRY(wr_postgres_array_int(&params[1], (int64_t)entry->origin.key.epoch));
        WR_TRY(wr_postgres_array_int(&params[2], entry->origin.key.seq));
        WR_TRY(wr_postgres_array_text(&params[3], kind, strlen(kind)));
        WR_TRY(wr_postgres_array_int(&params[4], (int64_t)records));
        WR_TRY(wr_postgres_array_int(&params[5], (int64_t)entry->readings));
    }
    for (int i = 0; i < WR_POSTGRES_KEY_COLUMNS; i++)
        WR_TRY(wr_postgres_array_end(&params[i]));
    return WR_OK;
}

/* The first entry of this key counts; the answer has each new key once. */
static void mark_fresh(struct wr_postgres_sink *sink, size_t from, size_t to, PGresult *keys) {
    for (int row = 0; row < PQntuples(keys); row++) {
        struct wr_message_key key = {.epoch = (uint64_t)strtoll(PQgetvalue(keys, row, 1), NULL, 10),
                                     .seq = strtoll(PQgetvalue(keys, row, 2), NULL, 10)};
        (void)snprintf(key.node, sizeof key.node, "%s", PQgetvalue(keys, row, 0));
        for (size_t i = from; i < to; i++) {
            struct wr_postgres_entry *entry = &sink->entries[i];
            if (wr_postgres_is_open(entry) && entry->origin.keyed && same_key(&entry->origin.key, &key)) {
                entry->fresh = true;
                break;
            }
        }
    }
}

static enum wr_result insert_keys(struct wr_postgres_sink *sink, size_t from, size_t to, struct wr_error *err) {
    static const char statement[] =
        "INSERT INTO @.segment (node, epoch, seq, kind, records, readings) "
        "SELECT k.* FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::integer[], $6::bigint[]) "
        "AS k (node, epoch, seq, kind, records, readings) "
        "WHERE NOT coalesce((SELECT r.last >= k.seq FROM @.segment_range AS r WHERE r.node = k.node AND r.epoch = k.epoch "
        "AND r.first <= k.seq ORDER BY r.first DESC LIMIT 1), false) "
        "ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING RETURNING node, epoch, seq";
    const char *params[WR_POSTGRES_KEY_COLUMNS];
    PGresult *keys = NULL;
    for (size_t i = from; i < to; i++)
        sink->entries[i].fresh = !sink->entries[i].origin.keyed;
    if (gather_keys(sink, from, to) != WR_OK)
        return no_memory(err);
    for (int i = 0; i < WR_POSTGRES_KEY_COLUMNS; i++)
        params[i] = wr_buf_str(&sink->params[i]);
    /* The lock keeps `compact` away while we look in two tables. It needs this isolation: with a higher one, which a database or a user may
     * have as its default, all statements see the tables as they were before the lock was waited for. */
    WR_TRY(wr_postgres_statement(
        sink, "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock_shared('@.segment'::regclass::oid::bigint)", NULL, 0,
        NULL, err));
    WR_TRY(wr_postgres_statement(sink, statement, params, WR_POSTGRES_KEY_COLUMNS, &keys, err));
    mark_fresh(sink, from, to, keys);
    PQclear(keys);
    return WR_OK;
}

static enum wr_result put_copy(struct wr_postgres_sink *sink, bool all, struct wr_error *err) {
    if (sink->copy.len < (all ? 1 : COPY_CHUNK_BYTES))
        return WR_OK;
    const enum wr_result result = wr_postgres_copy_put(&sink->connection, sink->copy.data, sink->copy.len, err);
    wr_buf_clear(&sink->copy);
    return result;
}

static int compare_rows(const void *a, const void *b, void *user) {
    const struct wr_postgres_sink *sink = user;
    const struct wr_postgres_row *one = &sink->rows[*(const uint32_t *)a];
    const struct wr_postgres_row *two = &sink->rows[*(const uint32_t *)b];
    if (one->series != two->series)
        return one->series < two->series ? -1 : 1;
    return one->start_ns < two->start_ns ? -1 : one->start_ns > two->start_ns;
}

/* Sorted by series: what is asked for together lies together, and the index is walked once. */
static enum wr_result copy_rows(struct wr_postgres_sink *sink, size_t from, size_t to, struct wr_error *err) {
    size_t n = 0;
    uint32_t *order = malloc((sink->n_rows + 1) * sizeof *order);
    if (!order)
        return no_memory(err);
    for (size_t i = from; i < to; i++)
        for (size_t at = sink->entries[i].row_from;
             wr_postgres_is_open(&sink->entries[i]) && sink->entries[i].fresh && at < sink->entries[i].row_to; at++)
            order[n++] = (uint32_t)at;
    qsort_r(order, n, sizeof *order, compare_rows, sink);
    enum wr_result result = WR_OK;
    for (size_t i = 0; i < n && result == WR_OK; i++) {
        const struct wr_postgres_row *row = &sink->rows[order[i]];
        if (wr_postgres_put_aggregate(&sink->copy, row, sink->series.ids[row->series], wr_buf_str(&sink->symbols)) != WR_OK)
            result = no_memory(err);
        else
            result = put_copy(sink, false, err);
    }
    free(order);
    return result;
}

/* Where an entry's rows for this table of texts stand; none: from is to. */
static void span_of(const struct wr_postgres_entry *entry, int table, size_t *ret_from, size_t *ret_to) {
    const bool own = (int)entry->origin.kind == table;
    *ret_from = table == WR_POSTGRES_LEDGER ? entry->ledger_from : own ? entry->text_from : 0;
    *ret_to = table == WR_POSTGRES_LEDGER ? entry->ledger_to : own ? entry->text_to : 0;
}

static enum wr_result copy_texts(struct wr_postgres_sink *sink, int table, size_t from, size_t to, struct wr_error *err) {
    for (size_t i = from; i < to; i++) {
        const struct wr_postgres_entry *entry = &sink->entries[i];
        size_t begins;
        size_t ends;
        span_of(entry, table, &begins, &ends);
        if (!wr_postgres_is_open(entry) || !entry->fresh || begins == ends)
            continue;
        if (wr_buf_append(&sink->copy, sink->texts[table].data + begins, ends - begins) != WR_OK)
            return no_memory(err);
        WR_TRY(put_copy(sink, false, err));
    }
    return WR_OK;
}

static bool has_rows(const struct wr_postgres_entry *entry, int table) {
    size_t begins;
    size_t ends;
    span_of(entry, table, &begins, &ends);
    return wr_postgres_is_open(entry) && entry->fresh && (table == WR_MESSAGE_AGG ? entry->row_to > entry->row_from : ends > begins);
}

/* A table of texts, or AGG: the rows of aggregates and changes. */
static enum wr_result copy_table(struct wr_postgres_sink *sink, int table, size_t from, size_t to, struct wr_error *err) {
    static const char *const statements[WR_POSTGRES_TEXTS] = {
        [WR_MESSAGE_AGG] = "COPY @.aggregate (" WR_POSTGRES_AGGREGATE_COLUMNS ") FROM STDIN (FORMAT binary)",
        [WR_MESSAGE_ALARM] = "COPY @.alarm (" WR_POSTGRES_ALARM_COLUMNS ") FROM STDIN (FORMAT binary)",
        [WR_MESSAGE_GAP] = "COPY @.gap (" WR_POSTGRES_GAP_COLUMNS ") FROM STDIN (FORMAT binary)",
        [WR_POSTGRES_LEDGER] = "COPY @.ledger (" WR_POSTGRES_LEDGER_COLUMNS ") FROM STDIN (FORMAT binary)",
    };
    bool some = false;
    for (size_t i = from; i < to && !some; i++)
        some = has_rows(&sink->entries[i], table);
    if (!some)
        return WR_OK;
    struct wr_buf sql;
    wr_buf_init(&sql, 0);
    enum wr_result result = wr_postgres_put_sql(&sql, statements[table], sink->options.schema) == WR_OK
                                ? wr_postgres_copy_begin(&sink->connection, wr_buf_str(&sql), err)
                                : no_memory(err);
    wr_buf_fini(&sql);
    WR_TRY(result);
    wr_buf_clear(&sink->copy);
    result = wr_buf_append(&sink->copy, wr_postgres_copy_head, sizeof wr_postgres_copy_head) == WR_OK ? WR_OK : no_memory(err);
    if (result == WR_OK)
        result = table == WR_MESSAGE_AGG ? copy_rows(sink, from, to, err) : copy_texts(sink, table, from, to, err);
    if (result == WR_OK && wr_buf_append(&sink->copy, wr_postgres_copy_tail, sizeof wr_postgres_copy_tail) != WR_OK)
        result = no_memory(err);
    if (result == WR_OK)
        result = put_copy(sink, true, err);
    return result == WR_OK ? wr_postgres_copy_end(&sink->connection, err) : result;
}

static enum wr_result upsert_state(struct wr_postgres_sink *sink, const struct wr_postgres_entry *entry, struct wr_error *err) {
    static const char statement[] =
        "INSERT INTO @.node (site, node, record, received, state, cause, version) "
        "SELECT $1, $2, j, now(), j->>'state', j->>'cause', j->>'version' FROM (SELECT $3::jsonb AS j) AS x "
        "ON CONFLICT (site, node) DO UPDATE SET record = excluded.record, received = excluded.received, state = excluded.state, "
        "cause = excluded.cause, version = coalesce(excluded.version, node.version)";
    struct wr_buf record;
    wr_buf_init(&record, 0);
    const struct wr_buf *texts = &sink->texts[WR_MESSAGE_STATE];
    enum wr_result result = wr_members_utf8(&record, (const char *)texts->data + entry->text_from, entry->text_to - entry->text_from);
    const char *params[] = {entry->origin.site, entry->origin.key.node, wr_buf_str(&record)};
    result = result == WR_OK ? wr_postgres_statement(sink, statement, params, 3, NULL, err) : no_memory(err);
    wr_buf_fini(&record);
    return result;
}

static enum wr_result write_range(struct wr_postgres_sink *sink, size_t from, size_t to, struct wr_error *err) {
    static const int copied[] = {WR_MESSAGE_AGG, WR_MESSAGE_ALARM, WR_MESSAGE_GAP, WR_POSTGRES_LEDGER};
    const size_t row_from = from < to ? sink->entries[from].row_from : 0;
    const size_t row_to = from < to ? sink->entries[to - 1].row_to : 0;
    WR_TRY(wr_postgres_series_resolve(&sink->series, &sink->connection, sink->rows + row_from, row_to - row_from, err));
    WR_TRY(insert_keys(sink, from, to, err));
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        WR_TRY(copy_table(sink, copied[i], from, to, err));
    for (size_t i = from; i < to; i++)
        if (wr_postgres_is_open(&sink->entries[i]) && sink->entries[i].origin.kind == WR_MESSAGE_STATE)
            WR_TRY(upsert_state(sink, &sink->entries[i], err));
    return wr_postgres_statement(sink, "COMMIT", NULL, 0, NULL, err);
}

static void settle(struct wr_postgres_sink *sink, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        struct wr_postgres_entry *entry = &sink->entries[i];
        if (!wr_postgres_is_open(entry))
            continue;
        entry->done = true;
        sink->counts.known += !entry->fresh;
        if (!entry->fresh)
            continue;
        sink->counts.segments += entry->origin.keyed;
        sink->counts.aggregates += entry->row_to - entry->row_from;
        sink->counts.texts += entry->texts;
        sink->counts.readings += entry->readings;
    }
}

/* A transaction that failed: if only the data was refused, the connection goes on; with anything else it is given up. */
enum wr_result wr_postgres_transact(struct wr_postgres_sink *sink, size_t from, size_t to, struct wr_error *err) {
    const enum wr_result result = write_range(sink, from, to, err);
    if (result == WR_OK) {
        settle(sink, from, to);
        return WR_OK;
    }
    struct wr_error ignored;
    if (result == WR_CORRUPT && sink->connection.conn && wr_postgres_exec(&sink->connection, "ROLLBACK", NULL, 0, NULL, &ignored) == WR_OK)
        return WR_CORRUPT;
    if (sink->connection.conn)
        wr_postgres_disconnect(&sink->connection);
    return result;
}
