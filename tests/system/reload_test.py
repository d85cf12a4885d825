"""SIGHUP: a bad config changes nothing, a good one changes only what differs, and nothing is lost meanwhile: what the generator counted is at
the subscriber, and the ledger balances.
"""
import collections
import json
import pathlib
import sys
import urllib.error

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

RATE = 10000
RULE = '{{rule: {name}, when: "temp > {limit}", by: room, auto_ack: {auto_ack}, respond: "open the door"}}'


class Gateway:
    """An agent whose config is put together from parts, so that a test changes one of them at a time."""

    def __init__(self, lab):
        self.certs = laboratory.make_certs(lab.directory / "certs")
        self.broker = lab.add(laboratory.Broker(lab.directory / "broker", self.certs)).start()
        self.windows_arrived = collections.Counter()  # length of the window -> readings
        self.cluster = lab.add(laboratory.Subscriber(self.broker.local_port, lab.weir, on_segment=self.count))
        self.line = laboratory.free_port()
        directory = lab.directory / "agent"
        self.rules = directory / "rules.yaml"
        self.parts = {
            "node": "{id: gw-reload}",
            "sources": {"floor": self.listen(self.line)},
            "windows": {"s1": '{name: s1, every: 1s, of: "*", lateness: 200ms}'},
            "rules": '["rules.yaml"]',
            "store": "{path: store, budget: 16MB, max_loss: 500ms}",
            "uplink": self.uplink("segment"),
            "http": f'{{listen: "127.0.0.1:{laboratory.free_port()}"}}',
            "control": "{socket: weir.sock}",
            "log": "{format: json}",
            "limits": "{max_series: 1000}",
        }
        directory.mkdir()
        self.write_rules(high=50)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, self.text())).start()
        self.sensor = laboratory.Sender(self.line)

    def count(self, segment):
        if segment.kind == "aggregates":
            for record in segment.records:
                self.windows_arrived[record["window_ns"] // 10**9] += record["n"] + record["bad"]

    def listen(self, port, extra="", name="floor"):
        return f'{{name: {name}, kind: line, listen: "tcp://127.0.0.1:{port}"{extra}}}'

    def uplink(self, form):
        return (f'{{broker: "mqtts://127.0.0.1:{self.broker.port}", ca: "{self.certs}/ca.pem", cert: "{self.certs}/client.pem",'
                f' key: "{self.certs}/client.key", retry_max: 1s, format: {form}}}')

    def text(self):
        lines = []
        for key, part in self.parts.items():
            if isinstance(part, dict):
                lines += [f"{key}:"] + [f"  - {item}" for item in part.values()]
            elif part:
                lines.append(f"{key}: {part}")
        return "\n".join(lines) + "\n"

    def write_rules(self, auto_ack="false", **limits):
        rules = "\n".join("  - " + RULE.format(name=name, limit=limit, auto_ack=auto_ack) for name, limit in limits.items())
        self.rules.write_text("weir: 1\nrules:" + ("\n" + rules if rules else " []") + "\n")

    def reload(self, text=None):
        self.agent.config.write_text(text or self.text())
        return self.agent.reload()

    def takes(self, what):
        """A reload that must work; `what` is what it says that changed."""
        report = self.reload()
        assert report["msg"] == "done" and what in report["changed"], (what, report)

    def refuses(self, why, text=None):
        report = self.reload(text)
        assert report["msg"].startswith("refused") and why in report["error"], (why, report)

    def metric(self, name):
        return self.agent.metrics(int(self.parts["http"].split(":")[-1].rstrip('"}')))[name]

    def account(self, source, window):
        return next((a for a in self.agent.audit()["accounts"] if (a["source"], a["window"]) == (source, window)), None)

    def balance(self):
        wait_for("the outbox to drain", self.agent.drained, 20, 0.1)
        audit = self.agent.audit()
        assert audit["balanced"], json.dumps(audit, indent=1)
        assert sum(a["dropped_total"] for a in audit["accounts"] if a["window"] != "none") == 0, json.dumps(audit, indent=1)
        assert not self.cluster.errors, self.cluster.errors[:3]
        return audit


def test_what_is_refused_changes_nothing(lab):
    gateway = Gateway(lab)
    generator = lab.add(laboratory.Generator(gateway.line, RATE))
    generator.start()
    gateway.sensor.send("temp,room=A1 value=99\n")
    wait_for("the alarm", lambda: "high{room=A1}" in gateway.agent.alarms())
    good = gateway.text()
    gateway.refuses("errors in the config", good.replace("kind: line", "kind: lime"))
    gateway.refuses("errors in the config", "node: {")
    for before, after, why in (("id: gw-reload", "id: gw-other", "node.id needs a restart"),
                               ("path: store", "path: elsewhere", "store.path needs a restart"),
                               ("budget: 16MB", "budget: 17MB", "store.budget needs a restart"),
                               ("weir.sock", "other.sock", "control.socket needs a restart"),
                               ("max_series: 1000", "max_series: 1001", "limits.max_series needs a restart")):
        assert before in good
        gateway.refuses(why, good.replace(before, after))
    rules = gateway.rules.read_text()
    gateway.rules.write_text(rules.replace("temp >", "temp > >"))
    gateway.refuses("errors in the config or rules", good)
    gateway.rules.write_text(rules)
    gateway.agent.config.unlink()
    assert gateway.agent.reload()["msg"].startswith("refused")
    assert gateway.reload(good)["msg"] == "done"
    assert gateway.metric("weir_reload_failures_total") == 9 and gateway.metric("weir_reloads_total") == 1
    assert "high{room=A1}" in gateway.agent.alarms()
    # Refused late, for its many accounts: those that it had been given by then are free again.
    sources, windows = dict(gateway.parts["sources"]), dict(gateway.parts["windows"])
    gateway.parts["sources"] = {i: f'{{name: many{i}, kind: line, listen: "unix://many{i}.sock"}}' for i in range(32)}
    gateway.parts["windows"] = {i: f'{{name: w{i}, every: {i + 2}s, of: "*"}}' for i in range(30)}
    gateway.refuses("more than 1024 ledger accounts", gateway.text())
    gateway.parts["sources"], gateway.parts["windows"] = {**sources, "one more": '{name: more, kind: line, listen: "unix://more.sock"}'}, windows
    gateway.takes("source")
    generator.stop()
    assert {account["source"] for account in gateway.balance()["accounts"]} == {"floor", "more"}
    wait_for("all readings", lambda: gateway.cluster.total() == generator.sent + 1, 5)
    assert gateway.agent.stop() == 0


def test_alarms_keep_their_state(lab):
    gateway = Gateway(lab)
    gateway.sensor.send("temp,room=A1 value=99\ntemp,room=B2 value=98\ntemp,room=C3 value=55\n")
    wait_for("three alarms", lambda: len(gateway.agent.alarms()) == 3)
    gateway.agent.run("alarms", "ack", "high{room=A1}", "--by", "ana", check=0)

    gateway.write_rules(high=60)  # only the limit: ack is kept, and nothing is raised again
    assert gateway.reload()["msg"] == "done"
    gateway.sensor.send("temp,room=A1 value=99\ntemp,room=B2 value=98\ntemp,room=C3 value=55\n")
    wait_for("C3 to clear", lambda: gateway.agent.alarms().get("high{room=C3}", {}).get("to") == "rtn_unack")
    alarms = gateway.agent.alarms()
    assert alarms["high{room=A1}"]["to"] == "acked" and alarms["high{room=B2}"]["to"] == "unack", alarms

    gateway.write_rules(high=60, other=97)  # another rule beside it
    assert gateway.reload()["msg"] == "done"
    gateway.sensor.send("temp,room=A1 value=99\n")
    wait_for("the new rule", lambda: "other{room=A1}" in gateway.agent.alarms())
    assert gateway.agent.alarms()["high{room=A1}"]["to"] == "acked"

    gateway.write_rules(other=97)
    assert gateway.reload()["msg"] == "done"
    assert list(gateway.agent.alarms()) == ["other{room=A1}"]
    wait_for("the journal of what was closed", lambda: {a["alarm"] for a in gateway.cluster.alarms if a["cause"] == "rule_changed"}
             >= {"high{room=A1}", "high{room=B2}"})
    raised = collections.Counter(a["alarm"] for a in gateway.cluster.alarms if a["cause"] == "raised")
    assert max(raised.values()) == 1, f"raised again by a reload: {raised}"
    gateway.write_rules()
    assert gateway.reload()["msg"] == "done"
    assert gateway.agent.alarms() == {}
    assert gateway.agent.stop() == 0


def test_a_listener_whose_address_is_in_use_is_tried_again(lab):
    gateway = Gateway(lab)
    blocked = lab.add(laboratory.SilentServer())
    gateway.parts["sources"]["second"] = gateway.listen(blocked.port, name="second")
    assert gateway.reload()["msg"] == "done in part"
    assert [source["running"] for source in gateway.agent.status()["sources"]] == [True, False]
    blocked.close()
    assert gateway.reload()["msg"] == "done"
    laboratory.Sender(blocked.port).close()
    blocked_http = lab.add(laboratory.SilentServer())
    gateway.parts["http"] = f'{{listen: "127.0.0.1:{blocked_http.port}"}}'
    assert gateway.reload()["msg"] == "done in part"
    blocked_http.close()
    assert gateway.reload()["msg"] == "done"


def test_ten_reloads_under_load(lab):
    """The source under load is the one that does not change; sources, windows, rules, uplink and HTTP around it do."""
    gateway = Gateway(lab)
    generator = lab.add(laboratory.Generator(gateway.line, RATE))
    generator.start()
    sources, windows = gateway.parts["sources"], gateway.parts["windows"]
    second, third = laboratory.free_port(), laboratory.free_port()
    old_http, new_http = gateway.parts["http"], f'{{listen: "127.0.0.1:{laboratory.free_port()}"}}'
    by_hand = 0

    def send_to(port, source):
        nonlocal by_hand
        before = (gateway.account(source, "intake") or {"received": 0})["received"]
        sender = laboratory.Sender(port)
        sender.send("".join(f"hand,i={i} value={i}\n" for i in range(100)))
        by_hand += 100
        wait_for(f"what was sent to {source}", lambda: gateway.account(source, "intake")["received"] == before + 100)
        return sender

    sources["second"] = gateway.listen(second, name="second")
    gateway.takes("+second")
    open_connection = send_to(second, "second")
    sources["second"] = gateway.listen(third, name="second")
    gateway.takes("~second")
    open_connection.socket.settimeout(5)
    assert open_connection.socket.recv(1) == b"", "a connection of a source that changed is closed"
    send_to(third, "second")
    windows["s2"] = '{name: s2, every: 2s, of: "*", lateness: 200ms}'
    gateway.takes("+s2")
    windows["s2"] = '{name: s2, every: 2s, of: "*", lateness: 300ms}'
    gateway.takes("~s2")
    gateway.write_rules(high=60, other=70)
    gateway.takes("rules")
    send_to(third, "second")
    gateway.parts["uplink"] = gateway.uplink("json")
    gateway.takes("uplink")
    wait_for("the uplink to be back", lambda: gateway.agent.status()["uplink"]["state"] == "online")
    gateway.parts["http"] = new_http
    gateway.takes("http")
    gateway.metric("weir_reloads_total")
    try:
        gateway.agent.metrics(int(old_http.split(":")[-1].rstrip('"}')))
        raise AssertionError("the old HTTP address still answers")
    except urllib.error.URLError:
        pass
    del sources["second"]
    gateway.takes("-second")
    gateway.parts["uplink"] = ""
    gateway.takes("uplink")
    assert gateway.agent.status()["uplink"] is None
    gateway.parts["uplink"] = gateway.uplink("segment")
    gateway.takes("uplink")
    assert gateway.metric("weir_reloads_total") == 10

    generator.stop()
    audit = gateway.balance()
    sent = generator.sent + by_hand
    taken_by_s2 = sum(a["taken"] for a in audit["accounts"] if a["window"] == "s2")
    assert 0 < taken_by_s2 < sent
    for window, count in ((1, sent), (2, taken_by_s2)):
        wait_for(f"{count} readings in s{window}, {gateway.windows_arrived[window]} came", lambda w=window, n=count: gateway.windows_arrived[w] == n, 5)
    second = gateway.account("second", "s1")
    assert second["delivered"] == second["taken"] == by_hand, "accounts outlive the config"
    print(f"{sent} readings over ten reloads, {gateway.cluster.duplicates} duplicates dropped")
    assert gateway.agent.stop() == 0
    lines = [json.loads(line) for line in gateway.agent.log().splitlines() if line.startswith("{")]
    assert not [line for line in lines if line["level"] == "error"]


if __name__ == "__main__":
    harness.main()
