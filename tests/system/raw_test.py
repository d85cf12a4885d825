"""`keep: raw 24h`: the readings themselves are on the device for `weir query` and `weir replay`, go to no broker, and are in no book a second time."""
import json
import math
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
import raw_format  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-raw}}
sources: [{{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}]
windows:
  - {{name: m1, every: 1m, of: "temp*", lateness: 100ms{keep}}}
  - {{name: other, every: 1m, of: "humid*", lateness: 100ms}}
store: {{path: store, budget: 16MB, max_loss: 1s, raw_budget: 4MB}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
ROOMS, SECONDS = 20, 900
BEGIN = 1772409600  # 2026-03-02T00:00Z
KEPT = ", keep: raw 30d"


class Gateway:
    def __init__(self, lab, keep=KEPT):
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        self.directory = lab.directory / "agent"
        self.directory.mkdir()
        self.agent = lab.add(laboratory.Agent(lab.weir, self.directory, self.config(keep)))
        self.agent.start()
        self.sensor = laboratory.Sender(self.line)
        self.sent = 0  # to the agent that runs

    def config(self, keep):
        return CONFIG.format(line=self.line, http=self.http, keep=keep)

    def fill(self, begin=BEGIN):
        """The value of a room goes up for 50 seconds, again and again; every tenth is no number. What is in no window that keeps is not kept."""
        self.sensor.send("".join(f"temp,room=R{room} value={value(room, second)} {(begin + second) * 10**9}\n" +
                                 (f"humid,room=R{room} value=50 {(begin + second) * 10**9}\n" if second % 100 == 0 else "")
                                 for second in range(SECONDS) for room in range(ROOMS)))
        self.sent += ROOMS * SECONDS * 101 // 100
        wait_for("all readings to be taken", lambda: self.metric("weir_engine_taken_total") >= self.sent)

    def rows(self, sql):
        return json.loads(self.agent.run("query", "--json", "--rows", "100000", sql, check=0).stdout)

    def metric(self, name):
        return self.agent.metrics(self.http).get(name, 0)


def value(room, second):
    return "nan" if second % 10 == 9 else f"{20 + room + second % 50 / 10:.1f}"


def test_query_running_and_stopped(lab):
    gateway = Gateway(lab)
    gateway.fill()
    sent = ROOMS * SECONDS
    wait_for("full segments of raw readings", lambda: gateway.metric("weir_raw_readings_total") >= sent // 8192 * 7000, 30, 0.2)
    question = ("SELECT time, value, quality, type FROM raw WHERE series = 'temp{room=R7}' AND time >= '2026-03-02T00:01:00Z' "
                "AND time < '2026-03-02T00:01:10Z' ORDER BY time")
    live = gateway.rows(question)
    assert [row["value"] for row in live[:9]] == [float(value(7, second)) for second in range(60, 69)], live
    assert live[0]["time"] == "2026-03-02T00:01:00Z" and live[9]["value"] is None, live
    assert [row["quality"] for row in live] == ["good"] * 9 + ["bad"] and live[0]["type"] == "float", live
    assert gateway.rows("SELECT count(*) AS n FROM raw WHERE name = 'humid'") == [{"n": 0}]
    assert gateway.metric("weir_raw_missed_readings_total") == gateway.metric("weir_raw_unkept_readings_total") == 0
    kept = gateway.rows("SELECT kind, sum(n) AS n, sum(bytes) AS bytes, max(delivered) AS delivered FROM segments WHERE lane = 'raw' GROUP BY kind")[0]
    assert kept["kind"] == "raw" and kept["delivered"] == 0, kept
    assert kept["bytes"] * 8 / kept["n"] <= 16, kept
    status = gateway.agent.status()["raw"]
    assert status["readings"] == kept["n"] and status["not_kept"] == status["removed_for_space"] == 0, status
    assert " readings kept, " in gateway.agent.run("status", check=0).stdout
    audit = gateway.agent.audit()
    assert audit["balanced"] is True, audit
    assert gateway.agent.stop() == 0
    assert gateway.rows(question) == live
    rows = gateway.rows("SELECT tags->>'room' AS room, count(*) AS n, count(value) AS good FROM raw GROUP BY 1")  # what was still on its way is there now
    assert {(row["n"], row["good"]) for row in rows} == {(SECONDS, SECONDS * 9 // 10)} and len(rows) == ROOMS, rows
    taken = gateway.rows("SELECT sum(n + bad) AS n FROM readings WHERE name = 'temp'")
    assert taken == [{"n": sent}], taken
    audit = json.loads(gateway.agent.run("audit", "--store", str(gateway.directory / "store"), "--json", check=0).stdout)
    assert audit["balanced"] is True, audit


def test_the_page_is_enough(lab):
    """A decoder written from docs/segment-format.md alone reads the files as `weir query` does: all types, times of all sorts."""
    gateway = Gateway(lab)
    lines = []
    for i in range(1800):
        stamp = (BEGIN + i // 5) * 10**9 + i % 5 * 123456789
        lines += [f"temp_peak value={31 + j * j % 7919 / 1000 + (40 + j % 11 if j % 3 == 0 else 0):.3f} {stamp + j % 2}" for j in (2 * i, 2 * i + 1)]
        lines += [f"temp,room=A value={20 + i % 37 / 8} {stamp}", f"temp,room=A third={i / 3},register={i * 0.1!r},noise={(i * 0.618) % 1!r} {stamp}",
                  f"temp_fails value={-200 if i % 50 < 5 else 20 + i % 7 / 10} {stamp}",
                  f"temp_count,room=B value={i * 25}i {stamp + i * i}", f"temp_computed value={math.nextafter((31000 + i * 37 % 1000) / 1000, i % 3)!r} {stamp}", f"temp_mean value={(3000 + i) / 6:.15g} {stamp // 10**6 * 10**6}"]
        if i % 10 == 0:
            lines += [f'temp_state,room=B value="state {i % 70}" {stamp}', f"temp_on value={'true' if i % 20 else 'false'} {stamp}", f"temp_u value={2**62 + i}u {stamp}"]
    gateway.sensor.send("\n".join(lines) + "\n")
    readings = 1800 * 10 + 180 * 3
    wait_for("all readings to be taken", lambda: gateway.metric("weir_engine_taken_total") >= readings)
    assert gateway.agent.stop() == 0
    rows = gateway.rows("SELECT time_ns, name, field, tags, type, value, quality, historic FROM raw")
    decoded = [reading for body in raw_format.bodies(gateway.directory / "store") for reading in raw_format.decode(body)]
    assert len(rows) == len(decoded) == readings, (len(rows), len(decoded))
    for ours, theirs in zip(rows, decoded):
        assert ours == theirs, (ours, theirs)
    assert {row["type"] for row in rows} == {"float", "int", "uint", "bool", "string"}
    files = sorted((gateway.directory / "store" / "raw").glob("*.weir"))
    told = [json.loads(line) for file in files
            for line in subprocess.run([str(lab.weir), "decode", "--format", "weir", str(file)], capture_output=True, check=True).stdout.splitlines()]
    assert len(told) == readings, len(told)
    for ours, theirs in zip(told, decoded):
        assert [ours["measurement"], ours["field"], ours["tags"]] == [theirs["name"], theirs["field"], json.loads(theirs["tags"])], (ours, theirs)
        assert all(ours[word] == theirs[word] for word in ("time_ns", "type", "value", "quality")), (ours, theirs)


def test_decode_reads_version_1_and_tells_damage(lab):
    old = (DATA / "store" / "raw-v1.weir").read_bytes()
    file = lab.directory / "raw.weir"
    file.write_bytes(old + old[:500] + b"\0" + old[501:] + old)  # the second one damaged
    done = subprocess.run([str(lab.weir), "decode", "--format", "weir", str(file)], capture_output=True, text=True)
    assert done.returncode == 1 and "weir:2:1: segment 1: CRC" in done.stderr, done
    lines = done.stdout.splitlines()
    assert len(lines) == 1800 and lines[:900] == lines[900:] and {json.loads(line)["type"] for line in lines} == {"float", "int", "uint", "bool", "string"}


def test_replay_sees_the_readings_themselves(lab):
    """Windows of a minute would say that 24.8 was there; its readings say when, and how long."""
    gateway = Gateway(lab)
    gateway.fill()
    assert gateway.agent.stop() == 0
    rules = gateway.directory / "new.yaml"
    rules.write_text("weir: 1\nrules: [{rule: high, when: temp > 24.5, by: room, severity: low}]\n")
    words = ["replay", "--from", "2026-03-02", "--rules", str(rules), "--json", "--store", str(gateway.directory / "store")]
    done = json.loads(gateway.agent.run(*words, check=0).stdout)
    assert done["readings"] == ROOMS * SECONDS + ROOMS * SECONDS // 100, done  # of humid its windows, of one value each
    found = next(rule for rule in done["rules"] if rule["rule"] == "high")
    room = next(alarm for alarm in found["alarms"] if alarm["instance"] == "room=R0")  # above it for 46, 47 and 48 of each 50
    assert (room["fired"], room["first_ns"], room["longest_ns"]) == (SECONDS // 50, (BEGIN + 46) * 10**9, 4 * 10**9), room


def test_reload_begins_and_ends_it(lab):
    gateway = Gateway(lab, keep="")
    gateway.fill()
    wait_for("the windows", lambda: gateway.rows("SELECT count(*) AS n FROM readings WHERE name = 'temp'")[0]["n"] > 0, 30, 0.2)
    assert gateway.rows("SELECT count(*) AS n FROM raw") == [{"n": 0}]
    assert not (gateway.directory / "store" / "raw").exists()
    gateway.agent.config.write_text(gateway.config(KEPT))
    gateway.agent.reload()
    gateway.sent = 0  # by the engine that this made
    gateway.fill(BEGIN + 3600)
    wait_for("raw readings", lambda: gateway.metric("weir_raw_readings_total") >= 7000, 30, 0.2)
    assert gateway.rows("SELECT min(time) AS t FROM raw") == [{"t": "2026-03-02T01:00:00Z"}]
    assert list((gateway.directory / "store" / "raw").iterdir())
    gateway.agent.config.write_text(gateway.config(""))
    gateway.agent.reload()
    assert gateway.agent.stop() == 0
    gateway.agent.start()  # without keep what is left of it is removed
    wait_for("their files to go", lambda: not list((gateway.directory / "store" / "raw").iterdir()))
    assert gateway.agent.stop() == 0


def test_a_kill_loses_no_more_than_was_on_its_way(lab):
    gateway = Gateway(lab)
    gateway.fill()
    wait_for("full segments", lambda: gateway.metric("weir_raw_readings_total") >= 7000, 30, 0.2)
    before = gateway.metric("weir_raw_readings_total")
    gateway.agent.kill()
    with open(sorted((gateway.directory / "store" / "raw").iterdir())[-1], "ab") as file:
        file.write(b"WEIR\1\4\3")  # torn
    gateway.agent.start()
    assert gateway.rows("SELECT count(*) >= %d AS all_there FROM raw" % before) == [{"all_there": 1}]
    gateway.sensor, gateway.sent = laboratory.Sender(gateway.line), 0
    gateway.fill(BEGIN + 7200)
    wait_for("more", lambda: gateway.metric("weir_raw_readings_total") >= 7000, 30, 0.2)
    assert gateway.agent.stop() == 0
    assert gateway.rows("SELECT count(*) AS n FROM raw WHERE time >= '2026-03-02T02:00Z'") == [{"n": ROOMS * SECONDS}]


def test_config_errors(lab):
    for wrong, why in (("keep: 24h", "what can be kept are raw readings"), ("keep: raw 24", "has no unit"), ("keep: raw 1s", "from 1m to 366d")):
        directory = lab.directory / re.sub(r"\W", "", wrong)
        directory.mkdir()
        (directory / "weir.yaml").write_text(CONFIG.format(line=1, http=2, keep=", " + wrong))
        agent = laboratory.Agent(lab.weir, directory, (directory / "weir.yaml").read_text())
        done = agent.run("check", check=1)
        assert why in done.stdout + done.stderr and "W515" in done.stdout + done.stderr, (wrong, done)


if __name__ == "__main__":
    harness.main()
