"""The demo, told once: its story must be true."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
from lab import ROOT  # noqa: E402


def test_the_story_is_true(lab):
    done = subprocess.run([sys.executable, str(ROOT / "packaging/demo.d/demo.py"), "--weir", str(lab.weir)],
                          capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert done.stdout.rstrip().endswith("The story is true."), done.stdout[-2000:]
    wide = [line for line in done.stdout.splitlines() if len(line) > 100]
    assert not wide, f"wider than 100 columns: {wide[:3]}"


if __name__ == "__main__":
    harness.main()
