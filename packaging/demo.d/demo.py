"""Weir's main job as a story of about 45 seconds: real recordings in, alarms at once, windows to a broker over mutual TLS; the link is cut
for ten seconds, the outbox grows, the link returns, the outbox drains; at the end the ledger must balance and every reading of the files
must have arrived exactly once. Exit code 0 only if all of that is true.
"""
import argparse
import collections
import csv
import json
import pathlib
import sys
import tempfile
import textwrap
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import lab  # noqa: E402

SECONDS = 25
CUT_AT, CUT_FOR = 8.0, 10.0
LATENCY_LIMIT_MS = 50.0
DATA = ROOT / "tests/data"

CONFIG = """
node: {{id: gw-demo, site: lab}}
sources:
  - name: office
    kind: replay
    files: ["{data}/occupancy/*.txt"]
    format: csv
    csv: {{time_column: date, time_format: "%Y-%m-%d %H:%M:%S", measurement: office}}
    pace: rescale
    duration: {seconds}s
  - name: machine
    kind: replay
    files: ["{data}/nab/machine_temperature_system_failure.csv"]
    format: csv
    csv: {{time_column: timestamp, time_format: "%Y-%m-%d %H:%M:%S", measurement: machine_temperature}}
    pace: rescale
    duration: {seconds}s
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 1s}}
rules: ["{rules}"]
store: {{path: store, budget: 32MB, max_loss: 1s}}
uplink: {{broker: "mqtts://127.0.0.1:{broker}", ca: "{certs}/ca.pem", cert: "{certs}/client.pem", key: "{certs}/client.key", retry_max: 2s}}
http: {{listen: "127.0.0.1:{http}"}}
log: {{format: json}}
"""


class Story:
    """What the person sees: one line an event, time since the start in front, at most 100 columns."""

    def __init__(self):
        self.start = time.monotonic()
        self.lock = threading.Lock()

    def now(self):
        return time.monotonic() - self.start

    def line(self, who, text):
        with self.lock:
            print(f"{self.now():5.1f} s  {who:<8} {text}"[:100], flush=True)

    def chapter(self, text):
        with self.lock:
            print(f"\n{text}", flush=True)


def expected_readings():
    """rows x fields of the files, per series: counted here, not by Weir."""
    expected = collections.Counter()
    for path in sorted((DATA / "occupancy").glob("*.txt")):
        with open(path, newline="") as file:
            rows = csv.reader(file)
            fields = next(rows)[1:]
            for _ in rows:
                for field in fields:
                    expected[f"office.{field}"] += 1
    with open(DATA / "nab/machine_temperature_system_failure.csv", newline="") as file:
        expected["machine_temperature"] = sum(1 for _ in file) - 1
    return expected


class AlarmWatch(threading.Thread):
    """Follows the agent's log: an alarm is told where it is decided, whether or not the link is up."""

    def __init__(self, story, path):
        super().__init__(daemon=True)
        self.story, self.path = story, path
        self.latencies_ms = []
        self.raised = self.cleared = 0
        self.ended = threading.Event()

    def run(self):
        with open(self.path) as log:
            while True:
                line = log.readline()
                if not line.endswith("\n"):
                    if self.ended.is_set():
                        return
                    time.sleep(0.02)
                    continue
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if entry.get("msg") == "alarm":
                    self.alarm(entry)
                elif entry.get("level") in ("warn", "error"):
                    self.story.line("agent", f'{entry["msg"]}: {entry.get("error", "")}')

    def alarm(self, entry):
        raised = entry["cause"] == "raised"
        self.raised += raised
        self.cleared += entry["cause"] == "cleared"
        latency = ""
        if "latency_us" in entry:
            self.latencies_ms.append(entry["latency_us"] / 1000)
            latency = f'   after {entry["latency_us"] / 1000:.2f} ms'
        self.story.line("ALARM" if raised else "clear", f'{entry["alarm"]:<13} {entry.get("message", ""):<44}{latency}')


class Arrivals:
    """Sums up what arrives at the cluster, one line a second at most."""

    def __init__(self, story):
        self.story = story
        self.windows = self.readings = self.segments = 0
        self.last = time.monotonic()

    def segment(self, segment):
        if segment.kind != "aggregates":
            return
        self.segments += 1
        self.windows += len(segment.records)
        self.readings += sum(record["n"] + record["bad"] for record in segment.records)
        if time.monotonic() - self.last >= 1.5:
            self.tell(segment.records)

    def tell(self, records=()):
        if not self.segments:
            return
        example = ""
        if records:
            record = records[-1]
            mean = record["sum"] / record["n"] if record["n"] else float("nan")
            example = f"e.g. {lab.display(record)}: n={record['n']} mean={mean:.4g} max={record['max']:.4g}"
        self.story.line("cluster", f"{self.segments} segments, {self.windows} windows, {self.readings} readings; {example}")
        self.windows = self.readings = self.segments = 0
        self.last = time.monotonic()


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show_outage(story, agent, proxy):
    while story.now() < CUT_AT:
        time.sleep(0.05)
    story.chapter(f"--- the link is cut for {CUT_FOR:g} seconds ---")
    proxy.cut()
    end = story.now() + CUT_FOR
    peak = 0
    while story.now() < end:
        time.sleep(2)
        outbox = agent.status()["outbox"]
        peak = max(peak, outbox["segments"])
        story.line("outbox", f'{outbox["segments"]} segments, {outbox["readings"]} readings, {outbox["bytes"] / 1000:.1f} kB wait on disk')
    story.chapter("--- the link is back ---")
    proxy.restore()
    return peak


def wait_until_all_arrived(story, agent, subscriber, expected):
    total = sum(expected.values())

    def done():
        status = agent.status()
        finished = all(source["finished"] for source in status["sources"])
        return finished and status["outbox"]["segments"] == 0 and subscriber.total() >= total

    try:
        lab.wait_for("all readings at the subscriber", done, 30, 0.2)
    except AssertionError as error:
        story.line("PROBLEM", str(error))


def show_ledger(story, audit):
    story.chapter("--- the ledger: every reading is somewhere ---")
    print(f'{"source/window":<22}{"taken":>10} = {"open":>6} + {"held":>6} + {"delivered":>10} + {"dropped":>8}')
    for account in audit["accounts"]:
        name = f'{account["source"]}/{account["window"]}'
        if account["window"] == "intake":
            print(f'{name:<22}{account["received"]:>10} = in channel {account["in_channel"]} + taken {account["taken"]}'
                  f' + dropped {account["dropped_total"]}{"" if account["balanced"] else "   DOES NOT BALANCE"}')
        elif account["taken"]:
            print(f'{name:<22}{account["taken"]:>10} = {account["open"]:>6} + {account["held"]:>6} + {account["delivered"]:>10}'
                  f' + {account["dropped_total"]:>8}{"" if account["balanced"] else "   DOES NOT BALANCE"}')


def judge(expected, subscriber, watch, audit, peak):
    """The list of what is not true. Empty: the story is."""
    wrong = []
    for series, count in expected.items():
        got = subscriber.readings.get(series, 0)
        if got != count:
            wrong.append(f"{series}: the files have {count} readings, {got} arrived")
    for series in subscriber.readings.keys() - expected.keys():
        wrong.append(f"{series} arrived, but is in no file")
    if not audit["balanced"]:
        wrong.append("the ledger does not balance")
    if watch.raised == 0 or watch.cleared == 0:
        wrong.append("no alarm was raised and cleared")
    if not subscriber.alarms:
        wrong.append("no alarm arrived at the cluster")
    if watch.latencies_ms and max(watch.latencies_ms) > LATENCY_LIMIT_MS:
        wrong.append(f"an alarm took {max(watch.latencies_ms):.1f} ms, more than {LATENCY_LIMIT_MS:g}")
    if peak == 0:
        wrong.append("the outbox did not grow while the link was cut")
    wrong.extend(subscriber.errors)
    return wrong


def keep_running(the_lab, agent, broker, proxy):
    print(textwrap.dedent(f"""
        Everything keeps running. In another terminal:
          {the_lab.weir} status -c {agent.config}
          {the_lab.weir} alarms -c {agent.config}
          {the_lab.weir} alarms ack machine_hot -c {agent.config}
          {the_lab.weir} audit  -c {agent.config}
          mosquitto_sub -p {broker.local_port} -V 5 -t 'weir/1/#' -F '%t %l bytes'
        Press Ctrl-C to stop it all."""))
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


def main():
    parser = argparse.ArgumentParser(description="Weir's main job, end to end, on real recordings.")
    parser.add_argument("--keep", action="store_true", help="leave everything running to explore")
    parser.add_argument("--weir", default=str(ROOT / "build/demo/weir"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-demo-"))
    with lab.Lab(directory, options.weir) as the_lab:
        certs = lab.make_certs(directory / "certs")
        broker = the_lab.add(lab.Broker(directory / "broker", certs)).start()
        proxy = the_lab.add(lab.Proxy(broker.port))
        expected = expected_readings()
        http = lab.free_port()
        agent = lab.Agent(options.weir, directory / "agent", CONFIG.format(
            data=DATA, seconds=SECONDS, rules=ROOT / "packaging/demo.d/rules.yaml", certs=certs, broker=proxy.port, http=http))
        print(f"A broker with TLS and required client certificates on 127.0.0.1:{broker.port}, a proxy, and one agent.")
        print(f"Recordings: {len(expected)} series, {sum(expected.values())} readings, rescaled to {SECONDS} s. Files: {directory}\n")
        story = Story()
        arrivals = Arrivals(story)
        subscriber = the_lab.add(lab.Subscriber(broker.local_port, options.weir, on_segment=arrivals.segment))
        the_lab.add(agent).start(ready=False)
        watch = AlarmWatch(story, agent.log_path)
        watch.start()
        lab.wait_for("the agent to be ready", agent.ready, 30)
        peak = show_outage(story, agent, proxy)
        wait_until_all_arrived(story, agent, subscriber, expected)
        arrivals.tell()
        audit = agent.audit()
        show_ledger(story, audit)
        wrong = judge(expected, subscriber, watch, audit, peak)
        print(f"\nalarms: {watch.raised} raised, {watch.cleared} cleared, {len(subscriber.alarms)} transitions at the cluster")
        if watch.latencies_ms:
            print(f"latency, sensor bytes readable to action: median {percentile(watch.latencies_ms, 0.5):.2f} ms, "
                  f"worst {max(watch.latencies_ms):.2f} ms")
        print(f"readings: {sum(expected.values())} in the files, {subscriber.total()} at the cluster, "
              f"{subscriber.duplicates} segments came twice and were dropped")
        for problem in wrong:
            print(f"NOT TRUE: {problem}")
        if options.keep:
            keep_running(the_lab, agent, broker, proxy)
        code = agent.stop()
        if code != 0:
            print(f"NOT TRUE: the agent ended with {code}")
            wrong.append("exit code")
        watch.ended.set()
        print("The story is true." if not wrong else f"The demo failed; its files are in {directory}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
