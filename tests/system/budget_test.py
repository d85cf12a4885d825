"""The byte budget of the uplink: windows wait once it is tight, alarms do not; the count outlives a kill and a reload; the next day goes on."""
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402
from wall import Wall  # noqa: E402

LIMIT = 60_000  # a handshake of 5 KB, and some seconds of windows
DAY_S = 86400
CONFIG = """
node: {{id: gw-metered, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: w, every: 1s, of: "*", lateness: 100ms}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 500ms}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 1s{more}}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: hot, severity: low, when: "oven > 90", respond: "Look at it"}
"""


class Feeder(threading.Thread):
    """Readings without a stamp, of many series, ten times a second."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.stopping = threading.Event()

    def run(self):
        n = 0
        while not self.stopping.wait(0.1):
            try:
                sender = laboratory.Sender(self.port)
                while not self.stopping.wait(0.1):
                    n += 1
                    sender.send("".join(f"load,s={s} value={(n * 7919 + s * 104729) % 99991 / 7}\n" for s in range(300)))
            except OSError:
                pass

    def close(self):
        self.stopping.set()
        self.join(10)


class Metered:
    def __init__(self, lab, more):
        self.lab = lab
        certs = laboratory.make_certs(lab.directory / "certs")
        self.broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
        self.subscriber = lab.add(laboratory.Subscriber(self.broker.local_port, lab.weir))
        self.fields = dict(line=laboratory.free_port(), http=laboratory.free_port(), certs=certs, broker=self.broker.port, more=more)
        directory = lab.directory / "agent"
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(**self.fields)))
        midnight = int(time.time() // DAY_S) * DAY_S
        self.wall = Wall(lab.directory / "wall", midnight + 600)
        self.start()
        self.feeder = lab.add(Feeder(self.fields["line"]))
        self.feeder.start()

    def start(self):
        self.agent.start(env=self.wall.env(self.lab.build))

    def reconfigure(self, more):
        self.fields["more"] = more
        self.agent.config.write_text(CONFIG.format(**self.fields))
        assert self.agent.reload()["msg"] == "done"

    def uplink(self):
        return self.agent.status()["uplink"]

    def spent(self):
        return self.uplink()["budget"]["day"]["spent_bytes"]

    def waiting(self):
        return self.agent.status()["outbox"]["segments"]

    def windows_wait(self):
        """True once some windows wait and none comes for a while, with the link up."""
        came, waited = self.subscriber.aggregates, self.waiting()
        wait_for("more windows that wait", lambda: self.waiting() >= waited + 3, 20, 0.1)
        return self.subscriber.aggregates == came and self.uplink()["state"] == "online"

    def tight(self):
        return self.uplink()["budget"]["level"] in ("slow", "spent")

    def lines(self, message):
        records = [json.loads(line) for line in self.agent.log().splitlines() if line.startswith("{")]  # not what `check` says first
        return [record for record in records if record["msg"] == message]


def test_windows_wait_alarms_go_and_the_next_day_goes_on(lab):
    node = Metered(lab, f", byte_budget_day: {LIMIT}B")
    wait_for("windows", lambda: node.subscriber.aggregates > 300)
    assert node.uplink()["budget"]["level"] == "free"
    wait_for("a tight budget", node.tight, 60, 0.1)
    wait_for("windows to wait", node.windows_wait, 40, 0.1)
    spent = node.spent()
    assert LIMIT * 0.7 < spent < LIMIT * 1.3, spent
    assert "windows" in node.agent.run("status").stdout
    metrics = node.agent.metrics(node.fields["http"])
    assert metrics['weir_uplink_budget_bytes{period="day"}'] == LIMIT and metrics["weir_uplink_budget_level"] >= 2

    sensor = laboratory.Sender(node.fields["line"])
    sensor.send("oven value=99\n")
    wait_for("the alarm", lambda: node.subscriber.alarms, 10, 0.05)
    sensor.close()

    # Nearly nothing was sent for seconds: what a kill may forget is a hundredth, not what came before.
    node.agent.kill()
    node.start()
    wait_for("the link", lambda: node.uplink()["state"] == "online", 20, 0.1)
    wait_for("the handshake to be counted on top", lambda: node.spent() > spent, 10, 0.1)
    wait_for("windows to wait again", node.windows_wait, 40, 0.1)

    # A reload begins a new connection, not a new count.
    before, wire = node.spent(), node.uplink()["wire_sent_bytes"]
    node.reconfigure(f", byte_budget_day: {LIMIT}B, keepalive: 1m")
    wait_for("the link", lambda: node.uplink()["state"] == "online", 20, 0.1)
    assert node.spent() >= before and node.uplink()["wire_sent_bytes"] > wire
    assert node.tight()

    until, came = node.uplink()["budget"]["day"]["until"], node.subscriber.aggregates
    node.wall.forward(DAY_S)
    wait_for("the next day", lambda: node.uplink()["budget"]["day"]["until"] > until, 30, 0.1)
    wait_for("windows", lambda: node.subscriber.aggregates > came + 300, 10)
    node.feeder.close()
    node.reconfigure(", byte_budget_day: 100MB")
    wait_for("the outbox to drain", node.agent.drained, 30, 0.1)
    assert not node.subscriber.errors, node.subscriber.errors
    levels = [line["level"] for line in node.lines("byte budget")]
    assert len(levels) <= 14 and "free" in levels, levels  # each once on the way down, in three lives and two days


if __name__ == "__main__":
    harness.main()
