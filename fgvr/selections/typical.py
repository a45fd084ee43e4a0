"""The most typical photo of each cluster."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.records import Space, check_space
from fgvr.selections.base import Selection
from fgvr.selections.order import draw_order, unit_features


class TypicalSelection(Selection):
    """As many clusters as photos are wanted, and the most typical photo of each.

    TypiClust of Hacohen, Dekel and Weinshall, "Active learning on a budget", ICML 2022, for a first round: k-means with
    ``n`` clusters, then from each the photo in the densest place. Density is the mean cosine similarity to the nearest
    other photos of the cluster, where the paper has the inverse of the mean distance. Where there are fewer clusters
    than wanted photos, as among copies, the largest give a second one, and so on.

    Choices are not nested: another ``n`` makes other clusters, so that a raised ``n`` pays for many photos anew.

    Args:
        n: Photos to ask about.
        seed: Where k-means begins; another one makes somewhat other clusters.
        neighbours: Nearest photos that a photo's density is measured with; the paper's 20.
        space: Image features that distances are measured in: ``visual``, or ``joint``, which images share with texts.

    Raises:
        FgvrError: ``n`` or ``neighbours`` is below 1.
    """

    def __init__(self, n: int, seed: int = 0, neighbours: int = 20, space: Space = "visual") -> None:
        super().__init__(n, seed)
        if neighbours < 1:
            raise FgvrError(f"data.select.neighbours is {neighbours}; expected 1 or more.")
        self.neighbours = neighbours
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
        cluster = _clusters(unit, self.n, self.seed)
        size = np.bincount(cluster, minlength=self.n)
        by_cluster = np.argsort(cluster, kind="stable")
        rank = np.empty(len(unit), dtype=np.intp)
        for members in np.split(by_cluster, np.cumsum(size)[:-1]):
            # stable, so that the seed decides among equals
            rank[members[np.argsort(-_density(unit[members], self.neighbours), kind="stable")]] = np.arange(
                len(members)
            )
        best_first = np.lexsort((-size[cluster], rank))
        return np.sort(order[best_first[: self.n]])


def _clusters(unit: NDArray[np.float32], n: int, seed: int) -> NDArray[np.int64]:
    """Number of each photo's cluster, by k-means on the sphere."""
    import faiss  # heavy, and not needed where another selection is selected

    kmeans = faiss.Kmeans(
        unit.shape[1],
        n,
        spherical=True,
        seed=seed % 2**31,
        min_points_per_centroid=1,  # a cluster for each wanted photo, however few photos there are
    )
    kmeans.train(unit)
    cluster: NDArray[np.int64] = kmeans.index.search(unit, 1)[1][:, 0]
    return cluster


def _density(unit: NDArray[np.float32], neighbours: int) -> NDArray[np.float64]:
    """Mean similarity of each photo to its nearest others, shape ``(M,)``."""
    import faiss

    others = min(neighbours, len(unit) - 1)
    if others < 1:
        return np.zeros(len(unit))
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    similarity, _ = index.search(unit, others + 1)
    # the photo itself is among them, with a similarity of 1
    density: NDArray[np.float64] = (similarity.sum(axis=1, dtype=np.float64) - 1) / others
    return density
