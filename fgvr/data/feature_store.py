"""Image features on disk: one flat float16 file that readers map, and an index that says which row is whose."""

import hashlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fgvr.cache import cache_database
from fgvr.data.row_contents import FileId, RowContents
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.text import counted, verb

log = logging.getLogger(__name__)

_DTYPE = np.dtype("<f2")
_DIGESTS_A_QUERY = 500

View = tuple[str, int]
"""A photo's digest, and the number of its view, from 0."""


class FeatureStore:
    r"""Feature vectors of one backbone, safe for many processes at once and for ``kill -9`` at any moment.

    A folder with two files: ``vectors.f16`` has rows of ``width`` little-endian float16 numbers, and
    ``index.sqlite`` says which row holds which view of which photo. A writer shuts other writers out, appends its rows
    behind those that the index knows, flushes them to the disk, and only then commits them to the index. So an indexed
    row is whole and never changes, and rows that a killed process did not commit are written over. If the index is
    gone, vectors begin in a new file: who has mapped the old one keeps it.

    Disks and copies flip bits. So the index has a checksum of each row, which covers the store's key, the photo's
    digest, the view and the numbers, and is written with the row; whoever looks rows up checks those that it found,
    each row's numbers once in a process. A damaged row counts as not stored: its features are computed anew and
    appended as a new row, as a row never changes. Rows of a store from before checksums get theirs when it is first
    used by somebody who may write.

    Readers map the vectors and need no right to write.

    A vector takes ``2 * width`` bytes: 1 KB for 512 numbers. Rounding to 11 significant bits moves a unit vector by
    at most :math:`2^{-11}`, so cosines by less than :math:`10^{-3}`; among 200 photos of dogs in the backbone ``lite``
    the largest difference was :math:`6 \cdot 10^{-5}`.

    Args:
        folder: Where the stores are; made when the first vector is stored.
        key: All that a vector depends on besides photo and view: weights, transform, augmentation. Each key has a
            folder of its own.
        width: Numbers per vector.
    """

    def __init__(self, folder: Path, key: str, width: int) -> None:
        self.key = key
        self.width = width
        self.folder = folder / hashlib.sha256(key.encode()).hexdigest()[:24]
        self.vectors_file = self.folder / "vectors.f16"
        self.index_file = self.folder / "index.sqlite"
        self._key_checksum = zlib.crc32(key.encode())

    def rows(self, digests: Sequence[str], views: int = 1) -> NDArray[np.int64]:
        """Where the vectors are, as rows of ``read()``; -1 for those that are not stored, or not as they were written.

        Of the latter a warning names the file.

        Args:
            digests: Of the photos.
            views: Look up views 0 to ``views - 1`` of each.

        Returns:
            Shape ``(views, len(digests))``.

        Raises:
            FgvrError: The index cannot be read, or the file does not hold what it says.
        """
        number = {digest: n for n, digest in enumerate(dict.fromkeys(digests))}
        wanted = list(number)
        found = np.full((views, len(wanted)), -1, dtype=np.int64)
        entries: list[tuple[Any, Any, Any, Any]] = []
        stored, checked = 0, False
        if self.index_file.is_file():
            self._note_missing_checksums()
            with self._index() as database:
                # another process may be about to make the tables
                stored = self._stored_rows(database) or 0
                if stored:
                    checked = _has_checksums(database)
                    column = "checksum" if checked else "NULL"
                    for start in range(0, len(wanted), _DIGESTS_A_QUERY):
                        part = wanted[start : start + _DIGESTS_A_QUERY]
                        marks = ",".join("?" * len(part))
                        query = (
                            f"SELECT digest, view, row, {column} FROM features WHERE digest IN ({marks}) AND view < ?"
                        )
                        entries += database.execute(query, [*part, views])
        damaged = 0
        if entries:
            vectors, file = self._mapped(stored)
            contents = RowContents.of(file, vectors)
            for digest, view, row, checksum in entries:
                # a flipped bit makes a value of another kind of it, or a view below 0
                whole = isinstance(view, int) and view >= 0 and isinstance(row, int) and 0 <= row < len(contents)
                if whole and (not checked or checksum == self._checksum(digest, view, contents.checksum(row))):
                    found[view, number[digest]] = row
                else:
                    damaged += 1
        if damaged:
            log.warning(
                "%r is damaged: the features of %s in it %s not what was stored. They are not used but computed anew; "
                "look after the disk.",
                str(self.vectors_file),
                counted(damaged, "picture"),
                verb(damaged),
            )
        return found[:, [number[digest] for digest in digests]]

    def read(self) -> NDArray[np.float16]:
        """All vectors that are stored by now, a read-only ``numpy.memmap`` of shape ``(rows, width)``.

        Raises:
            FgvrError: The file does not hold what its index says.
        """
        stored = None
        if self.index_file.is_file():
            with self._index() as database:
                stored = self._stored_rows(database)
        return self._mapped(stored or 0)[0]

    def put(self, vectors: Mapping[View, NDArray[np.float32]]) -> None:
        """Store vectors of shape ``(width,)``, rounded to float16; a view that is there already is left as it is.

        Raises:
            FgvrError: A vector is not finite in float16, the folder cannot be written, or the file does not hold what
                its index says.
        """
        rounded = {view: _rounded(view, vector) for view, vector in vectors.items()}
        with self._index(writing=True) as database:
            stored = self._stored_rows(database)
            if stored is None:
                self._make(database)
                stored = 0
            else:
                self._add_checksums(database)
            # where another process was faster, its vector stays: readers may have it already
            new = [view for view in rounded if not self._is_whole(database, view, stored)]
            if not new:
                return
            with self.vectors_file.open("r+b" if self.vectors_file.is_file() else "x+b") as file:
                self._require_size(stored, os.fstat(file.fileno()).st_size)
                self._append(file, stored, np.stack([rounded[view] for view in new]))
            entries = [
                (*view, stored + number, self._checksum(*view, zlib.crc32(rounded[view].tobytes())))
                for number, view in enumerate(new)
            ]
            # a damaged row makes way
            database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", entries)
            self._set_rows(database, stored + len(new))

    def _index(self, writing: bool = False) -> AbstractContextManager[sqlite3.Connection]:
        return cache_database(self.index_file, writing, belongs_to=self.folder)

    def _make(self, database: sqlite3.Connection) -> None:
        database.execute("CREATE TABLE about (key TEXT, width INTEGER, rows INTEGER, checksum INTEGER)")
        database.execute(
            "CREATE TABLE features (digest TEXT, view INTEGER, row INTEGER, checksum INTEGER, "
            "PRIMARY KEY (digest, view)) WITHOUT ROWID"
        )
        database.execute("INSERT INTO about (key, width) VALUES (?, ?)", (self.key, self.width))
        self._set_rows(database, 0)
        if self.vectors_file.is_file():
            # of an index that is gone; others may have it mapped, so not a byte of it may change
            with replacing(self.vectors_file) as empty:
                empty.touch()

    def _append(self, file: BinaryIO, stored: int, vectors: NDArray[np.float16]) -> None:
        file.seek(stored * self.width * _DTYPE.itemsize)
        file.write(vectors.tobytes())
        file.flush()
        # the index must not speak of rows that a power failure can still take
        os.fsync(file.fileno())

    def _mapped(self, stored: int) -> tuple[NDArray[np.float16], FileId]:
        """The rows of the file, read-only, and which file it is."""
        if not stored:
            return np.zeros((0, self.width), dtype=_DTYPE), (0, 0)
        if not self.vectors_file.is_file():
            self._require_size(stored, 0)
        # the size of the opened file: by its name, a network disk may still tell an old one
        with self.vectors_file.open("rb") as file:
            status = os.fstat(file.fileno())
            self._require_size(stored, status.st_size)
            return np.memmap(file, _DTYPE, mode="r", shape=(stored, self.width)), (status.st_dev, status.st_ino)

    def _checksum(self, digest: str, view: int, content: int) -> int:
        """Of a row: of whose it is, and of the checksum of its numbers."""
        return zlib.crc32(f"{digest} {view} {content}".encode(), self._key_checksum)

    def _is_whole(self, database: sqlite3.Connection, view: View, stored: int) -> bool:
        """Whether a view is stored, and its row is what was written."""
        query = "SELECT row, checksum FROM features WHERE digest = ? AND view = ?"
        entry = database.execute(query, view).fetchone()
        if entry is None or not isinstance(entry[0], int) or not 0 <= entry[0] < stored:
            return False
        size = self.width * _DTYPE.itemsize
        with self.vectors_file.open("rb") as file:
            file.seek(entry[0] * size)
            return bool(entry[1] == self._checksum(*view, zlib.crc32(file.read(size))))

    def _note_missing_checksums(self) -> None:
        """Give the rows of a store from before checksums theirs; one that cannot be written goes on without them."""
        with self._index() as database:
            if self._stored_rows(database) is None or _has_checksums(database):
                return
        with suppress(FgvrError), self._index(writing=True) as database:
            self._add_checksums(database)

    def _add_checksums(self, database: sqlite3.Connection) -> None:
        """The same, in the transaction of a writer."""
        stored = self._stored_rows(database)
        if stored is None or _has_checksums(database):
            return
        log.info("%r gets checksums, once: %s", str(self.index_file), counted(stored, "row"))
        vectors, file = self._mapped(stored)
        contents = RowContents.of(file, vectors)

        def checksum(digest: str, view: int, row: int) -> int | None:
            whole = isinstance(row, int) and 0 <= row < len(contents)
            return self._checksum(digest, view, contents.checksum(row)) if whole else None

        database.create_function("checksum_of", 3, checksum)
        database.execute("ALTER TABLE features ADD COLUMN checksum INTEGER")
        database.execute("ALTER TABLE about ADD COLUMN checksum INTEGER")
        database.execute("UPDATE features SET checksum = checksum_of(digest, view, row)")
        self._set_rows(database, stored)

    def _set_rows(self, database: sqlite3.Connection, rows: int) -> None:
        database.execute("UPDATE about SET rows = ?, checksum = ?", (rows, _about_checksum(self.key, self.width, rows)))

    def _stored_rows(self, database: sqlite3.Connection) -> int | None:
        """How many rows there are; ``None`` where nothing was ever stored.

        Raises:
            FgvrError: The vectors have another width, or what the index says about them is damaged.
        """
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone() is None:
            return None
        key, width, rows, *checksum = database.execute("SELECT * FROM about").fetchone() or (None, None, None)
        if not isinstance(rows, int) or (checksum and checksum[0] != _about_checksum(key, width, rows)):
            # a writer that believed it would write over rows of others
            raise FgvrError(
                f"{str(self.index_file)!r} is damaged: it does not say how many rows there are. Delete the folder "
                f"{str(self.folder)!r}: what is in it can be computed again."
            )
        if width != self.width:
            raise FgvrError(
                f"{str(self.vectors_file)!r} has vectors of {width} numbers, expected {self.width}. Delete the folder "
                f"{str(self.folder)!r}: what is in it can be computed again."
            )
        return rows

    def _require_size(self, stored: int, size: int) -> None:
        expected = stored * self.width * _DTYPE.itemsize
        if size < expected:
            raise FgvrError(
                f"{str(self.vectors_file)!r} is cut off: it has {size} bytes, and its index says {expected}. Delete "
                f"the folder {str(self.folder)!r}: what is in it can be computed again."
            )


def _has_checksums(database: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM pragma_table_info('features') WHERE name = 'checksum'"
    return database.execute(query).fetchone() is not None


def _about_checksum(key: str | None, width: int | None, rows: int) -> int:
    return zlib.crc32(f"{key}\n{width} {rows}".encode())


def _rounded(view: View, vector: NDArray[np.float32]) -> NDArray[np.float16]:
    """``vector`` in float16.

    Raises:
        FgvrError: It is not finite then, and would be read like that for ever.
    """
    with np.errstate(over="ignore"):
        rounded = vector.astype(_DTYPE)
    if not np.isfinite(rounded).all():
        raise FgvrError(f"The features of the photo with the digest {view[0]} are not finite: they are not stored.")
    return rounded
