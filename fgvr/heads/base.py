"""The contract of a head: the only file that the author of a head plugin must read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from fgvr.backbones.base import Backbone


class Head(nn.Module, ABC):
    """What is learned on top of a backbone: image features -> logits over the vocabulary.

    A constructor takes the options; ``build`` makes the parameters once the class names are known.
    """

    @abstractmethod
    def build(self, backbone: Backbone, class_names: Sequence[str]) -> None:
        """Make the parameters for ``class_names`` (class-index order). ``backbone`` is loaded.

        Raises:
            FgvrError: The options do not fit the backbone or a class name.
        """

    @abstractmethod
    def class_features(self) -> Tensor:
        """L2-normalised float32 class features, shape ``(C, embed_dim)``, differentiable in the head's parameters."""

    @abstractmethod
    def forward(self, image_features: Tensor, class_features: Tensor | None = None) -> Tensor:
        """Logits in float32.

        Args:
            image_features: L2-normalised, shape ``(B, embed_dim)``.
            class_features: Result of ``class_features()``, where the caller has it already (evaluation).

        Returns:
            Shape ``(B, C)``, scaled by the backbone's logit scale.
        """
