"""What the agent occupies: at rest, at work, with many series, and for each idle connection."""
import time
import lab

from bench import NO_RULES, RULES, SERIES, equal, pss_mb, taken


def memory(bench):
    add = bench.table.add
    broker = bench.tls()
    agent = bench.agent(uplink=bench.uplink(broker.port)).start()
    try:
        lab.wait_for("the uplink", lambda: agent.status()["uplink"]["connections"] > 0)
        time.sleep(1)
        add("PSS idle", pss_mb(agent.process.pid), "MB", "TLS up, store open, nothing has come yet")
        seconds = bench.pick(3, 10)
        bench.program("generator", "paced", agent.ports[0], 1000 * seconds, 1000, 1000)
        add("PSS at 1 k readings/s", pss_mb(agent.process.pid), "MB", f"TLS up, 1000 series, after {seconds} s", bench.pick(8.0, 6.0))
        agent.stop()
    finally:
        agent.kill()
        broker.close()
    agent = bench.agent().start()
    generator = bench.start("generator", "fast", agent.ports[0], bench.pick(2000000, 6000000), SERIES)
    highest = 0.0
    while generator.poll() is None:
        highest = max(highest, pss_mb(agent.process.pid))
        time.sleep(0.05)
    add("PSS flat out", highest, "MB", "10 k series, 3 limits each, as fast as it takes them; highest seen", 24.0)
    agent.stop()
    for series, limits, target in ((10000, 3, None), (100000, 0, 64.0), (100000, 3, None)):
        agent = bench.agent(series=series, rules=RULES if limits else NO_RULES).start()
        bench.program("generator", "paced", agent.ports[0], 2 * series, series, 200000)
        lab.wait_for("the readings", lambda: taken(agent) == 2 * series)
        add(f"PSS with {series // 1000} k series, {limits} limits each", pss_mb(agent.process.pid), "MB",
            f"{series * limits // 1000} k rule instances, {series // 1000} k open windows", target)
        equal("series", agent.status()["engine"]["series"], series)
        agent.stop()


def idle_connections(bench):
    count = bench.pick(1000, 10000)
    agent = bench.agent(limits=f", max_connections: {count + 100}").start()
    before = pss_mb(agent.process.pid)
    holder = bench.start("generator", "idle", agent.ports[0], count)
    equal("idle connections", holder.stdout.readline(), f"open {count}\n")
    lab.wait_for("the connections", lambda: agent.status()["sources"][0]["connections"] == count)
    bench.table.add("idle TCP connection", (pss_mb(agent.process.pid) - before) * 1e6 / count, "B",
                    f"PSS of the agent, {count} connections; the kernel's own memory not counted", 1024)
    holder.kill()
    holder.communicate()
    agent.stop()


SECTIONS = {"memory": memory, "idle": idle_connections}
