"""Linear classification of image features from which their mean is taken."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.base import Classifier
from fgvr.records import Space


def centred(features: Tensor, centre: Tensor) -> Tensor:
    """Features of length 1 after the centre is taken away, in their dtype.

    Image features lie in a narrow cone: without its axis, the angles between them say more (see
    docs/explanation/class-means.md).
    """
    return F.normalize(features - centre, dim=-1)


class CentredClassifier(Classifier):
    r"""Scores :math:`s (\tilde{x} \cdot w_c + b_c)` of centred image features :math:`\tilde{x}`.

    Args:
        centre: The mean of the L2-normalised features of the support photos, shape ``(D,)``.
        weight: One row a class, shape ``(C, D)``.
        bias: Shape ``(C,)``; zero if not given.
        missing: True for classes without a photo, which get -inf, shape ``(C,)``; none if not given.
        scale: Factor on the scores.
        space: Which image features.

    Example:
        >>> classifier = CentredClassifier(torch.zeros(2), torch.eye(2), missing=torch.tensor([False, True]))
        >>> classifier(ImageFeatures(torch.tensor([[0.6, 0.8]]), torch.tensor([[0.6, 0.8]])))
        tensor([[0.6000,   -inf]])
    """

    centre: Tensor
    weight: Tensor
    bias: Tensor
    missing: Tensor
    scale: Tensor

    def __init__(
        self,
        centre: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        missing: Tensor | None = None,
        scale: float = 1.0,
        space: Space = "visual",
    ) -> None:
        super().__init__()
        classes = len(weight)
        self.register_buffer("centre", centre.float())
        self.register_buffer("weight", weight.float())
        self.register_buffer("bias", torch.zeros(classes) if bias is None else bias.float())
        self.register_buffer("missing", torch.zeros(classes, dtype=torch.bool) if missing is None else missing)
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.space = space

    @classmethod
    def empty(cls, num_classes: int, dim: int, space: Space = "visual") -> "CentredClassifier":
        """One for a checkpoint's values, of the right shapes."""
        return cls(torch.zeros(dim), torch.zeros(num_classes, dim), space=space)

    def forward(self, features: ImageFeatures) -> Tensor:
        """See the base class."""
        images = features.of(self.space).float()
        with torch.autocast(images.device.type, enabled=False):
            scores = centred(images, self.centre) @ self.weight.T + self.bias
            return (self.scale * scores).masked_fill(self.missing, -torch.inf)
