"""Holding support photos out of training: they choose a checkpoint without true names."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from fgvr.data.batches import BatchKey, BatchSampler
from fgvr.errors import FgvrError
from fgvr.text import counted, verb

NOTHING_HELD_OUT = "nothing held out"
"""What :func:`held_out_digest` says then."""


def check_holdout(share: float) -> float:
    """``share`` itself.

    Raises:
        FgvrError: It is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise FgvrError(
            f"data.holdout is {share}; expected a share of the support photos from 0 to below 1, such as 0.2."
        )
    return share


def draw_held_out(sample_ids: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Draw the photos that are not trained on.

    A photo's place in the draw is the hash of seed and sample id, as in ``sample_support``: a larger share holds the
    smaller one, and the draw does not depend on labels, candidate sets or true names.

    Args:
        sample_ids: The support photos.
        share: Share of them, in [0, 1). Rounded to photos; at least one is drawn and one left where it is above 0.
        seed: Another one is another draw.

    Raises:
        FgvrError: There is only one photo to draw from.

    Example:
        >>> len(draw_held_out(["a.jpg", "b.jpg", "c.jpg"], 0.5, seed=0))
        2
    """
    if share == 0:
        return frozenset()
    if len(sample_ids) < 2:
        raise FgvrError(
            "data.holdout needs at least two support photos, one of them to learn from: set data.holdout to 0."
        )
    count = min(max(round(share * len(sample_ids)), 1), len(sample_ids) - 1)
    ordered = sorted(sample_ids, key=lambda name: hashlib.sha256(f"holdout:{seed}:{name}".encode()).digest())
    return frozenset(ordered[:count])


def split_held_out(sample_ids: Sequence[str], drawn: frozenset[str]) -> NDArray[np.bool_]:
    """For each photo that has a candidate set, whether it was drawn.

    Args:
        sample_ids: The photos that have a candidate set.
        drawn: What :func:`draw_held_out` drew.

    Raises:
        FgvrError: Some were drawn, but of the photos with a candidate set none is on one of the two sides.
    """
    held_out = np.array([sample_id in drawn for sample_id in sample_ids], dtype=bool)
    if drawn and (held_out.all() or not held_out.any()):
        raise FgvrError(
            f"data.holdout: {held_out.sum()} of {counted(len(held_out), 'photo')} with a candidate set "
            f"{verb(int(held_out.sum()))} held out; expected some, and some to learn from. Give another share, or 0."
        )
    return held_out


def held_out_digest(sample_ids: Sequence[str], held_out: NDArray[np.bool_]) -> str:
    """What tells apart which photos were held out; ``NOTHING_HELD_OUT`` if none were.

    Args:
        sample_ids: The photos that have a candidate set.
        held_out: For each of them, whether it is held out; shape ``(N,)``.

    Example:
        >>> held_out_digest(["a.jpg", "b.jpg"], np.array([False, False]))
        'nothing held out'
    """
    names = sorted(compress(sample_ids, held_out))
    return hashlib.sha256("\0".join(names).encode()).hexdigest() if names else NOTHING_HELD_OUT


class RowSampler(BatchSampler):
    """Batches of some rows of a data set; see :class:`~fgvr.data.batches.BatchSampler`.

    Args:
        rows: The rows, which keep their numbers; shape ``(N,)``.
        batch_size: Photos per step over all processes.
        rank: This process.
        world_size: All processes.
        shuffle: Whether to draw a new order each epoch.
        seed: Of the order.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(len(rows), batch_size, rank, world_size, shuffle, seed)
        self.rows = rows

    def __iter__(self) -> Iterator[BatchKey]:
        for key in super().__iter__():
            yield BatchKey(key.epoch, tuple(self.rows[list(key.indices)].tolist()))
