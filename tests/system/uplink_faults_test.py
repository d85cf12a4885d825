"""Seeded faults between the agent and a real broker, message by message (tests/support/faulty_link.py): whatever is lost, repeated, held up, exchanged or torn, and
however a connection falls silent, each segment arrives, what comes twice is the same byte by byte under the same key, and the books balance.

WEIR_SEED repeats a run, WEIR_ROUNDS says how many (tests/soak/link-faults).
"""
import itertools
import json
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import faulty_link  # noqa: E402
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from faulty_link import DOWN, UP  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-faults, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: all, forward: changes, of: "*"}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 100ms}}
uplink: {{broker: "mqtt://127.0.0.1:{broker}", version: "{version}", format: {form}, retry_max: 1s, connect_timeout: 1s, window: {window}}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: high, when: "temp > 50", auto_ack: true}
"""
CONNECTIONS = 4  # that are faulty, in a round
LINES = 20       # of a burst
MESSAGES = (lambda dice: faulty_link.TWICE, lambda dice: faulty_link.late(dice.uniform(0.001, 0.05)),
            lambda dice: faulty_link.behind(dice.randint(1, 4)))
BREAKS = [(UP, faulty_link.TEAR), (DOWN, faulty_link.TEAR), (UP, faulty_link.CUT), (DOWN, faulty_link.CUT)]
SILENCES = [(UP, faulty_link.DEAF), (DOWN, faulty_link.DEAF), (UP, faulty_link.VANISH), (DOWN, faulty_link.VANISH)]


class Plan:
    """What happens on one connection: a third of its messages suffer, then some are lost, and after so many it ends in the way that it is given. What is lost comes
    late in its life: a client that waits for an answer says nothing more."""

    def __init__(self, dice, faults, end):
        self.dice, self.faults, self.end = dice, faults, end
        self.left = dice.randint(8, 24)  # messages until then
        self.may_lose = self.left // 3   # of the last ones
        self.gone = False

    def __call__(self, way, packet):
        if packet.kind == "CONNACK" and self.dice.random() < 0.1:
            return self.dice.choice((faulty_link.LOSE, faulty_link.late(0.2)))
        if packet.kind not in ("PUBLISH", "PUBACK") or self.gone:
            return None
        self.left -= 1
        if self.left <= 0 and way == self.end[0]:
            self.gone = True
            return self.end[1]
        if self.dice.random() > 0.35:
            return None
        return faulty_link.LOSE if self.left < self.may_lose else next(self.faults)(self.dice)


class Round:
    def __init__(self, lab, seed):
        self.dice = random.Random(seed)
        breaks, silences = self.dice.sample(BREAKS, 4), self.dice.sample(SILENCES, 4)
        self.ends = itertools.cycle([end for pair in zip(breaks, silences) for end in pair])
        self.faults = itertools.cycle(self.dice.sample(MESSAGES, len(MESSAGES)))
        version = ("5", "3.1.1")[seed % 2]
        self.broker = lab.add(laboratory.Broker(lab.directory / "broker", laboratory.make_certs(lab.directory / "certs"))).start()
        self.payloads = {}
        self.changed = []
        self.cluster = lab.add(laboratory.Subscriber(self.broker.local_port, lab.weir, on_message=self._look))
        self.link = lab.add(faulty_link.FaultyLink(self.broker.local_port, self._new_plan))
        self.line = laboratory.free_port()
        config = CONFIG.format(line=self.line, broker=self.link.port, version=version, form=self.dice.choice(("segment", "json")), window=self.dice.choice((4, 32)))
        (lab.directory / "agent").mkdir()
        (lab.directory / "agent" / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "agent", config))
        self.level = {"5": 5, "3.1.1": 4}[version]
        self.sent = 0
        self.raised = []

    def _new_plan(self):
        return Plan(random.Random(self.dice.random()), self.faults, next(self.ends))

    def _look(self, message):
        """One key has one payload, for ever."""
        pairs = dict(getattr(getattr(message, "properties", None), "UserProperty", None) or [])
        levels = message.topic.split("/")
        key = (pairs["epoch"], pairs["seq"]) if "seq" in pairs else tuple(levels[-2:]) if len(levels) > 5 else None
        if key and self.payloads.setdefault(key, message.payload) != message.payload:
            self.changed.append(key)

    def send(self, sender):
        lines = [f"flow,pump={i % 5} value={self.sent + i}" for i in range(LINES)]
        if self.dice.random() < 0.3:
            self.raised.append(1000 + len(self.raised))
            lines += [f"temp value={self.raised[-1]}", f"temp value={len(self.raised) % 40}"]
        sender.send("".join(line + "\n" for line in lines))
        self.sent += len(lines)

    def _told(self):
        with self.cluster.lock:
            return sorted(record["value"] for record in self.cluster.alarms if record["cause"] == "raised")

    def _has_all(self):
        return self.cluster.errors or (self.cluster.total() >= self.sent and len(self._told()) >= len(self.raised))

    def _has_to_suffer(self):
        """Too few connections, or too few that came as far as their faults: on a machine that is slow enough to look silent the cut below comes before them."""
        ended = sum(self.link.did(name) for name in {end.name for _, end in BREAKS + SILENCES})
        return self.link.connections <= CONNECTIONS or ended < 2 or not all(self.link.did(name) for name in ("lose", "twice", "late", "behind"))

    def run(self):
        self.agent.start()
        sender = laboratory.Sender(self.line)
        end = time.monotonic() + 60
        silent_since = (0, time.monotonic())
        while self._has_to_suffer():
            assert time.monotonic() < end, f"the agent does not connect again: {self.link.connections} connections, {self.link.counts}"
            self.send(sender)
            time.sleep(0.02)  # no synchronisation: the pace of the senders
            passed = sum(self.link.counts.values())
            if passed != silent_since[0]:
                silent_since = (passed, time.monotonic())
            elif time.monotonic() > silent_since[1] + 0.4:
                self.link.cut()  # what has gone silent ends: that the agent ends it itself is in uplink_test.py
        self.link.heal()
        wait_for(f"{self.sent} readings and {len(self.raised)} alarms", self._has_all, 30, 0.05)
        wait_for("the outbox to drain", self.agent.drained, 5, 0.05)
        assert not self.cluster.errors and not self.changed, (self.cluster.errors[:3], self.changed[:3])
        assert not self.cluster.gaps, self.cluster.gaps[:3]
        assert self.cluster.total() == self.sent and self._told() == self.raised, "something came that nobody sent"
        audit = self.agent.audit()
        assert audit["balanced"], json.dumps(audit, indent=1)
        books = [account for account in audit["accounts"] if account["window"] == "all"]
        assert sum(account["delivered"] for account in books) == self.sent and len(books) == 1, books
        assert self.agent.stop() == 0
        sender.close()


def test_no_fault_of_a_link_loses_anything(lab):
    seed = int(os.environ.get("WEIR_SEED", time.time_ns() % 1_000_000_007))
    done, duplicates, segments, versions = [], 0, 0, set()
    for i in range(int(os.environ.get("WEIR_ROUNDS", "2"))):
        print(f"WEIR_SEED={seed + i}", flush=True)
        with laboratory.Lab(lab.directory / f"round-{i}", lab.weir) as place:
            place.directory.mkdir()
            one = Round(place, seed + i)
            one.run()
            assert one.link.versions == {one.level}, one.link.versions
        done.append(one.link)
        versions |= one.link.versions
        duplicates += one.cluster.duplicates
        segments += len(one.cluster.keys)
    counts = {name: sum(link.did(name) for link in done) for name in ("pass", "lose", "twice", "late", "behind", "tear", "cut", "deaf", "vanish")}
    print(f"{segments} segments, {duplicates} came again, over {sum(link.connections for link in done)} connections, MQTT {sorted(versions)}: {counts}")
    assert all(counts[name] for name in ("lose", "twice", "late", "behind")) and duplicates > 0, counts
    assert counts["tear"] + counts["cut"] + counts["deaf"] + counts["vanish"] > 1, counts


if __name__ == "__main__":
    harness.main()
