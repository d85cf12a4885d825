"""The disk of the store is pulled while the agent runs, and plugged in again: alarms go on, the store is opened again without a restart, and what has
arrived then is the generator's own count, with nothing booked as lost.
"""
import collections
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402
from loop_disk import LoopDisk  # noqa: E402

CONFIG = """
node: {{id: gw-pulled}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 100ms}}
  - {{name: states, forward: changes, of: "*"}}
rules: ["rules.yaml"]
store: {{path: "{store}", budget: 8MB, max_loss: 500ms, free_floor: 1MB}}
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
SERIES = 20
OPENED_AFTER = 60  # seconds of failures


class Gateway:
    def __init__(self, lab, store):
        certs = laboratory.make_certs(lab.directory / "certs")
        broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
        self.arrived = collections.Counter()  # window -> readings
        self.cluster = lab.add(laboratory.Subscriber(broker.local_port, lab.weir, on_segment=self.count))
        line, self.http = laboratory.free_port(), laboratory.free_port()
        directory = lab.directory / "agent"
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(line=line, http=self.http, broker=broker.port, certs=certs, store=store)))
        self.agent.start()
        self.sender = laboratory.Sender(line)
        self.sent = self.alarms = 0

    def count(self, segment):
        if segment.kind == "aggregates":
            for record in segment.records:
                self.arrived["states" if record["window_ns"] == 0 else "s1"] += record["n"] + record["bad"]

    def metric(self, name):
        return self.agent.metrics(self.http)[name]

    def second(self):
        """Each reading differs from the one before, so that each is a change that is kept."""
        self.sender.send("".join(f"load,id={i} value={self.sent + i}.5\n" for i in range(SERIES)))
        self.sent += SERIES
        time.sleep(1)

    def alarm(self):
        """Raised and cleared at once, whatever the disk does."""
        for level in (99, 1):
            self.sender.send(f"temp,room=A{self.alarms} value={level}\n")
            self.sent += 1
            wait_for("the alarm", lambda level=level: (f"high{{room=A{self.alarms}}}" in self.agent.alarms()) == (level == 99), 2)
        self.alarms += 1

    def all_is_there(self):
        wait_for("the outbox to drain", self.agent.drained, 30, 0.2)
        audit = self.agent.audit()
        assert audit["balanced"], json.dumps(audit, indent=1)
        for window in ("s1", "states"):
            account = next(a for a in audit["accounts"] if a["window"] == window)
            assert account["taken"] == account["delivered"] == self.sent, f"{self.sent} sent: {account}"
            wait_for(f"{self.sent} readings of {window}, {self.arrived} came", lambda: self.arrived[window] == self.sent)
        for cause in ("raised", "cleared"):
            wait_for(f"all alarms {cause}", lambda cause=cause: sum(a["cause"] == cause for a in list(self.cluster.alarms)) == self.alarms)
        assert not self.cluster.errors, self.cluster.errors[:3]
        assert not self.cluster.gaps, self.cluster.gaps


def test_a_disk_that_is_pulled_and_plugged_in_again(lab):
    disk = lab.add(LoopDisk(lab.directory / "disk", 32))
    if not disk.mounted:
        print(f"SKIPPED: this test mounts an ext4 on a loop device, as root: {disk.why}")
        return
    gateway = Gateway(lab, disk.path / "store")
    gateway.alarm()
    for _ in range(2):
        gateway.second()
    gateway.all_is_there()

    disk.pull()
    pulled = time.monotonic()
    for _ in range(3):
        gateway.second()
        gateway.alarm()
    assert gateway.metric("weir_store_commit_failures_total") > 0, "the disk is gone"
    disk.plug()
    while gateway.metric("weir_store_reopens_total") == 0:
        assert time.monotonic() - pulled < OPENED_AFTER + 15, "not opened again:\n" + gateway.agent.log()[-2000:]
        gateway.second()
    seconds = time.monotonic() - pulled
    assert seconds > OPENED_AFTER - 5, "only what has failed for long is opened again"
    gateway.alarm()
    gateway.second()
    gateway.all_is_there()
    assert os.listdir(disk.path / "store").count("outbox.db") == 1 and gateway.metric("weir_store_quarantines_total") == 0
    print(f"opened again after {seconds:.0f} s: {gateway.sent} readings, {gateway.alarms} alarms; {gateway.cluster.duplicates} segments came again under their keys")
    assert gateway.agent.stop() == 0, "a clean stop"
    audit = gateway.agent.audit()
    assert audit["balanced"] and all(a["delivered"] == gateway.sent for a in audit["accounts"] if a["window"] in ("s1", "states")), audit


if __name__ == "__main__":
    harness.main()
