"""What operators and machines ask: HTTP, and the commands with their exit codes, help texts and JSON."""
import json
import pathlib
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-http}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
  - {{name: 'second', kind: line, listen: "tcp://127.0.0.1:{second}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 100ms}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 500ms}}
http: {{listen: "127.0.0.1:{http}"}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: high, when: "temp > 50", by: room, severity: high, respond: "open the door", consequence: "it melts", time_to_respond: 1h}
  - {rule: low, when: "temp < -50", by: room}
"""
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? ([-+]?[0-9.eE+-]+|[+-]Inf|NaN)')
COMMANDS = ("run", "check", "decode", "status", "alarms", "explain", "replay", "audit", "version")


def start(lab):
    ports = {name: laboratory.free_port() for name in ("line", "second", "http")}
    directory = lab.directory / "agent"
    directory.mkdir()
    (directory / "rules.yaml").write_text(RULES)
    agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(**ports))).start()
    return agent, ports


def ask(port, path, method="GET", body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, data=body)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def check_exposition(text):
    """The text format 0.0.4 of Prometheus: HELP and TYPE once for each name and before its samples, which stand together and are unique."""
    assert text.endswith("\n")
    helped, typed, seen, families = set(), {}, set(), []
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped, f"HELP twice: {name}"
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed, f"TYPE twice: {name}"
            assert kind in ("counter", "gauge", "histogram"), line
            typed[name] = kind
            families.append(name)
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, f"not a sample: {line!r}"
            name, labels = sample[1], sample[2] or ""
            family = next((f for f in (name, re.sub("_(bucket|sum|count)$", "", name)) if f in typed), None)
            assert family == families[-1], f"{line!r} stands apart from its TYPE"
            assert (name, labels) not in seen, f"twice: {line}"
            seen.add((name, labels))
            assert typed[family] != "counter" or (float(sample[3]) >= 0 and name.endswith("_total")), line
    assert helped == set(typed)
    return typed


def test_http(lab):
    agent, ports = start(lab)
    sender = laboratory.Sender(ports["line"])
    sender.send('temp,room=A1 value=99\ntemp,room=A1 value=oops\n')
    wait_for("the alarm", agent.alarms)
    code, headers, text = ask(ports["http"], "/metrics")
    assert code == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    typed = check_exposition(text)
    print(f"{len(typed)} metrics")

    def shown():  # the engine counts the alarm, and the thread of the actions, a moment later, its latency
        metrics = agent.metrics(ports["http"])
        return metrics if metrics["weir_alarms_active"] == 1 and metrics["weir_alarm_latency_seconds_count"] > 0 else None

    metrics = wait_for("the alarm's metrics", shown, 5)
    assert metrics['weir_source_received_total{source="floor"}'] == 1
    assert metrics['weir_source_received_total{source="second"}'] == 0
    assert sum(value for name, value in metrics.items() if name.startswith('weir_source_rejected_total{source="floor"')) == 1
    assert metrics["weir_alarm_latency_seconds_count"] == 1
    assert metrics['weir_alarm_latency_seconds_bucket{le="+Inf"}'] == 1
    for path in ("/healthz", "/readyz"):
        assert ask(ports["http"], path)[::2] == (200, "ok\n"), path
        assert ask(ports["http"], path, "HEAD")[::2] == (200, "")
    assert ask(ports["http"], "/")[0] == 404
    assert ask(ports["http"], "/metrics/../etc/passwd")[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        assert ask(ports["http"], "/metrics", method, b"x")[0] in (405, 501), method
    for rubbish in (b"\x00\xff\r\n\r\n", b"GET " + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"GET /metrics HTTP/1.1\r\n"):
        with socket.create_connection(("127.0.0.1", ports["http"]), timeout=10) as connection:
            try:
                connection.sendall(rubbish)
            except OSError:
                pass  # it does not read to the end of what is too long
    assert ask(ports["http"], "/healthz")[0] == 200
    assert agent.stop() == 0


def test_commands_of_a_running_agent(lab):
    agent, ports = start(lab)
    laboratory.Sender(ports["line"]).send("temp,room=A1 value=99\ntemp,room=B2 value=98\n")
    wait_for("two alarms", lambda: len(agent.alarms()) == 2)
    wait_for("the status to know", lambda: agent.status()["alarms"]["active"] == 2, 5)
    status = json.loads(agent.run("status", "--json", check=0).stdout)
    assert status["node"] == "gw-http" and status["ready"] and status["uplink"] is None
    text = agent.run("status", check=0).stdout
    assert "gw-http" in text and "floor" in text and "2 active" in text
    text = agent.run("alarms", check=0).stdout
    assert "high{room=A1}" in text and "unack" in text
    assert "1 alarm acknowledged" in agent.run("alarms", "ack", "high{room=A1}", "--by", "ana", check=0).stdout
    alarms = agent.alarms()
    assert alarms["high{room=A1}"]["to"] == "acked" and alarms["high{room=B2}"]["to"] == "unack"
    agent.run("alarms", "ack", "high{room=Z9}", check=1)
    agent.run("alarms", "ack", "nothing", check=1)
    agent.run("alarms", "ack", check=2)
    agent.run("alarms", "dance", check=2)
    agent.run("status", "--dance", check=2)
    wait_for("the windows to be on disk", lambda: account(agent, "s1")["held"] == 2)
    assert agent.run("audit", check=0).stdout.rstrip().endswith("balanced")
    check = json.loads(agent.run("check", "--json", check=0).stdout)
    assert check["good"] and check["ceiling"]["memory_bytes"] > 1e6 and [r["rule"] for r in check["rules"]] == ["high", "low"]
    assert "warning" in agent.run("check", check=0).stderr, "the rule without respond"
    assert agent.run("check", "--quiet", check=0).stdout == ""
    assert agent.stop() == 0
    stopped_commands(agent)


def account(agent, window, source="floor"):
    return next(a for a in agent.audit()["accounts"] if a["window"] == window and a["source"] == source)


def stopped_commands(agent):
    audit = json.loads(agent.run("audit", "--json", check=0).stdout)
    assert audit["balanced"] and not audit["live"] and audit["clean"]
    assert account(agent, "s1")["held"] == 2
    assert agent.run("status", check=2).stderr
    assert agent.run("alarms", check=2).stderr
    agent.config.write_text(agent.config.read_text().replace("path: store", "path: elsewhere"))
    assert agent.run("audit", check=2).stderr, "there is no store"


def test_words_and_exit_codes(lab):
    def weir(*words, text=None, code=0):
        done = subprocess.run([str(lab.weir), *words], input=text, capture_output=True, text=True, timeout=20)
        assert done.returncode == code, f"weir {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done

    help_text = weir("--help").stdout
    assert all(f"  {command} " in help_text for command in COMMANDS)
    assert weir(code=2).stderr == help_text
    for command in COMMANDS:
        assert weir(command, "--help").stdout.startswith(f"Usage: weir {command}"), command
    assert "no command 'dance'" in weir("dance", code=2).stderr
    assert re.fullmatch(r"weir \d+\.\d+\.\d+\S*\n", weir("version").stdout)
    assert weir("--version").stdout == weir("version").stdout
    assert weir("run", "-c", "/nowhere/weir.yaml", code=2).stderr
    assert weir("check", "-c", "/nowhere/weir.yaml", code=2).stderr
    assert weir("check", "--dance", code=2).stderr
    assert "its value is missing" in weir("check", "-c", code=2).stderr
    assert json.loads(weir("version", "--json").stdout)["version"] in weir("version").stdout
    assert weir("version", "dance", code=2).stderr
    lines = weir("decode", "--format", "influx", text='m,b=2,a=1 f=1.50,g=3i,h="x y" 17\n').stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"measurement": "m", "field": name, "tags": {"a": "1", "b": "2"}, "time_ns": 17, "value": value, "type": kind, "quality": "good"}
        for name, value, kind in (("f", 1.5, "float"), ("g", 3, "int"), ("h", "x y", "string"))]
    assert '"tags":{"a":"1","b":"2"}' in lines[0], "sorted"
    bad = weir("decode", "--format", "influx", text="m f=1 1\nm f= 2\nm f=3 3\n", code=1)
    assert len(bad.stdout.splitlines()) == 2 and re.match(r"influx:2:\d+: ", bad.stderr), bad.stderr
    weir("decode", "--format", "dance", text="", code=2)
    weir("decode", "--format", "influx", "/nowhere", code=2)


if __name__ == "__main__":
    harness.main()
