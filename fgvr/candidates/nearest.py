"""The nearest photos by cosine similarity, exactly."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

MARGIN = 1e-4
"""More than the float32 rounding of a cosine: photos closer than this to the k-th similarity may belong before it."""

BLOCK_VALUES = 2**24
"""Values that are held at a time, of features (float64: 128 MB) or of proposals."""

_INDEX_IMAGES = 2**16
"""Photos whose features a flat index holds at a time: a copy of all of them would double the memory."""

Proposals = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Similarities, falling, and photos; where there are too few, the photo is -1. Both of shape ``(Q, width)``."""


def nearest(
    features: NDArray[np.float32], named: NDArray[np.intp], k: int, queries: NDArray[np.intp] | None = None
) -> NDArray[np.int64]:
    """Numbers of the k photos out of ``named`` nearest to each photo, itself first, then nearest first.

    The result does not depend on the number of threads: see :func:`settle`. Equally near photos come in their order.

    Args:
        features: L2-normalised, shape ``(N, D)``.
        named: Photos to choose from, rising, shape ``(L,)``.
        k: How many.
        queries: Photos to search for, shape ``(Q,)``; all N if not given.

    Returns:
        Shape ``(Q, min(k, L))``, rows in the order of ``queries``.
    """
    queries = np.arange(len(features)) if queries is None else queries
    return nearest_and_similarity(features, named, k, queries)[0]


def nearest_and_similarity(
    features: NDArray[np.float32], named: NDArray[np.intp], k: int, queries: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """:func:`nearest`, and the cosine similarities, float64 of the same shape."""

    def propose(rows: NDArray[np.intp], width: int) -> Proposals:
        return _scan(features, named, queries[rows], width)

    return settle(propose, features, queries, min(k, len(named)), len(named))


def settle(
    propose: Callable[[NDArray[np.intp], int], Proposals],
    features: NDArray[np.float32],
    queries: NDArray[np.intp],
    k: int,
    widest: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k best of what a float32 search proposes, decided by products in float64.

    faiss alone would not do: its float32 products depend on the batch and the number of threads in the last bit, and
    among equal photos it returns any (perhaps not the photo itself). So it proposes more than k, until the proposals
    reach clearly below the k-th similarity; products in float64, each summed alone, then decide.

    Args:
        propose: Takes numbers of rows of ``queries`` and a width.
        features: L2-normalised, shape ``(N, D)``.
        queries: Photos to search for, shape ``(Q,)``.
        k: How many, at most ``widest``.
        widest: Proposals of this width are taken as they are: there are no more, or no more are affordable.

    Returns:
        Photos, the photo itself first, then nearest first, -1 where too few were proposed; and their cosine
        similarities, -inf there. Both of shape ``(Q, k)``.
    """
    images = np.empty((len(queries), k), dtype=np.int64)
    similarity = np.empty((len(queries), k))
    pending, width = np.arange(len(queries)), k
    while len(pending):
        width = min(2 * width, widest)
        unsettled = []
        for rows in in_blocks(pending, width):
            rough, found = propose(rows, width)
            settled = (rough[:, -1] < rough[:, k - 1] - MARGIN) | (found[:, k - 1] < 0) | (width == widest)
            done, found = rows[settled], found[settled]
            for block in in_blocks(np.arange(len(done)), width * features.shape[1]):
                best = _rank(features, queries[done[block]], found[block], k)
                images[done[block]], similarity[done[block]] = best
            unsettled.append(rows[~settled])
        pending = np.concatenate(unsettled)
    return images, similarity


def in_blocks(rows: NDArray[np.intp], values_each: int) -> list[NDArray[np.intp]]:
    """``rows`` in consecutive blocks of at most about ``BLOCK_VALUES`` values, ``values_each`` a row."""
    return np.array_split(rows, max(-(-len(rows) * values_each // BLOCK_VALUES), 1))


def _rank(
    features: NDArray[np.float32], queries: NDArray[np.intp], found: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    exact = np.einsum("nd,nwd->nw", features[queries].astype(np.float64), features[found].astype(np.float64))
    exact[found < 0] = -np.inf
    first = np.where(found == queries[:, None], np.inf, exact)
    order = np.lexsort((found, -first))[:, :k]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(exact, order, axis=1)


def _scan(features: NDArray[np.float32], named: NDArray[np.intp], queries: NDArray[np.intp], width: int) -> Proposals:
    """The ``width`` most similar of ``named`` to each query, by comparing with all of them."""
    import faiss  # heavy, and not needed where another strategy is selected

    best = faiss.ResultHeap(len(queries), width, keep_max=True)
    for images in np.array_split(named, -(-len(named) // _INDEX_IMAGES)):
        index = faiss.IndexFlatIP(features.shape[1])
        index.add(features[images])
        for block in in_blocks(np.arange(len(queries)), features.shape[1]):
            similarity, found = index.search(features[queries[block]], min(width, len(images)))
            best.add_result_subset(block, similarity, images[found])
    best.finalize()
    return best.D, best.I
