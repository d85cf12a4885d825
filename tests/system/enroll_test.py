"""weir enroll: a gateway's first certificate, its rotation under load, and what is no certificate for it; with a real authority (openssl) and a real broker."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-7, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, lateness: 1s, of: "*"}}
store: {{path: store, budget: 16MB, max_loss: 1s}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "node.pem", key: "node.key", retry_max: 1s, keepalive: 10s}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
REVOKING = """[ca]
default_ca = it
[it]
database = {0}/revoked.txt
default_md = sha256
default_crl_days = 30
"""


class Authority:
    """The private CA of the site."""

    def __init__(self, directory):
        self.certs = laboratory.make_certs(directory)

    def sign(self, request, into, by="ca", days=300):
        openssl("x509", "-req", "-in", request, "-copy_extensions", "copyall", "-days", days, "-CA", self.certs / f"{by}.pem", "-CAkey",
                self.certs / f"{by}.key", "-CAcreateserial", "-out", into)
        return into

    def revoke(self, cert):
        (self.certs / "revoked.txt").write_text("")
        (self.certs / "revoking.conf").write_text(REVOKING.format(self.certs))
        by = ("-config", self.certs / "revoking.conf", "-cert", self.certs / "ca.pem", "-keyfile", self.certs / "ca.key")
        openssl("ca", *by, "-revoke", cert)
        openssl("ca", *by, "-gencrl", "-out", self.certs / "now.crl")
        return self.certs / "now.crl"


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def enroll(agent, *words, code=0):
    done = subprocess.run([agent.weir, "enroll", "-c", agent.config, *map(str, words)], capture_output=True, text=True, timeout=30)
    assert done.returncode == code, (words, done)
    return done.stderr if code else done.stdout


def next_certificate(agent, authority, name, **signing):
    """Asked for and signed, not yet installed."""
    request = agent.directory / f"{name}.csr"
    request.write_text(enroll(agent))
    openssl("req", "-in", request, "-verify", "-noout")
    return authority.sign(request, agent.directory / f"{name}.pem", **signing)


def online(agent):
    return agent.status()["uplink"]["state"] == "online"


class Cluster:
    """Two brokers, one of which looks at a list of revoked certificates, and one proxy that leads to either; segments by their key."""

    def __init__(self, lab, authority):
        self.lab, self.authority, self.segments, self.subscribers = lab, authority, {}, []
        self.first = self.broker("first")
        self.proxy = lab.add(laboratory.Proxy(self.first.port))

    def broker(self, name, crl=None):
        broker = self.lab.add(laboratory.Broker(self.lab.directory / name, self.authority.certs))
        if crl:
            broker.config.write_text(broker.config.read_text().replace("certfile", f"crlfile {crl}\ncertfile"))
        broker.start()
        self.subscribers.append(self.lab.add(laboratory.Subscriber(broker.local_port, self.lab.weir, on_segment=self.take)))
        return broker

    def take(self, segment):
        self.segments[segment[:3]] = sum(record["n"] + record["bad"] for record in segment.records if "n" in record)

    def moves_to(self, broker):
        self.proxy.target_port = broker.port
        self.proxy.cut()
        self.proxy.restore()

    def total(self):
        return sum(list(self.segments.values()))


def reconnects(agent, act):
    connections = agent.status()["uplink"]["connections"]
    act()
    wait_for("another connection", lambda: agent.status()["uplink"]["connections"] > connections and online(agent))


def test_from_nothing_and_rotated_under_load(lab):
    authority = Authority(lab.directory / "certs")
    cluster = Cluster(lab, authority)
    line = laboratory.free_port()
    agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "gw", CONFIG.format(line=line, broker=cluster.proxy.port, certs=authority.certs)))
    agent.start()  # without a certificate: the uplink is down, the rest works
    generator = lab.add(laboratory.Generator(line, 400))
    generator.start()
    wait_for("why the uplink is down", lambda: "node.pem" in agent.status()["uplink"]["cause"])

    first = next_certificate(agent, authority, "first")
    assert "installed: CN=gw-7, OU=riga, until " in enroll(agent, "--install", first, "--ca", authority.certs / "ca.pem")
    wait_for("the uplink to be online", lambda: online(agent))
    wait_for("readings at the cluster", lambda: cluster.total() > 0)

    # The next one: nothing happens to the connection, until the cluster takes the old one no more.
    connections = agent.status()["uplink"]["connections"]
    ends = agent.status()["uplink"]["certificate_until"]
    assert f"certificate until {ends}" in agent.run("status").stdout
    old_key = (agent.directory / "node.key").read_text()
    second = next_certificate(agent, authority, "second", days=400)
    enroll(agent, "--install", second, "--ca", authority.certs / "ca.pem")
    assert (agent.directory / "node.key").read_text() != old_key and not (agent.directory / "node.key.new").exists()
    assert (agent.directory / "node.key").stat().st_mode & 0o777 == 0o600
    assert agent.status()["uplink"]["connections"] == connections
    strict = cluster.broker("strict", crl=authority.revoke(first))
    (agent.directory / "old.key").write_text(old_key)
    refused = subprocess.run(["mosquitto_pub", "-h", "localhost", "-p", str(strict.port), "--cafile", authority.certs / "ca.pem", "--cert", first,
                              "--key", agent.directory / "old.key", "-t", "x", "-m", "x"], capture_output=True, timeout=20)
    assert refused.returncode != 0  # it does look at the list
    reconnects(agent, lambda: cluster.moves_to(strict))
    assert agent.status()["uplink"]["certificate_until"][:10] > ends[:10]

    # A change that was interrupted between certificate and key: the agent has a pair, and the next words end it.
    third = next_certificate(agent, authority, "third")
    (agent.directory / "node.pem").write_text(third.read_text())
    reconnects(agent, lambda: cluster.moves_to(strict))
    assert agent.status()["uplink"]["warning"] == "" and (agent.directory / "node.key.new").exists()
    enroll(agent, "--install", third)
    assert not (agent.directory / "node.key.new").exists()

    generator.stop()
    wait_for("every reading at the cluster", lambda: cluster.total() >= generator.sent)
    assert cluster.total() == generator.sent and not any(subscriber.errors for subscriber in cluster.subscribers)
    agent.run("audit", check=0)


def test_shown_to_a_broker_first(lab):
    authority = Authority(lab.directory / "certs")
    cluster = Cluster(lab, authority)
    agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "gw", CONFIG.format(line=laboratory.free_port(), broker=cluster.proxy.port,
                                                                                   certs=authority.certs)))
    enroll(agent, "--install", next_certificate(agent, authority, "first"))
    agent.start()
    wait_for("the uplink to be online", lambda: online(agent))
    connections = agent.status()["uplink"]["connections"]

    def files():
        return {path.name: path.read_bytes() for path in agent.directory.glob("node.*")}

    # One that the brokers do not take: nothing is replaced, whatever this machine thinks of it.
    foreign = next_certificate(agent, authority, "foreign", by="other-ca")
    before = files()
    said = enroll(agent, "--install", foreign, code=1)
    assert "not installed, what is in use stays" in said and "--no-try" in said and f"mqtts://127.0.0.1:{cluster.proxy.port}" in said, said
    assert files() == before

    # Nobody answers: nobody has taken it. A good one is installed then only by who asks for it.
    good = authority.sign(agent.directory / "foreign.csr", agent.directory / "good.pem")
    cluster.proxy.target_port = laboratory.free_port()
    assert "not installed" in enroll(agent, "--install", good, code=1)
    assert files() == before
    cluster.proxy.target_port = cluster.first.port
    assert agent.status()["uplink"]["connections"] == connections and online(agent)  # it has a client id of its own
    enroll(agent, "--install", good)
    reconnects(agent, lambda: cluster.moves_to(cluster.first))
    enroll(agent, "--install", authority.sign(agent.directory / "foreign.csr", agent.directory / "again.pem", by="other-ca"), "--no-try")
    assert (agent.directory / "node.pem").read_bytes() == (agent.directory / "again.pem").read_bytes()
    assert not (agent.directory / "node.pem.shown").exists()


def test_what_is_refused(lab):
    authority = Authority(lab.directory / "certs")
    agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "gw", CONFIG.format(line=1, broker=1, certs=authority.certs)))
    certs = authority.certs
    assert "'weir enroll' makes one" in enroll(agent, "--install", certs / "client.pem", code=2)
    good = next_certificate(agent, authority, "good")
    foreign = next_certificate(agent, authority, "foreign", by="other-ca")
    over = next_certificate(agent, authority, "over", days=-1)
    for words, code, says in (
            (("--install", foreign, "--ca", certs / "ca.pem"), 1, "is not signed by this CA"),
            (("--install", over), 1, "has expired on"),
            (("--install", certs / "client.pem"), 1, "is for another key"),
            (("--install", agent.config), 1, "no certificate in PEM"),
            (("--install", lab.directory / "none"), 2, "No such file"),
            (("--install", good, "--ca", lab.directory / "none"), 2, "No such file"),
            (("--ca", certs / "ca.pem"), 2, "goes with --install"),
            (("--no-try",), 2, "goes with --install"),
            (("--install",), 2, "its value is missing"),
            (("now",), 2, "unknown word 'now'")):
        assert says in enroll(agent, *words, code=code), words
    (agent.directory / "node.key.new").chmod(0o644)
    assert "everybody on this machine" in enroll(agent, "--install", good, code=1)
    assert "everybody on this machine" in enroll(agent, code=1)
    assert not (agent.directory / "node.pem").exists() and not (agent.directory / "node.key").exists()
    agent.config.write_text(agent.config.read_text().replace('cert: "node.pem", key: "node.key",', ""))
    assert "cert: node.pem, key: node.key" in enroll(agent, code=2)


if __name__ == "__main__":
    harness.main()
