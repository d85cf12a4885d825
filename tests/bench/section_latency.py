"""From bytes on a socket to the action of an alarm."""
import json
import statistics
import time
import lab

from bench import PROBE_RULE, RULES, SERIES, equal, quantile, shown, taken


def latencies_us(agent, since):
    found = []
    for line in agent.log().splitlines()[since:]:
        record = json.loads(line) if line.startswith("{") else {}
        if record.get("component") == "alarm" and record.get("alarm", "").startswith("probe{"):
            found.append((int(record["acted_ns"]) - int(record["event_ns"])) / 1e3)
    return found


def many_rules(count):
    """So many rules, each with a limit of its own on one of the series; their values stay below it."""
    return "".join(f'  - {{rule: own_{i}, when: "temps{{sensor=sn{i % SERIES:05}}} > {100 + i}", severity: low}}\n' for i in range(count))


def latency_run(bench, rate, probes, stalled=False, idle=0, rules=0):
    """Latencies in us of one run, and wake-up latencies under the same load."""
    env = {}
    hang = bench.path("hang")
    if stalled:
        env = {"LD_PRELOAD": str(bench.shim), "WEIR_SHIM_HANG_WHILE": str(hang)}
    limits = f", max_connections: {idle + 100}" if idle else ""
    agent = bench.agent(rules=RULES + many_rules(rules) + PROBE_RULE, series=2 * SERIES + probes, sources=2, limits=limits).start(env=env)
    others = []
    try:
        bench.program("probe", "warm", agent.ports[0], probes)
        lab.wait_for("the probe's series", lambda: taken(agent) == probes)
        if idle:
            others.append(bench.start("generator", "idle", agent.ports[1], idle))
            equal("idle connections", others[0].stdout.readline(), f"open {idle}\n")
        others.append(bench.start("generator", "paced", agent.ports[0], 10**10, SERIES, rate))
        if stalled:
            others.append(bench.start("generator", "flood", agent.ports[1], 10**12, SERIES))
        time.sleep(1)
        if stalled:
            hang.touch()
            time.sleep(0.5)
        before = taken(agent)
        begin = time.monotonic()
        bench.program("probe", "flip", agent.ports[0], probes)
        offered = (taken(agent) - before) / (time.monotonic() - begin)
        lab.wait_for("all alarms", lambda: len(latencies_us(agent, 0)) >= probes, 10, 0.2)
        wakes = [int(ns) / 1e3 for ns in bench.program("probe", "wake", probes // 4).split()]
    finally:
        hang.unlink(missing_ok=True)
        for other in others:
            other.kill()
            other.communicate()
        if stalled:
            agent.kill()
        else:
            agent.stop()
    values = latencies_us(agent, 0)
    equal("alarms", len(values), probes)
    return values, wakes, offered


def latency(bench):
    probes = bench.pick(1000, 1500)
    wakes = [int(ns) / 1e3 for ns in bench.program("probe", "wake", bench.pick(500, 2000)).split()]
    add = bench.table.add
    add("bare wake-up p50", quantile(wakes, 0.5), "us", "a write to a socketpair until the other process runs; machine otherwise idle")
    add("bare wake-up p99", quantile(wakes, 0.99), "us", "same")
    cases = [(10000, False, 0, 0)]
    if not bench.smoke:
        cases += [(200000, False, 0, 0), (200000, True, 0, 0), (10000, False, 10000, 0), (200000, False, 0, 10000)]
    for rate, stalled, idle, rules in cases:
        runs, beside, offered = [], [], []
        for _ in range(1 if bench.smoke or idle else 5):
            values, wakes, taken_a_second = latency_run(bench, rate, probes, stalled, idle, rules)
            runs.append(values)
            beside.extend(wakes)
            offered.append(taken_a_second)
        title = f"alarm, {rate // 1000} k/s" + (", store stopped, flood" if stalled else "") + (f", {idle} idle connections" if idle else "") + \
            (f", {rules} rules" if rules else "")
        how = f"written to socket → action; {probes} probes, median of {len(runs)}"
        for name, q, target in (("p50", 0.5, 100 if rate == 200000 and not stalled else None),
                                ("p99", 0.99, 1000 if rate == 200000 or idle else None), ("p99.9", 0.999, None)):
            add(f"{title}: {name}", statistics.median(quantile(run, q) for run in runs), "us", how, target)
        add("  bare wake-up p50 under this load", quantile(beside, 0.5), "us",
            f"same machine state; the agent took {shown(statistics.median(offered) / 1000)} k readings/s in all")
        add("  bare wake-up p99 under this load", quantile(beside, 0.99), "us", "same")


SECTIONS = {"latency": latency}
