"""The clock of a benchmark that may run on a GPU."""

import time
from collections.abc import Callable

import torch


def clock_of(kind: str, device: torch.device) -> Callable[[], float]:
    """Seconds, told when everything that was started on the device has been done.

    Args:
        kind: ``wall`` or ``cpu``; a GPU has the former only.
        device: Where the work is done.
    """
    if device.type != "cuda":
        return time.perf_counter if kind == "wall" else time.process_time

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock
