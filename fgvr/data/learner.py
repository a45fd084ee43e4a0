"""What a method is to the data."""

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from fgvr.backbones.base import Backbone
from fgvr.candidates.base import CandidateStrategy
from fgvr.data.support_photos import SupportPhotos
from fgvr.records import Space, Vocabulary


class Learner(Protocol):
    """What the data module must know of a method.

    Attributes:
        backbone: Whose image features are stored.
        trains: Whether there is anything to train.
        needs_candidates: Whether it trains on candidate sets, and so on labels; otherwise on all support photos.
        brings_names: Whether it finds class names without the labeler's, so that no support photo is labelled for them.
        needs_features: Whether evaluation looks at photos; otherwise the backbone is not loaded.
        needs_pixels: Whether photos must be read in evaluation too, because the image tower changes.
        spaces: In which spaces it needs image features, where it needs features.
        closed_form: Whether it learns everything at once when it is configured, and nothing from batches.
        looks_at_support: Whether it looks at the plain features of all support photos when it is configured.
        training_rows: Of the photos that there are to train on, those that the coming epochs train on; ``None`` for all
            of them. Rows as in ``Batch.rows``.
    """

    backbone: Backbone
    trains: ClassVar[bool]
    needs_candidates: bool
    brings_names: ClassVar[bool]
    needs_features: ClassVar[bool]
    needs_pixels: ClassVar[bool]
    spaces: frozenset[Space]
    closed_form: ClassVar[bool]
    looks_at_support: bool
    training_rows: NDArray[np.int64] | None

    def discover(self, support: SupportPhotos) -> Vocabulary:
        """The class names of the run."""

    def default_candidates(self) -> CandidateStrategy:
        """The candidate strategy where none is configured."""


def needs_views(learner: Learner) -> bool:
    """Whether training looks at further views of a photo: if the method, or its loss, says ``needs_views``."""
    return any(getattr(part, "needs_views", False) for part in (learner, getattr(learner, "loss", None)))
