"""A real PostgreSQL for tests: its own data directory, no TCP, a socket in a directory of its own; never as root."""
import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from lab import wait_for


def _bin():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise AssertionError("no PostgreSQL: packaging/setup test installs it")
    return pathlib.Path(found[-1]).parent


class Postgres:
    """fsync is off unless asked for: what is killed here is the process, never the machine, and the kernel keeps what it wrote."""

    def __init__(self, fsync=False, settings=None):
        self.bin = _bin()
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        # Not below the lab's directory: that one belongs to root, and a socket's path may have 107 bytes.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-pg-"))
        if os.geteuid() == 0:
            shutil.chown(self.directory, self.user)
        self.data = self.directory / "data"
        self.process = None
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "weir", "-E", "UTF8", "--no-sync")
        lines = {"listen_addresses": "''", "unix_socket_directories": f"'{self.directory}'", "fsync": "on" if fsync else "off",
                 "max_connections": "40", "logging_collector": "off", **(settings or {})}
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{key} = {value}\n" for key, value in lines.items())

    def _as_user(self, words):
        words = [str(word) for word in words]
        return ["runuser", "-u", self.user, "--", *words] if os.geteuid() == 0 else words

    def _run(self, program, *words):
        subprocess.run(self._as_user([self.bin / program, *words]), check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self):
        log = open(self.directory / "postgres.log", "ab")
        with log:
            self.process = subprocess.Popen(self._as_user([self.bin / "postgres", "-D", self.data]), stdout=log, stderr=log, cwd="/",
                                            start_new_session=True)
        wait_for("PostgreSQL to answer", self._answers, 60)
        if not self.query("select 1 from pg_database where datname = 'weir'", "postgres"):
            self.query("create database weir", "postgres")
        return self

    def _answers(self):
        done = subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", str(self.directory)], check=False)
        return done.returncode == 0

    def url(self, database="weir"):
        return f"postgresql://weir@/{database}?host={self.directory}"

    def query(self, sql, database="weir"):
        """Rows as lists of texts."""
        done = subprocess.run([str(self.bin / "psql"), "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql, self.url(database)],
                              capture_output=True, text=True, check=False, cwd="/")
        if done.returncode != 0:
            raise AssertionError(f"{sql}: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def number(self, sql):
        return int(self.query(sql)[0][0] or 0)

    def _pid(self):
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def signal(self, number):
        os.kill(self._pid(), number)

    def kill(self):
        """kill -9 of the postmaster and, by that, the end of all its children, as after a crash."""
        if self.process is None:
            return
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process = None
        wait_for("its children to end", lambda: subprocess.run(["pgrep", "-f", str(self.data)], stdout=subprocess.DEVNULL,
                                                               check=False).returncode != 0, 30)

    def close(self):
        if self.process is not None:
            try:
                self.signal(signal.SIGQUIT)
                self.process.wait(20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)


if __name__ == "__main__":  # for tests that are no Python: prints the address, and stops when its standard input ends
    import sys

    served = Postgres()
    try:
        served.start()
        print(served.url(), flush=True)
        sys.stdin.read()
    finally:
        served.close()
