"""What outlives a stop, a kill and a start without a network; and what alarms do: timers without samples, programs, MQTT."""
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-restart, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: w, every: {every}, of: "*", lateness: {lateness}}}
rules: ["rules.yaml"]
store: {{path: {store}, budget: 16MB, max_loss: 500ms}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 1s}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: {socket}.sock}}
log: {{format: json}}
exec_allow: [{allowed}]
"""
ALARMS_ON_DISK_SECONDS = 1.2  # every transition is committed within a second


class Gateway:
    def __init__(self, lab, rules, broker=None, certs=None, name="agent", **changes):
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        certs = certs or laboratory.make_certs(lab.directory / "certs")
        fields = dict(line=self.line, http=self.http, every="1s", lateness="100ms", store="store", certs=certs, socket="weir", allowed="",
                      broker=broker.port if broker else laboratory.free_port())
        directory = lab.directory / name
        directory.mkdir()
        (directory / "rules.yaml").write_text("weir: 1\n" + rules)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(**{**fields, **changes})))
        self.sensor = None

    def start(self):
        self.agent.start()
        self.sensor = laboratory.Sender(self.line)
        return self

    def send(self, *lines):
        self.sensor.send("".join(line + "\n" for line in lines))

    def kill_and_start(self):
        self.agent.kill()
        return self.start()

    def stop_and_start(self):
        assert self.agent.stop() == 0
        return self.start()

    def states(self):
        return {name: (alarm["to"], alarm["transition"]) for name, alarm in self.agent.alarms().items()}

    def state(self, name):
        return self.agent.alarms().get(name, {"to": "normal"})["to"]

    def becomes(self, name, state, seconds=10):
        wait_for(f"{name} to be {state}", lambda: self.state(name) == state, seconds)

    def metric(self, name):
        return self.agent.metrics(self.http)[name]

    def records(self, lab):
        """The aggregates in the store of a stopped agent."""
        store = sqlite3.connect(f"file:{self.agent.directory}/store/outbox.db?mode=ro", uri=True)
        bodies = b"".join(body for (body,) in store.execute("select body from seg where id >= 1 << 56 order by id & ((1 << 56) - 1)"))
        store.close()
        done = subprocess.run([str(lab.weir), "decode", "--format", "weir"], input=bodies, capture_output=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def test_alarms_survive_a_stop_and_a_kill(lab):
    """Starting offline is normal: there is no broker in this test."""
    gateway = Gateway(lab, """
rules:
  - {rule: high, when: "temp > 50", by: room}
  - {rule: hot, when: "oven > 50", latch: true}
  - {rule: smoke, when: "smoke > 50", latch: true}
""").start()
    gateway.send("temp,room=A1 value=99", "temp,room=B2 value=98", "temp,room=C3 value=97", "oven value=99", "smoke value=99")
    wait_for("five alarms", lambda: len(gateway.agent.alarms()) == 5)
    gateway.send("oven value=1", "smoke value=1", "temp,room=C3 value=1")
    gateway.becomes("smoke", "latched_unack")
    for alarm in ("high{room=B2}", "oven", "hot"):
        gateway.agent.run("alarms", "ack", alarm, "--by", "ana", check=1 if alarm == "oven" else 0)
    expected = {"high{room=A1}": "unack", "high{room=B2}": "acked", "high{room=C3}": "rtn_unack", "hot": "latched_ack", "smoke": "latched_unack"}
    wait_for("all states", lambda: {name: state for name, (state, _) in gateway.states().items()} == expected)
    before = gateway.states()
    gateway.stop_and_start()
    assert gateway.states() == before, f"after a clean stop: {gateway.states()}, before: {before}"
    time.sleep(ALARMS_ON_DISK_SECONDS)
    gateway.kill_and_start()
    assert gateway.states() == before, f"after a kill: {gateway.states()}, before: {before}"
    assert gateway.agent.status()["uplink"]["state"] != "online" and gateway.agent.ready()

    gateway.send("temp,room=A1 value=99", "temp,room=B2 value=98")  # what is raised is not raised again
    gateway.send("temp,room=D4 value=99")
    gateway.becomes("high{room=D4}", "unack")
    after = gateway.states()
    assert {name: after[name] for name in before} == before
    gateway.agent.run("alarms", "reset", "hot", check=0)
    gateway.send("temp,room=B2 value=1")
    gateway.becomes("high{room=B2}", "normal")
    assert gateway.state("hot") == "normal"
    time.sleep(ALARMS_ON_DISK_SECONDS)
    gateway.kill_and_start()
    assert set(gateway.states()) == {"high{room=A1}", "high{room=C3}", "high{room=D4}", "smoke"}, "what ended stays ended"
    assert gateway.agent.audit()["balanced"]
    assert gateway.agent.stop() == 0


def test_a_clean_stop_writes_partials_that_merge(lab):
    """Three runs inside one window: its partials have the same series and start, and their sums are the whole."""
    gateway = Gateway(lab, "rules: []\n", every="10s", lateness="2m")
    start_ns = time.time_ns() // 10**10 * 10**10
    sent = 0
    for run in range(3):
        gateway.start()
        gateway.send(*(f"temp,room={room} value={run}.{i:03d} {start_ns + run * 1000 + i}" for i in range(50) for room in ("A", "B")))
        sent += 100
        wait_for("readings", lambda: gateway.agent.status()["engine"]["taken"] >= 100)
        assert gateway.agent.status()["engine"]["open_windows"] == 2
        assert gateway.agent.stop() == 0
    audit = gateway.agent.audit()
    assert audit["balanced"] and audit["clean"]
    account = next(a for a in audit["accounts"] if a["window"] == "w")
    assert account["taken"] == account["held"] == sent and account["dropped_total"] == 0, account
    records = gateway.records(lab)
    assert len(records) == 6 and {r["time_ns"] for r in records} == {start_ns}, records
    for room in ("A", "B"):
        parts = [r for r in records if r["tags"]["room"] == room]
        assert sum(r["n"] + r["bad"] for r in parts) == 150
        assert min(r["min"] for r in parts) == 0 and max(r["max"] for r in parts) == 2.049
        assert abs(sum(r["sum"] for r in parts) - sum(run + i / 1000 for run in range(3) for i in range(50))) < 1e-9


def test_a_second_agent_is_turned_away(lab):
    gateway = Gateway(lab, "rules: []\n").start()
    same = subprocess.run([str(lab.weir), "run", "-c", str(gateway.agent.config)], capture_output=True, text=True, timeout=20)
    assert same.returncode == 2, same
    other = Gateway(lab, "rules: []\n", certs=lab.directory / "certs", name="other", store=gateway.agent.directory / "store", socket="other")
    done = subprocess.run([str(lab.weir), "run", "-c", str(other.agent.config)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "another" in done.stderr, done
    print(json.loads([line for line in done.stderr.splitlines() if '"error"' in line][-1])["error"])
    gateway.send("temp value=1")
    wait_for("the first to go on", lambda: gateway.agent.status()["engine"]["taken"] == 1)
    assert not list((gateway.agent.directory / "store").glob("*quarantine*")), "a busy store is not a broken one"
    assert gateway.agent.stop() == 0


def test_timers_fire_without_samples(lab):
    gateway = Gateway(lab, """
rules:
  - {rule: silent, when: "age(temp) > 700ms", by: room, auto_ack: true}
  - {rule: lost, when: "press > 50", no_data: raise, no_data_after: 1s, auto_ack: true}
  - {rule: slow, when: "press > 5", on_delay: 1500ms, auto_ack: true}
""").start()
    gateway.send("temp,room=A1 value=1", "press value=10")
    for name in ("silent{room=A1}", "lost", "slow"):
        wait_for(f"{name} without another sample", lambda name=name: name in gateway.agent.alarms(), 8)
    assert gateway.agent.alarms()["lost"]["data"] == "stale"
    gateway.send("temp,room=A1 value=1", "press value=1")
    for name in ("silent{room=A1}", "lost", "slow"):
        wait_for(f"the end of {name}", lambda name=name: name not in gateway.agent.alarms(), 5)
    gateway.becomes("silent{room=A1}", "acked")
    assert gateway.agent.stop() == 0


def write_program(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_actions(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    received = []
    lab.add(laboratory.Subscriber(broker.local_port, lab.weir, prefix="plant",
                                  on_message=lambda m: received.append((m.topic, m.qos, json.loads(m.payload)))))
    told = lab.directory / "told"
    ring = write_program(lab.directory / "ring", f'echo "args: $#" >{told}.new; env >>{told}.new; ls -l /proc/$$/fd | grep -e "->" >>{told}.new; mv {told}.new {told}\n')
    hang = write_program(lab.directory / "hang", f"echo $$ >{lab.directory}/pid.new; mv {lab.directory}/pid.new {lab.directory}/pid; sleep 600\n")
    rules = """
rules:
  - rule: high
    when: "temp > 50"
    by: room
    severity: high
    message: "room {room} at {value}; $(touch /tmp/never)"
    respond: "open the door"
    consequence: "it melts"
    time_to_respond: 1h
    then:
      - {at: [raised], exec: {argv: ["PROGRAM", "one"]}}
      - {at: [raised, cleared], mqtt: {topic: "plant/{site}/{node}/{room}", qos: 1}}
  - {rule: endless, when: "oven > 50", then: [{at: [raised], exec: {argv: ["HANG"]}}]}
""".replace("HANG", str(hang))
    gateway = Gateway(lab, rules.replace("PROGRAM", str(ring)), broker=broker, certs=certs, allowed=f'"{ring}", "{hang}"').start()
    wait_for("the uplink", lambda: gateway.agent.status()["uplink"]["state"] == "online")
    gateway.send("oven value=99", "temp,room=A/1 value=99.5")
    wait_for("the program", told.exists)
    lines = told.read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    expected = {"WEIR_RULE": "high", "WEIR_INSTANCE": "room=A/1", "WEIR_CAUSE": "raised", "WEIR_STATE": "unack", "WEIR_SEVERITY": "high",
                "WEIR_VALUE": "99.5", "WEIR_LIMIT": "50", "WEIR_TRANSITION": "1"}
    assert lines[0] == "args: 1" and expected.items() <= variables.items(), lines
    assert variables["WEIR_MESSAGE"].startswith("room A/1 at 99.5") and "LD_PRELOAD" not in variables
    inherited = [line for line in lines if "->" in line and ("socket" in line or "anon_inode" in line or "outbox" in line)]
    assert any("/dev/null" in line for line in lines) and not inherited, lines

    wait_for("the alarm on the user's topic", lambda: received)
    topic, qos, alarm = received[0]
    assert topic == "plant/riga/gw-restart/A_1" and qos == 1, received
    assert alarm["journalled"] in (True, False) and alarm["alarm"] == "high{room=A/1}" and alarm["cause"] == "raised" and alarm["transition"] == 1, alarm
    gateway.send("temp,room=A/1 value=1")
    wait_for("its end", lambda: len(received) == 2)
    assert received[1][2]["cause"] == "cleared" and received[1][2]["id"] == alarm["id"] and received[1][2]["transition"] == 2

    for i in range(10):  # an action waits 50 ms for the disk, then goes unjournalled: one of them must have been quick enough
        time.sleep(0.6)  # the journal groups what comes faster than two a second
        gateway.send(f"temp,room=J{i} value=99")
        wait_for("the alarm", lambda i=i: len(received) == 3 + i)
        if received[-1][2]["journalled"]:
            break
    assert received[-1][2]["journalled"], "no alarm was journalled before it was published"

    program = int((lab.directory / "pid").read_text())
    wait_for("the program that hangs to be killed", lambda: gateway.metric("weir_action_programs_killed_total") == 1, 20, 0.2)
    wait_for("it to be gone", lambda: not os.path.exists(f"/proc/{program}"), 5)
    wait_for("it to be counted", lambda: gateway.metric("weir_action_programs_failed_total") == 1, 5)
    wait_for("each program to be counted", lambda: gateway.metric("weir_action_programs_total") == 2 + len(received) - 2, 5)
    assert gateway.agent.stop() == 0

    other = Gateway(lab, rules.replace("PROGRAM", "/bin/rm"), certs=certs, name="other", allowed=f'"{ring}", "{hang}"')
    done = other.agent.run("check", check=1)
    assert "'/bin/rm' is not in the allow-list for exec" in done.stderr and "W328" in done.stderr, done.stderr
    done = subprocess.run([str(lab.weir), "run", "-c", str(other.agent.config)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1, done


if __name__ == "__main__":
    harness.main()
