"""RabbitMQ with its MQTT plugin as a node of its own on 127.0.0.1: own ports, own directories, own port mapper, nothing left behind.

RabbitMQ 3.10 (Debian 12) speaks MQTT 3.1.1 and nothing newer. It takes several seconds to start: share one among the tests of a file.
"""
import os
import pathlib
import signal
import subprocess

from lab import _listens, free_port, wait_for

CONFIG = """
listeners.tcp = none
mqtt.listeners.tcp.1 = 127.0.0.1:{port}
mqtt.listeners.ssl.1 = 127.0.0.1:{tls_port}
mqtt.allow_anonymous = false
mqtt.retained_message_store = rabbit_mqtt_retained_msg_store_ets
ssl_options.cacertfile = {certs}/ca.pem
ssl_options.certfile = {certs}/server.pem
ssl_options.keyfile = {certs}/server.key
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
loopback_users = none
log.console = false
log.file.level = info
default_user = weir
default_pass = s3cret
disk_free_limit.absolute = 1MB
"""


class RabbitMQ:
    """User weir, password s3cret; `port` without TLS, `tls_port` with it."""

    user, password = "weir", "s3cret"

    def __init__(self, directory, certs):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.port, self.tls_port, self.mapper_port, distribution = (free_port() for _ in range(4))
        self.mapper = self.process = None
        config = self.directory / "rabbitmq.conf"
        config.write_text(CONFIG.format(port=self.port, tls_port=self.tls_port, certs=certs))
        (self.directory / "plugins").write_text("[rabbitmq_mqtt].\n")
        self.env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.directory),  # of the Erlang cookie
            "ERL_EPMD_PORT": str(self.mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"weir-{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +A 16",
        }

    def start(self):
        server = sorted(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))[-1]
        self.mapper = subprocess.Popen(["epmd", "-port", str(self.mapper_port), "-address", "127.0.0.1"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for("Erlang's port mapper", lambda: _listens(self.mapper_port))
        with open(self.directory / "console.log", "ab") as log:
            self.process = subprocess.Popen([server], env=self.env, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        wait_for("RabbitMQ to start", self._is_up, 120, 0.2)
        return self

    def _is_up(self):
        assert self.process.poll() is None, "RabbitMQ ended:\n" + (self.directory / "console.log").read_text()[-3000:]
        return _listens(self.port) and _listens(self.tls_port)

    def close(self):
        """The node by its pid file, or its start script and what that has started; the script ends with the node. The port mapper is our own child."""
        if (self.directory / "pid").exists():
            os.kill(int((self.directory / "pid").read_text()), signal.SIGKILL)
        elif self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.mapper:
            self.mapper.kill()
        for process in (self.process, self.mapper):
            if process:
                process.wait(10)
        self.process = self.mapper = None
