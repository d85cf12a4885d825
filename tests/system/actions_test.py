"""Actions in the real agent: programs, files, MQTT and web servers, good ones and those that are slow, wrong, dead or lie; what fails is tried
again, then written down; and none of them holds up another.
"""
import hashlib
import hmac
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402
from web_server import WebServer  # noqa: E402

CONFIG = """
node: {{id: gw-act, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows: [{{name: w, every: 1s, lateness: 0s}}]
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 500ms}}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
secrets: [{{name: pager, file: pager.secret}}, {{name: login, file: login.secret}}]
file_allow: [{out}]
exec_allow: [{programs}]
{extra}
"""
UPLINK = 'uplink: {{broker: "mqtts://127.0.0.1:{port}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 1s}}'
SECRET = "correct horse battery"


class Gateway:
    """An agent whose rule `NAME` is raised by the series NAME above 50, with these actions: {name: text of `then`}."""

    def __init__(self, lab, rules, uplink="", out=None, programs=""):
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        self.out = out or lab.directory / "out"
        self.out.mkdir(exist_ok=True)
        directory = lab.directory / "agent"
        directory.mkdir()
        for name, text in (("pager.secret", SECRET + "\n"), ("login.secret", "token-7\n")):
            (directory / name).write_text(text)
            (directory / name).chmod(0o600)
        self.rules = directory / "rules.yaml"
        self.write_rules(rules)
        config = CONFIG.format(line=self.line, http=self.http, out=self.out, programs=programs, extra=uplink)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, config)).start()
        self.sensor = laboratory.Sender(self.line)

    def write_rules(self, rules):
        self.rules.write_text("weir: 1\nrules:\n" + "".join(
            f"  - rule: {name}\n    when: {name} > 50\n    by: room\n    respond: Close the door\n    message: \"{{room}} at {{value}}\"\n"
            f"    then:\n      - {then}\n" for name, then in rules.items()))

    def send(self, *names, value=60, room="A1"):
        self.sensor.send("".join(f"{name},room={room} value={value}\n" for name in names))

    def count(self, what, kind):
        return self.agent.metrics(self.http)[f'weir_action_{what}{{kind="{kind}"}}']

    def given_up(self, name):
        """The log's line about a dead letter of this rule."""
        lines = [json.loads(line) for line in self.agent.log().split("\n")[:-1] if '"action given up"' in line]
        return next((line for line in lines if line["alarm"].startswith(name + "{")), None)


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def check_signature(secret, headers, body):
    timestamp = headers["X-Weir-Timestamp"]
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return abs(time.time() - int(timestamp)) < 300 and hmac.compare_digest(headers["X-Weir-Signature"], "sha256=" + expected)


def test_one_alarm_does_all_five(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    web = lab.add(WebServer(certs / "server.pem", certs / "server.key"))
    told = lab.directory / "told"
    tell = script(lab.directory / "tell.sh", f'echo "$WEIR_CAUSE $WEIR_INSTANCE $WEIR_RESPOND $WEIR_DELIVERY" >> {told}')
    topics = {}
    gateway = Gateway(lab, {"hot": (
        f'{{at: [raised, cleared], webhook: {{url: "https://localhost:{web.port}/good?room={{room}}", secret: pager, token: login, ca: {certs}/ca.pem, '
        'headers: ["X-Team: night"]}}'
        f'\n      - {{at: [raised], exec: {{argv: ["{tell}"]}}}}'
        f'\n      - {{at: [raised, acknowledged, cleared], file: {{path: "{lab.directory}/out/{{rule}}.jsonl"}}}}'
        f'\n      - {{at: [raised], file: {{path: "{lab.directory}/out/people.log", format: line}}}}'
        '\n      - {at: [raised, cleared], mqtt: {topic: "alarm/{site}/{rule}/{room}"}}'
        '\n      - {mqtt: {topic: "state/{site}/{rule}/{room}", retain: true, clear: true}}'
        '\n      - {at: [raised], log: true}')}, UPLINK.format(port=broker.port, certs=certs), programs=tell)

    def keep(message):
        topics.setdefault(message.topic, []).append(message)

    lab.add(laboratory.Subscriber(broker.local_port, lab.weir, prefix="alarm", on_message=keep))
    lab.add(laboratory.Subscriber(broker.local_port, lab.weir, prefix="state", on_message=keep))
    gateway.send("hot", room="A/1")
    wait_for("the webhook", lambda: web.requests)
    _, method, path, headers, body = web.requests[0]
    assert (method, path) == ("POST", "/good?room=A%2F1"), path
    assert check_signature(SECRET, headers, body), headers
    assert not check_signature(SECRET, headers, body + b" ") and not check_signature("other", headers, body)
    assert headers["Authorization"] == "Bearer token-7" and headers["X-Team"] == "night" and headers["Host"] == f"localhost:{web.port}"
    alarm = json.loads(body)
    assert (alarm["node"], alarm["site"], alarm["alarm"], alarm["cause"]) == ("gw-act", "riga", "hot{room=A/1}", "raised"), alarm
    assert alarm["message"] == "A/1 at 60" and alarm["respond"] == "Close the door" and alarm["journalled"] in (True, False)  # the latter where the disk takes longer than 50 ms
    assert alarm["text"].endswith(" low raised hot{room=A/1}: A/1 at 60"), alarm["text"]
    assert headers["X-Weir-Delivery"] == f'{alarm["id"]}.{alarm["transition"]}.0'

    lines = wait_for("the program", lambda: told.exists() and told.read_text().splitlines())
    assert lines == [f'raised room=A/1 Close the door {alarm["id"]}.{alarm["transition"]}.1'], lines
    output = gateway.out / "hot.jsonl"
    wait_for("the file", lambda: output.exists() and output.read_text().endswith("\n"))
    assert json.loads(output.read_text())["cause"] == "raised" and output.stat().st_mode & 0o777 == 0o640
    people = wait_for("the line for people", lambda: (gateway.out / "people.log").exists() and (gateway.out / "people.log").read_text())
    assert people.endswith("Z low raised hot{room=A/1}: A/1 at 60\n"), people
    wait_for("both topics", lambda: topics.get("alarm/riga/hot/A_1") and topics.get("state/riga/hot/A_1"))
    assert json.loads(topics["state/riga/hot/A_1"][0].payload)["to"] == "unack"
    wait_for("the broker to have both", lambda: gateway.count("done_total", "mqtt") == 2)

    late = {}
    lab.add(laboratory.Subscriber(broker.local_port, lab.weir, prefix="state", on_message=lambda m: late.setdefault(m.topic, m)))
    wait_for("the state, kept by the broker", lambda: late)
    assert late["state/riga/hot/A_1"].retain and json.loads(late["state/riga/hot/A_1"].payload)["to"] == "unack"

    gateway.agent.run("alarms", "ack", "hot", "--by", "ana", check=0)
    gateway.send("hot", room="A/1", value=20)
    wait_for("the empty state", lambda: topics["state/riga/hot/A_1"][-1].payload == b"")
    wait_for("cleared", lambda: len(web.requests) == 2)
    wait_for("three lines", lambda: [json.loads(line)["cause"] for line in output.read_text().splitlines()] == ["raised", "acknowledged", "cleared"])
    assert len(told.read_text().splitlines()) == 1, "a program at raised only"
    assert sum(gateway.count("dead_total", kind) for kind in ("log", "exec", "mqtt", "webhook", "file")) == 0
    wait_for("both answers to be counted", lambda: gateway.agent.metrics(gateway.http)['weir_action_seconds_count{kind="webhook"}'] == 2)
    assert gateway.count("done_total", "webhook") == 2
    assert gateway.agent.stop() == 0


def test_web_servers_of_all_sorts(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    web = lab.add(WebServer())
    tls = lab.add(WebServer(certs / "server.pem", certs / "server.key"))
    elsewhere = lab.add(WebServer(certs / "server-elsewhere.pem", certs / "server-elsewhere.key"))
    silent = lab.add(laboratory.SilentServer())
    closed = laboratory.free_port()
    once = 'retry: "1"'

    def hook(server, path, more="", ca=None, host="127.0.0.1", scheme=None):
        scheme = scheme or ("https" if ca else "http")
        port = server if isinstance(server, int) else server.port
        return f'{{webhook: {{url: "{scheme}://{host}:{port}/{path}"{f", ca: {certs}/{ca}.pem" if ca else ""}}}, {more or once}}}'

    often = 'retry: "4 50ms x2"'
    rules = {
        "by_name": hook(tls, "good", ca="ca", host="localhost"), "by_address": hook(tls, "good", ca="ca"),
        "wrong_ca": hook(tls, "good", ca="other-ca"), "no_ca": hook(tls, "good", scheme="https"), "wrong_host": hook(elsewhere, "good", ca="ca"),
        "no_tls": hook(web, "good", ca="ca"), "slow": hook(web, "slow"), "hangs": hook(web, "hang", 'timeout: 500ms, retry: "2 50ms"'),
        "no_handshake": hook(silent, "good", 'timeout: 500ms, retry: "1"', ca="ca"), "flaky": hook(web, "flaky/2", often),
        "busy": hook(web, "busy/1", often), "broken": hook(web, "flaky/99", often), "redirects": hook(web, "redirect", often),
        "missing": hook(web, "missing", often), "huge": hook(web, "huge"), "cut": hook(web, "cut"), "garbage": hook(web, "garbage"),
        "refused": hook(closed, "good"),
    }
    gateway = Gateway(lab, rules)
    gateway.send(*rules)
    errors = {
        "wrong_ca": "the server's certificate (CN=localhost) is not signed by a CA in", "no_ca": "is not signed by a CA in", "wrong_host": "is not for host '127.0.0.1'", "no_tls": "TLS to 127.0.0.1",
        "hangs": "no answer in time", "no_handshake": "did not answer the TLS handshake in time", "broken": "the server answers 500: try me again",
        "redirects": "the server answers 302 (redirects are not followed)", "missing": 'the server answers 404: {"error": "no such\\x0ahook"}',
        "cut": "the connection ended before there was an answer", "garbage": "the connection ended before there was an answer",
        "refused": "Connection refused",
    }
    for name, error in errors.items():
        line = wait_for(f"{name} to be given up", lambda n=name: gateway.given_up(n), 30)
        assert error in line["error"], (name, line)
        assert line["journalled"] == "yes", line
    wait_for("the others", lambda: gateway.count("queued", "webhook") == 0, 30)
    assert gateway.count("done_total", "webhook") == len(rules) - len(errors)
    assert gateway.count("dead_total", "webhook") == len(errors)
    assert gateway.agent.status()["actions"]["webhook"]["dead"] == len(errors)
    assert f"actions  0 wait or are under way, {len(errors)} given up" in gateway.agent.run("status").stdout
    assert len(tls.requests) == 2 and not elsewhere.requests, "nothing is told before the certificate is right"
    assert len(web.of("/flaky/2")) == 3 and len(web.of("/flaky/99")) == 4 and len(web.of("/redirect")) == 1 and len(web.of("/missing")) == 1
    first, second = web.of("/busy/1")
    assert second[0] - first[0] >= 0.99, "Retry-After is kept"
    deliveries = {request[3]["X-Weir-Delivery"] for request in web.of("/flaky/2")}
    assert len(deliveries) == 1, "each try is the same delivery"
    assert gateway.agent.stop() == 0
    letters = [r for r in decode_store(lab) if r["cause"] == "action_failed"]
    assert {r["rule"] for r in letters} == set(errors), "dead letters outlive the agent"
    assert "404" in next(r for r in letters if r["rule"] == "missing")["message"]


def decode_store(lab):
    """All alarm records in the store of the stopped agent."""
    database = sqlite3.connect(f"file:{lab.directory}/agent/store/outbox.db?mode=ro", uri=True)
    records = []
    for (body,) in database.execute("SELECT body FROM seg WHERE id < 1 << 56 ORDER BY id"):
        done = subprocess.run([str(lab.weir), "decode", "--format", "weir"], input=body, capture_output=True, check=True)
        records += [json.loads(line) for line in done.stdout.splitlines()]
    return records


def test_what_is_dead_holds_up_nothing(lab):
    """A server and a program that hang, and a full disk: alarms of other places are told at once, and in time of the dead ones."""
    web = lab.add(WebServer())
    silent = lab.add(laboratory.SilentServer())
    full = lab.directory / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)], check=True)
    try:
        (full / "filler").write_bytes(b"x" * 61440)
        hang = script(lab.directory / "hang.sh", "sleep 1000")
        told = lab.directory / "told"
        tell = script(lab.directory / "tell.sh", f'echo "$WEIR_INSTANCE" >> {told}')
        gateway = Gateway(lab, {
            "dead": f'{{webhook: {{url: "http://127.0.0.1:{silent.port}/"}}, timeout: 60s}}',
            "stuck": f'{{exec: {{argv: ["{hang}"]}}, timeout: 1s}}',
            "disk": f'{{file: {{path: "{full}/alarms.jsonl"}}, retry: "60 100ms"}}',
            "alive": f'{{webhook: {{url: "http://127.0.0.1:{web.port}/good"}}}}\n      - {{exec: {{argv: ["{tell}"]}}}}',
        }, out=full, programs=f"{hang}, {tell}")
        for room in range(20):
            gateway.send("dead", "stuck", "disk", room=f"r{room}")
        wait_for("all to be stuck", lambda: gateway.count("queued", "webhook") == 20 and gateway.count("retried_total", "file") >= 2)
        begin = time.monotonic()
        gateway.send("alive")
        wait_for("the living", lambda: len(web.requests) == 1 and told.exists(), 5)
        assert time.monotonic() - begin < 3
        size = (full / "alarms.jsonl").stat().st_size
        text = (full / "alarms.jsonl").read_text()
        assert size == 0 or text.endswith("}\n"), "a line is there whole or not at all"
        os.unlink(full / "filler")
        wait_for("all lines", lambda: gateway.count("done_total", "file") == 20, 30)
        lines = [json.loads(line) for line in (full / "alarms.jsonl").read_text().splitlines()]
        assert sorted(line["instance"] for line in lines) == sorted(f"room=r{i}" for i in range(20))
        wait_for("the programs to be killed", lambda: gateway.count("dead_total", "exec") == 20, 30)
        assert gateway.given_up("stuck")["error"] == "killed after 1000 ms"
        begin = time.monotonic()
        assert gateway.agent.stop() == 0
        assert time.monotonic() - begin < 5, "what hangs does not hold up the stop"
        assert gateway.given_up("dead")["error"].startswith("the agent stops")
        assert not subprocess.run(["pgrep", "-f", str(hang)], capture_output=True).stdout, "no program is left"
    finally:
        subprocess.run(["umount", "-l", str(full)], check=True)


def test_later_unless(lab):
    told = lab.directory / "told"
    tell = script(lab.directory / "tell.sh", f'echo "$WEIR_RULE $WEIR_INSTANCE" >> {told}')
    gateway = Gateway(lab, {
        "paged": f'{{after: 2s, unless: acked, exec: {{argv: ["{tell}"]}}}}',
        "brief": f'{{after: 2s, unless: [acked, cleared], exec: {{argv: ["{tell}"]}}}}',
    }, programs=tell)
    gateway.send("paged", room="nobody")
    gateway.send("paged", room="somebody")
    gateway.send("brief", room="over")
    wait_for("three to wait", lambda: gateway.agent.metrics(gateway.http)["weir_action_delayed"] == 3)
    gateway.agent.run("alarms", "ack", "paged{room=somebody}", "--by", "ana", check=0)
    gateway.send("brief", room="over", value=10)
    gateway.send("paged", room="nobody", value=10)  # over, but nobody has acknowledged it
    wait_for("two to be needless", lambda: gateway.agent.metrics(gateway.http)["weir_action_needless_total"] == 2)
    assert not told.exists(), "it was not time yet"
    wait_for("the page", lambda: told.exists() and told.read_text() == "paged room=nobody\n")
    assert gateway.agent.metrics(gateway.http)["weir_action_delayed"] == 0
    assert gateway.agent.stop() == 0


def test_what_waits_outlives_a_kill(lab):
    told = lab.directory / "told"
    tell = script(lab.directory / "tell.sh", f'echo "$WEIR_INSTANCE $WEIR_CAUSE $WEIR_DELIVERY" >> {told}')
    gateway = Gateway(lab, {"paged": f'{{after: 3s, unless: acked, exec: {{argv: ["{tell}"]}}}}'}, programs=tell)
    gateway.send("paged", room="nobody")
    gateway.send("paged", room="somebody")
    wait_for("two to wait", lambda: gateway.agent.metrics(gateway.http)["weir_action_delayed"] == 2)
    gateway.agent.run("alarms", "ack", "paged{room=somebody}", "--by", "ana", check=0)
    time.sleep(1.2)  # every transition is on disk within a second: the time of the promise, not a wait for something to be seen
    gateway.agent.kill()
    gateway.agent.start()
    wait_for("the page", lambda: told.exists() and told.read_text())
    assert told.read_text().startswith("room=nobody raised "), told.read_text()
    gateway.agent.kill()
    gateway.agent.start()
    wait_for("the page once more: nobody has acknowledged it", lambda: len(told.read_text().splitlines()) == 2)
    first, second = told.read_text().splitlines()
    assert first == second, "under the same delivery"
    assert gateway.agent.stop() == 0


def test_a_state_topic_ends_as_the_alarm_is(lab):
    """While the broker is away five alarms change more often than there are places to wait."""
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    gateway = Gateway(lab, {"hot": '{mqtt: {topic: "state/{room}", retain: true}}'}, UPLINK.format(port=broker.port, certs=certs))
    wait_for("the uplink", lambda: gateway.agent.status()["uplink"]["state"] == "online")
    broker.kill()
    rooms = [f"r{i}" for i in range(5)]
    changes = 40  # of each: the last one is an end, and of the first room a raise
    for i in range(changes):
        for room in rooms:
            gateway.send("hot", room=room, value=60 if i % 2 == 0 else 10)
    gateway.send("hot", room=rooms[0], value=60)
    wait_for("all changes to wait, or to have been replaced",
             lambda: gateway.count("queued", "mqtt") + gateway.count("repeats_dropped_total", "mqtt") == changes * len(rooms) + 1)
    assert gateway.count("queued", "mqtt") <= 2 * len(rooms)  # one that waits, and one that the uplink had already
    broker.start()
    wait_for("the broker to have all", lambda: gateway.count("queued", "mqtt") == 0)
    assert gateway.count("dead_total", "mqtt") == 0
    kept = {}
    lab.add(laboratory.Subscriber(broker.local_port, lab.weir, prefix="state", on_message=lambda m: kept.setdefault(m.topic, m)))
    wait_for("the states, kept by the broker", lambda: len(kept) == len(rooms))
    states = {topic: json.loads(message.payload)["to"] for topic, message in kept.items()}
    assert states == {f"state/{room}": "unack" if room == rooms[0] else "rtn_unack" for room in rooms}, states
    assert gateway.agent.stop() == 0


def test_no_action_is_lost_over_a_reload(lab):
    """A rule that is new is raised by the very next reading, and that it was raised is told; so is the end of the one that is gone."""
    names = [f"r{i}" for i in range(10)]
    told = lab.directory / "out" / "told.jsonl"

    def rules(name):
        return {name: f'{{at: [raised, rule_changed], file: {{path: "{told}"}}}}'}

    gateway = Gateway(lab, rules(names[0]))
    stop = threading.Event()

    def feed():
        while not stop.is_set():
            gateway.send(*names)

    def has_told(name, cause):
        lines = told.read_text().split("\n")[:-1] if told.exists() else []
        return any((line["rule"], line["cause"]) == (name, cause) for line in map(json.loads, lines))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        wait_for("the first alarm", lambda: has_told(names[0], "raised"))
        for before, name in zip(names, names[1:]):
            gateway.write_rules(rules(name))
            report = gateway.agent.reload()
            assert (report["msg"], report["changed"]) == ("done", "rules"), report
            wait_for(f"{name} to be told", lambda: has_told(name, "raised"))
            wait_for(f"the end of {before}", lambda: has_told(before, "rule_changed"))
        assert gateway.agent.reload()["changed"] == "nothing"
    finally:
        stop.set()
        feeder.join()
    assert gateway.count("dead_total", "file") == 0
    assert gateway.agent.stop() == 0


if __name__ == "__main__":
    harness.main()
