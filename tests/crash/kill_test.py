"""kill -9 under load, at random points and at chosen system calls; then the ledger against the generator's own count.

What must hold: nothing committed is missing at the receiver; and what the generator sent, less the distinct readings at the receiver, is
what is booked as dropped(crash), plus at most what was sent after the counts of the last commit or lay unread in the socket.
"""
import json
import os
import pathlib
import random
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402

KILLS = int(os.environ.get("WEIR_KILLS", "10"))
RATE = 3000
SOCKET_SLACK_NS = 150_000_000  # readings that were written before the counts were taken, and lay unread in the socket

CONFIG = """
node: {{id: gw-crash}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 300ms}}
rules: ["{rules}"]
store: {{path: store, budget: 16MB, max_loss: 500ms}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 1s}}
control: {{socket: weir.sock}}
log: {{level: debug, format: json}}
"""

RULES = """
weir: 1
rules:
  - {rule: high, when: gen > 900, by: s, deadband: 100}
"""


def last_counted_ns(log):
    """The wall time up to which the books of the last commit are complete; 0 if it never committed."""
    counted = 0
    for line in log.splitlines():
        if '"committed"' in line:
            try:
                counted = max(counted, json.loads(line)["counted_ns"])
            except (ValueError, KeyError):
                pass  # the last line of a killed process may be cut
    return counted


def committed_keys(store):
    """(epoch, seq) of every segment in the store: what was committed and is kept as history."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    keys = {seq for (seq,) in connection.execute("select id & ((1 << 56) - 1) from seg")}
    connection.close()
    return keys


def ways(number):
    """How each run dies: a preloaded environment, or None for a kill at a random moment."""
    seed = int(os.environ.get("WEIR_SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}")
    chance = random.Random(seed)
    for i in range(number):
        if i % 3 == 1:
            yield {"WEIR_SHIM_KILL_SYNC": str(chance.randint(1, 60))}, 6.0
        elif i % 5 == 3:
            yield {"WEIR_SHIM_KILL_AFTER_PUBACK": str(chance.randint(1, 30))}, 6.0
        else:
            yield None, chance.uniform(0.2, 4)


def run_until_killed(agent, shim, way, seconds):
    env = dict(way or {})
    if way:
        env["LD_PRELOAD"] = str(shim)
    start = len(agent.log())
    agent.start(env=env, ready=False)
    if way:
        try:
            agent.process.wait(seconds)
        except Exception:
            agent.process.kill()  # the chosen call did not come in time: then it is a kill like any other
    else:
        time.sleep(seconds)
        agent.process.kill()
    code = agent.process.wait()
    assert code == -9, f"the agent ended with {code} instead of being killed:\n{agent.log()[start:]}"
    agent.process = None
    return agent.log()[start:]


def test_kill_nine_under_load(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    subscriber = lab.add(laboratory.Subscriber(broker.local_port, lab.weir))
    line = laboratory.free_port()
    rules = lab.directory / "rules.yaml"
    rules.write_text(RULES)
    agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "agent",
                                     CONFIG.format(line=line, broker=broker.port, certs=certs, rules=rules)))
    generator = lab.add(laboratory.Generator(line, RATE))
    generator.start()
    shim = next(lab.build.rglob("libweir_shim.so"))
    unbooked_at_most = 0
    for way, seconds in ways(KILLS):
        began_ns = time.time_ns()
        log = run_until_killed(agent, shim, way, seconds)
        killed_ns = time.time_ns()
        since = (last_counted_ns(log) or began_ns) - SOCKET_SLACK_NS
        unbooked_at_most += sum(lines for stamp, lines in list(generator.writes) if since <= stamp <= killed_ns)
    agent.start()
    generator.stop()
    laboratory.wait_for("the outbox to drain", lambda: drained(agent), 30, 0.2)
    audit = agent.audit()
    assert audit["balanced"], json.dumps(audit, indent=1)
    window = next(a for a in audit["accounts"] if a["window"] == "s1")
    intake = next(a for a in audit["accounts"] if a["window"] == "intake")
    booked = window["books"].get("dropped(crash)", 0) + intake["books"].get("dropped(crash)", 0)
    subscriber.catch_up()
    arrived = subscriber.total()
    missing = generator.sent - arrived
    print(f"{KILLS} kills: sent {generator.sent}, arrived {arrived}, missing {missing}, booked {booked}, "
          f"not booked {missing - booked} <= {unbooked_at_most}, duplicates dropped {subscriber.duplicates}")
    assert booked <= missing, "more was booked as lost than is missing"
    assert missing - booked <= unbooked_at_most, "readings are missing that no book explains"
    assert agent.stop() == 0
    agent.start()  # a clean stop tells of losses, in a record that goes with the next start
    laboratory.wait_for("the outbox to drain", lambda: drained(agent), 30, 0.2)
    assert agent.stop() == 0
    subscriber.catch_up()
    received = {seq for (_, _, seq) in subscriber.keys}
    lost = committed_keys(lab.directory / "agent/store/outbox.db") - received
    assert not lost, f"committed, but never received: {sorted(lost)[:20]}"
    assert not subscriber.errors, subscriber.errors[:3]
    assert subscriber.alarms, "no alarm arrived"


def test_kill_while_the_store_is_made(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    shim = next(lab.build.rglob("libweir_shim.so"))
    rules = lab.directory / "rules.yaml"
    rules.write_text(RULES)
    for sync in (1, 2, 3, 4, 6, 9):
        agent = lab.add(laboratory.Agent(lab.weir, lab.directory / f"agent{sync}",
                                         CONFIG.format(line=laboratory.free_port(), broker=1, certs=certs, rules=rules)))
        agent.start(env={"LD_PRELOAD": str(shim), "WEIR_SHIM_KILL_SYNC": str(sync)}, ready=False)
        code = agent.process.wait(20)
        assert code == -9, f"sync {sync}: ended with {code}"
        agent.start()
        assert agent.audit()["balanced"]
        assert agent.stop() == 0


def drained(agent):
    """Nothing is open, and nothing waits to be sent."""
    in_the_house = sum(a.get("open", 0) + a.get("held", 0) + a.get("in_channel", 0) for a in agent.audit()["accounts"])
    return in_the_house == 0 and agent.status()["outbox"]["segments"] == 0


if __name__ == "__main__":
    harness.main()
