"""`weir-receive` as a child process, and what it wrote, read back."""
import collections
import json
import pathlib
import signal
import subprocess

from lab import display, wait_for


class Receiver:
    def __init__(self, lab, name, words):
        self.program = str(lab.weir.resolve().parent / "weir-receive")
        self.name = name
        self.directory = lab.directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log_path = self.directory / "receive.log"
        self.words = [str(word) for word in words]
        self.process = None
        lab.add(self)

    def start(self, connected=True):
        before = self.log().count('"msg":"connected"')
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.program, "--log-format", "json", "--retry-max", "1s", "--instance", self.name, *self.words],
                                            stdout=subprocess.DEVNULL, stderr=log, cwd=self.directory, start_new_session=True)
        if connected:
            wait_for(f"receiver {self.name} to be connected", lambda: self.alive() and self.log().count('"msg":"connected"') > before, 30)
        return self

    def alive(self):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"receiver {self.name} ended with {code}:\n{self.log()[-3000:]}")
        return True

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, seconds=20):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        return code

    close = kill


def run(lab, *words, stdin=None, timeout=30):
    """A call that ends by itself."""
    return subprocess.run([str(lab.weir.resolve().parent / "weir-receive"), *map(str, words)], capture_output=True, text=True, stdin=stdin, timeout=timeout,
                          cwd=lab.directory, check=False)


class Files:
    """What instances wrote into a directory, finished or not: only what is committed counts, so read it when they stand still."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def records(self, kind="agg"):
        for path in sorted(self.directory.glob(f"{kind}-*.jsonl*")):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    if line.endswith("\n"):
                        yield json.loads(line)

    def readings(self):
        """{node: {series: n + bad}}"""
        counts = collections.defaultdict(collections.Counter)
        for record in self.records():
            counts[record["node"]][display(record)] += record["n"] + record["bad"]
        return counts

    def total(self, node):
        return sum(self.readings()[node].values()) if self.directory.is_dir() else 0

    def parts(self):
        return [path for path in self.directory.iterdir() if path.name.endswith(".part")]

