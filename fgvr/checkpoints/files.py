"""Reading checkpoints."""

import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from fgvr.errors import FgvrError
from fgvr.weights import weights_format


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint that fgvr has written; tensors are on the CPU.

    Args:
        path: The file.

    Raises:
        FgvrError: There is no such file, or it is no checkpoint of fgvr.
    """
    if not path.is_file():
        raise FgvrError(f"There is no checkpoint {str(path)!r}; a run's newest is checkpoints/last.ckpt.")
    form = weights_format(path, "take another one of the run, or train again")
    if form != "torch":
        raise FgvrError(f"{str(path)!r} was not written by fgvr: it is a file of {form}, which has weights alone.")
    try:
        with path.open("rb") as file:  # of a path, torch.load looks at the ending
            content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        written_by_fgvr = "fgvr" in content
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        TypeError,
        OSError,
        LookupError,
        ValueError,
        struct.error,
    ) as error:
        raise FgvrError(f"{str(path)!r} cannot be read as a checkpoint ({type(error).__name__}).") from error
    if not written_by_fgvr:
        raise FgvrError(f"{str(path)!r} was not written by fgvr: it holds no class names.")
    return content
