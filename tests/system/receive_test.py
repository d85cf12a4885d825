"""The central side: agents, a real broker with TLS, weir-receive one and several side by side, files and a real PostgreSQL; receivers killed, the
broker restarted, PostgreSQL killed, links cut. What arrived is compared with the generator's own count, and with each key once."""
import csv as csv_module
import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
import receiver as receiving  # noqa: E402
from central import RATE, Gateway, audited, setting  # noqa: E402
from lab import wait_for  # noqa: E402
from postgres import Postgres  # noqa: E402
from receiver import Files, Receiver  # noqa: E402

def test_files_side_by_side(lab):
    certs, broker, tls = setting(lab, persistence=True)
    out = Files(lab.directory / "out")
    proxy = lab.add(laboratory.Proxy(broker.port))
    shared = [*tls, "--group", "central", "--to", f"file:{out.directory}"]
    one = Receiver(lab, "a", [*shared, "--rotate-size", "20kB"]).start()
    two = Receiver(lab, "b", shared).start()
    gateways = [Gateway(lab, "gw-1", certs, proxy.port).start(), Gateway(lab, "gw-2", certs, proxy.port, "json").start()]
    wait_for("both to write", lambda: all(list(out.directory.glob(f"agg-{name}-*")) for name in "ab"), 30)
    gateways[0].raise_alarm()
    for _ in range(3):
        one.kill()
        seen = out.total("gw-1") + out.total("gw-2")  # the broker may happen to give all of one gateway to the one that is away
        wait_for("the other one to go on", lambda: out.total("gw-1") + out.total("gw-2") > seen, 20, 0.1)
        one.start()
    # mosquitto 2.0.11 keeps queues over a restart, but not shared subscriptions: until somebody subscribes again, it acknowledges into the void.
    proxy.cut()
    connected = one.log().count('"msg":"connected"')
    broker.stop()
    two.kill()
    broker.start()
    wait_for("the receiver to be back", lambda: one.log().count('"msg":"connected"') > connected, 30, 0.1)
    two.start()
    proxy.restore()
    for gateway in gateways:
        sent = gateway.finish()
        wait_for(f"all of {gateway.name}: {sent}", lambda: out.total(gateway.name) >= sent, 60, 0.2)
    assert one.stop() == 0 and two.stop() == 0
    for gateway in gateways:
        assert out.total(gateway.name) == gateway.sent, (gateway.name, out.total(gateway.name), gateway.sent)
    code = receiving.run(lab, "--audit", "--to", f"file:{out.directory}")
    assert code.returncode == 0 and "gw-1: took" in code.stdout and code.stdout.endswith("balanced\n"), code
    assert not out.parts(), "a clean stop finishes its files"
    assert len(list(out.directory.glob("agg-a-*.jsonl"))) > 1, "files are rotated"
    alarms = [record for record in out.records("alarm") if record["record"] == "alarm" and record["cause"] == "raised"]
    assert len(alarms) == 1 and alarms[0]["node"] == "gw-1", alarms
    assert any(record["state"] == "online" for record in out.records("state"))


def test_postgres_side_by_side(lab):
    certs, broker, tls = setting(lab, persistence=True)
    postgres = lab.add(Postgres()).start()
    proxy = lab.add(laboratory.Proxy(broker.port))
    words = [*tls, "--group", "central", "--to", postgres.url()]
    one, two = Receiver(lab, "a", words).start(), Receiver(lab, "b", words).start()
    gateways = [Gateway(lab, "gw-1", certs, proxy.port).start(), Gateway(lab, "gw-2", certs, proxy.port, "json").start()]
    crashes = Gateway(lab, "gw-3", certs, proxy.port).start()

    def total(name):
        return postgres.number("select sum(n + bad) from weir.aggregate a join weir.series s on s.id = a.series "
                               f"where s.node = '{name}'")

    wait_for("the tables", lambda: postgres.query("select to_regclass('weir.aggregate')")[0][0], 30, 0.1)
    wait_for("rows", lambda: total("gw-1") and total("gw-2"), 30, 0.1)
    gateways[0].raise_alarm()
    postgres.kill()
    wait_for("the receivers to notice", lambda: all("nothing is acknowledged" in r.log() for r in (one, two)), 30, 0.1)
    one.kill()
    postgres.start()
    one.start()
    seen = total("gw-1")
    wait_for("more rows", lambda: total("gw-1") > seen, 30, 0.1)
    crashes.agent.kill()
    proxy.cut()
    connected = one.log().count('"msg":"connected"')
    broker.stop()
    two.kill()
    gateways[1].restart()
    broker.start()
    wait_for("the receiver to be back", lambda: one.log().count('"msg":"connected"') > connected, 30, 0.1)  # see above: shared subscriptions
    two.start()
    crashes.agent.start()
    proxy.restore()
    postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'weir-receive'")
    postgres.query("select weir.compact('0 seconds')")
    for gateway in gateways:
        sent = gateway.finish()
        wait_for(f"all of {gateway.name}: {sent}", lambda: total(gateway.name) >= sent, 60, 0.2)
    crashes.finish()
    code, audit, last = audited(lab, postgres.url(), ["gw-1", "gw-2", "gw-3"])
    assert code == 0 and audit["balanced"], audit
    for gateway in (*gateways, crashes):
        books = last[gateway.name]["books"]
        assert last[gateway.name]["arrived"] == last[gateway.name]["stored"] == total(gateway.name), (gateway.name, last)
        assert books["taken"] == books["stored"] + sum(n for book, n in books.items() if book.startswith("dropped(")), books
    assert all("dropped(crash)" not in last[gateway.name]["books"] for gateway in gateways)
    assert last["gw-3"]["books"]["dropped(crash)"] > 0, last["gw-3"]  # its gap record waits a minute for others
    assert one.stop() == 0 and two.stop() == 0
    for gateway in gateways:
        assert total(gateway.name) == gateway.sent, (gateway.name, total(gateway.name), gateway.sent)
    assert postgres.query("select node, rule, cause, value from weir.alarm where cause = 'raised'") == [["gw-1", "high", "raised", "99"]]
    assert {"gw-1", "gw-2"} <= {row[0] for row in postgres.query("select node from weir.node where state = 'online'")}
    rows = postgres.query("select measurement, field, tags->>'s', window_ns, sum(n) from weir.merged where node = 'gw-1' and tags->>'s' = '3' "
                          "group by 1, 2, 3, 4")
    assert len(rows) == 1 and rows[0][:4] == ["gw-1", "value", "3", "1000000000"], rows
    in_segments = postgres.number("select count(*) from weir.segment") + postgres.number("select sum(last - first + 1) from weir.segment_range")
    assert in_segments > 0
    assert not list(lab.directory.glob("*/weir-receive-quarantine"))
    # What somebody takes away behind its back is seen, and by name.
    gone = postgres.query("with gone as (delete from weir.segment where readings > 0 and node = 'gw-1' and seq = (select max(seq) from weir.segment "
                          "where node = 'gw-1' and readings > 0) returning seq, readings) select * from gone")
    off = receiving.run(lab, "--audit", "--to", postgres.url())
    assert off.returncode == 1 and f"OFF BY {gone[0][1]}" in off.stdout and f"segments {gone[0][0]} to {gone[0][0]}" in off.stdout, (gone, off)


def test_plain_subscriptions(lab):
    """Without a group each instance gets everything, the broker keeps it for each, and it is written once all the same."""
    certs, broker, tls = setting(lab, persistence=True)
    out = Files(lab.directory / "out")
    receivers = [Receiver(lab, name, [*tls, "--to", f"file:{out.directory}"]).start() for name in "ab"]
    gateway = Gateway(lab, "gw-1", certs, broker.port).start()
    wait_for("some", lambda: out.total("gw-1") > RATE, 30, 0.1)
    for receiver in receivers:
        receiver.kill()
    broker.stop()
    broker.start()
    wait_for("the agent to be back", lambda: gateway.agent.status()["uplink"]["state"] == "online", 30, 0.1)
    for receiver in receivers:
        receiver.start()
    sent = gateway.finish()
    wait_for("all", lambda: out.total("gw-1") >= sent, 60, 0.2)
    assert all(receiver.stop() == 0 for receiver in receivers)
    assert out.total("gw-1") == sent


def publish(port, topic, payload):
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", topic, "-s"], input=payload, check=True)


def test_poison(lab):
    certs, broker, _ = setting(lab)
    postgres = lab.add(Postgres()).start()
    plain = ["--broker", f"mqtt://127.0.0.1:{broker.local_port}", "--to", postgres.url(), "--quarantine", "aside"]
    receiver = Receiver(lab, "a", plain).start()

    def record(text):
        return '{"measurement":"m","field":"value","tags":{},"time_ns":1,"window_ns":1000000000,"n":1,"sum":1,"min":1,"max":1,"first":1,' \
               f'"last":{text},"bad":0}}'

    def envelope(seq, records, node="x", kind="aggregates"):
        return (f'{{"node":"{node}","epoch":"00000000000000aa","seq":{seq},"kind":"{kind}","lane":2,"t0_ns":1,"t1_ns":2,'
                f'"records":[{records}]}}').encode()

    publish(broker.local_port, "weir/1/riga/x/agg", envelope(1, record(1)))
    bad = {
        "WEIR and then nothing that decodes": b"WEIR" + bytes(200),
        "not JSON": b"{\"node\":",
        "line protocol": b"m value=1 1\n",
        "another node": envelope(2, record(1), node="y"),
        "not an aggregate": envelope(3, '{"measurement":"m"}'),
        "half": envelope(4, record(1) + "," + record('"x')),
        "no number": envelope(5, record('"x"')),
    }
    for payload in bad.values():
        publish(broker.local_port, "weir/1/riga/x/agg", payload)
    # Only PostgreSQL finds this one: jsonb holds no \u0000. The others of its batch are written.
    publish(broker.local_port, "weir/1/riga/x/alarm", envelope(6, '{"rule":"r","message":"\\u0000"}', kind="alarms"))
    publish(broker.local_port, "weir/1/riga/x/alarm", envelope(7, '{"rule":"r","message":"good","time_ns":5}', kind="alarms"))
    publish(broker.local_port, "weir/1/riga/x/agg", envelope(8, record(2)))
    publish(broker.local_port, "weir/1/riga/x/agg", envelope(8, record(2)))  # comes twice
    wait_for("the good ones", lambda: postgres.query("select to_regclass('weir.segment')")[0][0] and
             [row[0] for row in postgres.query("select seq from weir.segment order by seq")] == ["1", "7", "8"], 20, 0.1)
    aside = receiver.directory / "aside"
    wait_for("the bad ones", lambda: len(list(aside.glob("*.payload"))) == len(bad) + 1, 20)
    kept = {path.read_bytes() for path in aside.glob("*.payload")}
    assert set(bad.values()) <= kept
    reasons = [json.loads(path.read_text())["reason"] for path in aside.glob("*.json")]
    assert any("uplink.format" in reason for reason in reasons), reasons
    assert any("u0000" in reason or "Unicode" in reason for reason in reasons), reasons
    assert postgres.query("select count(*), sum(n) from weir.aggregate") == [["2", "2"]]
    assert receiver.stop() == 0


def test_least_privilege(lab):
    """A role that may not make tables, with the rights that docs/receive.md lists."""
    _, broker, _ = setting(lab)
    postgres = lab.add(Postgres()).start()
    assert receiving.run(lab, "--init", "--schema", "plant", "--to", postgres.url()).returncode == 0
    for sql in ("create role writer login", "grant usage on schema plant to writer", "grant select, insert on all tables in schema plant to writer",
                "grant update on plant.node to writer", "grant delete on plant.segment, plant.segment_range to writer"):
        postgres.query(sql)
    url = postgres.url().replace("weir@", "writer@")
    receiver = Receiver(lab, "a", ["--broker", f"mqtt://127.0.0.1:{broker.local_port}", "--to", url, "--schema", "plant"]).start()
    publish(broker.local_port, "weir/1/riga/x/gap", b'{"node":"x","epoch":"00000000000000aa","seq":1,"records":[{"reason":"crash"}]}')
    publish(broker.local_port, "weir/1/riga/x/state", b'{"node":"x","state":"online"}')
    publish(broker.local_port, "weir/1/riga/x/state", b'{"node":"x","state":"offline","cause":"lost"}')
    wait_for("the state", lambda: postgres.query("select state, cause from plant.node") == [["offline", "lost"]], 20, 0.1)
    wait_for("the gap", lambda: postgres.query("select node, reason from plant.gap") == [["x", "crash"]], 20, 0.1)
    subprocess.run(["psql", "-XAtq", "-c", "select plant.compact('0 seconds')", url], check=True, cwd="/", stdout=subprocess.DEVNULL)
    assert postgres.query("select first, last from plant.segment_range") == [["1", "1"]]
    assert receiver.stop() == 0


def test_tables_of_an_earlier_version(lab):
    """Tables as the first version made them: they are extended, keep what they have, and know their old keys. Who may not extend them says so and waits."""
    _, broker, _ = setting(lab)
    postgres = lab.add(Postgres()).start()
    first = (laboratory.ROOT / "tests" / "data" / "receive" / "schema-1.sql").read_text()
    rows = """
        insert into weir.segment (node, epoch, seq, kind, records) select 'x', 170, seq, 'agg', 1 from generate_series(4, 6) as seq;
        insert into weir.segment_range values ('x', 170, 1, 3);
        insert into weir.gap values (now(), now(), 'riga', 'x', 'late', '{"reason":"late","accounts":[{"source":"s","window":"w","readings":7,"total":7}]}')"""
    for schema in ("weir", "plant"):
        postgres.query((first + rows).replace("weir.", f"{schema}.").replace("SCHEMA IF NOT EXISTS weir", f"SCHEMA IF NOT EXISTS {schema}"))
    for sql in ("create role writer login", "grant usage on schema plant to writer", "grant select, insert on all tables in schema plant to writer",
                "grant update on plant.node to writer", "grant delete on plant.segment, plant.segment_range to writer"):
        postgres.query(sql)
    plain = ["--broker", f"mqtt://127.0.0.1:{broker.local_port}"]
    before = receiving.run(lab, "--audit", "--to", postgres.url())
    assert before.returncode == 2 and "--init" in before.stderr, before
    owner = Receiver(lab, "owner", [*plain, "--to", postgres.url()]).start()
    writer = Receiver(lab, "writer", [*plain, "--to", postgres.url().replace("weir@", "writer@"), "--schema", "plant"]).start()

    def send(seq, topic, record):
        publish(broker.local_port, f"weir/1/riga/x/{topic}", f'{{"node":"x","epoch":"00000000000000aa","seq":{seq},"records":[{record}]}}'.encode())

    def window(seq, readings):
        send(seq, "agg", f'{{"measurement":"m","field":"value","tags":{{}},"time_ns":1,"window_ns":1000000000,"n":{readings},"sum":1,"min":1,"max":1,'
                         '"first":1,"last":1,"bad":0}')

    def books(cut, stored):
        send(cut, "gap", f'{{"cut":{cut},"epoch":"00000000000000aa","time_ns":{cut},"of":1,"ledger":[{{"source":"s","window":"w","books":'
                         f'{{"taken":{stored},"stored":{stored},"delivered":{stored}}}}}]}}')

    for seq in (2, 5, 7):  # two that they know, and a new one
        window(seq, 10)
    books(8, 70)
    window(9, 11)
    books(10, 81)

    def keys(schema):
        return postgres.query(f"select string_agg(seq::text, ' ' order by seq) from {schema}.segment")[0][0]

    wait_for("the owner to extend its tables", lambda: keys("weir") == "4 5 6 7 8 9 10", 20, 0.1)
    wait_for("the writer to say that it may not", lambda: "weir-receive --init, as their owner" in writer.log(), 20, 0.1)
    assert "nothing is acknowledged" in writer.log() and keys("plant") == "4 5 6" and postgres.query("select version from plant.meta") == [["1"]]
    assert receiving.run(lab, "--init", "--schema", "plant", "--to", postgres.url()).returncode == 0
    postgres.query("grant select, insert on all tables in schema plant to writer")
    wait_for("the writer to go on", lambda: keys("plant") == "4 5 6 7 8 9 10", 20, 0.1)
    assert owner.stop() == 0 and writer.stop() == 0
    for schema in ("weir", "plant"):
        assert postgres.query(f"select version from {schema}.meta") == [["2"]]
        assert postgres.query(f"select sum(n) from {schema}.aggregate") == [["21"]], "what the tables knew is not written again"
        assert postgres.query(f"select node, reason, source, readings from {schema}.lost") == [["x", "late", "s", "7"]]
        for _ in range(2):
            audit = receiving.run(lab, "--audit", "--schema", schema, "--to", postgres.url())
            assert audit.returncode == 0 and "segments 8 to 10: stored 11 = arrived 11 " in audit.stdout, audit
            postgres.query(f"select {schema}.compact('0 seconds')")
        assert postgres.query(f"select first, last, readings from {schema}.segment_range order by 1") == [["1", "7", "10"], ["8", "10", "11"]]


def test_formats(lab):
    certs, broker, tls = setting(lab)
    gateway = Gateway(lab, "gw-1", certs, broker.port)
    old = Receiver(lab, "old", [*tls, "--protocol", "3.1.1", "--to", f"file:{lab.directory}/old-out"]).start()
    csv = Receiver(lab, "csv", [*tls, "--protocol", "3.1.1", "--group", "old", "--to", f"file:{lab.directory}/csv-out", "--format", "csv"]).start()
    line = Receiver(lab, "line", [*tls, "--to", f"file:{lab.directory}/line-out", "--format", "line"]).start()
    gateway.start()
    wait_for("some", lambda: Files(lab.directory / "old-out").total("gw-1") > 2 * RATE, 30, 0.1)
    gateway.raise_alarm()
    sent = gateway.finish()

    def rows(kind):
        """Of the CSV files of a kind, finished or not."""
        found = []
        for path in sorted((lab.directory / "csv-out").glob(f"{kind}-*.csv*")):
            with open(path, encoding="utf-8", newline="") as file:
                found += list(csv_module.DictReader(file))
        return found

    def fields():
        lines = "".join(path.read_text() for path in (lab.directory / "line-out").glob("*-line-*.lp*"))
        decoded = subprocess.run([str(lab.weir), "decode", "--format", "influx"], input=lines, capture_output=True, text=True, check=False)
        return [json.loads(text) for text in decoded.stdout.splitlines()]

    totals = {  # each receiver has its own copy, in its own time
        "JSON": lambda: Files(lab.directory / "old-out").total("gw-1"),
        "CSV": lambda: sum(int(row["n"] or 0) + int(row["bad"] or 0) for row in rows("agg")),
        "line protocol": lambda: sum(f["value"] for f in fields() if f["field"] in ("n", "bad")),
    }
    for name, total in totals.items():
        wait_for(f"all in {name}", lambda total=total: total() >= sent, 30, 0.1)
    for receiver in (old, csv, line):
        assert receiver.stop() == 0, receiver.log()
    assert {name: total() for name, total in totals.items()} == dict.fromkeys(totals, sent)
    alarms = rows("alarm")
    assert json.loads(alarms[0]["record"])["rule"] == alarms[0]["rule"] == "high"
    assert any(f["measurement"] == "weir_alarm" and f["tags"]["rule"] == "high" for f in fields())


def test_words_and_files(lab):
    run = receiving.run
    assert "weir-receive" in run(lab, "--version").stdout
    assert "--postgres-password-file" in run(lab, "--help").stdout
    wrong = run(lab, "--broker", "http://x", "--to", "postgresql://me:secret@db/weir", "--kinds", "agg,alrm")
    assert wrong.returncode == 1
    for word in ("command line:1", "mqtts://", "postgres_password_file", "no kind 'alrm'"):
        assert word in wrong.stderr, (word, wrong.stderr)
    assert "not between 1 and 4096" in run(lab, "--batch", "0").stderr
    assert run(lab, "--nonsense", "1").returncode == 1
    assert run(lab, "-c", "missing.yaml").returncode == 2
    assert run(lab).returncode == 1
    config = lab.directory / "receive.yaml"
    config.write_text("broker: mqtts://127.0.0.1:1\nto: file:out\nformat: csv\nca: pki/ca.pem\n")
    assert run(lab, "--check", "-c", config).returncode == 0
    config.write_text("broker: mqtts://127.0.0.1:1\nformat: csb\nrotate_sise: 1MB\n")
    wrong = run(lab, "--check", "-c", config)
    assert wrong.returncode == 1 and "receive.yaml:2" in wrong.stderr and "receive.yaml:3" in wrong.stderr, wrong.stderr
    shipped = laboratory.ROOT / "packaging" / "receive.yaml"
    assert run(lab, "--check", "-c", shipped).returncode == 0, run(lab, "--check", "-c", shipped).stderr
    conflict = run(lab, "--broker", "mqtt://127.0.0.1", "--format", "csv")
    assert conflict.returncode == 1 and "kinds" in conflict.stderr
    postgres = lab.add(Postgres()).start()
    sql = run(lab, "--print-schema", "--schema", "plant").stdout
    for _ in range(2):
        subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", postgres.url()], input=sql, text=True, check=True, cwd="/",
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert postgres.query("select version from plant.meta") == [["2"]]
    assert run(lab, "--init", "--to", postgres.url()).returncode == 0
    assert postgres.query("select version from weir.meta") == [["2"]]
    down = run(lab, "--init", "--to", "postgresql://weir@/weir?host=/nowhere")
    assert down.returncode == 2 and "PostgreSQL" in down.stderr


def test_stdout_is_one_json_object_a_line(lab):
    certs, broker, _ = setting(lab)
    gateway = Gateway(lab, "gw-1", certs, broker.port)
    process = subprocess.Popen([str(lab.weir.resolve().parent / "weir-receive"), "--broker", f"mqtt://127.0.0.1:{broker.local_port}", "--log-format", "json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=lab.directory)
    wait_for("connected", lambda: '"msg":"connected"' in process.stderr.readline(), 20)
    gateway.start()
    seen = [json.loads(process.stdout.readline()) for _ in range(30)]
    assert any(record.get("record") == "state" for record in seen) and any("window_ns" in record for record in seen)
    process.stdout.close()  # nobody reads any more: it ends, and says so
    assert process.wait(20) == 2
    assert "standard output" in process.stderr.read()
    process.stderr.close()


if __name__ == "__main__":
    harness.main()
