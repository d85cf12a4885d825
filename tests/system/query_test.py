"""`weir query`: the same answer from a running agent and from its store; an alarm is journalled while a long query runs; limits hold."""
import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-query}}
sources: [{{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}]
windows: [{{name: s1, every: 1s, of: "temp*", lateness: 100ms}}]
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 1s}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules: [{rule: smoky, when: smoke > 1, by: room, severity: high}]
"""
SERIES, SECONDS = 40, 120
BEGIN = 1772409600  # 2026-03-02T00:00Z
TEN_SECONDS = "time >= '2026-03-02T00:00:10Z' AND time < '2026-03-02T00:00:20Z'"


class Gateway:
    def __init__(self, lab):
        self.line = laboratory.free_port()
        directory = lab.directory / "agent"
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(line=self.line)))
        self.agent.start()
        self.sensor = laboratory.Sender(self.line)

    def fill(self):
        """Windows of a second; each holds one reading, room * 1000 + second."""
        self.sensor.send("".join(f"temp,room=R{room} value={room * 1000 + second} {(BEGIN + second) * 10**9}\n" for second in range(SECONDS + 1)
                                 for room in range(SERIES)))
        wait_for("all windows to be stored", lambda: self.rows("SELECT count(*) AS n FROM readings WHERE time < '2026-03-02T00:02Z'") ==
                 [{"n": SERIES * SECONDS}], 30, 0.2)

    def rows(self, sql, *words, check=0):
        return json.loads(self.agent.run("query", "--json", *words, sql, check=check).stdout)


def test_running_and_stopped_say_the_same(lab):
    gateway = Gateway(lab)
    gateway.fill()
    questions = [f"SELECT time, mean, n, quality FROM readings WHERE series = 'temp{{room=R7}}' AND {TEN_SECONDS} ORDER BY time",
                 "SELECT tags->>'room' AS room, sum(sum), min(min), max(max) FROM readings WHERE time < '2026-03-02T00:02Z' GROUP BY 1 ORDER BY 1",
                 "SELECT series, last FROM readings WHERE time = '2026-03-02T01:00:05+01:00' ORDER BY 1"]
    live = [gateway.rows(sql) for sql in questions]
    assert [row["mean"] for row in live[0]] == [7000 + second for second in range(10, 20)], live[0]
    assert live[0][0]["time"] == "2026-03-02T00:00:10Z"
    assert len(live[1]) == SERIES and live[1][0]["sum(sum)"] == sum(range(SECONDS)), live[1][0]
    assert {row["series"]: row["last"] for row in live[2]} == {f"temp{{room=R{room}}}": room * 1000 + 5 for room in range(SERIES)}
    table = gateway.agent.run("query", "--csv", "SELECT lane, sum(n) AS n FROM segments GROUP BY lane", check=0).stdout
    assert [int(row["n"]) >= SERIES * SECONDS for row in csv.DictReader(io.StringIO(table))] == [True], table
    plot = gateway.agent.run("query", "--plot", f"SELECT time, series, mean FROM readings WHERE series = 'temp{{room=R7}}' AND {TEN_SECONDS}", check=0).stdout
    assert plot == ("temp{room=R7}  ▁▂▃▃▄▅▆▆▇█  min 7010  max 7019  last 7019\n"
                    "mean from 2026-03-02T00:00:10Z to 2026-03-02T00:00:19Z\n"), plot
    store = gateway.agent.directory / "store"
    busy = subprocess.run([gateway.agent.weir, "query", "--store", store, "SELECT 1"], capture_output=True, text=True)
    assert busy.returncode == 2 and "open: ask it, without --store" in busy.stderr, busy
    assert gateway.agent.stop() == 0
    assert [gateway.rows(sql) for sql in questions] == live
    before = (store / "outbox.db").read_bytes()
    done = subprocess.run([gateway.agent.weir, "query", "--store", store, "-"], input="SELECT 1 + 1 AS two", capture_output=True, text=True)
    assert done.stdout == "two\n  2\n", done
    assert (store / "outbox.db").read_bytes() == before


def test_an_alarm_goes_ahead_of_a_long_query(lab):
    gateway = Gateway(lab)
    gateway.fill()
    # Each row of the first asks for the second anew: bodies without end.
    endless = "SELECT count(*) FROM readings a JOIN readings b WHERE a.n < b.n"
    query = subprocess.Popen([gateway.agent.weir, "query", "--timeout", "60s", "-c", gateway.agent.config, endless], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)  # for it to be at work; nothing depends on it
        for i in range(5):
            gateway.sensor.send(f"smoke,room=K{i} value=9\n")
            wait_for("the alarm", lambda: f"smoky{{room=K{i}}}" in gateway.agent.alarms())
            begin = time.monotonic()
            done = gateway.agent.run("alarms", "ack", f"smoky{{room=K{i}}}", "--json", check=0)
            took = time.monotonic() - begin
            assert json.loads(done.stdout)["journalled"] is True and took < 5, (took, done.stdout)
        assert query.poll() is None, query.communicate()
        steps = gateway.rows("SELECT alarm, cause, to_state FROM alarms WHERE alarm LIKE 'smoky%' ORDER BY alarm, transition")
        assert [step["cause"] for step in steps] == ["raised", "acknowledged"] * 5, steps
    finally:
        query.kill()
        query.communicate()
    assert gateway.agent.audit()["balanced"] is True
    assert gateway.agent.stop() == 0


def test_replay_over_what_is_stored(lab):
    """The windows of room R is R * 1000 + second, so `temp > 39109` is true from second 110 on, in one room."""
    gateway = Gateway(lab)
    gateway.fill()
    rules = gateway.agent.directory / "new.yaml"
    rules.write_text("weir: 1\nrules: [{rule: high, when: temp > 39109, by: room, severity: low}]\n")
    words = ["replay", "--from", "2026-03-02", "--to", "2026-03-02T00:01:59Z", "--rules", str(rules), "--json"]
    live = json.loads(gateway.agent.run(*words, check=0).stdout)
    assert live["readings"] == SERIES * SECONDS and live["series"] == SERIES, live
    found = next(rule for rule in live["rules"] if rule["rule"] == "high")
    assert found["fired"] == 1 and found["first_ns"] == (BEGIN + 110) * 10**9, found
    own = gateway.agent.run("replay", "--from", "2026-03-02T00:00Z", check=0).stdout  # the rules of its config
    assert own.startswith("history, ") and "smoky" in own, own
    assert gateway.agent.stop() == 0
    assert json.loads(gateway.agent.run(*words, check=0).stdout) == live
    for wrong, why in ((["--from", "soon"], "'soon' is no time"), (["--from", "1d", "x.csv"], "no recordings"), (["--to", "1d", "x.csv"], "go with --from")):
        assert why in gateway.agent.run("replay", "--rules", str(rules), *wrong, check=2).stderr


def test_limits_and_errors(lab):
    gateway = Gateway(lab)
    gateway.fill()
    descriptors = f"/proc/{gateway.agent.process.pid}/fd"
    before = len(os.listdir(descriptors))
    cut = gateway.agent.run("query", "--csv", "--rows", "3", "SELECT n FROM readings", check=1)
    assert cut.stdout == "n\n1\n1\n1\n" and "only the first 3 rows" in cut.stderr, cut
    late = gateway.agent.run("query", "--timeout", "200ms", "SELECT count(*) FROM readings a, readings b, readings c", check=2)
    assert "not done within 200ms" in late.stderr, late
    wrong = gateway.agent.run("query", "SELECT men FROM readings", check=2)
    assert wrong.stderr == "weir query: no such column: men\n  SELECT men FROM readings\n         ^\n", wrong
    for sql in ("DELETE FROM readings", f"ATTACH '{gateway.agent.config}' AS x", "PRAGMA page_size"):
        assert gateway.agent.run("query", sql, check=2).stdout == ""
    hostile = gateway.agent.run("query", "SELECT char(27) || '[31m' AS x", check=0)
    assert hostile.stdout == "x\n\\x1b[31m\n", hostile
    for words in (["heads"], ["heads", "9", "0", "0", "0"], ["bodies", "2"], ["bodies", "2", "x"], ["nonsense"], ["heads", "2", "-1", "0", "0"]):
        raw = ask(gateway.agent.directory / "weir.sock", ["history", *words])
        assert raw.startswith(b"2\nhistory: "), raw
    assert ask(gateway.agent.directory / "weir.sock", ["history", "bodies", "2", "999999"]) == b"0\n999999 0\n"
    wait_for("all descriptors to be closed", lambda: len(os.listdir(descriptors)) <= before)
    assert gateway.agent.stop() == 0


def ask(path, words):
    """The control socket's own words: agent/control/control_server.h."""
    import socket
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"".join(word.encode() + b"\0" for word in words))
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


if __name__ == "__main__":
    harness.main()
