"""What a question to the history costs: one series, one hour, of all that the store holds."""
import resource
import shutil
import statistics
import subprocess
import time

from bench import NO_RULES, equal, outbox

QUESTION = "SELECT count(*) FROM readings WHERE series = 'temp{room=R7}' AND time >= '2026-03-02T01:00Z' AND time < '2026-03-02T02:00Z'"


def ask(*words):
    begin = time.monotonic()
    done = subprocess.run([*words, "--csv", QUESTION], capture_output=True, text=True, check=False)
    milliseconds = 1e3 * (time.monotonic() - begin)
    equal("the answer of weir query", (done.returncode, done.stdout, done.stderr), (0, "count(*)\n60\n", ""))
    return milliseconds


def children_ms():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (used.ru_utime + used.ru_stime)


def query(bench):
    """1000 series with windows of a minute, so an hour is 60 000 aggregates: 59 segments are decoded for 60 rows."""
    aggregates = bench.pick(200000, 5000000)
    directory = bench.path("history")
    filled = outbox(bench, "fleet", directory, aggregates, 1024, bench.pick(32, 256))
    rounds = bench.pick(3, 21)
    about = f"{aggregates / 1e6:.1f} M aggregates of 1000 series in {filled['segments']:.0f} segments; whole command, median of {rounds}"
    before = children_ms()
    stopped = statistics.median(ask(bench.weir, "query", "--store", directory) for _ in range(rounds))
    cpu_ms = (children_ms() - before) / rounds
    bench.table.add("query, one series, one hour, stopped store", stopped, "ms", f"{about}; {cpu_ms:.1f} ms of CPU each", 20)
    agent = bench.agent(rules=NO_RULES, store=directory, budget=f"{bench.pick(32, 256) << 20}B")
    try:
        agent.start()
        running = statistics.median(ask(bench.weir, "query", "-c", agent.config) for _ in range(rounds))
        bench.table.add("query, the same, running agent", running, "ms", "over its control socket", 20)
    finally:
        agent.kill()
    shutil.rmtree(directory)


SECTIONS = {"query": query}
