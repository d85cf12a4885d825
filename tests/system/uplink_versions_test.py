"""Brokers that speak MQTT 3.1.1 only: a real RabbitMQ, a real NATS, and mosquitto spoken to in 3.1.1. The key of a segment stands in its topic, and everything arrives
once by that key; a refusal is told from an old broker.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import central  # noqa: E402
import lab as laboratory  # noqa: E402
import nats  # noqa: E402
import rabbitmq  # noqa: E402
from lab import wait_for  # noqa: E402
from receiver import Files, Receiver  # noqa: E402

CONFIG = """
node: {{id: {name}, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 300ms}}
  - {{name: doors, forward: changes, of: "door"}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 300ms}}
uplink: {{broker: "{url}", {login} retry_max: 1s, connect_timeout: 5s, keepalive: 10s, format: {form}, version: "{version}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: high, when: "beat > 50", deadband: 1, auto_ack: true}
"""


class Gateway:
    def __init__(self, lab, name, url, login="", form="segment", version="auto"):
        self.name = name
        self.line = laboratory.free_port()
        directory = lab.directory / name
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        (directory / "pw").write_text("s3cret\n")
        (directory / "pw").chmod(0o600)
        self.password = directory / "pw"
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(name=name, line=self.line, url=url, login=login, form=form,
                                                                                version=version)))
        self.lab = lab
        self.generator = laboratory.Generator(self.line, 500, name=name)

    def start(self):
        self.agent.start()
        return self

    def uplink(self):
        return self.agent.status()["uplink"]

    def is_online(self):
        return self.uplink()["state"] == "online"

    def sends_everything(self, subscriber):
        """Readings, a change and an alarm; compared with what was sent, by distinct key."""
        self.lab.add(self.generator).start()
        sensor = laboratory.Sender(self.line)
        sensor.send("beat value=99\ndoor value=true\n")
        wait_for(f"readings of {self.name}", lambda: self._arrived(subscriber) > 500 or subscriber.errors, 30)
        sensor.send("beat value=1\ndoor value=false\n")
        self.generator.stop()
        wait_for(f"the outbox of {self.name} to drain", self.agent.drained, 30, 0.1)
        wait_for(f"{self.generator.sent} readings of {self.name}", lambda: self._arrived(subscriber) == self.generator.sent, 10)
        assert not subscriber.errors, subscriber.errors[:3]
        wait_for("both alarms", lambda: {"raised", "cleared"} <= {a["cause"] for a in list(subscriber.alarms) if a["alarm"].startswith("high")}, 10)
        sensor.close()

    def _arrived(self, subscriber):
        with subscriber.lock:
            return sum(count for series, count in subscriber.readings.items() if series.startswith(f"{self.name}{{"))


class Topics:
    def __init__(self):
        self.seen = set()

    def __call__(self, message):
        levels = message.topic.split("/")
        self.seen.add((levels[3], "/".join(levels[4:5]), len(levels)))
        assert not getattr(getattr(message, "properties", None), "UserProperty", None)

    def of(self, node):
        return {(leaf, levels) for name, leaf, levels in list(self.seen) if name == node}

    def become(self, node):
        """One topic of each kind, the key in all but the state."""
        expected = {("state", 5), ("agg", 7), ("event", 7), ("alarm", 7), ("gap", 7)}
        wait_for(f"{expected}, {self.of(node)} came", lambda: self.of(node) >= expected, 10)
        assert self.of(node) == expected, self.seen


def test_rabbitmq(lab):
    """One broker for all of it: it takes its time to start."""
    certs = laboratory.make_certs(lab.directory / "certs")
    rabbit = lab.add(rabbitmq.RabbitMQ(lab.directory / "rabbit", certs)).start()
    topics = Topics()
    cluster = lab.add(laboratory.Subscriber(rabbit.port, lab.weir, on_message=topics, login=(rabbit.user, rabbit.password)))
    login = f'user: {rabbit.user}, password_file: "pw",'
    tls = Gateway(lab, "tls", f"mqtts://localhost:{rabbit.tls_port}", f'{login} ca: "{certs}/ca.pem",')
    json = Gateway(lab, "json", f"mqtt://127.0.0.1:{rabbit.port}", login, form="json", version="3.1.1")
    five = Gateway(lab, "five", f"mqtt://127.0.0.1:{rabbit.port}", login, version="5")
    tls.password.write_text("not-s3cret\n")
    for gateway in (tls, json, five):
        gateway.start()

    wait_for("the refusal", lambda: "the broker refused the connection: bad user name or password (MQTT 3.1.1 return code 4)" in tls.uplink()["cause"])
    wait_for("the hint", lambda: five.uplink()["cause"] == "the broker closed the connection instead of answering: does it speak MQTT 5?")
    five.agent.stop()
    tls.password.write_text("s3cret\n")
    for gateway in (tls, json):
        wait_for(f"{gateway.name} to be online", gateway.is_online)
        assert gateway.uplink()["mqtt"] == "3.1.1"
    for gateway in (tls, json):
        gateway.sends_everything(cluster)
        topics.become(gateway.name)
        assert gateway.agent.stop() == 0
        wait_for("a goodbye", lambda: [state["state"] for state in cluster.states if state["node"] == gateway.name][-1] == "offline")


def test_nats(lab):
    """Killed while it has the only copy of what it acknowledged to the agent: the receiver's session, and what waits for it, are on its disk."""
    certs = laboratory.make_certs(lab.directory / "certs")
    server = lab.add(nats.Nats(lab.directory / "nats", certs)).start()
    out = Files(lab.directory / "out")
    gateway = central.Gateway(lab, "gw-7", certs, server.port)
    gateway.agent.start()
    wait_for("the state to be there before who asks for it", lambda: gateway.agent.status()["uplink"]["acknowledged"] > 0)
    receiver = Receiver(lab, "a", ["--broker", f"mqtts://127.0.0.1:{server.port}", "--ca", certs / "ca.pem", "--cert", certs / "client.pem",
                                   "--key", certs / "client.key", "--to", f"file:{out.directory}"]).start()
    gateway.generate()
    wait_for("readings", lambda: out.total("gw-7"), 20, 0.05)
    receiver.kill()
    delivered = gateway.agent.status()["uplink"]["acknowledged"]
    gateway.raise_alarm()
    wait_for("more, which the receiver does not have", lambda: gateway.agent.status()["uplink"]["acknowledged"] > delivered, 20, 0.05)
    server.kill()
    server.start()
    receiver.start()
    sent = gateway.finish()
    wait_for(f"all of {sent}", lambda: out.total("gw-7") >= sent, 20, 0.05)
    assert receiver.stop() == 0 and out.total("gw-7") == sent
    assert [record["cause"] for record in out.records("alarm") if record["record"] == "alarm"] == ["raised"]
    assert [record["state"] for record in out.records("state")][0] == "online"
    assert '"session":"kept"' in receiver.log() and gateway.agent.status()["uplink"]["mqtt"] == "3.1.1", receiver.log()


def test_mosquitto_in_3_1_1(lab):
    """The same key from a broker that would speak MQTT 5: what the config names is what is spoken."""
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    topics = Topics()
    cluster = lab.add(laboratory.Subscriber(broker.local_port, lab.weir, on_message=topics))
    login = f'ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key",'
    gateway = Gateway(lab, "old", f"mqtts://localhost:{broker.port}", login, version="3.1.1").start()
    gateway.sends_everything(cluster)
    topics.become("old")
    gateway.agent.kill()
    wait_for("the last will", lambda: cluster.states[-1] == {"node": "old", "state": "offline", "cause": "connection lost"})


if __name__ == "__main__":
    harness.main()
