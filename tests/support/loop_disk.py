"""A disk of its own: ext4 on a loop device, which can be pulled (every call on an open file fails from then on) and plugged in again. Only root may mount it."""
import fcntl
import os
import pathlib
import struct
import subprocess

SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32): the file system does nothing more, as when its device is gone
NO_LOG_FLUSH = 2


class LoopDisk:
    def __init__(self, directory, size_mb):
        self.image = pathlib.Path(f"{directory}.img")
        self.path = pathlib.Path(directory)
        self.path.mkdir()
        self.devices = []
        self.mounts = 0
        with open(self.image, "wb") as file:
            file.truncate(size_mb << 20)
        self.why = self._tried("mkfs.ext4", "-q", "-F", str(self.image)) or self._plug()
        self.mounted = not self.why

    @staticmethod
    def _tried(*command):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError as error:
            return str(error)
        return "" if done.returncode == 0 else done.stderr.strip() or f"{command[0]} ended with {done.returncode}"

    def _plug(self):
        """A device of its own each time: whoever still has files of the former one open has them on that."""
        try:
            found = subprocess.run(["losetup", "--find", "--show", str(self.image)], capture_output=True, text=True)
        except FileNotFoundError as error:
            return str(error)
        if found.returncode != 0:
            return found.stderr.strip()
        self.devices.append(found.stdout.strip())
        why = self._tried("mount", "-t", "ext4", self.devices[-1], str(self.path))
        self.mounts += not why
        return why

    def pull(self):
        """What was synced stays, what was not is lost; whoever has files open sees errors for good."""
        root = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(root, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(root)

    def plug(self):
        """The same path, and another device."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        self.mounts -= 1
        why = self._plug()
        assert not why, why

    def close(self):
        for _ in range(self.mounts):
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        for device in self.devices:
            subprocess.run(["losetup", "--detach", device], check=False)
