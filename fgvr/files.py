"""Writing files so that nobody ever sees half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

_SUFFIX = ".tmp"
_LITTLE_BYTES = 1 << 16


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; it takes the place of ``path`` when all went well.

    A reader sees the old file or the new one, never half of one, and a killed program leaves the old one. The new one
    is on the disk before it takes the place, so that a machine that loses its power leaves a whole file, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=_SUFFIX, delete=False) as stream:
        temporary = Path(stream.name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # temporary files are private by default
        _flush(temporary)
        temporary.replace(path)
        with suppress(OSError):  # some network disks know no such thing
            _flush(path.parent)
    except OSError as error:
        # what fails to be written names no file, or the temporary one
        if error.errno is not None and error.filename in (None, str(temporary), temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Remove what a killed program was writing in a folder. Only who may write there alone may call it.

    Args:
        folder: The folder; where there is none, nothing is done.
    """
    for path in folder.glob(f".*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def is_full(path: Path) -> bool:
    """Whether there is next to no room on the disk of a folder, or of where it would be."""
    there = next((folder for folder in (path, *path.parents) if folder.is_dir()), None)
    return there is not None and shutil.disk_usage(there).free < _LITTLE_BYTES


def _flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
