"""Image features as they are read from the store."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IMAGES_A_PART = 8192


class StoredFeatures:
    """Features of some photos in some views, which stay on the disk until they are asked for.

    What comes out is float32 and is brought back to unit length, which rounding to float16 changes by up to 0.05 %.
    Every reader gets what is stored, also the one that has just computed it, so that a run does not depend on what ran
    before it.

    Args:
        vectors: float16, shape ``(rows, width)``: all of a store, mapped.
        rows: int64, shape ``(V, N)``: the row of each view of each photo.
        columns: First and last (excluded) of the D columns of a vector that are meant; all of them if not given.
    """

    def __init__(
        self, vectors: NDArray[np.float16], rows: NDArray[np.int64], columns: tuple[int, int] | None = None
    ) -> None:
        self._vectors = vectors
        self._rows = rows
        self._columns = columns or (0, vectors.shape[1])

    def __reduce__(self) -> tuple[Any, ...]:
        """A mapped file is mapped again by who unpickles, and not sent number by number."""
        if isinstance(self._vectors, np.memmap):
            file = (str(self._vectors.filename), self._vectors.dtype, self._vectors.shape)
            return _mapped, (*file, self._rows, self._columns)
        return StoredFeatures, (self._vectors, self._rows, self._columns)

    def __len__(self) -> int:
        return int(self._rows.shape[1])

    @property
    def views(self) -> int:
        """Views of each photo (V), at least 1."""
        return int(self._rows.shape[0])

    def gather(self, images: NDArray[np.int64], views: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of ``images`` (indices, shape ``(B,)``) in ``views`` (numbers, shape ``(W,)``): ``(W, B, D)``."""
        columns = slice(*self._columns)
        vectors = self._vectors[:, columns][self._rows[views[:, None], images]].astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-12))
        return vectors

    def select(self, images: Sequence[int]) -> "StoredFeatures":
        """The features of these photos alone, in this order."""
        return StoredFeatures(self._vectors, self._rows[:, list(images)], self._columns)

    def to_numpy(self) -> NDArray[np.float32]:
        """View 0 of all photos in memory, shape ``(N, D)``."""
        features = np.empty((len(self), self._columns[1] - self._columns[0]), dtype=np.float32)
        view = np.zeros(1, dtype=np.int64)
        # in parts, so that there is never a second array of this size
        for start in range(0, len(self), _IMAGES_A_PART):
            images = np.arange(start, min(start + _IMAGES_A_PART, len(self)))
            features[images] = self.gather(images, view)[0]
        return features


def _mapped(
    path: str,
    dtype: np.dtype[np.float16],
    shape: tuple[int, ...],
    rows: NDArray[np.int64],
    columns: tuple[int, int],
) -> StoredFeatures:
    return StoredFeatures(np.memmap(path, dtype, mode="r", shape=shape), rows, columns)
