"""What a reading costs: the floor, the whole agent, its stages, its codecs."""
import re
import shutil
import statistics
import subprocess
import lab

from bench import DATA, SERIES, children_cpu_ns, cpu_ns, equal, shown, taken, words


def run_floor(bench, lines):
    floor = bench.start("floor")
    port = floor.stdout.readline().split()[1]
    bench.program("generator", "fast", port, lines, SERIES)
    result = words(floor.communicate()[0])
    equal("lines of the floor", result["lines"], lines)
    equal("windows of the floor", result["windows"], SERIES * -(-lines // SERIES // 60))
    bench.floor_ns.append(result["cpu_ns_a_line"])
    return result["cpu_ns_a_line"]


def run_agent(bench, lines):
    """CPU ns a reading of a whole agent, until all is committed; and the share of readings whose windows were widened."""
    agent = bench.agent(budget=bench.pick("16MB", "64MB")).start()
    begin_ns = cpu_ns(agent.process.pid)
    bench.program("generator", "fast", agent.ports[0], lines, SERIES)
    lab.wait_for("all readings to be taken", lambda: taken(agent) == lines, 60, 0.05)
    status = agent.status()
    equal("late, bad, clamped", [status["engine"][name] for name in ("late", "bad", "clamped")], [0, 0, 0])
    before_ns = children_cpu_ns()
    agent.stop()
    spent_ns = children_cpu_ns() - before_ns - begin_ns
    audit = agent.audit()
    account = next(a for a in audit["accounts"] if a["window"] == "m1")
    equal("the ledger", audit["balanced"], True)
    equal("readings in the store", account["held"], lines)
    shutil.rmtree(agent.directory)
    return spent_ns / lines, account["books"].get("widened", 0) / lines


def floor_and_agent(bench):
    lines = bench.pick(1200000, 6000000)
    pairs = bench.pick(3, 5)
    floors, agents, widened = [], [], []
    for _ in range(pairs):
        floors.append(run_floor(bench, lines))
        ns, share = run_agent(bench, lines)
        agents.append(ns)
        widened.append(share)
    add = bench.table.add
    add("floor", statistics.median(floors), "ns/line", f"CPU of the process, kernel included; {lines} lines, median of {pairs}", 45)
    add("whole agent", statistics.median(agents), "ns/reading",
        f"CPU, all threads: TCP, 3 limits a series, window 1m, committed, clean stop; median of {pairs}")
    add("whole agent / floor", statistics.median(a / f for a, f in zip(agents, floors)), "x floor",
        f"in pairs, floor {shown(min(floors))} to {shown(max(floors))}", 2.5)
    add("  readings in widened windows", 100 * statistics.median(widened), "%", "the engine does not wait for the disk")


def stages(bench):
    readings = bench.pick(1000000, 6000000)
    floor = statistics.median(bench.floor_ns or [run_floor(bench, 1200000) for _ in range(3)])
    runs = bench.pick(1, 3)
    results = {}
    for _ in range(runs):
        for line in bench.program("stages", readings, bench.path("stages")).splitlines():
            name = line.split()[0]
            row = words(line)
            results.setdefault((name, int(row["series"]), int(row["limits"])), []).append(row["ns_a_reading"])
    one = None
    for (name, series, limits), values in results.items():
        ns = statistics.median(values)
        label = {"parse": "parse, find series", "rules": "+ engine, rules", "windows": "+ windows", "store": "+ committed segments"}[name]
        title = f"{label}: {series} series" + (f", {limits} limits each" if name != "parse" else "")
        bench.table.add(title, ns, "ns/reading", f"{ns / floor:.2f} x floor; one thread, no socket, median of {runs}")
        if (name, limits) == ("rules", 1):
            one = ns
        if (name, limits) == ("rules", 1000):
            bench.table.add("  1000 quiet limits against 1", 100 * (ns / one - 1), "% more", "the two rows above", 10)


def codecs(bench):
    """Other inputs than the bench's own, and the codec of segments: programs with a table of their own, of which the last column counts."""
    shape = ""
    for line in bench.program("parse", bench.pick(20000, 200000), stderr=subprocess.DEVNULL).splitlines()[1:]:
        if not line.startswith(" "):
            shape = line
        elif "fill batches" in line and not shape.startswith("the bench's input"):
            bench.table.add(f"parse, find series: {shape.split(',')[0]}", float(line.split()[-1]), "ns/line", shape)
    for line in bench.program("store_codec", DATA, bench.directory).splitlines():
        if line.startswith("codec, 1024"):
            rates = re.search(r"encode ([0-9.]+) M/s, decode ([0-9.]+) M/s", line)
            bench.table.add("segment codec, encode", float(rates[1]), "M aggr./s", "CPU of one core; the recordings, 1024 a segment")
            bench.table.add("segment codec, decode", float(rates[2]), "M aggr./s", "the same")


SECTIONS = {"cost": floor_and_agent, "stages": stages, "codecs": codecs}
