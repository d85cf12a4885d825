"""A file system of its own, of a fixed size, that somebody else can fill. Only root may mount it."""
import subprocess


class Tmpfs:
    def __init__(self, path, size):
        path.mkdir()
        self.path = path
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "weir-test", str(path)], capture_output=True, text=True)
        self.mounted = done.returncode == 0
        self.why = done.stderr.strip()

    def fill(self):
        """Somebody else's file, as large as it can get."""
        with open(self.path / "others", "wb", buffering=0) as file:
            for size in (65536, 4096):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    pass

    def free(self):
        (self.path / "others").unlink(missing_ok=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.path)], check=True)
