"""How checkpoints get onto the disk: whole, or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from fgvr.checkpoints.files import read_checkpoint
from fgvr.checkpoints.whole import LAST, PREVIOUS
from fgvr.errors import FgvrError
from fgvr.files import is_full, replacing


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, on the same disk, and puts it there when it is whole.

    Lightning's own writes to ``$TMPDIR`` and moves the file, which across disks is a copy: a full disk, or a kill,
    leaves half of it in the place of the one before. Here the newest (``last.ckpt``) stays until the new one is whole,
    and then as ``previous.ckpt``.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write it.

        Raises:
            FgvrError: It cannot be written; the one before is kept.
        """
        path = Path(path)
        before = path.with_name(PREVIOUS) if path.name == LAST else None
        try:
            if before is not None and path.is_file():
                before.unlink(missing_ok=True)  # room for the new one
            with replacing(path) as temporary:
                with temporary.open("wb") as file:
                    torch.save(checkpoint, file)
                    file.flush()
                    os.fsync(file.fileno())  # what fails late fails here, while the one before is in its place
                if before is not None and path.is_file():
                    path.replace(before)
        except (OSError, RuntimeError) as error:  # torch's writer raises the latter where the disk is full
            raise _not_written(path, error) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read it, to the CPU and without running anything that is in it.

        Raises:
            FgvrError: It is damaged.
        """
        return read_checkpoint(Path(path))


def _not_written(path: Path, error: BaseException) -> FgvrError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    said = (cause.strerror if isinstance(cause, OSError) else None) or " ".join(str(error).split())[:120]
    full = (isinstance(cause, OSError) and cause.errno == errno.ENOSPC) or is_full(path.parent)
    why = "the disk is full" if full else said
    last = path.with_name(LAST)
    kept = (
        f"The last one is whole; to go on from it: ckpt_path={last}" if last.is_file() else "There is none before it."
    )
    return FgvrError(
        f"The checkpoint {str(path)!r} cannot be written ({why}): make room, or choose another run.root. {kept}"
    )
