"""What a record of JSON costs over TCP: its own floor, and the whole agent."""
import shutil
import statistics
import lab

from bench import SERIES, children_cpu_ns, cpu_ns, equal, shown, taken, words

RULES = "weir: 1\nrules:\n" + "".join(
    f"  - {{rule: high_{i}, when: temps.temp > {i}000, by: sensor, severity: low}}\n" for i in (1, 2, 3))
READS = ", format: json, json: {time: ts, time_format: s, measurement: temps, tags: sensor}"


def run_floor(bench, records):
    floor = bench.start("floor_json")
    port = floor.stdout.readline().split()[1]
    bench.program("generator", "json", port, records, SERIES)
    result = words(floor.communicate()[0])
    equal("records of the floor", result["records"], records)
    equal("windows of the floor", result["windows"], 2 * SERIES * -(-records // SERIES // 60))
    return result["cpu_ns_a_record"]


def run_agent(bench, records):
    """CPU ns a record (two readings) of a whole agent, until all is committed; and the share of readings whose windows were widened."""
    agent = bench.agent(budget=bench.pick("16MB", "64MB"), rules=RULES, series=2 * SERIES, reads=READS).start()
    begin_ns = cpu_ns(agent.process.pid)
    bench.program("generator", "json", agent.ports[0], records, SERIES)
    lab.wait_for("all readings to be taken", lambda: taken(agent) == 2 * records, 60, 0.05)
    status = agent.status()
    equal("late, bad, clamped", [status["engine"][name] for name in ("late", "bad", "clamped")], [0, 0, 0])
    before_ns = children_cpu_ns()
    agent.stop()
    spent_ns = children_cpu_ns() - before_ns - begin_ns
    audit = agent.audit()
    account = next(a for a in audit["accounts"] if a["window"] == "m1")
    equal("the ledger", audit["balanced"], True)
    equal("readings in the store", account["held"], 2 * records)
    shutil.rmtree(agent.directory)
    return spent_ns / records, account["books"].get("widened", 0) / (2 * records)


def floor_and_agent(bench):
    records = bench.pick(1200000, 4800000)
    pairs = bench.pick(3, 5)
    floors, agents, widened = [], [], []
    for _ in range(pairs):
        floors.append(run_floor(bench, records))
        ns, share = run_agent(bench, records)
        agents.append(ns)
        widened.append(share)
    add = bench.table.add
    add("JSON floor", statistics.median(floors), "ns/record",
        f"CPU of the process, kernel included; {records} records of two fields, median of {pairs}", 68)
    add("JSON over TCP, whole agent", statistics.median(agents), "ns/record",
        f"two readings each; CPU, all threads: 3 limits a sensor, window 1m, committed, clean stop; median of {pairs}")
    add("JSON over TCP / floor", statistics.median(a / f for a, f in zip(agents, floors)), "x floor",
        f"in pairs, floor {shown(min(floors))} to {shown(max(floors))}; the later target is 2.5", 5.0)
    add("  JSON readings in widened windows", 100 * statistics.median(widened), "%", "the engine does not wait for the disk")


SECTIONS = {"json": floor_and_agent}
