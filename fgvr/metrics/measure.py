"""Everything that is measured of a list of predictions: figures, what photos count for, and intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.metrics.contributions import photo_figures, sacc_figures
from fgvr.metrics.intervals import LEVEL, RESAMPLES, affordable, bootstrap_intervals
from fgvr.metrics.name_pairs import NamePairs, name_pairs
from fgvr.metrics.set_figures import SetFigures, clustering, confidence, macro, resolved_cacc
from fgvr.text import counted

RESOLVED_RESAMPLES = 200
"""At most so many resamples are matched anew for ``cacc_resolved``: each takes as long as cACC itself."""


@dataclass(frozen=True)
class Measurement:
    """What was measured of N photos.

    Attributes:
        pairs: The names.
        contributions: Figure that is a mean over photos -> what each photo counts for, 0 to 100, shape ``(N,)``.
        set_figures: What gives the other figures.
    """

    pairs: NamePairs
    contributions: dict[str, NDArray[np.float64]]
    set_figures: tuple[SetFigures, ...]

    @cached_property
    def figures(self) -> dict[str, float]:
        """What :func:`fgvr.metrics.protocol.score` gives."""
        found = {figure: float(values.mean()) for figure, values in self.contributions.items()}
        every_photo = np.ones((1, len(self.pairs)))
        for figures in self.set_figures:
            found |= {figure: float(value[0]) for figure, value in figures(every_photo).items()}
        # similarities are float32, whose noise begins at the fifth decimal; and there is no -0
        return {figure: round(value, 4) + 0.0 for figure, value in found.items()}

    def intervals(
        self, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL, cacc_resolved: bool = False
    ) -> dict[str, tuple[float, float]]:
        """Bootstrap intervals of all figures; see :func:`fgvr.metrics.intervals.bootstrap_intervals`.

        Args:
            resamples: How many resamples; above 100,000 photos fewer, so that photos times resamples are at most 100
                million, but at least 200.
            seed: Seed of the draws.
            level: Share of the resamples inside of an interval.
            cacc_resolved: Also give ``cacc_resolved``: cACC with the matching solved anew for each resample, of which
                at most 200 are taken. ``cacc`` holds the matching of all photos.
        """
        resamples = affordable(resamples, len(self.pairs))
        found = bootstrap_intervals(self.contributions, resamples, seed, level, self.set_figures)
        if cacc_resolved:
            held = {"cacc": self.contributions["cacc"]}
            anew = bootstrap_intervals(
                held, min(resamples, RESOLVED_RESAMPLES), seed, level, (resolved_cacc(self.pairs),)
            )
            found["cacc_resolved"] = anew["cacc_resolved"]
        return found


def measure(
    predictions: Sequence[str],
    truth: Sequence[str],
    encoders: Sequence[str] | None = None,
    closed: bool = False,
    scores: Sequence[float] | None = None,
    finer_compat: bool = False,
) -> Measurement:
    """Measure predictions; for the figures alone there is :func:`fgvr.metrics.protocol.score`, with the same arguments.

    Raises:
        FgvrError: As ``score``.
    """
    pairs = name_pairs(predictions, truth)
    values = photo_figures(pairs, sacc_figures(encoders), closed, finer_compat)
    judges = ("accuracy", "cacc") if closed else ("cacc",)
    others = [*(macro(figure, values[figure], pairs) for figure in judges), clustering(pairs)]
    certain = _as_probabilities(scores, len(pairs))
    if certain is not None:
        others.append(confidence(certain, values[judges[0]]))
    return Measurement(pairs, values, tuple(others))


def _as_probabilities(scores: Sequence[float] | None, photos: int) -> NDArray[np.float64] | None:
    """The scores, where every photo has one from 0 to 1."""
    if scores is None:
        return None
    if len(scores) != photos:
        raise FgvrError(f"{counted(len(scores), 'score')} for {counted(photos, 'photo')}; expected one per photo.")
    found = np.asarray(scores, dtype=np.float64)
    # the last digit of a sum of probabilities may be any
    return found.clip(0, 1) if ((found > -0.001) & (found < 1.001)).all() else None
