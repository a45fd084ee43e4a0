"""Photos that look nearly the same in two splits, found by a perceptual hash that is computed once for each photo."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from fgvr.datasets.digests import known_hashes, remember_hashes
from fgvr.errors import FgvrError
from fgvr.images import UnreadableImageError, open_image
from fgvr.records import ImageRecord
from fgvr.tables import write_csv

log = logging.getLogger(__name__)

BOUND = 4
"""Two photos look nearly the same if at most this many of the 64 bits of their hashes differ."""

_WIDTH, _HEIGHT = 9, 8
_BLOCKS = BOUND + 1
_PAIRS_TOGETHER = 2**22
_PHOTOS_A_COMMIT = 500
_MOST_THREADS = 32
_ONES = np.array([number.bit_count() for number in range(2**16)], dtype=np.uint8)
_NONE = np.int64(2**62)


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A photo, and the support photo that it looks nearly the same as.

    Attributes:
        sample_id: The photo of another split.
        support_id: The support photo that is nearest to it; of several the first.
        distance: How many of the 64 bits of their hashes differ, from 0 to ``BOUND``.
    """

    sample_id: str
    support_id: str
    distance: int


def perceptual_hash(image: Image.Image) -> int:
    """The difference hash (dHash) of a photo: 64 bits that another size, compression or brightness hardly changes.

    The photo is squashed to 9 x 8 grey values; each bit says whether one of them is brighter than its left neighbour.

    Args:
        image: In RGB.

    Example:
        >>> perceptual_hash(Image.linear_gradient("L").rotate(90).convert("RGB")) == 2**64 - 1
        True
    """
    small = image.resize((_WIDTH, _HEIGHT), Image.Resampling.BOX).convert("L")
    grey = np.asarray(small)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes(), "big")


def near_duplicates(
    support: Sequence[ImageRecord], others: Sequence[ImageRecord], cache_dir: Path, progress: bool = True
) -> list[NearDuplicate]:
    """The photos among ``others`` that look nearly the same as a support photo, but have other bytes.

    Hashes are those that the scan has left in the cache; those of photos that were scanned by an older version are
    computed once. A plain photo has no edges that a hash could tell, and is like no other. Nothing is looked for where
    hashes are missing and the cache cannot be written.

    Args:
        support: Support photos, with digests.
        others: Photos of another split, with digests.
        cache_dir: Folder that remembers earlier scans.
        progress: Whether to show a bar where hashes are computed.

    Returns:
        In the order of ``others``, each with its nearest support photo.
    """
    try:
        hashes = _hashes([*support, *others], cache_dir, progress)
    except FgvrError as error:
        log.info("Near-duplicates are not looked for: %s", error)
        return []
    found = nearest_within_bound(hashes[: len(support)], hashes[len(support) :])
    return [
        NearDuplicate(others[other].sample_id, support[near].sample_id, distance)
        for other, near, distance in zip(*(each.tolist() for each in found), strict=True)
        if others[other].digest != support[near].digest
    ]


def nearest_within_bound(
    hashes: NDArray[np.uint64], queries: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The nearest hash of each query, where at most ``BOUND`` bits differ.

    Of ``BOUND + 1`` blocks of bits, two such hashes have one in common; only those with a common block are compared.

    Args:
        hashes: Shape ``(N,)``.
        queries: Shape ``(M,)``.

    Returns:
        The queries that have one, rising; the nearest hash of each, of several the first; and their distances.
    """
    rows, queried = np.flatnonzero(_tells(hashes)), np.flatnonzero(_tells(queries))
    unique, first = np.unique(hashes[rows], return_index=True)
    wanted, place = np.unique(queries[queried], return_inverse=True)
    # distance and row in one number, so that the least is the first of the nearest
    best = np.full(len(wanted), _NONE, dtype=np.int64)
    row = rows[first].astype(np.int64)
    for block in range(_BLOCKS):
        keys, sought = _block(unique, block), _block(wanted, block)
        order = np.argsort(keys, kind="stable")
        start = np.searchsorted(keys[order], sought, side="left")
        count = np.searchsorted(keys[order], sought, side="right") - start
        for part in _parts(count):
            some = part[count[part] > 0]
            if not len(some):
                continue
            sizes = count[some]
            begins = np.cumsum(sizes) - sizes
            near = order[np.arange(sizes.sum()) - np.repeat(begins - start[some], sizes)]
            distance = _distance(unique[near], np.repeat(wanted[some], sizes)).astype(np.int64)
            coded = np.where(distance <= BOUND, (distance << 32) | row[near], _NONE)
            best[some] = np.minimum(best[some], np.minimum.reduceat(coded, begins))
    each = best[place]
    is_near = each < _NONE
    return queried[is_near].astype(np.int64), each[is_near] & (2**32 - 1), each[is_near] >> 32


def write_near_duplicates(found: Sequence[NearDuplicate], path: Path) -> None:
    """Write columns ``sample_id``, ``support_id`` and ``different_bits`` as CSV.

    Args:
        found: The near-duplicates.
        path: The file.
    """
    rows = ((each.sample_id, each.support_id, each.distance) for each in found)
    write_csv(path, ("sample_id", "support_id", "different_bits"), rows)


def _hashes(records: Sequence[ImageRecord], cache_dir: Path, progress: bool) -> NDArray[np.uint64]:
    cache = cache_dir / "photos.sqlite"
    paths = {record.digest: record.path for record in records}
    known = known_hashes(cache, list(paths))
    missing = [digest for digest in paths if digest not in known]
    with (
        ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool,
        tqdm(total=len(missing), desc="Comparing photos", unit="photo", disable=not progress or not missing) as bar,
    ):
        for begin in range(0, len(missing), _PHOTOS_A_COMMIT):
            part = missing[begin : begin + _PHOTOS_A_COMMIT]
            found = dict(zip(part, pool.map(_hash_of_file, (paths[digest] for digest in part)), strict=True))
            remember_hashes(cache, {digest: value for digest, value in found.items() if value is not None})
            known |= {digest: value or 0 for digest, value in found.items()}
            bar.update(len(part))
    return np.array([known[record.digest] for record in records], dtype=np.uint64)


def _hash_of_file(path: Path) -> int | None:
    """``None`` for a photo that cannot be read any more."""
    try:
        return perceptual_hash(open_image(path))
    except (UnreadableImageError, OSError):
        return None


def _tells(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether a hash is more than ``BOUND`` bits from those of plain photos: no edge at all, or edges everywhere."""
    ones = _distance(hashes, np.zeros_like(hashes))
    return (ones > BOUND) & (ones < 64 - BOUND)


def _distance(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits differ."""
    ones: NDArray[np.int64] = _ONES[(one ^ other).view(np.uint16).reshape(-1, 4)].sum(axis=1, dtype=np.int64)
    return ones


def _block(hashes: NDArray[np.uint64], number: int) -> NDArray[np.uint64]:
    begin, end = (64 * each // _BLOCKS for each in (number, number + 1))
    return (hashes >> np.uint64(begin)) & np.uint64(2 ** (end - begin) - 1)


def _parts(sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Numbers of queries in parts that are compared together."""
    parts = np.cumsum(sizes) // _PAIRS_TOGETHER
    cuts = np.flatnonzero(np.diff(parts)) + 1
    yield from np.split(np.arange(len(sizes)), cuts)
