"""Sources exec, execd and system in the real agent: the example plugins, programs that misbehave in every way beside one that behaves, what a stop, a
reload and kill -9 leave behind (nothing), and rules that watch the gateway and the agent itself.
"""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import ROOT, wait_for  # noqa: E402

PLUGINS = ROOT / "packaging/examples/plugins"


class Gateway:
    def __init__(self, lab, sources, rules="", extra="", windows="windows: [{name: s1, every: 1s, lateness: 0s}]", under=()):
        self.http = laboratory.free_port()
        self.directory = lab.directory / "agent"
        self.directory.mkdir()
        (self.directory / "rules.yaml").write_text(f"weir: 1\nrules:\n{rules}" if rules else "weir: 1\nrules: []\n")
        self.rest = (f"{windows}\nrules: [rules.yaml]\nstore: {{path: store, budget: 16MB, max_loss: 500ms}}\n"
                     f'http: {{listen: "127.0.0.1:{self.http}"}}\ncontrol: {{socket: weir.sock}}\nlog: {{format: json}}\n{extra}')
        self.agent = lab.add(laboratory.Agent(lab.weir, self.directory, self.text(sources))).start(under=under)

    def text(self, sources):
        lines = "\n".join(f"  - {source}" for source in sources)
        return f"node: {{id: gw-plugins}}\nsources:\n{lines}\n{self.rest}"

    def metric(self, name, source):
        return self.agent.metrics(self.http).get(f'weir_source_{name}_total{{source="{source}"}}', 0)

    def wait_metric(self, name, source, value):
        wait_for(f"{name} of {source} to reach {value}", lambda: self.metric(name, source) >= value, 30)

    def log(self):
        return [json.loads(line) for line in self.agent.log().splitlines() if line.startswith("{")]

    def descendants(self):
        """Of the agent's process, parents first."""
        parents = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, rest = stat.read_text().split(" (", 1)
                parents.setdefault(int(rest.rpartition(") ")[2].split()[1]), []).append(int(pid))
            except OSError:
                pass
        found = list(parents.get(self.agent.process.pid, []))
        for pid in found:
            found += parents.get(pid, [])
        return found

    def states(self):
        states = []
        for pid in self.descendants():
            try:
                states.append(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0])
            except OSError:
                pass
        return states

    def raised(self, alarm):
        return alarm in self.agent.alarms()


def source(name, kind, *command, **keys):
    more = "".join(f", {key}: {value}" for key, value in keys.items())
    return f"{{name: {name}, kind: {kind}, command: {json.dumps([str(word) for word in command])}{more}}}"


def shell(name, kind, script, **keys):
    return source(name, kind, "/bin/sh", "-c", script, **keys)


def children(name, guards=True, comm=None):
    """The processes of a source: they have its name in their environment, wherever they went. Each program has a guard of ours beside it."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"WEIR_SOURCE={name}\0".encode() in (entry / "environ").read_bytes():
                called = (entry / "comm").read_text().strip()
                if called == comm if comm else guards or called != "weir-guard":
                    found.append(int(entry.name))
        except OSError:
            pass
    return found


def sleeping(name):
    """Those that are /bin/sleep by now: before, each is our own program for a moment, and so is its guard before it has its name."""
    return children(name, comm="sleep")


def test_example_plugins(lab):
    measured = lab.directory / "measured, here"
    measured.mkdir()
    (measured / "file").write_bytes(b"x" * 50_000)
    target = laboratory.free_port()
    rules = ('  - {rule: big, when: "dir_size.bytes > 40000", by: path, auto_ack: true}\n'
             '  - {rule: gone, when: "not tcp_check.up", by: target, auto_ack: true}\n')
    gateway = Gateway(lab, [source("sizes", "exec", PLUGINS / "dir-size.sh", measured, "/no/such/directory", every="500ms"),
                            source("reach", "execd", PLUGINS / "tcp_check.py", "--every", "0.2", f"127.0.0.1:{target}")], rules)
    wait_for("both alarms", lambda: len(gateway.agent.alarms()) == 2, 30)
    escaped = str(measured).replace(",", "\\,")
    assert set(gateway.agent.alarms()) == {f"big{{path={escaped}}}", f"gone{{target=127.0.0.1:{target}}}"}, gateway.agent.alarms()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", target))
        server.listen(64)
        wait_for("the machine to answer", lambda: len(gateway.agent.alarms()) == 1, 30)
    wait_for("exit code 1 in the log", lambda: any(line["msg"] == "program ended" and line["how"] == "exit code 1" and
                                                   line["last_words"] == "cannot read /no/such/directory" for line in gateway.log()))
    assert any(line["msg"] == "says on stderr" and line["source"] == "reach" and "refused" in line["line"] for line in gateway.log())
    assert gateway.agent.stop() == 0
    assert not children("reach") and not children("sizes")
    assert not any("killed" in line["msg"] for line in gateway.log())


def test_programs_that_misbehave(lab):
    name = f"t{os.getpid()}"
    forever = "while :; do echo 'spam value=1'; done"
    bad = {
        "forever": shell(f"{name}-forever", "exec", forever, every="300ms", timeout="250ms", max_output="20kB"),
        "hangs": shell(f"{name}-hangs", "exec", "echo 'a value=1'; printf 'half value=12'; sleep 1000", every="300ms", timeout="200ms"),
        "greedy": shell(f"{name}-greedy", "exec", "x=0123456789abcdef; while :; do x=$x$x; done", every="500ms", memory="64MB"),
        "rubbish": shell(f"{name}-rubbish", "exec", "head -c 100000 /dev/urandom; echo; echo 'a value=1'", every="300ms"),
        "dies": shell(f"{name}-dies", "execd", "echo 'sorry' >&2; exit 3"),
        "stubborn": shell(f"{name}-stubborn", "execd", "trap '' TERM INT HUP; echo 'stubborn value=1'; while :; do sleep 1000; done"),
        "stubborn2": shell(f"{name}-stubborn2", "execd", "trap '' TERM INT HUP; while :; do sleep 1000; done"),
        "stubborn3": shell(f"{name}-stubborn3", "execd", "trap '' TERM INT HUP; while :; do sleep 1000; done"),
        "family": shell(f"{name}-family", "execd", "sleep 1001 & (sleep 1002 & sleep 1003) & echo 'family value=1'; wait"),
        "flood": shell(f"{name}-flood", "execd", forever),
    }
    good = shell(f"{name}-good", "execd", "i=0; while :; do echo \"good value=$i\"; i=$((i + 1)); sleep 0.05; done")
    gateway = Gateway(lab, [good, *bad.values()])
    gateway.wait_metric("programs_killed", f"{name}-forever", 2)
    gateway.wait_metric("programs_killed", f"{name}-hangs", 2)
    gateway.wait_metric("programs_failed", f"{name}-greedy", 2)
    gateway.wait_metric("programs_failed", f"{name}-dies", 2)
    gateway.wait_metric("received", f"{name}-rubbish", 1)
    gateway.wait_metric("received", f"{name}-flood", 100_000)
    wait_for("the family to be complete", lambda: len(children(f"{name}-family", False)) >= 4)
    before = gateway.metric("received", f"{name}-good")
    gateway.wait_metric("received", f"{name}-good", before + 10)
    metrics = gateway.agent.metrics(gateway.http)
    assert metrics[f'weir_source_rejected_total{{source="{name}-hangs",reason="rejected(syntax)"}}'] >= 2
    assert gateway.agent.audit()["balanced"]
    start = time.monotonic()
    assert gateway.agent.stop() == 0
    assert time.monotonic() - start < 5.5, "stubborn programs hold up the stop together, for the grace of one"
    for part in (*bad, "good"):
        wait_for(f"no process of {part} to be left", lambda part=part: not children(f"{name}-{part}"), 5)
    assert gateway.agent.run("audit", "--json", check=0)


def test_kill_9_leaves_no_program(lab):
    name = f"k{os.getpid()}"
    gateway = Gateway(lab, [source(f"{name}-a", "execd", "/bin/sleep", "1000"), source(f"{name}-b", "exec", "/bin/sleep", "1000", every="1h", timeout="1h"),
                            shell(f"{name}-c", "execd", "trap '' TERM; while :; do read x; done"),
                            shell(f"{name}-d", "execd", "trap '' TERM; sleep 1001 & (sleep 1002 & sleep 1003) & while :; do sleep 1; done")])
    wait_for("all programs", lambda: all(children(f"{name}-{part}") for part in "abc") and len(children(f"{name}-d", False)) >= 4, 30)
    gateway.agent.kill()
    wait_for("no program", lambda: not any(children(f"{name}-{part}") for part in "abcd"), 5)


def test_reload_touches_what_changed(lab):
    name = f"r{os.getpid()}"
    same = source(f"{name}-same", "execd", "/bin/sleep", "1000")
    gateway = Gateway(lab, [same, source(f"{name}-other", "execd", "/bin/sleep", "2000")])
    wait_for("both programs", lambda: sleeping(f"{name}-same") and sleeping(f"{name}-other"))
    before = sleeping(f"{name}-same"), sleeping(f"{name}-other")
    gateway.agent.config.write_text(gateway.text([same, source(f"{name}-other", "execd", "/bin/sleep", "3000"),
                                                  "{name: box, kind: system, every: 100ms, collect: [load]}"]))
    assert gateway.agent.reload()["msg"] == "done"
    wait_for("the new program", lambda: len(sleeping(f"{name}-other")) == 1 and sleeping(f"{name}-other") != before[1])
    assert sleeping(f"{name}-same") == before[0]
    gateway.wait_metric("received", "box", 9)
    gateway.agent.config.write_text(gateway.text([same, source(f"{name}-other", "execd", "relative/path")]))
    assert gateway.agent.reload()["msg"].startswith("refused")
    assert sleeping(f"{name}-same") == before[0]


def test_rules_watch_the_agent(lab):
    """The broker is away: the outbox grows, and an alarm says so; it comes back, and the alarm clears."""
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs))
    rules = ('  - {rule: outbox_grows, when: "weir.outbox_segments > 3", auto_ack: true}\n'
             '  - {rule: offline, when: "weir.uplink_online < 1", auto_ack: true}\n'
             '  - {rule: much_kept, when: "weir.ledger_held > 20", by: "source,window", auto_ack: true}\n')
    uplink = (f'uplink: {{broker: "mqtts://127.0.0.1:{broker.port}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key",'
              ' retry_max: 1s}')
    gateway = Gateway(lab, ["{name: box, kind: system, every: 200ms, collect: [cpu, memory, weir]}"], rules, uplink)
    wait_for("the outbox to be too full", lambda: gateway.raised("outbox_grows") and gateway.raised("offline"), 40)
    wait_for("the ledger to say so too", lambda: gateway.raised("much_kept{source=box,window=s1}"), 40)
    broker.start()
    wait_for("all to be well again", lambda: not gateway.agent.alarms(), 40)
    assert gateway.agent.stop() == 0


def test_ends_are_told_whatever_was_inherited(lab):
    """Whoever starts the agent may ignore SIGCHLD: then the kernel would keep no exit code for us, and a failure would look like a good end."""
    gateway = Gateway(lab, [shell("fails", "exec", "echo m v=1; exit 3", every="200ms")], under=["env", "--ignore-signal=CHLD"])
    wait_for("exit code 3 in the log", lambda: any(line["msg"] == "program ended" and line["how"] == "exit code 3" for line in gateway.log()))
    assert gateway.agent.stop() == 0


def test_process_1_of_a_container(lab):
    """Guards and orphans become its children: none of them may stay as a zombie. Signals and the exit code go through it."""
    container = ["unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    if subprocess.run([*container, "true"], capture_output=True).returncode:
        print("SKIPPED: this test makes a namespace, as root")
        return
    gateway = Gateway(lab, [shell("short", "exec", "(setsid sleep 0.1 &) ; echo m v=1", every="100ms")], under=container)
    gateway.wait_metric("rounds", "short", 10)
    first = gateway.descendants()[0]
    wait_for("no zombie to be there", lambda: "Z" not in gateway.states())
    gateway.wait_metric("rounds", "short", 20)
    wait_for("no zombie to be there", lambda: "Z" not in gateway.states())
    os.kill(first, signal.SIGHUP)
    wait_for("the reload", lambda: any(line["component"] == "reload" for line in gateway.log()))
    os.kill(first, signal.SIGTERM)
    assert gateway.agent.process.wait(20) == 0
    gateway.agent.process = None
    assert gateway.log()[-1]["msg"] == "stopped"


def test_a_disk_that_is_full(lab):
    image, place = lab.directory / "disk.img", lab.directory / "disk"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(8 << 20)
    if subprocess.run(["mkfs.ext4", "-q", str(image)], capture_output=True).returncode or \
            subprocess.run(["mount", "-o", "loop", str(image), str(place)], capture_output=True).returncode:
        print("SKIPPED: this test mounts a file system of its own, as root")
        return
    try:
        rules = f'  - {{rule: disk_full, when: "disk.used_percent{{path={place}}} > 90", auto_ack: true}}\n'
        gateway = Gateway(lab, ["{name: box, kind: system, every: 100ms, collect: [disk]}"], rules)
        gateway.wait_metric("rounds", "box", 3)
        assert not gateway.agent.alarms()
        try:
            with open(place / "fill", "wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 65536)
        except OSError:
            pass
        wait_for("the alarm", lambda: gateway.raised("disk_full"))
        (place / "fill").unlink()
        wait_for("it to clear", lambda: not gateway.agent.alarms())
        gateway.agent.stop()
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


if __name__ == "__main__":
    harness.main()
