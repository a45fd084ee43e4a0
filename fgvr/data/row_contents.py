"""Checksums of the numbers in mapped rows, which are read for that once in a process."""

import zlib
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

FileId = tuple[int, int]
"""Device and number of a file: what tells it from another one of the same name."""


class RowContents:
    """CRC-32 of rows of a file that only grows.

    Args:
        vectors: The mapped file.
    """

    # who has a file mapped keeps its number from being given to another one
    _known: ClassVar[dict[FileId, "RowContents"]] = {}

    def __init__(self, vectors: NDArray[np.float16]) -> None:
        self._checksums: NDArray[np.int64] = np.full(0, -1, dtype=np.int64)
        self._map(vectors)

    @classmethod
    def of(cls, file: FileId, vectors: NDArray[np.float16]) -> "RowContents":
        """What is known of the file in this process, with the rows that it has by now."""
        known = cls._known.get(file)
        if known is None:
            known = cls._known[file] = cls(vectors)
        elif len(known) < len(vectors):
            known._map(vectors)
        return known

    def __len__(self) -> int:
        return len(self._checksums)

    def checksum(self, row: int) -> int:
        """Of the bytes of a row."""
        known = self._checksums.item(row)
        if known < 0:
            known = zlib.crc32(self._bytes[row * self._size : (row + 1) * self._size])
            self._checksums[row] = known
        return known

    def _map(self, vectors: NDArray[np.float16]) -> None:
        more = np.full(len(vectors) - len(self._checksums), -1, dtype=np.int64)
        self._checksums = np.concatenate([self._checksums, more])
        self._size = vectors.shape[1] * vectors.itemsize
        # an empty array has no bytes to be cast
        self._bytes = vectors.view(np.uint8).reshape(-1).data if vectors.size else memoryview(b"")
