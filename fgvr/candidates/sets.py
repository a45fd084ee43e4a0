"""Candidate sets from the names of neighbours."""

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.nearest import in_blocks
from fgvr.records import CandidateSets

_MIN = 1e-6
"""Share of the largest weight of its set that every weight has at least: losses need positive ones."""


def sets_from_names(
    sample_ids: Sequence[str], names: NDArray[np.int64], shares: NDArray[np.float64] | None = None
) -> CandidateSets:
    """One candidate set a photo; a name that comes again adds its share to the first.

    Args:
        sample_ids: The N photos.
        names: Class indices, shape ``(N, K)``, -1 for none. A photo without any is left out.
        shares: What each of the names counts for, not negative, of the same shape. If not given, the candidates of a
            set weigh the same, however often they come.

    Example:
        >>> sets = sets_from_names(["a.jpg"], np.array([[4, 2, 4]]), np.array([[1.0, 1.0, 1.0]]))
        >>> sets.indices.tolist(), sets.weights.tolist()
        ([4, 2], [0.6666666865348816, 0.3333333432674408])
    """
    first = np.empty(names.shape, dtype=bool)
    totals = np.ones(names.shape)
    for rows in in_blocks(np.arange(len(names)), names.shape[1] ** 2):
        same = names[rows, :, None] == names[rows, None, :]
        first[rows] = ~np.tril(same, -1).any(axis=2) & (names[rows] >= 0)
        if shares is not None:
            totals[rows] = np.einsum("nij,nj->ni", same, shares[rows])
    totals[~first] = 0
    totals[first] = np.maximum(totals, _MIN * totals.max(axis=1, keepdims=True))[first]
    sizes = first.sum(axis=1)
    kept = sizes > 0
    weights = totals[kept] / totals[kept].sum(axis=1, keepdims=True)
    return CandidateSets(
        sample_ids=tuple(compress(sample_ids, kept.tolist())),
        offsets=np.concatenate([[0], np.cumsum(sizes[kept])]),
        indices=names[first],
        weights=weights[first[kept]].astype(np.float32),
    )
