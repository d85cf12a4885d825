"""What the functions with memory of the rule language cost: windows, counters, models."""
from bench import words


def operators(bench):
    worst = 0
    for line in bench.program("operators", bench.pick(40000, 400000)).splitlines():
        name, _, row = line.partition(": ")
        row = words(row)
        worst = max(worst, row["worst"])
        bench.table.add(name, row["add"] + row["answer"], "ns/sample",
                        f"{row['add']:.1f} the sample, {row['answer']:.1f} the answer; worst step {row['worst']:.0f} ns; {row['bytes']:.0f} bytes")
    bench.table.add("the worst step of all operators", worst / 1000, "us", "late samples, leaps of the clock, questions; the fastest of five runs", 50)


SECTIONS = {"operators": operators}
