"""A store breaks while the broker is away: the agent goes on with a fresh one, and what was whole in the old one arrives at the broker under its old keys, by
the generator's own count, while new data arrives too. What is told on the way: status, log, metrics, gap records, audit.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-salvage}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 100ms}}
store: {{path: store, budget: 16MB, max_loss: 200ms}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 1s}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
PAGE = 2048


def hurt(path):
    """Every inner page of a tree, and the first page: of the first there is a copy, of the others there is none."""
    data = bytearray(path.read_bytes())
    inner = [at for at in range(PAGE, len(data), PAGE) if data[at] == 5]
    for at in [0, *inner]:
        data[at : at + PAGE] = bytes(PAGE)
    path.write_bytes(data)
    return len(inner)


def test_what_is_whole_arrives(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = laboratory.Broker(lab.directory / "broker", certs)
    line, http = laboratory.free_port(), laboratory.free_port()
    agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "agent", CONFIG.format(line=line, http=http, broker=broker.port, certs=certs)))
    agent.start()
    generator = lab.add(laboratory.Generator(line, 4000, series=400))
    generator.start()
    wait_for("some segments", lambda: agent.status()["outbox"]["segments"] >= 12, 60, 0.1)
    generator.stop()
    wait_for("all windows to be closed, and on disk",
             lambda: sum(a["held"] for a in agent.audit()["accounts"] if a["window"] == "s1") == generator.sent > 0, 20, 0.1)
    assert agent.stop() == 0

    store = lab.directory / "agent" / "store"
    (store / "outbox.db-wal").unlink()
    print("inner pages:", hurt(store / "outbox.db"))
    lab.add(broker.start())
    subscriber = lab.add(laboratory.Subscriber(broker.local_port, lab.weir))
    agent.start()
    later = lab.add(laboratory.Generator(line, 1000, name="later"))
    later.start()
    wait_for("the salvage", lambda: agent.status()["outbox"]["salvage"]["state"] == "done", 60, 0.1)
    later.stop()
    wait_for("the outbox to drain", agent.drained, 60, 0.1)
    sent = generator.sent + later.sent
    wait_for(f"{sent} readings, {subscriber.total()} came", lambda: subscriber.total() == sent, 10)
    assert not subscriber.errors, subscriber.errors[:3]
    assert len({epoch for _, epoch, _ in subscriber.keys}) == 2 and subscriber.duplicates == 0

    account = next(a for a in agent.audit()["accounts"] if a["window"] == "s1")
    assert account["balanced"] and account["books"]["recovered"] == generator.sent, account
    assert "recovered" in agent.run("audit", check=0).stdout
    salvage = agent.status()["outbox"]["salvage"]
    assert salvage["readings"] == generator.sent and salvage["segments"] >= 12, salvage
    assert "salvage  of a broken store: done" in agent.run("status").stdout
    assert agent.metrics(http)["weir_store_salvaged_readings_total"] == generator.sent
    wait_for("the log to say it", lambda: "a broken store is salvaged, and removed" in agent.log(), 5)
    assert not list(store.glob("outbox.db.corrupt-*")), list(store.iterdir())
    assert agent.stop() == 0  # a clean stop tells what waits to be told
    agent.start()
    wait_for("the gap record", lambda: any(gap["reason"] == "recovered" for gap in subscriber.gaps), 30, 0.1)
    told = [gap for gap in subscriber.gaps if gap["reason"] == "recovered"]
    assert sum(gap["readings"] for gap in told) == generator.sent, json.dumps(told)
    assert agent.stop() == 0


if __name__ == "__main__":
    harness.main()
