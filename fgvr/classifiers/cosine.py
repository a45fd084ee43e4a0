"""Classification by the nearest class feature: zero-shot, learned prompts, prototypes."""

import torch
from torch import Tensor

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.base import Classifier
from fgvr.records import Space


class CosineClassifier(Classifier):
    """Cosines with one feature a class, times a scale.

    Args:
        class_features: L2-normalised, shape ``(C, D)``.
        scale: Factor on cosines.
        space: Which image features they are compared with.

    Example:
        >>> classifier = CosineClassifier(torch.eye(2), scale=10.0)
        >>> classifier(ImageFeatures(torch.tensor([[0.6, 0.8]])))
        tensor([[6., 8.]])
    """

    class_features: Tensor

    def __init__(self, class_features: Tensor, scale: float, space: Space = "joint") -> None:
        super().__init__()
        # made anew from the class names or from a head, wherever it is needed
        self.register_buffer("class_features", class_features.detach().float(), persistent=False)
        self.scale = scale
        self.space = space

    def forward(self, features: ImageFeatures) -> Tensor:
        """See the base class."""
        images = features.of(self.space).float()
        with torch.autocast(images.device.type, enabled=False):
            logits: Tensor = self.scale * images @ self.class_features.T
        return logits
