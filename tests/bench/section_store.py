"""What the store writes, how fast it appends and drains, and what goes over the wire."""
import contextlib
import json
import pathlib
import shutil
import sqlite3
import subprocess
import time
import lab

from bench import DATA, NO_RULES, cpu_ns, equal, outbox


def pages_used(directory):
    with contextlib.closing(sqlite3.connect(directory / "outbox.db")) as database:
        return [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")]


def pages(bench):
    directory = bench.path("pages")
    outbox(bench, "fill", directory, 0, 1024, 64)
    before = pages_used(directory)
    result = outbox(bench, "fill", directory, bench.pick(5, 10), 1024, 64)
    after = pages_used(directory)
    used = (after[0] - after[1] - before[0] + before[1]) * after[2]
    files = "occupancy, NAB (4 files), air quality; windows of ten samples, interleaved"
    bench.table.add("disk pages per aggregate", used / result["aggregates"], "B", f"{files}; 1024 a segment", 12.0)
    bench.table.add("  body of a segment", result["body_bytes"] / result["aggregates"], "B/aggregate", "the same")
    shutil.rmtree(directory)


class LoopDisk:
    """A private ext4 in a file, whose device counts the sectors written. None where that is not allowed."""

    def __init__(self, bench):
        self.image, self.mount, self.device = bench.path("disk.img"), bench.path("disk"), None
        with open(self.image, "wb") as file:
            file.truncate(512 << 20)
        self.mount.mkdir()
        try:
            self.device = subprocess.run(["losetup", "-f", "--show", self.image], check=True, capture_output=True, text=True).stdout.strip()
            now = "lazy_itable_init=0,lazy_journal_init=0"  # not some seconds later, while we count
            subprocess.run(["mkfs.ext4", "-q", "-E", now, self.device], check=True, capture_output=True)
            subprocess.run(["mount", self.device, self.mount], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.close()
            raise

    def written(self):
        subprocess.run(["sync", "-f", self.mount], check=True)
        return int(pathlib.Path(f"/sys/block/{pathlib.Path(self.device).name}/stat").read_text().split()[6]) * 512

    def close(self):
        subprocess.run(["umount", self.mount], stderr=subprocess.DEVNULL, check=False)
        if self.device:
            subprocess.run(["losetup", "-d", self.device], check=False)
        self.image.unlink()


def blocks(bench):
    try:
        disk = LoopDisk(bench)
    except (OSError, subprocess.CalledProcessError):
        disk = None
    try:
        for mode, budget, when in (("cycle", 64, ""), ("steady", 8, ", when full")):
            for batch, target in ((1024, 45), (256, 110), (64, 250)):
                directory = disk.mount / str(batch) if disk else bench.path("blocks")
                before = []
                result = outbox(bench, mode, directory, bench.pick(1, 10), batch, budget, lambda: before.append(disk.written() if disk else 0))
                written = disk.written() - before[0] if disk else result["written_bytes"]
                bench.table.add(f"block bytes per aggregate, {batch} a commit{when}", written / result["aggregates"], "B",
                                ("sectors of a private ext4" if disk else "write_bytes of /proc/self/io") +
                                f"; inserted, offered, acknowledged, closed; the recordings; budget {budget} MB", target)
                shutil.rmtree(directory)
    finally:
        if disk:
            disk.close()


def store(bench):
    directory = bench.path("outbox")
    filled = outbox(bench, "fill", directory, bench.pick(10, 200), 1024, 256)
    bench.table.add("outbox append", filled["aggregates"] / filled["seconds"] / 1e3, "k aggr./s",
                    f"{filled['segments']:.0f} segments, a durable commit each; {1e9 * filled['cpu_seconds'] / filled['aggregates']:.0f} ns CPU an aggregate",
                    200, at_least=True)
    drain(bench, directory, filled)
    shutil.rmtree(directory)
    wire(bench)


def drain(bench, directory, filled):
    broker = bench.tls()
    agent = bench.agent(rules=NO_RULES, store=directory, budget=f"{256 << 20}B", uplink=bench.uplink(broker.port))
    try:
        agent.start(ready=False)
        begin = lab.wait_for("the uplink", lambda: connected_at(agent), 30, 0)
        lab.wait_for("the outbox to drain", lambda: agent.status()["outbox"]["segments"] == 0, 60, 0)
        seconds = time.monotonic() - begin
        cpu_seconds = cpu_ns(agent.process.pid) / 1e9
        status = agent.status()["uplink"]
        equal("segments acknowledged", status["acknowledged"], filled["segments"] + 1)  # and the ledger record of the start
        bench.table.add("outbox drain", filled["aggregates"] / seconds / 1e6, "M aggr./s",
                        f"into a local broker over TLS, {filled['segments']:.0f} segments in {seconds:.2f} s, "
                        f"{cpu_seconds:.2f} s CPU of the agent since its start", 5, at_least=True)
    finally:
        agent.kill()
        broker.close()


def connected_at(agent):
    status = agent.status()
    return time.monotonic() if status and status["uplink"]["connections"] > 0 else None


def wire(bench):
    """All TCP bytes of the connection, both ways, less those of one that has nothing to send."""
    totals = []
    for copies in (0, 1):
        directory = bench.path("outbox")
        filled = outbox(bench, "fill", directory, copies, 1024, 16)
        broker = bench.tls()
        proxy = lab.Proxy(broker.port)
        agent = bench.agent(rules=NO_RULES, store=directory, budget="16777216B", uplink=bench.uplink(proxy.port))
        try:
            agent.start()
            lab.wait_for("the uplink", lambda: agent.status()["uplink"]["connections"] > 0)
            lab.wait_for("the outbox to drain", lambda: agent.status()["outbox"]["segments"] == 0)
            time.sleep(0.5)
            totals.append(proxy.bytes)
        finally:
            agent.kill()
            proxy.close()
            broker.close()
    bench.table.add("bytes on the wire per reading", (totals[1] - totals[0]) / filled["readings"], "B",
                    f"TLS bytes both ways; the recordings, ten readings a window, {filled['segments']:.0f} segments of format segment")


CHANCE = ("ambient_temperature", "machine_temperature", "stamps in ns", "doubles of a computation")


def raw(bench):
    """What a kept raw reading costs, stream by stream; 16 bits are the target, but where chance alone is more: docs/bench.md."""
    for line in bench.start("raw_codec", DATA).communicate()[0].splitlines():
        row = json.loads(line)
        target = None if any(word in row["stream"] for word in CHANCE) else 16
        bench.table.add(f"raw readings: {row['stream']}", row["bits"], "bits/reading",
                        f"{row['readings']} readings, {row['per_segment']} a segment; a core encodes {row['encode_per_second'] / 1e6:.1f} M/s and decodes "
                        f"{row['decode_per_second'] / 1e6:.1f} M/s", target)


SECTIONS = {"pages": pages, "blocks": blocks, "store": store, "raw": raw}
