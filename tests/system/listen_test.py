"""Lines over TLS and UDP, as others send them: OpenSSL's s_client, Python's ssl, datagrams. The agent's books are compared with what was sent."""
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-listen}}
sources:
  - {{name: safe, kind: line, listen: "tls://127.0.0.1:{tls}", cert: weir.pem, key: weir.key, ca: {certs}/ca.pem, crl: {certs}/crl.pem}}
  - {{name: open, kind: line, listen: ["tls://127.0.0.1:{open}", "tcp://127.0.0.1:{tcp}"], cert: weir.pem, key: weir.key}}
  - {{name: grams, kind: line, listen: "udp://127.0.0.1:{udp}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 100ms}}
store: {{path: store, budget: 16MB, max_loss: 500ms}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: c.sock}}
log: {{format: json}}
"""


class Gateway:
    def __init__(self, lab):
        self.certs = laboratory.make_certs(lab.directory / "certs")
        self.ports = {name: laboratory.free_port() for name in ("tls", "open", "tcp", "udp", "http")}
        self.directory = lab.directory / "agent"
        self.agent = lab.add(laboratory.Agent(lab.weir, self.directory, CONFIG.format(certs=self.certs, **self.ports)))
        self.use("server")
        self.agent.start()

    def use(self, name):
        """A rotation: certificate and key, one after the other."""
        for suffix, kind in ((".pem", "weir.pem"), (".key", "weir.key")):
            shutil.copy(self.certs / (name + suffix), self.directory / "next")
            (self.directory / "next").replace(self.directory / kind)

    def intake(self, source):
        return next(a for a in self.agent.audit()["accounts"] if a["window"] == "intake" and a["source"] == source)

    def received(self, source, count):
        wait_for(f"{count} readings of {source}", lambda: self.intake(source)["received"] >= count)
        assert self.intake(source)["received"] == count, self.intake(source)

    def metric(self, name, source):
        return self.agent.metrics(self.ports["http"])[f'weir_source_{name}{{source="{source}"}}']

    def certificate_seconds(self):
        name = 'weir_certificate_expires_seconds{certificate="open",source="open"}'
        return self.agent.metrics(self.ports["http"])[name] - time.time()

    def causes(self):
        return [json.loads(line)["error"] for line in self.agent.log().splitlines() if '"TLS handshake failed"' in line]

    def context(self, client=None, ca="ca"):
        context = ssl.create_default_context(cafile=self.certs / f"{ca}.pem")
        if client:
            context.load_cert_chain(self.certs / f"{client}.pem", self.certs / f"{client}.key")
        return context

    def connect(self, where, context):
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.ports[where]), 20), server_hostname="localhost")

    def s_client(self, where, text, *words):
        return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.ports[where]}", "-CAfile", self.certs / "ca.pem", "-quiet",
                               "-no_ign_eof", "-verify_return_error", *words], input=text, capture_output=True, text=True, timeout=30)

    def balanced(self):
        wait_for("windows to close", lambda: all(a.get("open", 0) + a.get("in_channel", 0) == 0 for a in self.agent.audit()["accounts"]))
        assert self.agent.audit()["balanced"]
        assert self.agent.stop() == 0


def test_openssl(lab):
    gateway = Gateway(lab)
    mine = ["-cert", gateway.certs / "client.pem", "-key", gateway.certs / "client.key"]
    gateway.s_client("tls", "room_temp,room=A1 value=21.5\nroom_temp,room=A2 value=22\n", *mine)
    gateway.received("safe", 2)
    for version in ("-tls1", "-tls1_1", "-tls1_3"):
        assert gateway.s_client("open", "m v=1\n", version, "-cipher", "ALL:@SECLEVEL=0").returncode != 0, f"{version} gets in"
    for cipher in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"):
        assert gateway.s_client("open", "m v=1\n", "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0").returncode != 0, f"{cipher} gets in"
    for cipher in ("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"):
        gateway.s_client("open", "m v=1\n", "-tls1_2", "-cipher", cipher)
    gateway.received("open", 3)
    refused = gateway.s_client("tls", "m v=1\n")
    assert "handshake failure" in refused.stderr, refused.stderr
    wait_for("the cause", lambda: any("shows no certificate" in cause for cause in gateway.causes()))
    session = lab.directory / "session"
    gateway.s_client("open", "m v=1\n", "-sess_out", session)
    before = gateway.metric("handshakes_resumed_total", "open")
    gateway.s_client("open", "m v=1\n", "-sess_in", session)
    gateway.received("open", 5)
    assert gateway.metric("handshakes_resumed_total", "open") == before + 1
    gateway.balanced()


def test_python(lab):
    """Many at once, with and without the right certificate, and long lines in many records."""
    gateway = Gateway(lab)

    def send(number):
        with gateway.connect("tls", gateway.context("client")) as stream:
            for i in range(50):
                stream.sendall(f'm,n={number} value={i}i,text="{"x" * 900}"\n'.encode())

    threads = [threading.Thread(target=send, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gateway.received("safe", 20 * 50 * 2)
    for name, alert, cause in (("client-other", "UNKNOWN_CA", "is not signed by a CA in"), ("client-expired", "CERTIFICATE_EXPIRED", "has expired on"),
                               ("client-revoked", "CERTIFICATE_REVOKED", "(CN=gw-8) is revoked")):
        try:
            with gateway.connect("tls", gateway.context(name)) as stream:
                stream.sendall(b"m v=1\n")
                assert stream.recv(1) == b""
        except (ssl.SSLError, ConnectionError) as error:
            assert alert in str(error), f"{name}: {error}"
        wait_for(f"the cause of {name}", lambda text=cause: any(text in said for said in gateway.causes()))
    try:
        gateway.connect("tls", gateway.context("client", ca="other-ca"))
        raise AssertionError("a client that does not trust the listener got in")
    except ssl.SSLError:
        pass
    wait_for("its alert", lambda: any("the client refused our certificate: unknown_ca" in said for said in gateway.causes()))
    gateway.received("safe", 20 * 50 * 2)
    gateway.balanced()


def test_who_hangs(lab):
    """Silent ones and half a handshake are closed after ten seconds; nobody waits for them."""
    gateway = Gateway(lab)
    hanging = [socket.create_connection(("127.0.0.1", gateway.ports["open"]), 30) for _ in range(100)]
    for stream in hanging[::2]:
        stream.sendall(b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03")
    begin = time.monotonic()
    with gateway.connect("open", gateway.context()) as stream:
        stream.sendall(b"m v=1\n")
        gateway.received("open", 1)
        assert time.monotonic() - begin < 5
        plain = socket.create_connection(("127.0.0.1", gateway.ports["tcp"]), 20)
        plain.sendall(b"m v=1\n")
        gateway.received("open", 2)
        for other in hanging:
            assert other.recv(1) == b""
        assert 9 < time.monotonic() - begin < 30
        stream.sendall(b"m v=1\n")
        gateway.received("open", 3)
    assert gateway.metric("handshakes_failed_total", "open") == 100
    gateway.balanced()


def test_rotation(lab):
    """The files change under a running agent, without a signal."""
    gateway = Gateway(lab)
    kept = gateway.connect("open", gateway.context())
    wait_for("the file to be read", lambda: gateway.certificate_seconds() > 3000 * 86400)

    def served_by(name):
        stream = None
        try:
            stream = gateway.connect("open", gateway.context())
            return stream.getpeercert(True) == ssl.PEM_cert_to_DER_cert((gateway.certs / f"{name}.pem").read_text())
        except ssl.SSLError as error:
            return name == "server-expired" and "expired" in str(error)
        finally:
            if stream:
                stream.close()

    assert served_by("server")
    for name in ("server-next", "server-expired", "server"):
        gateway.use(name)
        wait_for(f"{name} to be used", lambda now=name: served_by(now), 20, 0.2)
        if name == "server-expired":
            wait_for("the metric", lambda: gateway.certificate_seconds() < 0, 20)
            assert '"the TLS certificate has expired: clients will refuse it"' in gateway.agent.log()
    (gateway.directory / "weir.key").unlink()
    time.sleep(1.1)  # it looks at most once a second
    assert served_by("server") and "the last good ones stay in use" in gateway.agent.log()
    kept.sendall(b"m v=1\n")
    gateway.received("open", 1)
    gateway.balanced()


def test_datagrams(lab):
    """A flood of datagrams: each reading was taken or is booked, each datagram was read or is in the kernel's count."""
    gateway = Gateway(lab)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", gateway.ports["udp"]))
    sender.send(b"room_temp,room=A1 value=21.5\nroom_temp,room=A2 value=22")
    sender.send(b"")
    sender.send(b"room_temp,room=A1 value=\n")
    gateway.received("grams", 2)
    text = b"".join(b"m,n=%d a=1i,b=2i\n" % i for i in range(20))
    datagrams = 30000
    for _ in range(datagrams):
        sender.send(text)
    wait_for("all datagrams to be counted", lambda: gateway.metric("datagrams_total", "grams") + gateway.metric("datagrams_lost_total", "grams")
             == datagrams + 3)
    seen = int(gateway.metric("datagrams_total", "grams")) - 3
    gateway.received("grams", 2 + seen * 40)  # a datagram is counted before its lines are
    intake = gateway.intake("grams")
    assert intake["books"]["rejected(syntax)"] == 1, intake
    print(f"{seen} of {datagrams} datagrams read, {intake['books'].get('dropped(overflow)', 0)} readings dropped")
    gateway.balanced()


if __name__ == "__main__":
    harness.main()
