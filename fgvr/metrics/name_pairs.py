"""Predicted and true names as numbers, so that each pair of names is compared once and not for every photo."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.text import composed, counted, encodable

T = TypeVar("T")


@dataclass(frozen=True)
class NamePairs:
    """What was predicted of N photos, and what is true of them.

    Attributes:
        names: The different predicted names, sorted; ``""`` where there is none.
        classes: The different true names, sorted.
        predicted: Number of the predicted name of each photo, int64, shape ``(N,)``.
        true: Number of its true name, int64, shape ``(N,)``.
        pairs: The P different pairs of numbers, predicted and true, int64, shape ``(P, 2)``.
        pair: Number of the pair of each photo, int64, shape ``(N,)``.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    predicted: NDArray[np.int64]
    true: NDArray[np.int64]
    pairs: NDArray[np.int64]
    pair: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.true)

    def per_photo(self, compare: Callable[[T, T], float], prepare: Callable[[str], T]) -> NDArray[np.float64]:
        """What a comparison of names gives for each photo, shape ``(N,)``.

        Args:
            compare: What was made of the predicted and of the true name -> a number; called once for each pair.
            prepare: Makes of a name what is compared; called once for each name.
        """
        names, classes = [prepare(name) for name in self.names], [prepare(name) for name in self.classes]
        found = [compare(names[name], classes[true]) for name, true in self.pairs.tolist()]
        return np.asarray(found, dtype=np.float64)[self.pair]


def name_pairs(predictions: Sequence[str], truth: Sequence[str]) -> NamePairs:
    """Number the names.

    Spaces around a name do not count, nor whether an accent is written apart from its letter, and half surrogate pairs,
    which LLM servers sometimes send, are read as replacement characters.

    Args:
        predictions: Predicted name of each photo; ``""`` where there is none.
        truth: True name of each photo.

    Raises:
        FgvrError: There are no photos, the number of predictions differs from that of true names, or a photo has no
            true name.
    """
    if not len(truth):
        raise FgvrError("There are no photos to score: give at least one prediction and its true name.")
    if len(predictions) != len(truth):
        raise FgvrError(
            f"{counted(len(predictions), 'prediction')} for {counted(len(truth), 'true name')}; expected one per photo."
        )
    names, predicted = _numbered(predictions)
    classes, true = _numbered(truth)
    if classes[0] == "":
        row = int(np.argmax(true == 0)) + 1
        raise FgvrError(f"Photo {row} has no true name: leave it out, or name it.")
    keys, pair = np.unique(predicted * len(classes) + true, return_inverse=True)
    pairs = np.stack([keys // len(classes), keys % len(classes)], axis=1)
    return NamePairs(names, classes, predicted, true, pairs, pair.astype(np.int64))


def plain_name(name: str) -> str:
    """The name as it is compared: composed, without half surrogate pairs and the spaces around it."""
    return composed(encodable(name)).strip()


def _numbered(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The different names, sorted, and the number of each entry's."""
    plain = {name: plain_name(name) for name in dict.fromkeys(names)}
    different = sorted(set(plain.values()))
    number = {name: index for index, name in enumerate(different)}
    numbers = {name: number[form] for name, form in plain.items()}
    return tuple(different), np.fromiter((numbers[name] for name in names), np.int64, len(names))
