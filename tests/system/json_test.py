"""JSON of devices over TCP, and replayed: what is bad is told with its place and the rest is taken; values may be cut anywhere, nested too deep, or
have no end; a reload takes a new mapping. `weir decode` with the same mapping is the judge: it must see the same readings and the same errors.
"""
import json
import pathlib
import re
import socket
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-json}}
sources:
  - name: api
    kind: line
    listen: "tcp://127.0.0.1:{port}"
    format: json
    json: {mapping}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 100ms}}
store: {{path: store, budget: 16MB, max_loss: 500ms}}
log: {{format: json}}
limits: {{max_line: {max_line}}}
"""
MAPPING = {"time": "ts", "time_format": "ms", "measurement": "air", "tags": ["room=meta.room"], "constant_tags": ["site=riga"]}


def words(mapping):
    """A mapping as --json takes it."""
    return ", ".join(f"{key}={', '.join(value) if isinstance(value, list) else value}" for key, value in mapping.items())


class Gateway:
    def __init__(self, lab, mapping=None, max_line="64KB"):
        self.lab, self.port, self.mapping = lab, laboratory.free_port(), mapping or MAPPING
        self.config = lambda mapping: CONFIG.format(port=self.port, mapping=json.dumps(mapping), max_line=max_line)
        self.agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "agent", self.config(self.mapping))).start()

    def dial(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def intake(self):
        return next(a for a in self.agent.audit()["accounts"] if a["window"] == "intake")

    def received(self, count):
        wait_for(f"{count} readings", lambda: self.intake()["received"] >= count, 20, 0.05)
        intake = self.intake()
        assert intake["received"] == count, intake
        return {book: n for book, n in intake["books"].items() if book.startswith("rejected")}

    def decode(self, text):
        """The readings of weir decode, and its errors as (line, column, message)."""
        done = subprocess.run([str(self.lab.weir), "decode", "--format", "json", "--json", words(self.mapping)], input=text.encode(),
                              capture_output=True, timeout=20)
        errors = [re.fullmatch(r"json:(\d+):(\d+): (.*)", line).groups() for line in done.stderr.decode().splitlines()]
        return [json.loads(line) for line in done.stdout.splitlines()], [(int(line), int(column), why) for line, column, why in errors]

    def refusals(self):
        entries = [json.loads(line) for line in self.agent.log().splitlines() if line.startswith("{")]
        return [(e["line"], e["column"], e["error"]) for e in entries if e["msg"] == "input refused"]

    def aggregates(self):
        """All that is in the store, by series."""
        store = sqlite3.connect(f"file:{self.agent.directory}/store/outbox.db?mode=ro", uri=True)
        bodies = b"".join(body for (body,) in store.execute("select body from seg order by id & ((1 << 56) - 1)"))
        store.close()
        done = subprocess.run([str(self.lab.weir), "decode", "--format", "weir"], input=bodies, capture_output=True, timeout=20)
        assert done.returncode == 0, done.stderr
        series = {}
        for record in map(json.loads, done.stdout.splitlines()):
            name = (record["measurement"], record["field"], tuple(record["tags"].items()))
            count, total = series.get(name, (0, 0))
            series[name] = (count + record["n"], total + (record["sum"] or 0))
        return series


def record(value, room="A1", ts=None, **more):
    return json.dumps({"ts": ts or time.time_ns() // 1000000, "meta": {"room": room}, "data": {"temp": value}, **more})


def test_bad_records_in_the_middle(lab):
    gateway = Gateway(lab)
    text = "\n".join([
        record(1), record(2, "B2") + record(3), "[" + record(4) + ",\n  " + record(5, "B2") + "]",
        '{"ts": 1700000000000, "data": {"temp": 01}}',  # no number
        record(6),
        '{"ts": "yesterday", "data": {"temp": 1}}',  # no time
        '{"ts": 1700000000000, "data": {"temp": 1}',  # never closed
        record(7),
        '{"ts": 1700000000000, "meta": {"room": ["A1"]}, "data": {"temp": 1}}',  # a list as a tag
        '{"ts": 1700000000000, "data": "half a text',
        json.dumps(json.loads(record(8)), indent=2),  # over several lines
        "[" * 40,  # too deep
        record(9),
    ]) + "\n"
    readings, errors = gateway.decode(text)
    assert [r["value"] for r in readings] == list(range(1, 10)) and len(errors) == 6, (readings, errors)
    assert [line for line, _, _ in errors] == [5, 7, 8, 10, 11, 21], errors
    with gateway.dial() as client:
        client.sendall(text.encode())
        rejected = gateway.received(9)
    assert rejected == {"rejected(syntax)": 4, "rejected(time)": 1, "rejected(type)": 1}, rejected
    assert sorted(gateway.refusals()) == sorted(errors), (gateway.refusals(), errors)
    assert gateway.agent.stop() == 0
    air = {name[2]: value for name, value in gateway.aggregates().items() if name[:2] == ("air", "data_temp")}
    assert air == {(("room", "A1"), ("site", "riga")): (7, 1 + 3 + 4 + 6 + 7 + 8 + 9), (("room", "B2"), ("site", "riga")): (2, 2 + 5)}, air


def test_cut_at_every_byte(lab):
    gateway = Gateway(lab, {"records": "list", "tags": ["dev=$.dev"], "fields": ["v"]})
    text = ('{"dev": "gw \\u0031", "list": [{"v": 1}, {"v": 2.50},\n {"v": -3}]}'
            '{"list": {"v": 4}, "dev": "}]"}\n{"list": [{"v": 05}]}\n\n{"list": [], "dev": 1}\n{"dev": 2,\r\n"list": [{"v": 6}]}')
    readings, errors = gateway.decode(text)
    assert [r["value"] for r in readings] == [1, 2.5, -3, 4, 6] and len(errors) == 1, (readings, errors)
    with gateway.dial() as client:  # every byte a packet of its own
        for byte in text.encode():
            client.sendall(bytes([byte]))
        gateway.received(5)
    for cut in range(1, len(text)):
        with gateway.dial() as client:
            client.sendall(text[:cut].encode())
            client.sendall(text[cut:].encode())
    rejected = gateway.received(5 * len(text))
    assert rejected == {"rejected(syntax)": len(text)}, rejected
    assert gateway.agent.stop() == 0
    devices = {dict(tags)["dev"]: value for (_, _, tags), value in gateway.aggregates().items()}
    assert devices == {"gw 1": (3 * len(text), 0.5 * len(text)), "}]": (len(text), 4 * len(text)), "2": (len(text), 6 * len(text))}, devices


def test_values_without_end(lab):
    """A text of 4 MB, brackets without end, ten thousand members; then 100 clients that each hold back half a value."""
    gateway = Gateway(lab)
    ceiling = json.loads(gateway.agent.run("check", "--json", check=0).stdout)["ceiling"]["memory_bytes"]
    sanitized = re.search(rb"__[at]san_init", lab.weir.read_bytes())
    with gateway.dial() as client:
        client.sendall(record(1).encode() + b'\n{"data": {"temp": "' + b"x" * 4_000_000 + b'"}}\n' + record(2).encode() + b"\n")
        assert gateway.received(2) == {"rejected(too_long)": 1}
        client.sendall(b"[" * 1_000_000 + b"\n" + record(3).encode() + b"\n")
        assert gateway.received(3) in ({"rejected(too_long)": 2}, {"rejected(too_long)": 1, "rejected(syntax)": 1})
        client.sendall(("{" + ",".join(f'"m{i}": {i}' for i in range(3000)) + "}\n" + record(4) + "\n").encode())
        wait_for("the refusal", lambda: sum(gateway.received(4).values()) == 3)
        holding = [gateway.dial() for _ in range(100)]
        for other in holding:
            other.sendall(b'{"data": {"text": "' + b"y" * 30_000)
        wait_for("connections to be closed", lambda: gateway.intake()["books"].get("rejected(too_long)", 0) > 50)
        client.sendall(record(5).encode())
        gateway.received(5)
        for other in holding:
            other.close()
    pss = int(re.search(r"^Pss:\s+(\d+) kB", pathlib.Path(f"/proc/{gateway.agent.process.pid}/smaps_rollup").read_text(), re.M)[1]) * 1024
    print(f"{pss / 1e6:.1f} MB of at most {ceiling / 1e6:.1f}")
    assert sanitized or pss <= ceiling
    assert gateway.agent.stop() == 0


def test_a_reload_takes_the_new_mapping(lab):
    gateway = Gateway(lab)
    with gateway.dial() as client:
        client.sendall(record(1).encode())
        gateway.received(1)
    (lab.directory / "agent/weir.yaml").write_text(gateway.config({"measurement": "new", "fields": ["t=data.temp"]}))
    gateway.agent.reload()
    with gateway.dial() as client:
        client.sendall(record(5).encode())
        gateway.received(2)
    # What cannot be is refused with its place, and the running mapping stays.
    (lab.directory / "agent/weir.yaml").write_text(gateway.config({"fields": ["t=data..temp"]}))
    done = gateway.agent.run("check", check=1)
    assert "W514" in done.stderr and "a name is empty" in done.stderr, done.stderr
    assert gateway.agent.stop() == 0
    names = {name[:2]: value for name, value in gateway.aggregates().items()}
    assert names == {("air", "data_temp"): (1, 1), ("new", "t"): (1, 5)}, names


def test_recordings(lab):
    recording = lab.directory / "air.jsonl"
    recording.write_text("".join(record(i, ts=1700000000000 + 100 * i) + "\n" for i in range(500)) + '{"broken\n' + record(7, ts=1700000060000))
    config = CONFIG.format(port=laboratory.free_port(), mapping=json.dumps(MAPPING), max_line="64KB")
    config = re.sub(r'kind: line\n    listen: ".*"', f'kind: replay\n    files: "{recording}"\n    pace: fast', config)
    agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "agent", config)).start()
    wait_for("the recording", lambda: agent.status()["sources"][0]["received"] == 501)
    assert agent.status()["sources"][0]["rejected"] == 1
    assert agent.stop() == 0


def test_the_page_of_the_mapping(lab):
    """The three devices of docs/format-json.md, each with the mapping that stands below it."""
    page = (laboratory.ROOT / "docs/format-json.md").read_text()
    devices = re.findall(r"^```json\n(.*?)^```\n```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    seen = {}
    for i, (payload, sources) in enumerate(devices):
        port = laboratory.free_port()
        config = 'node: {id: gw}\nwindows: [{name: m1, every: 1m}]\nstore: {path: store, budget: 16MB}\n' + sources.replace("8094", str(port))
        agent = lab.add(laboratory.Agent(lab.weir, lab.directory / f"device{i}", config)).start()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(payload.encode())
            wait_for("the readings", lambda: agent.status()["sources"][0]["received"] >= 2)
        assert agent.status()["sources"][0]["rejected"] == 0 and agent.stop() == 0
        gateway = Gateway.__new__(Gateway)
        gateway.agent, gateway.lab = agent, lab
        seen.update({name: value for name, value in gateway.aggregates().items()})
    riga = (("device", "cold-7"), ("site", "riga"))
    assert seen == {
        ("soil", "temp", (("sensor", "s0042"),)): (1, 4.31), ("soil", "hum", (("sensor", "s0042"),)): (1, 61.2),
        ("coldroom", "temperature", riga): (1, -18.4), ("coldroom", "battery", riga): (1, 3.61), ("coldroom", "door", riga): (1, 1),
        ("P1", "value", (("line", "line-3"), ("unit", "bar"))): (1, 2.41), ("T4", "value", (("line", "line-3"), ("unit", "C"))): (0, 0),
    }, seen


if __name__ == "__main__":
    harness.main()
