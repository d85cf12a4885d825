"""Operators: commands over the control socket and over HTTP, answered after the journal; silences, groups and figures of a running agent."""
import http.client
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-desk, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB}}
http: {{listen: "127.0.0.1:{http}", command_token_file: operators}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: warm, when: temp > 8, by: room, severity: medium}
  - {rule: stuck, when: temp > 8, by: room, latch: true}
  - {rule: fire, when: smoke > 1, by: room, severity: critical, consequence: "it burns", respond: "leave", time_to_respond: 1m}
"""


TOKEN = "a-token-of-this-test"


class Desk:
    def __init__(self, lab, rules=RULES):
        self.line, self.http = laboratory.free_port(), laboratory.free_port()
        directory = lab.directory / "agent"
        directory.mkdir()
        (directory / "rules.yaml").write_text(rules)
        (directory / "operators").write_text(f"# of the control room\n{TOKEN}\n")
        (directory / "operators").chmod(0o600)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(line=self.line, http=self.http)))
        self.start()

    def start(self):
        self.agent.start()
        self.sensor = laboratory.Sender(self.line)

    def send(self, *lines):
        self.sensor.send("".join(line + "\n" for line in lines))

    def say(self, *words, check=0):
        """A command as JSON."""
        return json.loads(self.agent.run("alarms", *words, "--json", check=check).stdout)

    def post(self, verb, token=TOKEN, **command):
        """A command over HTTP: status and answer."""
        return self.ask("POST", f"/api/v1/alarms/{verb}", token, json.dumps(command))

    def ask(self, method, target, token, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=20)
        try:
            connection.request(method, target, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def alarms(self, *words):
        return {alarm["alarm"]: alarm for alarm in json.loads(self.agent.run("alarms", *words, "--json", check=0).stdout)}

    def becomes(self, name, state, seconds=10):
        wait_for(f"{name} to be {state}", lambda: self.alarms("--all").get(name, {"to": "none"})["to"] == state, seconds)

    def logged(self, **wanted):
        """The log's lines about alarms that have all of this."""
        lines = [json.loads(line) for line in self.agent.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("msg", line.get("message")) is not None and wanted.items() <= line.items()]


def test_what_was_answered_survives_a_kill(lab):
    """Again and again: a command, and kill -9 as soon as its answer is there."""
    desk = Desk(lab)
    rooms = [f"A{i}" for i in range(6)]
    desk.send(*(f"temp,room={room} value=9" for room in rooms))
    for room in rooms:
        desk.becomes(f"warm{{room={room}}}", "unack")
        desk.becomes(f"stuck{{room={room}}}", "unack")
    commands = [
        (("ack", "warm{room=A0}", "--why", "seen"), "warm{room=A0}", lambda alarm: alarm["to"] == "acked"),
        (("shelve", "warm{room=A1}", "--for", "2h", "--why", "painting"), "warm{room=A1}",
         lambda alarm: alarm["silent"] == ["shelved"] and alarm["by"] == "ana" and alarm["why"] == "painting" and alarm["until_ns"] > alarm["time_ns"]),
        (("oos", "warm{room=A2}", "--why", "WO-1"), "warm{room=A2}",
         lambda alarm: alarm["silent"] == ["out_of_service"] and alarm["why"] == "WO-1"),
        (("ack", "stuck"), "stuck{room=A5}", lambda alarm: alarm["to"] == "acked"),
        (("unshelve", "warm{room=A1}"), "warm{room=A1}", lambda alarm: "silent" not in alarm),
        (("shelve", "*", "--for", "1h", "--why", "night"), "stuck{room=A3}", lambda alarm: alarm["silent"] == ["shelved"]),
        (("return", "warm{room=A2}"), "warm{room=A2}", lambda alarm: alarm["silent"] == ["shelved"]),
    ]
    for number, (words, name, is_so) in enumerate(commands):
        answer = desk.say(*words, "--by", "ana", "--key", f"key-{number}")
        desk.agent.kill()
        assert answer["result"] == "ok" and answer["journalled"] and not answer["repeated"], answer
        desk.start()
        alarm = desk.alarms()[name]
        assert is_so(alarm), (words, alarm)
        again = desk.say(*words, "--by", "ana", "--key", f"key-{number}")
        assert again["repeated"] and again["changed"] == answer["changed"] and again["result"] == "ok", (answer, again)
        assert desk.alarms()[name]["transition"] == alarm["transition"], "it was done again"
    assert desk.say("reset", "*", "--key", "key-0", check=1)["problem"] == "the key key-0 was used for another command"
    assert desk.agent.stop() == 0


def test_what_was_answered_over_http_survives_a_kill(lab):
    desk = Desk(lab)
    rooms = [f"A{i}" for i in range(4)]
    desk.send(*(f"temp,room={room} value=9" for room in rooms))
    for room in rooms:
        desk.becomes(f"warm{{room={room}}}", "unack")
    commands = [
        ("ack", {"alarm": "warm{room=A0}", "why": "seen"}, "warm{room=A0}", lambda alarm: alarm["to"] == "acked"),
        ("shelve", {"alarm": "warm{room=A1}", "for": "2h", "why": "painting"}, "warm{room=A1}",
         lambda alarm: alarm["silent"] == ["shelved"] and alarm["by"] == "ana" and alarm["why"] == "painting"),
        ("oos", {"alarm": "warm{room=A2}", "why": "WO-1"}, "warm{room=A2}", lambda alarm: alarm["silent"] == ["out_of_service"]),
        ("return", {"alarm": "warm{room=A2}"}, "warm{room=A2}", lambda alarm: "silent" not in alarm),
    ]
    for number, (verb, command, name, is_so) in enumerate(commands):
        command = {**command, "by": "ana", "key": f"key-{number}"}
        status, answer = desk.post(verb, **command)
        desk.agent.kill()
        assert status == 200 and answer["journalled"] and answer["changed"] == 1 and not answer["repeated"], answer
        desk.start()
        status, listed = desk.ask("GET", "/api/v1/alarms", TOKEN)
        alarm = {alarm["alarm"]: alarm for alarm in listed}[name]
        assert status == 200 and is_so(alarm), (verb, alarm)
        status, again = desk.post(verb, **command)
        assert status == 200 and again["repeated"] and again["changed"] == 1, again
        assert desk.alarms()[name] == alarm, "it was done again, or the two lists differ"
    assert desk.post("ack", token="guess", alarm="*", by="eve") == (401, {"error": "unauthorized access: no token of "
                                                                        "http.command_token_file in Authorization, or one that is not known here"})
    assert desk.post("ack", alarm="wrm", by="ana")[0] == 404
    assert desk.post("reset", alarm="warm{room=A3}", by="ana")[0] == 409
    assert desk.post("ack", alarm="warm{room=A3}")[1]["error"].startswith("who says it?")
    assert desk.alarms()["warm{room=A3}"]["to"] == "unack"
    # tokens are exchanged without a restart, the server by a reload
    (desk.agent.directory / "operators").write_text("another\n")
    wait_for("the new token to count", lambda: desk.ask("GET", "/api/v1/alarms", "another")[0] == 200, 10)
    assert desk.ask("GET", "/api/v1/alarms", TOKEN)[0] == 401
    desk.agent.config.write_text(desk.agent.config.read_text().replace(", command_token_file: operators", ""))
    desk.agent.reload()
    assert desk.ask("GET", "/api/v1/alarms", "another")[0] == 404
    assert desk.agent.stop() == 0


LATE = """
weir: 1
rules:
  - {{rule: late, when: temp > 8, by: room, latch: true, on_delay: {delay}}}
  - {{rule: prompt, when: temp > 8, by: room}}
"""


def test_an_answer_while_the_delay_runs_survives_a_kill(lab):
    """Reset while the condition is on its way again, that is pending: nothing but the answer's own entry says so when the agent is killed then."""
    desk = Desk(lab, LATE.format(delay="0s"))
    late, prompt = "late{room=A1}", "prompt{room=A1}"

    def start(delay):
        (desk.agent.directory / "rules.yaml").write_text(LATE.format(delay=delay))
        desk.start()

    desk.send("temp,room=A1 value=9")
    desk.becomes(late, "unack")
    assert desk.say("oos", "late", "--why", "WO-1", "--by", "ana")["changed"] == 1
    desk.send("temp,room=A1 value=1")
    desk.becomes(late, "latched_unack")
    assert desk.say("ack", "*", "--by", "ana")["changed"] == 2
    assert desk.agent.stop() == 0
    start("1h")  # longer than any machine takes
    desk.send("temp,room=A1 value=9")
    desk.becomes(prompt, "unack")  # the sample is there
    before = desk.alarms("--all")[late]
    assert before["to"] == "latched_ack", before
    answer = desk.say("reset", "late", "--by", "ana")
    desk.agent.kill()
    assert answer["changed"] == 1 and answer["journalled"], answer
    start("1s")
    after = desk.alarms("--all").get(late)
    assert after is not None, "the whole alarm is forgotten"
    assert after["to"] == "pending" and after["transition"] > before["transition"], (before, after)
    assert after["silent"] == ["out_of_service"] and after["why"] == "WO-1", after
    desk.send("temp,room=A1 value=9")
    desk.becomes(late, "unack")
    assert desk.agent.stop() == 0


def test_the_end_of_a_shelving(lab):
    desk = Desk(lab)
    desk.send("temp,room=A1 value=9")
    desk.becomes("warm{room=A1}", "unack")
    wait_for("the raise to be logged", lambda: desk.logged(alarm="warm{room=A1}", cause="raised"))
    answer = desk.say("shelve", "warm", "--for", "3s", "--why", "test of the siren")
    assert answer["changed"] == 1 and re.match(r"20\d\d-", answer["until"]), answer
    text = desk.agent.run("alarms", check=0).stdout
    assert re.search(r"warm\{room=A1\} .* shelved until 20\d\d\S+ by \S+: test of the siren", text), text
    desk.send("temp,room=A1 value=1")
    desk.becomes("warm{room=A1}", "rtn_unack")
    desk.send("temp,room=A1 value=9")
    desk.becomes("warm{room=A1}", "unack")
    assert len(desk.logged(alarm="warm{room=A1}", cause="raised")) == 1, "a shelved alarm was told"
    assert desk.agent.stop() == 0  # also over a restart
    desk.start()
    wait_for("it to be told again", lambda: len(desk.logged(alarm="warm{room=A1}", cause="raised")) == 2, 10)
    assert "silent" not in desk.alarms()["warm{room=A1}"]
    assert desk.agent.stop() == 0


def test_what_makes_no_sense_is_refused(lab):
    desk = Desk(lab)
    desk.send("smoke,room=A1 value=9", "temp,room=A1 value=9")
    desk.becomes("fire{room=A1}", "unack")
    desk.becomes("warm{room=A1}", "unack")
    refused = {
        ("shelve", "warm", "--for", "2h"): "to shelve needs --why TEXT, and --for 2h or --until TIME",
        ("shelve", "warm", "--why", "x"): "to shelve needs --why TEXT, and --for 2h or --until TIME",
        ("shelve", "warm", "--why", "x", "--for", "two hours"): "--for takes a duration, as 90m or 2h",
        ("shelve", "warm", "--why", "x", "--until", "soon"): "--until takes a time, as 2026-03-02T16:00:00Z",
        ("shelve", "warm", "--why", "x", "--for", "1h", "--until", "2026-03-02T16:00:00Z"): "--for and --until exclude each other",
        ("ack", "warm", "--for", "1h"): "--for and --until go with shelve",
        ("oos", "warm"): "oos needs --why with a reference",
        ("ack",): "which alarm?",
        ("ack", "warm", "fire"): "'fire' makes no sense here",
        ("ack", "--loud", "warm"): "'--loud' makes no sense here",
        ("ack", "warm", "--why"): "the last option needs a value",
        ("ack", "warm", "--key", "k" * 64): "the key is longer than 63 bytes",
        ("dance",): "'dance' makes no sense here",
    }
    for words, problem in refused.items():
        done = desk.agent.run("alarms", *words, check=2)
        assert problem in done.stderr, (words, done)
    refused = {
        ("shelve", "warm", "--why", "x", "--until", "2020-01-01T00:00:00Z"): "to shelve needs a time that is still to come",
        ("shelve", "warm", "--why", "x", "--for", "9h"): "warm may be shelved for 8h at most",
        ("shelve", "fire", "--why", "x", "--for", "1h"): "fire may not be shelved: its shelve_max is 0s, as of any critical alarm that gives none",
        ("unshelve", "warm"): "warm is not shelved",
        ("return", "warm"): "warm is not out of service",
        ("reset", "warm{room=A1}"): "warm{room=A1} is unack: nothing to reset",
        ("ack", "warm{room=Z}"): "there is no alarm warm{room=Z}",
        ("ack", "wrm"): "there is no rule 'wrm'",
        ("ack", "warm{"): "",
    }
    for words, problem in refused.items():
        done = desk.agent.run("alarms", *words, check=1)
        assert problem in done.stdout + done.stderr, (words, done)
        assert problem in desk.say(*words, check=1)["problem"]
    both = desk.agent.run("alarms", "shelve", "*{room=A1}", "--for", "1h", "--why", "x", check=0).stdout
    assert re.match(r"2 alarms shelved until \S+; 1 refused: fire may not be shelved", both), both
    assert desk.agent.stop() == 0


SILENT = """
weir: 1
rules:
  - {rule: gw_down, when: gw_age > 30, by: gw, severity: high, consequence: c, respond: r, time_to_respond: 5m}
  - {rule: warm, when: temp > 8, by: "gw, room"}
  - {rule: many, when: weir.alarm_rate_10m > 2}
suppress:
  - {cause: gw_down, match: "rule=warm", equal: gw, linger: 1s}
groups:
  - {name: by_gw, by: "gw, site", wait: 500ms, update: 1s, first_out: true, then: [{at: [raised, cleared], log: true}]}
"""


def test_suppression_groups_and_figures(lab):
    desk = Desk(lab, SILENT)
    desk.send("gw_age,gw=1 value=99")
    desk.becomes("gw_down{gw=1}", "unack")
    desk.send("temp,gw=1,room=A value=9", "temp,gw=2,room=B value=9", "temp,gw=2,room=C value=9")
    desk.becomes("warm{gw=1,room=A}", "unack")
    alarms = desk.alarms()
    assert alarms["warm{gw=1,room=A}"]["silent"] == ["suppressed"], alarms
    assert alarms["warm{gw=2,room=B}"]["silent"] == ["grouped"], alarms
    wait_for("the group's notice", lambda: desk.logged(alarm="group:by_gw{gw=2}", cause="raised"))
    notice = desk.logged(alarm="group:by_gw{gw=2}", cause="raised")[0]
    assert "2 alarms active" in json.dumps(notice) and "first out warm{gw=2,room=B}" in json.dumps(notice), notice
    assert not desk.logged(alarm="warm{gw=1,room=A}") and not desk.logged(alarm="warm{gw=2,room=B}")
    desk.send("gw_age,gw=1 value=1")
    wait_for("what was suppressed to be told by its group", lambda: "warm{gw=1,room=A}" in json.dumps(desk.logged(alarm="group:by_gw{gw=1}")), 15)
    desk.send("temp,gw=9,room=X value=9")
    for i in range(4):
        desk.send(f"gw_age,gw={10 + i} value=99")
    desk.becomes("many", "unack", 25)  # the figures are told every ten seconds
    metrics = desk.agent.metrics(desk.http)
    assert metrics["weir_alarm_rate_10m"] >= 3 and metrics['weir_alarm_priority_ratio{severity="high"}'] > 0, metrics
    assert metrics["weir_alarm_unacked_max_age_seconds"] > 0 and metrics["weir_alarms_suppressed"] == 0
    transitions = {name: alarm["transition"] for name, alarm in desk.alarms().items()}
    desk.agent.kill()
    desk.start()
    kept = {name: alarm["transition"] for name, alarm in desk.alarms().items()}
    assert all(kept[name] >= transitions[name] for name in transitions), (transitions, kept)
    assert desk.agent.stop() == 0


if __name__ == "__main__":
    harness.main()
