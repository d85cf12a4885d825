"""Signed commands over MQTT, with a real mosquitto: done and answered behind the journal; all else is refused, counted, and costs nothing."""
import json
import pathlib
import subprocess
import sys
import urllib.request

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
uplink: {{broker: "mqtt://127.0.0.1:{broker}", version: "{version}", retry_max: 1s, commands: {{key_file: operators.pub}}}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: warm, when: temp > 8, by: room}
  - {rule: fire, when: smoke > 1, by: room, severity: critical, consequence: "it burns", respond: "leave", time_to_respond: 1m}
"""
TOPIC = "weir/1/riga/gw-7"
ROOMS = ("A0", "A1", "A2", "A3")


def make_key(directory, name):
    """name.key and name.pub; returns the path of the first."""
    key = directory / f"{name}.key"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True, capture_output=True)
    key.chmod(0o600)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", directory / f"{name}.pub"], check=True, capture_output=True)
    return key


class Gateway:
    """An agent with four warm rooms, and an operator who is connected to its broker."""

    def __init__(self, lab, broker, version="5", port=None):
        self.lab, self.broker = lab, broker
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        directory = lab.directory / "agent"
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        self.key = make_key(directory, "operators")
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(line=self.line, http=self.http, version=version,
                                                                                  broker=port or broker.local_port)))
        self.answers = []
        self.client = mqtt.Client(client_id="operator", protocol=mqtt.MQTTv311)
        subscribed = []
        self.client.on_subscribe = lambda *_: subscribed.append(True)
        self.client.on_message = lambda _client, _user, message: self.answers.append(json.loads(message.payload))
        self.client.connect("127.0.0.1", broker.local_port)
        self.client.loop_start()
        lab.add(self)
        self.client.subscribe(f"{TOPIC}/ack", qos=1)
        wait_for("the operator to be subscribed", lambda: subscribed)
        self.start()
        self.sender.send("".join(f"temp,room={room} value=9\nsmoke,room={room} value=9\n" for room in ROOMS))
        wait_for("the rooms to be warm", lambda: len(self.agent.alarms()) == 2 * len(ROOMS))

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def start(self, state="heard"):
        self.agent.start()
        self.sender = laboratory.Sender(self.line)
        self.becomes(state)

    def becomes(self, state):
        wait_for(f"commands to be {state}", lambda: self.commands()["state"] == state)

    def commands(self):
        status = self.agent.status()
        return status["uplink"].get("commands", {"state": "none"}) if status and status["uplink"] else {"state": "none"}

    def sign(self, *words, key=None, node="gw-7", site="riga"):
        """A command as a message, without the newline behind it."""
        done = subprocess.run([self.lab.weir, "sign", *words, "--key-file", key or self.key, "--node", node, "--site", site, "--by", "ana"],
                              capture_output=True, text=True, check=True)
        return done.stdout.rstrip("\n")

    def send(self, message, retain=False):
        self.client.publish(f"{TOPIC}/cmd", message, qos=1, retain=retain).wait_for_publish()

    def answer(self, key):
        """The answer to the command with this key; it is taken out."""
        def take():
            return next((self.answers.pop(i) for i, answer in enumerate(self.answers) if answer.get("key") == key), None)
        return wait_for(f"the answer to {key}", take)

    def say(self, *words, key="k", **more):
        self.send(self.sign(*words, "--key", key, **more))
        return self.answer(key)

    def count(self, outcome):
        return self.agent.metrics(self.http)[f'weir_commands_total{{outcome="{outcome}"}}']


def make(lab, **more):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs, deaf=True).start())
    return Gateway(lab, broker, **more)


def check_a_kill(lab, version):
    """A command, kill -9 as soon as its answer is there, and the same message again."""
    gateway = make(lab, version=version)
    commands = [
        (("ack", "warm{room=A0}", "--why", "seen"), "warm{room=A0}", lambda alarm: alarm["to"] == "acked"),
        (("shelve", "warm{room=A1}", "--for", "2h", "--why", "painting"), "warm{room=A1}",
         lambda alarm: alarm["silent"] == ["shelved"] and alarm["by"] == "ana"),
    ]
    for number, (words, name, is_so) in enumerate(commands):
        message = gateway.sign(*words, "--key", f"key-{number}")
        gateway.send(message)
        answer = gateway.answer(f"key-{number}")
        gateway.agent.kill()
        assert answer["node"] == "gw-7" and answer["site"] == "riga" and answer["command"] == words[0] and answer["alarm"] == name, answer
        assert answer["result"] == "ok" and answer["changed"] == 1 and answer["journalled"] and not answer["repeated"], answer
        gateway.start()
        alarm = gateway.agent.alarms()[name]
        assert is_so(alarm), (words, alarm)
        gateway.send(message + "\n")
        again = gateway.answer(f"key-{number}")
        assert again["repeated"] and again["changed"] == 1 and again["result"] == "ok", again
        assert gateway.agent.alarms()[name]["transition"] == alarm["transition"], "it was done again"
    assert gateway.agent.stop() == 0


def test_what_was_answered_survives_a_kill(lab):
    check_a_kill(lab, "5")


def test_what_was_answered_survives_a_kill_with_mqtt_3_1_1(lab):
    check_a_kill(lab, "3.1.1")


def test_what_is_refused_changes_nothing(lab):
    gateway = make(lab)
    stranger = make_key(lab.directory, "stranger")
    good = gateway.sign("ack", "*", "--key", "tampered")
    header, payload, signature = good.split(".")
    before = gateway.agent.alarms()
    silent = {
        "signature": [gateway.sign("ack", "*", key=stranger), f"{header}.{payload[:-2]}AA.{signature}"],
        "unsigned": ["", "ack", b"\x00\xff" * 100, json.dumps({"verb": "ack", "alarm": "*", "by": "eve"}), f"{header}.{payload}."],
        "too_large": ["x" * 32769],
    }
    for messages in silent.values():
        for message in messages:
            gateway.send(message)
    for words, more, reason in (
            (("ack", "*", "--valid", "1ms"), {}, "expired"),
            (("ack", "*"), {"node": "gw-8"}, "elsewhere"),
            (("ack", "*"), {"site": "oslo"}, "elsewhere"),
    ):
        answer = gateway.say(*words, key="k", **more)
        assert answer["reason"] == reason and answer["result"] == "denied" and answer["node"] == "gw-7", answer
    answer = gateway.say("shelve", "fire", "--for", "1h", "--why", "x", key="fire")
    assert answer["result"] == "denied" and "fire may not be shelved" in answer["problem"], answer
    assert gateway.say("ack", "wrm", key="wrm")["result"] == "not found"
    for outcome, messages in silent.items():
        wait_for(f"{outcome} to be counted", lambda outcome=outcome, n=len(messages): gateway.count(outcome) == n)
    assert gateway.count("expired") == 1 and gateway.count("elsewhere") == 2 and gateway.count("refused") == 2 and gateway.count("done") == 0
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http}/metrics", timeout=10) as page:
        exposition = page.read().decode()
    assert exposition.count("# TYPE weir_commands_total counter") == 1 and exposition.count("weir_commands_total{") == 17, exposition
    assert gateway.answers == [], "what nobody has signed was answered"
    log = gateway.agent.log()
    assert log.count("a message that the pinned key has not signed is ignored") == 7, log
    assert '"reason":"expired"' in log
    assert gateway.agent.alarms() == before
    assert gateway.say("ack", "*", key="last")["changed"] == 2 * len(ROOMS)
    status = gateway.agent.status()["uplink"]["commands"]
    assert status["done"] == 1 and status["not_done"] == 13, status
    assert "commands heard; 1 done, 13 not" in gateway.agent.run("status", check=0).stdout
    assert gateway.agent.audit()["balanced"]
    assert gateway.agent.stop() == 0


def test_what_the_broker_keeps_is_not_done(lab):
    """A command that was published as retained comes with each connection: it is done when it is said, and never again."""
    gateway = make(lab, version="3.1.1")  # which cannot ask the broker not to send it
    gateway.send(gateway.sign("ack", "warm{room=A0}", "--key", "kept"), retain=True)
    assert gateway.answer("kept")["changed"] == 1
    assert gateway.agent.stop() == 0
    gateway.start()
    wait_for("the retained one to be counted", lambda: gateway.count("retained") == 1)
    assert gateway.say("ack", "warm{room=A1}", key="next")["changed"] == 1
    assert gateway.answers == []
    assert gateway.agent.stop() == 0


def test_a_broker_that_refuses_the_subscription(lab):
    """Told once and counted; the data goes on."""
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs, deaf=True).start())
    listener = lab.add(laboratory.Subscriber(broker.local_port, lab.weir))
    for version in ("5", "3.1.1"):
        directory = lab.directory / f"agent-{version}"
        directory.mkdir()
        make_key(directory, "operators")
        (directory / "rules.yaml").write_text(RULES)
        line, http = laboratory.free_port(), laboratory.free_port()
        agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(line=line, http=http, version=version, broker=broker.deaf_port)))
        agent.start()
        wait_for("the refusal", lambda agent=agent: (agent.status() or {}).get("uplink", {}).get("commands", {}).get("state") == "refused")
        uplink = agent.status()["uplink"]
        assert uplink["state"] == "online" and uplink["commands"]["cause"], uplink
        assert "commands not heard: the broker refuses the subscription" in agent.run("status", check=0).stdout
        metrics = agent.metrics(http)
        assert metrics["weir_commands_heard"] == 0 and metrics["weir_commands_subscriptions_refused_total"] >= 1, metrics
        assert agent.log().count("commands are not heard") == 1, agent.log()
        known = len(listener.alarms)
        laboratory.Sender(line).send("temp,room=A1 value=9\n")
        wait_for("the alarm to be sent", lambda known=known: len(listener.alarms) > known)
        assert agent.stop() == 0


def test_the_key_is_exchanged_by_a_reload(lab):
    gateway = make(lab)
    directory = gateway.agent.directory
    old = gateway.key
    new = make_key(lab.directory, "new")
    (directory / "operators.pub").write_text("nonsense")
    refused = gateway.agent.reload()
    assert "refused" in refused["msg"] and "holds no public key in PEM" in gateway.agent.log(), refused
    assert gateway.say("ack", "warm{room=A0}", key="k0")["changed"] == 1
    (directory / "operators.pub").write_bytes((lab.directory / "new.pub").read_bytes())
    assert gateway.say("ack", "warm{room=A1}", key="k1")["changed"] == 1, "the file counts before a reload"
    assert gateway.agent.reload()["msg"] == "done"
    gateway.send(gateway.sign("ack", "warm{room=A2}", "--key", "k2", key=old))
    gateway.key = new
    answer = gateway.say("ack", "warm{room=A3}", key="k3")
    assert answer["changed"] == 1 and gateway.count("signature") == 1 and gateway.agent.alarms()["warm{room=A2}"]["to"] == "unack", answer
    # another uplink, and one without commands
    text = gateway.agent.config.read_text()
    gateway.agent.config.write_text(text.replace("retry_max: 1s", "retry_max: 2s"))
    assert gateway.agent.reload()["msg"] == "done"
    gateway.becomes("heard")
    assert gateway.say("ack", "warm{room=A2}", key="k4")["changed"] == 1
    gateway.agent.config.write_text(text.replace(", commands: {key_file: operators.pub}", ""))
    assert gateway.agent.reload()["msg"] == "done"
    gateway.becomes("none")
    assert not [name for name in gateway.agent.metrics(gateway.http) if name.startswith("weir_commands")]
    gateway.agent.config.write_text(text)
    assert gateway.agent.reload()["msg"] == "done"
    gateway.becomes("heard")
    assert gateway.say("ack", "warm{room=A2}", key="k4")["repeated"]
    assert gateway.agent.stop() == 0


def test_what_is_not_signed(lab):
    """weir sign tells what the node would refuse, before anybody sends it."""
    key = make_key(lab.directory, "operators")
    to = ("--key-file", str(key), "--node", "gw-7")
    refused = {
        (): "which command? ack, reset",
        ("dance", "warm", *to): "which command? ack, reset",
        ("ack", *to): "which alarm?",
        ("ack", "warm", "--node", "gw-7"): "--key-file FILE is needed",
        ("ack", "warm", "--key-file", str(key)): "--node ID is needed",
        ("ack", "warm", "--key-file", str(key), "--node"): "--node needs a value",
        ("ack", "warm", "--key-file", str(key), "--node", "gw/7"): "gw/7",
        ("ack", "warm", *to, "--valid", "2h"): "--valid takes 1h at most",
        ("ack", "warm", *to, "--valid", "soon"): "--valid: ",
        ("ack", "warm", *to, "--json"): "'--json' makes no sense here",
        ("shelve", "warm", *to): "to shelve needs --why TEXT, and --for 2h or --until TIME",
        ("ack", "warm", "--key-file", "missing.key", "--node", "gw-7"): "missing.key",
        ("ack", "warm", "--key-file", str(lab.directory / "operators.pub"), "--node", "gw-7"): "operators.pub",
    }
    for words, problem in refused.items():
        done = subprocess.run([lab.weir, "sign", *words], capture_output=True, text=True)
        assert done.returncode == 2 and problem in done.stderr and done.stdout == "", (words, done)
    done = subprocess.run([lab.weir, "sign", "ack", "warm", "--why", "--node", *to], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(".") == 2, done
    assert "for PREFIX/-/gw-7/cmd" in done.stderr and "weir sign: key " in done.stderr, done
    key.chmod(0o644)
    done = subprocess.run([lab.weir, "sign", "ack", "warm", *to], capture_output=True, text=True)
    assert done.returncode == 2 and "chmod 600" in done.stderr, done


if __name__ == "__main__":
    harness.main()
