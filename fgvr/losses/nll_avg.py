"""The average negative log-likelihood of the candidates."""

from torch import Tensor

from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs, uniform_weights


class NllAvgLoss(Loss):
    r"""Average of the negative log-likelihood over the candidate set: every candidate counts as true.

    .. math:: \ell_i = -\frac{1}{|S_i|} \sum_{k \in S_i} \log p_{ik}

    The baseline without disambiguation. It differs from :class:`~fgvr.losses.ce.CELoss` only where the candidate
    strategy's weights are not uniform: it does not use them.

    Source: the averaging strategy of the partial-label literature (Cour et al., "Learning from Partial Labels", JMLR
    2011, average the scores), here with the log-likelihood, as benchmarks do.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. No state.
    """

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        return -(uniform_weights(labels) * candidate_log_probs(logits, labels)).sum(dim=1)
