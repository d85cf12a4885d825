/* The audit of PostgreSQL: views that do the counting, and their rows as agent/receive/audit.h wants them. */
#include <stdlib.h>
#include <string.h>

#include "agent/receive/audit.h"
#include "agent/receive/ledger.h"
#include "agent/receive/members.h"
#include "agent/receive/postgres_private.h"

/* A cut counts once all of its records are here. `off` is the one of wr_audit_judge. */
const char *const wr_postgres_audit_views[] = {
    "-- What each node has lost, when, whose and why; a reading counts once in each window that wanted it. What was recovered is less than "
    "0.\n"
    "CREATE OR REPLACE VIEW @.lost AS\n"
    "    SELECT g.time AS since, g.until, g.site, g.node, g.reason, a->>'source' AS source, a->>'window' AS window_name,\n"
    "           CASE jsonb_typeof(a->'readings') WHEN 'number' THEN (a->>'readings')::numeric END\n"
    "               * CASE g.reason WHEN 'recovered' THEN -1 ELSE 1 END AS readings,\n"
    "           CASE jsonb_typeof(a->'total') WHEN 'number' THEN (a->>'total')::numeric END AS total,\n"
    "           coalesce(g.record->>'at_least', '') = 'true' AS at_least\n"
    "    FROM @.gap AS g CROSS JOIN LATERAL jsonb_array_elements(\n"
    "        CASE jsonb_typeof(g.record->'accounts') WHEN 'array' THEN g.record->'accounts' ELSE '[]'::jsonb END) AS a;\n"
    "\n",
    "-- The audit: for each epoch of a node, from its first cut to its last: stored = arrived + on the way + lost, or it is off. `nth`: "
    "which of "
    "the node's.\n"
    "CREATE OR REPLACE VIEW @.audit AS\n"
    "    WITH whole AS (\n"
    "        SELECT node, epoch, cut, max(site) AS site, max(time) AS time,\n"
    "               max(time) FILTER (WHERE time_quality IS DISTINCT FROM 'untrusted') AS known FROM @.ledger GROUP BY node, epoch, cut\n"
    "        HAVING sum(jsonb_array_length(record->'ledger')) >= max(accounts)),\n"
    "    ends AS (\n"
    "        SELECT node, epoch, min(cut) AS first_cut, max(cut) AS last_cut, (array_agg(time ORDER BY cut DESC))[1] AS time,\n"
    "               max(known) AS known,\n"
    "               (array_agg(site ORDER BY cut DESC))[1] AS site FROM whole GROUP BY node, epoch),\n"
    "    sums AS (\n"
    "        SELECT e.node, e.epoch, l.cut = e.last_cut AS at_last, l.cut = e.first_cut AS at_first, b.key AS book,\n"
    "               sum(b.value::numeric) AS readings\n"
    "        FROM ends AS e JOIN @.ledger AS l ON l.node = e.node AND l.epoch = e.epoch AND l.cut IN (e.first_cut, e.last_cut),\n"
    "             jsonb_array_elements(l.record->'ledger') AS a, jsonb_each_text(a->'books') AS b\n"
    "        WHERE a->>'window' <> 'intake' GROUP BY 1, 2, 3, 4, 5),\n"
    "    grown AS (\n"
    "        SELECT node, epoch, coalesce(jsonb_object_agg(book, readings) FILTER (WHERE at_last), '{}') AS books,\n"
    "               coalesce(sum(readings * (at_last::int - at_first::int)) FILTER (WHERE book = 'stored'), 0) AS stored,\n"
    "               coalesce(sum(readings * (at_last::int - at_first::int)) FILTER (WHERE book = 'recovered'), 0) AS recovered,\n"
    "               coalesce(sum(readings * (at_last::int - at_first::int)) FILTER (WHERE book = 'merged'), 0) AS merged,\n"
    "               coalesce(sum(readings * (at_last::int - at_first::int))\n"
    "                   FILTER (WHERE book IN ('dropped(evicted)', 'dropped(corrupt)', 'dropped(expired)')), 0) AS lost,\n"
    "               coalesce(sum(CASE book WHEN 'stored' THEN readings ELSE -readings END) FILTER (WHERE at_last AND\n"
    "                   book IN ('stored', 'delivered', 'dropped(evicted)', 'dropped(corrupt)', 'dropped(expired)')), 0) AS held,\n"
    "               coalesce(sum(CASE book WHEN 'stored' THEN readings ELSE -readings END) FILTER (WHERE at_first AND\n"
    "                   book IN ('stored', 'delivered', 'dropped(evicted)', 'dropped(corrupt)', 'dropped(expired)')), 0) AS held_first\n"
    "        FROM sums GROUP BY node, epoch),\n"
    "    totals AS (\n"
    "        SELECT e.node, e.epoch, coalesce(g.books, '{}') AS books, coalesce(g.stored - g.recovered, 0) AS stored,\n"
    "               coalesce(g.recovered, 0) AS recovered, coalesce(g.lost, 0) AS lost, coalesce(g.held, 0) AS held,\n"
    "               CASE WHEN g.merged > 0 THEN greatest(g.held_first, 0) ELSE 0 END AS carried, e.known,\n"
    "               coalesce((g.books->>'taken')::numeric, 0) AS taken\n"
    "        FROM ends AS e LEFT JOIN grown AS g ON g.node = e.node AND g.epoch = e.epoch),\n"
    "    placed AS (\n"
    "        SELECT t.node, t.epoch, row_number() OVER (PARTITION BY t.node ORDER BY coalesce(t.known, (SELECT max(o.known)\n"
    "               FROM totals AS o WHERE o.node = t.node AND o.taken <= t.taken), '-infinity'), t.known IS NULL, t.taken, t.epoch) AS "
    "nth\n"
    "        FROM totals AS t)\n",
    "    SELECT e.site, e.node, e.epoch, e.time, e.first_cut, e.last_cut, t.stored, k.arrived, t.lost, t.held,\n"
    "           e.last_cut - e.first_cut + 1 - k.segments AS absent, k.newer,\n"
    "           greatest(k.arrived - t.stored - t.carried, 0) + CASE WHEN e.last_cut - e.first_cut + 1 = k.segments\n"
    "               THEN greatest(t.stored - k.arrived, 0) ELSE greatest(t.stored - k.arrived - t.lost - t.held, 0) END AS off,\n"
    "           t.recovered, t.carried, t.books, p.nth\n"
    "    FROM ends AS e JOIN totals AS t ON t.node = e.node AND t.epoch = e.epoch\n"
    "    JOIN placed AS p ON p.node = e.node AND p.epoch = e.epoch CROSS JOIN LATERAL (\n"
    "        SELECT coalesce(sum(k.readings) FILTER (WHERE k.last <= e.last_cut), 0) AS arrived,\n"
    "               coalesce(sum(k.last - k.first + 1) FILTER (WHERE k.last <= e.last_cut), 0) AS segments,\n"
    "               coalesce(sum(k.last - k.first + 1) FILTER (WHERE k.first > e.last_cut), 0) AS newer\n"
    "        FROM (SELECT s.seq AS first, s.seq AS last, s.readings FROM @.segment AS s\n"
    "                  WHERE s.node = e.node AND s.epoch = e.epoch AND s.seq >= e.first_cut\n"
    "              UNION ALL SELECT r.first, r.last, r.readings FROM @.segment_range AS r\n"
    "                  WHERE r.node = e.node AND r.epoch = e.epoch AND r.first >= e.first_cut) AS k) AS k;\n",
    "\n"
    "-- One row a node: is it there, what has it lost and why, as its books say it (`lost`, `reasons`) and as it has told with times "
    "(`told`, `last_loss`;\n"
    "-- view lost), what it still holds, and what is missing that nobody knows of (`off`).\n"
    "CREATE OR REPLACE VIEW @.standing AS\n"
    "    WITH audited AS (\n"
    "        SELECT node, sum(off) AS off, max(time) AS as_of, (array_agg(books ORDER BY nth DESC))[1] AS books,\n"
    "               (array_agg(held ORDER BY nth DESC))[1] AS held FROM @.audit GROUP BY node),\n"
    "    told AS (SELECT site, node, sum(readings) AS told, max(until) AS last_loss FROM @.lost GROUP BY site, node),\n"
    "    names AS (SELECT site, node FROM @.node UNION SELECT site, node FROM @.ledger UNION SELECT site, node FROM @.gap)\n"
    "    SELECT n.site, n.node, s.state, s.cause, s.received AS since, a.as_of, b.lost, b.reasons, coalesce(t.told, 0) AS told, "
    "t.last_loss,\n"
    "           a.held, a.off\n"
    "    FROM names AS n LEFT JOIN @.node AS s ON s.site = n.site AND s.node = n.node LEFT JOIN audited AS a ON a.node = n.node\n"
    "    LEFT JOIN told AS t ON t.site = n.site AND t.node = n.node CROSS JOIN LATERAL (\n"
    "        SELECT coalesce(sum(CASE key WHEN 'recovered' THEN -value::numeric ELSE value::numeric END), 0) AS lost,\n"
    "               coalesce(jsonb_object_agg(key, value::numeric), '{}') AS reasons\n"
    "        FROM jsonb_each_text(a.books)\n"
    "        WHERE (key LIKE 'dropped(%' AND key <> 'dropped(unwanted)') OR key = 'recovered') AS b;\n",
    NULL};

/* Epochs without a whole record come too: of them nothing can be said but how many segments there are. */
static const char epochs_sql[] =
    "WITH a AS (SELECT * FROM @.audit), k AS (SELECT node, epoch, 1 AS n FROM @.segment "
    "UNION ALL SELECT node, epoch, last - first + 1 FROM @.segment_range) "
    "SELECT site, node, epoch, first_cut, last_cut, (extract(epoch FROM time) * 1000000)::bigint, stored, lost, arrived, absent, newer, "
    "recovered, carried, books, nth FROM a "
    "UNION ALL SELECT '-', k.node, k.epoch, 0, 0, 0, 0, 0, 0, 0, sum(k.n), 0, 0, '{}', 0 FROM k "
    "WHERE NOT EXISTS (SELECT FROM a WHERE a.node = k.node AND a.epoch = k.epoch) GROUP BY k.node, k.epoch "
    "ORDER BY 2, 15, 3";
static const char losses_sql[] = "SELECT node, coalesce(reason, ''), coalesce(source, ''), coalesce(window_name, ''), "
                                 "least(abs(sum(readings)), 9223372036854775807)::bigint, "
                                 "(extract(epoch FROM min(since)) * 1000000)::bigint, (extract(epoch FROM max(until)) * 1000000)::bigint "
                                 "FROM @.lost GROUP BY 1, 2, 3, 4 ORDER BY 1, 6";
/* Between the keys that are here, the cuts' neighbours among them. */
static const char holes_sql[] =
    "SELECT last + 1, next - 1 FROM (SELECT last, lead(first) OVER (ORDER BY first) AS next FROM (SELECT seq AS first, seq AS last FROM "
    "@.segment WHERE node = $1 AND epoch = $2::bigint AND seq BETWEEN $3::bigint AND $4::bigint UNION ALL SELECT greatest(first, "
    "$3::bigint), least(last, $4::bigint) FROM @.segment_range WHERE node = $1 AND epoch = $2::bigint AND last >= $3::bigint AND first <= "
    "$4::bigint UNION ALL VALUES ($3::bigint - 1, $3::bigint - 1), ($4::bigint + 1, $4::bigint + 1)) AS k) AS h WHERE next > last + 1 "
    "ORDER BY 1 LIMIT 8";
_Static_assert(WR_AUDIT_HOLES == 8, "the limit of holes_sql");

static enum wr_result ask(struct wr_postgres_connection *connection, const char *statement, const char *const *params, int n,
                          PGresult **ret_rows, struct wr_error *err) {
    struct wr_buf sql;
    wr_buf_init(&sql, 0);
    const enum wr_result result = wr_postgres_put_sql(&sql, statement, connection->options->schema) == WR_OK
                                      ? wr_postgres_exec(connection, wr_buf_str(&sql), params, n, ret_rows, err)
                                      : wr_error_set(err, WR_NO_MEMORY, "no memory for the audit");
    wr_buf_fini(&sql);
    return result;
}

static uint64_t count_at(PGresult *rows, int row, int column) {
    const long long value = strtoll(PQgetvalue(rows, row, column), NULL, 10);
    return value > 0 ? (uint64_t)value : 0;
}

static int64_t number_at(PGresult *rows, int row, int column) {
    return strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

static enum wr_result take_epoch(PGresult *rows, int row, struct wr_audit *audit, struct wr_error *err) {
    struct wr_audit_epoch *epoch = wr_audit_add_epoch(audit);
    if (!epoch)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the audit");
    strncat(epoch->site, PQgetvalue(rows, row, 0), sizeof epoch->site - 1);
    strncat(epoch->node, PQgetvalue(rows, row, 1), sizeof epoch->node - 1);
    epoch->epoch = (uint64_t)number_at(rows, row, 2);
    epoch->first_cut = number_at(rows, row, 3);
    epoch->last_cut = number_at(rows, row, 4);
    epoch->time_ns = number_at(rows, row, 5) * 1000;
    epoch->stored = count_at(rows, row, 6);
    epoch->lost = count_at(rows, row, 7);
    epoch->arrived = count_at(rows, row, 8);
    epoch->absent = count_at(rows, row, 9);
    epoch->newer = count_at(rows, row, 10);
    epoch->recovered = count_at(rows, row, 11);
    epoch->carried = count_at(rows, row, 12);
    const char *books = PQgetvalue(rows, row, 13);
    return wr_receive_ledger_books(books, strlen(books), epoch->books, err);
}

static enum wr_result take_loss(PGresult *rows, int row, struct wr_audit *audit, struct wr_error *err) {
    struct wr_audit_loss loss = {
        .readings = count_at(rows, row, 4), .from_ns = number_at(rows, row, 5) * 1000, .to_ns = number_at(rows, row, 6) * 1000};
    strncat(loss.node, PQgetvalue(rows, row, 0), sizeof loss.node - 1);
    strncat(loss.reason, PQgetvalue(rows, row, 1), sizeof loss.reason - 1);
    strncat(loss.account.source, PQgetvalue(rows, row, 2), sizeof loss.account.source - 1);
    strncat(loss.account.window, PQgetvalue(rows, row, 3), sizeof loss.account.window - 1);
    return wr_audit_add_loss(audit, &loss) == WR_OK ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for the audit");
}

static enum wr_result take_rows(struct wr_postgres_connection *connection, const char *statement,
                                enum wr_result (*take)(PGresult *, int, struct wr_audit *, struct wr_error *), struct wr_audit *audit,
                                struct wr_error *err) {
    PGresult *rows = NULL;
    enum wr_result result = ask(connection, statement, NULL, 0, &rows, err);
    for (int row = 0; result == WR_OK && row < PQntuples(rows); row++)
        result = take(rows, row, audit, err);
    PQclear(rows);
    return result;
}

static enum wr_result find_holes(struct wr_postgres_connection *connection, struct wr_audit_epoch *epoch, struct wr_error *err) {
    char numbers[3][24];
    const char *params[] = {epoch->node, numbers[0], numbers[1], numbers[2]};
    PGresult *rows = NULL;
    (void)snprintf(numbers[0], sizeof numbers[0], "%lld", (long long)epoch->epoch);
    (void)snprintf(numbers[1], sizeof numbers[1], "%lld", (long long)epoch->first_cut);
    (void)snprintf(numbers[2], sizeof numbers[2], "%lld", (long long)epoch->last_cut);
    WR_TRY(ask(connection, holes_sql, params, 4, &rows, err));
    for (int row = 0; row < PQntuples(rows) && row < WR_AUDIT_HOLES; row++) {
        epoch->holes[row].first = number_at(rows, row, 0);
        epoch->holes[row].last = number_at(rows, row, 1);
        epoch->n_holes = (unsigned)row + 1;
    }
    PQclear(rows);
    return WR_OK;
}

static enum wr_result read_all(struct wr_postgres_connection *connection, struct wr_audit *audit, struct wr_error *err) {
    PGresult *found = NULL;
    WR_TRY(ask(connection, "SELECT count(*) > 0 FROM pg_attribute WHERE attrelid = to_regclass('@.audit') AND attname = 'nth'", NULL, 0,
               &found, err));
    const bool made = PQntuples(found) == 1 && PQgetvalue(found, 0, 0)[0] == 't';
    PQclear(found);
    if (!made)
        return wr_error_set(err, WR_NOT_FOUND, "schema %s has no view `audit` of this version: run weir-receive --init",
                            connection->options->schema);
    /* One moment for all questions: receivers go on writing. */
    WR_TRY(ask(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, 0, NULL, err));
    WR_TRY(take_rows(connection, epochs_sql, take_epoch, audit, err));
    WR_TRY(take_rows(connection, losses_sql, take_loss, audit, err));
    for (size_t i = 0; i < audit->n; i++)
        if (audit->epochs[i].last_cut > 0 && wr_audit_judge(&audit->epochs[i]).off > 0)
            WR_TRY(find_holes(connection, &audit->epochs[i], err));
    return ask(connection, "COMMIT", NULL, 0, NULL, err);
}

enum wr_result wr_audit_postgres(const struct wr_postgres_options *options, struct wr_audit *audit, struct wr_error *err) {
    struct wr_postgres_connection connection = {.options = options};
    WR_TRY(wr_postgres_connect(&connection, err));
    const enum wr_result result = read_all(&connection, audit, err);
    if (connection.conn)
        wr_postgres_disconnect(&connection);
    return result;
}
