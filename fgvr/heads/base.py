"""The contract of a head: the only file that the author of a head plugin must read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.records import Space


class Head(nn.Module, ABC):
    """What is learned on top of a backbone: image features -> logits over the vocabulary.

    A constructor takes the options; ``build`` makes the parameters once the class names are known.
    """

    space: Space = "joint"
    """Which image features it reads; of the class, or of the object where it is an option."""
    logit_scale: float
    """Factor on cosines in the logits."""

    @abstractmethod
    def build(self, backbone: Backbone, class_names: Sequence[str]) -> None:
        """Make the parameters for ``class_names`` (class-index order). ``backbone`` is loaded.

        Raises:
            FgvrError: The options do not fit the backbone or a class name.
        """

    @abstractmethod
    def class_features(self) -> Tensor:
        """L2-normalised float32 class features, differentiable in the head's parameters.

        Shape ``(C, embed_dim)``, or ``(C, visual_dim)`` for a head of the visual space.
        """

    def forward(self, image_features: Tensor, class_features: Tensor | None = None) -> Tensor:
        """Logits in float32: cosines times ``logit_scale``, unless overridden.

        Args:
            image_features: L2-normalised, shape ``(B, embed_dim)``; of the visual space where the head is.
            class_features: Result of ``class_features()``, where the caller has it already (evaluation).

        Returns:
            Shape ``(B, C)``, scaled for a softmax.
        """
        if class_features is None:
            class_features = self.class_features()
        with torch.autocast(image_features.device.type, enabled=False):
            return self.logit_scale * image_features.float() @ class_features.float().T

    def start_from(self, images: Tensor, names: SoftNames, texts: Tensor) -> None:
        """Start from what is known before the training; does nothing unless a head overrides it.

        Args:
            images: L2-normalised features of the N support photos in the head's space, float32, on the CPU.
            names: Their candidate sets.
            texts: L2-normalised class features of the class names under the templates, joint space, on the CPU.
        """

    def penalty(self) -> Tensor | None:
        """What is added to the loss of each step; nothing unless a head overrides it."""
        return None

    def classifier(self) -> "HeadClassifier":
        """The classifier that the head is now, for evaluation."""
        return HeadClassifier(self)


class HeadClassifier(Classifier):
    """A head as it was when this was made: its class features are computed once.

    Args:
        head: The head.
    """

    class_features: Tensor

    def __init__(self, head: Head) -> None:
        super().__init__()
        with torch.no_grad():
            self.register_buffer("class_features", head.class_features().detach(), persistent=False)
        # in a tuple: the method holds the head already
        self._head = (head,)

    def forward(self, features: ImageFeatures) -> Tensor:
        """See the base class."""
        (head,) = self._head
        logits: Tensor = head(features.of(head.space).float(), self.class_features)
        return logits
