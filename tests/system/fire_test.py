"""The central side under fire: two weir-receive on one shared subscription and one PostgreSQL, nodes of both formats and both versions of MQTT.
Receivers are killed and restarted, links break, the broker is restarted while a receiver is dead, PostgreSQL is killed, a node is killed; in an order
that the printed seed decides. Afterwards PostgreSQL holds each reading once, by the generators' own count, and `weir-receive --audit` balances for each node.

Then what must be seen is seen: a broker that is killed with messages it had acknowledged, and a row that somebody deleted.
WEIR_EVENTS says how many troubles there are, WEIR_SEED which.
"""
import os
import pathlib
import random
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
import receiver as receiving  # noqa: E402
from central import Gateway, audited, setting  # noqa: E402
from lab import wait_for  # noqa: E402
from postgres import Postgres  # noqa: E402
from receiver import Receiver  # noqa: E402

EVENTS = int(os.environ.get("WEIR_EVENTS", "12"))
RATE = 400


class Central:
    """Everything but the nodes, and the troubles that it can have."""

    def __init__(self, lab, chance):
        self.lab, self.chance = lab, chance
        self.certs, self.broker, _ = setting(lab, persistence=True)
        self.postgres = lab.add(Postgres()).start()
        self.nodes_link = lab.add(laboratory.Proxy(self.broker.port))
        self.receivers_link = lab.add(laboratory.Proxy(self.broker.port))
        words = ["--broker", f"mqtts://127.0.0.1:{self.receivers_link.port}", "--ca", self.certs / "ca.pem", "--cert", self.certs / "client.pem",
                 "--key", self.certs / "client.key", "--group", "central", "--to", self.postgres.url()]
        self.receivers = [Receiver(lab, name, words).start() for name in "ab"]
        self.gateways = [Gateway(lab, "gw-1", self.certs, self.nodes_link.port, "segment", "5", RATE),
                         Gateway(lab, "gw-2", self.certs, self.nodes_link.port, "json", "5", RATE),
                         Gateway(lab, "gw-3", self.certs, self.nodes_link.port, "segment", "3.1.1", RATE)]
        self.crashing = Gateway(lab, "gw-4", self.certs, self.nodes_link.port, "json", "3.1.1", RATE)
        for gateway in (*self.gateways, self.crashing):
            gateway.start()
        wait_for("the tables", lambda: self.postgres.query("select to_regclass('weir.aggregate')")[0][0], 30, 0.1)

    def total(self, name):
        return self.postgres.number("select sum(n + bad) from weir.aggregate a join weir.series s on s.id = a.series " f"where s.node = '{name}'")

    # -- troubles: each leaves everything running

    def receiver_killed(self):
        receiver = self.chance.choice(self.receivers)
        receiver.kill()
        time.sleep(self.chance.uniform(0, 0.5))
        receiver.start()

    def both_receivers_killed(self):
        for receiver in self.receivers:
            receiver.kill()
            time.sleep(self.chance.uniform(0, 0.3))
        for receiver in self.receivers:
            receiver.start()

    def nodes_cut_off(self):
        self.break_link(self.nodes_link)

    def receivers_cut_off(self):
        self.break_link(self.receivers_link)

    def break_link(self, link):
        link.cut() if self.chance.random() < 0.7 else link.swallow()
        time.sleep(self.chance.uniform(0.1, 1))
        link.restore()

    def broker_restarted(self):
        """mosquitto 2.0.11 keeps queues over a restart, but not shared subscriptions: until somebody subscribes again, it acknowledges into the void.
        So nodes are kept away until one receiver is back; the other one is killed meanwhile."""
        dead, alive = self.chance.sample(self.receivers, 2)
        self.nodes_link.cut()
        connected = alive.log().count('"msg":"connected"')
        self.broker.stop()
        dead.kill()
        self.broker.start()
        wait_for("a receiver to be back", lambda: alive.alive() and alive.log().count('"msg":"connected"') > connected, 30, 0.05)
        self.nodes_link.restore()
        dead.start()

    def postgres_killed(self):
        self.postgres.kill()
        time.sleep(self.chance.uniform(0, 0.5))
        self.postgres.start()

    def connections_ended(self):
        self.postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'weir-receive'")

    def keys_folded(self):
        self.postgres.query("select weir.compact('0 seconds')")

    def node_killed(self):
        wait_for("something of it that can be lost", lambda: self.total("gw-4"), 30, 0.1)
        self.crashing.agent.kill()
        self.crashing.agent.start()

    def trouble(self, events):
        """Each kind once at least, in any order."""
        kinds = [self.receiver_killed, self.both_receivers_killed, self.nodes_cut_off, self.receivers_cut_off, self.broker_restarted, self.postgres_killed,
                 self.connections_ended, self.keys_folded, self.node_killed]
        often = [self.receiver_killed, self.receiver_killed, *kinds]
        troubles = kinds + [self.chance.choice(often) for _ in range(events - len(kinds))]
        self.chance.shuffle(troubles)
        for trouble in troubles:
            print(trouble.__name__, end=" ", flush=True)
            time.sleep(self.chance.uniform(0, 0.4))
            trouble()
        print()


def holds_each_once(central):
    names = [gateway.name for gateway in (*central.gateways, central.crashing)]
    for gateway in central.gateways:
        sent = gateway.finish()
        wait_for(f"all of {gateway.name}: {sent}", lambda: central.total(gateway.name) >= sent, 60, 0.2)
    central.crashing.finish()
    assert central.crashing.agent.stop() == 0  # a clean stop does not wait to tell of losses
    central.crashing.agent.start()
    code, audit, last = audited(central.lab, central.postgres.url(), names)
    assert code == 0 and audit["balanced"], audit
    for gateway in central.gateways:
        assert central.total(gateway.name) == gateway.sent, (gateway.name, central.total(gateway.name), gateway.sent)
        assert last[gateway.name]["books"]["taken"] == gateway.sent, last[gateway.name]
    for name in names:
        books = last[name]["books"]
        assert last[name]["arrived"] == last[name]["stored"] == central.total(name), (name, last[name])
        assert books["taken"] == books["stored"] + sum(n for book, n in books.items() if book.startswith("dropped(")), books
    lost_of_the_killed_one(central, last["gw-4"])
    lost = str(last["gw-4"]["books"]["dropped(crash)"])
    told = str(int(lost) + central.postgres.number("select sum(readings) from weir.lost where node = 'gw-4' and window_name = 'intake'"))
    assert standing(central) == [["gw-1", "online", "0", "{}", "0", "0", "0"], ["gw-2", "online", "0", "{}", "0", "0", "0"],
                                 ["gw-3", "online", "0", "{}", "0", "0", "0"],
                                 ["gw-4", "online", lost, f'{{"dropped(crash)": {lost}}}', told, "0", "0"]], standing(central)


def standing(central):
    return central.postgres.query("select node, state, lost, reasons, told, held, off from weir.standing order by node")


def lost_of_the_killed_one(central, epoch):
    """What it says of itself is what the view says: whose, how many, when, why."""
    lost = epoch["books"]["dropped(crash)"]
    assert lost > 0, epoch
    rows = wait_for("the gap record", lambda: central.postgres.query(
        "select sum(readings), min(reason), max(reason), min(source), min(window_name), bool_and(until >= since and until <= now()) from weir.lost "
        "where node = 'gw-4' and window_name = 's1' having sum(readings) > 0"), 20, 0.2)
    assert rows == [[str(lost), "crash", "crash", "floor", "s1", "t"]], (rows, lost)
    assert central.postgres.query("select count(*) from weir.lost where node <> 'gw-4'") == [["0"]]


def what_a_broker_loses_is_seen(central):
    """It acknowledges, keeps in memory, and is killed."""
    gateway = central.gateways[0]
    for receiver in central.receivers:
        assert receiver.stop() == 0
    gateway.generate()
    wait_for("some readings", lambda: gateway.generator.sent > RATE / 2)
    sent = gateway.finish()
    central.broker.kill()
    central.broker.start()
    for receiver in central.receivers:
        receiver.start()
    code, audit, last = audited(central.lab, central.postgres.url(), [g.name for g in (*central.gateways, central.crashing)], time.time_ns())
    missing = sent - central.total(gateway.name)
    assert code == 1 and missing > 0 and last[gateway.name]["off"] == missing, (missing, audit)
    assert [epoch["node"] for epoch in audit["epochs"] if not epoch["balanced"]] == [gateway.name], audit
    return missing


def what_somebody_deletes_is_seen(central, missing_before):
    central.gateways[1].generate()  # its keys may all be folded
    wait_for("some readings", lambda: central.gateways[1].generator.sent > RATE / 2)
    sent = central.gateways[1].finish()
    wait_for("all of it", lambda: central.total("gw-2") >= sent, 30, 0.1)
    audited(central.lab, central.postgres.url(), ["gw-2"], time.time_ns())
    [[seq, readings]] = central.postgres.query(
        "delete from weir.segment where (node, epoch, seq) = (select node, epoch, seq from weir.segment where node = 'gw-2' and readings > 0 "
        "order by seq desc limit 1) returning seq, readings")
    off = receiving.run(central.lab, "--audit", "--to", central.postgres.url())
    assert off.returncode == 1 and off.stdout.endswith("2 epochs are off or cannot be checked\n"), off
    of_node = {text.split(":")[0]: text for text in off.stdout.split("riga/")[1:]}
    holes = [range(int(first), int(last) + 1) for first, last in re.findall(r"(\d+) to (\d+)", of_node["gw-2"].partition("not here: segments ")[2])]
    assert f"OFF BY {readings}: " in of_node["gw-2"] and any(int(seq) in hole for hole in holes), off.stdout
    assert f"OFF BY {missing_before}: " in of_node["gw-1"] and "not here: segments " in of_node["gw-1"], off.stdout
    assert "OFF BY" not in of_node["gw-3"] + of_node["gw-4"], off.stdout
    assert [row[-1] for row in standing(central)] == [str(missing_before), readings, "0", "0"], standing(central)


def test_the_central_side_under_fire(lab):
    seed = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1_000_000)))
    print(f"WEIR_SEED={seed} WEIR_EVENTS={EVENTS}")
    central = Central(lab, random.Random(seed))
    central.trouble(EVENTS)
    holds_each_once(central)
    what_somebody_deletes_is_seen(central, what_a_broker_loses_is_seen(central))
    for receiver in central.receivers:
        assert receiver.stop() == 0, receiver.log()[-2000:]
        assert not list(receiver.directory.glob("weir-receive-quarantine/*")), "something was put aside"
    print(", ".join(f"{gateway.name} sent {gateway.sent}" for gateway in central.gateways))


if __name__ == "__main__":
    harness.main()
