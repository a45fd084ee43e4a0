"""The nearest captions of photos: all are compared by faiss, and float64 decides between the best."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.nearest import MARGIN, in_blocks

Rows = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows and cosines, best first, both of shape ``(B, k)``."""


def search(
    blocks: Callable[[], Iterator[NDArray[np.float32]]],
    features_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    count: int,
    queries: NDArray[np.float32],
    k: int,
) -> Rows:
    """The k rows with the largest cosine to each query; of equal cosines (in float32), the lower row first.

    faiss alone would not do: its float32 sums depend on the batch and the threads in the last bit, and of equal rows it
    returns any. So it is asked for more than k, until the last is clearly below the k-th, and products in float64, each
    summed alone, decide.

    Args:
        blocks: Begins a new pass over all rows, L2-normalised, in order.
        features_of: Gives single rows, ``(B, w)`` -> L2-normalised, ``(B, w, D)``.
        count: Number of rows.
        queries: L2-normalised and finite, shape ``(B, D)``.
        k: How many, from 1 to ``count``.
    """
    rows = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    pending, width = np.arange(len(queries)), k
    while len(pending):
        width = min(2 * width, count)
        unsettled = []
        for block in in_blocks(pending, width):
            rough, found = _propose(blocks, queries[block], width)
            settled = (rough[:, -1] < rough[:, k - 1] - MARGIN) | (width == count)
            done, found = block[settled], found[settled]
            for part in in_blocks(np.arange(len(done)), width * queries.shape[1]):
                rows[done[part]], cosines[done[part]] = _rank(features_of, queries[done[part]], found[part], k)
            unsettled.append(block[~settled])
        pending = np.concatenate(unsettled)
    return rows, cosines


def _propose(
    blocks: Callable[[], Iterator[NDArray[np.float32]]], queries: NDArray[np.float32], width: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Similarities, falling, and rows of the best, by float32."""
    import faiss  # heavy, and not needed where no captions are

    best = faiss.ResultHeap(len(queries), width, keep_max=True)
    start = 0
    for block in blocks():
        similarity, found = faiss.knn(queries, block, min(width, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
        best.add_result(similarity, found + start)
        start += len(block)
    best.finalize()
    return best.D, best.I


def _rank(
    features_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    queries: NDArray[np.float32],
    found: NDArray[np.int64],
    k: int,
) -> Rows:
    exact = np.einsum("bd,bwd->bw", queries.astype(np.float64), features_of(found).astype(np.float64))
    cosines = exact.astype(np.float32)
    order = np.lexsort((found, -cosines))[:, :k]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(cosines, order, axis=1)
