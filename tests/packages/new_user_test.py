"""A new user with nothing but docs/five-minutes.md: its shell examples, one after the other, in a bare Debian 12 with a network of its own.
systemd is not there; a stand-in for systemctl starts what the units say, as the user they say."""
import json
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from deb_test import Chroot, run  # noqa: E402
from lab import ROOT, wait_for  # noqa: E402

PAGE = ROOT / "docs/five-minutes.md"

# Debian's own services by what their packages bring; ours by the words of their units.
SYSTEMCTL = r"""#!/bin/sh
set -e
action=$1; shift
for name in "$@"; do
    case $name in
    mosquitto) install -d -o mosquitto -g mosquitto /run/mosquitto /var/log/mosquitto; mosquitto -d -c /etc/mosquitto/mosquitto.conf >>/tmp/mosquitto.log 2>&1 ;;
    postgresql) pg_ctlcluster 15 main start >>/tmp/postgresql.log 2>&1 ;;
    *)
        unit=/usr/lib/systemd/system/$name.service
        [ "$action" != restart ] || ! [ -e /run/$name.pid ] || { kill "$(cat /run/$name.pid)"; while kill -0 "$(cat /run/$name.pid)" 2>/dev/null; do sleep 0.1; done; }
        user=$(sed -n 's/^User=//p' $unit)
        for directory in $(sed -n 's/^RuntimeDirectory=//p' $unit); do install -d -o $user -g $user -m 0750 /run/$directory; done
        for directory in $(sed -n 's/^StateDirectory=//p' $unit); do install -d -o $user -g $user -m 0750 /var/lib/$directory; done
        start=$(sed -n 's/^ExecStart=//p' $unit)
        setsid setpriv --reuid=$user --regid=$user --init-groups --no-new-privs --bounding-set=-all $start >>/tmp/$name.log 2>&1 </dev/null &
        echo $! >/run/$name.pid
        ;;
    esac
done
"""


def steps():
    """The page's shell blocks: each with what stands before it, for messages."""
    text = PAGE.read_text()
    return [(text[: found.start()].rsplit("\n## ", 1)[1].split("\n")[0], found[1]) for found in re.finditer(r"^```sh\n(.*?)^```$", text, re.S | re.M)]


class Machine(Chroot):
    """The chroot, in network and process namespaces that last from the first command to the last."""

    def __init__(self, root):
        super().__init__(root)
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
                                        f"ip link set lo up && mount -t proc proc {root}/proc && mount -t tmpfs tmpfs {root}/dev/shm && echo up && exec sleep 3600"],
                                       stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.holder.stdout.readline() == "up\n"
        self.child = int(run("pgrep", "-P", self.holder.pid).split()[0])

    def shell(self, script, network="own"):
        """Runs a step as the page's reader would: as root, in the folder where the packages are."""
        spaces = ["--mount", "--pid"] + (["--net"] if network == "own" else [])
        return subprocess.run(["nsenter", f"--target={self.child}", *spaces, "chroot", self.root, "sh", "-ec", f"cd /root\n{script}"],
                              capture_output=True, text=True, timeout=300,
                              env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"})

    def close(self):
        self.holder.kill()  # and with it everything that was started in there
        self.holder.wait(20)
        super().close()


def test_from_packages_to_an_alarm_and_rows(lab):
    debs = [ROOT / path for path in run(ROOT / "packaging/package").split()]
    native = run("dpkg", "--print-architecture").strip()
    machine = Machine(lab.directory / "debian")
    try:
        for deb in debs:
            if deb.name.endswith(f"_{native}.deb"):
                (machine.root / "root" / deb.name).write_bytes(deb.read_bytes())
        begin = time.monotonic()
        install, *rest = steps()
        # From outside of the network namespace: the registry of packages is not in there.
        services = re.search(r"^systemctl .*$", install[1], re.M)[0]
        succeed(machine, install[0], install[1].replace(services, ""), network="host")
        systemctl = machine.root / "usr/local/bin/systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)
        said = {}
        for title, script in [(install[0], services), *rest]:
            said[title] = said.get(title, "") + succeed(machine, title, script)
            try:
                after(machine, title)
            except AssertionError as error:
                raise AssertionError(f"{title}: {error}{logs(machine)}") from error
        seconds = time.monotonic() - begin
        check(machine, said)
        print(f"{seconds:.0f} s from the packages to the rows")
        assert seconds < 600
    finally:
        machine.close()


def succeed(machine, title, script, network="own"):
    done = machine.shell(script, network)
    assert done.returncode == 0, f"{title}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}{logs(machine)}"
    return done.stdout


def logs(machine):
    return "".join(f"\n--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in (machine.root / "tmp").glob("*.log"))


def status(machine):
    done = machine.shell("weir status --json")
    return json.loads(done.stdout) if done.stdout.startswith("{") else {}


def after(machine, title):
    """A person waits until what a step started is there."""
    if title.startswith("2."):
        wait_for("the agent, its source and its uplink", lambda: is_up(status(machine)), 30, 0.3)
    elif title.startswith("3."):
        wait_for("the receiver's tables", lambda: machine.shell("runuser -u postgres -- psql -At weir -c 'SELECT count(*) FROM weir.segment'").returncode == 0, 30, 0.3)
    elif title.startswith("4."):
        wait_for("the readings", lambda: status(machine)["engine"]["taken"] == 4, 10, 0.2)


def is_up(said):
    return said and said["uplink"]["connections"] > 0 and not said["sources"][0].get("trouble")


def check(machine, said):
    text = {title.split(".")[0]: out for title, out in said.items()}
    assert "cold_room_warm{room=A1}" in text["5"] and "high" in text["5"], text["5"]
    lines = text["6"].splitlines()
    rooms = [line.split("|") for line in lines if line.startswith("A1|") and line.count("|") == 3]
    assert sum(int(row[1]) for row in rooms) == 4, f"{text['6']}{logs(machine)}"
    assert min(float(row[2]) for row in rooms) == 4.5 and max(float(row[3]) for row in rooms) == 9.6
    states = [line.split("|")[0] for line in lines if line.split("|")[0] in ("unack", "acked")]
    assert states == ["unack", "acked"], text["6"]
    assert "balanced" in text["6"].lower() or "nothing" in text["6"].lower(), text["6"]


if __name__ == "__main__":
    harness.main()
