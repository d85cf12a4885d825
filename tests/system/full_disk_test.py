"""No room: the budget is used up while the link is down, or somebody else fills the disk. The agent goes on, alarms go on, what has to go is
the oldest of the lowest lane and is booked, alarms stay; and once the link is back, arrived + booked is the generator's own count.
"""
import collections
import json
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402
from tmpfs import Tmpfs  # noqa: E402

CONFIG = """
node: {{id: gw-full}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 100ms}}
  - {{name: states, forward: changes, of: "*"}}
rules: ["rules.yaml"]
store: {{path: "{store}", budget: {budget}, max_loss: 500ms, free_floor: {floor}}}
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
SERIES = 500
LINES = 50_000  # of one portion: each reading differs from the one before, so that each is a change that is kept
ALARMS = 5


class Gateway:
    def __init__(self, lab, **fields):
        certs = laboratory.make_certs(lab.directory / "certs")
        broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
        self.proxy = lab.add(laboratory.Proxy(broker.port))
        self.arrived = collections.Counter()  # window -> readings
        self.cluster = lab.add(laboratory.Subscriber(broker.local_port, lab.weir, on_segment=self.count))
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        directory = lab.directory / "agent"
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(line=self.line, http=self.http, broker=self.proxy.port, certs=certs,
                                                                                 **fields)))
        self.random = random.Random(1)
        self.sent = self.alarms = 0
        self.sender = None

    def count(self, segment):
        if segment.kind == "aggregates":
            for record in segment.records:
                self.arrived["states" if record["window_ns"] == 0 else "s1"] += record["n"] + record["bad"]

    def start(self):
        self.agent.start()
        self.sender = laboratory.Sender(self.line)
        return self

    def flood(self):
        value = self.random.random
        self.sender.send("".join(f"flood,id={i % SERIES} value={value():.12f}\n" for i in range(LINES)))
        self.sent += LINES

    def alarm(self):
        """Raised and cleared; it is decided and told at once, whatever the disk does."""
        for level in (99, 1):
            self.sender.send(f"temp,room=A{self.alarms} value={level}\n")
            self.sent += 1
            wait_for("the alarm", lambda level=level: (f"high{{room=A{self.alarms}}}" in self.agent.alarms()) == (level == 99), 5)
        self.alarms += 1

    def metric(self, name):
        return self.agent.metrics(self.http)[name]

    def account(self, window):
        return next(a for a in self.agent.audit()["accounts"] if a["window"] == window)

    def evicted(self, window="states"):
        return self.account(window)["books"].get("dropped(evicted)", 0)

    def flood_until(self, what, condition):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, f"flooded in vain until {what}"
            self.flood()
            self.settle()

    def settle(self):
        wait_for("the readings to be taken", lambda: self.account("intake")["taken"] >= self.sent, 20)

    def everything_is_accounted_for(self):
        self.proxy.restore()
        wait_for("the outbox to drain", self.agent.drained, 30, 0.2)
        audit = self.agent.audit()
        assert audit["balanced"], json.dumps(audit, indent=1)
        for window in ("s1", "states"):
            account = next(a for a in audit["accounts"] if a["window"] == window)
            assert account["taken"] == self.sent, f"{self.sent} sent: {account}"
            assert account["delivered"] + account["books"].get("dropped(evicted)", 0) == self.sent, account
            wait_for(f"what {window} delivered, {account}, {self.arrived} came", lambda: self.arrived[window] == account["delivered"])
            print(f"{window}: {self.sent} sent = {self.arrived[window]} arrived + {account['books'].get('dropped(evicted)', 0)} evicted")
        for cause in ("raised", "cleared"):
            wait_for(f"all alarms {cause}", lambda cause=cause: sum(a["cause"] == cause for a in list(self.cluster.alarms)) == self.alarms)
        assert not self.cluster.errors, self.cluster.errors[:3]
        self.flood()  # and afterwards all is as before
        before = self.evicted()
        self.settle()
        wait_for("the outbox to drain", self.agent.drained, 30, 0.2)
        wait_for("all of it", lambda: self.arrived["states"] + before == self.sent)
        assert self.evicted() == before

    def losses_are_told(self):
        """Gap records say what was evicted, to the reading; a clean stop does not keep them back, and nothing is told twice."""
        evicted = {window: self.evicted(window) for window in ("s1", "states")}
        assert self.agent.stop() == 0
        self.agent.start()
        wait_for(f"gap records of {evicted}, {self.cluster.gaps}", lambda: self.told() == evicted, 10)
        wait_for("the outbox to drain", self.agent.drained, 30, 0.2)
        assert self.told() == evicted
        assert all(gap["from_ns"] <= gap["to_ns"] <= time.time_ns() for gap in self.cluster.gaps), self.cluster.gaps
        print(f"{len(self.cluster.gaps)} gap records")

    def told(self):
        counts = collections.Counter({"s1": 0, "states": 0})
        for gap in self.cluster.gaps:
            assert gap["reason"] == "evicted", gap
            for account in gap["accounts"]:
                counts[account["window"]] += account["readings"]
        return counts


def disk_bytes(path):
    return sum(file.stat().st_blocks * 512 for file in pathlib.Path(path).iterdir())


def test_the_budget_is_used_up(lab):
    gateway = Gateway(lab, store="store", budget="8MB", floor="1MB")
    gateway.proxy.cut()
    gateway.start()
    for _ in range(ALARMS):
        gateway.alarm()
    gateway.flood_until("windows are evicted", lambda: gateway.evicted("s1") > 0)
    gateway.flood_until("changes are evicted", lambda: gateway.evicted("states") > 0)
    gateway.alarm()
    for _ in range(4):
        gateway.flood()
    gateway.settle()
    gateway.alarm()
    used = disk_bytes(gateway.agent.directory / "store")
    print(f"{used / 1e6:.2f} MB on disk of 8 MB; {gateway.metric('weir_store_evicted_segments_total'):.0f} segments evicted")
    assert used <= 8_000_000, "the budget is a hard limit"
    assert gateway.metric('weir_store_evicted_readings_total') > 0
    gateway.everything_is_accounted_for()
    gateway.losses_are_told()
    assert gateway.agent.stop() == 0


def test_a_disk_that_somebody_else_fills(lab):
    """A file system of 12 MB under a budget of 64: it can never be had."""
    disk = lab.add(Tmpfs(lab.directory / "disk", "12m"))
    if not disk.mounted:
        print(f"SKIPPED: this test mounts a tmpfs, as root: {disk.why}")
        return
    gateway = Gateway(lab, store=disk.path / "store", budget="64MB", floor="1MB")
    gateway.proxy.cut()
    gateway.start()
    gateway.alarm()
    gateway.flood()
    gateway.settle()
    disk.fill()
    assert os.statvfs(disk.path).f_bavail * os.statvfs(disk.path).f_bsize < 65536, "the disk is full"
    gateway.alarm()
    gateway.flood_until("something is evicted", lambda: gateway.evicted("states") > 0)
    gateway.alarm()
    assert gateway.agent.stop() == 0, "a clean stop on a full disk"
    gateway.start()
    gateway.alarm()
    gateway.flood()
    gateway.settle()
    print(f"{gateway.metric('weir_store_commit_failures_total'):.0f} commits failed since the second start")
    disk.free()
    gateway.everything_is_accounted_for()
    gateway.losses_are_told()
    assert gateway.agent.stop() == 0


if __name__ == "__main__":
    harness.main()
