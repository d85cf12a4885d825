"""The systemd units and the binary: hardened, and good in the eyes of systemd and readelf."""
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
from lab import ROOT  # noqa: E402

UNITS = [ROOT / "packaging/systemd/weir.service", ROOT / "packaging/systemd/weir-receive.service"]
EXPOSURE_MAX = 2.0


def test_exposure(_lab):
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: packaging/setup installs it"
    for unit in UNITS:
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", str(unit)], capture_output=True, text=True, timeout=30)
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
        assert found, done.stdout + done.stderr
        print(f"exposure {found[1]}")
        assert float(found[1]) <= EXPOSURE_MAX, done.stdout


def test_verify(lab):
    """With a built binary in the place of the installed one, which need not be there."""
    for unit in UNITS:
        copy = lab.directory / unit.name
        program = "/usr/bin/weir-receive" if "receive" in unit.name else "/usr/bin/weir"
        copy.write_text(unit.read_text().replace(f"{program} ", f"{lab.weir.resolve()} "))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
                              capture_output=True, text=True, timeout=30)
        complaints = [line for line in done.stderr.splitlines() if unit.name in line]
        assert not complaints, "\n".join(complaints)
        if done.returncode != 0:  # in a container systemd finds no manager; then the complaints about our unit are what counts
            print("systemd-analyze verify could not finish here: " + done.stderr.strip()[-200:])


def test_hardened_binary(lab):
    """Position-independent, relocations read-only and bound at the start, no executable stack, stack protector."""
    def readelf(*words):
        return subprocess.run(["readelf", "-W", *words, str(lab.weir)], capture_output=True, text=True, timeout=30, check=True).stdout

    assert re.search(r"Type:\s+DYN", readelf("-h"))
    segments, dynamic, symbols = readelf("-l"), readelf("-d"), readelf("--dyn-syms")
    assert re.search(r"GNU_STACK.* RW +0x", segments) and "GNU_RELRO" in segments, segments
    assert re.search(r"FLAGS_1\).*\bNOW\b.*\bPIE\b", dynamic) and "RPATH" not in dynamic and "RUNPATH" not in dynamic, dynamic
    assert "__stack_chk_fail" in symbols or "__asan_" in symbols or "__tsan_" in symbols


if __name__ == "__main__":
    harness.main()
