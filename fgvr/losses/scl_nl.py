"""The surrogate complementary loss with negative learning."""

import torch
from torch import Tensor

from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import log_complement, non_candidates


class SclNlLoss(Loss):
    r"""Negative learning: every class outside of the candidate set is pushed down.

    .. math:: \ell_i = -\sum_{k \notin S_i} \log(1 - p_{ik})

    A set of all classes has neither loss nor gradient.

    Source: Chou et al., "Unbiased Risk Estimators Can Mislead: A Case Study of Learning with Complementary Labels",
    ICML 2020 (SCL-NL, for one complementary label). With several, fgvr adds them up for each photo and averages over
    photos; the public benchmark of partial labels (PLENCH) averages over all pairs of a photo and a class outside of
    its set in the batch. So here the loss and its gradient are larger, by the mean number of such classes in the batch:
    a learning rate from there is too high here. Within a batch, photos count alike in both.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. No state.
    """

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        log_probs = torch.log_softmax(logits.float(), dim=1)
        return -(log_complement(log_probs) * non_candidates(logits, labels)).sum(dim=1)
