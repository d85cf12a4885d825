"""docs/segment-format.md is enough to decode a segment: a decoder written from it alone sees what `weir decode` prints."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import segment_format  # noqa: E402
from lab import ROOT  # noqa: E402

SEGMENTS = ROOT / "tests/fuzz/corpus/segment"
AGGREGATES = 1


def test_two_decoders_agree(lab):
    seen = 0
    for path in sorted(SEGMENTS.glob("*.body")):
        body = path.read_bytes()
        if body[5] != AGGREGATES:
            continue
        done = subprocess.run([str(lab.weir), "decode", "--format", "weir", str(path)], capture_output=True, text=True, timeout=30, check=True)
        printed = [json.loads(line) for line in done.stdout.splitlines()]
        decoded = list(segment_format.decode(body))
        assert len(printed) == len(decoded), f"{path.name}: {len(printed)} and {len(decoded)} records"
        for ours, theirs in zip(printed, decoded):
            for name, value in theirs.items():
                assert ours.get(name) == value, f"{path.name}: {name} is {value!r} by the page, {ours.get(name)!r} by weir: {ours}"
        seen += len(decoded)
    print(f"{seen} records are the same")
    assert seen > 100


if __name__ == "__main__":
    harness.main()
