"""Two classifiers on one scale: what photos look like, and what texts say."""

from typing import Literal

import torch
from torch import Tensor

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.base import Classifier


class FusedClassifier(Classifier):
    r"""A weighted sum of the logits of two classifiers, each divided by how much they vary.

    .. math:: z = s \left( \frac{v}{\sigma_v} + w \frac{t}{\sigma_t} \right)

    where :math:`\sigma` is the standard deviation of a classifier's logits around the mean of each photo's. A class
    without photos, of which the visual classifier says nothing, gets the mean of what it says of the others, so that
    the text alone speaks for it. With w = 0 there is the visual classifier alone, and with w infinite the text.

    Args:
        visual: The visual classifier.
        text: The text classifier.
        weight: w, at least 0; may be infinite.
        visual_deviation: :math:`\sigma_v`, above 0.
        text_deviation: :math:`\sigma_t`, above 0.
        scale: s, the factor before a softmax.
    """

    weight: Tensor
    visual_deviation: Tensor
    text_deviation: Tensor
    scale: Tensor

    def __init__(
        self,
        visual: Classifier,
        text: Classifier,
        weight: float = 1.0,
        visual_deviation: float = 1.0,
        text_deviation: float = 1.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.visual: Classifier = visual
        self.text: Classifier = text
        for name, value in (
            ("weight", weight),
            ("visual_deviation", visual_deviation),
            ("text_deviation", text_deviation),
            ("scale", scale),
        ):
            self.register_buffer(name, torch.tensor(float(value)))

    def with_part(self, side: Literal["visual", "text"], part: Classifier) -> "FusedClassifier":
        """The same with another classifier on one side."""
        return FusedClassifier(
            part if side == "visual" else self.visual,
            part if side == "text" else self.text,
            float(self.weight),
            float(self.visual_deviation),
            float(self.text_deviation),
            float(self.scale),
        )

    def forward(self, features: ImageFeatures) -> Tensor:
        """See the base class."""
        if self.weight == 0:
            alone: Tensor = self.scale * self.visual(features) / self.visual_deviation
            return alone
        text: Tensor = self.text(features) / self.text_deviation
        if self.weight.isinf():
            return self.scale * text
        fused: Tensor = fuse(self.visual(features) / self.visual_deviation, text, self.weight)
        return self.scale * fused


def fuse(visual: Tensor, text: Tensor, weight: float | Tensor) -> Tensor:
    """``visual + weight * text``, where classes of which ``visual`` says nothing (-inf) count as its mean.

    Args:
        visual: Scores, shape ``(B, C)``.
        text: Of the same shape, finite.
        weight: Above 0, finite.

    Example:
        >>> fuse(torch.tensor([[1.0, 3.0, -torch.inf]]), torch.tensor([[0.0, 0.0, 1.0]]), 2.0)
        tensor([[1., 3., 4.]])
    """
    known = visual.isfinite()
    mean = visual.masked_fill(~known, 0).sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1)
    return torch.where(known, visual, mean) + weight * text
