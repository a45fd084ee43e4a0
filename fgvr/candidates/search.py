"""The nearest photos of every photo: exactly for up to 100,000, by an inverted file with measured recall above."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.inverted_file import InvertedFile
from fgvr.candidates.nearest import nearest_and_similarity
from fgvr.text import counted

log = logging.getLogger(__name__)

EXACT_BELOW = 100_000
"""Photos up to which all are compared with all."""
RECALL = 0.98
"""Below this share of the true neighbours, a search warns."""

_SAMPLE = 500
"""Photos on which recall is measured, and as many others on which the number of cells to search is chosen."""


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """The nearest photos of each of N photos.

    Attributes:
        images: int64, shape ``(N, k)``: the photo itself first where it may be chosen, then nearest first.
        similarity: Their cosine similarities, float64, shape ``(N, k)``.
        recall: Share of the true neighbours that were found, in [0, 1], the photo itself not counted: 1 for an exact
            search, measured on a sample for an approximate one.
    """

    images: NDArray[np.int64]
    similarity: NDArray[np.float64]
    recall: float


def search(
    features: NDArray[np.float32], named: NDArray[np.intp], k: int, exact_below: int = EXACT_BELOW
) -> Neighbourhoods:
    """The k photos out of ``named`` that are nearest to each of the N photos.

    Args:
        features: L2-normalised, shape ``(N, D)``.
        named: Photos to choose from, rising, shape ``(L,)``.
        k: How many; L where there are fewer.
        exact_below: With more photos than this (N), the search is approximate, and warns where it finds fewer than
            98 % of the true neighbours.

    Example:
        >>> features = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)
        >>> search(features, np.arange(3), k=2).images.tolist()
        [[0, 2], [1, 2], [2, 1]]
    """
    k = min(k, len(named))
    if len(features) <= exact_below or k == len(named):
        everyone = np.arange(len(features))
        return Neighbourhoods(*nearest_and_similarity(features, named, k, everyone), recall=1.0)
    index = InvertedFile(features, named)
    # a fixed seed: neighbours are no draw of the run
    sample = np.random.default_rng(1).choice(len(features), min(2 * _SAMPLE, len(features)), replace=False)
    tuned, measured = sample[::2], sample[1::2]
    probes = index.choose_probes(k, tuned)
    log.info(
        "Nearest photos of %d by an inverted file: %d of %d cells are searched for each",
        *(len(features), probes, len(index.centroids)),
    )
    images, similarity = index.search(k, probes)
    truth, _ = nearest_and_similarity(features, named, k, measured)
    recall = recall_of(images[measured], truth, measured)
    log.info("Recall %.4f against the exact search of %s", recall, counted(len(measured), "photo"))
    if recall < RECALL:
        log.warning(
            "Of the true nearest photos only %.1f %% were found: these features have no clusters to search by. An "
            "exact search takes the square of the number of photos: set data.candidates.exact_below to %d",
            *(100 * recall, len(features)),
        )
    return Neighbourhoods(images, similarity, recall)


def recall_of(found: NDArray[np.int64], truth: NDArray[np.int64], queries: NDArray[np.intp]) -> float:
    """Share of the true neighbours that were found; a photo is not its own neighbour here. 1 where there are none.

    Args:
        found: What an approximate search found, shape ``(Q, k)``.
        truth: What an exact one found, of the same shape.
        queries: The photos, shape ``(Q,)``.
    """
    others = truth != queries[:, None]
    hits = (truth[:, :, None] == found[:, None, :]).any(axis=2)
    return float(hits[others].mean()) if others.any() else 1.0
