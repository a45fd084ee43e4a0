"""Bootstrap intervals of figures that are means over photos."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_DRAWS = 1_000
_CHUNK = 50


def bootstrap_intervals(values: Mapping[str, NDArray[np.float64]], seed: int = 0) -> dict[str, tuple[float, float]]:
    """The 95 % percentile interval of the mean of each figure, photos drawn with replacement 1,000 times.

    Args:
        values: Figure -> its value for each photo, the mean over repeats where there are several; shape ``(N,)``.
        seed: Of the draws.

    Returns:
        Figure -> its lower and upper bound; figures without photos are left out.
    """
    found = {}
    for figure, each in values.items():
        count = len(each)
        if not count:
            continue
        rng = np.random.default_rng(seed)
        means = np.concatenate(
            [
                rng.multinomial(count, np.full(count, 1 / count), size=_CHUNK) @ each / count
                for _ in range(_DRAWS // _CHUNK)
            ]
        )
        low, high = np.percentile(means, [2.5, 97.5])
        found[figure] = (float(low), float(high))
    return found
