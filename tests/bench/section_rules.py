"""What rules cost, in the evaluator alone: quiet limits, shared windows, many instances."""


def numbers(line):
    words = line.split()
    return {name: float(value) for name, value in zip(words[::2], words[1::2])}


def rules(bench):
    add = bench.table.add
    readings = bench.pick(500000, 5000000)
    many = numbers(bench.program("rules", "quiet", 10000, 100, readings))
    add("reading that stays between 100 limits", many["reading_ns"] - many["lookup_ns"], "ns",
        "above the look-up of its series; 10 k series, 1 M rule instances", 10.0)
    add("rule instance", many["bytes_per_instance"], "B", "with its share of series, links, thresholds and timers, 100 limits a series; the instance itself "
        "is at most 256")
    one = numbers(bench.program("rules", "quiet", 100, 1, readings))
    thousand = numbers(bench.program("rules", "quiet", 100, 1000, readings))
    add("reading that stays between 1000 limits", thousand["reading_ns"] / one["reading_ns"], "× one limit", "100 series", 1.1)
    one = numbers(bench.program("rules", "shared", 1, bench.pick(20000, 200000)))
    shared = numbers(bench.program("rules", "shared", 200, bench.pick(20000, 200000)))
    add("200 rules on one window", shared["reading_ns"] / one["reading_ns"], "× one rule", f"{one['reading_ns']:.0f} ns a reading with one", 1.5)
    load = numbers(bench.program("rules", "load", bench.pick(10000, 100000)))
    add("load of rule instances", load["load_ms"], "ms", f"{load['instances']:.0f} instances, in one go", 1000.0)
    add("reload of rule instances", load["reload_ms"], "ms", f"their states taken over; longest slice {load['worst_slice_us']:.0f} µs", 500.0)
    own = numbers(bench.program("rules", "own", bench.pick(1000, 10000)))
    add("rules of one name, each for its own series", own["load_ms"] + own["attach_ms"], "ms", f"{own['rules']:.0f} rules and series, loaded and attached")
    add("memory a rule", own["bytes_per_rule"] / 1000, "KB", "all of it, text and series included; eKuiper: 400 to 500 KB a rule")
    rate = numbers(bench.program("rules", "rate", 300, bench.pick(2000, 20000)))
    add("evaluations with 300 rules", rate["evaluations_per_s"] / 1e6, "M/s", "one core, every reading crosses the limits of all; eKuiper publishes 0.15 M/s on two cores")


SECTIONS = {"rules": rules}
