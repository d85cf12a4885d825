"""What reaches the cluster: changes on the topic `event`, windows of several lengths on `agg`, from every kind of way in; what is not a number is
a reading of bad quality all the way up."""
import collections
import json
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-forward, site: riga}}
sources:
  - {{name: tcp, kind: line, listen: "tcp://127.0.0.1:{line}", precision: ms}}
  - {{name: local, kind: line, listen: ["unix://line.sock", stdin], precision: ms}}
windows:
  - {{name: fast, every: 1s, of: "temp*"}}
  - {{name: slow, every: 10s, of: "temp*"}}
  - {{name: states, forward: changes, of: "door_*"}}
store: {{path: store, budget: 16MB, max_loss: 200ms}}
uplink: {{broker: "mqtt://127.0.0.1:{broker}", format: {format}}}
"""
BEGIN_MS = 1_700_000_000_000  # a whole window of ten seconds


class Cluster(laboratory.Subscriber):
    """Also keeps the records of windows and changes, and counts the topics."""

    def __init__(self, port, weir):
        self.topics = collections.Counter()
        self.records = []
        super().__init__(port, weir, on_segment=lambda segment: self.records.extend(segment.records if segment.kind not in ("alarms", "gaps") else ()),
                         on_message=lambda message: self.topics.update([message.topic]))


def forward(lab, form):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    cluster = lab.add(Cluster(broker.local_port, lab.weir))
    line = laboratory.free_port()
    agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "agent", CONFIG.format(line=line, broker=broker.local_port, format=form)))
    agent.start(stdin=subprocess.PIPE)
    temps = [f"temp value={i}i {BEGIN_MS + 500 * i}\n" for i in range(40)]  # 20 s, two a second
    with socket.create_connection(("127.0.0.1", line)) as tcp:
        tcp.sendall("".join(temps).encode() + b"temp value=nan 1700000019999\ntempx value=inf 1700000000000\n")
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(str(agent.directory / "line.sock"))
        local.sendall("".join(f"door_a open={v} {BEGIN_MS + i}\n" for i, v in enumerate("fffttttf")).encode())
    agent.process.stdin.write(f'door_b mode="auto" {BEGIN_MS}\ndoor_b mode="hand" {BEGIN_MS + 1}\n'.encode())
    agent.process.stdin.close()
    wait_for("all readings to be taken", lambda: agent.status()["engine"]["taken"] == 52)
    wait_for("the first changes, at once", lambda: sum(r["window_ns"] == 0 for r in list(cluster.records)) == 5)
    assert agent.stop() == 0
    agent.start(stdin=subprocess.DEVNULL)  # what a stop left over goes now
    wait_for("the outbox to drain", agent.drained)
    wait_for("all readings", lambda: cluster.total() == 10 + 2 * 42)
    assert agent.stop() == 0
    assert not cluster.errors, cluster.errors
    return cluster, agent


def merged(records, name, window_s):
    """{start: (n, bad, sum)}, partials of one start added up."""
    found = collections.defaultdict(lambda: [0, 0, 0])
    for record in records:
        if record["measurement"] == name and record["window_ns"] == window_s * 10**9:
            for i, key in enumerate(("n", "bad", "sum")):
                found[(record["time_ns"] // 10**6 - BEGIN_MS) // 1000][i] += record[key] or 0
    return {start: tuple(values) for start, values in found.items()}


def verify(cluster, agent):
    seconds = merged(cluster.records, "temp", 1)
    assert seconds == {s: (2, 1 if s == 19 else 0, 4 * s + 1) for s in range(20)}, seconds
    tens = merged(cluster.records, "temp", 10)
    assert tens == {0: (20, 0, sum(range(20))), 10: (20, 1, sum(range(20, 40)))}, tens
    only_bad = [r for r in cluster.records if r["measurement"] == "tempx"]
    assert {(r["n"], r["bad"], r["sum"], r["last"]) for r in only_bad} == {(0, 1, None, None)}, only_bad
    doors = [(r["first"], r["last"], r["n"]) for r in cluster.records if r["measurement"] == "door_a"]
    assert [(f, l) for f, l, _ in doors[:3]] == [(doors[0][0], False), (False, True), (True, False)], doors
    assert sum(n for _, _, n in doors) == 8, doors
    modes = [r["last"] for r in cluster.records if r["measurement"] == "door_b"]
    assert modes == ["auto", "hand"], modes
    events = {topic for topic in cluster.topics if topic.split("/")[4] == "event"}
    windows = {topic for topic in cluster.topics if topic.split("/")[4] == "agg"}
    assert events and windows and all(t.startswith("weir/1/riga/gw-forward/") for t in events | windows), cluster.topics
    audit = agent.audit()
    assert audit["balanced"] and not audit["live"], json.dumps(audit, indent=1)


def test_segments(lab):
    verify(*forward(lab, "segment"))


def test_json(lab):
    verify(*forward(lab, "json"))


if __name__ == "__main__":
    harness.main()
