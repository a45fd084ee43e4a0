"""Which of its candidates a photo shows, by the photos that it is a mixture of."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from fgvr.candidates.nearest import in_blocks
from fgvr.candidates.search import search
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.relabelling.base import EXACT_BELOW, Relabelling

_SWEEPS = 2000
_SETTLED = 1e-12
"""Weights that change less than this in a sweep have been found; they are of the size of 1."""
_TINY = 1e-12


class PartialLabelGraphRelabelling(Relabelling):
    r"""Weights within each candidate set, by the sets of the photos that a photo is a mixture of (IPAL).

    With the weights W, not negative and of sum 1, that make a photo out of its k nearest ones best, and the candidate
    sets P, F = P is followed by

    .. math:: F \leftarrow \alpha W F + (1 - \alpha) P

    from which, in each step, a row keeps its own candidates and is made to sum to 1. In the end a class counts as often
    as it does in P: :math:`F_{ic} \sum_j P_{jc} / \sum_j F_{jc}`. A photo never gets a name outside its set, so that
    sets of one name stay as they are: use it with ``candidates: knn``.

    Source: Zhang and Yu, "Solving the partial label learning problem: an instance-based approach", IJCAI 2015,
    equations 1 to 5.

    Args:
        k: Neighbours of each photo, at least 1; the paper's 10.
        alpha: How far names travel, from 0 (not at all) to below 1; the paper's 0.95.
        steps: At least 1; the paper's 100.
        exact_below: Most photos for the exact search, whose time grows with their square.
        **kwargs: Arguments of ``Relabelling``.

    Raises:
        FgvrError: An option is out of its range.
    """

    needs_several = True

    def __init__(
        self, k: int = 10, alpha: float = 0.95, steps: int = 100, exact_below: int = EXACT_BELOW, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("k", k), ("steps", steps)):
            if value < 1:
                raise FgvrError(f"relabelling.{name} is {value}: it must be at least 1.")
        if not 0 <= alpha < 1:
            raise FgvrError(f"relabelling.alpha is {alpha}: it must be from 0 to below 1; 0.95 is usual.")
        self.k = k
        self.alpha = alpha
        self.steps = steps
        self.exact_below = exact_below
        self._mixture: tuple[Tensor, sparse.csr_matrix] | None = None

    def relabel(self, features: Tensor, names: SoftNames) -> SoftNames:
        """See the base class."""
        given = names.matrix()
        # the gate relabels the same photos with other names hidden, ten times
        if self._mixture is None or self._mixture[0] is not features:
            self._mixture = features, mixture_graph(features.numpy(), self.k, self.exact_below)
        mixture = self._mixture[1]
        among = given.copy()
        among.data[:] = 1
        soft = given
        for _ in range(self.steps):
            moved = (mixture @ soft).multiply(among)
            soft = _rows_to_one(sparse.csr_matrix(self.alpha * moved + (1 - self.alpha) * given))
        before, after = (np.asarray(matrix.sum(axis=0)).ravel() for matrix in (given, soft))
        soft = _rows_to_one(soft @ sparse.diags(before / np.maximum(after, _TINY)))
        return self._strongest(soft.tocsr(), names)

    def _strongest(self, soft: sparse.csr_matrix, names: SoftNames) -> SoftNames:
        """The m heaviest candidates of each photo; of equal ones the class of the lower index."""
        indices, weights = names.indices.numpy(), names.weights.numpy()
        rows = np.repeat(np.arange(len(indices)), indices.shape[1])
        found = np.asarray(soft[rows, indices.ravel()]).reshape(indices.shape)
        shares = np.where(weights > 0, found, 0)
        order = np.lexsort((indices, -shares), axis=1)[:, : self.m]
        chosen, kept = (np.take_along_axis(array, order, axis=1) for array in (indices, shares))
        return SoftNames.from_shares(torch.from_numpy(chosen), torch.from_numpy(kept), names.num_classes)


def mixture_graph(features: NDArray[np.float32], k: int, exact_below: int) -> sparse.csr_matrix:
    """How much of each of its k nearest photos makes a photo: float64, shape ``(N, N)``, rows of sum 1 or 0.

    Args:
        features: L2-normalised, shape ``(N, D)``.
        k: The photo itself not counted.
        exact_below: See :func:`fgvr.candidates.search.search`.
    """
    count = len(features)
    neighbours = search(features, np.arange(count), k + 1, exact_below).images[:, 1:]
    width = neighbours.shape[1]
    weights = np.zeros((count, width))
    for rows in in_blocks(np.arange(count), max(width * (features.shape[1] + width), 1)):
        near = features[np.maximum(neighbours[rows], 0)].astype(np.float64)
        near[neighbours[rows] < 0] = 0
        weights[rows] = _not_negative_least_squares(near, features[rows].astype(np.float64))
    sums = weights.sum(axis=1, keepdims=True)
    weights /= np.maximum(sums, _TINY)
    graph = (weights.ravel(), np.maximum(neighbours, 0).ravel(), np.arange(count + 1) * width)
    return sparse.csr_matrix(graph, shape=(count, count))


def _not_negative_least_squares(near: NDArray[np.float64], images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of each photo's neighbours, by coordinate descent of all photos at once, shape ``(B, K)``.

    Args:
        near: Shape ``(B, K, D)``.
        images: Shape ``(B, D)``.
    """
    products = np.einsum("bkd,bld->bkl", near, near)
    towards = np.einsum("bkd,bd->bk", near, images)
    squares = np.maximum(products.diagonal(axis1=1, axis2=2), _TINY)
    weights = np.zeros_like(towards)
    for _ in range(_SWEEPS):
        before = weights.copy()
        for place in range(weights.shape[1]):
            rest = towards[:, place] - np.einsum("bk,bk->b", products[:, place], weights)
            weights[:, place] = np.maximum(weights[:, place] + rest / squares[:, place], 0)
        if not weights.size or np.abs(weights - before).max() < _SETTLED:
            break
    found: NDArray[np.float64] = weights
    return found


def _rows_to_one(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(np.where(sums > 0, 1 / np.where(sums > 0, sums, 1), 0)) @ matrix)
