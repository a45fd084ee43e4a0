"""What a method may say of how doubtful its labels are, beside the probabilities of its row."""

from abc import ABC, abstractmethod

from fgvr.backbones.base import ImageFeatures
from fgvr.filters.base import Filter, PseudoLabels


class Doubting(ABC):
    """A method of several models, or of one with negative prompts, whose filter says which photos to ask about next.

    Of any other method, the classifier of its own row is asked, and the log-odds of the class that it gives are the
    doubt.
    """

    @property
    @abstractmethod
    def doubt_filter(self) -> Filter:
        """The filter whose ``doubt`` orders the photos."""

    @abstractmethod
    def said_of(self, features: ImageFeatures) -> PseudoLabels:
        """What each of its models says of photos; called after ``build``, with what was learned.

        Args:
            features: Of B photos, as for ``predict``.
        """
