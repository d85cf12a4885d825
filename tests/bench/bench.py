"""What the sections of the bench share: the table, the agent under test, and how things are measured."""
import pathlib
import resource
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import lab  # noqa: E402

DATA = ROOT / "tests/data"
SERIES = 10000
LIMITS = "".join(f"  - {{rule: high_{i}, when: temps > {i}000, by: sensor, severity: low}}\n" for i in (1, 2, 3))
RULES = "weir: 1\nrules:\n" + LIMITS
NO_RULES = "weir: 1\nrules: []\n"
PROBE_RULE = "  - {rule: probe, when: probe > 50, by: k, severity: low, then: [{at: [raised], log: true}]}\n"


class Table:
    """Rows are printed when all are there; each carries how it was measured."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, how, target=None, at_least=False, digits=None):
        met = None if target is None else (value >= target if at_least else value <= target)
        self.rows.append({"name": name, "value": value, "unit": unit, "target": target, "at_least": at_least, "met": met, "how": how})
        print(f"  {name}: {shown(value, digits)} {unit}", file=sys.stderr, flush=True)

    def print(self):
        wide = max(len(row["name"]) for row in self.rows)
        print(f"\n{'':{wide}}  {'value':>10}  {'unit':<12}{'target':>9}        how")
        for row in self.rows:
            target = "" if row["target"] is None else ("≥ " if row["at_least"] else "≤ ") + shown(row["target"])
            verdict = {None: "", True: "met", False: "missed"}[row["met"]]
            print(f"{row['name']:{wide}}  {shown(row['value']):>10}  {row['unit']:<12}{target:>9} {verdict:<6} {row['how']}")


    def markdown(self):
        print("\n| | value | unit | target | |\n|---|---|---|---|---|")
        for row in self.rows:
            target = "" if row["target"] is None else ("≥ " if row["at_least"] else "≤ ") + shown(row["target"])
            verdict = {None: "", True: "met", False: "**missed**"}[row["met"]]
            print(f"| {row['name'].strip()} | {shown(row['value'])} | {row['unit']} | {target} | {verdict} |")


def shown(value, digits=None):
    if isinstance(value, int):
        return str(value)
    if digits is None:
        digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:.{digits}f}"


class Bench:
    def __init__(self, arguments, directory):
        self.build = pathlib.Path(arguments.build).resolve()
        self.programs = self.build / "tests/bench"
        self.weir = self.build / "weir"
        self.shim = self.build / "tests/libweir_shim.so"
        self.smoke = arguments.smoke
        self.directory = pathlib.Path(directory)
        self.table = Table()
        self.floor_ns = []
        self.count = 0
        self.certs = None

    def pick(self, smoke, full):
        return smoke if self.smoke else full

    def path(self, name):
        self.count += 1
        return self.directory / f"{self.count:03}-{name}"

    def program(self, name, *words, **options):
        """Runs bench_NAME to its end; returns its output."""
        done = subprocess.run([self.programs / f"bench_{name}", *map(str, words)], stdout=subprocess.PIPE, text=True, **options)
        if done.returncode != 0:
            raise AssertionError(f"bench_{name} {' '.join(map(str, words))} ended with {done.returncode}: {done.stdout}")
        return done.stdout

    def start(self, name, *words, **options):
        return subprocess.Popen([self.programs / f"bench_{name}", *map(str, words)], stdout=subprocess.PIPE, text=True, **options)

    def agent(self, rules=RULES, series=SERIES, uplink="", store="store", budget="64MB", sources=1, limits="", reads="", more_sources=""):
        directory = self.path("agent")
        directory.mkdir()
        (directory / "rules.yaml").write_text(rules)
        ports = [lab.free_port() for _ in range(sources)]
        http = lab.free_port()
        listen = "".join(f'  - {{name: s{i}, kind: line, listen: "tcp://127.0.0.1:{port}"{reads}}}\n' for i, port in enumerate(ports))
        agent = lab.Agent(self.weir, directory, f"""
node: {{id: bench, site: bench}}
sources:
{listen}{more_sources}windows:
  - {{name: m1, every: 1m, of: "*"}}
rules: ["rules.yaml"]
store: {{path: {store}, budget: {budget}, max_loss: 15s}}
{uplink}
http: {{listen: "127.0.0.1:{http}"}}
control: {{socket: weir.sock}}
log: {{format: json}}
limits: {{max_series: {series + 100}, max_instances: {max(10000, series + 100)}{limits}}}
""")
        agent.ports, agent.http = ports, http
        return agent

    def tls(self):
        """A broker with TLS and client certificates, and the agent's section for it."""
        if self.certs is None:
            self.certs = lab.make_certs(self.path("certs"))
        broker = lab.Broker(self.path("broker"), self.certs).start()
        return broker

    def uplink(self, port):
        return (f'uplink: {{broker: "mqtts://127.0.0.1:{port}", ca: "{self.certs}/ca.pem", cert: "{self.certs}/client.pem", '
                f'key: "{self.certs}/client.key"}}')


def words(line):
    """`a 1 b 2.5` as a dict; a word before the first pair is left out."""
    parts = line.split()
    parts = parts[len(parts) % 2:]
    return {name: float(value) for name, value in zip(parts[::2], parts[1::2])}


def cpu_ns(pid):
    """CPU time of a whole process, all threads, kernel included: its CPU clock, as clock_getcpuclockid makes it."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def children_cpu_ns():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((usage.ru_utime + usage.ru_stime) * 1e9)


def pss_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no Pss in smaps_rollup")


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def equal(what, value, expected):
    if value != expected:
        raise AssertionError(f"{what}: {value}, expected {expected}")


def taken(agent):
    status = agent.status()
    return status["engine"]["taken"] if status else 0


def outbox(bench, what, directory, amount, batch, budget, between=lambda: None):
    process = bench.start("outbox", what, directory, DATA, amount, batch, budget, stdin=subprocess.PIPE)
    equal("bench_outbox", process.stdout.readline(), "ready\n")
    between()
    result = words(process.communicate("\n")[0])
    equal("exit code of bench_outbox", process.returncode, 0)
    return result
