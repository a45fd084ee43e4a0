"""Reading checkpoints."""

import pickle
from pathlib import Path
from typing import Any

import torch

from fgvr.errors import FgvrError


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint that fgvr has written; tensors are on the CPU.

    Args:
        path: The file.

    Raises:
        FgvrError: There is no such file, or it is no checkpoint of fgvr.
    """
    if not path.is_file():
        raise FgvrError(f"There is no checkpoint {str(path)!r}; a run's newest is checkpoints/last.ckpt.")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        written_by_fgvr = "fgvr" in content
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, OSError) as error:
        raise FgvrError(f"{str(path)!r} cannot be read as a checkpoint ({type(error).__name__}).") from error
    if not written_by_fgvr:
        raise FgvrError(f"{str(path)!r} was not written by fgvr: it holds no class names.")
    return content
