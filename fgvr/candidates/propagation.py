"""Label propagation on the graph of nearest neighbours (Zhou et al. 2004), sparse and without an inverse matrix."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

from fgvr.candidates.search import search
from fgvr.errors import FgvrError

Values = NDArray[np.floating[Any]]

log = logging.getLogger(__name__)

_BLOCK_VALUES = 2**24
"""Photos times classes that are solved for at a time: five arrays of 64 MB each in float32, of 128 MB in float64."""
_MAX_CLASSES = 256
_TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}
"""Of the residual, relative to the right side: what the numbers reach."""
_MAX_STEPS = 300
_REORDER_ABOVE = 2**16
"""Photos whose solution does not stay in a processor's cache: neighbours are then put next to each other first."""
_FEW = 0.5
"""Share of the photos below which those that a block of classes can reach are taken out of the graph."""


def check_propagation(where: str, k: int, alpha: float, gamma: float) -> None:
    """Refuse options that cannot be.

    Args:
        where: The section that they are in, for the message.
        k: Neighbours of each photo in the graph.
        alpha: How far names travel.
        gamma: Exponent of the similarities.

    Raises:
        FgvrError: An option is out of its range.
    """
    if k < 1:
        raise FgvrError(f"{where}.k is {k}: it must be at least 1.")
    if not 0 < alpha < 1:
        raise FgvrError(f"{where}.alpha is {alpha}: it must be above 0 and below 1.")
    if not gamma >= 0:
        raise FgvrError(f"{where}.gamma is {gamma}: it must be at least 0; 3 is usual.")


def neighbour_graph(
    features: NDArray[np.float32], k: int, gamma: float, exact_below: int, dtype: type[np.floating[Any]] = np.float32
) -> sparse.csr_matrix:
    """The graph of the k nearest photos of each photo, by powers of their similarities, symmetric and normalised.

    Args:
        features: L2-normalised, shape ``(N, D)``.
        k: The photo itself not counted.
        gamma: Exponent; a similarity of 0 or less is no edge.
        exact_below: See :func:`fgvr.candidates.search.search`.
        dtype: Of the numbers in it.
    """
    found = search(features, np.arange(len(features)), k + 1, exact_below)
    neighbours, similarity = found.images[:, 1:], found.similarity[:, 1:]  # each photo itself comes first
    affinities = np.where(similarity > 0, np.maximum(similarity, 0) ** gamma, 0)
    return normalised_graph(neighbours, affinities, dtype)


def normalised_graph(
    neighbours: NDArray[np.int64], affinities: NDArray[np.float64], dtype: type[np.floating[Any]] = np.float32
) -> sparse.csr_matrix:
    r"""The symmetric, normalised affinities :math:`S = D^{-1/2} (A + A^\top) D^{-1/2}`, D the row sums between.

    Args:
        neighbours: Of each of N nodes, itself not among them, shape ``(N, k)``.
        affinities: Their A, not negative, of the same shape; 0 is no edge.
        dtype: Of the numbers in it.

    Returns:
        Shape ``(N, N)``. The row of a node without edges is zero.

    Example:
        >>> normalised_graph(np.array([[1], [0], [1]]), np.ones((3, 1))).toarray().round(3).tolist()
        [[0.0, 0.8159999847412109, 0.0], [0.8159999847412109, 0.0, 0.5770000219345093], [0.0, 0.5770000219345093, 0.0]]
    """
    count, k = neighbours.shape
    edges = sparse.csr_matrix(
        (affinities.astype(dtype).ravel(), neighbours.ravel(), np.arange(count + 1) * k),
        shape=(count, count),
        dtype=dtype,
    )
    edges = edges + edges.T
    degrees = np.asarray(edges.sum(axis=1)).ravel()
    scale = sparse.diags(np.where(degrees > 0, 1 / np.sqrt(np.where(degrees > 0, degrees, 1)), 0).astype(dtype))
    return sparse.csr_matrix(scale @ edges @ scale, dtype=dtype)


def conjugate_gradients(
    graph: sparse.csr_matrix,
    given: Values,
    alpha: float,
    most_steps: int,
    tolerance: float,
    start: Values | None = None,
) -> tuple[Values, int]:
    r"""The solution Z of :math:`(I - \alpha S) Z = Y`, all columns at once.

    The matrix is symmetric and positive definite, since the eigenvalues of S are in [-1, 1].

    Args:
        graph: S, shape ``(N, N)``.
        given: Y, shape ``(N, C)``.
        alpha: Above 0 and below 1.
        most_steps: After as many steps the solution is taken as it is.
        tolerance: Of a column's residual, relative to its Y; a column that reaches it is left alone.
        start: The first Z, of the shape of Y; zero if not given.

    Returns:
        Z, shape ``(N, C)``, and how many steps it took.
    """
    solution = np.zeros_like(given) if start is None else start.copy()
    # added up in this order, so that nothing is rounded where the start is Y, or zero
    residual = (given - solution) + alpha * (graph @ solution)
    direction = residual.copy()
    size = _squares(residual)
    goal = tolerance**2 * _squares(given)
    steps = 0
    while steps < most_steps and (going := size > goal).any():
        image = direction - alpha * (graph @ direction)
        length = np.where(going, size / np.maximum(np.einsum("nc,nc->c", direction, image), 1e-30), 0)
        solution += length * direction
        residual -= length * image
        before, size = size, np.where(going, _squares(residual), size)
        direction *= np.where(going, size / np.maximum(before, 1e-30), 0)
        direction += residual
        steps += 1
    return solution, steps


def propagate(
    graph: sparse.csr_matrix, given: sparse.csr_matrix, alpha: float, m: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    r"""The m classes of each photo with the largest Z of :math:`(I - \alpha S) Z = Y`, largest first, and Z.

    Args:
        graph: S, shape ``(N, N)``.
        given: Y, float32 or float64 like S, shape ``(N, C)``.
        alpha: Above 0 and below 1.
        m: How many classes.

    Returns:
        Both of shape ``(N, m)``; -1 and 0 where there are fewer.
    """
    if graph.shape[0] <= _REORDER_ABOVE:
        return _propagate(graph, given, alpha, m)
    order = reverse_cuthill_mckee(graph, symmetric_mode=True)
    names, best = _propagate(graph[order][:, order], given[order], alpha, m)
    back = np.argsort(order)
    return names[back], best[back]


def _propagate(
    graph: sparse.csr_matrix, given: sparse.csr_matrix, alpha: float, m: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    count = graph.shape[0]
    part = connected_components(graph, directed=False)[1]
    columns = given.tocsc()
    classes = np.flatnonzero(np.diff(columns.indptr))
    width = max(min(_BLOCK_VALUES // count, _MAX_CLASSES), 1)
    names = np.full((count, m), -1, dtype=np.int64)
    best = np.zeros((count, m), dtype=given.dtype)
    steps = 0
    for start in range(0, len(classes), width):
        block = classes[start : start + width]
        seeds = columns[:, block]
        # no name leaves the part of the graph that it is in, which is exact, and less where there are many parts
        reached = np.zeros(part.max() + 1, dtype=bool)
        reached[part[seeds.indices]] = True
        rows = np.flatnonzero(reached[part])
        few = len(rows) < _FEW * count
        near, dense = (graph[rows][:, rows], seeds[rows].toarray()) if few else (graph, seeds.toarray())
        # from Y, which is the solution of alpha = 0, and of a photo without neighbours
        solution, taken = conjugate_gradients(near, dense, alpha, _MAX_STEPS, _TOLERANCE[given.dtype], start=dense)
        steps = max(steps, taken)
        where = rows if few else slice(None)
        names[where], best[where] = _merge(names[where], best[where], block, solution)
    log.debug("Label propagation: photos %d, classes %d, steps at most %d", count, len(classes), steps)
    return names, best.astype(np.float64)


def _merge(
    names: NDArray[np.int64], best: Values, classes: NDArray[np.int64], solution: Values
) -> tuple[NDArray[np.int64], Values]:
    """The m best of what is best so far and of a block of classes; of equal ones the class of the lower index."""
    rows = np.arange(len(names))
    m = names.shape[1]
    block_names, block_best = np.full_like(names, -1), np.zeros_like(best)
    for place in range(min(m, len(classes))):
        top = solution.argmax(axis=1)
        block_best[:, place] = np.maximum(solution[rows, top], 0)
        block_names[:, place] = np.where(block_best[:, place] > 0, classes[top], -1)
        solution[rows, top] = -np.inf
    both_names, both = np.hstack([names, block_names]), np.hstack([best, block_best])
    order = np.argsort(-both, axis=1, kind="stable")[:, :m]
    return np.take_along_axis(both_names, order, axis=1), np.take_along_axis(both, order, axis=1)


def _squares(columns: Values) -> Values:
    squares: Values = np.einsum("nc,nc->c", columns, columns)
    return squares
