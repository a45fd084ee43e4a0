"""Names of the nearest photos as candidates: the FGVR paper's candidate sets."""

from typing import Literal

import numpy as np

from fgvr.candidates.base import CandidateStrategy, FeatureSpace, NamedImages
from fgvr.candidates.features import features_of
from fgvr.candidates.search import EXACT_BELOW, search
from fgvr.candidates.sets import sets_from_names
from fgvr.candidates.single import own_names
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets, Space, check_space


class KnnCandidates(CandidateStrategy):
    r"""The names of the k photos nearest in image-feature space, the photo itself included.

    The manifold assumption of the FGVR paper (section 3): photos that look alike share a name, so where the labeler got
    this photo wrong, the neighbours' names may hold the true one.

    Each photo contributes one name, the first that the labeler gave it, as in the paper. The set starts with the
    photo's own name; the neighbours' names follow by falling cosine similarity, equal ones in the order of the photos.
    Names that occur twice count once, so a set holds 1 to k names. Photos without a name are nobody's neighbours; they
    get the names of the k nearest photos that have one.

    Up to ``exact_below`` photos all are compared with all. Above, an inverted file is searched, whose recall is
    measured against the exact search on 500 photos, logged, and warned of below 98 %. Neither way do sets depend
    on the number of threads.

    Args:
        k: Photos whose names go into a set, the photo itself among them; at least 1. With fewer named photos, all of
            them. The paper uses 3.
        weights: What a candidate weighs before training: ``uniform`` as in the paper; ``count``, by how many of the k
            photos have the name; ``similarity``, by the sum of :math:`\exp(\cos / \tau)` over them (the weighted k-NN
            of Wu et al. 2018, section 3.4), in which the photo itself has cosine 1.
        temperature: :math:`\tau` of ``similarity``, above 0; 0.07 is theirs. The larger, the more uniform.
        backbone: Another backbone, in whose features neighbours are searched; the run's own if not given.
        exact_below: Most photos for the exact search, whose time grows with their square.
        space: Its ``visual`` space, in which photos of one kind are nearer to each other, or the ``joint`` one, which
            images share with texts, as in the paper.

    Raises:
        FgvrError: ``k`` is below 1, or ``temperature`` is not above 0.

    Example:
        >>> images = NamedImages(
        ...     sample_ids=("a.jpg", "b.jpg", "c.jpg"),
        ...     labels=[(0,), (1,), (2,)],
        ...     num_classes=3,
        ...     features=np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32),
        ... )
        >>> sets = KnnCandidates(k=2).build(images)
        >>> [indices.tolist() for indices, weights in sets]
        [[0, 2], [1, 2], [2, 1]]
    """

    needs_features = True

    def __init__(
        self,
        k: int = 3,
        weights: Literal["uniform", "count", "similarity"] = "uniform",
        temperature: float = 0.07,
        backbone: FeatureSpace | None = None,
        exact_below: int = EXACT_BELOW,
        space: Space = "visual",
    ) -> None:
        if k < 1:
            raise FgvrError(f"candidates.k is {k}: it must be at least 1 (the photo itself).")
        if weights not in ("uniform", "count", "similarity"):
            raise FgvrError(f"candidates.weights is {weights!r}; expected 'uniform', 'count' or 'similarity'.")
        if not temperature > 0:
            raise FgvrError(f"candidates.temperature is {temperature}: it must be above 0; 0.07 is usual.")
        self.k = k
        self.weights = weights
        self.temperature = temperature
        self.backbone = backbone
        self.exact_below = exact_below
        self.space = check_space("candidates.space", space)
        self.needs_features = backbone is None

    def build(self, images: NamedImages) -> CandidateSets:
        """One set for each photo.

        Raises:
            FgvrError: No photo has a name, or the features are not there or not of unit length.
        """
        own = own_names(images)
        found = search(
            features_of(images, self.backbone, self.space), np.flatnonzero(own >= 0), self.k, self.exact_below
        )
        shares = None
        if self.weights == "count":
            shares = np.ones(found.images.shape)
        elif self.weights == "similarity":
            # from the largest down, so that a low temperature does not make all of them zero
            top = found.similarity.max(axis=1, keepdims=True)
            shares = np.exp((found.similarity - top) / self.temperature)
        return sets_from_names(images.sample_ids, own[found.images], shares)
