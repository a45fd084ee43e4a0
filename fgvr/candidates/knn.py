"""Names of the nearest photos as candidates: the FGVR paper's candidate sets."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.base import CandidateStrategy, NamedPhotos
from fgvr.candidates.single import own_names
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets

_MARGIN = 1e-4
"""More than the float32 rounding of a cosine: photos closer than this to the k-th similarity may belong before it."""

_BLOCK_VALUES = 2**24
"""Feature values that are gathered at a time (float64: 128 MB)."""


class KnnCandidates(CandidateStrategy):
    """The names of the k photos nearest in image-feature space, the photo itself included, with uniform weights.

    The manifold assumption of the FGVR paper (section 3): photos that look alike share a name, so where the labeler got
    this photo wrong, the neighbours' names may hold the true one.

    Each photo contributes one name, the first that the labeler gave it, as in the paper. The set starts with the
    photo's own name; the neighbours' names follow by falling cosine similarity, equal ones in the order of the photos.
    Names that occur twice count once, so a set holds 1 to k names. Photos without a name are nobody's neighbours; they
    get the names of the k nearest photos that have one.

    Args:
        k: Photos whose names go into a set, the photo itself among them; at least 1. With fewer named photos, all of
            them. The paper uses 3.

    Raises:
        FgvrError: ``k`` is below 1.

    Example:
        >>> photos = NamedPhotos(
        ...     sample_ids=("a.jpg", "b.jpg", "c.jpg"),
        ...     labels=[(0,), (1,), (2,)],
        ...     num_classes=3,
        ...     features=np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32),
        ... )
        >>> sets = KnnCandidates(k=2).build(photos)
        >>> [indices.tolist() for indices, weights in sets]
        [[0, 2], [1, 2], [2, 1]]
    """

    needs_features: ClassVar[bool] = True

    def __init__(self, k: int = 3) -> None:
        if k < 1:
            raise FgvrError(f"candidates.k is {k}: it must be at least 1 (the photo itself).")
        self.k = k

    def build(self, photos: NamedPhotos) -> CandidateSets:
        """One set for each photo.

        Raises:
            FgvrError: No photo has a name, or the features are not of unit length.
        """
        own = own_names(photos)
        lengths = np.linalg.norm(photos.features, axis=1, keepdims=True)
        if len(lengths) != len(own) or not (np.abs(lengths - 1) < 0.01).all():  # also refuses NaN
            raise FgvrError(
                f"candidates needs finite, L2-normalised image features of all {len(own)} photos, but those of shape "
                f"{photos.features.shape} are not: normalise them in the backbone's encode_image."
            )
        unit = photos.features / lengths  # features kept in half precision are off by enough to lose the photo itself
        names = own[nearest(unit, np.flatnonzero(own >= 0), self.k)]
        repeated = np.tril(names[:, :, None] == names[:, None, :], -1).any(axis=2)
        sizes = (~repeated).sum(axis=1)
        return CandidateSets(
            sample_ids=photos.sample_ids,
            offsets=np.concatenate([[0], np.cumsum(sizes)]),
            indices=names[~repeated],
            weights=np.repeat(1 / sizes, sizes).astype(np.float32),
        )


def nearest(
    features: NDArray[np.float32], named: NDArray[np.intp], k: int, queries: NDArray[np.intp] | None = None
) -> NDArray[np.int64]:
    """Numbers of the k photos out of ``named`` nearest to each photo, itself first, then nearest first.

    faiss alone would not do: its float32 products depend on the batch and the number of threads in the last bit, and
    among equal photos it returns any (perhaps not the photo itself). So it proposes more than k, until the proposals
    reach clearly below the k-th similarity; products in float64, each summed alone, then decide.

    Args:
        features: L2-normalised, shape ``(N, D)``.
        named: Photos to choose from, rising, shape ``(L,)``.
        k: How many.
        queries: Photos to search for, shape ``(Q,)``; all N if not given.

    Returns:
        Shape ``(Q, min(k, L))``, rows in the order of ``queries``.
    """
    import faiss  # heavy, and not needed where another strategy is selected

    index = faiss.IndexFlatIP(features.shape[1])
    index.add(features[named])
    k = min(k, len(named))
    queries = np.arange(len(features)) if queries is None else queries
    result = np.empty((len(queries), k), dtype=np.int64)
    pending, width = np.arange(len(queries)), k
    while len(pending):
        width = min(2 * width, len(named))
        blocks = np.array_split(pending, -(-len(pending) * width * features.shape[1] // _BLOCK_VALUES))
        unsettled = []
        for block in blocks:
            similarity, found = index.search(features[queries[block]], width)
            settled = (similarity[:, -1] < similarity[:, k - 1] - _MARGIN) | (width == len(named))
            photos, found = queries[block[settled]], named[found[settled]]
            exact = np.einsum("nd,nwd->nw", features[photos].astype(np.float64), features[found].astype(np.float64))
            exact[found == photos[:, None]] = np.inf
            order = np.lexsort((found, -exact))[:, :k]
            result[block[settled]] = np.take_along_axis(found, order, axis=1)
            unsettled.append(block[~settled])
        pending = np.concatenate(unsettled)
    return result
