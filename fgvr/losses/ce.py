"""Cross entropy: the loss that takes the labels as they are."""

import torch
from torch import Tensor

from fgvr.losses.base import Loss, PartialLabels


class CELoss(Loss):
    r"""Cross entropy against the candidate strategy's weights, which never change.

    .. math:: \ell_i = -\sum_{k \in S_i} w_{ik} \log p_{ik}, \qquad p_i = \mathrm{softmax}(z_i)

    What that means depends on the candidate sets:

    - With ``candidates: single`` it is :math:`-\log p_{iy}` of the name that the labeler gave: the single-label
      baseline, which learns the labeler's mistakes along with the rest.
    - With several candidates it is the cross entropy against a soft target, that is, the average of
      :math:`-\log p_{ik}` over the set where the weights are uniform: partial labels without disambiguation, the
      ablation of :class:`~fgvr.losses.proden.ProdenLoss`, whose first step it equals. It does **not** pick the photo's
      own name out of the set.

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
        >>> CELoss()(logits, labels)
        tensor([0.5514, 1.2395])
    """

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        log_probs = torch.log_softmax(logits.float(), dim=1).gather(1, labels.candidates)
        return -(labels.weights * log_probs).sum(dim=1)
