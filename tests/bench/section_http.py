"""Lines over HTTP beside the same lines over TCP, and how many small requests a second."""
import pathlib
import re
import shutil
import statistics
import subprocess
import lab

from bench import SERIES, children_cpu_ns, cpu_ns, equal, taken, words

LINES_A_BODY = 5000


def agent_with_both(bench):
    agent = bench.agent(budget=bench.pick("16MB", "64MB"), more_sources="  - {name: web, kind: http}\n")
    return agent.start()


def run_one(bench, how, lines):
    """CPU ns and wall ns a reading of a whole agent: until all is taken (wall), until all is committed (CPU)."""
    agent = agent_with_both(bench)
    begin_ns = cpu_ns(agent.process.pid)
    words_of = (agent.ports[0],) if how == "fast" else (agent.http,)
    said = words(bench.program("generator", how, *words_of, lines, SERIES))
    lab.wait_for("all readings to be taken", lambda: taken(agent) == lines, 60, 0.02)
    before_ns = children_cpu_ns()
    agent.stop()
    spent_ns = children_cpu_ns() - before_ns - begin_ns
    audit = agent.audit()
    held = sum(a["held"] for a in audit["accounts"] if a["window"] == "m1")
    equal("the ledger", audit["balanced"], True)
    equal("readings in the store", held, lines)
    shutil.rmtree(agent.directory)
    return spent_ns / lines, said["seconds"] * 1e9 / lines


def lines_over_http(bench):
    lines = bench.pick(1200000, 6000000)
    pairs = bench.pick(3, 5)
    rows = [(run_one(bench, "fast", lines), run_one(bench, "http", lines)) for _ in range(pairs)]
    add = bench.table.add
    add("lines over HTTP, whole agent", statistics.median(http[0] for _, http in rows), "ns/reading",
        f"CPU, all threads: {LINES_A_BODY} lines a body, one connection, 3 limits a series, window 1m, committed; median of {pairs}")
    add("HTTP / TCP, rate by CPU", statistics.median(100 * tcp[0] / http[0] for tcp, http in rows), "%",
        f"the same {lines} lines, in pairs", 50, at_least=True)
    add("HTTP / TCP, rate by the clock", statistics.median(100 * tcp[1] / http[1] for tcp, http in rows), "%",
        "until the last answer, and until the last write: TCP's last bytes still lie in the socket then", 50, at_least=True)


def small_requests(bench):
    """wrk posts one line a request over 16 connections, each waiting for its answer."""
    agent = agent_with_both(bench)
    script = pathlib.Path(agent.directory) / "post.lua"
    script.write_text('wrk.method = "POST"\nwrk.body = "small,from=wrk value=1"\n')
    begin_ns = cpu_ns(agent.process.pid)
    seconds = bench.pick(1, 5)
    done = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-s", str(script), f"http://127.0.0.1:{agent.http}/write"],
                          capture_output=True, text=True, timeout=60, check=True)
    spent_ns = cpu_ns(agent.process.pid) - begin_ns
    equal("answers other than 204", "Non-2xx" in done.stdout, False)
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    received = agent.metrics(agent.http)['weir_source_received_total{source="web"}']
    if not requests <= received <= requests + 16:  # wrk does not count those that are under way at its end
        raise AssertionError(f"{requests} requests answered, {received} readings received")
    agent.stop()
    equal("the ledger", agent.audit()["balanced"], True)
    shutil.rmtree(agent.directory)
    add = bench.table.add
    add("small requests over HTTP", float(re.search(r"Requests/sec: *([0-9.]+)", done.stdout)[1]), "requests/s", "wrk, one line each, 16 connections")
    add("  CPU a request", spent_ns / requests / 1000, "µs", "all threads of the agent")
    add("  99 % answered within", milliseconds(re.search(r"99% +([0-9.]+)(us|ms|s)", done.stdout)), "ms", "of wrk; it has one of the two cores")


def milliseconds(found):
    return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]


SECTIONS = {"http": lines_over_http, "requests": small_requests}
