"""The nearest photos among very many: an inverted file (IVF), whose cells are searched one matrix product each."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fgvr.candidates.nearest import Proposals, in_blocks, nearest_and_similarity, settle

_SCALE = 4000.0
"""Length of the whole-number vectors that photos are compared with centroids in.

By Cauchy and Schwarz every partial sum of a product of two such vectors is below 2^24, for up to 30,000 dimensions. So
float32 has it exactly, and cells do not depend on the order of the additions: not on the number of threads.
"""
_IMAGES_A_CENTROID = 64
_ROUNDS = 6
_MAX_PROBES = 64
"""More cells than this are not searched for a photo, whatever the recall."""
_WIDEST = 1024
"""More proposals than this are not compared for a photo: it has that many all but equal neighbours."""
_AIM = 0.995
"""Share of the sampled neighbours that the probed cells must hold: above what is promised, since it is an estimate."""


class InvertedFile:
    r"""Photos in cells around centroids, of which a search visits the few nearest to the photo (IVF).

    Sivic and Zisserman 2003; Jegou, Douze and Schmid 2011. Centroids are found by spherical k-means (Dhillon and Modha
    2001) on a sample that is drawn with a fixed seed. All photos are searched for at once, so the cells are visited in
    turn and each is one matrix product of the photos that probe it with those in it.

    Memory: the features are neither copied nor compressed. Result: the k nearest photos of the probed cells, by
    products in float64, on any number of threads. Where more than 1,024 photos are all but equally near, it is not
    said which of them are taken.

    Args:
        features: L2-normalised, shape ``(N, D)``.
        named: Photos to choose from, rising, shape ``(L,)``.
        cells: How many; about :math:`4 \sqrt{L}` if not given.
        seed: Draws the sample.
    """

    def __init__(
        self, features: NDArray[np.float32], named: NDArray[np.intp], cells: int | None = None, seed: int = 0
    ) -> None:
        self.features = features
        self.named = named
        generator = np.random.default_rng(seed)
        cells = min(cells or max(round(4 * len(named) ** 0.5), 1), len(named))
        size = min(_IMAGES_A_CENTROID * cells, len(named))
        self.centroids = _train(features, np.sort(generator.choice(named, size, replace=False)), cells, generator)

    def choose_probes(self, k: int, queries: NDArray[np.intp]) -> int:
        """How many cells must be searched so that they hold the true neighbours of ``queries``, but for one in 200.

        Args:
            k: How many nearest photos, the photo itself included.
            queries: A sample of photos; all ``named`` photos are searched for each.
        """
        truth, _ = nearest_and_similarity(self.features, self.named, k, queries)
        cells = self.nearest_cells(truth.ravel(), 1).reshape(truth.shape)
        order = self.nearest_cells(queries, len(self.centroids))
        position = np.empty_like(order)
        np.put_along_axis(position, order, np.arange(order.shape[1], dtype=order.dtype)[None], axis=1)
        needed = np.take_along_axis(position, cells, axis=1)[truth != queries[:, None]]
        if not len(needed):
            return 1
        return min(int(np.quantile(needed, _AIM, method="higher")) + 1, _MAX_PROBES)

    def search(self, k: int, probes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k nearest photos of all N that the ``probes`` nearest cells hold, itself first, then nearest first.

        Returns:
            Photos and cosine similarities, shape ``(N, k)``. A photo whose cells hold fewer than k is compared with
            all.
        """
        everyone = np.arange(len(self.features))
        probed = self.nearest_cells(everyone, probes)
        own = probed[self.named, 0]
        members = self.named[np.argsort(own, kind="stable")]
        ends = np.cumsum(np.bincount(own, minlength=len(self.centroids)))

        def propose(rows: NDArray[np.intp], width: int) -> Proposals:
            return _visit(self.features, members, ends, rows, probed[rows], width)

        images, similarity = settle(propose, self.features, everyone, k, min(len(self.named), max(_WIDEST, 2 * k)))
        short = np.flatnonzero(images[:, -1] < 0)
        images[short], similarity[short] = nearest_and_similarity(self.features, self.named, k, short)
        return images, similarity

    def nearest_cells(self, images: NDArray[np.intp], count: int) -> NDArray[np.int32]:
        """The ``count`` cells nearest to each of ``images``, nearest first."""
        import faiss  # heavy, and not needed where another strategy is selected

        result = np.empty((len(images), count), dtype=np.int32)
        for rows in in_blocks(np.arange(len(images)), max(self.features.shape[1], count)):
            whole = _whole_numbers(self.features[images[rows]])
            result[rows] = faiss.knn(whole, self.centroids, count, metric=faiss.METRIC_INNER_PRODUCT)[1]
        return result


def _whole_numbers(features: NDArray[np.float32]) -> NDArray[np.float32]:
    whole: NDArray[np.float32] = np.rint(features * np.float32(_SCALE))
    return whole


def _train(
    features: NDArray[np.float32], sample: NDArray[np.intp], cells: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Centroids by spherical k-means: whole numbers, shape ``(cells, D)``."""
    import faiss  # heavy, and not needed where another strategy is selected

    points = _whole_numbers(features[sample])
    centroids = points[np.sort(generator.choice(len(points), cells, replace=False))]
    for _ in range(_ROUNDS):
        cell = faiss.knn(points, centroids, 1, metric=faiss.METRIC_INNER_PRODUCT)[1][:, 0]
        ones = np.ones(len(points), dtype=np.float32)
        sums = sparse.csr_matrix((ones, (cell, np.arange(len(points)))), shape=(cells, len(points))) @ points
        lengths = np.linalg.norm(sums, axis=1)
        empty = lengths == 0
        centroids = _whole_numbers(sums / np.where(empty, 1, lengths)[:, None])
        # a cell that lost all its photos begins again somewhere else
        centroids[empty] = points[np.sort(generator.choice(len(points), int(empty.sum()), replace=False))]
    return centroids


def _visit(
    features: NDArray[np.float32],
    members: NDArray[np.intp],
    ends: NDArray[np.intp],
    queries: NDArray[np.intp],
    probed: NDArray[np.int32],
    width: int,
) -> Proposals:
    """The ``width`` most similar photos of the probed cells.

    Args:
        features: Shape ``(N, D)``.
        members: Photos, cell by cell.
        ends: Where each cell ends in ``members``.
        queries: Photos to search for, shape ``(Q,)``.
        probed: Their cells, shape ``(Q, probes)``.
        width: How many.
    """
    import faiss  # heavy, and not needed where another strategy is selected

    best = faiss.ResultHeap(len(queries), width, keep_max=True)
    visits = np.argsort(probed, axis=None, kind="stable") // probed.shape[1]
    visitors = np.split(visits, np.cumsum(np.bincount(probed.ravel(), minlength=len(ends)))[:-1])
    for rows, images in zip(visitors, np.split(members, ends[:-1]), strict=True):
        if len(rows) == 0 or len(images) == 0:
            continue
        inside = features[images]
        for block in in_blocks(rows, features.shape[1]):
            similarity, found = faiss.knn(
                features[queries[block]], inside, min(width, len(images)), metric=faiss.METRIC_INNER_PRODUCT
            )
            best.add_result_subset(block, similarity, images[found])
    best.finalize()
    return best.D, best.I
