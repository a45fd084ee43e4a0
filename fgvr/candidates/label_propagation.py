"""Names that reach a photo through its neighbours' neighbours: label propagation on the nearest-neighbour graph."""

import numpy as np
from scipy import sparse

from fgvr.candidates.base import CandidateStrategy, FeatureSpace, NamedImages
from fgvr.candidates.features import features_of
from fgvr.candidates.propagation import check_propagation, neighbour_graph, propagate
from fgvr.candidates.search import EXACT_BELOW
from fgvr.candidates.sets import sets_from_names
from fgvr.candidates.single import own_names
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets, Space, check_space

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
        if m < 1:
            raise FgvrError(f"candidates.m is {m}: it must be at least 1.")
        check_propagation("candidates", k, alpha, gamma)
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
        named = np.flatnonzero(own >= 0)
        given = sparse.csr_matrix(
            (np.ones(len(named), dtype=np.float32), (named, own[named])), shape=(len(own), images.num_classes)
        )
        graph = neighbour_graph(features_of(images, self.backbone, self.space), self.k, self.gamma, self.exact_below)
        names, shares = propagate(graph, given, self.alpha, self.m)
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return sets_from_names(images.sample_ids, np.where(shares >= _MIN_SHARE, names, -1), shares)
