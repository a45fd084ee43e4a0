"""The closed world of a protocol: the class names, which are alike, and which are taken for one another."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fgvr.judging.encoders import Encode, class_features, nearest

_ALIKE = 1_000


@dataclass(frozen=True)
class World:
    """The classes that a photo may be of. Features are computed when they are first needed.

    Attributes:
        names: Class names, in class-index order.
        encode: Encodes texts; ``None`` for a protocol without an encoder.
        templates: Templates of class names.
        seed: Of all draws.
        confusions: Gives, for each class that was taken for others, those others, the commonest first.
    """

    names: tuple[str, ...]
    encode: Encode | None = None
    templates: tuple[str, ...] = ("{}",)
    seed: int = 0
    confusions: Callable[[], Mapping[int, Sequence[int]]] = dict

    def load(self) -> None:
        """Compute what the encoder is needed for, so that what it lacks is said before anything is paid for."""
        assert self._features is not None

    def find(self, answer: str) -> int:
        """The class whose name an answer is, letter case aside; -1 where it is none."""
        return self._by_name.get(answer.strip().lower(), -1)

    def nearest(self, answers: Sequence[str]) -> NDArray[np.int64]:
        """The class that is nearest to each answer by the encoder, shape ``(len(answers),)``."""
        return nearest(self._encoder, self._features, answers)

    def alike(self, label: int) -> NDArray[np.int64]:
        """Up to 1,000 other classes, those with the nearest names first; of equal ones the first of the list."""
        if label not in self._alike:
            order = np.argsort(-(self._features @ self._features[label]), kind="stable")
            self._alike[label] = order[order != label][:_ALIKE].astype(np.int64)
        return self._alike[label]

    def confused(self, label: int) -> Sequence[int]:
        """The classes that photos of this one were taken for, the commonest first."""
        return self._confusions.get(label, ())

    def draw(self, *what: object) -> random.Random:
        """Random numbers that depend on the seed and on ``what`` alone.

        Of its methods only ``random()`` is the same in every release of Python, and replies that are paid for must be
        found again: take no other.
        """
        return random.Random(":".join(map(str, (self.seed, *what))))

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {name.lower(): index for index, name in enumerate(self.names)}

    @cached_property
    def _alike(self) -> dict[int, NDArray[np.int64]]:
        return {}

    @cached_property
    def _features(self) -> NDArray[np.float32]:
        return class_features(self._encoder, self.names, self.templates)

    @cached_property
    def _confusions(self) -> Mapping[int, Sequence[int]]:
        return self.confusions()

    @property
    def _encoder(self) -> Encode:
        assert self.encode is not None, "a protocol that compares names has an encoder"
        return self.encode


def drawn_order(seed: int, repeat: int, sample_ids: Sequence[str]) -> list[int]:
    """An order of photos that depends on the seed, the repeat and their ids alone, on every machine.

    Args:
        seed: The seed.
        repeat: Number of the repeat.
        sample_ids: The photos, no id twice.
    """
    keys = [hashlib.sha256(f"{seed}:{repeat}:{sample_id}".encode()).digest() for sample_id in sample_ids]
    return sorted(range(len(keys)), key=keys.__getitem__)
