"""Bad input: what is malformed is told with its place, refused and counted by reason, and the good around it is kept; what has no end keeps
the memory below the ceiling that `weir check` printed.
"""
import json
import math
import multiprocessing
import pathlib
import re
import resource
import socket
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-bad}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 100ms}}
store: {{path: store, budget: 16MB, max_loss: 500ms}}
http: {{listen: "127.0.0.1:{http}"}}
log: {{format: json}}
limits: {{{limits}}}
"""


class Gateway:
    def __init__(self, lab, limits=""):
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        config = CONFIG.format(line=self.line, http=self.http, limits=limits)
        self.agent = lab.add(laboratory.Agent(lab.weir, lab.directory / "agent", config)).start()
        self.sanitized = re.search(rb"__[at]san_init", lab.weir.read_bytes())  # sanitizers have memory of their own
        self.ceiling = json.loads(self.agent.run("check", "--json", check=0).stdout)["ceiling"]["memory_bytes"]

    def intake(self):
        return next(a for a in self.agent.audit()["accounts"] if a["window"] == "intake")

    def received(self, count):
        wait_for(f"{count} readings", lambda: self.intake()["received"] >= count, 20, 0.05)
        intake = self.intake()
        assert intake["received"] == count, intake
        return intake["books"]

    def refusals(self):
        """The log's lines about refused input."""
        return [entry for entry in map(json.loads, filter(lambda line: line.startswith("{"), self.agent.log().splitlines()))
                if entry["msg"] == "input refused"]

    def memory(self):
        """Resident, shared pages by their part."""
        rollup = pathlib.Path(f"/proc/{self.agent.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)[1]) * 1024

    def keeps_the_ceiling(self, what):
        pss = self.memory()
        print(f"{what}: {pss / 1e6:.1f} MB of at most {self.ceiling / 1e6:.1f}")
        assert self.sanitized or pss <= self.ceiling, f"{what}: {pss} bytes resident, {self.ceiling} promised"

    def ends_balanced(self):
        wait_for("windows to close", lambda: all(a.get("open", 0) + a.get("in_channel", 0) == 0 for a in self.agent.audit()["accounts"]), 20)
        audit = self.agent.audit()
        assert audit["balanced"], json.dumps(audit, indent=1)
        assert self.agent.stop() == 0


def test_malformed_lines(lab):
    gateway = Gateway(lab)
    lines_sent = {
        "good v=1\n": None,
        "no fields\n": ("rejected(syntax)", "fields"),
        "good v=2\n": None,
        "good v=3 12x4\n": ("rejected(time)", "12x4"),
        "good v=\n": ("rejected(syntax)", "missing value"),
        "good v=4 99999999999999999999\n": ("rejected(time)", "9999"),
        "good,tag v=5\n": ("rejected(syntax)", "tag"),
        'good v="unfinished\n': ("rejected(syntax)", "unfinished"),
        "good v=12notanumber\n": ("rejected(syntax)", "12notanumber"),
        "ev\x1b[31mil\x07 \xff\n": ("rejected(syntax)", "\\xff"),
        'good v="text in a series of numbers"\n': ("rejected(type)", "v"),
        "# a comment\n": None,
        "\n": None,
        "good v=6\r\n": None,
        "good v=7": None,  # the end of the connection ends the line, too
    }
    sender = laboratory.Sender(gateway.line)
    for line in lines_sent:
        sender.send(line.encode("latin-1"))
    sender.close()
    books = gateway.received(4)
    wanted = [reason[0] for reason in lines_sent.values() if reason]
    assert {book: n for book, n in books.items() if book.startswith("rejected")} == {reason: wanted.count(reason) for reason in set(wanted)}
    metrics = gateway.agent.metrics(gateway.http)
    for reason in set(wanted):
        assert metrics[f'weir_source_rejected_total{{source="floor",reason="{reason}"}}'] == wanted.count(reason)
    assert gateway.agent.status()["sources"][0]["rejected"] == len(wanted)
    told = gateway.refusals()
    lines = list(lines_sent.values())
    for entry in told:
        reason, text = lines[entry["line"] - 1]
        assert entry["source"] == "floor" and entry["reason"] == reason and entry["column"] >= 1, entry
        assert text in entry["error"], f"{entry} does not show {text!r}"
        assert entry["from"].startswith("127.0.0.1:"), entry
    suppressed = sum(entry.get("suppressed", 0) for entry in told)
    print(f"{len(told)} refusals told, {len(wanted) - len(told)} held back by the log's rate limit ({suppressed} so far said)")
    assert len(told) >= min(len(wanted), 5)
    assert "\x1b" not in gateway.agent.log() and "\x07" not in gateway.agent.log()
    gateway.ends_balanced()


def test_not_a_number_is_bad_quality(lab):
    gateway = Gateway(lab)
    sender = laboratory.Sender(gateway.line)
    stamp = time.time_ns()
    for value in (1, "nan", 2, "inf", "-inf", "NaN", 3):
        sender.send(f"m v={value} {stamp}\n")
    books = gateway.received(7)
    assert not any(book.startswith("rejected") for book in books), books
    wait_for("the window", lambda: next(a for a in gateway.agent.audit()["accounts"] if a["window"] == "s1")["held"] == 7)
    account = next(a for a in gateway.agent.audit()["accounts"] if a["window"] == "s1")
    assert account["books"]["bad"] == 4, account
    assert gateway.agent.status()["engine"]["bad"] == 4
    assert gateway.agent.stop() == 0
    aggregates = segments(lab, gateway)
    assert len(aggregates) == 1 and (aggregates[0]["n"], aggregates[0]["bad"]) == (3, 4), aggregates
    assert (aggregates[0]["sum"], aggregates[0]["min"], aggregates[0]["max"]) == (6, 1, 3) and math.isfinite(aggregates[0]["last"])


def segments(lab, gateway):
    store = sqlite3.connect(f"file:{gateway.agent.directory}/store/outbox.db?mode=ro", uri=True)
    bodies = b"".join(body for (body,) in store.execute("select body from seg order by id & ((1 << 56) - 1)"))
    store.close()
    done = subprocess.run([str(lab.weir), "decode", "--format", "weir"], input=bodies, capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_lines_without_end(lab):
    """A megabyte without a newline; then 200 clients that each hold back half a line."""
    gateway = Gateway(lab, "max_line: 64KB, partial_lines: 256KB")
    sender = laboratory.Sender(gateway.line)
    sender.send("good v=1\n")
    sender.send(b"x" * 1_000_000)
    sender.send("\ngood v=2\n")
    books = gateway.received(2)
    assert books["rejected(too_long)"] == 1, books
    gateway.keeps_the_ceiling("a megabyte without a newline")
    holding = [laboratory.Sender(gateway.line) for _ in range(200)]
    for i, client in enumerate(holding):
        client.send(f"good,c={i} v=1,text=\"" + "x" * 4000)
    wait_for("connections to be closed", lambda: gateway.intake()["books"].get("rejected(too_long)", 0) > 100, 20)
    gateway.keeps_the_ceiling("200 lines that are never finished")
    sender.send("good v=3\n")
    gateway.received(3)
    for client in holding:
        client.close()
    gateway.ends_balanced()


def test_more_series_than_allowed(lab):
    """A million distinct series against a limit of 1000: the others are refused and counted, and those that are known go on."""
    gateway = Gateway(lab, "max_series: 1000")
    sender = laboratory.Sender(gateway.line)
    for begin in range(0, 1_000_000, 10_000):
        sender.send("".join(f"flood,id={i} value={i}\n" for i in range(begin, begin + 10_000)))
    books = gateway.received(1000)
    wait_for("all refusals", lambda: gateway.intake()["books"]["rejected(series)"] == 999_000, 60)
    sender.send("".join(f"flood,id={i} value=1\n" for i in range(1000)))
    gateway.received(2000)
    assert gateway.agent.status()["engine"]["series"] == 1000 and books
    gateway.keeps_the_ceiling("a million series")
    assert len(gateway.agent.log()) < 1_000_000, "the log is flooded"
    gateway.ends_balanced()


def test_a_client_that_sends_and_never_reads(lab):
    """It sends as fast as it can, and asks over HTTP without ever reading the answers; others are served meanwhile."""
    gateway = Gateway(lab)
    deaf = [socket.create_connection(("127.0.0.1", gateway.http), timeout=10) for _ in range(20)]
    for client in deaf:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        try:
            for _ in range(2000):
                client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        except BlockingIOError:
            pass  # now it pushes back
    flood = laboratory.Sender(gateway.line)
    text = "".join(f"flood,id={i % 100} value={i}\n" for i in range(20_000))
    sent = 0
    end = time.monotonic() + 3
    while time.monotonic() < end:
        flood.send(text)
        sent += 20_000
    other = laboratory.Sender(gateway.line)
    other.send("other v=1\n")
    gateway.received(sent + 1)
    gateway.keeps_the_ceiling(f"{sent} readings flat out, 20 clients that do not read")
    assert gateway.agent.metrics(gateway.http)["weir_source_received_total{source=\"floor\"}"] == sent + 1
    gateway.ends_balanced()


def many_clients(port, number, ready, go, done):
    """Opens that many connections; each writes one line in two halves, and stays."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (number + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    clients = []
    for _ in range(number):
        clients.append(socket.create_connection(("127.0.0.1", port), timeout=30))
    for client in clients:
        client.sendall(b"many v=")
    ready.wait()
    go.wait()
    for client in clients:
        client.sendall(b"1\n")
    done.wait()


def test_ten_thousand_clients(lab):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard >= 11_000, f"this test needs 11 000 descriptors, `ulimit -Hn` says {hard}"
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (11_000, hard))  # inherited by the agent
    try:
        gateway = Gateway(lab, "max_connections: 12000, partial_lines: 4MB")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    ready, go, done = (multiprocessing.Barrier(3) for _ in range(3))
    halves = [multiprocessing.Process(target=many_clients, args=(gateway.line, 5000, ready, go, done), daemon=True) for _ in range(2)]
    for process in halves:
        process.start()
    ready.wait(30)
    wait_for("10 000 connections", lambda: gateway.agent.status()["sources"][0]["connections"] == 10_000, 20)
    gateway.keeps_the_ceiling("10 000 clients, each in the middle of a line")
    go.wait(30)
    gateway.received(10_000)
    gateway.keeps_the_ceiling("10 000 clients")
    done.wait(30)
    wait_for("all to be gone", lambda: gateway.agent.status()["sources"][0]["connections"] == 0, 20)
    for process in halves:
        process.join(10)
    gateway.ends_balanced()


def test_descriptors_run_out(lab):
    """A flood of connections costs connections, and nothing else: the agent answers, and takes what the others send."""
    gateway = Gateway(lab)
    resource.prlimit(gateway.agent.process.pid, resource.RLIMIT_NOFILE, (160, 160))
    clients = [socket.create_connection(("127.0.0.1", gateway.line), timeout=30) for _ in range(300)]
    wait_for("all to be accepted or refused", lambda: (lambda m: m['weir_source_connections{source="floor"}']
             + m['weir_source_connections_refused_total{source="floor"}'])(gateway.agent.metrics(gateway.http)) == 300)
    refused = gateway.agent.metrics(gateway.http)['weir_source_connections_refused_total{source="floor"}']
    assert 160 < refused < 300, refused
    clients[0].sendall(b"m v=1\n")
    gateway.received(1)
    assert "no more files open" in gateway.agent.log() and "cannot accept" not in gateway.agent.log()
    for client in clients:
        client.close()
    gateway.ends_balanced()


# Each text with the lines that have an error, and a hint. What has the right form is looked at for its meaning.
BAD_CONFIGS = [
    ("""node: {id: gw-1, sight: riga}
sources:
  - {name: floor, kind: lime, listen: "tcp://127.0.0.1:8094"}
windows:
  - {name: m1, evry: 1m, of: "*"}
store: {budget: 64}
""", {1, 3, 5, 6}, "did you mean 'every'?"),
    ("""node: {id: gw bad}
sources:
  - {name: floor, kind: line, listen: "tcp://127.0.0.1:99999"}
  - {name: floor, kind: line, listen: "tcp://127.0.0.1:8094"}
windows:
  - {name: m1, every: 1m, of: "temp{"}
uplink: {broker: "mqtts://127.0.0.1:8883", cert: client.pem}
""", {1, 3, 4, 6, 7}, ""),
]
BAD_RULES = [
    ("""weir: 1
rules:
  - {rule: b, wen: temp > 5}
  - {when: temp > 5}
  - {rule: d, when: max(temp, 5m) > 5}
""", {3, 4, 5}, "did you mean 'when'?"),
    ("""weir: 1
rules:
  - {rule: a, when: "temp >"}
  - {rule: b, when: "unknwn(temp) > 5"}
  - {rule: c, when: "avrg(temp, 5m) > 5"}
  - {rule: d, when: temp > 5, severity: hihg}
  - {rule: e, when: temp > 5, on_delay: 5}
  - {rule: f, when: temp > 5, latch: perhaps}
""", {3, 4, 5, 6, 7, 8}, "did you mean 'avg'?"),
]


def check(lab, *words):
    return subprocess.run([str(lab.weir), "check", "-c", *words], capture_output=True, text=True, timeout=20)


def carets(text, file):
    """(line, column) of each error; each is followed by its line of the file and a caret under the column."""
    places = []
    lines = text.splitlines()
    source = pathlib.Path(file).read_text().splitlines()
    for i, line in enumerate(lines):
        found = re.match(re.escape(str(file)) + r":(\d+):(\d+): error [A-Z]\d+: .", line)
        if found:
            number, column = int(found[1]), int(found[2])
            excerpt, caret = lines[i + 1], lines[i + 2]
            assert excerpt.split("|", 1)[0].strip() == str(number), excerpt
            bar = caret.index("|")
            under = caret.index("^") - bar - 2
            shown = excerpt[excerpt.index("|") + 2:]
            assert source[number - 1][column - 1:][:3] == shown[under:][:3], f"{line}\n{excerpt}\n{caret}"
            places.append((number, column))
    return places


def test_bad_config(lab):
    """All errors at once, in `check` and in `run`; nothing is started."""
    config = lab.directory / "weir.yaml"
    for text, wrong, hint in BAD_CONFIGS:
        config.write_text(text)
        for command in ("check", "run"):
            done = subprocess.run([str(lab.weir), command, "-c", str(config)], capture_output=True, text=True, timeout=20)
            assert done.returncode == 1, done
            assert {line for line, _ in carets(done.stderr, config)} == wrong, done.stderr
            assert hint in done.stderr, done.stderr
    assert not (lab.directory / "data").exists()
    machine = json.loads(check(lab, str(config), "--json").stdout)
    assert not machine["good"] and len(machine["diagnostics"]) >= 5
    for text in ("", "node: [", "node: {id: x}\n", "\t- nonsense", "node: {id: x}\nnode: {id: y}\n", "\0\1\2", "a: &a [*a]\n"):
        config.write_text(text)
        done = check(lab, str(config))
        assert done.returncode == 1 and re.search(r"weir\.yaml:\d+:\d+: error ", done.stderr), (text, done)


def test_bad_rules(lab):
    config, rules = lab.directory / "weir.yaml", lab.directory / "rules.yaml"
    config.write_text(CONFIG.format(line=1, http=2, limits="") + 'rules: ["rules.yaml"]\n')
    for text, wrong, hint in BAD_RULES:
        rules.write_text(text)
        done = check(lab, str(config))
        assert done.returncode == 1, done
        assert {line for line, _ in carets(done.stderr, rules)} == wrong, done.stderr
        assert hint in done.stderr, done.stderr


if __name__ == "__main__":
    harness.main()
