"""Lines over many connections, TCP and TLS, and over UDP."""
import statistics

import lab

from bench import PROBE_RULE, RULES, SERIES, cpu_ns, equal, pss_mb, quantile, shown, taken, words
from section_latency import latencies_us


def listening(bench, scheme, more="", **options):
    """An agent whose one source listens with this scheme."""
    agent = bench.agent(**options)
    file = agent.directory / "weir.yaml"
    text = file.read_text()
    tcp = f'listen: "tcp://127.0.0.1:{agent.ports[0]}"'
    equal("the source's address", text.count(tcp), 1)
    file.write_text(text.replace(tcp, f'listen: "{scheme}://127.0.0.1:{agent.ports[0]}"{more}'))
    return agent


def many_run(bench, scheme, connections, lines, pause_ms, probes):
    keys = f', cert: "{bench.certs}/server.pem", key: "{bench.certs}/server.key"' if scheme == "tls" else ""
    ca = [f"{bench.certs}/ca.pem"] if scheme == "tls" else []
    agent = listening(bench, scheme, f"{keys}, max_connections: {connections + 10}", rules=RULES + PROBE_RULE, series=SERIES + probes).start()
    try:
        before_mb = pss_mb(agent.process.pid)
        sender = bench.start("listen", scheme, agent.ports[0], *ca, connections, lines, pause_ms, probes)
        opened = words(sender.stdout.readline())
        equal("connections", opened["open"], connections)
        begin_ns, mb = cpu_ns(agent.process.pid), pss_mb(agent.process.pid)
        done = words(sender.communicate()[0])
        equal("exit code of bench_listen", sender.returncode, 0)
        lab.wait_for("all readings to be taken", lambda: taken(agent) == done["lines"], 30, 0.05)
        spent_ns = cpu_ns(agent.process.pid) - begin_ns
        lab.wait_for("all alarms", lambda: len(latencies_us(agent, 0)) >= probes, 10, 0.2)
        values = latencies_us(agent, 0)
    finally:
        agent.stop()
    equal("alarms", len(values), probes)
    return {"values": values, "open_ms": 1e3 * opened["seconds"] / (connections + 1), "ns": spent_ns / done["lines"],
            "rate": done["lines"] / done["seconds"], "bytes": (mb - before_mb) * 1e6 / (connections + 1)}


def many(bench, scheme):
    connections, probes = bench.pick(50, 2000), bench.pick(300, 1500)
    add = bench.table.add
    # 100 readings a second each; a hub that sends what it has ten times a second, and a sensor that sends each by itself
    for lines, pause_ms, target in ((10, 100, 5000), (1, 10, None)):
        runs = [many_run(bench, scheme, connections, lines, pause_ms, probes) for _ in range(bench.pick(1, 3))]
        title = f"{scheme.upper()}, {connections} connections, {lines} line{'s' if lines > 1 else ''} a {'record' if scheme == 'tls' else 'write'}"
        how = f"written to a socket → action; the agent took {shown(statistics.median(r['rate'] for r in runs) / 1000)} k readings/s"
        for name, q in (("p50", 0.5), ("p99", 0.99)):
            add(f"{title}: alarm {name}", statistics.median(quantile(r["values"], q) for r in runs), "us", how, target if q == 0.99 else None)
        add("  CPU", statistics.median(r["ns"] for r in runs), "ns/reading", "agent, all threads, kernel included")
        if scheme == "tls" and lines == 10:
            add("  memory", statistics.median(r["bytes"] for r in runs), "B/connection", "PSS, as they are open; kernel's memory not counted")
            add("  opening", statistics.median(r["open_ms"] for r in runs), "ms/connection", "both ends on this machine; all but the first resumed")


def tcp(bench):
    many(bench, "tcp")


def tls(bench):
    if bench.certs is None:
        bench.certs = lab.make_certs(bench.path("certs"))
    many(bench, "tls")


def udp(bench):
    lines = bench.pick(200000, 1500000)
    for per in (20, 1):
        agent = listening(bench, "udp").start()
        try:
            begin_ns = cpu_ns(agent.process.pid)
            sent = words(bench.program("listen", "udp", agent.ports[0], lines, SERIES, per, 150000))
            found = lambda: lab.Agent.metrics(agent, agent.http)  # noqa: E731
            seen = lambda m: m['weir_source_datagrams_total{source="s0"}'] + m['weir_source_datagrams_lost_total{source="s0"}']  # noqa: E731
            lab.wait_for("all datagrams to be counted", lambda: seen(found()) == sent["datagrams"], 20, 0.1)
            spent_ns, metrics = cpu_ns(agent.process.pid) - begin_ns, found()
        finally:
            agent.stop()
        received = metrics['weir_source_received_total{source="s0"}']
        lost = metrics['weir_source_datagrams_lost_total{source="s0"}']
        if lost == 0:
            equal("readings over UDP", received, lines)
        bench.table.add(f"UDP, {per} line{'s' if per > 1 else ''} a datagram", spent_ns / received, "ns/reading",
                        f"CPU, all threads, at 150 k lines/s; {int(lost)} of {int(sent['datagrams'])} datagrams lost by the kernel")


SECTIONS = {"tcp": tcp, "tls": tls, "udp": udp}
