"""Rules in the shadow, from a bundle and from the config: they tell what they would have done, and do nothing."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from bundles_test import ROOMS, Gateway  # noqa: E402
from lab import wait_for  # noqa: E402


def report(gateway, code=1):
    done = gateway.agent.run("shadow", "--json")
    return json.loads(done.stdout) if done.returncode == code else None


def sides(report, rule):
    found = next((entry for entry in report["rules_that_differ"] if entry["rule"] == rule), {})
    return [side and (side["raised"], side["active"]) for side in (found.get("in_force"), found.get("shadow"))]


def test_a_bundle_in_the_shadow(lab):
    gateway = Gateway(lab, health="1s")
    gateway.rules("rules.yaml", own=30)
    assert gateway.agent.reload()["msg"] == "done"
    wait_for("the alarm in force", lambda: (gateway.warm(), gateway.alarms("own") == 1)[1])
    running = gateway.runs()
    assert gateway.agent.run("shadow").returncode == 2

    # Twenty-nine rooms too many, as it would be: told, and nobody is alarmed.
    other = gateway.rules("other.yaml", other=15)
    answer = gateway.say(8, other, more=("--shadow",))
    assert answer == {"node": "gw-7", "site": "riga", "key": "k1", "bundle": 8, "result": "ok"}, answer

    def differ():
        gateway.warm()
        found = report(gateway)
        return found if found and found["alarms_that_differ"] == ROOMS else None
    found = wait_for("thirty alarms that differ", differ)
    assert sides(found, "other") == [None, (ROOMS, ROOMS)], found
    assert found["bundle"] == 8 and found["skipped"] == 0 and found["in_force"]["active"] == 1 and len(found["alarms"]) == ROOMS
    assert found["shadow"]["active"] == ROOMS + 1  # the rule of the config is in both sets, and did the same
    assert gateway.alarms("other") == 0 and gateway.alarms("own") == 1 and gateway.shows(0, False)
    assert gateway.agent.run("explain", "other").returncode == 1
    assert gateway.runs() == running
    told = gateway.next_answer(result="shadow")
    while told["shadow"]["shadow"]["active"] != ROOMS + 1:
        told = gateway.next_answer(result="shadow")
    assert told["bundle"] == 8 and told["key"] == "k1" and told["shadow"]["alarms_that_differ"] == ROOMS, told
    assert len(told["shadow"]["alarms"]) + told["shadow"]["alarms_left_out"] == ROOMS
    status = gateway.agent.run("status").stdout
    assert "bundle 8 in the shadow" in status and f"{ROOMS} alarms differ" in status, status
    metrics = gateway.agent.metrics(gateway.fields["http"])
    assert [metrics["weir_shadow_" + name] for name in ("rules", "bundle_version", "alarms_differing", "raised_total")] == [2, 8, ROOMS, ROOMS + 1]
    assert "shadow rules do not do what the rules in force do" in gateway.agent.log()
    text = gateway.agent.run("shadow").stdout
    assert "bundle 8 in the shadow: 2 rules since" in text and "other: not in force; shadow raised 30" in text, text

    # The same message again; one that is old; one that is not good: the shadow goes on.
    gateway.send(gateway.sign(8, other, more=("--shadow",)))
    assert gateway.next_answer(key="k1", result="ok")
    assert gateway.say(8, other, more=("--shadow",))["reason"] == "old"
    assert gateway.say(7, other, more=("--shadow",))["reason"] == "old"
    clash = gateway.say(9, gateway.rules("clash.yaml", own=1), more=("--shadow",))
    assert clash["reason"] == "rejected" and "own" in clash["problem"], clash
    assert gateway.say(9, other, nodes="gw-8", more=("--shadow",))["reason"] == "elsewhere"
    gateway.send(gateway.sign(9, other, key=gateway.foreign, more=("--shadow",)))
    whole = gateway.sign(9, other, more=("--shadow",))
    gateway.send(whole[:len(whole) // 2])
    wait_for("both to be counted", lambda: gateway.count("signature") == 1 and gateway.count("unsigned") == 1)
    assert report(gateway)["alarms_that_differ"] == ROOMS

    # A restart goes on with it; the same version may then come for good, which ends the shadow.
    gateway.agent.kill()
    gateway.start()
    wait_for("the shadow after a restart", differ)
    assert gateway.say(8, gateway.rules("other.yaml", other=35))["result"] == "ok"
    wait_for("its rule in force", lambda: (gateway.warm(), gateway.alarms("other") == 1)[1])
    assert gateway.agent.run("shadow").returncode == 2
    assert gateway.say(8, other, more=("--shadow",))["reason"] == "old"

    # The next one does what is done now; without files it ends.
    assert gateway.say(9, gateway.rules("other.yaml", other=35), more=("--shadow",))["result"] == "ok"

    def same():
        gateway.warm()
        found = report(gateway, code=0)
        return found and found["shadow"]["active"] == found["in_force"]["active"] == 2
    wait_for("both to do the same", same)
    assert gateway.say(10, more=("--shadow",))["result"] == "ok"
    assert gateway.agent.run("shadow").returncode == 2 and gateway.alarms("other") == 1
    names = {path.name for path in (gateway.directory / "store" / "bundles").iterdir()}
    assert not any(name.endswith(".shadow") or name == "shadow" for name in names), names
    audit = gateway.agent.run("audit")
    assert audit.returncode == 0, audit.stdout


def test_one_that_lets_the_agent_die_is_taken_away(lab):
    gateway = Gateway(lab, health="1h")
    assert gateway.say(1, gateway.rules("other.yaml", other=15), more=("--shadow",))["result"] == "ok"
    for _ in range(3):
        gateway.agent.kill()
        gateway.start()
        assert gateway.agent.status()["shadow"]["rules"] == 2
    gateway.agent.kill()
    gateway.start()
    assert gateway.agent.status()["shadow"] is None
    assert "the bundle in the shadow is taken away" in gateway.agent.log()
    assert gateway.say(1, gateway.rules("other.yaml", other=15), more=("--shadow",))["reason"] == "old"


def test_one_that_does_not_fit_any_more(lab):
    gateway = Gateway(lab, health="1s")
    assert gateway.say(1, gateway.rules("other.yaml", other=15), more=("--shadow",))["result"] == "ok"
    gateway.rules("rules.yaml", other=50)  # by hand: now both have that name
    assert gateway.agent.reload()["msg"] == "done"
    answer = gateway.next_answer(result="shadow", problem="its rules do not run together with the present config: weir check says why")
    assert answer["bundle"] == 1 and gateway.agent.run("shadow").returncode == 2
    gateway.rules("rules.yaml", own=50)
    assert gateway.agent.reload()["msg"] == "done"
    wait_for("it to run again", lambda: gateway.agent.run("shadow").returncode == 0)
    assert gateway.count("done") == 1


def test_of_the_config(lab):
    gateway = Gateway(lab)
    config = gateway.directory / "weir.yaml"
    text = config.read_text()
    gateway.rules("new.yaml", own=30)
    config.write_text(text + 'shadow_rules: ["new.yaml"]\n')
    checked = gateway.agent.run("check").stdout
    assert "shadow   1 rules" in checked and "in the shadow, likewise" in checked, checked
    assert gateway.agent.reload()["msg"] == "done"

    def differs():
        gateway.warm()
        found = report(gateway)
        return found and sides(found, "own") == [(0, 0), (1, 1)]
    wait_for("one alarm more", differs)
    assert gateway.alarms("own") == 0

    # An error in them is told, and is no matter to anything else.
    (gateway.directory / "new.yaml").write_text("weir: 1\nrules:\n  - {rule: bad, when: temp >}\n")
    check = gateway.agent.run("check")
    assert check.returncode == 1 and "the agent runs without them" in check.stderr, check
    assert gateway.agent.run("check", "--start").returncode == 0
    assert gateway.agent.reload()["msg"] == "done"
    wait_for("no shadow", lambda: gateway.agent.run("shadow").returncode == 2)
    assert "shadow rules do not run; those in force do" in gateway.agent.log()
    assert gateway.agent.stop() == 0
    gateway.start()
    assert gateway.agent.status()["shadow"] is None

    # What is in force is compared anew.
    gateway.rules("new.yaml", own=30)
    gateway.rules("rules.yaml", own=30)
    assert gateway.agent.reload()["msg"] == "done"
    wait_for("the same in both", lambda: (gateway.warm(), (report(gateway, code=0) or {"shadow": {"active": 0}})["shadow"]["active"] == 1)[1])
    assert gateway.alarms("own") == 1


def test_a_bundle_that_clashes_with_an_edited_config(lab):
    gateway = Gateway(lab)
    assert gateway.say(2, gateway.rules("good.yaml", good=30))["result"] == "ok"
    gateway.rules("rules.yaml", good=50)
    check = gateway.agent.run("check", "--quiet")
    assert check.returncode == 1 and "from the bundle in force together with this config" in check.stderr, check
    start = gateway.agent.run("check", "--quiet", "--start")  # what the systemd unit asks
    assert start.returncode == 0 and "the agent starts without the bundle" in start.stderr, start
    assert gateway.agent.reload()["msg"].startswith("refused")


if __name__ == "__main__":
    harness.main()
