"""The tools for rules as people use them: `weir check` of rule files alone and its formats, `weir explain`, `weir replay`; and that exit codes can be relied on."""
import csv
import datetime
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: gw-tools}}
sources: [{{name: floor, kind: line, listen: "tcp://127.0.0.1:{port}"}}]
windows: [{{name: m1, every: 1m}}]
rules: [rules.yaml]
store: {{path: store, budget: 16MB}}
"""

GOOD = """
weir: 1
points:
  - {point: temp, unit: °C}
rules:
  - {rule: warm, when: temp > 8°C, by: room, respond: "close the door"}
  - {rule: beep, when: temp > 9°C, by: room, respond: "close the door", then: [{at: [raised], exec: {argv: [/usr/bin/beep]}}]}
"""
WARNING = "weir: 1\nrules:\n  - {rule: silent, when: x > 8}\n"
BAD = """weir: 1
points:
  - {point: "tämp", unit: °C}
rules:
  - {rule: one, when: "tämp > 8bar", respond: x}
  - {rule: two, when: "rize(tämp, 5m) > 1K", respond: x}
"""


def weir(lab, *words, **options):
    return subprocess.run([str(lab.weir.resolve()), *map(str, words)], capture_output=True, text=True, timeout=30, **options)


def check_sarif(text):
    """The structure that SARIF 2.1.0 demands, and what code hosts ask beyond it. Returns (rules, results)."""
    log = json.loads(text)
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-2.1.0.json") and len(log["runs"]) == 1
    run = log["runs"][0]
    driver = run["tool"]["driver"]
    assert driver["name"] and driver["informationUri"].startswith("https://") and re.fullmatch(r"\d+\.\d+\.\d+", driver["semanticVersion"])
    assert run["columnKind"] == "unicodeCodePoints" and run["invocations"][0]["executionSuccessful"] is True
    rules = driver["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    page = (pathlib.Path(__file__).resolve().parent.parent.parent / "docs/diagnostics.md").read_text()
    anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    for rule in rules:
        assert re.fullmatch(r"W\d{3}", rule["id"]) and rule["shortDescription"]["text"], rule
        address, anchor = rule["helpUri"].split("#")
        assert address.startswith("https://") and address.endswith("/docs/diagnostics.md") and anchor in anchors, rule
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] and result["level"] in ("error", "warning") and result["message"]["text"], result
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert re.fullmatch(r"[A-Za-z0-9._~/%:-]+", place["artifactLocation"]["uri"]), place
        region = place["region"]
        assert region["startLine"] >= 1 and region.get("startColumn", 1) >= 1, region
        assert region.get("endColumn", region.get("startColumn", 1) + 1) > region.get("startColumn", 1), region
    return rules, run["results"]


def test_rule_files_alone(lab):
    """No config: files and folders; the allow-list of an agent is not asked."""
    folder = lab.directory / "rules.d"
    folder.mkdir()
    (folder / "a.yaml").write_text(GOOD)
    (folder / "b.yaml").write_text(WARNING)
    done = weir(lab, "check", "rules.d", cwd=lab.directory)
    assert done.returncode == 0 and "rules.d/a.yaml and 1 more: good, 1 warning" in done.stdout and "rules    3 in 2 files" in done.stdout, done
    assert "rules.d/b.yaml:3:12: warning W401" in done.stderr, done
    done = weir(lab, "check", "--quiet", folder / "a.yaml")
    assert done.returncode == 0 and done.stdout == done.stderr == "", done
    said = json.loads(weir(lab, "check", "--json", folder).stdout)
    assert said["good"] and [rule["rule"] for rule in said["rules"]] == ["warm", "beep", "silent"] and "ceiling" not in said, said
    (folder / "c.yaml").write_text(BAD)
    done = weir(lab, "check", folder / "c.yaml")
    assert done.returncode == 1 and "W210" in done.stderr and "did you mean 'rise'?" in done.stderr and "^" in done.stderr, done


def test_what_it_takes(lab):
    """Cost and memory of each rule with what it reads, the edge of windows in panes, and how long windows take to close."""
    (lab.directory / "rules.yaml").write_text("""weir: 1
points: [{point: vib, unit: mm/s, every: 1s}]
rules:
  - {rule: plain, when: vib > 3mm/s, by: pump, respond: x}
  - {rule: exact, when: "avg(vib, 1m) > 3mm/s", by: pump, respond: x}
  - {rule: panes, when: "avg(vib, 1h) > 3mm/s", by: pump, respond: x}
""")
    (lab.directory / "weir.yaml").write_text(CONFIG.format(port=1))
    said = json.loads(weir(lab, "check", "-c", lab.directory / "weir.yaml", "--format", "json").stdout)
    plain, exact, panes = said["rules"]
    assert plain["quiet"] and plain["nodes"] == 0 and plain["window_edge"] == 0 and plain["bytes_per_instance"] <= 512, plain
    assert exact["nodes"] == 1 and exact["window_edge"] == 0 and exact["bytes_per_instance"] > plain["bytes_per_instance"], exact
    assert 0 < panes["window_edge"] <= 1 / 64 and panes["cost_ns"] > exact["cost_ns"] > plain["cost_ns"], panes
    assert said["closing"]["windows"] == 10000 and said["closing"]["wait_ns"] > said["closing"]["slice_ns"] > 0, said["closing"]
    text = weir(lab, "check", "-c", lab.directory / "weir.yaml").stdout
    assert "with the 1 node it reads, window edges within 1.6 %)" in text and "closing  10000 windows may end at one instant" in text, text


def test_words_that_make_no_sense(lab):
    (lab.directory / "a.yaml").write_text(GOOD)
    for words in (["none.yaml"], ["--format", "xml", "a.yaml"], ["a.yaml", "--format"], ["-c", "weir.yaml", "a.yaml"], ["--dance"]):
        done = weir(lab, "check", *words, cwd=lab.directory)
        assert done.returncode == 2 and done.stderr and not done.stdout, (words, done)


def test_explain(lab):
    """What a running agent says of its alarms."""
    port = laboratory.free_port()
    directory = lab.directory / "agent"
    directory.mkdir()
    (directory / "rules.yaml").write_text(GOOD.split("  - {rule: beep")[0])
    agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(port=port))).start()
    assert "nothing has come of temp" in agent.run("explain", "warm", check=1).stdout
    sender = lab.add(laboratory.Sender(port))
    sender.send("temp,room=A1 value=9.5\n")
    text = wait_for("the alarm", lambda: agent.run("explain", "warm{room=A1}").stdout.startswith("warm{room=A1}, low: unack") and
                    agent.run("explain", "warm{room=A1}", check=0).stdout)
    assert "  temp > 8°C  true\n    temp      9.5 °C\n" in text and re.search(r"\n  temp\{room=A1\}  9.5 °C  [0-9.]+s ago, good\n", text), text
    (said,) = json.loads(agent.run("explain", "--json", "warm", check=0).stdout)
    assert said["alarm"]["to"] == "unack" and said["condition"][1] == {"text": "temp", "depth": 1, "value": 9.5, "unit": "°C"}, said
    assert "did you mean 'warm'?" in agent.run("explain", "worm", check=1).stdout
    agent.run("explain", check=2)
    agent.run("explain", "--dance", "warm", check=2)
    agent.stop()
    assert agent.run("explain", "warm", check=2).stderr


def test_explain_code(lab):
    done = weir(lab, "explain", "--code", "W210")
    assert done.returncode == 0 and "two different kinds of quantity" in done.stdout and "compare °C with °C" in done.stdout, done
    assert weir(lab, "explain", "--code", "W999").returncode == 1
    for words in [("--code",), ("--code", "W210", "W211")]:
        done = weir(lab, "explain", *words)
        assert done.returncode == 2 and "--code takes one code" in done.stderr, done


def test_sarif(lab):
    (lab.directory / "a b.yaml").write_text(BAD)
    done = weir(lab, "check", "--format", "sarif", "a b.yaml", cwd=lab.directory)
    assert done.returncode == 1 and done.stderr == "", done
    rules, results = check_sarif(done.stdout)
    by_rule = {result["ruleId"]: result["locations"][0]["physicalLocation"] for result in results}
    assert set(by_rule) == {"W102", "W210"} and len(results) == 2, results
    assert by_rule["W210"]["artifactLocation"]["uri"] == "a%20b.yaml"
    lines = BAD.splitlines()
    region = by_rule["W102"]["region"]  # columns count characters, not bytes
    assert lines[region["startLine"] - 1][region["startColumn"] - 1: region["endColumn"] - 1] == "rize", region
    (lab.directory / "a b.yaml").write_text(GOOD)
    done = weir(lab, "check", "--format", "sarif", "a b.yaml", cwd=lab.directory)
    assert done.returncode == 0 and check_sarif(done.stdout) == ([], []), done
    (lab.directory / "a b.yaml").write_text(WARNING)
    done = weir(lab, "check", "--format", "sarif", "a b.yaml", cwd=lab.directory)
    assert done.returncode == 0 and [result["level"] for result in check_sarif(done.stdout)[1]] == ["warning"], done
    config = lab.directory / "weir.yaml"
    config.write_text("node: {id: gw}\nsources: [{name: a, kind: line, listen: nowhere}]\nwindows: [{name: m, every: 1m}]\n")
    done = weir(lab, "check", "-c", config, "--format", "sarif")
    assert done.returncode == 1 and check_sarif(done.stdout)[1][0]["ruleId"] == "W505", done


def expected(column, limit, clear, on_delay):
    """What a rule `column > limit` with that on_delay and clear does over the occupancy recordings: [(raised, cleared or None)] in seconds."""
    rows = []
    for name in ("datatest.txt", "datatest2.txt", "datatraining.txt"):
        with open(laboratory.ROOT / "tests/data/occupancy" / name) as file:
            reader = csv.reader(file)
            header = next(reader)
            for row in reader:  # an unnamed number stands before the columns of the header
                named = dict(zip(header, row[-len(header):]))
                stamp = datetime.datetime.strptime(named["date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
                rows.append((stamp.timestamp(), float(named[column])))
    rows.sort(key=lambda row: row[0])
    episodes, since, raised = [], None, None
    for time, value in rows:
        if since is not None and raised is None and time >= since + on_delay:
            raised = since + on_delay  # between two samples, by its timer
        if raised is None:
            since = (since if since is not None else time) if value > limit else None
            if since is not None and on_delay == 0:
                raised = time
        elif value <= clear:
            episodes.append((raised, time))
            since = raised = None
    if raised is None and since is not None and rows[-1][0] >= since + on_delay:
        raised = since + on_delay
    return episodes + ([(raised, None)] if raised is not None else [])


def test_replay(lab):
    """Recordings of two weeks in an office against a model in a few lines of Python; two rule sets; bad words and bad records."""
    recordings = sorted((laboratory.ROOT / "tests/data/occupancy").glob("*.txt"))
    how = ["--format", "csv", "--csv", "time_column=date, measurement=office"]
    cases = {"warm": ("Temperature", 22.5, 22.2, 300), "warm_old": ("Temperature", 22.0, 22.0, 0), "stuffy": ("CO2", 1000, 900, 600)}
    for name, (column, limit, clear, delay) in cases.items():
        (lab.directory / f"{name}.yaml").write_text(
            f"weir: 1\nrules:\n  - {{rule: {name.split('_')[0]}, when: office.{column} > {limit}, clear: office.{column} <= {clear}, on_delay: {delay}s}}\n")
    for name, case in cases.items():
        said = json.loads(weir(lab, "replay", "--json", "--rules", lab.directory / f"{name}.yaml", *how, *recordings).stdout)
        (rule,) = said["rules"]
        episodes = expected(*case)
        end = said["last_ns"] / 1e9
        lengths = [(cleared or end) - raised for raised, cleared in episodes]
        assert said["readings"] == 123360 and said["refused"] == 0 and len(episodes) > 5, said
        assert rule["fired"] == rule["told"] == len(episodes), (name, rule, len(episodes))
        assert rule["first_ns"] / 1e9 == episodes[0][0] and rule["last_ns"] / 1e9 == episodes[-1][0], (name, rule, episodes)
        assert abs(rule["active_ns"] / 1e9 - sum(lengths)) < 1e-3 and abs(rule["longest_ns"] / 1e9 - max(lengths)) < 1e-3, (name, rule, lengths)
        assert rule["still_active"] == (episodes[-1][1] is None)
    both = ["replay", "--rules", lab.directory / "warm.yaml", "--against", lab.directory / "warm_old.yaml", *how, *recordings]
    (rule,) = json.loads(weir(lab, *both, "--json").stdout)["rules"]
    new, old = expected(*cases["warm"]), expected(*cases["warm_old"])
    overlapped = {n for n in new for o in old if n[0] <= (o[1] or 1e12) and o[0] <= (n[1] or 1e12)}
    assert rule["fired"] == rule["both"] + rule["only_new"] == len(new) and rule["old"]["fired"] == rule["both"] + rule["only_old"] == len(old), rule
    assert 5 <= rule["both"] <= len(overlapped) and rule["shift_mean_ns"] > 0, (rule, overlapped)
    done = weir(lab, *both)
    assert done.returncode == 0 and "only old" in done.stdout and " later" in done.stdout and not done.stderr, done
    (lab.directory / "bad.csv").write_text("date,x\n2026-01-01T00:00:00Z,1\nyesterday,2\n")
    done = weir(lab, "replay", "--rules", lab.directory / "warm.yaml", lab.directory / "bad.csv")
    assert done.returncode == 1 and re.search(r"bad\.csv:3:\d+: ", done.stderr) and "1 refused" in done.stdout, done
    done = weir(lab, "replay", "--rules", lab.directory / "warm.yaml", "--format", "csv", "--csv", "time_column=nope", lab.directory / "bad.csv")
    assert done.returncode == 2 and "no such column: 'nope'" in done.stderr and "1 of 1 recordings left out" in done.stderr, done
    done = weir(lab, "replay", "--rules", lab.directory / "warm.yaml", "--format", "csv", lab.directory)
    assert done.returncode == 2 and "Is a directory" in done.stderr and "(1 left out)" in done.stdout, done
    (lab.directory / "broken.yaml").write_text(BAD)
    done = weir(lab, "replay", "--rules", lab.directory / "warm.yaml", "--format", "json", "--map", "tme=t", lab.directory / "bad.csv")
    assert done.returncode == 2 and "--map: 'tme=t' is none of" in done.stderr, done
    assert weir(lab, "replay", "--rules", lab.directory / "broken.yaml", *how, *recordings).returncode == 1
    for words in (["--rules", lab.directory / "warm.yaml"], [*how, recordings[0]], ["--rules", lab.directory / "warm.yaml", "none.csv"],
                  ["--rules", "none.yaml", *how, recordings[0]], ["--rules", lab.directory / "warm.yaml", recordings[0]], ["--dance"],
                  ["--rules", lab.directory / "warm.yaml", "--format", "weir", recordings[0]]):
        done = weir(lab, "replay", *words)
        assert done.returncode == 2 and done.stderr and not done.stdout, (words, done)


def test_replay_in_bounded_memory(lab):
    """A recording of 40 MB: it is read as it goes."""
    (lab.directory / "rules.yaml").write_text("weir: 1\nrules:\n  - {rule: high, when: m > 900, by: s}\n  - {rule: mean, when: \"avg(m, 1min) > 600\", by: s}\n")
    recording = lab.directory / "large.lp"
    with open(recording, "w") as file:
        for second in range(12000):
            file.write("".join(f"m,s={i} value={(second * 7 + i * 13) % 1000} {1700000000 + second}000000000\n" for i in range(150)))
    size = recording.stat().st_size
    command = ["/usr/bin/python3", "-c", "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL); "
               "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)", str(lab.weir.resolve()), "replay", "--rules",
               str(lab.directory / "rules.yaml"), str(recording)]
    code, kilobytes = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.split()
    assert size > 36e6 and code == "0" and int(kilobytes) < 24000, (size, code, kilobytes)


if __name__ == "__main__":
    harness.main()
