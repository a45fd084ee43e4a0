"""Whether a checkpoint is whole, by the checksums that its archive holds; and the one to go on with."""

import logging
import zipfile
import zlib
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.weights import weights_format

log = logging.getLogger(__name__)

LAST = "last.ckpt"
"""The newest checkpoint of a run."""
BEST = "best.ckpt"
"""That of the chosen epoch."""
PREVIOUS = "previous.ckpt"
"""The one before it, for the case that the newest is damaged."""


def check_whole(path: Path) -> None:
    """Read a checkpoint once, and compare every part with the CRC that the archive has of it; nothing is unpickled.

    ``torch.load`` does not look at them: it takes flipped bits for weights.

    Args:
        path: The file.

    Raises:
        FgvrError: There is no such file, it is none that fgvr writes, or it is damaged.
    """
    if not path.is_file():
        raise FgvrError(f"There is no checkpoint {str(path)!r}; a run's newest is checkpoints/{LAST}.")
    form = weights_format(path, "take another one of the run, or train again")
    if form != "torch":
        raise FgvrError(f"{str(path)!r} was not written by fgvr: it is a file of {form}, which has weights alone.")
    try:
        with zipfile.ZipFile(path) as archive:
            # torch.save packs nothing, so a part that says it grows when it is unpacked is a bomb, or a damaged header
            lying = any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist())
            damaged = "its list of parts" if lying else archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, ValueError, LookupError) as error:
        raise _damaged(path, f"{type(error).__name__} in its archive") from error
    if damaged is not None:
        raise _damaged(path, f"checksum of {damaged.rpartition('/')[2]!r}")


def newest_whole(path: Path) -> Path:
    """The checkpoint itself or, where the newest of a run is damaged or gone, the one before it, with a warning.

    That is for a training that goes on: it comes to the same weights. Who tests or predicts would get others.

    Args:
        path: The checkpoint that was asked for.

    Raises:
        FgvrError: It is damaged, and nothing can stand in for it.
    """
    try:
        check_whole(path)
    except FgvrError as error:
        before = path.with_name(PREVIOUS)
        if path.name != LAST or not before.is_file():
            raise
        check_whole(before)
        log.warning("%s Taking the checkpoint before it: %s", error, before)
        return before
    return path


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run, whole or not; ``None`` where there is none.

    Args:
        folder: ``checkpoints`` of the run.
    """
    # a process that was killed between two renamings leaves the one before alone
    return next((folder / name for name in (LAST, PREVIOUS) if (folder / name).is_file()), None)


def chosen_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that the table of a run is of: the chosen epoch, or the newest; ``None`` where there is none.

    Args:
        folder: ``checkpoints`` of the run.
    """
    best = folder / BEST
    return best if best.is_file() else newest_checkpoint(folder)


def checkpoint_to_go_on(folder: Path) -> Path | None:
    """The checkpoint with which a run can go on; ``None`` where there is none that is whole, so that it begins anew.

    Args:
        folder: ``checkpoints`` of the run.
    """
    best = folder / BEST
    try:
        if best.is_file():  # what was chosen so far would be lost
            check_whole(best)
        return newest_whole(folder / LAST)
    except FgvrError as error:
        if newest_checkpoint(folder) is not None:
            log.warning("%s The run begins anew.", error)
        return None


def _damaged(path: Path, what: str) -> FgvrError:
    return FgvrError(f"{str(path)!r} is damaged ({what}): take another checkpoint of the run, or train again.")
