"""The source mqtt against a real mosquitto: each way to log in, brokers that go away or never speak, and what of QoS 1 survives: the publisher's own
count decides, by the values that the store holds.
"""
import json
import pathlib
import signal
import socket
import sys
import threading
import time

import paho.mqtt.client as mqtt_client

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-{name}}}
sources:
  - {{name: plc, kind: mqtt, broker: "{url}", topics: "in/{{site}}/{{room}}", retry_max: 500ms, connect_timeout: 2s, keepalive: {keepalive},
     client_id: {name}, qos: {qos}, {more}}}
windows:
  - {{name: m1, every: 1m, of: "*"}}
store: {{path: store, budget: 16MB, max_loss: 500ms}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""


LOSS_SECONDS = 1.5  # max_loss, and a commit on a busy machine


class Publisher:
    """Publishes `m value=N` with QoS 1, N counting up, and waits for each PUBACK: what it counts, the broker has."""

    def __init__(self, port):
        self.client = mqtt_client.Client(client_id="", protocol=mqtt_client.MQTTv311)
        self.client.max_inflight_messages_set(1000)
        self.client.max_queued_messages_set(0)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.sent = 0

    def send(self, count, qos=1):
        waits = []
        for _ in range(count):
            waits.append(self.client.publish("in/riga/A1", f"m value={self.sent}", qos=qos))
            self.sent += 1
        for wait in waits:
            wait.wait_for_publish(30)

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


def make(lab, name, url, more="protocol: auto", keepalive="10s", qos=1):
    http = laboratory.free_port()
    agent = lab.add(laboratory.Agent(lab.weir, lab.directory / name,
                                     CONFIG.format(name=name, url=url, more=more, keepalive=keepalive, http=http, qos=qos)))
    agent.http = http
    return agent


def source(agent):
    return agent.status()["sources"][0]


def connected(agent):
    wait_for("the source to be connected", lambda: source(agent)["connected"], 30)


def received(agent, count):
    wait_for(f"{count} readings", lambda: source(agent)["received"] >= count, 30)
    return source(agent)["received"]


def plain(lab, persistence=False):
    lab.certs = laboratory.make_certs(lab.directory / "certs")
    return lab.add(laboratory.Broker(lab.directory / "broker", lab.certs, persistence=persistence)).start()


def test_each_way_to_log_in(lab):
    broker = plain(lab)
    guarded = lab.add(laboratory.Broker(lab.directory / "guarded", lab.certs, passwords={"weir": "right"})).start()
    (lab.directory / "right.pw").write_text("right\n")
    (lab.directory / "wrong.pw").write_text("wrong\n")
    for file in ("right.pw", "wrong.pw"):
        (lab.directory / file).chmod(0o600)
    ca = f'ca: "{lab.certs}/ca.pem"'
    ways = {
        "plain": (f"mqtt://127.0.0.1:{broker.local_port}", "protocol: \"5\"", broker),
        "old": (f"mqtt://127.0.0.1:{broker.local_port}", "protocol: \"3.1.1\"", broker),
        "certificate": (f"mqtts://127.0.0.1:{broker.port}", f'{ca}, cert: "{lab.certs}/client.pem", key: "{lab.certs}/client.key"', broker),
        "password": (f"mqtts://localhost:{guarded.port}", f'{ca}, user: weir, password_file: "{lab.directory}/right.pw"', guarded),
        "old-password": (f"mqtts://localhost:{guarded.port}",
                         f'{ca}, user: weir, password_file: "{lab.directory}/right.pw", protocol: "3.1.1"', guarded),
    }
    for name, (url, more, peer) in ways.items():
        agent = make(lab, name, url, more).start()
        connected(agent)
        publisher = Publisher(peer.local_port)
        publisher.send(50)
        assert received(agent, 50) == 50
        metrics = agent.metrics(agent.http)
        assert metrics['weir_source_messages_total{source="plc"}'] == 50 and metrics['weir_source_connected{source="plc"}'] == 1
        publisher.close()
        assert agent.stop() == 0
        assert agent.audit()["balanced"]
    causes = {
        "wrong-password": (f"mqtts://localhost:{guarded.port}", f'{ca}, user: weir, password_file: "{lab.directory}/wrong.pw"', "Not authorized"),
        "wrong-ca": (f"mqtts://127.0.0.1:{broker.port}", f'ca: "{lab.certs}/other-ca.pem"', "CA"),
        "no-certificate": (f"mqtts://127.0.0.1:{broker.port}", ca, "certificate"),
        "nobody": (f"mqtt://127.0.0.1:{laboratory.free_port()}", "protocol: auto", "refused"),
    }
    for name, (url, more, part) in causes.items():
        agent = make(lab, name, url, more).start()
        wait_for(f"the cause '{part}' of {name}", lambda: part in source(agent)["trouble"], 15)
        assert part in agent.run("status", check=0).stdout
        assert agent.stop() == 0


def test_a_broker_that_comes_back(lab):
    """Killed, and stopped with its queues kept: the source connects again, and what was acknowledged to the publisher is there."""
    broker = plain(lab, persistence=True)
    agent = make(lab, "again", f"mqtt://127.0.0.1:{broker.local_port}").start()
    connected(agent)
    publisher = Publisher(broker.local_port)
    publisher.send(100)
    received(agent, 100)
    publisher.close()
    broker.kill()
    wait_for("the loss to be noticed", lambda: not source(agent)["connected"])
    assert source(agent)["trouble"]
    broker.start()
    connected(agent)
    publisher = Publisher(broker.local_port)
    publisher.send(100)
    received(agent, 200)
    assert agent.stop() == 0  # away: the broker keeps what comes
    publisher.send(100)
    publisher.close()
    broker.stop()
    broker.start()
    agent.start()
    assert received(agent, 100) == 100
    assert agent.stop() == 0


def test_kill_nine_loses_no_message(lab):
    """Killed again and again under load, each value its own change: at the receiver only values may be missing that a crash may take, those whose
    commit was less than max_loss away. Everything that waited in the source, in paho, in the relay or at the broker comes again."""
    broker = plain(lab)
    values = set()
    cluster = lab.add(laboratory.Subscriber(broker.local_port, lab.weir, on_segment=lambda segment: values.update(
        int(record["last"]) for record in segment.records if record.get("measurement") == "m" and record.get("last") is not None)))
    agent = make(lab, "crash", f"mqtt://127.0.0.1:{broker.local_port}")
    agent.config.write_text(agent.config.read_text().replace("{name: m1, every: 1m, of: \"*\"}", "{name: m1, forward: changes, of: \"*\"}") +
                            f'uplink: {{broker: "mqtt://127.0.0.1:{broker.local_port}", retry_max: 1s}}\n')
    agent.start()
    connected(agent)
    publisher = Publisher(broker.local_port)
    stamps, kills = [], []
    done = threading.Event()

    def publish():
        while not done.is_set():
            stamps.extend([time.monotonic()] * 10)
            publisher.send(10)
            time.sleep(0.01)

    thread = threading.Thread(target=publish)
    thread.start()
    for pause in (1.0, 2.3, 1.7, 0.6):
        time.sleep(pause)
        agent.kill()
        kills.append(time.monotonic())
        agent.start()
    wait_for("a value that no crash may take", lambda: stamps[-1] > kills[-1], 10)
    done.set()
    thread.join()
    wait_for("the last value", lambda: publisher.sent - 1 in values, 30)
    missing = sorted(set(range(publisher.sent)) - values)
    beyond = [value for value in missing if not any(kill - LOSS_SECONDS <= stamps[value] <= kill for kill in kills)]
    print(f"sent {publisher.sent}, missing {len(missing)}, of them beyond what a crash may take {len(beyond)}; last life: {source(agent)}")
    assert not beyond, f"these were neither stored nor sent again: {beyond[:20]}"
    assert not cluster.errors, cluster.errors[:3]
    publisher.close()
    assert agent.audit()["balanced"]
    assert agent.stop() == 0


def test_an_agent_that_stands_still(lab):
    """Stopped by a signal while messages come: the broker keeps them, memory stays within its bound, and all arrive, each once."""
    broker = plain(lab)
    agent = make(lab, "still", f"mqtt://127.0.0.1:{broker.local_port}", keepalive="60s").start()
    connected(agent)
    publisher = Publisher(broker.local_port)
    publisher.send(100)
    received(agent, 100)
    agent.process.send_signal(signal.SIGSTOP)
    publisher.send(20000)
    agent.process.send_signal(signal.SIGCONT)
    assert received(agent, 20100) == 20100
    assert source(agent)["dropped"] == 0
    resident_kb = next(int(line.split()[1]) for line in pathlib.Path(f"/proc/{agent.process.pid}/status").read_text().splitlines()
                       if line.startswith("VmRSS"))
    ceiling = sum(part["bytes"] for part in json.loads(agent.run("check", "--json", check=0).stdout)["ceiling"]["memory"])
    sanitized = lab.build.name in ("asan", "tsan")  # their own memory is not the agent's
    assert sanitized or resident_kb * 1024 < ceiling, f"{resident_kb} kB are resident, the ceiling is {ceiling} B"
    publisher.close()
    assert agent.stop() == 0


class Rude(threading.Thread):
    """A server that answers each connection with these bytes, and then closes it, or keeps silent."""

    def __init__(self, answer, closes):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer, self.closes = answer, closes
        self.kept = []
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(2)
            try:
                connection.recv(1000)
                connection.sendall(self.answer)
            except OSError:
                pass
            if self.closes:
                connection.close()
            else:
                self.kept.append(connection)

    def close(self):
        self.listener.close()
        for connection in self.kept:
            connection.close()


CONNACK = bytes([0x20, 3, 0, 0, 0])


def test_a_broker_that_talks_nonsense(lab):
    """Garbage, half a packet, a flood without an end, silence: the source stays offline and says something, the agent goes on."""
    answers = {
        "closes": (b"", True),
        "http": (b"HTTP/1.1 400 Bad Request\r\n\r\n", True),
        "garbage": (bytes(range(256)) * 40, False),
        "silent": (b"", False),
        "endless": (CONNACK + bytes([0x90, 4, 0, 1, 0, 1]) + bytes([0x32, 0xff, 0xff, 0xff, 0x7f]) + b"x" * 10000, False),
        "half": (CONNACK[:3], False),
        "cut": (CONNACK, True),
    }
    for name, (answer, closes) in answers.items():
        rude = lab.add(Rude(answer, closes))
        agent = make(lab, name, f"mqtt://127.0.0.1:{rude.port}", keepalive="2s").start()
        wait_for(f"trouble with a broker that is {name}",
                 lambda: not source(agent)["connected"] and source(agent)["trouble"] not in ("", "connecting"), 20)
        print(f"{name}: {source(agent)['trouble']}")
        assert agent.stop() == 0
        rude.close()


def test_reload(lab):
    """Another topic: the source of the old config stops, the new one takes over; an unchanged one keeps its connection."""
    broker = plain(lab)
    agent = make(lab, "reload", f"mqtt://127.0.0.1:{broker.local_port}").start()
    connected(agent)
    agent.reload()
    assert agent.log().count("connected to the broker") == 1
    publisher = Publisher(broker.local_port)
    publisher.send(10)
    received(agent, 10)
    agent.config.write_text(agent.config.read_text().replace("in/{site}/{room}", "in/{site}/#"))
    assert agent.reload()["msg"] == "done"
    connected(agent)
    publisher.send(10)
    received(agent, 20)
    assert agent.log().count("connected to the broker") == 2
    publisher.close()
    assert agent.stop() == 0


if __name__ == "__main__":
    harness.main()
