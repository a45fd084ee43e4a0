"""What a method may look at to find its class names."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fgvr.backbones.base import Backbone
from fgvr.records import ImageRecord, LabelRecord, Space, Vocabulary

Features = Callable[[Sequence[ImageRecord], Backbone | None, Space], NDArray[np.float32]]
"""Image features of photos, of the run's backbone or another one."""


class SupportPhotos:
    """The support photos of a run, what the labeler said of them, and their features.

    Args:
        images: The photos, without true names.
        labels: What the labeler said of each; empty where nobody was asked.
        vocabulary: Gives the classes of these labels, or those that ``data.class_names`` gives.
        features: Gives features.
        cache_dir: Folder for what is worth keeping for other runs.
    """

    def __init__(
        self,
        images: Sequence[ImageRecord],
        labels: Sequence[LabelRecord],
        vocabulary: Callable[[], Vocabulary],
        features: Features,
        cache_dir: Path,
    ) -> None:
        self.images = tuple(images)
        self.labels = tuple(labels)
        self.cache_dir = cache_dir
        self._vocabulary = vocabulary
        self._features = features

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The classes of what the labeler said, or those that ``data.class_names`` gives.

        Raises:
            FgvrError: No reply has a usable name.
        """
        return self._vocabulary()

    @property
    def vocabulary_was_read(self) -> bool:
        """Whether anybody has looked at ``vocabulary``."""
        return "vocabulary" in vars(self)

    def features(self, space: Space = "joint", backbone: Backbone | None = None) -> NDArray[np.float32]:
        """Plain image features, L2-normalised, shape ``(N, D)``: stored, or computed now.

        Args:
            space: The one that images share with texts, or the one in which they are compared.
            backbone: Whose; the run's if not given.
        """
        return self._features(self.images, backbone, space)
