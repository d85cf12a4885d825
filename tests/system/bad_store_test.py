"""A store that cannot be used is no reason not to start: the agent raises alarms and carries out actions without one, says so wherever somebody looks, books
what it drops, and takes the store up once it is mended. What a later version made is renamed aside and stays.
"""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-bad}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: all, forward: changes, of: "*"}}
rules: ["rules.yaml"]
file_allow: ["{directory}"]
store: {{path: "{store}", budget: 8MB, max_loss: 200ms}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - rule: hot
    when: "temp > 50"
    by: room
    respond: Open the window
    then: [{at: [raised], file: {path: "DIR/told.jsonl"}}]
"""
NOBODY = 65534


class Gateway:
    """An agent that is not root, whoever runs the test: root may write everywhere."""

    def __init__(self, lab, store="store"):
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        os.chmod(lab.directory, 0o755)
        self.directory = lab.directory / "agent"
        self.directory.mkdir()
        (self.directory / "rules.yaml").write_text(RULES.replace("DIR", str(self.directory)))
        self.weir = shutil.copy(lab.weir, lab.directory / "weir")
        self.agent = lab.add(laboratory.Agent(self.weir, self.directory, CONFIG.format(line=self.line, http=self.http, store=store, directory=self.directory)))
        self.under = ()
        if os.geteuid() == 0:
            os.chown(self.directory, NOBODY, NOBODY)
            self.under = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        self.store = self.directory / store
        self.sent = 0
        self.sender = None

    def give(self, *paths):
        for path in paths if os.geteuid() == 0 else ():
            os.chown(path, NOBODY, NOBODY)

    def start(self, ready):
        self.agent.start(under=self.under, ready=ready)
        wait_for("the agent to answer", lambda: self.agent.run("status", "--json").stdout or self.agent.process.poll(), 20)
        assert self.agent.process.poll() is None, "it does not start"
        self.sender = laboratory.Sender(self.line)
        return self

    def stop(self):
        self.sender.close()
        code = self.agent.stop()
        self.sent = 0
        return code

    def send(self, *lines):
        self.sender.send("".join(line + "\n" for line in lines))
        self.sent += len(lines)

    def status(self):
        done = self.agent.run("status", "--json", check=(0, 1))
        return done.returncode, json.loads(done.stdout)

    def metric(self, name):
        return self.agent.metrics(self.http)[name]

    def account(self):
        audit = self.agent.audit()
        assert audit["balanced"], json.dumps(audit, indent=1)
        return next(a for a in audit["accounts"] if a["window"] == "all")

    def told(self):
        path = self.directory / "told.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    def readyz(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/readyz", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def works_without(self, trouble):
        """Alarms and actions as ever; nothing is kept, all of it is booked, and everybody who asks is told why."""
        told = len(self.told())
        for i in range(100):
            self.send(f"flow value={self.sent}")
        self.send("temp,room=A1 value=99")
        wait_for("the alarm", lambda: self.agent.alarms().get("hot{room=A1}", {}).get("to") == "unack", 10)
        wait_for("its action", lambda: len(self.told()) > told, 10)
        wait_for("all to be dropped", lambda: self.account()["books"].get("dropped(store)") == self.sent, 10)
        account = self.account()
        assert account["taken"] == self.sent and account["held"] == account["open"] == 0, account
        code, status = self.status()
        outbox = status["outbox"]
        assert code == 1 and not status["ready"] and outbox["state"] == "unusable" and outbox["dropped_readings"] == self.sent, status
        assert trouble in outbox["trouble"], outbox
        words = self.agent.run("status", check=1).stdout
        assert f"UNUSABLE: nothing is kept or sent, {self.sent} readings dropped" in words and trouble in words, words
        assert self.metric("weir_store_open") == 0 and self.metric("weir_store_open_failures_total") >= 1
        assert self.metric("weir_store_dropped_readings_total") == self.sent
        assert self.metric("weir_store_dropped_transitions_total") >= 1
        code, text = self.readyz()
        assert code == 503 and trouble in text, (code, text)
        done = self.agent.run("alarms", "ack", "hot", "--by", "ann", check=2)
        assert "no store can be used" in done.stdout + done.stderr, done
        lines = [line for line in self.agent.log().splitlines() if "the agent runs without" in line]
        assert len(lines) == 1 and trouble in lines[0] and json.loads(lines[0])["todo"], lines
        print(json.loads(lines[0])["error"], "->", json.loads(lines[0])["todo"])

    def is_taken_up(self):
        """Once it is mended, all is as if it had been there: books, alarms, readings."""
        dropped = self.sent
        wait_for("the store to be taken up", lambda: self.status()[1]["outbox"]["state"] == "open", 20)
        assert "can be used now" in self.agent.log()
        for i in range(50):
            self.send(f"flow value={i}")
        wait_for("new readings to be kept", lambda: self.account()["held"] == 50, 10)
        account = self.account()
        assert account["taken"] == self.sent and account["books"]["dropped(store)"] == dropped, account
        code, status = self.status()
        assert code == 0 and status["ready"] and status["outbox"]["trouble"] == "", status
        assert self.metric("weir_store_open") == 1 and self.readyz()[0] == 200
        wait_for("the states of alarms to be stored", lambda: self.metric("weir_store_commits_total") >= 2, 10)
        assert self.stop() == 0
        audit = json.loads(self.agent.run("audit", "--json", check=0).stdout)
        assert audit["clean"] and not audit["live"], audit
        account = next(a for a in audit["accounts"] if a["window"] == "all")
        assert account["taken"] == dropped + 50 and account["held"] == 50, account
        self.start(ready=True)
        assert self.agent.alarms()["hot{room=A1}"]["to"] == "acked", "the state that it had when there was no store"
        assert self.stop() == 0


def test_a_directory_that_may_not_be_written_to(lab):
    gateway = Gateway(lab)
    gateway.store.mkdir()
    gateway.store.chmod(0o555)
    gateway.give(gateway.store)
    gateway.start(ready=False).works_without("let the user of the agent write there")
    gateway.store.chmod(0o755)
    gateway.is_taken_up()


def test_a_store_that_may_not_be_written_to(lab):
    """It was there before: its books go on, its readings are still held, an alarm of then is back when the store is."""
    gateway = Gateway(lab).start(ready=True)
    gateway.send("temp,room=B7 value=77", "temp,room=A1 value=60", "flow value=1")
    wait_for("the readings to be held", lambda: gateway.account()["held"] == 3)
    assert gateway.stop() == 0
    gateway.store.chmod(0o555)
    for file in gateway.store.iterdir():
        file.chmod(0o444)
    gateway.start(ready=False)
    assert gateway.agent.alarms() == {}
    gateway.works_without("let the user of the agent write there")
    for file in gateway.store.iterdir():
        file.chmod(0o644)
    gateway.store.chmod(0o755)
    wait_for("the store to be taken up", lambda: gateway.status()[1]["outbox"]["state"] == "open", 20)
    account = gateway.account()
    assert account["taken"] == gateway.sent + 3 and account["held"] == 3 and account["books"]["dropped(store)"] == gateway.sent, account
    wait_for("the alarm of before, and the one of now as it is now", lambda: {name: alarm["to"] for name, alarm in gateway.agent.alarms().items()} ==
             {"hot{room=A1}": "acked", "hot{room=B7}": "unack"}, 10)
    assert gateway.stop() == 0


def test_something_else_is_in_its_place(lab):
    gateway = Gateway(lab)
    (gateway.store / "outbox.db").mkdir(parents=True)
    gateway.give(gateway.store, gateway.store / "outbox.db")
    gateway.start(ready=False).works_without("move away what has its name")
    (gateway.store / "outbox.db").rmdir()
    gateway.is_taken_up()


def test_no_such_directory(lab):
    gateway = Gateway(lab, "mnt/store")
    gateway.start(ready=False).works_without("mount its disk")
    (gateway.directory / "mnt").mkdir()
    gateway.give(gateway.directory / "mnt")
    gateway.is_taken_up()


def test_a_later_version_made_it(lab):
    gateway = Gateway(lab)
    newer = []
    for run in range(3):
        gateway.start(ready=True)
        gateway.send("flow value=1")
        wait_for("a reading to be held", lambda: gateway.account()["held"] == 1)
        assert gateway.stop() == 0
        assert sorted(p.name for p in gateway.store.glob("*.newer-*[0-9]") if p.suffix != ".page1") == sorted(newer)
        with sqlite3.connect(gateway.store / "outbox.db") as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
        gateway.give(*gateway.store.iterdir())
        gateway.start(ready=True)
        line = next(json.loads(line) for line in reversed(gateway.agent.log().splitlines()) if "later version" in line)
        newer.append(line["aside"])
        assert gateway.account()["taken"] == 0, "a fresh store, with fresh books"
        assert gateway.stop() == 0
    assert len(set(newer)) == 3 and all((gateway.store / name).stat().st_size > 4096 for name in newer), newer


def test_the_audit_of_a_stopped_store(lab):
    """By the command, without a config: it proves the books by the segments, and says what is off."""
    gateway = Gateway(lab).start(ready=True)
    for i in range(3):
        gateway.send(f"flow value={i}", f"flow value={i}.5")
        wait_for("a segment of its own", lambda: gateway.account()["held"] == gateway.sent, 10)

    def audit(*words, code):
        done = subprocess.run([gateway.weir, "audit", "--store", str(gateway.store), *words], capture_output=True, text=True, timeout=20)
        assert done.returncode == code, done
        return done

    assert "another process owns it" in audit(code=2).stderr
    assert gateway.stop() == 0
    assert "balanced" in audit(code=0).stdout.splitlines()
    found = json.loads(audit("--json", code=0).stdout)
    account = next(a for a in found["accounts"] if a["window"] == "all")
    assert found["balanced"] and not found["live"] and found["clean"] and account["held"] == account["recounted"] == 6, found
    with sqlite3.connect(gateway.store / "outbox.db") as database:
        key = [row[1] for row in database.execute("PRAGMA table_info(seg)")][0]
        rows = [row[0] for row in database.execute(f"SELECT {key} FROM seg WHERE length(accounts) > 0 ORDER BY {key}")]
        assert len(rows) == 3, rows
        database.execute(f"DELETE FROM seg WHERE {key} = ?", (rows[1],))
    database.close()
    words = audit(code=1).stdout
    assert "floor / all: " in words and "HELD IS OFF: 6 in the books, 4 in its segments" in words and "NOT BALANCED" in words, words
    assert not json.loads(audit("--json", code=1).stdout)["balanced"]
    (gateway.store / "outbox.db").rename(gateway.store / "aside")
    assert "there is no store in" in audit(code=2).stderr
    for file in gateway.store.iterdir():
        file.unlink()
    (gateway.store / "outbox.db").write_text("no database at all")
    assert audit(code=2).stderr.startswith("weir audit: ")


if __name__ == "__main__":
    harness.main()
