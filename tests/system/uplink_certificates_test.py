"""Certificates while the agent runs: revoked ones, rotation, half-done rotation, session tickets, and the alarm before they expire."""
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-7, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
store: {{path: store, budget: 16MB}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "pki/ca.pem", cert: "pki/client.pem", key: "pki/client.key", {more}
          retry_max: 1s, connect_timeout: 5s, keepalive: 10s}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
SOON, EXPIRES = "weir_certificate_expires_soon{certificate=uplink}", "weir_certificate_expires{certificate=uplink}"
EXPIRES_METRIC = 'weir_certificate_expires_seconds{certificate="uplink"}'


class Gateway:
    def __init__(self, lab, broker_port, certs, client="client", more=""):
        self.directory = lab.directory / "gw"
        self.certs, self.pki = certs, self.directory / "pki"
        self.pki.mkdir(parents=True)
        self.put("ca.pem", "ca.pem")
        self.rotate(client)
        self.http = laboratory.free_port()
        self.fields = dict(line=laboratory.free_port(), broker=broker_port, http=self.http, more=more)
        self.agent = lab.add(laboratory.Agent(lab.weir, self.directory, CONFIG.format(**self.fields)))

    def put(self, file, other):
        shutil.copy(self.certs / other, self.pki / "new")
        (self.pki / "new").rename(self.pki / file)

    def rotate(self, client):
        self.put("client.key", f"{client}.key")
        self.put("client.pem", f"{client}.pem")

    def uplink(self):
        return self.agent.status()["uplink"]

    def waits_until_online(self):
        wait_for("the uplink to be online", lambda: self.uplink()["state"] == "online")

    def waits_for_cause(self, words):
        wait_for(words, lambda: words in self.uplink()["cause"] and self.uplink()["state"] != "online")

    def handshakes(self):
        metrics = self.agent.metrics(self.http)
        return tuple(metrics[f'weir_uplink_tls_handshakes_total{{kind="{kind}"}}'] for kind in ("full", "resumed"))

    def reconfigure(self, **changes):
        self.fields.update(changes)
        self.agent.config.write_text(CONFIG.format(**self.fields))
        report = self.agent.reload()
        assert report["msg"] == "done", report

    def ends(self):
        """When its certificate ends, as openssl says."""
        text = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", self.pki / "client.pem"], check=True, capture_output=True,
                              text=True).stdout
        return time.mktime(time.strptime(text.strip(), "notAfter=%b %d %H:%M:%S %Y GMT")) - time.timezone

    def expiry_alarms(self):
        """Name -> (severity, state) of those that are active."""
        return {name: (alarm["severity"], alarm["to"]) for name, alarm in self.agent.alarms().items() if name in (SOON, EXPIRES)}


def test_a_revoked_broker_is_refused(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    good = lab.add(laboratory.Broker(lab.directory / "good", certs)).start()
    revoked = lab.add(laboratory.Broker(lab.directory / "revoked", certs, server="server-revoked")).start()
    gateway = Gateway(lab, revoked.port, certs)
    gateway.put("crl.pem", "crl.pem")
    gateway.agent.start()
    gateway.waits_until_online()  # nobody looks at a list
    gateway.reconfigure(more='crl: "pki/crl.pem",')
    gateway.waits_for_cause("the broker's certificate (CN=localhost) is revoked")
    gateway.reconfigure(broker=good.port)
    gateway.waits_until_online()
    gateway.put("crl.pem", "crl-expired.pem")
    good.kill()
    good.start()
    gateway.waits_for_cause("The CRL for the broker's certificate has expired".replace("The", "the"))
    gateway.put("crl.pem", "crl.pem")  # the list is read again by itself
    gateway.waits_until_online()


def test_rotation_tickets_and_expiry(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    proxy = lab.add(laboratory.Proxy(broker.port))
    cluster = lab.add(laboratory.Subscriber(broker.local_port, lab.weir))
    gateway = Gateway(lab, proxy.port, certs, client="client-5-days")
    gateway.agent.start()
    gateway.waits_until_online()

    # Both alarms, without a rule in the config; on the wire too.
    both = {SOON: ("medium", "unack"), EXPIRES: ("high", "unack")}
    wait_for("both alarms", lambda: gateway.expiry_alarms() == both, 15)
    wait_for("both alarms at the cluster", lambda: {SOON, EXPIRES} <= {alarm["alarm"] for alarm in cluster.alarms})
    message = next(alarm["message"] for alarm in cluster.alarms if alarm["alarm"] == EXPIRES)
    assert message.startswith("the certificate of uplink expires in 4.9"), message
    assert gateway.agent.metrics(gateway.http)[EXPIRES_METRIC] == gateway.ends()

    # A second connect takes the ticket.
    full, resumed = gateway.handshakes()
    assert full >= 1
    reconnect(gateway, proxy)
    assert gateway.handshakes() == (full, resumed + 1)

    # A key without its certificate: the last good set goes on, and the log says why.
    gateway.put("client.key", "client-20-days.key")
    reconnect(gateway, proxy)
    assert "does not belong to certificate" in gateway.uplink()["warning"], gateway.uplink()
    assert "new certificate files cannot be used; the last good ones are" in gateway.agent.log()

    # The rest of it: noticed while the connection stands, used at the next one, with a full handshake.
    gateway.put("client.pem", "client-20-days.pem")
    wait_for("the high alarm to go", lambda: gateway.expiry_alarms().get(EXPIRES) == ("high", "rtn_unack"), 15)
    assert gateway.expiry_alarms()[SOON] == ("medium", "unack")
    full = gateway.handshakes()[0]
    reconnect(gateway, proxy)
    assert gateway.handshakes()[0] == full + 1 and gateway.uplink()["warning"] == ""
    wait_for("the metric", lambda: gateway.agent.metrics(gateway.http)[EXPIRES_METRIC] == gateway.ends())

    # An acknowledgement works as for any alarm, and survives a restart; a reload looks at once.
    gateway.agent.run("alarms", "ack", SOON, check=0)
    assert gateway.expiry_alarms()[SOON] == ("medium", "acked")
    assert gateway.agent.stop() == 0
    gateway.agent.start()
    wait_for("the state", lambda: gateway.expiry_alarms().get(SOON) == ("medium", "acked"))
    gateway.rotate("client")
    assert gateway.agent.reload()["msg"] == "done"
    wait_for("no more alarm", lambda: SOON not in gateway.expiry_alarms(), 5)

    # Above 20 days there is nothing to tell, and 0 switches it off.
    gateway.rotate("client-20-days")
    gateway.reconfigure(more="expiry_warn: 10d,")
    wait_for("the metric", lambda: gateway.agent.metrics(gateway.http)[EXPIRES_METRIC] == gateway.ends())
    assert SOON not in gateway.expiry_alarms()
    gateway.reconfigure(more="expiry_warn: 0,")
    assert gateway.agent.status()["alarms"]["rules"] == 0


def test_an_alarm_goes_with_its_certificate(lab):
    """The certificate of a listener that is configured no more, over a reload and over a restart; the uplink's is watched on."""
    certs = laboratory.make_certs(lab.directory / "certs")
    gateway = Gateway(lab, laboratory.free_port(), certs, client="client-5-days")
    plain = CONFIG.format(**gateway.fields)
    listener = (f'  - {{name: hall, kind: line, listen: "tls://127.0.0.1:{laboratory.free_port()}", cert: pki/client.pem,'
                ' key: pki/client.key}\n')
    both = plain.replace("store:", listener + "store:", 1)
    hall = EXPIRES.replace("uplink", "hall")

    def states():
        return {name: alarm["to"] for name, alarm in gateway.agent.alarms().items() if name in (EXPIRES, hall)}

    gateway.agent.config.write_text(both)
    gateway.agent.start()
    wait_for("alarms", lambda: states() == {EXPIRES: "unack", hall: "unack"}, 15)
    gateway.agent.config.write_text(plain)
    assert gateway.agent.reload()["msg"] == "done"
    wait_for("its end by reload", lambda: states() == {EXPIRES: "unack", hall: "rtn_unack"}, 15)

    gateway.agent.config.write_text(both)
    assert gateway.agent.reload()["msg"] == "done"
    wait_for("alarms again", lambda: states() == {EXPIRES: "unack", hall: "unack"}, 15)
    assert gateway.agent.stop() == 0
    gateway.agent.config.write_text(plain)
    gateway.agent.start()
    wait_for("its end by restart", lambda: states() == {EXPIRES: "unack", hall: "rtn_unack"}, 15)

    gateway.rotate("client-endless")  # the year 9966: later than a number of nanoseconds can say
    wait_for("its end by a new certificate", lambda: states()[EXPIRES] == "rtn_unack", 15)


def reconnect(gateway, proxy):
    connections = gateway.uplink()["connections"]
    proxy.cut()
    proxy.restore()
    wait_for("another connection", lambda: gateway.uplink()["connections"] > connections)
    gateway.waits_until_online()


if __name__ == "__main__":
    harness.main()
