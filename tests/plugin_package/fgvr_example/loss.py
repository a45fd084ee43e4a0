"""A loss."""

from torch import Tensor

from fgvr.losses.base import Loss, PartialLabels


class SquaredLoss(Loss):
    """The squared probability that is missing from the candidate set.

    Args:
        scale: Factor.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """Shape ``(B,)``."""
        inside = (logits.float().softmax(-1).gather(1, labels.candidates) * labels.mask).sum(-1)
        return self.scale * (1 - inside).square()
