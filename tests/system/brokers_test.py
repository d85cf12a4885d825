"""Several brokers: nodes spread over them, each in an order of its own; where one is killed its nodes go on at the next within seconds, the others do not
notice, and every reading arrives: no segment twice but under the same key.
"""
import json
import pathlib
import socket
import ssl
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

NODES = 4
FAILOVER_SECONDS = 10  # two pauses of a second at most, two connects, and a busy machine

CONFIG = """
node: {{id: {node}, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 300ms}}
store: {{path: store, budget: 16MB, max_loss: 500ms}}
uplink: {{broker: {brokers}, ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 1s, connect_timeout: 2s{more}}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""


class Central:
    """What arrived at any of the brokers: each key once, with the readings that it stands for."""

    def __init__(self):
        self.lock = threading.Lock()
        self.readings = {}
        self.differ = []

    def take(self, segment):
        count = sum(record["n"] + record["bad"] for record in segment.records)
        with self.lock:
            if self.readings.setdefault((segment.node, segment.epoch, segment.seq), count) != count:
                self.differ.append(segment)

    def of(self, node):
        with self.lock:
            return sum(count for key, count in self.readings.items() if key[0] == node)


class Member:
    """A broker behind a proxy: its end loses nothing that it acknowledged, which a mosquitto that is killed with something unread would."""

    def __init__(self, lab, name, certs, central):
        self.broker = lab.add(laboratory.Broker(lab.directory / name, certs)).start()
        self.proxy = lab.add(laboratory.Proxy(self.broker.port))
        self.url = f"mqtts://127.0.0.1:{self.proxy.port}"
        self.subscriber = lab.add(laboratory.Subscriber(self.broker.local_port, lab.weir, on_segment=central.take))

    def kill(self):
        self.proxy.cut()
        self.subscriber.catch_up()
        self.broker.kill()

    def restart(self):
        """Nobody publishes before the subscriber is there again."""
        self.subscriber.ready.clear()
        self.broker.start()
        assert self.subscriber.ready.wait(20), "the subscriber does not come back"
        self.proxy.restore()


class Node:
    def __init__(self, lab, name, brokers, certs, more=""):
        self.name = name
        self.fields = dict(node=name, line=laboratory.free_port(), brokers=json.dumps(brokers), certs=certs, more=more)
        self.agent = lab.add(laboratory.Agent(lab.weir, lab.directory / name, CONFIG.format(**self.fields)))
        self.agent.start()
        self.generator = lab.add(laboratory.Generator(self.fields["line"], 300, name=name))
        self.generator.start()
        checked = self.agent.run("check", check=(0, 1)).stdout
        line = next(line for line in checked.splitlines() if line.startswith("uplink "))
        self.order = line.removeprefix("uplink").strip().split(", then ")

    def reconfigure(self, **changes):
        self.fields.update(changes)
        self.agent.config.write_text(CONFIG.format(**self.fields))
        assert self.agent.reload()["msg"] == "done"

    def uplink(self):
        return self.agent.status()["uplink"]

    def is_at(self, url):
        uplink = self.uplink()
        return uplink["state"] == "online" and uplink["broker"]["url"] == url

    def waits_to_be_at(self, place, seconds=FAILOVER_SECONDS):
        wait_for(f"{self.name} to be at {self.order[place]}", lambda: self.is_at(self.order[place]), seconds, 0.05)

    def balance(self, central):
        self.generator.stop()
        wait_for(f"the outbox of {self.name} to drain", self.agent.drained, 20, 0.1)
        audit = self.agent.audit()
        assert audit["balanced"] and sum(a["dropped_total"] for a in audit["accounts"]) == 0, json.dumps(audit, indent=1)
        sent = self.generator.sent
        wait_for(f"{sent} readings of {self.name}, {central.of(self.name)} came", lambda: central.of(self.name) == sent, 5)


def test_brokers_are_killed_one_after_the_other(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    central = Central()
    members = [Member(lab, name, certs, central) for name in ("a", "b", "c")]
    brokers = {member.url: member for member in members}
    nodes = [Node(lab, f"gw-{i}", list(brokers), certs) for i in range(NODES)]
    for node in nodes:
        assert sorted(node.order) == sorted(brokers), node.order
        node.waits_to_be_at(0)
        assert node.uplink()["broker"]["why"] == "first choice"

    hit = nodes[0]
    for place in (0, 1):
        seen = central.of(hit.name)
        wait_for("segments", lambda: central.of(hit.name) > seen)
        brokers[hit.order[place]].kill()
        hit.waits_to_be_at(place + 1)
    uplink = hit.uplink()
    assert uplink["broker"]["why"] == "failover" and uplink["broker"]["failovers"] == 2, uplink
    assert 0 < uplink["broker"]["returns_in_s"] <= 4500, uplink
    assert "failover of 3; 2 failovers" in hit.agent.run("status").stdout
    left = hit.order[2]
    for node in nodes:
        wait_for(f"{node.name} to be at the last broker", lambda: node.is_at(left), 2 * FAILOVER_SECONDS, 0.05)
        if node.order[0] == left:
            assert node.uplink()["broker"]["failovers"] == 0, node.uplink()

    # The last one goes too: all wait, and go round until one is there again.
    brokers[left].kill()
    wait_for("all to be offline", lambda: all(node.uplink()["state"] != "online" for node in nodes), 10, 0.05)
    brokers[hit.order[1]].restart()
    for node in nodes:
        wait_for(f"{node.name} to be back", lambda: node.is_at(hit.order[1]), 20, 0.05)
    for node in nodes:
        node.balance(central)
    assert not central.differ, central.differ[:3]


def test_a_reload_changes_the_list(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    central = Central()
    urls = [Member(lab, name, certs, central).url for name in ("a", "b")]
    node = Node(lab, "gw-7", urls, certs)
    node.waits_to_be_at(0)
    node.reconfigure(brokers=json.dumps(node.order[1]))
    node.waits_to_be_at(1)
    assert node.uplink()["broker"] == {"url": node.order[1], "why": "first choice", "of": 1, "failovers": 0, "redirects": 0,
                                       "redirects_not_followed": 0, "returns": 0}
    node.balance(central)


class Front:
    """What stands before a broker at port 443: it ends TLS, tells who asks for what by the protocol named in the handshake, and passes on."""

    def __init__(self, certs, target_port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certs}/server.pem", f"{certs}/server.key")
        context.set_alpn_protocols(["http/1.1", "x-amzn-mqtt-ca"])
        self.named = []
        self.target_port = target_port
        self.listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except ssl.SSLError:
                continue  # a handshake that failed
            except OSError:
                return
            self.named.append(client.selected_alpn_protocol())
            if self.named[-1] != "x-amzn-mqtt-ca":
                client.close()  # something else lives here
                continue
            server = socket.create_connection(("127.0.0.1", self.target_port))
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client), daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def test_a_protocol_is_named_in_the_handshake(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    central = Central()
    broker = lab.add(laboratory.Broker(lab.directory / "a", certs)).start()
    lab.add(laboratory.Subscriber(broker.local_port, lab.weir, on_segment=central.take))
    front = lab.add(Front(certs, broker.local_port))
    node = Node(lab, "gw-7", f"mqtts://127.0.0.1:{front.port}", certs)
    wait_for("a connection without a protocol", lambda: front.named, 10)
    assert set(front.named) == {None} and node.uplink()["state"] != "online", front.named
    node.reconfigure(more=", alpn: x-amzn-mqtt-ca")
    node.waits_to_be_at(0)
    assert front.named[-1] == "x-amzn-mqtt-ca"
    node.balance(central)


def test_an_alarm_overrides_the_schedule(lab):
    """Ten seconds from the start, and then not for hours; in between only an alarm connects."""
    certs = laboratory.make_certs(lab.directory / "certs")
    central = Central()
    member = Member(lab, "a", certs, central)
    (lab.directory / "gw-7").mkdir()
    (lab.directory / "gw-7" / "rules.yaml").write_text('weir: 1\nrules: [{rule: high, when: "beat > 50", auto_ack: true}]\n')
    node = Node(lab, "gw-7", member.url, certs, more=', schedule: {open: 10s, every: 4000h}}\nrules: ["rules.yaml"]\nlimits: {')
    node.waits_to_be_at(0)
    wait_for("the end of its time", lambda: node.uplink()["state"] == "offline", 20, 0.05)
    uplink = node.uplink()
    assert uplink["attempts"] == 0 and uplink["opens_in_s"] > 0, uplink
    wait_for("the state", lambda: member.subscriber.states[-1]["cause"] == "schedule", 5)
    assert "connects in" in node.agent.run("status").stdout
    sensor = laboratory.Sender(node.fields["line"])
    sensor.send("beat value=99\n")
    wait_for("the alarm", lambda: member.subscriber.alarms, 10, 0.05)
    sensor.close()
    wait_for("the end of the override", lambda: node.uplink()["state"] == "offline", 25, 0.1)
    node.reconfigure(more='}\nrules: ["rules.yaml"]\nlimits: {')
    node.waits_to_be_at(0)
    node.generator.stop()
    wait_for("the outbox to drain", node.agent.drained, 20, 0.1)


def test_segments_keep_to_the_rate(lab):
    """At 1 kB a second the outbox grows while nothing is wrong; without a rate it is empty in no time."""
    certs = laboratory.make_certs(lab.directory / "certs")
    central = Central()
    member = Member(lab, "a", certs, central)
    node = Node(lab, "gw-7", member.url, certs, more=", rate: 1KB, format: json")
    node.waits_to_be_at(0)
    wait_for("an outbox that grows", lambda: node.agent.status()["outbox"]["segments"] >= 3, 20, 0.1)
    passed = member.proxy.bytes

    def wire():  # what comes from the broker is counted when it is read
        uplink = node.uplink()
        assert uplink["state"] == "online" and uplink["attempts"] == 0
        return uplink["wire_sent_bytes"] + uplink["wire_received_bytes"]

    wait_for(f"all {passed} bytes that went through the proxy to be counted", lambda: wire() >= passed, 5)
    assert wire() <= 2 * member.proxy.bytes + 10000
    node.reconfigure(more=", format: json")
    node.waits_to_be_at(0)
    node.balance(central)


if __name__ == "__main__":
    harness.main()
