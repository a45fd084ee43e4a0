"""The average-based strategy with the mean absolute error."""

import torch
from torch import Tensor

from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs, uniform_weights


class AbsMAELoss(Loss):
    r"""Average of the mean absolute error over the candidate set: bounded, so that wrong sets count for less.

    .. math::
        \ell_i = \frac{1}{|S_i|} \sum_{k \in S_i} \lVert e_k - p_i \rVert_1
               = \frac{1}{|S_i|} \sum_{k \in S_i} 2\,(1 - p_{ik})

    The distance to the one-hot :math:`e_k` is :math:`2 (1 - p_{ik})`, so no tensor over classes times classes is built.
    A photo whose candidates all have little probability gets little gradient: robust to wrong sets, slow from a
    classifier that starts far off.

    Source: Lv et al., "On the Robustness of Average Losses for Partial-Label Learning", TPAMI 2024 (the average-based
    strategy, ABS, with MAE).

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``, in [0, 2]. No state.
    """

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        missing = -torch.expm1(candidate_log_probs(logits, labels))
        return 2 * (uniform_weights(labels) * missing).sum(dim=1)
