"""The contract of a selection: the only file that the author of one must read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.records import Space


class Selection(ABC):
    """Chooses whom to ask about: ``n`` photos of the support set, so that few calls buy much of the vocabulary.

    Equal input gives an equal choice. Choices of one selection are nested where its method allows it: the first 100 are
    among the first 200, so that a raised ``n`` pays for the new ones only.

    Args:
        n: Photos to ask about; all of them where the support set is smaller.
        seed: Another one makes another choice.

    Raises:
        FgvrError: ``n`` is below 1.
    """

    needs_features: ClassVar[bool] = True
    """Whether ``features`` must be there."""
    space: Space = "visual"
    """Which image features these are; of the class, or of the object where it is an option."""

    def __init__(self, n: int, seed: int = 0) -> None:
        if n < 1:
            raise FgvrError(f"data.select.n is {n}; expected 1 photo or more.")
        self.n = n
        self.seed = seed

    @abstractmethod
    def choose(self, sample_ids: Sequence[str], features: NDArray[np.float32]) -> NDArray[np.intp]:
        """Numbers of the chosen photos, rising, shape ``(min(n, N),)``.

        Args:
            sample_ids: The N photos; an id may hold a true name, so do not read it: only hash it.
            features: L2-normalised float32 image features, shape ``(N, D)``; ``(0, 0)`` where they were not asked for.
        """
