"""Random names as candidates: the FGVR paper's ablation of its nearest-neighbour sets."""

import numpy as np

from fgvr.candidates.base import CandidateStrategy, NamedImages
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.single import own_names
from fgvr.records import CandidateSets, Space


class RandomCandidates(CandidateStrategy):
    """Sets of the same sizes as ``knn``'s, filled at random: "Random CS" of the FGVR paper (table 3).

    Each photo's set has as many names as :class:`~fgvr.candidates.knn.KnnCandidates` of the same k would give it, so
    the two differ in nothing but which names. The photo's own name stays in, first; the others are drawn from the rest
    of the vocabulary, uniformly and without replacement, by ``images.seed`` alone.

    Args:
        k: As for ``knn``.
        space: As for ``knn``.

    Raises:
        FgvrError: ``k`` is below 1.

    Example:
        >>> images = NamedImages(
        ...     sample_ids=("a.jpg", "b.jpg", "c.jpg"),
        ...     labels=[(0,), (1,), (2,)],
        ...     num_classes=3,
        ...     features=np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32),
        ...     seed=1,
        ... )
        >>> sets = RandomCandidates(k=2).build(images)
        >>> [indices.tolist() for indices, weights in sets]
        [[0, 1], [1, 2], [2, 1]]
    """

    needs_features = True

    def __init__(self, k: int = 3, space: Space = "visual") -> None:
        self.k = k
        self._knn = KnnCandidates(k, space=space)
        self.space = space

    def build(self, images: NamedImages) -> CandidateSets:
        """One set for each photo.

        Raises:
            FgvrError: As for ``knn``.
        """
        knn = self._knn.build(images)
        generator = np.random.default_rng(images.seed)
        indices = knn.indices.copy()
        # a loop over photos: microseconds each, once a run
        for own, start, stop in zip(own_names(images), knn.offsets[:-1], knn.offsets[1:], strict=True):
            if own < 0:
                indices[start:stop] = generator.choice(images.num_classes, stop - start, replace=False)
            else:
                rest = generator.choice(images.num_classes - 1, stop - start - 1, replace=False)
                indices[start + 1 : stop] = rest + (rest >= own)
        return CandidateSets(knn.sample_ids, knn.offsets, indices, knn.weights)
