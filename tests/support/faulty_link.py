"""A link between an MQTT client and its broker that knows where messages begin: it can lose, repeat, hold up and exchange whole packets, tear one, and fall silent
in one direction or in both. lab.Proxy knows only bytes.

A plan says what happens: plan(way, packet) is asked once for each packet, and gives a fault, or None. ways are UP (to the broker) and DOWN. Packets of MQTT 3.1.1
and 5 begin, end and have their identifier at the same place, so nothing here depends on the version. Without TLS: it could not see the packets.

Threads: one a connection; it alone asks the plan, so a plan of one connection needs no lock. counts says what was done to how many packets.
"""
import collections
import heapq
import select
import socket
import threading
import time

UP, DOWN = "up", "down"
KINDS = ("", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP",
         "DISCONNECT", "AUTH")
WITH_IDENTIFIER = ("PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK")
DUP = 0x08
OVERTAKEN_S = 0.25  # a packet that waits to be overtaken goes after this, if nothing comes

Fault = collections.namedtuple("Fault", "name value", defaults=(0,))
LOSE = Fault("lose")        # it never arrives
TWICE = Fault("twice")      # it arrives twice; a PUBLISH the second time with DUP
TEAR = Fault("tear")        # half of it arrives, then the connection is cut
CUT = Fault("cut")          # the connection is cut before it
DEAF = Fault("deaf")        # it and all behind it in this direction vanish, while the connection stands: half open
VANISH = Fault("vanish")    # the same in both directions: a black hole


def late(seconds):
    """It and what follows in its direction arrive so much later."""
    return Fault("late", seconds)


def behind(n):
    """The next n packets of its direction overtake it."""
    return Fault("behind", n)


class Packet:
    def __init__(self, data, header):
        self.data = data
        self.kind = KINDS[data[0] >> 4]
        self.qos = data[0] >> 1 & 3 if self.kind == "PUBLISH" else 0
        body = data[header:]
        self.identifier = None
        if self.kind == "PUBLISH" and self.qos:
            at = 2 + int.from_bytes(body[:2], "big")
            self.identifier = int.from_bytes(body[at:at + 2], "big")
        elif self.kind in WITH_IDENTIFIER:
            self.identifier = int.from_bytes(body[:2], "big")
        self.version = body[2 + int.from_bytes(body[:2], "big")] if self.kind == "CONNECT" else None  # 4 is 3.1.1

    def again(self):
        """As it is sent once more."""
        return bytes([self.data[0] | DUP]) + self.data[1:] if self.kind == "PUBLISH" else self.data


class Packets:
    """Cuts what comes into packets."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        self.rest += data
        packets = []
        while True:
            length, shift, header = 0, 0, 1
            while True:
                if header >= len(self.rest):
                    return packets
                if shift > 21:
                    raise ValueError("this is no MQTT: a length of more than four bytes")
                byte = self.rest[header]
                length |= (byte & 0x7F) << shift
                shift += 7
                header += 1
                if byte < 0x80:
                    break
            if len(self.rest) < header + length:
                return packets
            packets.append(Packet(self.rest[:header + length], header))
            self.rest = self.rest[header + length:]


class _Way:
    def __init__(self, name, source, sink):
        self.name, self.source, self.sink = name, source, sink
        self.packets = Packets()
        self.deaf = False
        self.not_before = 0.0  # nothing of this direction goes earlier
        self.due = []          # heap of (when, order, bytes)
        self.aside = []        # [how many are still to overtake it, since when, bytes]


class _Cut(Exception):
    pass


class _Connection(threading.Thread):
    def __init__(self, link, client, server, plan):
        super().__init__(daemon=True)
        self.link, self.plan = link, plan
        self.ways = [_Way(UP, client, server), _Way(DOWN, server, client)]
        self.order = 0
        self.over = threading.Event()

    def run(self):
        try:
            while not self.over.is_set():
                self._turn()
        except (OSError, ValueError, _Cut):
            pass
        for way in self.ways:
            way.source.close()

    def _turn(self):
        now = time.monotonic()
        due = [way.due[0][0] for way in self.ways if way.due] + [since + OVERTAKEN_S for way in self.ways for (_, since, _) in way.aside]
        wait = min([max(0.0, when - now) for when in due] + [0.05])
        readable, _, _ = select.select([way.source for way in self.ways], [], [], wait)
        for way in self.ways:
            if way.source in readable:
                data = way.source.recv(65536)
                if not data:
                    self._send_due(way, float("inf"))  # what was under way arrives before the end does
                    raise _Cut
                for packet in way.packets.feed(data):
                    self._take(way, packet)
        now = time.monotonic()
        for way in self.ways:
            self._send_due(way, now)
            for waiting in [one for one in way.aside if now >= one[1] + OVERTAKEN_S]:
                way.aside.remove(waiting)
                self._send(way, waiting[2])

    def _take(self, way, packet):
        if packet.version:
            self.link.versions.add(packet.version)
        if way.deaf:
            return
        fault = None if self.link.healed else self.plan(way.name, packet)
        self.link.counts[(fault.name if fault else "pass", packet.kind)] += 1
        if fault is None:
            self._queue(way, packet.data)
        elif fault.name == "twice":
            self._queue(way, packet.data)
            self._queue(way, packet.again())
        elif fault.name == "late":
            way.not_before = time.monotonic() + fault.value
            self._queue(way, packet.data)
        elif fault.name == "behind":
            way.aside.append([fault.value, time.monotonic(), packet.data])
        elif fault.name in ("deaf", "vanish"):
            for each in self.ways:
                each.deaf |= fault.name == "vanish" or each is way
        elif fault.name in ("tear", "cut"):
            self._send_due(way, float("inf"))
            if fault.name == "tear":
                way.sink.sendall(packet.data[:len(packet.data) // 2])
            raise _Cut

    def _queue(self, way, data):
        self.order += 1
        heapq.heappush(way.due, (max(time.monotonic(), way.not_before), self.order, data))
        self._send_due(way, time.monotonic())

    def _send_due(self, way, now):
        while way.due and way.due[0][0] <= now:
            self._send(way, heapq.heappop(way.due)[2])
            for waiting in list(way.aside):
                waiting[0] -= 1
                if waiting[0] <= 0:
                    way.aside.remove(waiting)
                    self._send(way, waiting[2])

    @staticmethod
    def _send(way, data):
        if not way.deaf:
            way.sink.sendall(data)


class FaultyLink:
    """Listens on port, and carries each connection to the target on its own. new_plan() gives the plan of the next one."""

    def __init__(self, target_port, new_plan):
        self.target_port, self.new_plan = target_port, new_plan
        self.counts = collections.Counter()  # (name of the fault or "pass", kind of the packet) -> how many
        self.versions = set()
        self.connections = 0
        self.healed = False
        self.live = []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept_loop, daemon=True).start()

    def _accept_loop(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=10)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.settimeout(10)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            connection = _Connection(self, client, server, self.new_plan())
            self.live = [one for one in self.live if one.is_alive()] + [connection]
            connection.start()

    def cut(self):
        """Ends the connections there are."""
        for connection in self.live:
            connection.over.set()

    def heal(self):
        """No more faults, for connections to come; those there are end, for they may owe an answer that was lost."""
        self.healed = True
        self.cut()

    def did(self, name, *kinds):
        return sum(n for (fault, kind), n in list(self.counts.items()) if fault == name and (not kinds or kind in kinds))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()
