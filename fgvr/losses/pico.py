"""Prototypes that move the targets (the disambiguation of PiCO)."""

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs


class PicoLoss(Loss):
    r"""Cross entropy against weights that move towards the candidate whose prototype is nearest.

    .. math::
        \ell_i = -\sum_{k \in S_i} w_{ik} \log p_{ik}, \qquad
        w_i \leftarrow \phi\, w_i + (1 - \phi)\, \text{one-hot of } \arg\max_{k \in S_i} \; \langle f_i, \mu_k \rangle

    with :math:`f_i` the image feature, :math:`\mu_k` the prototype of class k, and :math:`\phi` falling linearly from
    ``momentum`` to ``final_momentum`` over the training.

    **What is here and what is not.** The prototypes are the class's text features in the space that images and texts
    share, as the head has them at this step. So there are no prototypes averaged from images, no projection network,
    no momentum encoder, no queue and no contrastive loss, and this is the disambiguation of PiCO, not PiCO. With a head
    whose logits are these similarities (``prompt``) the nearest prototype is the most probable candidate, and the loss
    is ``proden`` with hard and slow updates.

    Source: Wang et al., "PiCO: Contrastive Label Disambiguation for Partial Label Learning", ICLR 2022, the prototype-
    based label disambiguation; the schedule of the authors' code. Assumed: text features as prototypes; the weights
    start as the candidate strategy's (the paper's are uniform).

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: the weights, ``(N, K)``.

    Args:
        momentum: :math:`\phi` at the start, in [0, 1].
        final_momentum: :math:`\phi` at the end, in [0, 1].
        start_epoch: First epoch, from 0, in which the weights move.

    Raises:
        FgvrError: An argument is out of its range.
    """

    needs_features = True

    def __init__(self, momentum: float = 0.95, final_momentum: float = 0.8, start_epoch: int = 1) -> None:
        super().__init__()
        for name, value in (("momentum", momentum), ("final_momentum", final_momentum)):
            if not 0 <= value <= 1:
                raise FgvrError(f"loss.{name} is {value}: it must be from 0 to 1.")
        if start_epoch < 0:
            raise FgvrError(f"loss.start_epoch is {start_epoch}: it must be 0 or more.")
        self.momentum = momentum
        self.final_momentum = final_momentum
        self.start_epoch = start_epoch

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        return -(self.rows(labels) * candidate_log_probs(logits, labels)).sum(dim=1)

    def init_state(self, labels: PartialLabels) -> Tensor:
        """The candidate strategy's weights, shape ``(N, K)``."""
        return labels.weights.clone()

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """The moved weights, shape ``(B, K)``."""
        weights = self.rows(labels)
        if self.step.epoch < self.start_epoch:
            return weights
        images, prototypes = self.features()
        # products and a sum: a matrix product would be computed in half precision under autocast
        similarity = (images.float()[:, None] * prototypes.float()[labels.candidates]).sum(dim=2)
        nearest = similarity.masked_fill(~labels.mask, -torch.inf).argmax(dim=1, keepdim=True)
        one_hot = torch.zeros_like(weights).scatter_(1, nearest, 1.0)
        progress = self.step.epoch / self.step.epochs
        return torch.lerp(one_hot, weights, self.momentum + progress * (self.final_momentum - self.momentum))
