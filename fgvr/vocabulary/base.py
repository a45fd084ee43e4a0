"""The contract of a vocabulary strategy: the only file that the author of one must read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fgvr.records import Join, LabelRecord, Space, Vocabulary


@dataclass(frozen=True, eq=False)
class GivenNames:
    """What a strategy may look at.

    Attributes:
        labels: What the labeler said of each of the N support photos; no true names.
        image_features: L2-normalised float32 features of these photos in a space, shape ``(N, D)``. Asked for, they are
            computed if they are not stored.
        text_features: L2-normalised float32 features of texts in the joint space, shape ``(M, D)``.
    """

    labels: Sequence[LabelRecord]
    image_features: Callable[[Space], NDArray[np.float32]]
    text_features: Callable[[Sequence[str]], NDArray[np.float32]]


class VocabularyStrategy(ABC):
    """Says which classes of the names that a labeler gave are one class.

    Spellings and synonyms are joined before: see :func:`fgvr.vocabulary.build.build_vocabulary`. A strategy joins
    further, class by class, and says why; nothing is lost, because every spelling still leads to its class. A list of
    names that the user gave is never put before a strategy.

    The result does not depend on the order of the photos or classes, and joining what was joined changes nothing.
    """

    @abstractmethod
    def joins(self, vocabulary: Vocabulary, given: GivenNames) -> list[Join]:
        """The classes that are no class of their own.

        Args:
            vocabulary: The classes so far.
            given: What was said of the support photos, and how they look.

        Returns:
            A join for each of them. It may lead to a class that is joined itself.
        """
