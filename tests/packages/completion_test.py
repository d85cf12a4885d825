"""Completion in bash and zsh, and the man page: they say what the program says."""
import gzip
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
from lab import ROOT  # noqa: E402

BASH = ROOT / "packaging/completion/weir.bash"


def environment(lab):
    """A PATH on which `weir` is the built one."""
    bin_directory = lab.directory / "bin"
    bin_directory.mkdir(exist_ok=True)
    if not (bin_directory / "weir").exists():
        (bin_directory / "weir").symlink_to(lab.weir.resolve())
    return {**os.environ, "PATH": f"{bin_directory}:{os.environ['PATH']}", "LC_ALL": "C"}


def complete(lab, *words):
    script = f'. {BASH}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script, "bash", "weir", *words], capture_output=True, text=True, check=True, env=environment(lab),
                          cwd=lab.directory)
    return done.stdout.split()


def commands(lab):
    done = subprocess.run([lab.weir, "--help"], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line[2] != " "]


def test_bash_commands(lab):
    assert set(commands(lab)) <= set(complete(lab, ""))
    assert complete(lab, "de") == ["decode"]


def test_bash_options_and_values(lab):
    assert complete(lab, "check", "--js") == ["--json"]
    assert {"--format", "--precision", "--csv", "--default-time"} <= set(complete(lab, "decode", "--"))
    assert {"influx", "json", "csv", "weir"} <= set(complete(lab, "decode", "--format", ""))
    assert complete(lab, "decode", "--precision", "u") == ["us"]
    assert complete(lab, "alarms", "a") == ["ack"]
    assert complete(lab, "audit", "--st") == ["--store"]
    assert sorted(complete(lab, "enroll", "--")) == ["--ca", "--help", "--install", "--no-try"]
    assert complete(lab, "sign", "unsh") == ["unshelve"]
    assert complete(lab, "sign", "bun") == ["bundle"]
    assert complete(lab, "sign", "--percen") == ["--percent"]
    assert complete(lab, "sign", "--key-f") == ["--key-file"]
    (lab.directory / "config.yaml").write_text("")
    assert complete(lab, "run", "-c", "conf") == ["config.yaml"]


def test_zsh(lab):
    """zsh takes the same function: it is loaded as zsh would load it, and registered for weir."""
    text = (ROOT / "packaging/completion/_weir").read_text().replace("/usr/share/bash-completion/completions/weir", str(BASH))
    assert text.startswith("#compdef weir\n")
    functions = lab.directory / "functions"
    functions.mkdir()
    (functions / "_weir").write_text(text)
    script = f'fpath=({functions} $fpath); autoload -U compinit; compinit -u -D; print -r -- $_comps[weir]; whence -w _weir'
    done = subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, check=True, env=environment(lab))
    assert done.stdout.split("\n")[:2] == ["_weir", "_weir: function"], done.stdout + done.stderr
    subprocess.run(["zsh", "-fn", functions / "_weir"], check=True)


def test_bash_receiver(lab):
    receiver = lab.weir.parent / "weir-receive"
    (lab.directory / "bin").mkdir()
    (lab.directory / "bin/weir-receive").symlink_to(receiver.resolve())
    script = f'. {BASH.parent}/weir-receive.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir_receive; printf "%s\\n" "${{COMPREPLY[@]}}"'

    def words(*typed):
        return subprocess.run(["bash", "-c", script, "bash", "weir-receive", *typed], capture_output=True, text=True, check=True,
                              env=environment(lab)).stdout.split()

    assert words("--brok") == ["--broker"] and words("--format", "c") == ["csv"]
    options = subprocess.run([receiver, "--help"], capture_output=True, text=True, check=True).stdout
    for value in ("json", "csv", "line", "auto"):
        assert value in options


def man(lab, name, program):
    """The page as text; mandoc must find nothing wrong."""
    page = lab.directory / f"{name}.1"
    subprocess.run([ROOT / "packaging/man/make", name, "1.2.3", page, program], check=True)
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout
    return subprocess.run(["mandoc", "-T", "ascii", page], capture_output=True, text=True, check=True).stdout


def test_man_pages(lab):
    """Made of --help: each command has its part."""
    text = man(lab, "weir-receive", lab.weir.parent / "weir-receive")
    assert "--postgres-password-file" in text and "Exit codes" in text
    text = man(lab, "weir", lab.weir)
    for command in commands(lab):
        assert f"Usage: weir {command}" in text, f"the man page says nothing of {command}"
    packed = ROOT / f"{lab.build}/man/weir.1.gz"
    if packed.exists():
        assert b"Usage: weir run" in gzip.decompress(packed.read_bytes())


if __name__ == "__main__":
    harness.main()
