"""RabbitMQ with its MQTT plugin as a node of its own on 127.0.0.1: own ports, own directories, own port mapper, nothing left behind.

RabbitMQ 3.10 (Debian 12) speaks MQTT 3.1.1 and nothing newer. It takes several seconds to start: share one among the tests of a file. A Cluster is
several of them; queues of persistent sessions are quorum queues there, so that what was acknowledged outlives a member.
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
MEMBERSHIP = """
mqtt.durable_queue_type = quorum
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.randomized_startup_delay_range.min = 0
cluster_formation.randomized_startup_delay_range.max = 0
"""


class PortMapper:
    """Erlang's epmd, for the nodes of one test."""

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(["epmd", "-port", str(self.port), "-address", "127.0.0.1"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for("Erlang's port mapper", lambda: _listens(self.port))

    def close(self):
        self.process.kill()
        self.process.wait(10)


class RabbitMQ:
    """User weir, password s3cret; `port` without TLS, `tls_port` with it."""

    user, password = "weir", "s3cret"

    def __init__(self, directory, certs, mapper=None, home=None):
        """mapper and home (of the cookie): shared by the members of a cluster."""
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.port, self.tls_port, distribution = (free_port() for _ in range(3))
        self.own_mapper = None if mapper else PortMapper()
        self.name = f"weir-{self.port}@localhost"
        self.process = None
        self.config = self.directory / "rabbitmq.conf"
        self.config.write_text(CONFIG.format(port=self.port, tls_port=self.tls_port, certs=certs))
        (self.directory / "plugins").write_text("[rabbitmq_mqtt].\n")
        self.env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(home or self.directory),  # of the Erlang cookie
            "ERL_EPMD_PORT": str((mapper or self.own_mapper).port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_CONFIG_FILE": str(self.config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +A 16",
        }

    def start(self):
        self.begin()
        wait_for("RabbitMQ to start", self.is_up, 120, 0.2)
        return self

    def begin(self):
        server = sorted(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))[-1]
        with open(self.directory / "console.log", "ab") as log:
            self.process = subprocess.Popen([server], env=self.env, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)

    def is_up(self):
        assert self.process.poll() is None, "RabbitMQ ended:\n" + (self.directory / "console.log").read_text()[-3000:]
        return _listens(self.port) and _listens(self.tls_port)

    def kill(self):
        """The node by its pid file, or its start script and what that has started; the script ends with the node."""
        if not self.process:
            return
        if (self.directory / "pid").exists():
            os.kill(int((self.directory / "pid").read_text()), signal.SIGKILL)
            (self.directory / "pid").unlink()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None

    def close(self):
        self.kill()
        if self.own_mapper:
            self.own_mapper.close()


class Cluster:
    """Members that know each other; all have all users, exchanges and bindings."""

    def __init__(self, directory, certs, n=3):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True)
        (directory / ".erlang.cookie").write_text("weir-tests")
        (directory / ".erlang.cookie").chmod(0o400)
        self.mapper = PortMapper()
        self.members = [RabbitMQ(directory / f"member-{i}", certs, self.mapper, directory) for i in range(n)]
        known = "".join(f"cluster_formation.classic_config.nodes.{i + 1} = {member.name}\n" for i, member in enumerate(self.members))
        for member in self.members:
            member.config.write_text(member.config.read_text() + MEMBERSHIP + known)

    def start(self):
        """The first alone, then those who join it."""
        self.members[0].start()
        for member in self.members[1:]:
            member.begin()
        for member in self.members[1:]:
            wait_for("RabbitMQ to start and join", member.is_up, 120, 0.2)
        return self

    def close(self):
        for member in self.members:
            member.close()
        self.mapper.close()
