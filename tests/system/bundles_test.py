"""Signed bundles of rules over MQTT, with a real mosquitto: put in force, watched, kept or rolled back; all else is refused and changes nothing."""
import base64
import json
import pathlib
import subprocess
import sys

import paho.mqtt.client as mqtt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-7, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 200ms}}
uplink: {{broker: "mqtt://127.0.0.1:{broker}", retry_max: 1s, commands: {{key_file: operators.pub, bundles: {bundles}, health: {health}}}}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
TOPIC = "weir/1/riga/gw-7"
ROOMS = 30


class Gateway:
    """An agent with thirty rooms, one of 40 degrees and the others of 20, one rule of its own, and an operator who is connected to its broker."""

    def __init__(self, lab, health="1h", bundles="true"):
        self.lab, self.number = lab, 0
        certs = laboratory.make_certs(lab.directory / "certs")
        self.broker = lab.add(laboratory.Broker(lab.directory / "broker", certs).start())
        self.directory = lab.directory / "agent"
        self.directory.mkdir()
        self.rules("rules.yaml", own=99)
        self.key, self.foreign = self.make_key("operators"), self.make_key("foreign")
        self.fields = dict(line=laboratory.free_port(), http=laboratory.free_port(), broker=self.broker.local_port, health=health, bundles=bundles)
        self.agent = lab.add(laboratory.Agent(lab.weir, self.directory, CONFIG.format(**self.fields)))
        self.answers = []
        self.client = mqtt.Client(client_id="operator", protocol=mqtt.MQTTv311)
        subscribed = []
        self.client.on_subscribe = lambda *_: subscribed.append(True)
        self.states = []
        self.client.on_message = lambda _client, _user, message: (self.states if message.topic.endswith("/state") else self.answers).append(
            json.loads(message.payload))
        self.client.connect("127.0.0.1", self.broker.local_port)
        self.client.loop_start()
        lab.add(self)
        self.client.subscribe([(f"{TOPIC}/ack", 1), (f"{TOPIC}/state", 1)])
        wait_for("the operator to be subscribed", lambda: subscribed)
        self.start()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def make_key(self, name):
        key = self.directory / f"{name}.key"
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True, capture_output=True)
        key.chmod(0o600)
        subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", self.directory / f"{name}.pub"], check=True, capture_output=True)
        return key

    def start(self):
        self.agent.start()
        self.sender = laboratory.Sender(self.fields["line"])
        wait_for("commands to be heard", lambda: self.commands().get("state") == "heard")
        self.warm()

    def warm(self):
        self.sender.send("".join(f"temp,room=A{room} value={20 if room else 40}\n" for room in range(ROOMS)))

    def commands(self):
        status = self.agent.status()
        return status["uplink"].get("commands", {}) if status and status["uplink"] else {}

    def shows(self, version, on_trial):
        commands = self.commands()
        return (commands.get("bundle"), commands.get("bundle_on_trial")) == (version, on_trial)

    def rules(self, file, **limits):
        path = self.directory / file
        path.write_text("weir: 1\nrules:\n" + "".join(f"  - {{rule: {name}, when: temp > {limit}, by: room}}\n" for name, limit in limits.items()))
        return path

    def sign(self, version, *files, key=None, nodes="gw-*", code=0, more=()):
        done = subprocess.run([self.lab.weir, "sign", "bundle", *files, "--version", str(version), "--nodes", nodes, "--key-file", key or self.key,
                               "--key", f"k{self.number}", *more], capture_output=True, text=True)
        assert done.returncode == code, done
        return done.stdout.rstrip("\n") if code == 0 else done.stderr

    def send(self, message):
        self.client.publish(f"{TOPIC}/cmd", message, qos=1).wait_for_publish()

    def next_answer(self, **wanted):
        def take():
            return next((self.answers.pop(i) for i, answer in enumerate(self.answers) if wanted.items() <= answer.items()), None)
        return wait_for(f"an answer with {wanted}", take)

    def say(self, version, *files, **more):
        self.number += 1
        self.send(self.sign(version, *files, **more))
        return self.next_answer(key=f"k{self.number}")

    def runs(self):
        """The hash on the retained state, when it is what the files say."""
        checked = json.loads(self.agent.run("check", "--json").stdout)["running"]
        wait_for("the hash on state", lambda: self.states and self.states[-1].get("running") == checked)
        assert self.agent.status()["running"] == checked and self.states[-1]["state"] == "online"
        return checked

    def alarms(self, rule):
        return sum(name.startswith(rule + "{") for name in self.agent.alarms())

    def count(self, outcome):
        return self.agent.metrics(self.fields["http"])[f'weir_commands_total{{outcome="{outcome}"}}']


def test_in_force_and_kept(lab):
    gateway = Gateway(lab, health="3s")
    assert gateway.shows(0, False)
    hashes = [gateway.runs()]
    table = gateway.directory / "limits.csv"
    table.write_text("room,limit\nA0,30\n")
    few = gateway.directory / "few.yaml"
    few.write_text('weir: 1\ntables:\n  - {name: limits, csv: limits.csv, key: room}\nrules:\n  - {rule: few, when: "temp > limits.limit", by: room}\n')
    answer = gateway.say(3, few, table)
    assert answer == {"node": "gw-7", "site": "riga", "key": "k1", "bundle": 3, "result": "ok"}, answer
    assert gateway.shows(3, True)
    assert gateway.agent.log().count('"component":"reload","msg":"done","changed":"rules"') == 1
    gateway.warm()
    wait_for("the alarm of its rule", lambda: gateway.alarms("few") == 1)
    assert "bundle 3, on trial" in gateway.agent.run("status").stdout
    assert gateway.next_answer(result="kept") == {"node": "gw-7", "site": "riga", "key": "k1", "bundle": 3, "result": "kept"}
    assert gateway.shows(3, False)
    hashes.append(gateway.runs())
    gateway.rules("rules.yaml", own=98)  # by hand
    assert gateway.agent.reload()["msg"] == "done"
    hashes.append(gateway.runs())

    # The next one replaces it whole; both are there after a kill.
    assert gateway.say(4, gateway.rules("other.yaml", other=15))["result"] == "ok"
    hashes.append(gateway.runs())
    assert len(set(hashes)) == 4
    gateway.agent.kill()
    gateway.start()
    wait_for("its rule after a restart", lambda: gateway.alarms("other") == ROOMS)
    assert gateway.alarms("few") == 0
    assert gateway.next_answer(result="rolled back")["now"] == 3  # thirty alarms where there was one
    wait_for("the rules of before", lambda: gateway.alarms("other") == 0)
    gateway.warm()
    wait_for("the rules of before", lambda: gateway.alarms("few") == 1)
    assert gateway.runs() == hashes[2]
    metrics = gateway.agent.metrics(gateway.fields["http"])
    assert (metrics["weir_bundle_version"], metrics["weir_bundles_rolled_back_total"]) == (3, 1)

    # What was rolled back is not taken a second time, nor anything older.
    assert gateway.say(4, gateway.rules("other.yaml", other=15))["reason"] == "old"
    assert gateway.say(5, few, table)["result"] == "ok"


def test_refused(lab):
    gateway = Gateway(lab)
    good = gateway.rules("good.yaml", good=30)
    assert gateway.say(7, good)["result"] == "ok"
    wait_for("its rule", lambda: (gateway.warm(), gateway.alarms("good") == 1)[1])

    # The same message again is the same answer; another one of that version, or below, is none.
    message = gateway.sign(7, good)
    gateway.send(message)
    assert gateway.next_answer(key="k1")["result"] == "ok"
    for version in (7, 6, 1):
        answer = gateway.say(version, good)
        assert answer["reason"] == "old" and "not above 7" in answer["problem"], answer
    clash = gateway.rules("clash.yaml", own=1)  # a name that the node's own rules have
    answer = gateway.say(8, clash)
    assert answer["reason"] == "rejected" and "own" in answer["problem"] and "clash.yaml" in answer["problem"], answer
    assert gateway.say(8, good, nodes="gw-8,hq-*")["reason"] == "elsewhere"
    assert gateway.say(8, good, more=("--site", "hamburg"))["reason"] == "elsewhere"
    share = share_of("gw-7")
    assert gateway.say(8, good, more=("--percent", str(share)))["reason"] == "not_chosen"

    # Whose signature is not right is not answered.
    gateway.number += 1
    gateway.send(gateway.sign(9, good, key=gateway.foreign))
    whole = gateway.sign(9, good)
    gateway.send(whole[:len(whole) // 2])
    header, payload, signature = whole.split(".")
    body = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).replace(b"temp > 30", b"temp > 31")
    gateway.send(".".join((header, base64.urlsafe_b64encode(body).decode().rstrip("="), signature)))
    wait_for("all to be counted", lambda: gateway.count("signature") == 2 and gateway.count("unsigned") == 1)
    assert gateway.count("old") == 3 and gateway.count("rejected") == 1 and gateway.count("elsewhere") == 2 and gateway.count("not_chosen") == 1
    assert gateway.alarms("good") == 1 and gateway.shows(7, True) and not gateway.answers
    names = {path.name for path in (gateway.directory / "store" / "bundles").iterdir()}
    assert names == {"7", "current", "highest", "trial"}, names

    # A percentage that it is among, and a new trial in place of the one that runs.
    assert gateway.say(8, good, more=("--percent", str(share + 1)))["result"] == "ok"

    # What nobody should sign.
    assert "have errors" in gateway.sign(9, bad(gateway), code=2)
    assert "no rule file" in gateway.sign(9, table(gateway), code=2)
    large = gateway.directory / "large.yaml"
    large.write_text(good.read_text() + "# much to say\n" * 2000)
    assert "longer than" in gateway.sign(9, large, code=2)


def share_of(node):
    number = 14695981039346656037
    for byte in node.encode():
        number = (number ^ byte) * 1099511628211 % 2**64
    return (number ^ number >> 32) % 100


def bad(gateway):
    path = gateway.directory / "bad.yaml"
    path.write_text("weir: 1\nrules:\n  - {rule: bad, when: temp >}\n")
    return path


def table(gateway):
    path = gateway.directory / "table.csv"
    path.write_text("room,limit\nA0,30\n")
    return path


def test_a_part_of_the_config(lab):
    gateway = Gateway(lab, health="2s")
    good = gateway.rules("good.yaml", good=30)
    part = gateway.directory / "part.yaml"

    def windows():
        return json.loads(gateway.agent.run("check", "--json").stdout)["windows"]

    def accounts():
        return {account["window"] for account in json.loads(gateway.agent.run("audit", "--json").stdout)["accounts"] if account["source"] == "floor"}

    # It stands over the config of the gateway, with or without rules, and has a place in the hash.
    hashes = [gateway.runs()]
    part.write_text("windows: [{name: fast, every: 1s}]\nsources: [{name: floor, max_connections: 50}]\n")
    assert gateway.say(1, good, more=("--config", part))["result"] == "ok"
    assert windows() == ["fast"] and "sources: ~floor; windows: +fast; rules" in gateway.agent.log()
    hashes.append(gateway.runs())
    gateway.sender = laboratory.Sender(gateway.fields["line"])
    wait_for("readings in the new window", lambda: (gateway.warm(), "fast" in accounts())[1])
    assert gateway.next_answer(result="kept")["bundle"] == 1
    part.write_text("windows: [{name: fast, every: 2s}]\n")
    assert gateway.say(2, more=("--config", part))["result"] == "ok"
    assert gateway.alarms("good") == 0
    hashes.append(gateway.runs())
    assert len(set(hashes)) == 3

    # Taken back with its rules, also after a kill in the middle of the trial.
    assert gateway.next_answer(result="kept")["bundle"] == 2
    part.write_text("windows: [{name: other, every: 1s}]\n")
    assert gateway.say(3, gateway.rules("many.yaml", many=15), more=("--config", part))["result"] == "ok"
    assert windows() == ["other"]
    gateway.agent.kill()
    gateway.start()
    assert gateway.next_answer(result="rolled back")["now"] == 2
    wait_for("the windows of before", lambda: windows() == ["fast"])
    assert gateway.runs() == hashes[2]

    # What is the gateway's own is not signed, nor taken; what does not fit to this gateway is refused, and nothing changes.
    for text in ("uplink: {rate: 1KB}", "exec_allow: [/bin/sh]", 'sources: [{name: floor, listen: "tcp://0.0.0.0:1"}]', "limits: {max_series: 5}"):
        part.write_text(text + "\n")
        assert "cannot come in a bundle" in gateway.sign(4, good, code=2, more=("--config", part))
    part.write_text("sources: [{name: cellar, max_connections: 5}]\n")
    answer = gateway.say(4, good, more=("--config", part))
    assert answer["reason"] == "rejected" and "weir.config:1:" in answer["problem"] and "kind system" in answer["problem"], answer
    part.write_text("windows: [{name: none, every: 1m}]\n")
    assert "ledger's own" in gateway.say(4, good, more=("--config", part))["problem"]
    assert gateway.runs() == hashes[2] and gateway.shows(2, False)

    # A config that somebody edits so that both do not fit: the agent starts without the bundle.
    part.write_text("sources: [{name: floor, max_connections: 50}]\n")
    assert gateway.say(5, more=("--config", part))["result"] == "ok"
    assert gateway.agent.stop() == 0
    config = gateway.directory / "weir.yaml"
    config.write_text(config.read_text().replace("name: floor", "name: ground"))
    assert gateway.agent.run("check").returncode == 1 and gateway.agent.run("check", "--start").returncode == 0
    gateway.start()
    assert "the agent runs without it" in gateway.agent.log()
    assert gateway.agent.run("audit").returncode == 0


def test_it_does_not_keep_the_agent_from_starting(lab):
    gateway = Gateway(lab)
    assert gateway.say(1, gateway.rules("good.yaml", good=30))["result"] == "ok"
    # An agent that is started again and again with it on trial goes back to what was before.
    for _ in range(3):
        gateway.agent.kill()
        gateway.start()
        assert gateway.shows(1, True)
    gateway.agent.kill()
    gateway.start()
    assert gateway.shows(0, False) and "rolled back: the agent was started too often" in gateway.agent.log()
    # One that clashes with what somebody wrote into the config meanwhile is left out.
    assert gateway.say(2, gateway.rules("good.yaml", good=30))["result"] == "ok"
    assert gateway.agent.stop() == 0
    gateway.rules("rules.yaml", good=50)
    gateway.start()
    assert "the agent runs without it" in gateway.agent.log()


def test_none_are_taken_unless_configured(lab):
    gateway = Gateway(lab, bundles="false")
    answer = gateway.say(1, gateway.rules("good.yaml", good=30))
    assert answer["reason"] == "refused" and "bundles is false" in answer["problem"], answer
    assert not (gateway.directory / "store" / "bundles").exists()


if __name__ == "__main__":
    harness.main()
