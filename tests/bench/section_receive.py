"""The central side: segments of a made-up fleet through decoder, sink and acknowledgement, into a real PostgreSQL and into files."""
import json
import pathlib
import shutil
import subprocess
import sys
import time

import lab
from bench import NO_RULES, ROOT, cpu_ns, equal, outbox

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


def chain(bench):
    """An agent's full outbox over TLS through mosquitto and weir-receive into PostgreSQL, until every record is committed there."""
    directory = bench.path("outbox")
    filled = outbox(bench, "fill", directory, bench.pick(5, 60), 1024, 256)
    postgres, broker = Postgres(fsync=True, settings={"max_wal_size": "4GB"}), bench.tls()
    agent = bench.agent(rules=NO_RULES, store=directory, budget=f"{256 << 20}B", uplink=bench.uplink(broker.port))
    log = bench.path("receive.log")
    receiver = None
    try:
        postgres.start()
        with open(log, "wb") as file:
            receiver = subprocess.Popen([bench.build / "weir-receive", "--broker", f"mqtts://127.0.0.1:{broker.port}", "--ca", bench.certs / "ca.pem", "--cert",
                                         bench.certs / "client.pem", "--key", bench.certs / "client.key", "--to", postgres.url()], stderr=file)
        lab.wait_for("the receiver", lambda: "connected" in pathlib.Path(log).read_text(), 30)
        agent.start(ready=False)
        begin = lab.wait_for("the first record", lambda: committed(postgres) and time.monotonic(), 60, 0.01)
        first = committed(postgres)
        lab.wait_for("all records", lambda: committed(postgres) >= filled["aggregates"], 300, 0.05)
        seconds = time.monotonic() - begin
        cpu_seconds = cpu_ns(receiver.pid) / 1e9
        equal("rows", postgres.number("select count(*) from weir.aggregate"), int(filled["aggregates"]))
        bench.table.add("outbox to PostgreSQL through mosquitto", (filled["aggregates"] - first) / seconds / 1000, "k aggr./s",
                        f"agent, broker with TLS, weir-receive and PostgreSQL on one machine: {filled['segments']:.0f} segments of the recordings", 200, at_least=True)
        bench.table.add("  CPU of weir-receive", cpu_seconds / filled["aggregates"] * 1e6, "s/million", "TLS, MQTT, decode, COPY rows, since its start")
    finally:
        agent.kill()
        if receiver:
            receiver.kill()
            receiver.wait()
        broker.close()
        postgres.close()
    shutil.rmtree(directory)


def committed(postgres):
    made = postgres.query("select to_regclass('weir.segment')")[0][0]
    return postgres.number("select sum(records) from weir.segment where kind in ('agg', 'event')") if made else 0


SECTIONS = {"receive": receive, "chain": chain}
