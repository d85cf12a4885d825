"""A small laboratory on 127.0.0.1 for the demo and the system tests: a real broker with real certificates, a proxy that can cut or
swallow the link, a subscriber that keeps each segment once, and the agent as a child process.

Everything lives below one directory, uses free ports, and is stopped by Lab.close().
"""
import collections
import json
import os
import pathlib
import re
import secrets
import select
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

RELOADED = re.compile(r'"component":"reload","msg":"(done|refused)')
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


CLAIMS = []


def free_port():
    """A port that is free now, and that nobody else is given as long as this process lives, not even a test beside it that looks for one before the server
    listens: a name for it, which the kernel keeps, is claimed. Below those that the kernel gives to whoever connects."""
    while True:
        port = secrets.choice(range(10000, 32000))
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0weir-test-port-{port}")
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        CLAIMS.append(claim)
        return port


def wait_for(what, condition, seconds=20.0, step=0.02):
    """Polls until condition() is true; an AssertionError that names `what` otherwise. Returns the true value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        time.sleep(step)


class Broker:
    """mosquitto with TLS and required client certificates on one port; queues without limit, so that it loses nothing of its own.

    server names the certificate it shows; with passwords ({user: password}) it asks for those in place of client certificates; with persistence
    its queues survive a stop. With deaf there is another port without TLS (deaf_port), on which everybody may publish and nobody may subscribe."""

    def __init__(self, directory, certs, port=None, server="server", passwords=None, persistence=False, deaf=False):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certs = pathlib.Path(certs)
        self.port = port or free_port()
        self.local_port = free_port()  # without TLS, for the subscriber: it must not depend on what is being tested
        self.process = None
        lines = [
            "per_listener_settings true",
            "max_queued_messages 0", "max_inflight_messages 0", f"persistence {str(persistence).lower()}",
            "log_type error", "log_type warning",
            f"listener {self.port} 127.0.0.1",
            f"cafile {self.certs}/ca.pem", f"certfile {self.certs}/{server}.pem", f"keyfile {self.certs}/{server}.key",
        ]
        if persistence:
            lines.insert(1, f"persistence_location {self.directory}/")
        if passwords:
            lines += ["allow_anonymous false", f"password_file {self._write_passwords(passwords)}"]
        else:
            lines += ["require_certificate true", "use_identity_as_username true", "allow_anonymous true"]
        lines += [f"listener {self.local_port} 127.0.0.1", "allow_anonymous true"]
        if deaf:
            lines += self._deaf_listener()
        if os.geteuid() == 0:
            lines.append("user root")  # reads the certificates wherever the lab is
        self.config = self.directory / "mosquitto.conf"
        self.config.write_text("\n".join(lines) + "\n")

    def _deaf_listener(self):
        self.deaf_port = free_port()
        path = self.directory / "deaf.json"
        access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
        path.write_text(json.dumps({"defaultACLAccess": access, "clients": [], "roles": [], "anonymousGroup": "anybody",
                                    "groups": [{"groupname": "anybody", "roles": []}]}))
        plugin = next(pathlib.Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))  # an ACL file does not refuse subscriptions
        return [f"listener {self.deaf_port} 127.0.0.1", "allow_anonymous true", f"plugin {plugin}", f"plugin_opt_config_file {path}"]

    def _write_passwords(self, passwords):
        path = self.directory / "passwords"
        path.write_text("".join(f"{user}:{password}\n" for user, password in passwords.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(path)], check=True)
        return path

    def start(self):
        with open(self.directory / "mosquitto.log", "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(self.config)], stdout=log, stderr=log,
                                            start_new_session=True)  # Ctrl-C is for the lab, which stops its parts in order
        wait_for("the broker to listen", lambda: _listens(self.port) and _listens(self.local_port))
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """A clean end: with persistence the queues are kept."""
        self.signal(signal.SIGTERM)
        self.process.wait()
        self.process = None

    close = kill


def _listens(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Proxy:
    """Forwards TCP from its port to a target. cut() closes every connection and refuses new ones; swallow() keeps them open and
    forwards nothing (a black hole: no FIN, no RST); lose() takes what comes and forwards none of it, ever: who sent it believes that it
    arrived; restore() ends all of them."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.listener = None
        self.port = free_port()
        self.mode = "pass"
        self.bytes = 0
        self.lost = 0
        self.pairs = set()
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self._listen()
        threading.Thread(target=self._accept_loop, daemon=True).start()

    def _listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(16)
        self.listener = listener

    def _accept_loop(self):
        while not self.stopped.is_set():
            listener = self.listener
            if listener is None:
                time.sleep(0.01)
                continue
            try:
                ready, _, _ = select.select([listener], [], [], 0.1)
                if not ready:
                    continue
                client, _ = listener.accept()
            except (OSError, ValueError):
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)  # an idle link is no broken link
            with self.lock:
                self.pairs.add((client, server))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink, (client, server)), daemon=True).start()

    def _pump(self, source, sink, pair):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                while self.mode == "swallow" and not self.stopped.is_set():
                    time.sleep(0.02)
                if self.mode == "lose":
                    self.lost += len(data)
                    continue
                sink.sendall(data)
                self.bytes += len(data)
        except OSError:
            pass
        with self.lock:
            self.pairs.discard(pair)
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.mode = "cut"
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)  # else it listens on until the thread that waits for it comes back
            listener.close()
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def swallow(self):
        self.mode = "swallow"

    def lose(self):
        self.mode = "lose"

    def restore(self):
        self.mode = "pass"
        if self.listener is None:
            self._listen()

    def close(self):
        self.cut()
        self.stopped.set()


class SilentServer:
    """Accepts into the kernel's queue and never says a word: a handshake that stalls."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]

    def close(self):
        self.listener.close()


class Sender:
    """One connection to a line source, written by hand."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def close(self):
        self.socket.close()


Segment = collections.namedtuple("Segment", "node epoch seq kind records")


class Subscriber:
    """Subscribes to everything below the prefix, keeps each segment once by its key, and counts readings per series (n + bad)."""

    def __init__(self, port, weir, prefix="weir/1", on_segment=None, on_message=None, login=None):
        """login: user and password of a broker that speaks MQTT 3.1.1 only."""
        self.weir = str(weir)
        self.on_segment = on_segment
        self.on_message = on_message
        self.keys = set()
        self.duplicates = 0
        self.readings = collections.Counter()  # display name of the series -> n + bad
        self.aggregates = 0
        self.alarms = []
        self.alarm_keys = set()
        self.gaps = []
        self.ledgers = []
        self.states = []
        self.errors = []
        self.lock = threading.RLock()
        self.decoder = subprocess.Popen([self.weir, "decode", "--format", "weir"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ready = threading.Event()
        self.mark = f"{prefix}/mark/{id(self)}"
        self.marks = threading.Semaphore(0)
        version = mqtt.MQTTv311 if login else mqtt.MQTTv5
        self.client = mqtt.Client(client_id=f"subscriber-{port}-{id(self)}", protocol=version)
        if login:
            self.client.username_pw_set(*login)
        self.client.on_connect = lambda client, *_: client.subscribe(f"{prefix}/#", qos=1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._message
        properties = None if login else Properties(PacketTypes.CONNECT)
        if properties:
            properties.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", port, properties=properties)
        self.client.loop_start()
        if not self.ready.wait(10):
            raise AssertionError("the subscriber could not subscribe")

    def _message(self, _client, _userdata, message):
        try:
            with self.lock:
                self._take(message)
        except Exception as error:  # a subscriber that dies silently would make every test pass or hang
            self.errors.append(f"{message.topic}: {error!r}")

    def _take(self, message):
        if message.topic == self.mark:
            self.marks.release()
            return
        levels = message.topic.split("/")
        key_in_topic = len(levels) > 5 and levels[-3] in ("agg", "alarm", "event", "gap")  # MQTT 3.1.1: …/{node}/agg/{epoch}/{seq}
        leaf = levels[-3 if key_in_topic else -1]
        if self.on_message:
            self.on_message(message)
        if leaf == "state":
            self.states.append(json.loads(message.payload) if message.payload else None)
            return
        if leaf not in ("agg", "alarm", "event", "gap"):
            return
        properties = dict(getattr(getattr(message, "properties", None), "UserProperty", None) or [])  # none with MQTT 3.1.1
        if key_in_topic:
            properties.update(zip(("node", "_", "epoch", "seq"), levels[-4:]))
        if "seq" not in properties:
            return
        key = (properties["node"], properties["epoch"], int(properties["seq"]))
        if key in self.keys:
            self.duplicates += 1
            return
        json_payload = message.payload[:1] == b"{"
        assert key_in_topic or message.properties.ContentType == ("application/json" if json_payload else "application/vnd.weir.segment")
        if not json_payload:
            records = self._decode(message.payload, int.from_bytes(message.payload[32:36], "little"))
            kind = "aggregates"
        else:
            body = json.loads(message.payload)
            records, kind = body["records"], body["kind"]
        self.keys.add(key)
        if kind == "alarms":
            self.alarms.extend(records)
        elif kind == "gaps":
            self.gaps.extend(record for record in records if "ledger" not in record)
            self.ledgers.extend(record for record in records if "ledger" in record)
        else:
            self.aggregates += len(records)
            for record in records:
                self.readings[display(record)] += record["n"] + record["bad"]
        if self.on_segment:
            self.on_segment(Segment(key[0], key[1], key[2], kind, records))

    def _decode(self, body, count):
        self.decoder.stdin.write(body)
        self.decoder.stdin.flush()
        return [json.loads(self.decoder.stdout.readline()) for _ in range(count)]

    def catch_up(self):
        """Returns once all that the broker had acknowledged before is here: a message of our own goes the same way behind it."""
        self.client.publish(self.mark, qos=1)
        if not self.marks.acquire(timeout=20):
            raise AssertionError("the subscriber does not come to what it published itself")

    def total(self):
        with self.lock:
            return sum(self.readings.values())

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
        self.decoder.stdin.close()
        self.decoder.wait()


def display(record):
    """measurement.field{k=v,...}, the field left out where it is "value"."""
    name = record["measurement"] if record["field"] == "value" else f'{record["measurement"]}.{record["field"]}'
    tags = ",".join(f"{k}={v}" for k, v in sorted(record["tags"].items()))
    return f"{name}{{{tags}}}" if tags else name


class Agent:
    """`weir run` as a child process, with its config and store below one directory."""

    def __init__(self, weir, directory, config):
        self.weir = str(weir)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config = self.directory / "weir.yaml"
        self.config.write_text(config)
        self.log_path = self.directory / "weir.log"
        self.process = None

    def start(self, env=None, ready=True, stdin=None, under=()):
        """under: the words of a command that runs the agent."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*under, self.weir, "run", "-c", str(self.config)], stdout=log, stderr=log, stdin=stdin,
                                            env={**os.environ, **(env or {})}, start_new_session=True)
        if ready:
            wait_for("the agent to be ready\n" + self.log()[-2000:], self.ready, 30)
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        status = self.status()
        return status is not None and status.get("ready")

    def run(self, *words, check=None, timeout=30):
        """A command that asks this agent: run("status", "--json")."""
        done = subprocess.run([self.weir, *words, "-c", str(self.config)], capture_output=True, text=True, timeout=timeout)
        if check is not None and done.returncode not in (check if isinstance(check, tuple) else (check,)):
            raise AssertionError(f"weir {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def status(self):
        done = self.run("status", "--json")
        try:
            return json.loads(done.stdout) if done.returncode == 0 else None
        except ValueError:
            return None

    def audit(self):
        done = self.run("audit", "--json", check=(0, 1))
        return json.loads(done.stdout)

    def alarms(self):
        """The alarms that are not normal, by display name."""
        return {alarm["alarm"]: alarm for alarm in json.loads(self.run("alarms", "--json", check=0).stdout)}

    def drained(self):
        """Nothing is open, nothing is on its way, and nothing waits to be sent."""
        status = self.status()
        if status is None or status["outbox"]["segments"]:
            return False
        return all(a.get("open", 0) + a.get("held", 0) + a.get("in_channel", 0) == 0 for a in self.audit()["accounts"])

    def metrics(self, port):
        """/metrics as {name with labels: value}."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and line[0] != "#")}

    def reload(self):
        """SIGHUP, with a log in JSON; returns the log's line that says what became of it."""
        before = len(self._reloads())
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload to be reported", lambda: len(self._reloads()) > before)
        return json.loads(self._reloads()[-1])

    def _reloads(self):
        return [line for line in self.log().split("\n")[:-1] if RELOADED.search(line)]

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self, seconds=20):
        """SIGTERM and wait; returns the exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the agent did not stop:\n" + self.log()[-2000:]) from None
        self.process = None
        return code

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    close = kill


def make_certs(directory):
    subprocess.run([str(ROOT / "tests/support/make-certs"), str(directory)], check=True, stdout=subprocess.DEVNULL)
    return pathlib.Path(directory)


class Generator(threading.Thread):
    """Writes line protocol to a TCP source at a steady rate and keeps its own count: what it wrote, and when. A broken connection is opened
    again; lines of a write that failed are not counted as sent, lines that lay unread in a socket are."""

    def __init__(self, port, rate, series=20, name="gen"):
        super().__init__(daemon=True)
        self.port, self.rate, self.series, self.name_of = port, rate, series, name
        self.sent = 0
        self.writes = []  # (wall ns before the write, lines)
        self.stopping = threading.Event()

    def run(self):
        connection = None
        begin, done = time.monotonic(), 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - begin) * self.rate) - done
            if due <= 0:
                time.sleep(0.005)
                continue
            lines = min(due, 500)
            stamp = time.time_ns()
            text = "".join(f"{self.name_of},s={(done + i) % self.series} value={(done + i) % 977} {stamp + i}\n" for i in range(lines))
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
                connection.sendall(text.encode())
            except OSError:
                if connection:
                    connection.close()
                connection = None
                done += lines  # these were due while nobody listened
                time.sleep(0.02)
                continue
            self.writes.append((stamp, lines))
            self.sent += lines
            done += lines
        if connection:
            connection.close()

    def sent_since(self, wall_ns):
        return sum(lines for stamp, lines in list(self.writes) if stamp >= wall_ns)

    def stop(self):
        self.stopping.set()
        self.join(10)

    close = stop


class Lab:
    """Owns a directory and everything that was started in it."""

    def __init__(self, directory, weir):
        self.directory = pathlib.Path(directory)
        self.weir = pathlib.Path(weir)
        self.parts = []

    def add(self, part):
        self.parts.append(part)
        return part

    def close(self):
        for part in reversed(self.parts):
            part.close()
        self.parts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
