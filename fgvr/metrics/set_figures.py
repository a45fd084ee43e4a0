"""Figures of a whole set of photos that are no means over them, for any weights of the photos.

A weight is how often a photo counts: 1 for the figure itself, and how often it was drawn for a resample of a bootstrap.
So the figure and its interval come from the same lines.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import xlogy

from fgvr.metrics.matching import best_matching
from fgvr.metrics.name_pairs import NamePairs

Floats = NDArray[np.float64]

SetFigures = Callable[[Floats], dict[str, Floats]]
"""Weights of N photos in B resamples, shape ``(B, N)`` -> figure -> its value from 0 to 100 in each, shape ``(B,)``."""

BINS = 15
"""Bins of equal width for the calibration error, as Guo et al. have them."""
SHARES = (50, 80)
"""Percent of the photos, those with the highest scores, that ``selective_accuracy_<percent>`` looks at."""


def macro(figure: str, right: Floats, pairs: NamePairs) -> SetFigures:
    """``<figure>_macro``: the share of right photos of each true class, mean over the classes that there are.

    Args:
        figure: Name of the figure that is the mean over photos.
        right: What each photo counts for in it, 0 to 100, shape ``(N,)``.
        pairs: The names.
    """
    members = _members(pairs.true, len(pairs.classes))

    def figures(weights: Floats) -> dict[str, Floats]:
        photos = weights @ members
        of_class = np.divide((weights * right) @ members, photos, out=np.zeros_like(photos), where=photos > 0)
        return {f"{figure}_macro": of_class.sum(1) / (photos > 0).sum(1)}

    return figures


def clustering(pairs: NamePairs) -> SetFigures:
    r"""``nmi`` and ``ari``: how much predicted names, as groups of photos, tell of the true classes.

    .. math::
        \text{NMI} = \frac{2 I(\hat{Y}; Y)}{H(\hat{Y}) + H(Y)}, \qquad
        \text{ARI} = \frac{2 (ad - bc)}{(a + c)(c + d) + (a + b)(b + d)}

    for mutual information and entropies of the two groupings, and for the pairs of photos that both group together
    (:math:`a`), only one does (:math:`b, c`) or none (:math:`d`). Both are 100 for equal groupings. ARI is about 0 for
    names by chance, and may be below; NMI is not corrected for chance and grows with the number of names. Photos
    without a name are one group. Two groupings of one group each are equal.

    Args:
        pairs: The names.

    Source:
        Vinh, Epps and Bailey, JMLR 2010 (NMI with the arithmetic mean); Hubert and Arabie, 1985. FineR reports them.
    """
    same_pair = _members(pairs.pair, len(pairs.pairs))
    name_of, class_of = (_members(column, int(column.max()) + 1) for column in pairs.pairs.T)

    def figures(weights: Floats) -> dict[str, Floats]:
        both = weights @ same_pair
        named, true = both @ name_of, both @ class_of
        photos = weights.sum(1)
        return {"nmi": 100 * _nmi(both, named, true, photos), "ari": 100 * _ari(both, named, true, photos)}

    return figures


def resolved_cacc(pairs: NamePairs) -> SetFigures:
    """``cacc_resolved``: cACC with the matching solved for the resample alone; without weights it is cACC.

    Args:
        pairs: The names.
    """
    same_pair = _members(pairs.pair, len(pairs.pairs))

    def figures(weights: Floats) -> dict[str, Floats]:
        names, classes = pairs.pairs.T
        matched = [best_matching(names, classes, photos)[2].sum() for photos in (weights @ same_pair).astype(np.int64)]
        return {"cacc_resolved": 100 * np.asarray(matched, dtype=np.float64) / weights.sum(1)}

    return figures


def confidence(scores: Floats, right: Floats) -> SetFigures:
    r"""``ece`` and ``selective_accuracy_<percent>``: whether scores say how often names are right.

    .. math::
        \text{ECE} = 100 \sum_{m=1}^{15} \frac{|B_m|}{N} \Big| \frac{1}{|B_m|} \sum_{i \in B_m} (r_i - s_i) \Big|

    for scores :math:`s`, right photos :math:`r` and bins :math:`B_m` of the scores in
    :math:`(\tfrac{m-1}{15}, \tfrac{m}{15}]`, a score of 0 in the first. The selective accuracy is the share of right
    photos among the given percent (rounded up to whole photos) with the highest scores. Of photos with equal scores of
    which only some have room, each counts the same part.

    Args:
        scores: How sure each name is, 0 to 1, shape ``(N,)``.
        right: 100 where the photo is right, else 0, shape ``(N,)``.

    Source:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; Geifman and El-Yaniv, "Selective
        Classification for Deep Neural Networks", NeurIPS 2017 (accuracy at a given coverage).
    """
    bins = _members(np.clip(np.ceil(scores * BINS) - 1, 0, BINS - 1).astype(np.int64), BINS)
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(-scores[order], prepend=-np.inf))

    def figures(weights: Floats) -> dict[str, Floats]:
        photos = weights.sum(1)
        found = {"ece": np.abs((weights * (right - 100 * scores)) @ bins).sum(1) / photos}
        ordered = weights[:, order]
        tied = np.add.reduceat(ordered, starts, axis=1)
        ordered *= right[order]
        tied_right = np.add.reduceat(ordered, starts, axis=1)
        above, right_above = tied.cumsum(1), tied_right.cumsum(1)
        row = np.arange(len(weights))
        for percent in SHARES:
            wanted = np.ceil(np.round(photos * percent / 100, 6))
            last = row, (above >= wanted[:, None]).argmax(1)
            # what the photos that have all room leave to the last ones, which share it
            room = wanted - (above[last] - tied[last])
            found[f"selective_accuracy_{percent}"] = (
                right_above[last] - tied_right[last] + room * tied_right[last] / tied[last]
            ) / wanted
        return found

    return figures


def _nmi(both: Floats, named: Floats, true: Floats, photos: Floats) -> Floats:
    shared, of_names, of_classes = (xlogy(counts, counts).sum(1) / photos for counts in (both, named, true))
    entropies = 2 * np.log(photos) - of_names - of_classes
    information = shared - of_names - of_classes + np.log(photos)
    one_group = entropies < 1e-12
    share = np.divide(2 * information, entropies, out=np.ones_like(entropies), where=~one_group)
    found: Floats = np.clip(share, 0, 1)
    return found


def _ari(both: Floats, named: Floats, true: Floats, photos: Floats) -> Floats:
    together, of_names, of_classes = ((counts**2).sum(1) for counts in (both, named, true))
    a, b, c = together - photos, of_names - together, of_classes - together
    d = photos**2 - b - c - together
    equal = (b == 0) & (c == 0)
    expected = (a + c) * (c + d) + (a + b) * (b + d)
    found: Floats = np.divide(2 * (a * d - b * c), expected, out=np.ones_like(expected), where=~equal)
    return found


def _members(group: NDArray[np.int64], groups: int) -> sparse.csr_array:
    """Which entries are in which group, shape ``(entries, groups)``; what is multiplied by it is summed by group."""
    entries = len(group)
    return sparse.csr_array((np.ones(entries), group, np.arange(entries + 1)), shape=(entries, groups))
