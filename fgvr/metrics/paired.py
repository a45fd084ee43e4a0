"""Paired tests: whether one row is above another by more than chance, over the same photos or the same seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from fgvr.metrics.intervals import LEVEL, resampled

MOST_DRAWS = 4 * 10**8
"""Photos times resamples of a paired bootstrap: above 40,000 photos there are fewer than 10,000 resamples."""
_EXACT_SEEDS = 15


@dataclass(frozen=True)
class PairedDifference:
    """By how much one row is above another.

    Attributes:
        difference: Mean of the differences.
        low: Lower bound of its 95 % interval.
        high: Upper bound.
        p: Two-sided p-value: how often the difference would be that large if there were none.
    """

    difference: float
    low: float
    high: float
    p: float


def mcnemar(right_a: ArrayLike, right_b: ArrayLike) -> float:
    """McNemar's exact test of two rows over the same photos.

    Of the photos that one row alone has right, half should be the first row's if the two were as good; photos that both
    have right, or neither, say nothing.

    Args:
        right_a: Whether the first row has each photo right (or 100 and 0), shape ``(N,)``.
        right_b: The same of the second row.

    Returns:
        The two-sided p-value of the binomial test; 1 where the rows differ in no photo.

    Raises:
        ValueError: The rows are of different numbers of photos.

    Source:
        McNemar, Psychometrika 1947; Dietterich, Neural Computation 1998.

    Example:
        >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
        0.0625
    """
    first, second = _paired(right_a, right_b)
    only_a, only_b = int(((first > 0) & ~(second > 0)).sum()), int(((second > 0) & ~(first > 0)).sum())
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def paired_bootstrap(a: ArrayLike, b: ArrayLike, resamples: int = 10_000, seed: int = 0) -> PairedDifference:
    """The difference of two rows over the same photos, by drawing photos anew with replacement.

    The p-value is twice the share of resamples on whose side the difference is not (with one resample added to each
    side), so it is below 0.05 about where the 95 % interval leaves out 0. Above 40,000 photos fewer resamples are
    drawn: photos times resamples are at most 400 million, and resamples at least 1,000.

    Args:
        a: What each photo counts for in the first row, shape ``(N,)``.
        b: The same of the second row.
        resamples: How many resamples, at least 1.
        seed: Seed of the draws.

    Returns:
        The first row's mean minus the second's.

    Raises:
        ValueError: The rows are of different numbers of photos, or of none.

    Example:
        >>> paired_bootstrap([80.0, 90.0, 70.0], [80.0, 90.0, 70.0]).p
        1.0
    """
    first, second = _paired(a, b)
    return paired_bootstraps((first - second)[:, None], resamples, seed)[0]


def paired_bootstraps(
    differences: NDArray[np.float64], resamples: int = 10_000, seed: int = 0
) -> list[PairedDifference]:
    """:func:`paired_bootstrap` of several figures, which see the same resamples.

    Args:
        differences: First row minus second, of each photo and figure, shape ``(N, F)``.
        resamples: How many resamples, at least 1.
        seed: Seed of the draws.

    Returns:
        One for each figure.
    """
    photos = len(differences)
    resamples = min(resamples, max(1000, MOST_DRAWS // max(1, photos)))
    drawn = np.concatenate([weights @ differences / photos for weights in resampled(photos, resamples, seed)])
    # what is 0 but for the rounding of sums is 0
    drawn[np.abs(drawn) < 1e-9] = 0.0
    low, high = np.quantile(drawn, (0.5 - LEVEL / 2, 0.5 + LEVEL / 2), axis=0)
    side = np.minimum((drawn <= 0).sum(0), (drawn >= 0).sum(0))
    p = np.minimum(1.0, 2 * (side + 1) / (resamples + 1))
    found = zip(differences.mean(0).tolist(), low.tolist(), high.tolist(), p.tolist(), strict=True)
    return [PairedDifference(*each) for each in found]


def seed_permutation(a: ArrayLike, b: ArrayLike) -> float:
    """Sign-flip test of two rows over the same seeds: of how many signs of the differences is their sum as large.

    With n seeds no p-value is below ``2 ** (1 - n)``: 0.25 with 3, 0.0625 with 5.

    Args:
        a: A figure of the first row for each seed, shape ``(n,)``.
        b: The same of the second row.

    Returns:
        The two-sided p-value: of all signs for up to 15 seeds, of 32,768 random ones, with one added, above.

    Raises:
        ValueError: The rows have different numbers of seeds, or none.

    Source:
        Fisher, "The Design of Experiments", 1935.

    Example:
        >>> seed_permutation([81.0, 82.0, 83.0], [80.0, 80.0, 80.0])
        0.25
    """
    first, second = _paired(a, b)
    differences = first - second
    seeds = len(differences)
    if seeds == 0:
        raise ValueError("There are no seeds to compare.")
    if seeds <= _EXACT_SEEDS:
        signs = 1 - 2 * ((np.arange(2**seeds)[:, None] >> np.arange(seeds)) & 1)
        extra = 0
    else:
        signs = np.random.default_rng(0).choice((-1, 1), size=(2**_EXACT_SEEDS, seeds))
        extra = 1
    observed = abs(differences.sum())
    # sums of the same numbers in another order differ in their last digits
    as_large = np.abs(signs @ differences) >= observed - 1e-9 * max(1.0, observed)
    return float((as_large.sum() + extra) / (len(signs) + extra))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, so that the chance of any false finding keeps its level.

    Args:
        p_values: P-values of one family of tests, in any order.

    Returns:
        The adjusted ones in the same order, never below the given ones nor above 1; a smaller p-value never has a
        larger adjusted one.

    Source:
        Holm, Scandinavian Journal of Statistics 1979.

    Example:
        >>> holm([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _paired(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = (np.asarray(each, dtype=np.float64) for each in (a, b))
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"Paired values have shapes {first.shape} and {second.shape}; expected one each per photo.")
    return first, second
