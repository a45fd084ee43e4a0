"""Names of the nearest photos that have this one among theirs."""

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.base import CandidateStrategy, FeatureSpace, NamedImages
from fgvr.candidates.features import features_of
from fgvr.candidates.search import EXACT_BELOW, Neighbourhoods, search
from fgvr.candidates.sets import sets_from_names
from fgvr.candidates.single import own_names
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets, Space, check_space


class MutualKnnCandidates(CandidateStrategy):
    r"""The names of those of the k nearest photos that have the photo among their k nearest, with uniform weights.

    Mutual neighbours (k-reciprocal ones: Qin et al. 2011; Zhong et al. 2017, section 3.1):
    :math:`\{ j \in N_k(i) : i \in N_k(j) \}`. A photo that is near to very many (a hub) or far from all adds fewer
    wrong names this way than with ``knn``; sets are smaller. The FGVR paper's sets are those of ``knn``.

    Each photo contributes the first name that the labeler gave it; the photo is its own mutual neighbour. A photo
    without a name is in nobody's neighbourhood: it is taken for one where it is nearer than the k-th photo there. It is
    left out where no named photo is its mutual neighbour. Searching is as for ``knn``.

    Args:
        k: Size of a neighbourhood, the photo itself included; at least 1. Larger than for ``knn``, because few
            neighbours are mutual.
        backbone: Another backbone, in whose features neighbours are searched; the run's own if not given.
        exact_below: Most photos for the exact search, whose time grows with their square.
        space: Its ``visual`` or its ``joint`` space; see ``knn``.

    Raises:
        FgvrError: ``k`` is below 1.

    Example:
        >>> images = NamedImages(
        ...     sample_ids=("a.jpg", "b.jpg", "c.jpg"),
        ...     labels=[(0,), (1,), (2,)],
        ...     num_classes=3,
        ...     features=np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32),
        ... )
        >>> sets = MutualKnnCandidates(k=2).build(images)
        >>> [indices.tolist() for indices, weights in sets]
        [[0], [1, 2], [2, 1]]
    """

    needs_features = True

    def __init__(
        self,
        k: int = 5,
        backbone: FeatureSpace | None = None,
        exact_below: int = EXACT_BELOW,
        space: Space = "visual",
    ) -> None:
        if k < 1:
            raise FgvrError(f"candidates.k is {k}: it must be at least 1 (the photo itself).")
        self.k = k
        self.backbone = backbone
        self.exact_below = exact_below
        self.space = check_space("candidates.space", space)
        self.needs_features = backbone is None

    def build(self, images: NamedImages) -> CandidateSets:
        """One set for each photo that has a name or a mutual neighbour.

        Raises:
            FgvrError: No photo has a name, or the features are not there or not of unit length.
        """
        own = own_names(images)
        named = np.flatnonzero(own >= 0)
        found = search(features_of(images, self.backbone, self.space), named, self.k, self.exact_below)
        mutual = _mutual(found) if self.k <= len(named) else np.ones(found.images.shape, dtype=bool)
        return sets_from_names(images.sample_ids, np.where(mutual, own[found.images], -1))


def _mutual(found: Neighbourhoods) -> NDArray[np.bool_]:
    """Whether each neighbour would count the photo among its nearest, shape ``(N, k)``.

    By comparison with the neighbour's last one, and not by membership: in an approximate search a photo can be nearer
    than what was found.
    """
    image = np.arange(len(found.images))[:, None]
    last, limit = found.images[:, -1][found.images], found.similarity[:, -1][found.images]
    nearer = (found.similarity > limit) | ((found.similarity == limit) & (image <= last))
    # with k = 1 a named photo's last neighbour is itself, and nothing is nearer, not even an equal photo before it
    mutual: NDArray[np.bool_] = (nearer & (last != found.images)) | (found.images == image)
    return mutual
