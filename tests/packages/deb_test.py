"""The Debian package in a bare Debian 12: installed, upgraded, removed, purged; the agent of it runs as its own user in between."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
from lab import ROOT, free_port, wait_for  # noqa: E402

CONFIG = "/etc/weir/weir.yaml"


def run(*words, **options):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def package(name="weir"):
    """A package of this tree, for this machine."""
    paths = run(ROOT / "packaging/package").split()
    native = run("dpkg", "--print-architecture").strip()
    return next(pathlib.Path(ROOT / path) for path in paths if re.search(rf"/{name}_[^/]*_{native}\.deb$", path))


class Chroot:
    """A minimal Debian 12 in a directory, with /proc."""

    def __init__(self, root):
        self.root = root
        run("mmdebstrap", "--variant=apt", "--skip=cleanup/apt/lists", "--include=adduser,init-system-helpers", "bookworm", root)
        (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        (root / "etc/resolv.conf").write_text(pathlib.Path("/etc/resolv.conf").read_text())
        run("mount", "-t", "proc", "proc", root / "proc")

    def close(self):
        subprocess.run(["umount", self.root / "proc"], check=False)

    def run(self, *words):
        return run("chroot", self.root, *words, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})

    def install(self, deb):
        target = self.root / "tmp" / deb.name
        target.write_bytes(deb.read_bytes())
        self.run("apt-get", "-o", "Dpkg::Options::=--force-confold", "install", "-y", "--no-install-recommends", f"/tmp/{deb.name}")

    def stat(self, path):
        return self.run("stat", "-c", "%U:%G %a", path).strip()

    def exists(self, path):
        return os.path.lexists(self.root / path.lstrip("/"))


@contextlib.contextmanager
def agent_of(chroot):
    """The agent of the package, as the unit runs it: its own user, no privileges."""
    with open(chroot.root / "tmp/weir.log", "ab") as log:
        process = subprocess.Popen(["chroot", "--userspec=weir:weir", chroot.root, "/usr/bin/weir", "run", "-c", CONFIG], stdout=log, stderr=log,
                                   start_new_session=True)
    try:
        wait_for("the agent to be ready", lambda: ready(chroot) or process.poll() is not None)
        assert process.poll() is None, (chroot.root / "tmp/weir.log").read_text()[-2000:]
        yield process
    finally:
        process.terminate()
        assert process.wait(20) == 0, (chroot.root / "tmp/weir.log").read_text()[-2000:]


def ready(chroot):
    return subprocess.run(["chroot", chroot.root, "/usr/bin/weir", "status", "-c", CONFIG], capture_output=True, check=False).returncode == 0


def send(port, lines):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(lines.encode())


def taken(chroot):
    return json.loads(chroot.run("weir", "status", "-c", CONFIG, "--json"))["engine"]["taken"]


def next_version(deb, directory):
    """The same package a version later, with another default config."""
    tree = directory / "next"
    run("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 99.0", control.read_text(), flags=re.M))
    config = tree / CONFIG.lstrip("/")
    config.write_text(config.read_text() + "# a newer default\n")
    target = directory / "weir_99.0.deb"
    run("dpkg-deb", "-b", tree, target)
    return target


def check_installed(chroot):
    assert chroot.stat("/etc/weir") == "root:weir 750"
    assert chroot.stat(CONFIG) == "root:weir 640"
    assert chroot.stat("/var/lib/weir") == "weir:weir 750"
    assert "nologin" in chroot.run("getent", "passwd", "weir")
    assert chroot.exists("/etc/systemd/system/multi-user.target.wants/weir.service"), "the service is not enabled"
    for path in ("/usr/share/man/man1/weir.1.gz", "/usr/share/bash-completion/completions/weir", "/usr/share/doc/weir/copyright"):
        if "/doc/" not in path and "/man/" not in path:  # a minimal system may leave those out
            assert chroot.exists(path), path
    chroot.run("weir", "check", "-c", CONFIG)


def edit_config(chroot, port, http):
    path = chroot.root / CONFIG.lstrip("/")
    text = path.read_text().replace("127.0.0.1:8094\"    #", f"127.0.0.1:{port}\"    #").replace("127.0.0.1:8470", f"127.0.0.1:{http}")
    text = text.replace("/run/weir/weir.sock", "/var/lib/weir/weir.sock")  # no systemd here that makes /run/weir
    assert str(port) in text and str(http) in text
    path.write_text(text)
    return text


def test_install_upgrade_remove_purge(lab):
    deb = package()
    chroot = Chroot(lab.directory / "debian")
    try:
        chroot.install(deb)
        check_installed(chroot)
        port = free_port()
        config = edit_config(chroot, port, free_port())
        with agent_of(chroot):
            send(port, "room_temp,room=A1 value=4.5\nroom_temp,room=A1 value=5.5\n")
            wait_for("the readings", lambda: taken(chroot) == 2)
        chroot.run("weir", "audit", "-c", CONFIG)

        chroot.install(next_version(deb, lab.directory))
        assert "99.0" in chroot.run("dpkg-query", "-W", "weir")
        assert (chroot.root / CONFIG.lstrip("/")).read_text() == config, "the upgrade touched an edited config"
        assert chroot.stat(CONFIG) == "root:weir 640"
        with agent_of(chroot):
            send(port, "room_temp,room=A1 value=6.5\n")
            wait_for("the reading", lambda: taken(chroot) == 1)
        audit = json.loads(chroot.run("weir", "audit", "-c", CONFIG, "--json"))
        assert audit["balanced"]
        held = sum(account["held"] for account in audit["accounts"] if account["window"] == "m1")
        assert held == 3, f"the store of the old version has {held} readings of 3"

        chroot.run("apt-get", "remove", "-y", "weir")
        assert not chroot.exists("/usr/bin/weir")
        assert (chroot.root / CONFIG.lstrip("/")).read_text() == config
        assert chroot.exists("/var/lib/weir/outbox.db")
        chroot.install(deb)
        assert chroot.exists("/usr/bin/weir") and (chroot.root / CONFIG.lstrip("/")).read_text() == config

        chroot.run("apt-get", "purge", "-y", "weir")
        assert not any(map(chroot.exists, ("/etc/weir", "/var/lib/weir", "/usr/bin/weir")))
        assert "weir:" not in chroot.run("getent", "passwd")
    finally:
        chroot.close()


def test_receiver(lab):
    """Beside the agent, with a user and directories of its own; not started before somebody has said where to."""
    config = "/etc/weir-receive/receive.yaml"
    chroot = Chroot(lab.directory / "debian")
    try:
        chroot.install(package())
        chroot.install(package("weir-receive"))
        assert chroot.stat("/etc/weir-receive") == "root:weir-receive 750"
        assert chroot.stat(config) == "root:weir-receive 640"
        assert chroot.stat("/var/lib/weir-receive") == "weir-receive:weir-receive 750"
        assert not chroot.exists("/etc/systemd/system/multi-user.target.wants/weir-receive.service"), "it is enabled with a broker that is not there"
        assert "0.1.0" in chroot.run("weir-receive", "--version")
        (chroot.root / config.lstrip("/")).write_text("broker: mqtt://127.0.0.1\nto: file:/var/lib/weir-receive/data\n")
        chroot.run("setpriv", "--reuid=weir-receive", "--regid=weir-receive", "--init-groups", "weir-receive", "--check", "-c", config)
        chroot.run("apt-get", "remove", "-y", "weir-receive")
        assert chroot.exists(config) and chroot.exists("/var/lib/weir-receive") and not chroot.exists("/usr/bin/weir-receive")
        chroot.run("apt-get", "purge", "-y", "weir-receive")
        assert not any(map(chroot.exists, ("/etc/weir-receive", "/var/lib/weir-receive")))
        assert "weir-receive:" not in chroot.run("getent", "passwd") and chroot.exists("/usr/bin/weir")
    finally:
        chroot.close()


def test_lintian(_lab):
    """No errors in the eyes of Debian's own checker; the maintainer's address is a placeholder."""
    for name in ("weir", "weir-receive"):
        run("lintian", "--allow-root", "--fail-on", "error", "--suppress-tags", "bogus-mail-host-in-debian-changelog,bogus-mail-host", package(name))


if __name__ == "__main__":
    harness.main()
