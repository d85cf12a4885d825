"""The pool and the scheduler in the real agent: polls that take longer than their interval share the worker threads, never overlap themselves,
and never stand in the way of the program that an alarm starts.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

THREADS = 3


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def start(lab, sources, rules="weir: 1\nrules: []\n", extra=""):
    directory = lab.directory / "agent"
    directory.mkdir(exist_ok=True)
    http = laboratory.free_port()
    (directory / "rules.yaml").write_text(rules)
    listed = "\n".join(f"  - {source}" for source in sources)
    text = (f"node: {{id: gw-workers}}\nsources:\n{listed}\nwindows: [{{name: s1, every: 1s, lateness: 0s}}]\nrules: [rules.yaml]\n"
            f'store: {{path: store, budget: 16MB}}\nhttp: {{listen: "127.0.0.1:{http}"}}\ncontrol: {{socket: weir.sock}}\n'
            f"limits: {{worker_threads: {THREADS}}}\n{extra}")
    agent = lab.add(laboratory.Agent(lab.weir, directory, text)).start()
    return agent, lambda: agent.metrics(http)


def test_slow_polls_share_the_workers(lab):
    """Six of them, each three times longer than its interval, on three threads."""
    busy = script(lab.directory / "busy.sh", 'mkdir "$1" || { echo "overlap value=1"; exit; }; sleep 0.3; rmdir "$1"; echo "poll value=1"')
    sources = [f'{{name: p{i}, kind: exec, every: 100ms, timeout: 5s, command: ["{busy}", "{lab.directory}/lock{i}"]}}' for i in range(6)]
    agent, metrics = start(lab, sources)
    most = 0

    def polled():
        nonlocal most
        seen = metrics()
        most = max(most, seen["weir_pool_threads"])
        assert seen["weir_pool_threads"] <= THREADS and seen["weir_pool_busy_threads"] <= THREADS
        return all(seen[f'weir_source_received_total{{source="p{i}"}}'] >= 3 for i in range(6))

    wait_for("three polls of each", polled, 60)
    seen = metrics()
    assert most == THREADS, "the pool grows for those that wait"
    assert seen["weir_scheduler_missed_total"] > 0 and seen["weir_scheduler_runs_total"] >= 18
    assert seen["weir_pool_tasks_total"] >= 18 and seen["weir_pool_wait_seconds_count"] >= 18
    assert seen['weir_series'] == 1, "no program found another run of itself"
    assert agent.stop() == 0


def test_polls_that_hang_hold_up_no_program_of_an_alarm(lab):
    told = lab.directory / "told"
    tell = script(lab.directory / "tell.sh", f"touch {told}")
    sources = [f"{{name: h{i}, kind: exec, every: 1s, timeout: 1h, command: [/bin/sleep, '1000']}}" for i in range(THREADS + 2)]
    port = laboratory.free_port()
    sources.append(f'{{name: floor, kind: line, listen: "tcp://127.0.0.1:{port}"}}')
    rules = f"weir: 1\nrules:\n  - {{rule: hot, when: t > 50, then: [{{at: [raised], exec: {{argv: [\"{tell}\"]}}}}]}}\n"
    agent, metrics = start(lab, sources, rules, f"exec_allow: {tell}\n")
    wait_for("all workers to hang", lambda: metrics()["weir_pool_busy_threads"] == THREADS, 30)
    sender = laboratory.Sender(port)
    sender.send("t value=60\n")
    wait_for("the program of the alarm", told.exists, 10)
    seen = metrics()
    assert seen["weir_pool_busy_threads"] == THREADS and seen["weir_pool_queued"] >= 1, "the polls hang still"
    sender.close()
    assert agent.stop() == 0, "and do not hold up the stop"


if __name__ == "__main__":
    harness.main()
