"""The contract of a relabelling: the only file that its author must read."""

from abc import ABC, abstractmethod

from torch import Tensor

from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.records import Space, check_space

EXACT_BELOW = 20_000
"""Photos up to which a graph is searched exactly, in a time that grows with their square: 100,000 took more than five
minutes, and the inverted file that is searched above, whose recall is measured, 45 s."""


class Relabelling(ABC):
    """Says anew what support photos show, by what they look like: from candidate sets to candidate sets.

    Equal input gives equal sets, and what is said of a photo does not depend on its place among the photos. It is
    always given what came of the labeler's names, so that a run that goes on, or starts again, says the same.

    Where photos that look alike were not given the same name more often than by chance, looks cannot mend names. So it
    is done only where a photo's name is found among the other photos' names often enough, and where names that were
    hidden are found more often after it than before (:func:`fgvr.relabelling.gate.judge`).

    Args:
        m: Candidates of a photo, at most; at least 1. What is left out counted least.
        min_agreement: Leave names as they are where class means, without having learned from a photo, give fewer photos
            than this share the labeler's name, from 0 to 1. 0 is always, and hidden names are not looked at then.
        space: Image features that say what photos look like: ``visual``, or ``joint``, which images share with texts.

    Raises:
        FgvrError: An option is out of its range.
    """

    def __init__(self, m: int = 5, min_agreement: float = 0.2, space: Space = "visual") -> None:
        if m < 1:
            raise FgvrError(f"relabelling.m is {m}: it must be at least 1.")
        if not 0 <= min_agreement <= 1:
            raise FgvrError(f"relabelling.min_agreement is {min_agreement}: it must be from 0 to 1; 0.2 is usual.")
        self.m = m
        self.min_agreement = min_agreement
        self.space = check_space("relabelling.space", space)

    needs_several: bool = False
    """Whether only sets of several names can be changed."""

    @abstractmethod
    def relabel(self, features: Tensor, names: SoftNames) -> SoftNames:
        """What the photos show.

        Args:
            features: Centred image features of length 1, float32, shape ``(N, D)``.
            names: What they were said to show: their candidate sets. A row without weight is a photo of which nothing
                is known, and may be given names. At least one photo has one.

        Returns:
            At most ``m`` classes a photo, the heaviest first, all of them among those that ``names`` has anywhere.
        """
