"""Errors of the file system in a line: which file it was, what is wrong with its disk, and what helps."""

import errno
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fgvr.cache import default_cache_dir
from fgvr.files import is_full

AFTERWARDS = "What was labelled and computed before is kept: start the same again then."
"""What goes on where the disk has room again."""

_FULL = "the disk is full. Make room on it, or choose a folder on another one."
_REASONS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "your share of the disk is used up (its quota). Make room on it, or choose a folder on another one.",
    errno.EROFS: "the disk is read-only. Choose a folder on another one.",
    errno.EACCES: "permission denied. Change its permissions, or choose another folder.",
    errno.EPERM: "the operation is not permitted. Change its permissions, or choose another folder.",
    errno.EIO: "the disk has an error. Choose a folder on another one.",
    errno.ENOTDIR: "a folder on its way is a file. Choose another folder.",
    errno.ENAMETOOLONG: "its name is too long. Choose a shorter one.",
    errno.EFBIG: "a file must not be so large there. Choose a folder on another disk.",
}
_SAID = {
    "database or disk is full": errno.ENOSPC,
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Read-only file system": errno.EROFS,
    "attempt to write a readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
}
"""What libraries say of errors that they do not raise as ``OSError``."""
_UNSAID = ("PytorchStreamWriter failed writing", "file write failed", "unable to open database file")


def disk_problem(error: BaseException, folder: Path | None = None) -> str | None:
    """What is wrong with the disk, and what helps; ``None`` where the error is of another kind.

    Args:
        error: What was raised; what it was raised from, or because of, counts as well.
        folder: Where files are written, beside the usual places, should the error name no file.
    """
    for each in _chain(error):
        if (code := _code(each)) is not None:
            where = _file_of(each) or next(map(_file_of, _chain(error)), "")
            if not where and code == errno.ENOSPC and (full := _full_folders(folder)):
                return f"A file below {' or '.join(full)} cannot be written: {_FULL}"
            return f"{repr(where) if where else 'A file'} cannot be opened or written: {_REASONS[code]}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it comes from."""
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        seen.append(found)
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _code(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno in _REASONS:
        return error.errno
    if isinstance(error, OSError | RuntimeError | sqlite3.Error):
        text = str(error)
        if (code := next((code for words, code in _SAID.items() if words in text), None)) is not None:
            return code
        if any(words in text for words in _UNSAID) and _full_folders():
            return errno.ENOSPC
    return None


def _file_of(error: BaseException) -> str:
    """The file that an error names, by its own name where it was written under a temporary one."""
    name = getattr(error, "filename", None)
    if not isinstance(name, str | os.PathLike):
        return ""
    path = Path(name)
    temporary = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}(\.tmp)?", path.name)
    return str(path.with_name(temporary[1]) if temporary else path)


def _full_folders(folder: Path | None = None) -> list[str]:
    """The folders that fgvr writes into whose disks are full."""
    candidates = (*([] if folder is None else [folder]), Path.cwd(), Path(tempfile.gettempdir()), default_cache_dir())
    return [repr(str(path)) for path in dict.fromkeys(candidates) if is_full(path)]
