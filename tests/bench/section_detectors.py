"""What detectors cost, and what they score on the Numenta Anomaly Benchmark (docs/detectors.md)."""
from bench import DATA, words

def detectors(bench):
    add = bench.table.add
    for line in bench.program("nab", DATA / "nab").splitlines():
        name, row = line.split()[0], words(line)
        add(f"{name}: state", int(row["bytes"]), "B/series", "a flat block")
        add(f"{name}: sample", row["ns"], "ns", "CPU of one add and its answer; the recordings of the benchmark")
        add(f"{name}: NAB", row["all"], "of 100", "standard profile, all files, best threshold over all of them")
        add(f"  tuned half, kept half: {name}", row["tuned"], "of 100", f"kept half {row['kept']}; at the threshold of the tuned half {row['fixed']}")


SECTIONS = {"detectors": detectors}
