"""Groups of photos of one pseudo-label, which are described together."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from fgvr.records import ImageRecord


@dataclass(frozen=True, slots=True)
class PhotoGroup:
    """Photos that are shown together.

    Attributes:
        label: Class index of their pseudo-label.
        photos: In the order in which they are shown.
    """

    label: int
    photos: tuple[ImageRecord, ...]


def draw_groups(
    photos: Sequence[ImageRecord], labels: NDArray[np.int64], size: int, per_class: int, seed: int
) -> list[PhotoGroup]:
    """Draw groups of photos with the same pseudo-label.

    No photo is twice in a group (copies of a file are one photo), and no two groups hold the same photos, so that
    nothing is asked twice. The photos of a class are shuffled and dealt out in groups, and shuffled anew when fewer
    than ``size`` are left: one is in a second group only when nearly all have been in a first. A class of at most
    ``size`` photos has one group, of all of them: LatteCLIP's released code repeats photos there, which shows nothing
    new. Which photos are drawn depends on their bytes, their pseudo-labels and ``seed`` alone.

    Args:
        photos: The photos, with digests.
        labels: Class index of each, shape ``(N,)``.
        size: Photos in a group.
        per_class: Groups of a class, or as many as there are different ones.
        seed: Another one draws other groups.

    Returns:
        By rising class index; a class without photos has none.

    Example:
        >>> from pathlib import Path
        >>> photos = [ImageRecord(name, Path(name), "support", digest=name) for name in "abcdefgh"]
        >>> groups = draw_groups(photos, np.array([0, 0, 0, 0, 2, 2, 2, 2]), size=2, per_class=2, seed=0)
        >>> [(group.label, len(group.photos)) for group in groups]
        [(0, 2), (0, 2), (2, 2), (2, 2)]
    """
    if not len(photos):
        return []
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    return [
        PhotoGroup(int(labels[rows[0]]), members)
        for rows in np.split(order, starts[1:])
        for members in _deal([photos[row] for row in rows], size, per_class, seed)
    ]


def _deal(photos: Sequence[ImageRecord], size: int, wanted: int, seed: int) -> list[tuple[ImageRecord, ...]]:
    by_digest: dict[str, ImageRecord] = {}
    for photo in sorted(photos, key=lambda photo: photo.sample_id):
        by_digest.setdefault(photo.digest, photo)
    size = min(size, len(by_digest))
    wanted = min(wanted, math.comb(len(by_digest), size))
    groups: dict[frozenset[str], tuple[ImageRecord, ...]] = {}
    for deal in count():
        shuffled = sorted(by_digest, key=lambda digest: hashlib.sha256(f"{seed}:{deal}:{digest}".encode()).digest())
        for start in range(0, len(shuffled) - size + 1, size):
            members = shuffled[start : start + size]
            groups.setdefault(frozenset(members), tuple(by_digest[digest] for digest in members))
            if len(groups) == wanted:
                return list(groups.values())
    raise AssertionError("shuffling never ends before all groups are found")
