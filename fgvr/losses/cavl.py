"""Class activation values as the choice of a candidate (CAVL)."""

import torch
from torch import Tensor

from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs


class CavlLoss(Loss):
    r"""Cross entropy against the one candidate with the largest class activation value.

    .. math::
        \ell_i = -\sum_{k \in S_i} w_{ik} \log p_{ik}, \qquad
        w_i \leftarrow \text{one-hot of } \arg\max_{k \in S_i} \; |1 - z_{ik}|\, z_{ik}

    The weights start as the candidate strategy's and are hard after a sample's first step.

    The value depends on the scale of the logits. On CLIP's, cosines times about 100, it rises with the logit and the
    choice is the most probable candidate: hard self-training. It is computed on logits less their mean over the
    classes, so that a constant added to all of them changes nothing, as it changes no probability.

    Source: Zhang et al., "Exploiting Class Activation Value for Partial-Label Learning", ICLR 2022. Assumed: the
    centred logits; the update from the same forward as the loss (public code: a second one after the step).

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: the weights, ``(N, K)``.
    """

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        return -(self.rows(labels) * candidate_log_probs(logits, labels)).sum(dim=1)

    def init_state(self, labels: PartialLabels) -> Tensor:
        """The candidate strategy's weights, shape ``(N, K)``."""
        return labels.weights.clone()

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """One-hot, shape ``(B, K)``."""
        logits = logits.float()
        centred = (logits - logits.mean(dim=1, keepdim=True)).gather(1, labels.candidates)
        # -inf and not 0, which would beat the candidates where all their values are negative
        values = ((1 - centred).abs() * centred).masked_fill(~labels.mask, -torch.inf)
        return torch.zeros_like(values).scatter_(1, values.argmax(dim=1, keepdim=True), 1.0)
