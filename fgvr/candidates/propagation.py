"""Label propagation on the graph of nearest neighbours (Zhou et al. 2004), sparse and without an inverse matrix."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def normalised_graph(neighbours: NDArray[np.int64], affinities: NDArray[np.float64]) -> sparse.csr_matrix:
    r"""The symmetric, normalised affinities :math:`S = D^{-1/2} (A + A^\top) D^{-1/2}`, D the row sums between.

    Args:
        neighbours: Of each of N nodes, itself not among them, shape ``(N, k)``.
        affinities: Their A, not negative, of the same shape; 0 is no edge.

    Returns:
        float32, shape ``(N, N)``. The row of a node without edges is zero.

    Example:
        >>> normalised_graph(np.array([[1], [0], [1]]), np.ones((3, 1))).toarray().round(3).tolist()
        [[0.0, 0.8159999847412109, 0.0], [0.8159999847412109, 0.0, 0.5770000219345093], [0.0, 0.5770000219345093, 0.0]]
    """
    count, k = neighbours.shape
    edges = sparse.csr_matrix(
        (affinities.astype(np.float32).ravel(), neighbours.ravel(), np.arange(count + 1) * k),
        shape=(count, count),
        dtype=np.float32,
    )
    edges = edges + edges.T
    degrees = np.asarray(edges.sum(axis=1)).ravel()
    scale = sparse.diags(np.where(degrees > 0, 1 / np.sqrt(np.where(degrees > 0, degrees, 1)), 0).astype(np.float32))
    return sparse.csr_matrix(scale @ edges @ scale, dtype=np.float32)


def conjugate_gradients(
    graph: sparse.csr_matrix,
    given: NDArray[np.float32],
    alpha: float,
    most_steps: int,
    tolerance: float,
    start: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], int]:
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


def _squares(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    squares: NDArray[np.float32] = np.einsum("nc,nc->c", columns, columns)
    return squares
