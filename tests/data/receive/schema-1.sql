-- Weir: what weir-receive writes. Running this twice changes nothing.
CREATE SCHEMA IF NOT EXISTS weir;

CREATE TABLE IF NOT EXISTS weir.meta (version integer NOT NULL);
INSERT INTO weir.meta SELECT 1 WHERE NOT EXISTS (SELECT FROM weir.meta);

-- A series of a node. key is its exact name: site, node, measurement, field, tags, each ended by a zero byte.
CREATE TABLE IF NOT EXISTS weir.series (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site        text NOT NULL,
    node        text NOT NULL,
    measurement text NOT NULL,
    field       text NOT NULL,
    tags        jsonb NOT NULL,
    key         bytea NOT NULL,
    CONSTRAINT series_key EXCLUDE USING hash (key WITH =)
);
CREATE INDEX IF NOT EXISTS series_name ON weir.series (measurement, field, node);
CREATE INDEX IF NOT EXISTS series_tags ON weir.series USING gin (tags);

-- One window of one series; window_ns 0: a change. Merge rows of equal (series, time, window_ns): see the view merged.
CREATE TABLE IF NOT EXISTS weir.aggregate (
    time       timestamptz NOT NULL,
    series     integer NOT NULL,
    window_ns  bigint NOT NULL,
    n          bigint NOT NULL,
    bad        bigint NOT NULL,
    sum        double precision,
    min        double precision,
    max        double precision,
    first      double precision,
    last       double precision,
    first_text text,
    last_text  text
);
CREATE INDEX IF NOT EXISTS aggregate_series ON weir.aggregate (series, time);
CREATE INDEX IF NOT EXISTS aggregate_time ON weir.aggregate USING brin (time);

CREATE TABLE IF NOT EXISTS weir.alarm (
    time        timestamptz NOT NULL,
    site        text NOT NULL,
    node        text NOT NULL,
    alarm       text,
    rule        text,
    instance    text,
    id          text,
    transition  bigint,
    severity    text,
    cause       text,
    from_state  text,
    to_state    text,
    value       double precision,
    limit_value double precision,
    unit        text,
    message     text,
    record      jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS alarm_time ON weir.alarm (time);
CREATE INDEX IF NOT EXISTS alarm_name ON weir.alarm (node, alarm, time);

-- What an agent knows to be missing, and why.
CREATE TABLE IF NOT EXISTS weir.gap (
    time   timestamptz NOT NULL,
    until  timestamptz NOT NULL,
    site   text NOT NULL,
    node   text NOT NULL,
    reason text,
    record jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS gap_time ON weir.gap (time);

-- Who is there: the last word of each node.
CREATE TABLE IF NOT EXISTS weir.node (
    site     text NOT NULL,
    node     text NOT NULL,
    state    text,
    cause    text,
    version  text,
    received timestamptz NOT NULL,
    record   jsonb NOT NULL,
    PRIMARY KEY (site, node)
);

-- Which segments are there: the keys by which a repeated message is known. epoch is unsigned: to_hex(epoch) is what agents print.
CREATE TABLE IF NOT EXISTS weir.segment (
    node     text NOT NULL,
    epoch    bigint NOT NULL,
    seq      bigint NOT NULL,
    kind     text NOT NULL,
    records  integer NOT NULL,
    received timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, epoch, seq)
);
CREATE INDEX IF NOT EXISTS segment_received ON weir.segment USING brin (received);
CREATE TABLE IF NOT EXISTS weir.segment_range (node text NOT NULL, epoch bigint NOT NULL, first bigint NOT NULL, last bigint NOT NULL);
CREATE INDEX IF NOT EXISTS segment_range_first ON weir.segment_range (node, epoch, first);

-- Folds old keys into ranges. Receivers hold the lock shared while they write, so none looks between the two tables.
CREATE OR REPLACE FUNCTION weir.compact(older interval DEFAULT '1 day') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE moved bigint;
BEGIN
    PERFORM pg_advisory_xact_lock('weir.segment'::regclass::oid::bigint);
    CREATE TEMPORARY TABLE weir_folded ON COMMIT DROP AS
        WITH gone AS (DELETE FROM weir.segment WHERE received < now() - older RETURNING node, epoch, seq)
        SELECT node, epoch, seq AS first, seq AS last FROM gone;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved > 0 THEN
        WITH old AS (DELETE FROM weir.segment_range r WHERE EXISTS (SELECT FROM weir_folded f WHERE f.node = r.node AND f.epoch = r.epoch)
                     RETURNING node, epoch, first, last)
        INSERT INTO weir_folded SELECT * FROM old;
        INSERT INTO weir.segment_range
            SELECT node, epoch, min(first), max(last) FROM (
                SELECT *, sum(begins) OVER (PARTITION BY node, epoch ORDER BY first) AS island FROM (
                    SELECT *, CASE WHEN first <= 1 + max(last) OVER (PARTITION BY node, epoch ORDER BY first
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS begins FROM weir_folded) AS marked) AS grouped
            GROUP BY node, epoch, island;
    END IF;
    DROP TABLE weir_folded;
    RETURN moved;
END $$;

-- Windows with their names; partials and late readings merged into the window they belong to.
CREATE OR REPLACE VIEW weir.merged AS
    SELECT a.time, s.site, s.node, s.measurement, s.field, s.tags, a.window_ns, a.n, a.bad, a.sum, a.sum / nullif(a.n, 0) AS mean, a.min,
           a.max, a.first, a.last, a.first_text, a.last_text, a.series
    FROM (SELECT time, series, window_ns, sum(n)::bigint AS n, sum(bad)::bigint AS bad, sum(sum) AS sum, min(min) AS min, max(max) AS max,
                 (array_agg(first ORDER BY n DESC) FILTER (WHERE n > 0))[1] AS first,
                 (array_agg(last ORDER BY n DESC) FILTER (WHERE n > 0))[1] AS last,
                 (array_agg(first_text ORDER BY n DESC) FILTER (WHERE n > 0))[1] AS first_text,
                 (array_agg(last_text ORDER BY n DESC) FILTER (WHERE n > 0))[1] AS last_text
          FROM weir.aggregate GROUP BY time, series, window_ns) AS a
    JOIN weir.series AS s ON s.id = a.series;

-- With TimescaleDB the aggregates are a hypertable.
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        PERFORM create_hypertable('weir.aggregate', 'time', if_not_exists => true, migrate_data => true);
    END IF;
END $$;
