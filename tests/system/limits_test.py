"""Limits of the store: a lane over its quota evicts its own and nobody else's, a tight write budget widens windows, both are seen, and outlive a kill."""
import json
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402
from wall import Wall  # noqa: E402

QUOTA = 600_000
WRITES = 4_000_000  # a day: some seconds of this
SERIES = 1000
DAY_S = 86400
CONFIG = """
node: {{id: gw-limits, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: w, every: 1s, of: "temp", lateness: 100ms}}
  - {{name: loads, forward: changes, of: "load"}}
store:
  path: store
  budget: 32MB
  max_loss: 200ms
  write_budget: {writes}B/day
  lanes: {{changes: {{quota: {quota}B}}, windows: {{quota: 10%, ttl: 7d}}}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""


class Noise(threading.Thread):
    """Changes that do not compress, of many series; and some temperatures."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.stopping = threading.Event()

    def run(self):
        dice = random.Random(7)
        sender = laboratory.Sender(self.port)
        while not self.stopping.wait(0.25):
            sender.send("".join(f"load,s={s} value={dice.random() * 10 ** dice.randint(-9, 9)!r}\n" for s in range(SERIES)))
            sender.send("".join(f"temp,s={s} value={dice.random()!r}\n" for s in range(20)))
        sender.close()

    def close(self):
        self.stopping.set()
        self.join(10)


def start(lab, agent, fields, wall):
    agent.start(env=wall.env(lab.build))
    noise = lab.add(Noise(fields["line"]))
    noise.start()
    return noise


def account(audit, window):
    return next(a for a in audit["accounts"] if a["window"] == window)


def test_quota_and_write_budget(lab):
    fields = dict(line=laboratory.free_port(), http=laboratory.free_port(), writes=WRITES, quota=QUOTA)
    directory = lab.directory / "agent"
    directory.mkdir()
    agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(**fields)))
    wall = Wall(lab.directory / "wall", int(time.time() // DAY_S) * DAY_S + 600)
    noise = start(lab, agent, fields, wall)

    def outbox():
        return agent.status()["outbox"]

    wait_for("evictions", lambda: agent.metrics(fields["http"]).get("weir_store_evicted_readings_total", 0) > 0, 60, 0.2)
    metrics = agent.metrics(fields["http"])
    assert metrics['weir_store_lane_bytes{lane="changes"}'] <= QUOTA == metrics['weir_store_lane_quota_bytes{lane="changes"}'], metrics
    assert metrics['weir_store_lane_quota_bytes{lane="windows"}'] == 3_200_000
    assert metrics['weir_store_lane_ttl_seconds{lane="windows"}'] == 7 * 86400
    assert metrics["weir_store_free_bytes"] > 20e6, metrics["weir_store_free_bytes"]
    lanes = outbox()["lanes"]
    assert lanes["changes"]["quota_bytes"] == QUOTA and 0 < lanes["changes"]["bytes"] <= QUOTA and lanes["windows"]["ttl_s"] == 7 * 86400
    assert "of its quota of 600.0 kB" in agent.run("status").stdout

    wait_for("a tight write budget", lambda: outbox()["write_budget"]["level"] in ("slow", "spent"), 120, 0.2)
    wait_for("longer windows", lambda: agent.status()["engine"]["widened"] > 0, 30, 0.2)
    assert "written today" in agent.run("status").stdout
    metrics = agent.metrics(fields["http"])
    assert metrics["weir_store_write_budget_bytes"] == WRITES and metrics["weir_store_write_budget_level"] >= 2
    assert not outbox()["high_water"]
    spent = outbox()["write_budget"]["spent_bytes"]
    assert spent > WRITES / 2, spent

    noise.close()
    agent.stop()
    noise = start(lab, agent, fields, wall)
    wait_for("the lane to be counted", lambda: outbox()["lanes"]["changes"]["bytes"] > QUOTA / 2, 20, 0.1)
    assert outbox()["write_budget"]["spent_bytes"] >= spent
    noise.close()
    audit = agent.audit()
    assert audit["balanced"], audit
    assert account(audit, "loads")["books"]["dropped(evicted)"] > 0
    assert account(audit, "w")["books"].get("dropped(evicted)", 0) == 0, account(audit, "w")
    lines = [line for line in map(json.loads, (text for text in agent.log().splitlines() if text[0] == "{")) if "write budget" in line["msg"]]
    assert 2 <= len([line for line in lines if line["component"] == "store"]) <= 12, lines
    assert any(line["component"] == "engine" for line in lines), lines


if __name__ == "__main__":
    harness.main()
