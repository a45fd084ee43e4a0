"""How many processes open photos for the one that computes."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from fgvr.errors import FgvrError

LoaderProcesses = int | Literal["auto"]
"""A number, or ``auto``: as many as help."""

_FEW_PICTURES = 200
"""Starting a process takes as long as opening these."""
_MAX = 16
_BATCHES_AHEAD = 3
"""Batches of a loader process that exist at once: two that are ready, and the one that it makes."""
_SHARED_MEMORY = Path("/dev/shm")
_SHARES = 4
"""Loaders of a run, and other runs, that may want as much shared memory."""
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def loader_processes(
    asked: LoaderProcesses,
    pictures: int,
    batch_size: int,
    transform: Callable[[Image.Image], Tensor],
    device: torch.device,
    processes: int = 1,
) -> int:
    """How many loader processes to start.

    On a GPU as many as there are cores, because opening photos is what takes time there. On a CPU one, for the encoder
    needs the cores. None for few pictures, or where the shared memory has no room for the batches of one: containers
    often have 64 MB of it, and a loader process that asks for more is killed.

    Args:
        asked: As the user has said.
        pictures: How many are to be opened by this process of the job.
        batch_size: Pictures of a batch.
        transform: Photo -> pixels, as they go from process to process.
        device: Where batches are computed.
        processes: Of the job, on this machine: they share its cores and its memory.

    Raises:
        FgvrError: ``$FGVR_CORES`` is no number.
    """
    if asked != "auto":
        return asked
    if pictures < _FEW_PICTURES:
        return 0
    spare = usable_cores() // processes - 1
    room = _shared_bytes() // _SHARES // (processes * _BATCHES_AHEAD * batch_size * _picture_bytes(transform))
    return max(0, min(spare, room, 1 if device.type == "cpu" else _MAX))


def usable_cores() -> int:
    """Those that this process may use; ``$FGVR_CORES`` where other processes run beside it, as in a sweep.

    Raises:
        FgvrError: ``$FGVR_CORES`` is no number.
    """
    told = os.environ.get("FGVR_CORES", "")
    if told:
        if not told.isdecimal() or int(told) < 1:
            raise FgvrError(f"The environment variable FGVR_CORES is {told!r}; expected a number of cores, 1 or more.")
        return int(told)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # there is none, or it is "max"
        return cores


def _picture_bytes(transform: Callable[[Image.Image], Tensor]) -> int:
    with torch.random.fork_rng(devices=[]):  # a transform may draw
        pixels = transform(Image.new("RGB", (64, 64)))
    return pixels.numel() * pixels.element_size()


def _shared_bytes() -> int:
    """Free shared memory; on systems that show none, more than anybody needs."""
    return shutil.disk_usage(_SHARED_MEMORY).free if _SHARED_MEMORY.is_dir() else 2**62
