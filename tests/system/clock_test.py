"""Gateways that do not know the time: a boot in 1970, a clock that is set while windows are open and while the link is down, and set back later. What the
central side has, in files and in PostgreSQL, has the times at which it happened, or says that nobody knows."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402
from postgres import Postgres  # noqa: E402
from receiver import Files, Receiver  # noqa: E402
from wall import Wall  # noqa: E402

CONFIG = """
node: {{id: {name}, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: w, every: 1s, of: "*", lateness: 100ms}}
  - {{name: doors, forward: changes, of: "door"}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 200ms}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 1s{more}}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: hot, severity: low, when: "oven > 90", respond: "Look at it"}
"""
DAY_S = 86400
BOOT_S = 1000  # what a clock shows that began in 1970 and runs for a while


class Gateway:
    def __init__(self, lab, name, certs, port, more=""):
        self.lab = lab
        self.name = name
        self.line = laboratory.free_port()
        directory = lab.directory / name
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(name=name, line=self.line, certs=certs, broker=port, more=more)))
        self.wall = Wall(lab.directory / f"{name}.wall", BOOT_S)
        self.generator = None
        self.sent = 0
        self.began_s = time.time()

    def start(self):
        self.agent.start(env=self.wall.env(self.lab.build))
        self.generator = self.lab.add(laboratory.Generator(self.line, 200, name=self.name))
        self.generator.start()

    def taken(self):
        return sum(a["taken"] for a in self.agent.audit()["accounts"] if a.get("window") == "w")

    def pause(self):
        """What was sent is taken, and more than nothing."""
        wait_for("readings", lambda: self.taken() > self.sent + 100, 20)
        self.generator.stop()
        self.sent += self.generator.sent
        wait_for("all to be read", lambda: self.taken() >= self.sent, 20)

    def say(self, line):
        sender = laboratory.Sender(self.line)
        sender.send(line)
        sender.close()
        self.sent += 1

    def waits(self):
        return self.agent.status()["uplink"]["waits_for_clock"]

    def is_right(self, record):
        return self.began_s - 2 <= record["time_ns"] / 1e9 <= time.time() + 1


def setting(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    tls = ["--broker", f"mqtts://127.0.0.1:{broker.port}", "--ca", certs / "ca.pem", "--cert", certs / "client.pem", "--key", certs / "client.key"]
    return certs, broker, tls


def test_a_boot_in_1970_and_steps_in_both_directions(lab):
    certs, broker, tls = setting(lab)
    out = Files(lab.directory / "out")
    receiver = Receiver(lab, "central", [*tls, "--to", f"file:{out.directory}"]).start()
    node = Gateway(lab, "gw-new", certs, broker.port)
    node.start()
    wait_for("the link", lambda: node.agent.status()["uplink"]["state"] == "online", 20, 0.05)
    node.say("oven value=99\n")
    node.say('door value="open"\n')
    wait_for("the alarm, at once", lambda: list(out.records("alarm")), 10, 0.05)
    wait_for("the change, at once", lambda: list(out.records("agg")), 10, 0.05)  # changes share the file with windows
    wait_for("windows in the outbox", lambda: node.agent.status()["outbox"]["segments"] > 3, 20, 0.1)
    assert node.waits() and "until the clock is set" in node.agent.run("status").stdout
    early = [*out.records("alarm"), *out.records("agg")]
    for record in early:
        assert record["time_quality"] == "untrusted" and record["time_ns"] < DAY_S * 1e9, record
        assert record.get("window_ns", 0) == 0, "windows wait"

    node.wall.set_right()
    wait_for("windows", lambda: any(record["window_ns"] for record in out.records()), 20, 0.1)
    assert not node.waits()
    node.wall.forward(-3600)  # an hour back: nothing is lost, nothing fires
    stepped_s = time.time()
    wait_for("windows of the new time", lambda: any(record["window_ns"] and record["time_ns"] / 1e9 < stepped_s - 3000 for record in out.records()), 20, 0.1)
    node.wall.forward(2 * 3600)
    wait_for("windows of the newest time", lambda: any(record["time_ns"] / 1e9 > stepped_s + 3000 for record in out.records()), 20, 0.1)
    node.pause()
    wait_for("all of it", lambda: sum(record["n"] for record in out.records() if record["window_ns"]) >= node.sent, 30, 0.2)
    assert node.agent.stop() == 0
    assert receiver.stop() == 0

    windows = [record for record in out.records() if record["window_ns"]]
    assert sum(record["n"] for record in windows) == node.sent
    corrected = [record for record in windows if record.get("time_quality") == "corrected"]
    assert sum(record["n"] for record in corrected) > 100
    assert all(node.is_right(record) for record in corrected), [record for record in corrected if not node.is_right(record)]
    assert all(record["time_ns"] / 1e9 > node.began_s - 3700 for record in windows), "none is of 1970"
    assert not [record for record in windows if record.get("time_quality") == "untrusted"]
    assert len([record for record in out.records("alarm") if record["cause"] == "raised"]) == 1


def test_set_while_the_link_is_down(lab):
    """MQTT 3.1.1 and JSON, a restart of the agent in between; PostgreSQL."""
    certs, broker, tls = setting(lab)
    database = lab.add(Postgres()).start()
    proxy = lab.add(laboratory.Proxy(broker.port))
    receiver = Receiver(lab, "central", [*tls, "--to", database.url()]).start()
    proxy.cut()
    node = Gateway(lab, "gw-old", certs, proxy.port, ', version: "3.1.1", format: json')
    node.start()
    node.say("oven value=99\n")
    wait_for("windows in the outbox", lambda: node.agent.status()["outbox"]["segments"] > 3, 20, 0.1)
    node.pause()
    assert node.agent.stop() == 0
    node.wall.set_right()  # while nobody looks, and the link is still down
    node.start()
    proxy.restore()
    node.pause()
    wait_for("all to be delivered", node.agent.drained, 60, 0.1)

    total = "SELECT coalesce(sum(n), 0)::bigint FROM weir.aggregate WHERE window_ns > 0"
    wait_for("the tables", lambda: database.query("select to_regclass('weir.aggregate')")[0][0], 30, 0.1)
    wait_for("all of it", lambda: database.number(total) >= node.sent, 30, 0.2)
    assert database.number(total) == node.sent
    rows = database.query("SELECT time_quality, extract(epoch FROM min(time)), extract(epoch FROM max(time)), count(*) FROM weir.aggregate GROUP BY 1 ORDER BY 1")
    assert [row[0] for row in rows] == ["corrected", ""], rows
    for row in rows:
        assert node.began_s - 2 <= float(row[1]) <= float(row[2]) <= time.time() + 1, rows
    alarm = database.query("SELECT extract(epoch FROM time), time_quality, record->>'time' FROM weir.alarm WHERE cause = 'raised'")
    assert len(alarm) == 1 and alarm[0][1] == "corrected" and float(alarm[0][0]) >= node.began_s - 2, alarm
    assert alarm[0][2].startswith(time.strftime("%Y-%m-%dT", time.gmtime(float(alarm[0][0])))), alarm
    assert receiver.stop() == 0


if __name__ == "__main__":
    harness.main()
