"""The contract of a classifier: a row of the result table, from image features to logits."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from fgvr.backbones.base import ImageFeatures


class Classifier(nn.Module, ABC):
    """From image features to logits over the vocabulary.

    What it needs are buffers and parameters, so that it follows its owner to a device and into a checkpoint.
    """

    @abstractmethod
    def forward(self, features: ImageFeatures) -> Tensor:
        """Logits, float32, shape ``(B, C)``; computed without autocast.

        A class of which the classifier can say nothing has -inf; at least one class of a row is finite.
        """
