"""Photos that lie as far apart as possible."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fgvr.records import Space, check_space
from fgvr.selections.base import Selection
from fgvr.selections.order import draw_order, unit_features


class KCentreSelection(Selection):
    """The greedy k-centre choice: each next photo is the one farthest from all that were chosen before.

    Algorithm 1 of Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach", ICLR
    2018, with cosine distance. It begins with the photo nearest to the mean of all. Choices are nested: the first 100
    are among the first 200. It covers the rim of the feature space, so strange and spoiled photos are among the first.

    Takes ``O(n N D)`` time, and the memory of one more copy of the features.

    Args:
        n: Photos to ask about.
        seed: Decides among photos that are equally far; the choice is the same otherwise.
        space: Image features that distances are measured in: ``visual``, or ``joint``, which images share with texts.

    Example:
        >>> features = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.96, 0.28]], dtype=np.float32)
        >>> KCentreSelection(3).choose(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], features).tolist()
        [0, 1, 2]
    """

    def __init__(self, n: int, seed: int = 0, space: Space = "visual") -> None:
        super().__init__(n, seed)
        self.space = check_space("data.select.space", space)

    def choose(self, sample_ids: Sequence[str], features: NDArray[np.float32]) -> NDArray[np.intp]:
        """See the base class.

        Raises:
            FgvrError: The features are not finite, of unit length, and as many as the photos.
        """
        if self.n >= len(sample_ids):
            return np.arange(len(sample_ids))
        order = draw_order(sample_ids, self.seed)
        unit = unit_features(features, order)
        # similarity to the nearest chosen photo; the first is chosen as if its opposite, minus the mean, had been
        nearest = -_similarity(unit, unit.mean(axis=0))
        chosen = np.empty(self.n, dtype=np.intp)
        for number in range(self.n):
            chosen[number] = image = np.argmin(nearest)
            similarity = _similarity(unit, unit[image])
            nearest = similarity if number == 0 else np.maximum(nearest, similarity)
            nearest[chosen[: number + 1]] = np.inf
        return np.sort(order[chosen])


def _similarity(unit: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Products with one vector, shape ``(N,)``; each is summed alone, so that neither threads nor other rows matter."""
    products: NDArray[np.float32] = np.einsum("nd,d->n", unit, vector)
    return products
