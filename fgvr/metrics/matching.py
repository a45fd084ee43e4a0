"""The one-to-one matching of predicted names with true ones that is right about the most photos."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

_ROWS_TOGETHER = 2048
"""Predicted names that are matched at a time, where no photo ties them to others: the solver's time has a part that
grows with the square of their number, and each call takes its time, too."""

Matching = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Predicted names, the true one of each, and the photos that the two share, all of one length."""


def best_matching(
    predicted: NDArray[np.int64], true: NDArray[np.int64], photos: NDArray[np.int64] | None = None
) -> Matching:
    r"""Match names one to one, so that the photos that both names of a pair share are as many as can be.

    It is the Hungarian algorithm's result for the table of all names by all names, without the table: a pair without a
    photo changes nothing. Names that no photo ties together, directly or over others, are matched apart. What is left
    is a sparse problem (the algorithm of Jonker and Volgenant 1987, as SciPy has it), in which each name of the shorter
    side may also stay alone.

    Where several matchings are as good, the numbers of the names alone decide, and not the order of the photos.

    Args:
        predicted: Number of the predicted name of each photo, from 0, shape ``(N,)``.
        true: Number of its true name, from 0, shape ``(N,)``.
        photos: How many photos each entry stands for, 0 or more, shape ``(N,)``; one each if not given.

    Returns:
        The matched predicted names, rising; their true names; and the photos that they share, at least 1.

    Example:
        >>> names, classes, photos = best_matching(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 0, 1]))
        >>> names.tolist(), classes.tolist(), photos.tolist()
        ([0, 1], [1, 0], [1, 2])
    """
    if photos is None:
        photos = np.ones(len(predicted), dtype=np.int64)
    else:  # a pair without a photo may not be matched: it would be won by nobody
        predicted, true, photos = (each[photos > 0] for each in (predicted, true, photos))
    if len(predicted) == 0:
        return predicted.astype(np.int64), true.astype(np.int64), np.zeros(0, dtype=np.int64)
    counts = sparse.coo_matrix((photos, (predicted, true)))
    counts.sum_duplicates()
    swapped = counts.shape[0] > counts.shape[1]
    if swapped:
        counts = counts.T.tocoo()
    solved = [_solve(*part) for part in _parts(counts)]
    rows, columns, photos = (np.concatenate(each).astype(np.int64) for each in zip(*solved, strict=True))
    names, classes = (columns, rows) if swapped else (rows, columns)
    order = np.argsort(names)
    return names[order], classes[order], photos[order]


def _parts(counts: sparse.coo_matrix) -> Iterator[Matching]:
    """Rows, columns and photos of the pairs, in parts that share neither a row nor a column."""
    rows, columns = counts.shape
    both = sparse.coo_matrix((counts.data, (counts.row, counts.col + rows)), shape=(rows + columns,) * 2)
    block = connected_components(both, directed=False)[1][counts.row]
    order = np.lexsort((counts.col, counts.row, block))
    row, column, photos, block = counts.row[order], counts.col[order], counts.data[order], block[order]
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    first_of_row = np.diff(row, prepend=-1) != 0
    part = (np.cumsum(first_of_row)[starts] - 1) // _ROWS_TOGETHER
    cuts = starts[np.flatnonzero(np.diff(part, prepend=-1))]
    for start, stop in zip(cuts, [*cuts[1:], len(row)], strict=True):
        yield row[start:stop], column[start:stop], photos[start:stop]


def _solve(rows: NDArray[np.int64], columns: NDArray[np.int64], photos: NDArray[np.int64]) -> Matching:
    """The best matching of some rows and columns; pairs are by their rows, then by their columns."""
    row_numbers, row = np.unique(rows, return_inverse=True)
    column_numbers, column = np.unique(columns, return_inverse=True)
    size, width = len(row_numbers), len(column_numbers)
    alone = photos.max() + 1
    # the solver must match each row, so each has a column of its own, where nothing is won
    costs = sparse.coo_matrix(
        (
            np.concatenate([alone - photos, np.full(size, alone)]).astype(np.float64),
            (np.concatenate([row, np.arange(size)]), np.concatenate([column, width + np.arange(size)])),
        ),
        shape=(size, width + size),
    ).tocsr()
    matched, at = min_weight_full_bipartite_matching(costs)
    matched, at = matched[at < width], at[at < width]
    shared = alone - np.asarray(costs[matched, at]).ravel()
    return row_numbers[matched], column_numbers[at], shared.astype(np.int64)
