"""The container image, built as packaging/container/Containerfile says, from a base image made of Debian's packages; run as its own user with
nothing writable but what manifests mount. And the manifests: probes, limits, privileges, and a config that the agent takes."""
import errno
import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
from lab import ROOT, free_port, wait_for  # noqa: E402

MANIFESTS = ROOT / "packaging/kubernetes"
UID = 10001


class Buildah:
    def __init__(self, directory):
        self.directory = directory
        self.env = {**os.environ, "BUILDAH_ISOLATION": "chroot"}

    def run(self, *words):
        words = ["buildah", "--root", self.directory / "storage", "--runroot", self.directory / "runroot", "--storage-driver", "vfs", *words]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=600, env=self.env, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done.stdout.strip()


def build_image(lab):
    """The image, with a Debian 12 of our own in the place of the registry's."""
    base = lab.directory / "base.tar"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", base], check=True, timeout=300)
    buildah = Buildah(lab.directory)
    scratch = buildah.run("from", "scratch")
    buildah.run("add", "-q", scratch, base, "/")
    buildah.run("commit", "-q", scratch, "docker.io/library/debian:12-slim")
    base.unlink()
    buildah.run("bud", "-q", "--pull-never", "--format", "docker", "--ignorefile", ROOT / ".containerignore", "-t", "weir", "-f",
                ROOT / "packaging/container/Containerfile", ROOT)
    return buildah


def status(root, *words):
    return subprocess.run(["chroot", f"--userspec={UID}:{UID}", root, "/usr/bin/weir", "status", "-c", "/etc/weir/weir.yaml", *words],
                          capture_output=True, text=True, check=False)


def test_image(lab):
    buildah = build_image(lab)
    image = json.loads(buildah.run("inspect", "--type", "image", "weir"))["Docker"]["config"]
    assert image["User"] == f"{UID}:{UID}", image["User"]
    assert image["Entrypoint"] == ["/usr/bin/weir"] and image["StopSignal"] == "SIGTERM" and "/var/lib/weir" in image["Volumes"]

    root = pathlib.Path(buildah.run("mount", buildah.run("from", "--pull-never", "weir")))
    http = free_port()
    (root / "etc/weir/weir.yaml").write_text(
        f'node: {{id: box}}\nsources: [{{name: s, kind: line, listen: "tcp://127.0.0.1:{free_port()}"}}]\nwindows: [{{name: m1, every: 1m}}]\n'
        f'store: {{path: /var/lib/weir}}\nhttp: {{listen: "127.0.0.1:{http}"}}\ncontrol: {{socket: /var/lib/weir/weir.sock}}\n')
    # As a container engine with --read-only runs it: a root that nobody can write, and the data.
    script = (f'mount --bind "{root}" "{root}" && mount -o remount,bind,ro "{root}" && mount -t tmpfs -o uid={UID},gid={UID} tmpfs "{root}/var/lib/weir" '
              f'&& cd / && exec chroot --userspec={UID}:{UID} "{root}" {" ".join(image["Entrypoint"] + image["Cmd"])}')
    log_path = lab.directory / "container.log"
    with open(log_path, "wb") as log:
        process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdout=log, stderr=log, start_new_session=True)
    try:
        enter = f"/proc/{process.pid}/root"
        wait_for("the agent in the container", lambda: process.poll() is not None or status(enter).returncode == 0, 30)
        assert process.poll() is None, log_path.read_text()
        fields = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(UID)] * 4 and int(fields["CapEff"], 16) == 0, fields
        for path, wanted in (("etc/weir/x", errno.EROFS), ("var/lib/weir/x", 0)):
            assert write_error(pathlib.Path(enter) / path) == wanted, path
    finally:
        process.terminate()
        code = process.wait(20)
        buildah.run("umount", "--all")
        assert code == 0, log_path.read_text()


def write_error(path):
    try:
        path.write_text("")
        return 0
    except OSError as error:
        return error.errno


def documents(name):
    return list(yaml.safe_load_all((MANIFESTS / name).read_text()))


def bytes_of(quantity):
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi)", quantity).groups()
    return int(number) * 1024 ** (1 + ["Ki", "Mi", "Gi"].index(unit))


def check_manifest(lab, name):
    found = {document["kind"]: document for document in documents(name)}
    assert set(found) == {"Namespace", "ConfigMap", "DaemonSet"}
    daemons = found["DaemonSet"]
    pod = daemons["spec"]["template"]["spec"]
    labels = daemons["spec"]["selector"]["matchLabels"]
    assert labels.items() <= daemons["spec"]["template"]["metadata"]["labels"].items()
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == UID
    assert pod["automountServiceAccountToken"] is False
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in pod["initContainers"] + pod["containers"]:
        least = container["securityContext"]
        assert least["readOnlyRootFilesystem"] and not least["allowPrivilegeEscalation"] and least["capabilities"]["drop"] == ["ALL"]
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    # The config of the ConfigMap: good, below the memory limit, and served where the probes look.
    directory = lab.directory / name
    directory.mkdir()
    for file, text in found["ConfigMap"]["data"].items():
        (directory / file).write_text(text.replace("@NODE@", "node-1").replace("/run/weir", str(directory)).replace("/var/lib/weir", str(directory)))
    done = subprocess.run([lab.weir, "check", "-c", directory / "weir.yaml", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    agent = pod["containers"][0]
    ceiling = json.loads(done.stdout[done.stdout.index("{"):])["ceiling"]["memory_bytes"]
    assert ceiling < bytes_of(agent["resources"]["limits"]["memory"]), f"the agent may take {ceiling} bytes"
    config = yaml.safe_load(found["ConfigMap"]["data"]["weir.yaml"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = agent[probe]["httpGet"]
        assert f'{get["host"]}:{get["port"]}' == config["http"]["listen"] and get["path"] in ("/healthz", "/readyz")
    return pod


def test_kubernetes(lab):
    check_manifest(lab, "weir.yaml")


def test_kubeedge(lab):
    pod = check_manifest(lab, "kubeedge.yaml")
    assert pod["nodeSelector"] == {"node-role.kubernetes.io/edge": ""}
    assert all(container["imagePullPolicy"] == "IfNotPresent" for container in pod["initContainers"] + pod["containers"])


def test_openwrt(lab):
    """The init script is a shell script, names what the package installs, and the config is good."""
    folder = ROOT / "packaging/openwrt"
    makefile, init = (folder / "Makefile").read_text(), (folder / "files/weir.init").read_text()
    subprocess.run(["sh", "-n", folder / "files/weir.init"], check=True)
    version = re.search(r"project\(weir VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert f"PKG_VERSION:={version}\n" in makefile
    for path in re.findall(r"\./(files/\S+)", makefile):
        assert (folder / path).exists(), path
    for installed in ("/usr/bin/weir", "/etc/weir/weir.yaml"):
        assert installed in makefile and installed in init
    config = lab.directory / "weir.yaml"
    config.write_text((folder / "files/weir.yaml").read_text())
    done = subprocess.run([lab.weir, "check", "-c", config, "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    harness.main()
