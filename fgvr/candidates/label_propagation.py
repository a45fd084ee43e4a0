"""Names that reach a photo through its neighbours' neighbours: label propagation on the nearest-neighbour graph."""

import logging

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fgvr.candidates.base import CandidateStrategy, FeatureSpace, NamedImages
from fgvr.candidates.features import features_of
from fgvr.candidates.propagation import conjugate_gradients, normalised_graph
from fgvr.candidates.search import EXACT_BELOW, search
from fgvr.candidates.sets import sets_from_names
from fgvr.candidates.single import own_names
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets, Space, check_space

log = logging.getLogger(__name__)

_BLOCK_VALUES = 2**24
"""Photos times classes that are solved for at a time: five float32 arrays of 64 MB each."""
_MAX_CLASSES = 256
_TOLERANCE = 1e-5
"""Of the residual, relative to the right side: what float32 reaches."""
_MAX_STEPS = 300
_MIN_SHARE = 1e-3
"""A smaller share is not a candidate: it would be of the size of the solution's error."""


class LabelPropagationCandidates(CandidateStrategy):
    r"""The m names that reach a photo best through the graph of nearest photos, with their shares as weights.

    Label propagation (Zhou et al. 2004) on the sparse graph of Iscen et al. 2019: :math:`A_{ij} = \max(\cos_{ij},
    0)^\gamma` where j is among the k nearest photos of i, else 0; :math:`W = A + A^\top`, :math:`D` its row sums,
    :math:`S = D^{-1/2} W D^{-1/2}`, and

    .. math:: (I - \alpha S) Z = Y

    where :math:`Y_{ic}` is 1 where c is the first name that the labeler gave photo i, else 0. A photo's candidates are
    the m classes of the largest :math:`Z_{ic}`, largest first, and their weights are proportional to it; shares below
    0.1 % of the set are dropped, so a set holds 1 to m names. A photo's own name counts like any other evidence and may
    lose. Photos that no name reaches are left out; only unnamed ones can be.

    Solved by conjugate gradients in float32, a block of the classes that occur at a time: exact but for the tolerance
    (residual 1e-5 of :math:`\lVert Y_c \rVert`), and never an array of all photos by all classes. Time grows with
    photos times k times classes. Searching is as for ``knn``.

    Args:
        m: Candidates of a photo, at most; at least 1.
        k: Neighbours of each photo in the graph, the photo itself not counted; at least 1. Iscen et al. use 50 on
            thousands of photos a class; support sets of fine-grained recognition have few.
        alpha: How far names travel, above 0 and below 1; 0.99 in both papers. Near 0 a photo keeps its own name.
        gamma: Exponent of the similarities, at least 0; 3 as in Iscen et al.
        backbone: Another backbone, in whose features neighbours are searched; the run's own if not given.
        exact_below: Most photos for the exact search, whose time grows with their square.
        space: Its ``visual`` or its ``joint`` space; see ``knn``.

    Raises:
        FgvrError: An option is out of its range.

    Example:
        >>> images = NamedImages(
        ...     sample_ids=("a.jpg", "b.jpg", "c.jpg"),
        ...     labels=[(0,), (1,), (1,)],
        ...     num_classes=2,
        ...     features=np.array([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]], dtype=np.float32),
        ... )
        >>> sets = LabelPropagationCandidates(m=2, k=2).build(images)
        >>> [indices.tolist() for indices, weights in sets]
        [[1, 0], [1, 0], [1, 0]]
    """

    needs_features = True

    def __init__(
        self,
        m: int = 3,
        k: int = 10,
        alpha: float = 0.99,
        gamma: float = 3.0,
        backbone: FeatureSpace | None = None,
        exact_below: int = EXACT_BELOW,
        space: Space = "visual",
    ) -> None:
        for name, value in (("m", m), ("k", k)):
            if value < 1:
                raise FgvrError(f"candidates.{name} is {value}: it must be at least 1.")
        if not 0 < alpha < 1:
            raise FgvrError(f"candidates.alpha is {alpha}: it must be above 0 and below 1; 0.99 is usual.")
        if not gamma >= 0:
            raise FgvrError(f"candidates.gamma is {gamma}: it must be at least 0; 3 is usual.")
        self.m = m
        self.k = k
        self.alpha = alpha
        self.gamma = gamma
        self.backbone = backbone
        self.exact_below = exact_below
        self.space = check_space("candidates.space", space)
        self.needs_features = backbone is None

    def build(self, images: NamedImages) -> CandidateSets:
        """One set for each photo that a name reaches.

        Raises:
            FgvrError: No photo has a name, or the features are not there or not of unit length.
        """
        own = own_names(images)
        everyone = np.arange(len(own))
        found = search(features_of(images, self.backbone, self.space), everyone, self.k + 1, self.exact_below)
        neighbours, similarity = found.images[:, 1:], found.similarity[:, 1:]  # each photo itself comes first
        # a similarity of 0 is no edge, whatever the exponent
        affinities = np.where(similarity > 0, np.maximum(similarity, 0) ** self.gamma, 0)
        graph = normalised_graph(neighbours, affinities)
        names, shares = _strongest(graph, own, self.alpha, self.m)
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return sets_from_names(images.sample_ids, np.where(shares >= _MIN_SHARE, names, -1), shares)


def _strongest(
    graph: sparse.csr_matrix, own: NDArray[np.int64], alpha: float, m: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The m classes of the largest Z, largest first, and Z; -1 and 0 where there are fewer. Both ``(N, m)``."""
    count = len(own)
    named = np.flatnonzero(own >= 0)
    classes, column = np.unique(own[named], return_inverse=True)
    width = max(min(_BLOCK_VALUES // count, _MAX_CLASSES), 1)
    names = np.full((count, m), -1, dtype=np.int64)
    best = np.zeros((count, m), dtype=np.float32)
    steps = 0
    for start in range(0, len(classes), width):
        stop = min(start + width, len(classes))
        here = (column >= start) & (column < stop)
        given = np.zeros((count, stop - start), dtype=np.float32)
        given[named[here], column[here] - start] = 1
        # from Y, which is the solution of alpha = 0, and of a photo without neighbours
        solution, taken = conjugate_gradients(graph, given, alpha, _MAX_STEPS, _TOLERANCE, start=given)
        steps = max(steps, taken)
        names, best = _merge(names, best, classes[start:stop], solution)
    log.info("Label propagation: %d photos, %d classes, at most %d steps", count, len(classes), steps)
    return names, best.astype(np.float64)


def _merge(
    names: NDArray[np.int64], best: NDArray[np.float32], classes: NDArray[np.int64], solution: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
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
