"""What detectors cost, and what they score on the Numenta Anomaly Benchmark (docs/detectors.md)."""
from bench import DATA, words

YARDSTICKS = ("gaussian", "relent")
BEATS = {"novelty": 8, "novelty16": 8}  # points above the better yardstick; less is a fault of the detector, not of the machine


def detectors(bench):
    add = bench.table.add
    scores = {}
    for line in bench.program("nab", DATA / "nab").splitlines():
        name, row = line.split()[0], words(line)
        scores[name] = row["all"]
        add(f"{name}: NAB", row["all"], "of 100", f"25 files, standard profile, best threshold ({row['threshold']:.4f}); at 0.99 {row['limit']}")
        add(f"  {name}: tuned half", row["tuned"], "of 100", f"kept half {row['kept']}; the kept half at the threshold of the tuned {row['fixed']}")
        add(f"  {name}: state", int(row["bytes"]), "B/series", "a flat block")
        add(f"  {name}: sample", row["ns"], "ns", "CPU of a sample with its answer; the recordings of the benchmark")
    best = max(scores[name] for name in YARDSTICKS)
    for name, points in BEATS.items():
        if scores[name] < best + points:
            raise AssertionError(f"{name} scores {scores[name]}, and the better yardstick {best}")


SECTIONS = {"detectors": detectors}
