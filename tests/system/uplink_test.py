"""The way to the broker, broken in each way that we know: the exact cause is told within a bounded time, the agent goes on taking, storing and
alarming, and when the cause is mended everything arrives: the readings at the subscriber, by distinct key, are the generator's own count.
"""
import json
import pathlib
import shutil
import signal
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

RATE = 1000
CAUSE_SECONDS = 8  # connect_timeout, the longest pause between two attempts, and a busy machine
SILENCE_SECONDS = 45  # the keep-alive or the time-out of acknowledgements

CONFIG = """
node: {{id: gw-{name}, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 300ms}}
rules: ["{rules}"]
store: {{path: store, budget: 16MB, max_loss: 500ms}}
uplink: {{broker: "mqtts://{host}:{broker}", ca: "pki/ca.pem", {login}
          retry_max: 1s, connect_timeout: 2s, keepalive: 10s, format: {format}}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
CERTIFICATE = 'cert: "pki/client.pem", key: "pki/client.key",'

RULES = """
weir: 1
rules:
  - {rule: high, when: "beat > 50", deadband: 1, auto_ack: true}
"""


class Gateway:
    """An agent with its own copy of the certificates, a generator, and a sensor whose alarm is raised at will."""

    def __init__(self, lab, name, broker_port, certs, login=CERTIFICATE, host="127.0.0.1", form="segment", rate=RATE):
        self.name = name
        self.line = laboratory.free_port()
        directory = lab.directory / name
        self.pki = directory / "pki"
        self.pki.mkdir(parents=True)
        self.certs = certs
        for file in ("ca.pem", "client.pem", "client.key"):
            self.put(file, file)
        rules = lab.directory / "rules.yaml"
        rules.write_text(RULES)
        self.fields = dict(name=name, line=self.line, rules=rules, host=host, broker=broker_port, login=login, format=form)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(**self.fields)))
        self.generator = lab.add(laboratory.Generator(self.line, rate, name=name))
        self.sensor = None
        self.beats = 0

    def put(self, file, other):
        """A file of the certificates in place of another, as a rotation does it: by rename."""
        shutil.copy(self.certs / other, self.pki / "new")
        (self.pki / "new").rename(self.pki / file)

    def start(self):
        self.agent.start()
        self.generator.start()
        self.sensor = laboratory.Sender(self.line)
        return self

    def uplink(self):
        return self.agent.status()["uplink"]

    def waits_for_cause(self, *words, seconds=CAUSE_SECONDS):
        def told():
            uplink = self.uplink()
            seen.append(f'{uplink["state"]}: {uplink["cause"]}')
            return uplink["state"] != "online" and all(word in uplink["cause"] for word in words)

        seen = []
        try:
            wait_for(f"{self.name} to say {words}", told, seconds, 0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said: {list(dict.fromkeys(seen))}") from None

    def goes_on(self):
        """It takes readings, commits them, and an alarm is raised and cleared, all without the link."""
        before = self.agent.status()
        self.beat(99)
        wait_for("the alarm", lambda: "high" in self.agent.alarms(), 5)
        self.beat(1)
        wait_for("the alarm's end", lambda: "high" not in self.agent.alarms(), 5)
        wait_for("the outbox to grow", lambda: self.agent.status()["outbox"]["segments"] > before["outbox"]["segments"], 5, 0.05)
        wait_for("readings", lambda: self.agent.status()["engine"]["taken"] > before["engine"]["taken"] + 10, 5, 0.05)

    def beat(self, value):
        self.sensor.send(f"beat value={value}\n")
        self.beats += 1

    def is_online(self):
        return self.uplink()["state"] == "online"

    def waits_until_online(self):
        wait_for(f"{self.name} to be online", self.is_online, 15, 0.05)

    def reconfigure(self, **changes):
        self.fields.update(changes)
        self.agent.config.write_text(CONFIG.format(**self.fields))
        report = self.agent.reload()
        assert report["msg"] == "done", report

    def balance(self, subscriber):
        """Stops the generator, waits until all is drained, and compares."""
        self.generator.stop()
        wait_for(f"the outbox of {self.name} to drain", self.agent.drained, 20, 0.1)
        audit = self.agent.audit()
        assert audit["balanced"], json.dumps(audit, indent=1)
        assert sum(a["dropped_total"] for a in audit["accounts"]) == 0, json.dumps(audit, indent=1)
        sent = self.generator.sent
        wait_for(f"{sent} readings of {self.name}, {subscriber.of(self.name)} came", lambda: subscriber.of(self.name) == sent, 5)
        assert not subscriber.errors, subscriber.errors[:3]
        raised = [alarm for alarm in subscriber.alarms if alarm["cause"] == "raised"]
        assert len(raised) >= self.beats // 2, f"{self.beats // 2} alarms were raised, {len(raised)} arrived"


class Cluster(laboratory.Subscriber):
    """Counts the readings of one generator, and keeps the last state of each node."""

    def __init__(self, port, weir):
        self.last_state = {}
        super().__init__(port, weir, on_message=self._see)

    def _see(self, message):
        if message.topic.endswith("/state"):
            self.last_state[message.topic.split("/")[-2]] = json.loads(message.payload)

    def state_of(self, name):
        return self.last_state.get(f"gw-{name}", {}).get("state")

    def of(self, name):
        with self.lock:
            return sum(count for series, count in self.readings.items() if series.startswith(name))


def test_a_sequence_of_failures(lab):
    """Two agents, one for each format, behind a proxy that leads to another wrong peer each time; at the end everything is there."""
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    wrong = {}
    for server in ("server-elsewhere", "server-name-only", "server-expired"):
        wrong[server] = lab.add(laboratory.Broker(lab.directory / server, certs, server=server)).start()
    silent = lab.add(laboratory.SilentServer())
    proxy = lab.add(laboratory.Proxy(broker.port))
    cluster = lab.add(Cluster(broker.local_port, lab.weir))
    gateways = [Gateway(lab, form, proxy.port, certs, form=form).start() for form in ("segment", "json")]

    def lead_to(port):
        proxy.cut()
        proxy.target_port = port
        proxy.restore()

    def files(ca="ca.pem", pem="client.pem", key="client.key"):
        proxy.cut()
        for gateway in gateways:
            gateway.put("ca.pem", ca)
            gateway.put("client.pem", pem)
            gateway.put("client.key", key)
        proxy.restore()

    ways = [
        (lambda: files(ca="other-ca.pem"), files, ("(CN=localhost) is not signed by a CA in", "pki/ca.pem")),
        (lambda: lead_to(wrong["server-elsewhere"].port), None, ("(CN=elsewhere.example) is not for host '127.0.0.1'",)),
        (lambda: lead_to(wrong["server-name-only"].port), None, ("(CN=localhost) is not for host '127.0.0.1'",)),
        (lambda: lead_to(wrong["server-expired"].port), None, ("(CN=localhost) has expired on 2",)),
        (lambda: files(pem="client-expired.pem", key="client-expired.key"), files,
         ("the broker refused our certificate: certificate_expired",)),
        (lambda: lead_to(broker.local_port), None, ("instead of answering in TLS: is this a TLS port?",)),
        (lambda: lead_to(silent.port), None, ("the peer did not answer the TLS handshake in time",)),
        (proxy.cut, proxy.restore, ("Connection refused",)),
    ]
    each(gateways, Gateway.waits_until_online)
    for break_it, mend_it, words in ways:
        break_it()
        each(gateways, lambda gateway: gateway.waits_for_cause(*words))
        each(gateways, Gateway.goes_on)
        (mend_it or (lambda: lead_to(broker.port)))()
        each(gateways, Gateway.waits_until_online)
    each(gateways, lambda gateway: gateway.balance(cluster))
    assert cluster.state_of("segment") == cluster.state_of("json") == "online"
    gateways[0].agent.kill()  # it says no goodbye: the broker publishes the last will
    wait_for("the last will", lambda: cluster.state_of("segment") == "offline", 10)
    late = lab.add(Cluster(broker.local_port, lab.weir))
    wait_for("retained states", lambda: (late.state_of("segment"), late.state_of("json")) == ("offline", "online"), 5)


def each(gateways, do):
    for gateway in gateways:
        do(gateway)


def test_credentials_that_are_missing_or_wrong(lab):
    """What only the config can mend is mended by a reload; the password file is read again by itself."""
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    cluster = lab.add(Cluster(broker.local_port, lab.weir))
    gateway = Gateway(lab, "nocert", broker.port, certs, login="").start()
    gateway.waits_for_cause("the broker requires a client certificate, and none is configured")
    gateway.goes_on()
    gateway.reconfigure(login=CERTIFICATE)
    gateway.waits_until_online()
    gateway.balance(cluster)

    asks = lab.add(laboratory.Broker(lab.directory / "asks", certs, passwords={"ana": "s3cret"})).start()
    cluster = lab.add(Cluster(asks.local_port, lab.weir))
    gateway = Gateway(lab, "password", asks.port, certs, login='user: ana, password_file: "pki/pw",')
    (gateway.pki / "pw").write_text("not-s3cret\n")
    (gateway.pki / "pw").chmod(0o600)
    gateway.start()
    gateway.waits_for_cause("the broker refused the connection: Not authorized")
    gateway.goes_on()
    (gateway.pki / "pw").write_text("s3cret\n")
    gateway.waits_until_online()
    gateway.balance(cluster)
    assert "s3cret" not in gateway.agent.log(), "the password is in the log"


def test_a_broker_that_is_killed_frozen_or_swallowed(lab):
    """Silence is noticed by the keep-alive or by acknowledgements that do not come; three agents wait for it at the same time."""
    certs = laboratory.make_certs(lab.directory / "certs")
    frozen, holed, killed = (lab.add(laboratory.Broker(lab.directory / name, certs)).start() for name in ("frozen", "holed", "killed"))
    hole, way_back = lab.add(laboratory.Proxy(holed.port)), lab.add(laboratory.Proxy(killed.port))
    peers = {"frozen": (frozen, frozen.port), "holed": (holed, hole.port), "killed": (killed, way_back.port)}
    gateways, clusters = {}, {}
    for name, (broker, port) in peers.items():
        clusters[name] = lab.add(Cluster(broker.local_port, lab.weir))
        gateways[name] = Gateway(lab, name, port, certs, form="json" if name == "holed" else "segment", rate=300).start()
    for name, gateway in gateways.items():
        gateway.waits_until_online()
        wait_for(f"segments of {name}", lambda: clusters[name].of(name) > 0)

    frozen.signal(signal.SIGSTOP)
    hole.swallow()
    kill_and_restart(gateways["killed"], clusters["killed"], killed, way_back)
    for name in ("frozen", "holed"):
        gateways[name].waits_for_cause("the broker", "no", seconds=SILENCE_SECONDS)
        gateways[name].goes_on()
    frozen.signal(signal.SIGCONT)
    hole.restore()
    for name in ("frozen", "holed"):
        gateways[name].waits_until_online()
        gateways[name].balance(clusters[name])


def kill_and_restart(gateway, cluster, broker, proxy):
    """Between two segments, so that what the broker acknowledged has gone on to the subscriber: a broker without persistence loses what it holds.
    The proxy keeps the agent out until the subscriber is there again: without one, the broker would acknowledge into the void."""
    segments = len(cluster.keys)
    wait_for("a segment", lambda: len(cluster.keys) > segments, step=0.001)
    broker.kill()
    proxy.cut()
    gateway.waits_for_cause("")
    gateway.goes_on()
    cluster.ready.clear()
    broker.start()
    assert cluster.ready.wait(15), "the subscriber does not come back"
    proxy.restore()
    gateway.waits_until_online()
    gateway.balance(cluster)
    assert gateway.agent.stop() == 0
    store = sqlite3.connect(f"file:{gateway.agent.directory}/store/outbox.db?mode=ro", uri=True)
    committed = {seq for (seq,) in store.execute("select id & ((1 << 56) - 1) from seg")}
    store.close()
    wait_for("every committed segment", lambda: committed <= {seq for (_, _, seq) in cluster.keys}, 5)
    wait_for("a goodbye", lambda: cluster.state_of(gateway.name) == "offline", 5)


if __name__ == "__main__":
    harness.main()
