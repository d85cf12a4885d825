"""The central side with its nodes, for system tests: gateways whose generators count what they sent, a broker with TLS, and the audit at its last word."""
import json

import lab as laboratory
import receiver as receiving
from lab import wait_for

RATE = 1000

CONFIG = """
node: {{id: {name}, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 300ms}}
rules: ["{rules}"]
store: {{path: store, budget: 16MB, max_loss: 200ms, ledger_every: 2s}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key",
          retry_max: 1s, connect_timeout: 2s, format: {format}, version: "{version}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: high, when: "beat > 50", deadband: 1, auto_ack: true}
"""


class Gateway:
    """An agent, and a generator that counts what it sent."""

    def __init__(self, lab, name, certs, broker_port, form="segment", version="auto", rate=RATE):
        self.name = name
        self.line = laboratory.free_port()
        rules = lab.directory / "rules.yaml"
        rules.write_text(RULES)
        config = CONFIG.format(name=name, line=self.line, rules=rules, broker=broker_port, certs=certs, format=form, version=version)
        self.agent = lab.add(laboratory.Agent(lab.weir, lab.directory / name, config))
        self.rate = rate
        self.generator = None
        self.lab = lab
        self.sent = 0

    def start(self):
        self.agent.start()
        self.generate()
        return self

    def generate(self):
        self.generator = self.lab.add(laboratory.Generator(self.line, self.rate, name=self.name))
        self.generator.start()

    def finish(self):
        """No more comes; returns how many readings there were."""
        self.generator.stop()
        self.sent += self.generator.sent
        wait_for("all to be delivered to the broker", self.agent.drained, 60, 0.1)
        return self.sent

    def restart(self):
        """A clean stop and start: nothing may be missing, so nothing may be unread in the socket."""
        self.generator.stop()
        self.sent += self.generator.sent
        wait_for("all to be read", lambda: sum(a["taken"] for a in self.agent.audit()["accounts"] if a.get("window") == "s1") >= self.sent, 20)
        assert self.agent.stop() == 0
        self.agent.start()
        self.generate()

    def raise_alarm(self):
        sender = laboratory.Sender(self.line)
        sender.send("beat value=99\n")
        sender.close()
        self.sent += 1


def audited(lab, to, nodes, since_ns=0):
    """The audit of the central side, once the last ledger records of all nodes are here (of a time after since_ns), and nothing is on its way."""
    def settled():
        done = receiving.run(lab, "--audit", "--json", "--to", to)
        if done.returncode == 2:
            return None
        audit = json.loads(done.stdout)
        last = {epoch["node"]: epoch for epoch in audit["epochs"]}
        still = [n for n in nodes if n not in last or last[n]["time_ns"] < since_ns or last[n]["newer_segments"] or last[n]["on_the_way"] or last[n]["open"] or
                 last[n]["books"].get("delivered", 0) + last[n]["lost"] < last[n]["books"].get("stored", 0)]
        return (done.returncode, audit, last) if not still else None
    return wait_for("the audit to have the last word of each node", settled, 30, 0.5)


def setting(lab, **broker):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs, **broker)).start()
    tls = ["--broker", f"mqtts://127.0.0.1:{broker.port}", "--ca", certs / "ca.pem", "--cert", certs / "client.pem", "--key", certs / "client.key"]
    return certs, broker, tls
