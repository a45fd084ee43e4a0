"""Bootstrap intervals: how much figures would vary if other photos of the same kind had been drawn."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fgvr.metrics.set_figures import SetFigures

RESAMPLES = 1000
LEVEL = 0.95
MOST_DRAWS = 10**8
"""Photos times resamples: above 100,000 photos there are fewer than 1,000 resamples, but at least 200."""
_FEWEST = 200
_WEIGHTS_TOGETHER = 2**22


def affordable(resamples: int, photos: int) -> int:
    """As many of these resamples as :data:`MOST_DRAWS` allows, 200 of them whatever it allows.

    Args:
        resamples: How many are wanted.
        photos: How many are drawn for each, at least 1.

    Example:
        >>> affordable(1000, 50_000), affordable(1000, 200_000), affordable(50, 10**9)
        (1000, 500, 50)
    """
    return min(resamples, max(_FEWEST, MOST_DRAWS // photos))


def bootstrap_intervals(
    values: Mapping[str, NDArray[np.float64]],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    set_figures: Sequence[SetFigures] = (),
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of figures, by drawing the photos anew with replacement.

    Every figure sees the same resamples, which depend on the number of photos and the seed alone. Photos are what is
    drawn: classes, the vocabulary, the training and its seed stay as they are, and so does what that does to a figure.

    Where resamples are better or worse than the photos themselves, because a photo that was drawn twice is an easy one
    (NMI, the calibration error, a matching that is solved anew), the interval of a figure of ``set_figures`` is moved
    so that the mean of its resamples lies at the figure.

    Args:
        values: Figure -> what each photo counts for, as :func:`fgvr.metrics.contributions.contributions` gives it,
            shape ``(N,)``.
        resamples: How many, at least 1.
        seed: Seed of the draws.
        level: Share of the resamples inside of the interval, between 0 and 1.
        set_figures: Figures that are no means over photos.

    Returns:
        Figure -> lower and upper bound, rounded to four decimals.

    Raises:
        ValueError: There is no photo, figures differ in their number, or ``resamples`` or ``level`` is out of range.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Example:
        >>> bootstrap_intervals({"cacc": np.array([100.0] * 80 + [0.0] * 20)})
        {'cacc': (72.0, 88.0)}
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples is {resamples} and level {level}; expected 1 or more, and between 0 and 1.")
    if len({len(each) for each in values.values()}) > 1:
        raise ValueError("The figures are of different numbers of photos.")
    photos = len(next(iter(values.values())))
    matrix = np.stack(list(values.values()), axis=1)
    drawn: dict[str, list[NDArray[np.float64]]] = {}
    for weights in resampled(photos, resamples, seed):
        means = weights @ matrix / photos
        found = dict(zip(values, means.T, strict=True))
        for figures in set_figures:
            found |= figures(weights)
        for figure, each in found.items():
            drawn.setdefault(figure, []).append(each)
    whole = {figure: float(value[0]) for each in set_figures for figure, value in each(np.ones((1, photos))).items()}
    bounds = (0.5 - level / 2, 0.5 + level / 2)
    intervals = {}
    for figure, blocks in drawn.items():
        every = np.concatenate(blocks)
        low, high = np.quantile(every, bounds)
        if figure in whole:
            moved = np.array([low, high]) + whole[figure] - every.mean()
            low, high = np.clip(moved, min(0.0, every.min()), 100.0)
        intervals[figure] = (round(float(low), 4), round(float(high), 4))
    return intervals


def resampled(photos: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each photo is drawn, for some resamples at a time; fewer of them where there are many photos.

    Args:
        photos: How many there are, at least 1; as many are drawn for a resample.
        resamples: How many resamples, all in all.
        seed: Seed of the draws; the first resamples are the same however many follow.

    Yields:
        Whole numbers as float64, shape ``(B, photos)``; each row adds up to ``photos``.

    Raises:
        ValueError: There is no photo.
    """
    if photos < 1:
        raise ValueError("There are no photos to draw from.")
    random = np.random.default_rng(seed)
    together = max(1, _WEIGHTS_TOGETHER // photos)
    for first in range(0, resamples, together):
        rows = min(together, resamples - first)
        draws = random.integers(photos, size=(rows, photos))
        draws += photos * np.arange(rows)[:, None]
        yield np.bincount(draws.ravel(), minlength=rows * photos).reshape(rows, photos).astype(np.float64)
