"""The contract of a visual classifier in closed form."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from fgvr.classifiers.centred import CentredClassifier
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.records import Space

ALONE = 1e-9
"""A class with less weight than this on other photos has none."""
_BLOCK_VALUES = 2**23
"""Numbers of the scores of all classes that are held at a time (float64: 64 MB)."""


class ClosedForm(ABC):
    """A linear classifier of centred features, fitted at once.

    Everything is float64 on the CPU: a second for thousands of photos.

    Args:
        features: Centred features of length 1, shape ``(N, D)``.
        names: What the photos are said to show; a photo of which nothing is learned may stand in any row.

    Attributes:
        weight: float64, shape ``(C, D)``.
        bias: float64, shape ``(C,)``.
        missing: bool, shape ``(C,)``: classes without a photo.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, features: Tensor, names: SoftNames) -> None:
        self.features = features
        self.names = names
        self.counts = names.counts
        self.missing = self.counts <= ALONE

    @abstractmethod
    def leave_one_out(self, rows: Tensor) -> Tensor:
        """Scores of photos by the classifier that is fitted without the photo, exactly; the centre is held fixed.

        Args:
            rows: Photos, shape ``(B,)``.

        Returns:
            float64, shape ``(B, C)``; -inf for classes that no other photo has.
        """

    def scores(self, features: Tensor) -> Tensor:
        """Scores of any photos, float64, shape ``(B, C)``; -inf for classes without a photo."""
        scores = features.double() @ self.weight.T + self.bias
        return scores.masked_fill(self.missing, -torch.inf)

    def classifier(self, centre: Tensor, scale: float, space: Space) -> CentredClassifier:
        """The classifier for a table's row.

        Args:
            centre: What was taken from the features.
            scale: Factor before a softmax.
            space: Of the features.
        """
        return CentredClassifier(centre, self.weight, self.bias, self.missing, scale, space)

    def without_others(self, rows: Tensor, scores: Tensor) -> Tensor:
        """``scores`` with -inf for classes that no other photo has, shape ``(B, C)``."""
        return scores.masked_fill(self.counts - self.names.dense(rows) <= ALONE, -torch.inf)


def blocks(count: int, values_each: int) -> Iterator[Tensor]:
    """Rows 0 to ``count - 1`` in consecutive blocks, with about ``values_each`` numbers to hold for each row."""
    size = max(_BLOCK_VALUES // max(values_each, 1), 1)
    for start in range(0, count, size):
        yield torch.arange(start, min(start + size, count))
