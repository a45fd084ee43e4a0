"""An index of captions that is searched exactly: what ``build.py`` has made, read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fgvr.backbones.base import Backbone, tower_fingerprint
from fgvr.captions.files import (
    DTYPE,
    FEATURES,
    OFFSETS,
    TEXTS,
    WORDS,
    IndexState,
    check_texts,
    damaged_chunks,
    map_array,
    not_complete,
    read_state,
)
from fgvr.captions.search import search
from fgvr.errors import FgvrError
from fgvr.registry import BACKBONES
from fgvr.text import counted, visible

_BLOCK_ROWS = 2**11
"""Captions that faiss compares at a time: with more than fit into a core's cache it takes nearly twice as long."""
_MOST_KEPT = 2**26
"""Numbers of all features up to which they are kept as float32 after the first search: 256 MB."""
_LONGEST_NAME = 100
_HOW = "To make one: `fgvr cased-index`, with captions of a file or the glosses of WordNet."


def tower_key(backbone: Backbone) -> str:
    """What the text features of a backbone depend on, as its name and a hash of all its weights.

    Args:
        backbone: Loaded; its weights as they come, not tuned.
    """
    tower = backbone.tower_of("joint")
    # an image tower's fingerprint says nothing of the text tower, so all weights count
    key = tower_fingerprint(tower, tower.transform, tower.fingerprint())
    return f"{BACKBONES.short_name(type(tower))}-{key}"


def shown_tower(key: str) -> str:
    """The key of a tower for a message: its name and the first digits of the hash."""
    return visible(key[:-24], _LONGEST_NAME)


class CaptionIndex:
    """Captions and their text features in a folder, memory-mapped; searched exactly.

    A folder with the captions (``captions.utf8`` one after the other, ``offsets.npy`` where each begins), their words
    (``words.txt``), their features (``features.npy``, float16) and ``index.json``, which says what they are and has a
    checksum of all of them. Nothing in it is run: no pickle, and no index of faiss, which is a C++ structure.

    Features of up to 67 million numbers (131,000 captions of 512) are kept in memory as float32 after the first search;
    more are converted block by block in each search, so that it pays to search many photos at once.

    Attributes:
        folder: Where it is.
        captions: What a row of results says of the captions: ``wordnet glosses``, or the name of their file.
        version: Of the WordNet, where they are its glosses.
        made_with: Key of the text tower: :func:`tower_key`.
        words: The distinct words of all captions as :func:`fgvr.captions.words.cleaned` gives them, sorted: what a
            photo may be named, before parts of speech are looked at.
        empty: Captions that were left out because they had no text.
        repeated: Captions that were left out because they had come before.
        cut: Captions that are longer than the text tower's context.
    """

    def __init__(self, folder: Path, state: IndexState) -> None:
        self.folder = folder
        # shown in tables and messages, and the folder may be anybody's
        self.captions = visible(state.captions, _LONGEST_NAME)
        self.version, self.made_with = visible(state.version, _LONGEST_NAME), state.made_with
        self.empty, self.repeated, self.cut = state.empty, state.repeated, sum(state.cut)
        check_texts(folder, state)
        self._offsets = map_array(folder / OFFSETS, (state.rows + 1,), np.dtype("<i8"))
        # no map can be made of an empty file
        empty = (folder / TEXTS).stat().st_size == 0
        self._bytes = np.empty(0, np.uint8) if empty else np.memmap(folder / TEXTS, np.uint8, mode="r")
        features: NDArray[np.float16] = map_array(folder / FEATURES, (state.rows, state.width), DTYPE)
        damaged = next(damaged_chunks(features, state), None)
        rising = (np.diff(self._offsets) >= 0).all() and self._offsets[0] == 0
        if damaged is not None or not rising or self._offsets[-1] != len(self._bytes):
            raise FgvrError(
                f"{folder / FEATURES} is damaged, or was changed since it was written. Give the command that made the "
                "index again, `fgvr cased-index`, which computes what is damaged anew."
            )
        self._features = features
        self._kept: NDArray[np.float32] | None = None
        self.words = tuple((folder / WORDS).read_text(encoding="ascii", errors="replace").split())

    @classmethod
    def open(cls, folder: Path, option: str = "model.index") -> "CaptionIndex":
        """Open a complete index; all of it is read once, to see that it is what was written.

        Args:
            folder: Where it is.
            option: The option by which the user names it, for messages.

        Raises:
            FgvrError: There is none, it is not complete or damaged, or of another version of fgvr.
        """
        folder = Path(folder)
        state = read_state(folder)
        if state is None:
            raise FgvrError(f"{option}: there is no caption index in {str(folder)!r}. {_HOW}")
        if state.missing:
            raise not_complete(folder, state, option)
        return cls(folder, state)

    def __len__(self) -> int:
        return len(self._features)

    @property
    def width(self) -> int:
        """Numbers per feature."""
        return int(self._features.shape[1])

    def require_tower(self, backbone: Backbone) -> None:
        """Refuse a backbone whose text features are others.

        Args:
            backbone: Loaded.

        Raises:
            FgvrError: The index was made with other weights.
        """
        key = tower_key(backbone)
        if key != self.made_with:
            there, here = shown_tower(self.made_with), shown_tower(key)
            raise FgvrError(
                f"The caption index {str(self.folder)!r} was made with the text tower {there}, and this backbone's is "
                f"{here}: their features cannot be compared. Make an index with this backbone, `fgvr cased-index`, or "
                "choose the backbone of the index."
            )

    def search(self, features: Tensor, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k captions nearest to each photo.

        Args:
            features: L2-normalised, shape ``(B, D)``.
            k: How many; all of them where there are fewer.

        Returns:
            Rows and their cosines, best first, of equal cosines the lower row; shape ``(B, min(k, N))``.

        Raises:
            FgvrError: The features have another width, or are not finite, or those of the captions are not.
        """
        queries = np.ascontiguousarray(features.detach().float().numpy(force=True))
        if queries.ndim != 2 or queries.shape[1] != self.width:
            raise FgvrError(
                f"The caption index {str(self.folder)!r} has features of {counted(self.width, 'number')}, and those of "
                f"the photos have the shape {queries.shape}: it was made with another backbone."
            )
        if not np.isfinite(queries).all():
            raise FgvrError("The features of a photo are not finite, so no caption is near it. Look at the backbone.")
        rows, cosines = search(self._blocks, self._rows, len(self), queries, min(k, len(self)))
        if not np.isfinite(cosines).all():
            raise FgvrError(
                f"{self.folder / FEATURES} has features that are not finite, which `fgvr cased-index` never writes: "
                "delete the folder, and make the index again."
            )
        return rows, cosines

    def texts(self, rows: Sequence[int]) -> list[str]:
        """Captions, by their rows."""
        return [
            self._bytes[self._offsets[row] : self._offsets[row + 1]].tobytes().decode("utf-8", "replace")
            for row in rows
        ]

    def features(self, rows: NDArray[np.int64]) -> Tensor:
        """Text features, L2-normalised in float32, on the CPU, shape ``(*rows.shape, D)``."""
        return torch.from_numpy(self._rows(rows))

    def _rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return _normalised(self._features[rows])

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        """All rows in order, L2-normalised."""
        if self._kept is None and self._features.size <= _MOST_KEPT:
            self._kept = _normalised(self._features)
        for start in range(0, len(self), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            yield _normalised(self._features[rows]) if self._kept is None else self._kept[rows]


def _normalised(features: NDArray[np.float16]) -> NDArray[np.float32]:
    """In float32, of length 1 again: float16 has moved that by up to one part in two thousand."""
    values = features.astype(np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", values, values))[..., None]
    values /= np.maximum(lengths, np.finfo(np.float32).tiny)
    return values
