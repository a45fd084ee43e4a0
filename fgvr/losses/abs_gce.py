"""The average-based strategy with the generalised cross entropy."""

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs, uniform_weights


class AbsGCELoss(Loss):
    r"""Average of the generalised cross entropy over the candidate set: between cross entropy and absolute error.

    .. math:: \ell_i = \frac{1}{|S_i|} \sum_{k \in S_i} \frac{1 - p_{ik}^{\gamma}}{\gamma}

    For :math:`\gamma \to 0` it is the average log-likelihood (``nll_avg``), for :math:`\gamma = 1` half of ``abs_mae``.
    Bounded by :math:`1 / \gamma`, so that sets that miss the truth count for less.

    Source: Lv et al., "On the Robustness of Average Losses for Partial-Label Learning", TPAMI 2024 (the average-based
    strategy, ABS), with the loss of Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural
    Networks with Noisy Labels", NeurIPS 2018.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. No state.

    Args:
        gamma: Exponent, in (0, 1].

    Raises:
        FgvrError: ``gamma`` is outside (0, 1].
    """

    def __init__(self, gamma: float = 0.7) -> None:
        super().__init__()
        if not 0 < gamma <= 1:
            raise FgvrError(f"loss.gamma is {gamma}: it must be above 0 and at most 1.")
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        error = -torch.expm1(self.gamma * candidate_log_probs(logits, labels)) / self.gamma
        return (uniform_weights(labels) * error).sum(dim=1)
