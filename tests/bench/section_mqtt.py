"""The source mqtt beside a bare subscriber over paho: both hear the same publisher, through the same broker, in the same run."""
import json
import pathlib
import statistics
import lab

from bench import PROBE_RULE, NO_RULES, cpu_ns, equal, quantile, shown, taken, words


def make(bench, broker, qos, rules=NO_RULES):
    directory = bench.path("mqtt")
    directory.mkdir()
    (directory / "rules.yaml").write_text(rules)
    http = lab.free_port()
    agent = lab.Agent(bench.weir, directory, f"""
node: {{id: bench, site: bench}}
sources:
  - {{name: mqtt, kind: mqtt, broker: "mqtt://127.0.0.1:{broker.local_port}", topics: "bench/{{sensor}}", qos: {qos}, session_expiry: 0s}}
windows:
  - {{name: m1, every: 1m, of: "*"}}
rules: ["rules.yaml"]
store: {{path: store, budget: 64MB, max_loss: 15s}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
""")
    agent.start()
    lab.wait_for("the source to be connected", lambda: agent.status()["sources"][0]["connected"])
    return agent


def source_cpu_ns(pid):
    """CPU time of what the source brings with it: its own thread, the relay, the subscriber, and paho's."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith(("mqtt ", "weir-relay", "weir-subscribe", "MQTTAsync_")):
            total += int((task / "schedstat").read_text().split()[0])
    return total


def side_by_side(bench, broker, qos, count, rate, *quiet):
    """(CPU ns a message of the agent, of its source alone, what the bare subscriber said)."""
    agent = make(bench, broker, qos)
    pid = agent.process.pid
    bare = bench.start("mqtt", "sub", broker.local_port, qos, count, *quiet)
    equal("the bare subscriber", bare.stdout.readline(), "ready\n")
    before_ns, source_before_ns = cpu_ns(pid), source_cpu_ns(pid)
    bench.program("mqtt", "pub", broker.local_port, qos, count, rate)
    said = words(bare.communicate(timeout=120)[0])
    lab.wait_for("all messages", lambda: taken(agent) == count, 60, 0.05)
    spent_ns, source_ns = cpu_ns(pid) - before_ns, source_cpu_ns(pid) - source_before_ns
    equal("messages of the bare subscriber", said["messages"], count)
    equal("dropped", agent.status()["sources"][0]["dropped"], 0)
    agent.stop()
    return spent_ns / count, source_ns / count, said


def ceiling(bench, broker, qos, count):
    """Messages a second into the engine, the publisher as fast as the broker takes it."""
    agent = make(bench, broker, qos)
    publisher = bench.start("mqtt", "pub", broker.local_port, qos, count, 0)
    lab.wait_for("the first message", lambda: taken(agent) > 0, 20, 0.002)
    begin, first = lab.time.monotonic(), taken(agent)
    publisher.communicate(timeout=120)
    lab.wait_for("all messages", lambda: taken(agent) + agent.status()["sources"][0]["dropped"] >= count, 60, 0.02)
    rate = (taken(agent) - first) / (lab.time.monotonic() - begin)
    dropped = agent.status()["sources"][0]["dropped"]
    agent.stop()
    return rate, dropped


def latencies_us(bench, broker, probes):
    agent = make(bench, broker, 1, "weir: 1\nrules:\n" + PROBE_RULE)
    bench.program("mqtt", "flip", broker.local_port, 1, probes)
    found = []

    def all_there():
        found[:] = [(int(r["acted_ns"]) - int(r["event_ns"])) / 1e3 for r in map(json.loads, filter(lambda x: x.startswith("{"), agent.log().splitlines()))
                    if r.get("component") == "alarm" and r.get("alarm", "").startswith("probe{")]
        return len(found) >= probes

    lab.wait_for("all alarms", all_there, 20, 0.2)
    agent.stop()
    equal("alarms", len(found), probes)
    return found


def mqtt(bench):
    bench.certs = bench.certs or lab.make_certs(bench.path("certs"))
    broker = lab.Broker(bench.path("broker"), bench.certs).start()
    add = bench.table.add
    try:
        for qos, rate in ((0, 20000), (1, 10000)):
            count = rate * bench.pick(1, 5)
            runs = [side_by_side(bench, broker, qos, count, rate) for _ in range(bench.pick(1, 3))]
            quiet = [side_by_side(bench, broker, qos, count, rate, "quiet") for _ in range(bench.pick(1, 3))]
            bare = [said["cpu_ns_a_message"] / 1e3 for *_, said in runs]
            how = f"CPU of the process, all threads; {rate // 1000} k/s, both beside each other, median of {len(runs)}"
            add(f"MQTT QoS {qos}, bare paho", statistics.median(bare), "us/message", how)
            add(f"MQTT QoS {qos}, bare paho, its trace off", statistics.median(said["cpu_ns_a_message"] / 1e3 for *_, said in quiet), "us/message",
                "as the agent has it")
            add(f"MQTT QoS {qos}, source", statistics.median(ns / 1e3 for _, ns, _ in runs), "us/message", "paho, relay, and the source's own thread with the parser")
            add(f"MQTT QoS {qos}, whole agent", statistics.median(ns / 1e3 for ns, *_ in runs), "us/message", "rules, windows and store with it")
            spread = f"in pairs; bare {shown(min(bare))} to {shown(max(bare))}"
            for what, at in (("source", 1), ("agent", 0)):
                add(f"MQTT QoS {qos}, {what} / bare paho", statistics.median(run[at] / run[2]["cpu_ns_a_message"] for run in runs), "x bare", spread, 1.2)
                add(f"MQTT QoS {qos}, {what} / bare paho, its trace off", statistics.median(run[at] / run[2]["cpu_ns_a_message"] for run in quiet), "x bare",
                    "in pairs, both with paho's trace off", 1.2)
            add(f"  bare paho, publisher → callback p99, QoS {qos}", statistics.median(said["p99_us"] for *_, said in runs), "us",
                f"p50 {shown(statistics.median(said['p50_us'] for *_, said in runs))}; through the broker")
        for qos in (0, 1):
            rate, dropped = ceiling(bench, broker, qos, bench.pick(50000, 400000))
            add(f"MQTT QoS {qos}, ceiling", rate / 1e3, "k messages/s", f"through mosquitto on the same machine; {dropped} dropped")
        probes = bench.pick(200, 1000)
        values = latencies_us(bench, broker, probes)
        add("MQTT alarm p50", quantile(values, 0.5), "us", f"published → action, QoS 1, through mosquitto and paho; {probes} probes")
        add("MQTT alarm p99", quantile(values, 0.99), "us", "same")
    finally:
        broker.close()


SECTIONS = {"mqtt": mqtt}
