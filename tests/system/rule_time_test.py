"""Limits from a spreadsheet, devices whose clocks are off, memory of devices that were away: what alarms come of them, in the log and at the broker."""
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-time, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 500ms}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 200ms}}
uplink: {{broker: "mqtt://127.0.0.1:{broker}", format: json}}
http: {{listen: "127.0.0.1:{http}"}}
log: {{format: json}}
"""
RULES = """weir: 1
tables:
  - {name: rooms, csv: rooms.csv, key: room}
points:
  - {point: temp, unit: °C}
rules:
  - {rule: warm, when: temp > rooms.hi, by: room, auto_ack: true, respond: "look", then: [{at: [raised, cleared], log: true}]}
"""
TABLE = "room,hi[°C]\nA1,8\nA2,12\n"
SECOND = 10**9


class Gateway:
    def __init__(self, lab, table=TABLE):
        certs = laboratory.make_certs(lab.directory / "certs")
        self.broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
        self.alarms = []
        lab.add(laboratory.Subscriber(self.broker.local_port, lab.weir, on_message=self.message))
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        directory = lab.directory / "agent"
        directory.mkdir()
        self.table = directory / "rooms.csv"
        self.table.write_text(table)
        (directory / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(line=self.line, http=self.http, broker=self.broker.local_port)))

    def message(self, message):
        if "/alarm" in message.topic:
            self.alarms += [r for r in json.loads(message.payload)["records"] if r.get("rule", "warm") == "warm"]

    def start(self):
        self.agent.start()
        self.sensor = laboratory.Sender(self.line)
        return self

    def send(self, room, value, stamp_ns=None):
        self.sensor.send(f"temp,room={room} value={value} {stamp_ns if stamp_ns is not None else time.time_ns()}\n")

    def logged(self):
        """What the log action said: [(alarm, cause)]."""
        lines = [json.loads(line) for line in self.agent.log().split("\n")[:-1] if '"cause"' in line]
        return [(line["alarm"], line["cause"]) for line in lines if line.get("alarm", "").startswith("warm")]

    def sent(self):
        """What the cluster heard: [(instance, cause, historic)]."""
        return [(a["alarm"], a["cause"], a["historic"]) for a in self.alarms]

    def metric(self, name):
        return self.agent.metrics(self.http)[name]


def test_limits_of_a_spreadsheet(lab):
    gateway = Gateway(lab).start()
    gateway.send("A1", 9)
    gateway.send("A2", 9)
    gateway.send("A3", 99)  # the table does not have it: unknown
    wait_for("the alarm of the room with the lower limit", lambda: gateway.logged() == [("warm{room=A1}", "raised")])
    gateway.table.write_text(TABLE + "A1,9\nA4,warm\n")
    report = gateway.agent.reload()
    assert report["msg"].startswith("refused") and "rules" in report["error"], report
    check = gateway.agent.run("check", check=1)
    assert "rooms.csv:4:1: error W345: the key 'A1' stands in lines 2 and 4 (table 'rooms' of" in check.stderr, check.stderr
    assert "rooms.csv:5:4: error W344: 'warm' is no number, but the column 'hi' is in °C" in check.stderr, check.stderr
    assert list(gateway.agent.alarms()) == ["warm{room=A1}"]
    gateway.table.write_text("room,hi[°C]\nA1,10\nA2,8\n")
    report = gateway.agent.reload()
    assert report["msg"] == "done", report
    gateway.send("A1", 9)
    gateway.send("A2", 9)
    wait_for("both alarms to change", lambda: list(gateway.agent.alarms()) == ["warm{room=A2}"])
    assert gateway.agent.stop() == 0


def test_a_device_whose_clock_is_an_hour_off(lab):
    gateway = Gateway(lab).start()
    stop = threading.Event()
    values = {"A1": 5, "A2": 5}

    def devices():
        while not stop.wait(0.2):
            for room, off_s in (("A1", 3600), ("A2", -3600)):
                gateway.send(room, values[room], time.time_ns() - off_s * SECOND)

    thread = threading.Thread(target=devices)
    thread.start()
    try:
        wait_for("both to be found", lambda: gateway.metric("weir_engine_skewed_streams") == 2)
        status = gateway.agent.run("status", check=0).stdout
        assert "2 series of devices whose clocks are off" in status and ("59m5" in status or "1h" in status), status
        assert not gateway.logged()
        values.update(A1=20, A2=20)
        wait_for("their alarms", lambda: sorted(gateway.logged()) == [("warm{room=A1}", "raised"), ("warm{room=A2}", "raised")], 5)
        values.update(A1=5, A2=5)
        wait_for("the end of them", lambda: len(gateway.logged()) == 4, 5)
    finally:
        stop.set()
        thread.join()
    wait_for("the cluster to hear of it", lambda: len(gateway.sent()) == 4)
    assert not any(historic for _, _, historic in gateway.sent()), gateway.sent()
    now_ns = time.time_ns()
    assert all(abs(now_ns - alarm["time_ns"]) < 60 * SECOND for alarm in gateway.alarms), gateway.alarms
    assert gateway.agent.stop() == 0


def test_memory_of_a_device_that_was_away(lab):
    gateway = Gateway(lab).start()
    now_ns = time.time_ns()
    for i in range(180, 0, -1):  # half an hour, too warm for five minutes of it, and again at the end
        gateway.send("A1", 20 if 60 <= i < 90 or i < 12 else 5, now_ns - 10 * i * SECOND)
    wait_for("the alarm that lasts", lambda: gateway.logged() == [("warm{room=A1}", "raised")])
    warm = "warm{room=A1}"
    wait_for("the cluster to hear of all", lambda: len(gateway.sent()) == 4)
    assert gateway.sent() == [(warm, "raised", True), (warm, "cleared", True), (warm, "raised", True), (warm, "raised", False)], gateway.sent()
    wait_for("it to be counted", lambda: 173 <= gateway.metric("weir_engine_historic_total") <= 176)  # but for the last minute
    assert gateway.metric("weir_engine_skewed_streams") == 0
    assert gateway.agent.stop() == 0


if __name__ == "__main__":
    harness.main()
