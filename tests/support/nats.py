"""nats-server with its MQTT listener as a process of its own on 127.0.0.1: TLS with client certificates, everything that is acknowledged on disk (JetStream).

It speaks MQTT 3.1.1 and nothing newer, has no shared subscriptions, and starts in less than a second. What a client that was killed had not acknowledged it sends again after ack_wait (30 s by default).
"""
import pathlib
import subprocess

from lab import _listens, free_port, wait_for

CONFIG = """
server_name: weir
listen: "127.0.0.1:{client}"
jetstream {{ store_dir: "{directory}", max_memory_store: 16MB, max_file_store: 256MB }}
mqtt {{
  listen: "127.0.0.1:{port}"
  ack_wait: "1s"
  tls {{ cert_file: "{certs}/server.pem", key_file: "{certs}/server.key", ca_file: "{certs}/ca.pem", verify: true }}
}}
"""


class Nats:
    def __init__(self, directory, certs):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.port, self.client_port = free_port(), free_port()
        self.process = None
        self.config = self.directory / "nats.conf"
        self.config.write_text(CONFIG.format(directory=self.directory, certs=certs, port=self.port, client=self.client_port))

    def start(self):
        with open(self.directory / "nats.log", "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/nats-server", "-c", str(self.config)], stdout=log, stderr=log, start_new_session=True)
        wait_for("NATS to listen", self.is_up)
        return self

    def is_up(self):
        assert self.process.poll() is None, "NATS ended:\n" + (self.directory / "nats.log").read_text()[-3000:]
        return _listens(self.port)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    close = kill
