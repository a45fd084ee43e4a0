"""Groups of photos of one pseudo-label, which are described together."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from fgvr.records import ImageRecord

_DRAWS = 4  # for each group by true names, until no other one is looked for: few photos have few groups


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """Photos that are shown together.

    Attributes:
        label: Class index of their pseudo-label.
        images: In the order in which they are shown.
    """

    label: int
    images: tuple[ImageRecord, ...]


def draw_groups(
    images: Sequence[ImageRecord], labels: NDArray[np.int64], size: int, per_class: int, seed: int
) -> list[ImageGroup]:
    """Draw groups of photos with the same pseudo-label.

    No photo is twice in a group (copies of a file are one photo), and no two groups hold the same photos, so that
    nothing is asked twice. The groups of a class draw one after the other from its photos, and from all of them again
    when fewer than ``size`` are left: one is in a second group only when nearly all have been in a first. A class of at
    most ``size`` photos has one group, of all of them: LatteCLIP's released code repeats photos there, which shows
    nothing new.

    Which photos are drawn depends on their bytes, their pseudo-labels and ``seed`` alone. Each group has an order of
    its own of all photos there could be, and takes the first ones that are left. So a photo that comes to a class, or
    leaves it, changes the group that has it and the few that fill each other's gaps, about ln G of G groups, and not
    the descriptions of all others.

    Args:
        images: The photos, with digests.
        labels: Class index of each, shape ``(N,)``.
        size: Photos in a group.
        per_class: Groups of a class, or as many as there are different ones.
        seed: Another one draws other groups.

    Returns:
        By rising class index; a class without photos has none.

    Example:
        >>> from pathlib import Path
        >>> images = [ImageRecord(sample_id=name, path=Path(name), split="support", digest=name) for name in "abcdefgh"]
        >>> groups = draw_groups(images, np.array([0, 0, 0, 0, 2, 2, 2, 2]), size=2, per_class=2, seed=0)
        >>> [(group.label, len(group.images)) for group in groups]
        [(0, 2), (0, 2), (2, 2), (2, 2)]
    """
    if not len(images):
        return []
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    return [
        ImageGroup(int(labels[rows[0]]), members)
        for rows in np.split(order, starts[1:])
        for members in _deal([images[row] for row in rows], size, per_class, seed)
    ]


def draw_groups_by_truth(
    images: Sequence[ImageRecord],
    labels: NDArray[np.int64],
    truth: NDArray[np.int64],
    size: int,
    right: int,
    per_class: int,
    seed: int,
) -> list[ImageGroup]:
    """Draw groups of which so many photos are of the class and the others are not: an oracle, LatteCLIP's table 4.

    Which wrong photos the paper shows is not said. Here they are photos with the class as their pseudo-label as long as
    there are some, because those are what a group may have by mistake, and any others then.

    Args:
        images: The photos, with digests; copies of a file are one photo.
        labels: Class index of the pseudo-label of each, shape ``(N,)``.
        truth: Class index of each by its true name, shape ``(N,)``; -1 where it has none, or one of no class:
            such photos are wrong in every group.
        size: Photos in a group.
        right: How many of them are of the class, from 0 to ``size``.
        per_class: Groups of a class, or fewer where no other ones are found.
        seed: Another one draws other groups.

    Returns:
        By rising class index; a class with fewer than ``right`` photos, or too few others, has none.
    """
    rows = np.array(sorted({image.digest: row for row, image in enumerate(images)}.values()), np.int64)
    keys = np.array([_number(f"{seed}:{images[row].digest}") for row in rows], np.uint64)
    groups: list[ImageGroup] = []
    for label in np.unique(truth[truth >= 0]).tolist():
        found: dict[frozenset[int], ImageGroup] = {}
        for number in range(_DRAWS * per_class):
            if len(found) == per_class:
                break
            order = rows[np.argsort(_mixed(keys ^ np.uint64(_number(f"{label}:{number}"))))]
            mine, others = order[truth[order] == label], order[truth[order] != label]
            others = others[np.argsort(labels[others] != label, kind="stable")]
            drawn = frozenset([*mine[:right].tolist(), *others[: size - right].tolist()])
            if len(drawn) == size:
                members = tuple(images[row] for row in order.tolist() if row in drawn)
                found.setdefault(drawn, ImageGroup(label, members))
        groups += found.values()
    return groups


def _deal(images: Sequence[ImageRecord], size: int, wanted: int, seed: int) -> list[tuple[ImageRecord, ...]]:
    by_digest: dict[str, ImageRecord] = {}
    for image in sorted(images, key=lambda image: image.sample_id):
        by_digest.setdefault(image.digest, image)
    digests = sorted(by_digest)
    keys = np.array([_number(f"{seed}:{digest}") for digest in digests], np.uint64)
    size = min(size, len(digests))
    wanted = min(wanted, math.comb(len(digests), size))
    groups: dict[frozenset[int], tuple[ImageRecord, ...]] = {}
    for deal in count():
        left = np.arange(len(digests))
        for number in range(len(digests) // size):
            drawn = np.argsort(_mixed(keys[left] ^ np.uint64(_number(f"{deal}:{number}"))))[:size]
            rows = left[drawn].tolist()
            groups.setdefault(frozenset(rows), tuple(by_digest[digests[row]] for row in rows))
            if len(groups) == wanted:
                return list(groups.values())
            left = np.delete(left, drawn)
    raise AssertionError("drawing never ends before all groups are found")


def _number(text: str) -> int:
    """64 random bits that depend on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al. 2014): 64 bits to 64 bits, one to one, each bit from all."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))
