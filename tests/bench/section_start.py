"""From start to ready, and what the binary and the engine occupy."""
import shutil
import socket
import statistics
import subprocess
import time

from bench import RULES, outbox


def ready_ms(agent):
    begin = time.monotonic()
    agent.start(ready=False)
    while True:
        with socket.socket() as client:
            client.settimeout(1)
            try:
                client.connect(("127.0.0.1", agent.http))
                client.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                if b" 200 " in client.recv(100):
                    return 1e3 * (time.monotonic() - begin)
            except OSError:
                pass
        if time.monotonic() - begin > 60:
            raise AssertionError("not ready within a minute:\n" + agent.log()[-2000:])
        time.sleep(0.002)


def start_up(bench):
    megabytes = bench.pick(16, 1024)
    directory = bench.path("outbox")
    budget = 2 * megabytes + 16
    filled = outbox(bench, "noise", directory, megabytes, 1024, budget)
    agent = bench.agent(rules=RULES, store=directory, budget=f"{budget << 20}B")
    times = []
    for _ in range(3):
        times.append(ready_ms(agent))
        agent.stop()
    bench.table.add("start to ready", statistics.median(times), "ms",
                    f"{megabytes} MB of segments to send ({filled['segments']:.0f}), stopped cleanly; median of 3", 200)
    agent.start()
    agent.kill()
    bench.table.add("start to ready after kill -9", ready_ms(agent), "ms", "the same outbox, once")
    agent.stop()
    shutil.rmtree(directory)


def sizes(bench):
    stripped = bench.path("stripped")
    subprocess.run(["strip", "-o", stripped, bench.weir], check=True)
    bench.table.add("binary, stripped", stripped.stat().st_size / 1e6, "MB", "shared libraries not counted", 1.5)
    text = bench.program("engine_step", bench.pick(500000, 5000000))
    for line in text.splitlines()[1:]:
        series, windows, ns, _low, _high, engine_bytes, _other_bytes, _aggregates = line.split()
        if windows == "1" and series in ("10000", "100000"):
            bench.table.add(f"engine: {series} series, 1 window", float(ns), "ns/reading", "step alone, series take turns, one quiet band each")
            bench.table.add("  bytes per series in the engine", float(engine_bytes), "B", "stream and open window")


SECTIONS = {"start": start_up, "sizes": sizes}
