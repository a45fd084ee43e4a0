"""A small disk that is full when a test wants it: a tmpfs, which only root may mount."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest


class SmallDisk:
    """The disk that is mounted at ``path``."""

    def __init__(self, path):
        self.path = path
        self._filler = path / "filler"

    def leave(self, size):
        """Take all room but so many bytes."""
        self.free()
        room = os.statvfs(self.path)
        self._filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - size)))

    def free(self):
        """Give the room back."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def mounted(path, size="1m"):
    """Mount a disk at a new folder ``path``, or skip the test with the reason."""
    path.mkdir()
    if not shutil.which("mount"):
        pytest.skip("there is no mount")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        pytest.skip(f"mounting is not allowed: {done.stderr.strip()}")
    yield SmallDisk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)
