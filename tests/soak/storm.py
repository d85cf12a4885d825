"""Trouble under load, for long: afterwards memory, threads and descriptors are what they were, the ledger balances, and what arrived and what was booked
as lost is what the generator sent.

Each troublemaker goes its own way: link (cut, or a black hole), disk (somebody else fills it), config (one of four, by reload), certificate (one of three clients).
"""
import json
import os
import pathlib
import random
import shutil
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402
from tmpfs import Tmpfs  # noqa: E402

SECONDS = int(os.environ.get("WEIR_SECONDS", "1800"))
RATE = 2000
SAMPLE_SECONDS = 2
WARM_UP = 0.25  # of the run, before memory is compared: arenas, caches and the store's pages have been touched by then
HEAP_GROWTH_BYTES = 256 << 10  # what is allocated, as medians; a link that is up has 200 kB that one that is down has not
RSS_GROWTH_BYTES = 1 << 20  # what is resident: pages that are touched late come to it, and go back to nobody

CONFIG = """
node: {{id: gw-7, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: {every}, of: "*", lateness: 300ms}}
rules: ["{rules}"]
store: {{path: "{store}", budget: 24MB, max_loss: 500ms, free_floor: 1MB}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "pki/ca.pem", cert: "pki/client.pem", key: "pki/client.key", retry_max: 1s, connect_timeout: 2s, keepalive: 10s}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = ('weir: 1\nrules:\n  - {{rule: high, when: "beat > {limit}", by: room, deadband: 1, auto_ack: true, respond: "nothing"}}\n'
         '  - {{rule: mean, when: "avg(gen, 10s) > {limit}", by: s, severity: low, auto_ack: true, respond: "nothing"}}\n')
CONFIGS = [("1s", 50), ("1s", 60), ("2s", 50), ("2s", 60)]
CLIENTS = ["client", "client-endless", "client-20-days"]


class Gateway:
    def __init__(self, lab, broker_port, store):
        self.directory = lab.directory / "gw"
        self.pki = self.directory / "pki"
        self.pki.mkdir(parents=True)
        self.certs = lab.directory / "certs"
        self.put("ca.pem", "ca.pem")
        self.rotate("client")
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        self.fields = dict(line=self.line, http=self.http, broker=broker_port, store=store, rules=self.directory / "rules.yaml")
        self.write_config(*CONFIGS[0], write=lambda text: None)
        self.agent = lab.add(laboratory.Agent(lab.weir, self.directory, self.config))

    def put(self, file, other):
        shutil.copy(self.certs / other, self.pki / "new")
        (self.pki / "new").rename(self.pki / file)

    def rotate(self, client):
        self.put("client.key", f"{client}.key")
        self.put("client.pem", f"{client}.pem")

    def write_config(self, every, limit, write=None):
        (self.directory / "rules.yaml").write_text(RULES.format(limit=limit))
        self.config = CONFIG.format(every=every, **self.fields)
        (write or self.agent.config.write_text)(self.config)

    def heap(self):
        return self.agent.metrics(self.http)["weir_heap_used_bytes"]

    def figures(self):
        """Resident bytes that are its own (not of files), threads, descriptors, allocated bytes."""
        process = pathlib.Path(f"/proc/{self.agent.process.pid}")
        fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return int(fields["RssAnon"].split()[0]) << 10, int(fields["Threads"]), len(os.listdir(process / "fd")), self.heap()


class Troublemaker(threading.Thread):
    """Calls `trouble` again and again, with pauses between; what it raises fails the test at the end."""

    def __init__(self, name, chance, pause, trouble):
        super().__init__(daemon=True)
        self.what, self.chance, self.pause, self.trouble = name, chance, pause, trouble
        self.times, self.error, self.stopping = 0, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.stopping.wait(self.chance.uniform(*self.pause)):
                self.trouble(self.chance)
                self.times += 1
        except BaseException as error:  # a thread that dies silently would make the storm a calm
            self.error = error

    def stop(self):
        self.stopping.set()
        self.join(60)
        if self.error:
            raise AssertionError(f"{self.what}: {self.error!r}") from self.error
        return f"{self.what} {self.times}"


def breaks_link(proxy):
    def trouble(chance):
        proxy.cut() if chance.random() < 0.6 else proxy.swallow()
        time.sleep(chance.choice((0.1, 1, 3, 8)))
        proxy.restore()
    return trouble


def fills_disk(disk):
    def trouble(chance):
        disk.fill()
        time.sleep(chance.uniform(0.5, 6))
        disk.free()
    return trouble


def reloads(gateway):
    def trouble(chance):
        gateway.write_config(*chance.choice(CONFIGS))
        report = gateway.agent.reload()
        assert report["msg"] == "done", report
    return trouble


def raises_alarms(line):
    sender = laboratory.Sender(line)

    def trouble(chance):
        room = chance.randint(1, 50)
        sender.send(f"beat,room=R{room} value={chance.choice((1, 99))}\n")
        raises_alarms.sent += 1
    return trouble


def watch(gateway, seconds):
    """Samples over the storm; the first part warms up."""
    samples = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        samples.append(gateway.figures())
        time.sleep(SAMPLE_SECONDS)
    return samples[int(len(samples) * WARM_UP):]


def compare(samples):
    """Memory of the last third against that of the third before: what it takes in bursts comes and goes, a leak only comes."""
    third = len(samples) // 3
    for what, place, limit in (("allocated", 3, HEAP_GROWTH_BYTES), ("resident", 0, RSS_GROWTH_BYTES)):
        values = [sample[place] for sample in samples]
        tenths = [statistics.median(values[i * len(values) // 10:(i + 1) * len(values) // 10]) / 1e6 for i in range(10)]
        growth = statistics.median(values[2 * third:]) - statistics.median(values[third:2 * third])
        print(f"{what} in tenths of the time: {' '.join(f'{mb:.2f}' for mb in tenths)} MB; last third {growth / 1e3:+.0f} kB; at most {max(values) / 1e6:.2f} MB")
        assert growth <= limit, f"{what} memory grows"
    print(f"threads {sorted({s[1] for s in samples})}, descriptors {sorted({s[2] for s in samples})}")


def at_rest(gateway):
    """Threads and descriptors once nothing goes on."""
    figures = []

    def steady():
        figures.append(gateway.figures()[1:3])
        return len(figures) > 10 and len(set(figures[-10:])) == 1
    wait_for("threads and descriptors to come to rest", steady, 30, 0.3)
    return figures[-1]


def books(audit, window):
    return next(account for account in audit["accounts"] if account["window"] == window)


def test_storm(lab):
    seed = int(os.environ.get("WEIR_SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}, {SECONDS} s", flush=True)
    disk = lab.add(Tmpfs(lab.directory / "disk", "32m"))
    assert disk.mounted, f"this test mounts a tmpfs, as root: {disk.why}"
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    proxy = lab.add(laboratory.Proxy(broker.port))
    cluster = lab.add(laboratory.Subscriber(broker.local_port, lab.weir))
    gateway = Gateway(lab, proxy.port, disk.path / "store")
    gateway.agent.start()
    generator = lab.add(laboratory.Generator(gateway.line, RATE))
    generator.start()
    wait_for("the first windows", lambda: cluster.total() > 0, 20)
    calm = at_rest(gateway)
    raises_alarms.sent = 0
    chances = [random.Random(seed + i) for i in range(5)]
    storm = [Troublemaker("broken links", chances[0], (1, 12), breaks_link(proxy)),
             Troublemaker("full disks", chances[1], (4, 20), fills_disk(disk)),
             Troublemaker("reloads", chances[2], (2, 10), reloads(gateway)),
             Troublemaker("certificates", chances[3], (2, 15), lambda chance: gateway.rotate(chance.choice(CLIENTS))),
             Troublemaker("alarms", chances[4], (0.05, 0.5), raises_alarms(gateway.line))]
    samples = watch(gateway, SECONDS)
    print(", ".join(trouble.stop() for trouble in storm))
    generator.stop()
    wait_for("the outbox to drain", gateway.agent.drained, 120, 0.5)
    audit = gateway.agent.audit()
    assert audit["balanced"], json.dumps(audit, indent=1)
    sent = generator.sent + raises_alarms.sent
    window, intake = books(audit, "s1"), books(audit, "intake")
    lost = sum(readings for book, readings in window["books"].items() if book.startswith("dropped"))
    print(f"{sent} sent = {window['delivered']} delivered + {lost} booked as lost; {cluster.total()} arrived, {cluster.duplicates} segments twice")
    assert window["taken"] == sent and intake["received"] == sent, (sent, window, intake)
    assert window["delivered"] + lost == sent
    wait_for(f"{window['delivered']} at the subscriber, {cluster.total()}", lambda: cluster.total() == window["delivered"], 10)
    assert not cluster.errors, cluster.errors[:3]
    gateway.rotate("client")
    assert at_rest(gateway) == calm, f"threads and descriptors were {calm}, are {at_rest(gateway)}"
    compare(samples)
    assert gateway.agent.stop() == 0


if __name__ == "__main__":
    harness.main()
