"""tests/support/faulty_link.py itself: packets of both versions are found wherever the stream is cut, and each fault does what it says and nothing else."""
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import faulty_link  # noqa: E402
import harness  # noqa: E402
from faulty_link import DEAF, DOWN, LOSE, TEAR, TWICE, UP, VANISH, CUT, behind, late  # noqa: E402
from lab import wait_for  # noqa: E402


def packet(first, body):
    length, n = b"", len(body)
    while True:
        length += bytes([n % 128 | (0x80 if n >= 128 else 0)])
        n //= 128
        if not n:
            return bytes([first]) + length + body


def publish(identifier, payload=b"x", qos=1, properties=b"\0"):
    return packet(0x30 | qos << 1, b"\0\3a/b" + (identifier.to_bytes(2, "big") if qos else b"") + properties + payload)


def puback(identifier):
    return packet(0x40, identifier.to_bytes(2, "big"))


CONNECT_5 = packet(0x10, b"\0\4MQTT\5\2\0\x1e\0\0\2gw")
CONNECT_311 = packet(0x10, b"\0\4MQTT\4\2\0\x1e\0\2gw")


def test_packets_are_found_wherever_the_stream_is_cut(_lab):
    for version, connect in ((5, CONNECT_5), (4, CONNECT_311)):
        properties = b"\0" if version == 5 else b""
        stream = connect + publish(7, b"y" * 200, properties=properties) + puback(7) + b"\xc0\0" + publish(0, b"", 0, properties) + publish(65535, b"z" * 20000)
        for at in list(range(len(connect) + 220)) + [len(stream) - 1]:
            packets = faulty_link.Packets()
            found = packets.feed(stream[:at]) + packets.feed(stream[at:])
            assert [p.kind for p in found] == ["CONNECT", "PUBLISH", "PUBACK", "PINGREQ", "PUBLISH", "PUBLISH"], at
            assert [p.identifier for p in found] == [None, 7, 7, None, None, 65535]
            assert b"".join(p.data for p in found) == stream and packets.rest == b"" and found[0].version == version
    try:
        faulty_link.Packets().feed(b"\x30\xff\xff\xff\xff\x01")
    except ValueError:
        return
    raise AssertionError("a length of five bytes was taken")


class Pair:
    """Both ends of one connection through a link that does `faults`: {(way, identifier): fault}."""

    def __init__(self, lab, faults):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        self.link = lab.add(faulty_link.FaultyLink(listener.getsockname()[1], lambda: lambda way, p: faults.get((way, p.identifier))))
        self.client = socket.create_connection(("127.0.0.1", self.link.port), timeout=5)
        self.server, _ = listener.accept()
        self.server.settimeout(5)
        listener.close()

    def ends(self):
        self.client.close()
        self.server.close()


def read(end, size):
    got = b""
    while len(got) < size:
        data = end.recv(size - len(got))
        if not data:
            break
        got += data
    return got


def passes_up(lab, faults, expected, ended=False):
    """Sends 1, 2, 3, 4 up; `expected` arrives at the server, and an end behind it if it must."""
    pair = Pair(lab, {(UP, identifier): fault for identifier, fault in faults.items()})
    pair.client.sendall(b"".join(publish(i) for i in (1, 2, 3, 4)))
    got = read(pair.server, len(expected) + (1 if ended else 0))
    assert got == expected, (faults, got)
    if not ended:
        pair.server.settimeout(0.05)
        try:
            assert not pair.server.recv(1), "more than that"
            raise AssertionError("it was cut")
        except TimeoutError:
            pass
    pair.ends()
    return pair.link


def test_each_fault_does_what_it_says(lab):
    one, two, three, four = (publish(i) for i in (1, 2, 3, 4))
    again = bytes([two[0] | faulty_link.DUP]) + two[1:]
    assert passes_up(lab, {}, one + two + three + four).did("pass", "PUBLISH") == 4
    assert passes_up(lab, {2: LOSE}, one + three + four).did("lose") == 1
    passes_up(lab, {2: TWICE}, one + two + again + three + four)
    passes_up(lab, {2: behind(1)}, one + three + two + four)
    passes_up(lab, {1: behind(3)}, two + three + four + one)
    passes_up(lab, {4: behind(1)}, one + two + three + four)  # nobody overtakes it: it goes all the same
    passes_up(lab, {2: late(0.1)}, one + two + three + four)
    passes_up(lab, {3: TEAR}, one + two + three[:len(three) // 2], ended=True)
    passes_up(lab, {3: CUT}, one + two, ended=True)
    passes_up(lab, {3: DEAF}, one + two)
    passes_up(lab, {3: VANISH}, one + two)


def test_deaf_is_one_direction_and_vanish_is_both(lab):
    for fault, answer in ((DEAF, puback(9)), (VANISH, b"")):
        pair = Pair(lab, {(UP, 1): fault})
        pair.client.sendall(publish(1))
        wait_for("the fault", lambda: pair.link.did(fault.name) == 1)
        pair.server.sendall(puback(9))
        pair.client.settimeout(5 if answer else 0.1)
        try:
            got = pair.client.recv(100)
        except TimeoutError:
            got = b""
        assert got == answer, (fault, got)
        pair.client.settimeout(5)
        pair.link.heal()
        assert read(pair.client, 1) == b"" and read(pair.server, 1) == b"", "a link that is healed has ended what stood"
        pair.ends()


def test_answers_are_lost_repeated_and_exchanged_too(lab):
    pair = Pair(lab, {(DOWN, 1): LOSE, (DOWN, 2): TWICE, (DOWN, 3): behind(1)})
    pair.server.sendall(b"".join(puback(i) for i in (1, 2, 3, 4)))
    expected = b"".join(puback(i) for i in (2, 2, 4, 3))
    assert read(pair.client, len(expected)) == expected
    pair.ends()


if __name__ == "__main__":
    harness.main()
