"""The whole ladder of backpressure, up and down: an agent with a small store on a small file system, a link that is down, and a central side that counts.
Acknowledged history goes first, windows widen, the oldest are merged, and only then the oldest is evicted; each step is shown in the log, the metrics and
`weir status`, in this order. With the link back all of it is undone by itself, and what arrived is what the generator sent less what the ledger booked as lost.
"""
import collections
import json
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402
from receiver import Files, Receiver  # noqa: E402
from tmpfs import Tmpfs  # noqa: E402

CONFIG = """
node: {{id: gw-ladder}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "flood", lateness: 0s}}
rules: ["rules.yaml"]
store: {{path: "{store}", budget: 8MB, max_loss: 200ms, free_floor: 1MB}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 1s}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: high, when: "temp > 50", by: room, auto_ack: true}
"""
S_NS = 1_000_000_000
SERIES = 200
PORTION = 20  # seconds of the plant, sent at once
STEPS = ["none", "widening", "merging", "evicting"]


class Plant:
    """Old data, as from a logger that was read out: a minute of it takes no minute. Each series has two readings a second."""

    def __init__(self, port):
        self.sender = laboratory.Sender(port)
        self.random = random.Random(1)
        self.second = int(time.time()) // 60 * 60 - 7200
        self.sent = 0

    def send(self):
        value = self.random.random
        for _ in range(PORTION):
            lines = [f"flood,id={i} value={value():.12f} {self.second * S_NS + at}\n" for at in (1, S_NS // 2) for i in range(SERIES)]
            self.sender.send("".join(lines))
            self.second += 1
            self.sent += len(lines)


class Gateway:
    def __init__(self, lab, store):
        certs = laboratory.make_certs(lab.directory / "certs")
        broker = lab.add(laboratory.Broker(lab.directory / "broker", certs, persistence=True)).start()
        self.proxy = lab.add(laboratory.Proxy(broker.port))
        self.files = Files(lab.directory / "out")
        self.receiver = Receiver(lab, "central", ["--broker", f"mqtts://127.0.0.1:{broker.port}", "--ca", certs / "ca.pem", "--cert", certs / "client.pem",
                                                  "--key", certs / "client.key", "--to", f"file:{self.files.directory}"]).start()
        line, self.http = laboratory.free_port(), laboratory.free_port()
        directory = lab.directory / "agent"
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(line=line, http=self.http, broker=self.proxy.port, certs=certs, store=store)))
        self.agent.start()
        self.plant = Plant(line)

    def account(self):
        return next(a for a in self.agent.audit()["accounts"] if a["window"] == "s1")

    def book(self, name):
        return self.account()["books"].get(name, 0)

    def portion(self):
        self.plant.send()
        wait_for("the readings to be taken", lambda: self.account()["taken"] >= self.plant.sent, 20)

    def metric(self, name):
        return self.agent.metrics(self.http)[name]

    def ladder(self):
        return self.agent.status()["outbox"]["ladder"]

    def logged(self, text):
        return self.agent.log().count(text)

    def climb_to(self, step):
        """Sends until this step is reached, no further; returns the metrics then."""
        for _ in range(400):
            at = self.ladder()
            if at == step:
                break
            assert STEPS.index(at) < STEPS.index(step), f"{at} came before {step}"
            self.portion()
        metrics = self.agent.metrics(self.http)
        assert metrics["weir_store_ladder"] == STEPS.index(step), f"{step}: {metrics['weir_store_ladder']}"
        print(f"{step}: after {self.plant.sent} readings; history {metrics['weir_store_history_segments']:.0f} segments, merged "
              f"{metrics['weir_store_merged_readings_total']:.0f}, evicted {metrics['weir_store_evicted_readings_total']:.0f} readings")
        return metrics


WIDENS = "windows that open are longer until it has drained"
MERGES = "the oldest windows that wait are merged into longer ones until it has drained"
EVICTS = "the oldest that waits is evicted until it has drained"
CONFIGURED = "windows are as configured again"
DRAINED = "nothing is merged or evicted any more"


def up_the_ladder(gateway):
    metrics = gateway.climb_to("widening")
    assert metrics["weir_store_high_water"] == 1 and metrics["weir_store_merged_readings_total"] == 0 and metrics["weir_store_evicted_readings_total"] == 0
    wait_for("the engine to say it", lambda: gateway.logged(WIDENS) == 1)
    assert gateway.logged(MERGES) + gateway.logged(EVICTS) == 0
    metrics = gateway.climb_to("merging")
    assert metrics["weir_store_history_segments"] == 0, "what the broker has goes before anything is merged"
    assert metrics["weir_store_evicted_segments_total"] > 0, "and it did go"
    assert metrics["weir_store_merged_readings_total"] > 0 and metrics["weir_store_evicted_readings_total"] == 0
    assert (gateway.logged(MERGES), gateway.logged(EVICTS)) == (1, 0)
    assert "widened and merged" in gateway.agent.run("status", check=0).stdout
    assert gateway.book("merged") > 0 and gateway.book("dropped(evicted)") == 0
    metrics = gateway.climb_to("evicting")
    assert metrics["weir_store_evicted_readings_total"] > 0
    assert (gateway.logged(MERGES), gateway.logged(EVICTS)) == (1, 1)
    assert "the oldest is evicted" in gateway.agent.run("status", check=0).stdout


def alarm(gateway):
    for level in (99, 1):
        gateway.plant.sender.send(f"temp,room=A value={level}\n")
        wait_for("the alarm", lambda level=level: ("high{room=A}" in gateway.agent.alarms()) == (level == 99), 5)


def down_the_ladder(gateway):
    assert gateway.logged(CONFIGURED) + gateway.logged(DRAINED) == 0
    gateway.proxy.restore()
    wait_for("the ladder to be left", lambda: gateway.ladder() == "none", 30, 0.1)
    wait_for("both to say it", lambda: (gateway.logged(CONFIGURED), gateway.logged(DRAINED)) == (1, 1))
    metrics = gateway.agent.metrics(gateway.http)
    assert metrics["weir_store_ladder"] == 0 and metrics["weir_store_high_water"] == 0
    flush(gateway)
    before = {book: gateway.book(book) for book in ("widened", "merged", "dropped(evicted)")}
    for _ in range(3):
        gateway.portion()
    flush(gateway)
    assert {book: gateway.book(book) for book in before} == before, "all is as before"
    assert all(before.values()), before
    return before


def flush(gateway):
    """What is open closes by time, and goes."""
    wait_for("the outbox to drain", gateway.agent.drained, 30, 0.1)


def check_what_arrived(gateway, books):
    """The central side's own count, and what a longer window is."""
    lost = books["dropped(evicted)"]
    audit = gateway.agent.audit()
    assert audit["balanced"], json.dumps(audit, indent=1)
    account = gateway.account()
    assert account["taken"] == gateway.plant.sent and account["delivered"] == gateway.plant.sent - lost, account
    wait_for("the central side to have all of it", lambda: arrived(gateway)[0] >= gateway.plant.sent - lost, 20, 0.2)
    total, by_length = arrived(gateway)
    assert total == gateway.plant.sent - lost, f"{gateway.plant.sent} sent, {lost} booked as lost, {total} arrived"
    longer = sum(n for length, n in by_length.items() if length > S_NS)
    assert 0 < longer <= books["widened"] + books["merged"], f"{by_length}, {books}"  # less what was evicted later
    assert longer >= books["widened"] + books["merged"] - lost, f"{by_length}, {books}"
    print(f"{gateway.plant.sent} sent = {total} arrived + {lost} evicted; {dict(by_length)} by length; {books}")


def arrived(gateway):
    """By the central side alone: how many readings, and how many in windows of which length, which lie on the grid of a second."""
    by_length = collections.Counter()
    for record in gateway.files.records():
        assert record["window_ns"] % S_NS == 0 and record["time_ns"] % S_NS == 0, record
        by_length[record["window_ns"]] += record["n"] + record["bad"]
    return sum(by_length.values()), by_length


def test_up_and_down_the_ladder(lab):
    disk = lab.add(Tmpfs(lab.directory / "disk", "5m"))
    if not disk.mounted:
        print(f"SKIPPED: this test mounts a tmpfs, as root: {disk.why}")
        return
    gateway = Gateway(lab, disk.path / "store")
    gateway.portion()
    wait_for("the first to be acknowledged", lambda: gateway.metric("weir_store_history_segments") > 0, 20)
    assert gateway.ladder() == "none"
    gateway.proxy.cut()
    up_the_ladder(gateway)
    alarm(gateway)
    check_what_arrived(gateway, down_the_ladder(gateway))
    assert gateway.agent.stop() == 0
    offline = gateway.agent.run("audit", "--json", check=0)
    assert json.loads(offline.stdout)["balanced"]
    assert gateway.receiver.stop() == 0


if __name__ == "__main__":
    harness.main()
