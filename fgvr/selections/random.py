"""Photos drawn uniformly."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fgvr.selections.base import Selection
from fgvr.selections.order import draw_order


class RandomSelection(Selection):
    """Draws photos uniformly. Choices of one seed are nested: the first 100 are among the first 200.

    Whether a photo is drawn depends on seed and sample ids alone.

    Args:
        n: Photos to ask about.
        seed: Another one makes another choice.

    Example:
        >>> ids = [f"{number}.jpg" for number in range(100)]
        >>> chosen = [RandomSelection(n).choose(ids, np.zeros((0, 0), np.float32)) for n in (10, 20)]
        >>> set(chosen[0]) < set(chosen[1])
        True
    """

    needs_features: ClassVar[bool] = False

    def choose(self, sample_ids: Sequence[str], features: NDArray[np.float32]) -> NDArray[np.intp]:
        """See the base class; ``features`` are not looked at."""
        return np.sort(draw_order(sample_ids, self.seed)[: self.n])
