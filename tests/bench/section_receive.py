"""The central side: segments of a made-up fleet through decoder, sink and acknowledgement, into a real PostgreSQL and into files."""
import json
import shutil
import sys

from bench import ROOT, equal

sys.path.insert(0, str(ROOT / "tests/support"))
from postgres import Postgres  # noqa: E402

FLEET = "8 nodes of 1000 series, windows of a minute, 1024 a segment"


def run(bench, to, segments):
    result = json.loads(bench.program("receive", to, segments, 1000, 8))
    equal("acknowledged messages", result["acknowledged"], segments)
    return result


def receive(bench):
    segments = bench.pick(200, 4000)
    postgres = Postgres(fsync=True, settings={"max_wal_size": "4GB"})  # synced as in life: what is promised is behind the commit
    try:
        postgres.start()
        result = run(bench, postgres.url(), segments)
        equal("rows", postgres.number("select count(*) from weir.aggregate"), segments * 1024)
        bench.table.add("receive to PostgreSQL", result["aggregates_per_s"] / 1000, "k aggr./s",
                        f"{FLEET}; binary COPY, 256 segments a transaction, fsync on, two indexes; PostgreSQL on the same machine", 200, at_least=True)
        bench.table.add("  CPU of weir-receive", result["cpu_s"] / result["aggregates"] * 1e6, "s/million", "decode, COPY rows; PostgreSQL not counted")
        again = run(bench, postgres.url(), segments)
        equal("rows after all came twice", postgres.number("select count(*) from weir.aggregate"), segments * 1024)
        equal("known segments", again["known"], segments)
        size = postgres.number("select pg_total_relation_size('weir.aggregate')")
        bench.table.add("  disk in PostgreSQL", size / result["aggregates"], "B/aggregate", "table and indexes")
    finally:
        postgres.close()
    directory = bench.path("files")
    result = run(bench, f"file:{directory}", segments)
    lines = sum(path.read_bytes().count(b"\n") for path in directory.glob("agg-*.jsonl"))
    equal("lines", lines, segments * 1024)
    bench.table.add("receive to files", result["aggregates_per_s"] / 1000, "k aggr./s", f"{FLEET}; JSON lines, synced, with the key log")
    shutil.rmtree(directory)


SECTIONS = {"receive": receive}
