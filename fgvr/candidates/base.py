"""The contract of a candidate strategy: the only file that the author of one must read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fgvr.moved import old_names
from fgvr.records import CandidateSets, Space


class FeatureSpace(Protocol):
    """A backbone, as far as a candidate strategy knows one: whose image features say which photos are near."""

    def load(self) -> None:
        """Read the weights; does nothing when called again."""

    def fingerprint(self) -> str:
        """Changes whenever features would."""


@dataclass(frozen=True, eq=False)
class NamedImages:
    """The unlabelled support photos and what the labeler said of them.

    Attributes:
        sample_ids: The N photos. An id is a path, which may hold a true name (class folders): do not read it.
        labels: One entry per photo: class indices that the labeler gave it, best first; empty where it gave none.
        num_classes: Size of the vocabulary.
        features: L2-normalised float32 image features of the run's backbone, shape ``(N, D)``, in the strategy's
            ``space``, where it asked for them.
        seed: For strategies that draw.
        features_in: Gives the photos' features in another backbone (``None``: the run's) and a space, in the same form;
            ``None`` where there is no way to compute them.
        space: Which space ``features`` are of; ``None`` where they serve for any.
    """

    sample_ids: tuple[str, ...]
    labels: Sequence[tuple[int, ...]]
    num_classes: int
    features: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    seed: int = 0
    features_in: Callable[[FeatureSpace | None, Space], NDArray[np.float32]] | None = None
    space: Space | None = None


__getattr__ = old_names(__name__, NamedPhotos="NamedImages")


class CandidateStrategy(ABC):
    """Turns noisy names into candidate sets.

    Equal input gives equal sets, on any number of processes: ties are broken by the order of the photos, and what is
    drawn comes from ``images.seed`` alone.
    """

    needs_features: bool = False
    """Whether ``images.features`` must be there; of the class, or of the object where it depends on the options."""
    space: Space = "visual"
    """Which image features these are; of the class, or of the object where it is an option."""
    own_names_alone: bool = False
    """Whether a photo's set depends on its own names and on no other photo's: then leaving a photo out changes no other
    set."""

    @abstractmethod
    def build(self, images: NamedImages) -> CandidateSets:
        """Candidate sets of the photos that can be given one, in the order of ``images``.

        A photo that the strategy has no name for is left out (sets are never empty).

        Raises:
            FgvrError: No photo has a name at all.
        """
