"""The wall clock of an agent, which the test owns."""
import mmap
import struct
import time


class Wall:
    def __init__(self, path, wall_s):
        path.write_bytes(bytes(8))
        self.path = path
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 8)
        self.set(wall_s)

    def set(self, wall_s):
        self._put(int((wall_s - time.time()) * 1e9))

    def set_right(self):
        self._put(0)

    def forward(self, seconds):
        self._put(self.offset_ns + int(seconds * 1e9))

    def _put(self, offset_ns):
        self.offset_ns = offset_ns
        self.map[:] = struct.pack("=q", offset_ns)

    def env(self, build):
        """For laboratory.Agent.start."""
        return {"LD_PRELOAD": str(next(build.rglob("libweir_shim.so"))), "WEIR_SHIM_WALL": str(self.path)}
