"""`weir test`: exit codes, the last line, folders, mutants and JSON, as a user's CI sees them."""
import json
import pathlib
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
from lab import ROOT  # noqa: E402

DATA = ROOT / "tests/data/rule-tests"


def run(lab, *words, code):
    done = subprocess.run([str(lab.weir), "test", *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"weir test {words} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done


def last_line(done):
    return done.stdout.splitlines()[-1]


def test_exit_codes(lab):
    assert last_line(run(lab, DATA / "cold-room.yaml", code=0)) == "1 passed, 0 failed"
    assert last_line(run(lab, DATA / "failing.yaml", code=1)) == "1 passed, 2 failed"
    assert last_line(run(lab, DATA / "failing.yaml", "--run", "this one*", code=0)) == "1 passed, 0 failed"
    done = run(lab, DATA / "failing.yaml", "--run", "that one*", code=1)
    assert last_line(done) == "0 passed, 0 failed" and "no test matches 'that one*': 3 left out" in done.stderr, done
    assert "passed" in run(lab, DATA / "cold-room.yaml", "--verbose", code=0).stdout.splitlines()[0]
    assert "nowhere.yaml" in run(lab, DATA / "nowhere.yaml", code=2).stderr
    for words in [(), ("--run",), ("--seed", "x", DATA / "cold-room.yaml"), ("--min", "101", "--mutate", DATA / "cold-room.yaml"),
                  ("--min", "90", DATA / "cold-room.yaml"), ("--frobnicate",)]:
        assert "--help" in run(lab, *words, code=2).stderr
    broken = lab.directory / "broken.yaml"
    broken.write_text("rules: [{rule: a, when: t >}]\n")
    done = run(lab, broken, code=1)
    assert "broken.yaml:1:" in done.stdout and last_line(done) == "0 passed, 1 failed"


def test_folders(lab):
    folder = lab.directory / "rules.d"
    (folder / "deep").mkdir(parents=True)
    for name in ["cold-room.yaml", "rooms.csv"]:
        shutil.copy(DATA / name, folder / "deep" / name)
    shutil.copy(DATA / "promtool-rules.yaml", folder)
    shutil.copy(DATA / "promtool.yml", folder)
    shutil.copy(ROOT / "packaging/weir.yaml", folder)  # the config of an agent
    assert last_line(run(lab, folder, code=0)) == "1 passed, 0 failed"


def test_together(lab):
    """Points in a file of their own, as an agent's config may have them."""
    text = (DATA / "cold-room.yaml").read_text()
    points = lab.directory / "points.yaml"
    rules = lab.directory / "rules.yaml"
    shutil.copy(DATA / "rooms.csv", lab.directory)
    start, end = text.index("points:"), text.index("rules:")
    points.write_text(text[start:end])
    rules.write_text(text[:start] + text[end:])
    assert "error W" in run(lab, points, rules, code=1).stdout
    assert last_line(run(lab, "--together", points, rules, code=0)) == "1 passed, 0 failed"
    done = run(lab, "--together", "--mutate", points, rules, code=1)
    assert done.stdout.splitlines()[-2] == "17 mutants, 12 killed (70 %)"
    rules.write_text("rules: [{rule: a, when: t >}]\n")
    assert last_line(run(lab, "--together", points, rules, code=1)) == "0 passed, 1 failed"


def test_mutants(lab):
    done = run(lab, "--mutate", DATA / "cold-room.yaml", code=1)
    assert done.stdout.splitlines()[-2] == "17 mutants, 12 killed (70 %)"
    assert last_line(done) == "1 passed, 0 failed"
    run(lab, "--mutate", "--min", "70", DATA / "cold-room.yaml", code=0)
    run(lab, "--mutate", "--min", "71", DATA / "cold-room.yaml", code=1)
    assert "first all tests must pass" in run(lab, "--mutate", DATA / "failing.yaml", code=1).stdout
    found = json.loads(run(lab, "--mutate", "--json", DATA / "cold-room.yaml", code=1).stdout)
    assert (found["mutants"], found["killed"], len(found["survivors"])) == (17, 12, 5)
    assert found["survivors"][0] | {"file": ""} == {"file": "", "line": 8, "column": 21, "rule": "cold_room_warm", "was": ">", "became": ">="}


def test_promtool(lab):
    done = run(lab, DATA / "promtool-rules.yaml", "--promtool", DATA / "promtool.yml", code=0)
    assert last_line(done) == "1 passed, 0 failed"
    assert last_line(run(lab, DATA / "promtool-rules.yaml", "--promtool", DATA / "promtool-failing.yml", code=1)) == "0 passed, 1 failed"
    shutil.copy(DATA / "promtool-rules.yaml", lab.directory)
    own = lab.directory / "own.yml"
    own.write_text((DATA / "promtool.yml").read_text().replace("alerts.yml", "promtool-rules.yaml"))
    assert last_line(run(lab, "--promtool", own, code=0)) == "1 passed, 0 failed"
    (lab.directory / "promtool-rules.yaml").write_text("groups: [{name: a, rules: [{alert: InstanceDown, expr: up == 0}]}]\n")
    assert "unknown key 'rules' in group 'a'" in run(lab, "--promtool", own, code=1).stdout


def test_hundreds_of_mutants_take_seconds(lab):
    """Of fifty rules with a test of an hour each."""
    text = ["rules:"]
    tests = ["tests:"]
    for i in range(50):
        text.append(f"  - {{rule: hot{i}, when: t{i} > 80 and u{i} < 5, by: m, on_delay: 1m, off_delay: 2m, severity: high}}")
        tests.append(f'  - {{test: t{i}, rules: [hot{i}], every: 10s, given: [{{series: "t{i}{{m=1}}", values: "50*180 81*180"}}, '
                     f'{{series: "u{i}{{m=1}}", values: "4.9*360"}}], expect: [{{t: 31m, alarm: "hot{i}{{m=1}}", state: unack}}]}}')
    many = lab.directory / "many.yaml"
    many.write_text("\n".join(text + tests) + "\n")
    begun = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    found = json.loads(run(lab, "--mutate", "--json", many, code=1).stdout)
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun
    print(f"{found['mutants']} mutants, {found['killed']} killed, in {took:.2f} s of CPU")
    assert found["mutants"] > 700 and 0 < found["killed"] < found["mutants"]
    assert took < 10


if __name__ == "__main__":
    harness.main()
