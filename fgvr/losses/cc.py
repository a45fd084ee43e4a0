"""The classifier-consistent loss (CC)."""

import torch
from torch import Tensor

from fgvr.losses.base import Loss, PartialLabels


class CCLoss(Loss):
    r"""Classifier-consistent loss: the probability of the candidate set as a whole.

    .. math:: \ell_i = -\log \sum_{k \in S_i} p_{ik} = \mathrm{LSE}(z_i) - \mathrm{LSE}(z_{i, S_i})

    It asks for the mass on the set and not where in the set it lies; the candidates' weights are not used.

    Source: Feng et al., "Provably Consistent Partial-Label Learning", NeurIPS 2020, the classifier-consistent (CC)
    estimator with the cross entropy.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. No state.

    Example:
        >>> import torch
        >>> from fgvr.losses.base import PartialLabels
        >>> labels = PartialLabels(
        ...     rows=torch.tensor([0, 1]),
        ...     candidates=torch.tensor([[2, 0], [0, 1]]),
        ...     mask=torch.tensor([[True, False], [True, True]]),
        ...     weights=torch.tensor([[1.0, 0.0], [0.5, 0.5]]),
        ... )
        >>> logits = torch.tensor([[0.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
        >>> CCLoss()(logits, labels)
        tensor([0.5514, 0.1126])
    """

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        # LSE over log p, not LSE(z) - LSE(z_S): float32 would lose the difference of two large numbers
        log_probs = torch.log_softmax(logits.float(), dim=1).gather(1, labels.candidates)
        return -log_probs.masked_fill(~labels.mask, -torch.inf).logsumexp(dim=1)
