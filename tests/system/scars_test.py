"""The scars of others: what their users lost, brought about here. docs/scars.md tells the stories and says which test holds which of them; those for
which the store alone is enough are in tests/unit/scars_store_test.c.
"""
import atexit
import functools
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-scars, site: riga}}
sources:
  - {{name: {source}, kind: line, listen: "tcp://127.0.0.1:{line}"}}
{more}
windows:
  - {{name: {window}, forward: changes, of: "*"}}
rules: ["rules.yaml"]
store: {{path: store, budget: 8MB, max_loss: 100ms}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key",
          retry_max: {retry_max}, connect_timeout: 2s, format: {format}}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
limits: {{stop_deadline: 2s}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: high, when: "temp > 50", auto_ack: true}
"""
LINES = 20  # of one segment
PORTION = 50_000  # lines of a flood: each is a change, and none is like another


@functools.lru_cache(None)
def certs():
    """Made once for all of these tests."""
    directory = tempfile.mkdtemp(prefix="weir-scars-certs-")
    atexit.register(shutil.rmtree, directory, True)
    return laboratory.make_certs(directory)


@functools.lru_cache(None)
def flood_text():
    """The last value of a series differs from its first: it may be sent again and again."""
    return "".join(f"flood,id={i % 500} value={(i * 7919 % PORTION) / 977:.9f}\n" for i in range(PORTION))


class Gateway:
    """An agent, its way to a real broker, and a subscriber behind that."""

    def __init__(self, lab, **changes):
        self.broker = lab.add(laboratory.Broker(lab.directory / "broker", certs())).start()
        self.link = lab.add(laboratory.Proxy(self.broker.port))
        self.cluster = lab.add(laboratory.Subscriber(self.broker.local_port, lab.weir))
        self.fields = dict(source="floor", line=laboratory.free_port(), more="", window="all", broker=self.link.port, certs=certs(), retry_max="1s",
                           format="segment", http=laboratory.free_port())
        self.fields.update(changes)
        self.directory = lab.directory / "agent"
        self.directory.mkdir()
        (self.directory / "rules.yaml").write_text(RULES)
        self.agent = lab.add(laboratory.Agent(lab.weir, self.directory, CONFIG.format(**self.fields)))
        self.database = self.directory / "store" / "outbox.db"
        self.sender = None
        self.sent = 0

    def change(self, **fields):
        self.fields.update(fields)
        self.agent.config.write_text(CONFIG.format(**self.fields))

    def start(self):
        self.agent.start()
        self.sender = laboratory.Sender(self.fields["line"])
        return self

    def offline(self):
        """Starts without a way to the broker."""
        self.link.cut()
        return self.start()

    def stop(self):
        assert self.agent.stop() == 0

    def send(self, *lines):
        self.sender.send("".join(line + "\n" for line in lines))
        self.sent += len(lines)

    def accounts(self):
        audit = self.agent.audit()
        assert audit["balanced"], json.dumps(audit, indent=1)
        return [account for account in audit["accounts"] if account["window"] not in ("intake", "none")]

    def sum(self, *names):
        return sum(account[name] for account in self.accounts() for name in names)

    def dropped(self, reason):
        return sum(account["books"].get(f"dropped({reason})", 0) for account in self.accounts())

    def fill(self, segments):
        """Commits so many segments, or a few more."""
        for _ in range(segments):
            self.send(*(f"flow,pump={i % 7} value={self.sent + i}" for i in range(LINES)))
            wait_for("the readings to be on disk", lambda: self.sum("held", "delivered") == self.sent)

    def flood(self):
        taken = self.agent.status()["engine"]["taken"]
        self.sender.send(flood_text())
        self.sent += PORTION
        wait_for("the flood to be taken", lambda: self.agent.status()["engine"]["taken"] >= taken + PORTION, 20)

    def uplink(self):
        return self.agent.status()["uplink"]

    def metric(self, name):
        return self.agent.metrics(self.fields["http"])[name]

    def is_online(self):
        wait_for("the uplink", lambda: self.uplink()["state"] == "online")

    def drains(self, *reasons):
        """Everything that was sent has arrived, but for what was booked as dropped for these reasons."""
        wait_for("the outbox to drain", self.agent.drained, 20, 0.05)
        lost = sum(self.dropped(reason) for reason in reasons)
        wait_for(f"{self.sent - lost} readings, {self.cluster.total()} came", lambda: self.cluster.total() == self.sent - lost, 5)
        assert not self.cluster.errors, self.cluster.errors[:3]

    def rows(self):
        """Segments of data in the store of a stopped agent."""
        store = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        count = store.execute("select count(*) from seg where id >= 1 << 56").fetchone()[0]
        store.close()
        return count

    def files(self):
        """What the store's files are, byte by byte."""
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.database.parent.iterdir()}


def test_telegraf_16500_a_start_sends_only_what_waits(lab):
    """There, how far the disk buffer had been delivered was written down nowhere, so that a start sent all of it again; here it stands in the store: after a
    clean stop nothing is repeated, after a kill only what was acknowledged since the last commit, although all of it is still there as history."""
    gateway = Gateway(lab).start()
    gateway.fill(6)
    gateway.drains()
    gateway.stop()
    before = len(gateway.cluster.keys)
    assert gateway.rows() >= 6, "there is something that could be sent again"
    gateway.start()
    gateway.fill(1)
    gateway.drains()
    last = len(gateway.cluster.keys) - before
    assert gateway.metric("weir_uplink_published_total") == last and gateway.cluster.duplicates == 0
    gateway.agent.kill()
    gateway.start()
    gateway.fill(1)
    gateway.drains()
    assert gateway.cluster.duplicates <= last, f"{gateway.cluster.duplicates} of {len(gateway.cluster.keys)} segments came twice"
    gateway.stop()
    assert gateway.rows() >= 8


def test_nanomq_2432_nothing_goes_before_its_acknowledgement(lab):
    """There a cached message left the database when it was handed to the socket, so that a link which died without a word took it along; here a segment that
    went into such a link is held until a PUBACK, also where the process dies before it notices."""
    gateway = Gateway(lab).start()
    gateway.fill(2)
    gateway.drains()
    for killed in (False, True):
        delivered = gateway.sum("delivered")
        gateway.link.lose()
        gateway.fill(3)
        wait_for("segments to be on their way", lambda: gateway.uplink()["in_flight"] > 0 and gateway.link.lost > 0)
        assert gateway.sum("delivered") == delivered and gateway.sum("held") == 3 * LINES
        if killed:
            gateway.agent.kill()
        gateway.link.cut()
        gateway.link.restore()
        if killed:
            gateway.start()
        gateway.drains()
        assert gateway.dropped("crash") == 0
    gateway.stop()


def test_thingsboard_2124_no_reload_and_no_reconnect_touches_the_store(lab):
    """There each reconnect brought the configuration once more, and the database of waiting data was destroyed and made anew although nothing in it had changed;
    here the file stays the same one over every reload and every connection, and so does its epoch."""
    gateway = Gateway(lab).offline()
    gateway.fill(2)
    file = os.stat(gateway.database).st_ino
    for changes in ({}, {"window": "every"}, {"retry_max": "2s"}, {"retry_max": "1s", "window": "all"}):
        gateway.change(**changes)
        assert gateway.agent.reload()["msg"] == "done"
        assert os.stat(gateway.database).st_ino == file and gateway.sum("held") == gateway.sent
        gateway.fill(1)
    gateway.link.restore()
    gateway.is_online()
    gateway.link.cut()
    assert gateway.agent.reload()["msg"] == "done"
    gateway.link.restore()
    gateway.drains()
    assert os.stat(gateway.database).st_ino == file
    assert len({epoch for (_, epoch, _) in gateway.cluster.keys}) == 1
    gateway.stop()


def test_thingsboard_2132_polling_outlives_an_outage(lab):
    """There an outage of half an hour ended the polling of local devices, through a full queue and an error that nobody caught, until a restart; here a poller goes on
    while the link is down and the outbox is full, and comes back by itself when its device has failed."""
    directory = lab.directory / "plc"
    directory.mkdir()
    script = f"test ! -e {directory}/broken || exit 3; date '+poll value=1%N'"
    plc = f'  - {{name: plc, kind: exec, command: [/bin/sh, -c, "{script}"], every: 100ms}}'
    gateway = Gateway(lab, more=plc).start()

    def polled(name="received"):
        return gateway.metric(f'weir_source_{name}_total{{source="plc"}}')

    def goes_on():
        before = polled()
        wait_for("it to be polled", lambda: polled() >= before + 5, 5)

    wait_for("the first round", lambda: polled() > 0)
    gateway.is_online()
    gateway.link.cut()
    while gateway.dropped("evicted") == 0:
        assert gateway.sent < 60 * PORTION, "the outbox does not fill"
        gateway.flood()
    goes_on()
    (directory / "broken").touch()
    failed = polled("programs_failed")
    wait_for("the device to fail", lambda: polled("programs_failed") >= failed + 5, 5)
    (directory / "broken").unlink()
    goes_on()
    gateway.link.restore()
    polls = gateway.cluster.readings["poll"]
    wait_for("what was polled to arrive", lambda: gateway.cluster.readings["poll"] > polls)
    goes_on()
    gateway.stop()


def test_fluent_bit_2246_a_bad_config_touches_nothing(lab):
    """There a start with a mistake in the configuration took the backlog from the disk before it saw the mistake, and ended with it; here a configuration that is
    refused has changed no byte of the store, and the next good one delivers everything."""
    gateway = Gateway(lab).offline()
    gateway.fill(2)
    gateway.stop()
    before = gateway.files()
    good = gateway.agent.config.read_text()
    rules = gateway.directory / "rules.yaml"
    assert "outbox.db" in before and good.count("kind: line") == 1
    for config, rule in ((good.replace("kind: line", "kind: line, kube_tag_prefix: kube"), RULES), ("node: {", RULES), (good.replace("8MB", "8"), RULES),
                         (good, RULES.replace("temp >", "temp > >"))):
        gateway.agent.config.write_text(config)
        rules.write_text(rule)
        done = gateway.agent.run("run")
        assert done.returncode == 1, done
        assert gateway.files() == before
    gateway.agent.config.write_text(good)
    rules.write_text(RULES)
    gateway.link.restore()
    gateway.start()
    gateway.drains()
    gateway.stop()


DAMAGES = ("substr(body, 1, length(body) / 2)", "randomblob(length(body))", "zeroblob(0)", "NULL", "zeroblob(length(body))", "body || zeroblob(100)",
           "substr(body, 1, 4) || x'ffffff7f' || substr(body, 9)")


def test_fluent_bit_1950_damaged_segments_end_nothing(lab):
    """There damaged chunks on the disk crashed the program soon after each start, while data came in; here each of them is told and booked as corrupt, what lies
    beside it arrives, and nothing ends; nor does a start in between that refuses its configuration."""
    gateway = Gateway(lab).offline()
    gateway.fill(2 * len(DAMAGES) + 1)
    gateway.agent.kill()  # so that the next start checks every segment
    with sqlite3.connect(gateway.database) as store:
        rows = store.execute("select id, n from seg where id >= 1 << 56 order by id").fetchall()
        assert len(rows) > 2 * len(DAMAGES)
        for (row, _), damage in zip(rows[1::2], DAMAGES):
            store.execute(f"update seg set body = {damage} where id = ?", (row,))
    store.close()
    corrupt = sum(n for (_, n) in rows[1::2][:len(DAMAGES)])
    before = gateway.files()
    gateway.change(format="cuneiform")
    assert gateway.agent.run("run").returncode == 1 and gateway.files() == before
    gateway.change(format="segment")
    gateway.link.restore()
    gateway.start()
    gateway.flood()
    wait_for("the damage to be booked", lambda: gateway.dropped("corrupt") == corrupt)
    assert gateway.metric("weir_store_bad_segments_total") == len(DAMAGES) and gateway.metric("weir_store_quarantines_total") == 0
    gateway.drains("corrupt")
    gateway.stop()


def test_fluent_bit_2933_a_damaged_head_holds_up_no_backlog(lab):
    """There, by the reports around this one, a start met one damaged chunk, loaded none of those behind it, and met the same chunk again at each start; here the oldest segment,
    the one that all others wait behind, is damaged before each of three starts: it alone is lost, it is told and booked once, and no later start finds it again."""
    gateway = Gateway(lab).offline()
    gateway.fill(6)
    corrupt = 0
    for damage in DAMAGES[:3]:
        gateway.agent.kill()
        with sqlite3.connect(gateway.database) as store:
            row, readings = store.execute("select id, n from seg where id >= 1 << 56 and id - (1 << 56) not in (select seq from badseg) "
                                          "order by id limit 1").fetchone()
            store.execute(f"update seg set body = {damage} where id = ?", (row,))
        store.close()
        corrupt += readings
        gateway.start()
        wait_for("the damage to be booked", lambda: gateway.dropped("corrupt") == corrupt)
        assert gateway.metric("weir_store_bad_segments_total") == 1, "only the new one"
        assert gateway.sum("held") == gateway.sent - corrupt > 0
    gateway.link.restore()
    gateway.drains("corrupt")
    gateway.stop()


def test_fluent_bit_10192_a_backlog_survives_that_its_route_is_gone(lab):
    """There a version crashed at each start at which chunks of before lay on the disk, while it worked out where they go, and lived only once they were deleted; here a
    backlog goes up under its own names, whatever the configuration has become since."""
    gateway = Gateway(lab).offline()
    gateway.fill(2)
    for changes in ({"source": "hall"}, {"window": "every"}, {"format": "json"}, {"source": "yard", "window": "moves", "format": "segment"}):
        gateway.agent.kill()
        gateway.change(**changes)
        gateway.start()
        assert gateway.sum("held") == gateway.sent
        gateway.fill(1)
    gateway.link.restore()
    gateway.drains()
    delivered = {(account["source"], account["window"]): account["delivered"] for account in gateway.accounts() if account["delivered"]}
    assert delivered == {("floor", "all"): 2 * LINES, ("hall", "all"): LINES, ("hall", "every"): 2 * LINES, ("yard", "moves"): LINES}, delivered
    gateway.stop()


def test_paho_1171_a_silent_link_holds_up_nobody(lab):
    """There a publish on a link that had gone silent never came back, and with it the thread that had called it; here nobody waits for the network: readings are taken and
    stored, alarms are raised, questions answered, and a stop ends in time, with messages under way that nobody acknowledges."""
    gateway = Gateway(lab).start()
    gateway.fill(1)
    gateway.drains()
    gateway.link.swallow()
    gateway.flood()
    wait_for("messages that nobody acknowledges", lambda: gateway.uplink()["in_flight"] > 0)
    assert gateway.uplink()["state"] == "online", "nobody has said that it is down"
    gateway.flood()
    gateway.send("temp value=99")
    wait_for("an alarm", lambda: "high" in gateway.agent.alarms(), 2)
    wait_for("all to be on disk", lambda: gateway.sum("held", "delivered") == gateway.sent)
    begin = time.monotonic()
    gateway.stop()
    assert time.monotonic() - begin < 6, "the deadline of a stop is 2 s"
    gateway.link.cut()
    gateway.link.restore()
    gateway.start()
    gateway.drains()
    gateway.stop()


def process_figures(pid):
    proc = pathlib.Path(f"/proc/{pid}")
    resident = next(int(line.split()[1]) for line in (proc / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return resident, len(list((proc / "task").iterdir())), len(list((proc / "fd").iterdir()))


def test_edgex_1516_an_outage_grows_no_memory(lab):
    """There each event that could not be exported was a goroutine that waited for the connection, until the memory was full; here what waits is on the disk: memory,
    threads and descriptors are the same after four times as many readings."""
    gateway = Gateway(lab).start()
    gateway.is_online()
    gateway.link.cut()
    gateway.flood()
    gateway.flood()
    pid = gateway.agent.process.pid
    memory, threads, descriptors = process_figures(pid)
    for _ in range(6):
        gateway.flood()
    wait_for("as many threads and descriptors as before", lambda: process_figures(pid)[1] <= threads and process_figures(pid)[2] <= descriptors, 5)
    grown = process_figures(pid)[0] - memory
    print(f"{memory} KB, and {grown} KB more after {6 * PORTION} readings")
    assert lab.build.name in ("asan", "tsan") or grown < 1024, f"{grown} KB"  # those keep what is freed
    gateway.link.restore()
    gateway.drains("evicted")
    gateway.stop()


if __name__ == "__main__":
    harness.main()
