"""Candidate sets that were built without the names of some photos, to judge by these photos."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.base import NamedImages
from fgvr.records import CandidateSets

log = logging.getLogger(__name__)

FOLDS = 10


def honest_folds(
    build: Callable[[NamedImages], CandidateSets], images: NamedImages, count: int = FOLDS
) -> list[tuple[NDArray[np.int64], CandidateSets]]:
    """For each fold of the named photos: their rows, and all candidate sets as they are without the fold's names.

    A photo's name is in the sets of other photos where a strategy looks at neighbours. What such sets say of the photo
    has seen its name, and agrees with it more than with a name that it has not seen.

    Args:
        build: How names become candidate sets, called ``count`` times.
        images: The support photos.
        count: How many folds, where there are as many named photos. The smallest fold differs from the largest by one.

    Returns:
        Nothing where fewer than two photos have a name.
    """
    order = sorted(
        (row for row, names in enumerate(images.labels) if names),
        key=lambda row: hashlib.sha256(f"fold:{images.sample_ids[row]}".encode()).digest(),
    )
    if len(order) < 2:
        return []
    folds = []
    for rows in np.array_split(np.array(order, dtype=np.int64), min(count, len(order))):
        hidden = set(rows.tolist())
        labels: Sequence[tuple[int, ...]] = [() if row in hidden else names for row, names in enumerate(images.labels)]
        folds.append((np.sort(rows), build(replace(images, labels=labels))))
    return folds
