/* The tables, as SQL. `@` stands for the schema. */
#include <string.h>

#include "agent/receive/postgres.h"
#include "agent/receive/postgres_private.h"

/* In parts, since a string literal of C has a limit. */
static const char *const tables[] = {
    "-- Weir: what weir-receive writes. Running this twice changes nothing.\n"
    "CREATE SCHEMA IF NOT EXISTS @;\n"
    "\n"
    "CREATE TABLE IF NOT EXISTS @.meta (version integer NOT NULL);\n"
    "INSERT INTO @.meta SELECT 2 WHERE NOT EXISTS (SELECT FROM @.meta);\n"
    "UPDATE @.meta SET version = 2 WHERE version < 2;\n"
    "\n"
    "-- A series of a node. key is its exact name: site, node, measurement, field, tags, each ended by a zero byte.\n"
    "CREATE TABLE IF NOT EXISTS @.series (\n"
    "    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
    "    site        text NOT NULL,\n"
    "    node        text NOT NULL,\n"
    "    measurement text NOT NULL,\n"
    "    field       text NOT NULL,\n"
    "    tags        jsonb NOT NULL,\n"
    "    key         bytea NOT NULL,\n"
    "    CONSTRAINT series_key EXCLUDE USING hash (key WITH =)\n"
    ");\n"
    "CREATE INDEX IF NOT EXISTS series_name ON @.series (measurement, field, node);\n"
    "CREATE INDEX IF NOT EXISTS series_tags ON @.series USING gin (tags);\n"
    "\n"
    "-- One window of one series; window_ns 0: a change. Merge rows of equal (series, time, window_ns): see the view merged.\n"
    "CREATE TABLE IF NOT EXISTS @.aggregate (\n"
    "    time       timestamptz NOT NULL,\n"
    "    series     integer NOT NULL,\n"
    "    window_ns  bigint NOT NULL,\n"
    "    n          bigint NOT NULL,\n"
    "    bad        bigint NOT NULL,\n"
    "    sum        double precision,\n"
    "    min        double precision,\n"
    "    max        double precision,\n"
    "    first      double precision,\n"
    "    last       double precision,\n"
    "    first_text text,\n"
    "    last_text  text,\n"
    "    time_quality text\n"
    ");\n"
    "-- Null: stamped by a clock that was trusted. 'corrected': moved to it later. 'untrusted': of a clock that nobody had set, wrong by "
    "nobody knows what.\n"
    "ALTER TABLE @.aggregate ADD COLUMN IF NOT EXISTS time_quality text;\n"
    "CREATE INDEX IF NOT EXISTS aggregate_series ON @.aggregate (series, time);\n"
    "CREATE INDEX IF NOT EXISTS aggregate_time ON @.aggregate USING brin (time);\n"
    "\n",
    "CREATE TABLE IF NOT EXISTS @.alarm (\n"
    "    time        timestamptz NOT NULL,\n"
    "    site        text NOT NULL,\n"
    "    node        text NOT NULL,\n"
    "    alarm       text,\n"
    "    rule        text,\n"
    "    instance    text,\n"
    "    id          text,\n"
    "    transition  bigint,\n"
    "    severity    text,\n"
    "    cause       text,\n"
    "    from_state  text,\n"
    "    to_state    text,\n"
    "    value       double precision,\n"
    "    limit_value double precision,\n"
    "    unit        text,\n"
    "    message     text,\n"
    "    time_quality text,\n"
    "    record      jsonb NOT NULL\n"
    ");\n"
    "ALTER TABLE @.alarm ADD COLUMN IF NOT EXISTS time_quality text;\n"
    "CREATE INDEX IF NOT EXISTS alarm_time ON @.alarm (time);\n"
    "CREATE INDEX IF NOT EXISTS alarm_name ON @.alarm (node, alarm, time);\n"
    "\n"
    "-- What an agent knows to be missing, and why.\n"
    "CREATE TABLE IF NOT EXISTS @.gap (\n"
    "    time   timestamptz NOT NULL,\n"
    "    until  timestamptz NOT NULL,\n"
    "    site   text NOT NULL,\n"
    "    node   text NOT NULL,\n"
    "    reason text,\n"
    "    time_quality text,\n"
    "    record jsonb NOT NULL\n"
    ");\n"
    "ALTER TABLE @.gap ADD COLUMN IF NOT EXISTS time_quality text;\n"
    "CREATE INDEX IF NOT EXISTS gap_time ON @.gap (time);\n"
    "CREATE INDEX IF NOT EXISTS gap_node ON @.gap (node, time);\n"
    "\n"
    "-- The books of each node as they stood at a cut between two segments of an epoch: the view audit compares them with what is here.\n"
    "CREATE TABLE IF NOT EXISTS @.ledger (\n"
    "    time     timestamptz NOT NULL,\n"
    "    site     text NOT NULL,\n"
    "    node     text NOT NULL,\n"
    "    epoch    bigint NOT NULL,\n"
    "    cut      bigint NOT NULL,\n"
    "    accounts bigint NOT NULL,\n"
    "    time_quality text,\n"
    "    record   jsonb NOT NULL\n"
    ");\n"
    "ALTER TABLE @.ledger ADD COLUMN IF NOT EXISTS time_quality text;\n"
    "CREATE INDEX IF NOT EXISTS ledger_cut ON @.ledger (node, epoch, cut);\n"
    "\n"
    "-- Who is there: the last word of each node.\n"
    "CREATE TABLE IF NOT EXISTS @.node (\n"
    "    site     text NOT NULL,\n"
    "    node     text NOT NULL,\n"
    "    state    text,\n"
    "    cause    text,\n"
    "    version  text,\n"
    "    received timestamptz NOT NULL,\n"
    "    record   jsonb NOT NULL,\n"
    "    PRIMARY KEY (site, node)\n"
    ");\n"
    "\n"
    "-- Which segments are there: the keys by which a repeated message is known. epoch is unsigned: to_hex(epoch) is what agents print.\n"
    "CREATE TABLE IF NOT EXISTS @.segment (\n"
    "    node     text NOT NULL,\n"
    "    epoch    bigint NOT NULL,\n"
    "    seq      bigint NOT NULL,\n"
    "    kind     text NOT NULL,\n"
    "    records  integer NOT NULL,\n"
    "    readings bigint,\n"
    "    received timestamptz NOT NULL DEFAULT now(),\n"
    "    PRIMARY KEY (node, epoch, seq)\n"
    ");\n"
    "ALTER TABLE @.segment ADD COLUMN IF NOT EXISTS readings bigint;\n"
    "CREATE INDEX IF NOT EXISTS segment_received ON @.segment USING brin (received);\n"
    "CREATE TABLE IF NOT EXISTS @.segment_range (node text NOT NULL, epoch bigint NOT NULL, first bigint NOT NULL, last bigint NOT NULL);\n"
    "ALTER TABLE @.segment_range ADD COLUMN IF NOT EXISTS readings bigint NOT NULL DEFAULT 0;\n"
    "CREATE INDEX IF NOT EXISTS segment_range_first ON @.segment_range (node, epoch, first);\n"
    "\n",
    "-- Folds old keys into ranges. Receivers hold the lock shared while they write, so none looks between the two tables. No range goes "
    "over the\n"
    "-- first or the last cut of its epoch, so that the readings between the two can be told.\n"
    "CREATE OR REPLACE FUNCTION @.compact(older interval DEFAULT '1 day') RETURNS bigint LANGUAGE plpgsql AS $$\n"
    "DECLARE moved bigint;\n"
    "BEGIN\n"
    "    PERFORM pg_advisory_xact_lock('@.segment'::regclass::oid::bigint);\n"
    "    CREATE TEMPORARY TABLE weir_folded ON COMMIT DROP AS\n"
    "        WITH gone AS (DELETE FROM @.segment WHERE received < now() - older RETURNING node, epoch, seq, readings)\n"
    "        SELECT node, epoch, seq AS first, seq AS last, coalesce(readings, 0) AS readings FROM gone;\n"
    "    GET DIAGNOSTICS moved = ROW_COUNT;\n"
    "    IF moved > 0 THEN\n"
    "        WITH old AS (DELETE FROM @.segment_range r WHERE EXISTS (SELECT FROM weir_folded f WHERE f.node = r.node AND f.epoch = "
    "r.epoch)\n"
    "                     RETURNING node, epoch, first, last, readings)\n"
    "        INSERT INTO weir_folded SELECT * FROM old;\n"
    "        INSERT INTO @.segment_range (node, epoch, first, last, readings)\n"
    "            SELECT node, epoch, min(first), max(last), sum(readings) FROM (\n"
    "                SELECT *, sum(begins) OVER (PARTITION BY node, epoch, side ORDER BY first) AS island FROM (\n"
    "                    SELECT *, CASE WHEN first <= 1 + max(last) OVER (PARTITION BY node, epoch, side ORDER BY first\n"
    "                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS begins FROM (\n"
    "                        SELECT f.*, CASE WHEN f.first > c.high THEN 2 WHEN f.first >= c.low THEN 1 ELSE 0 END AS side\n"
    "                        FROM weir_folded f LEFT JOIN (SELECT node, epoch, min(cut) AS low, max(cut) AS high FROM @.ledger\n"
    "                            GROUP BY node, epoch) AS c USING (node, epoch)) AS sided) AS marked) AS grouped\n"
    "            GROUP BY node, epoch, side, island;\n"
    "    END IF;\n"
    "    DROP TABLE weir_folded;\n"
    "    RETURN moved;\n"
    "END $$;\n"
    "\n",
    "-- Windows with their names; partials and late readings merged into the window they belong to.\n"
    "CREATE OR REPLACE VIEW @.merged AS\n"
    "    SELECT a.time, s.site, s.node, s.measurement, s.field, s.tags, a.window_ns, a.n, a.bad, a.sum, a.sum / nullif(a.n, 0) AS mean, "
    "a.min,\n"
    "           a.max, a.first, a.last, a.first_text, a.last_text, a.series, a.time_quality\n"
    "    FROM (SELECT time, series, window_ns, sum(n)::bigint AS n, sum(bad)::bigint AS bad, sum(sum) AS sum, min(min) AS min, max(max) AS "
    "max,\n"
    "                 (array_agg(first ORDER BY n DESC) FILTER (WHERE n > 0))[1] AS first,\n"
    "                 (array_agg(last ORDER BY n DESC) FILTER (WHERE n > 0))[1] AS last,\n"
    "                 (array_agg(first_text ORDER BY n DESC) FILTER (WHERE n > 0))[1] AS first_text,\n"
    "                 (array_agg(last_text ORDER BY n DESC) FILTER (WHERE n > 0))[1] AS last_text, max(time_quality) AS time_quality\n"
    "          FROM @.aggregate GROUP BY time, series, window_ns) AS a\n"
    "    JOIN @.series AS s ON s.id = a.series;\n"
    "\n"
    "-- With TimescaleDB the aggregates are a hypertable.\n"
    "DO $$ BEGIN\n"
    "    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN\n"
    "        PERFORM create_hypertable('@.aggregate', 'time', if_not_exists => true, migrate_data => true);\n"
    "    END IF;\n"
    "END $$;\n"};

enum wr_result wr_postgres_put_sql(struct wr_buf *into, const char *text, const char *schema) {
    for (;;) {
        const size_t len = strcspn(text, "@");
        WR_TRY(wr_buf_append(into, text, len));
        if (text[len] == '\0')
            return WR_OK;
        WR_TRY(wr_buf_text(into, schema));
        text += len + 1;
    }
}

enum wr_result wr_postgres_schema(const char *schema, struct wr_buf *into) {
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        WR_TRY(wr_postgres_put_sql(into, tables[i], schema));
    for (size_t i = 0; wr_postgres_audit_views[i]; i++)
        WR_TRY(wr_postgres_put_sql(into, wr_postgres_audit_views[i], schema));
    return WR_OK;
}

/* In one transaction, one instance at a time. */
enum wr_result wr_postgres_make_schema(struct wr_postgres_connection *connection, struct wr_error *err) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    enum wr_result result = wr_buf_text(&text, "BEGIN; SELECT pg_advisory_xact_lock(7305804402566915945);\n"); /* "eidweir)" */
    if (result == WR_OK)
        result = wr_postgres_schema(connection->options->schema, &text);
    if (result == WR_OK)
        result = wr_buf_text(&text, "COMMIT;");
    if (result != WR_OK)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for the schema");
    else
        result = wr_postgres_exec(connection, wr_buf_str(&text), NULL, 0, NULL, err);
    wr_buf_fini(&text);
    return result == WR_OK ? WR_OK : wr_error_wrap(err, "making the tables in schema %s", connection->options->schema);
}

enum wr_result wr_postgres_init(const struct wr_postgres_options *options, struct wr_error *err) {
    struct wr_postgres_connection connection = {.options = options};
    WR_TRY(wr_postgres_connect(&connection, err));
    const enum wr_result result = wr_postgres_make_schema(&connection, err);
    wr_postgres_disconnect(&connection);
    return result;
}
