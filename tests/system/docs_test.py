"""What the documentation shows works as it is printed: every YAML example passes `weir check`, every link leads somewhere, and the shell
examples that need no network are run."""
import json
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import ROOT  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ["core", "rules", "store", "transport", "agent"]
TEXTS = [*PAGES, *sorted({*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("agent/*/README.md")} - {ROOT / "README.md", ROOT / "CHANGELOG.md"})]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RULES = re.compile(r"^(weir|tables|points|schedules|derive|rules|defaults|suppress|groups|tests):(?! \[)", re.MULTILINE)
NODE = "node: {id: gw-7}\n"
SOURCE = 'sources: [{name: floor, kind: line, listen: "tcp://127.0.0.1:8094"}]\n'
WINDOWS = "windows: [{name: m1, every: 1m}]\n"


def blocks(page, language):
    """(place, text) of the examples in one language."""
    text = page.read_text()
    for found in FENCE.finditer(text):
        if found[1] == language:
            yield f"{page.name}:{text[: found.start()].count(chr(10)) + 1}", found[2]


def completed(fragment):
    """A page shows only the section it is about."""
    for key, section in (("node", NODE), ("sources", SOURCE), ("windows", WINDOWS)):
        if not re.search(rf"^{key}:", fragment, re.MULTILINE):
            fragment += section
    return fragment


def check(lab, directory, place):
    done = subprocess.run([str(lab.weir.resolve()), "check", "--json", "-c", "weir.yaml"], cwd=directory, capture_output=True, text=True, timeout=20)
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["good"], f"{place}: {json.dumps(said['diagnostics'], indent=1)}"


def test_yaml_of_the_receiver(lab):
    """Its configs are its own; their keys and certificates need not be there."""
    if not (lab.weir.resolve().parent / "weir-receive").exists():
        return  # a build without it
    examples = [text for _, text in blocks(ROOT / "docs/receive.md", "yaml")] + [(ROOT / "packaging/receive.yaml").read_text()]
    for text in examples:
        (lab.directory / "receive.yaml").write_text(text)
        done = subprocess.run([str(lab.weir.resolve().parent / "weir-receive"), "--check", "-c", str(lab.directory / "receive.yaml")],
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and not done.stderr, done.stderr
    assert len(examples) > 1


def test_yaml(lab):
    recordings = lab.directory / "recordings"
    shutil.copytree(ROOT / "tests/data/occupancy", recordings)
    shutil.copy(ROOT / "packaging/examples/rooms.csv", lab.directory)
    (lab.directory / "tokens").write_text("a-token\n")
    (lab.directory / "tokens").chmod(0o600)
    key = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"], check=True, capture_output=True).stdout
    subprocess.run(["openssl", "ec", "-pubout", "-out", lab.directory / "operators.pub"], input=key, check=True, capture_output=True)
    configs = rules = 0
    for page in PAGES:
        if page.name == "receive.md":
            continue
        for place, text in blocks(page, "yaml"):
            if RULES.search(text):
                (lab.directory / "rules.yaml").write_text(text)
                text = "rules: rules.yaml\nexec_allow: [/usr/bin/beep]\nfile_allow: [/var/log/weir]\nsecrets: [{name: pager, file: tokens}]\n"
                rules += 1
            else:
                configs += 1
            (lab.directory / "weir.yaml").write_text(completed(text))
            check(lab, lab.directory, place)
    assert configs >= 5 and rules >= 5, f"{configs} configs and {rules} rule files: has the form of the examples changed?"


def test_shipped_files(lab):
    """The configs and rules of packaging/."""
    for file in (ROOT / "packaging/weir.yaml", ROOT / "packaging/configs/smallest.yaml"):
        shutil.copy(file, lab.directory / "weir.yaml")
        check(lab, lab.directory, file.name)
    for file in (ROOT / "packaging/examples/cold-room.yaml", ROOT / "packaging/demo.d/rules.yaml"):
        (lab.directory / "weir.yaml").write_text(f'rules: "{file}"\n{NODE}{SOURCE}{WINDOWS}')
        check(lab, lab.directory, file.name)


def anchors(page):
    """What a link may name behind #: each heading, in small letters, without signs."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links(_lab):
    for page in TEXTS:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
            if "://" in target:
                continue
            leads_to = page.parent / target if target else page
            assert leads_to.exists(), f"{page.name} leads to {target}, which is not there"
            assert not anchor or anchor in anchors(leads_to), f"{page.name} leads to {target}#{anchor}, which is not there"


def test_names(_lab):
    """What is renamed or goes away is not left behind in the texts: names of metrics, and paths of tests, packaging and docs."""
    known = {"weir_certificate_expires_soon", "tests/sim/sim"}  # of a rule that is put together; of the build
    for source in [ROOT / "CMakeLists.txt", *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.[ch]"))]:
        known.update(re.findall(r"weir_[a-z0-9_]+", source.read_text()))
    for page in TEXTS:
        text = page.read_text()
        for name in re.findall(r"\bweir_[a-z0-9_]*[a-z0-9]\b", text):
            assert name in known, f"{page.name} speaks of {name}, which is not there"
        for path in re.findall(r"(?<![\w/.-])(?:tests|packaging|docs)/[\w/.-]*\w", text):
            assert path in known or (ROOT / path).exists(), f"{page.name} speaks of {path}, which is not there"


def shell(lab, script):
    """Runs an example with `weir` in the path, and an `nc` for machines that have none."""
    tools = lab.directory / "tools"
    if not tools.exists():
        tools.mkdir()
        (tools / "weir").symlink_to(lab.weir.resolve())
        (tools / "nc").write_text('#!/usr/bin/python3\nimport socket, sys\nwith socket.create_connection((sys.argv[-2], int(sys.argv[-1]))) as s:\n'
                                  '    s.sendall(sys.stdin.buffer.read())\n    s.shutdown(socket.SHUT_WR)\n    s.recv(1)\n')
        (tools / "nc").chmod(0o755)
    return subprocess.run(["bash", "-ec", f'PATH="{tools}:$PATH"\n{script}'], cwd=lab.directory, capture_output=True, text=True, timeout=60)


def test_use_it(lab):
    """The section of the README that takes a newcomer from a config to the first reading."""
    section = (ROOT / "README.md").read_text().split("## Use it")[1].split("\n## ")[0]
    port = str(laboratory.free_port())
    config, script = (next(t for l, t in FENCE.findall(section) if l == language).replace("8094", port) for language in ("yaml", "sh"))
    (lab.directory / "weir.yaml").write_text(config)
    lines = [line.replace("build/release/weir", "weir") for line in script.splitlines() if not line.startswith("cmake")]
    run = next(i for i, line in enumerate(lines) if line.endswith("&"))
    ready = "until weir status -c weir.yaml >/dev/null 2>&1; do sleep 0.05; done"
    taken = "until weir status -c weir.yaml | grep -q ' 1 readings taken'; do sleep 0.05; done"
    lines[run] = lines[run][:-1] + "2>log & agent=$!\n" + ready
    done = shell(lab, "\n".join([*lines, taken, "kill $agent", "wait $agent"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 received, 0 rejected" in done.stdout, done.stdout


def test_decode(lab):
    (lab.directory / "readings.lp").write_text('m,t=v f=1.5 1\n')
    (lab.directory / "AirQuality.csv").write_text("Date,Time,CO,AH\n2004-03-10,18:00:00,2.6,0.7\n")
    (lab.directory / "device.json").write_text('{"ts": 1700000000000, "meta": {"room": "A1"}, "temp": 9.5}')
    page = ROOT / "docs/decode.md"
    shown = [text for _, text in blocks(page, "json")]
    (lab.directory / "payload.json").write_text("".join(shown))
    for _, script in blocks(page, "sh"):
        for line in script.splitlines():
            if not line.startswith("mosquitto_sub") and "segment.bin" not in line:
                done = shell(lab, line.replace("/var/lib/weir/raw/00000001.weir", str(ROOT / "tests/data/store/raw-v1.weir")))
                assert done.returncode == 0 and done.stdout, f"{line}: {done.stderr}"
    assert shell(lab, "weir decode --format influx readings.lp").stdout == shown[0], "the reading that is shown"
    assert shell(lab, "weir decode --format json payload.json").stdout == "".join(shown), "what is shown is what goes in and comes out"
    bad = shell(lab, "printf 'm f=1 1\\nm f=x 1\\n' | weir decode --format influx")
    assert bad.stderr in page.read_text(), bad.stderr


if __name__ == "__main__":
    harness.main()
