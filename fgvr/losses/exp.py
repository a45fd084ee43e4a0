"""The exponential loss of learning with multiple complementary labels."""

import torch
from torch import Tensor

from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs


class ExpLoss(Loss):
    r"""A bounded loss of the probability of the candidate set as a whole.

    .. math:: \ell_i = \frac{C - 1}{C - |S_i|} \exp\Bigl(-\sum_{k \in S_i} p_{ik}\Bigr)

    The factor makes large sets, which say less, count more. Like ``cc`` it asks for the mass on the set and not where
    in the set it lies; unlike ``cc`` its gradient fades where the set has little mass.

    Source: Feng et al., "Learning with Multiple Complementary Labels", ICML 2020, the upper-bound loss EXP, where the
    classes outside of the candidate set are the complementary labels. Assumed: a set of all C classes, which the
    formula leaves undefined, has the factor :math:`C - 1`; it has no gradient either way.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. No state.
    """

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        log_probs = candidate_log_probs(logits, labels).masked_fill(~labels.mask, -torch.inf)
        classes = logits.shape[1]
        factor = (classes - 1) / (classes - labels.mask.sum(dim=1)).clamp(min=1)
        return factor * torch.exp(-log_probs.exp().sum(dim=1))
