"""Fifty agents and a cluster of three RabbitMQ nodes. The agents have a backlog from before the cluster was there; while they drain it, one node is killed.
Every segment arrives, by the generator's own count, and what arrives twice has the same key.
"""
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
import rabbitmq  # noqa: E402
from lab import wait_for  # noqa: E402
from receiver import Files, Receiver  # noqa: E402

AGENTS = 50
ROUNDS = 12  # of readings, so many segments at least
SERIES = 20
SECONDS_A_ROUND = 5  # of event time

CONFIG = """
node: {{id: {name}, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 300ms}}
store: {{path: store, budget: 8MB, max_loss: 200ms}}
uplink: {{broker: {brokers}, user: weir, password_file: pw, ca: "{certs}/ca.pem", retry_max: 1s, connect_timeout: 5s, keepalive: 10s}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""


class Gateway:
    def __init__(self, lab, name, brokers, certs):
        self.name, self.line, self.sent = name, laboratory.free_port(), 0
        self.agent = lab.add(laboratory.Agent(lab.weir, lab.directory / name,
                                              CONFIG.format(name=name, line=self.line, brokers=json.dumps(brokers), certs=certs)))
        password = self.agent.directory / "pw"
        password.write_text("s3cret\n")
        password.chmod(0o600)
        self.agent.start(ready=False)

    def measure(self, wall_ns):
        """A round of readings, in event time: some seconds of each series."""
        if not self.sent:
            self.sensor = laboratory.Sender(self.line)
        lines = [f"temp,s={series} value={series}.{second} {wall_ns + second * 10**9}\n" for second in range(SECONDS_A_ROUND) for series in range(SERIES)]
        self.sensor.send("".join(lines))
        self.sent += len(lines)

    def segments(self):
        return self.agent.status()["outbox"]["segments"]


def measure_all(gateways):
    """Rounds that the agents commit one by one; stamps are of the last minute, so that they are neither old nor from the future."""
    begin_ns = (int(time.time()) - ROUNDS * SECONDS_A_ROUND) * 10**9
    for i in range(ROUNDS):
        for gateway in gateways:
            gateway.measure(begin_ns + i * SECONDS_A_ROUND * 10**9)
        time.sleep(0.3)  # so that they are segments of their own


def delivered_by(gateways):
    return sum(gateway.agent.status()["uplink"]["acknowledged"] for gateway in gateways)


def test_a_node_is_killed_while_fifty_agents_drain(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    cluster = lab.add(rabbitmq.Cluster(lab.directory / "cluster", certs))
    links = [lab.add(laboratory.Proxy(member.tls_port)) for member in cluster.members]
    for link in links:
        link.cut()  # until the receiver has its queue: what a broker acknowledges that nobody subscribed to is gone
    brokers = [f"mqtts://localhost:{link.port}" for link in links]
    gateways = [Gateway(lab, f"gw-{i}", brokers, certs) for i in range(AGENTS)]
    for gateway in gateways:
        wait_for(f"{gateway.name} to be ready", gateway.agent.ready, 60)
    feeding = threading.Thread(target=measure_all, args=(gateways,))
    feeding.start()
    cluster.start()
    out = Files(lab.directory / "out")
    password = lab.directory / "receiver.pw"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    receiver = Receiver(lab, "central", ["--broker", f"mqtts://localhost:{cluster.members[0].tls_port}", "--ca", certs / "ca.pem", "--user", "weir",
                                         "--password-file", password, "--to", f"file:{out.directory}"]).start()
    feeding.join()
    for link in links:
        link.restore()
    wait_for("the drain to be under way", lambda: delivered_by(gateways[:5]) > 10, 60, 0.05)
    cluster.members[2].kill()
    at_kill = sum(gateway.segments() for gateway in gateways)
    assert at_kill > 0, "everything had arrived before the node was killed"
    for gateway in gateways:
        wait_for(f"{gateway.name} to drain", gateway.agent.drained, 120, 0.2)
    wait_for("nobody to be at the node that was killed", lambda: not [g for g in gateways if g.agent.status()["uplink"]["broker"]["url"] == brokers[2]])
    sent = sum(gateway.sent for gateway in gateways)
    wait_for(f"{sent} readings", lambda: sum(sum(c.values()) for c in out.readings().values()) >= sent, 60, 0.5)
    assert receiver.stop() == 0
    counts = out.readings()
    for gateway in gateways:
        assert sum(counts[gateway.name].values()) == gateway.sent, (gateway.name, sum(counts[gateway.name].values()), gateway.sent)


if __name__ == "__main__":
    harness.main()
