"""The folder of what can be computed again."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.files import is_full


def default_cache_dir() -> Path:
    """``$FGVR_CACHE``, else ``fgvr`` in the user's cache folder.

    Raises:
        FgvrError: The user has no home folder, as in a container that is started with any user's number.
    """
    if "FGVR_CACHE" in os.environ:
        return Path(os.environ["FGVR_CACHE"])
    if set_by_user := os.environ.get("XDG_CACHE_HOME"):
        return Path(set_by_user) / "fgvr"
    try:
        return Path.home() / ".cache" / "fgvr"
    except RuntimeError:
        raise FgvrError(
            "This user has no home folder in which the cache could be: name a folder with FGVR_CACHE or data.cache_dir."
        ) from None


@contextmanager
def cache_database(path: Path, writing: bool = False, belongs_to: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Open an SQLite file of the cache for one transaction, which other processes wait for.

    Its journal is the default one, not the write-ahead log, so that it may be on a network disk. A file that is
    write-protected can be read.

    Args:
        path: The file; it and its folder are made if they are not there.
        writing: Whether to shut other writers out from the beginning, and not from the first change on: for a
            transaction that reads what it then depends on.
        belongs_to: What to delete if the file is damaged; the file itself if not given.

    Raises:
        FgvrError: The file cannot be opened, read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=60)) as database, database:
            if writing:
                database.execute("BEGIN IMMEDIATE")
            yield database
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # the last of SQLite's own words about a damaged file
        if is_full(path.parent):  # SQLite may call that an I/O error
            raise FgvrError(
                f"{str(path)!r} cannot be written, because the disk is full: make room on it, or name a folder on "
                "another one with FGVR_CACHE or data.cache_dir."
            ) from error
        raise FgvrError(
            f"{str(path)!r} cannot be used as a cache ({error}). Name a folder that can be written with FGVR_CACHE or "
            f"data.cache_dir; if the file is damaged, delete {str(belongs_to or path)!r}: what is in it can be "
            "computed again."
        ) from error
