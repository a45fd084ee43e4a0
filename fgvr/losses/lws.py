"""The leveraged weighted loss (LW)."""

from typing import Literal

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import inside_softmax, log_complement, non_candidates, outside_softmax


class LwsLoss(Loss):
    r"""Leveraged weighted loss: candidates are pulled up, the others are pushed down, each by its own confidence.

    .. math::
        \ell_i = \sum_{k \in S_i} w_{ik}\, \psi(z_{ik}) + \beta \sum_{k \notin S_i} v_{ik}\, \psi(-z_{ik})

    with :math:`w_i` the softmax over the candidates and :math:`v_i` the softmax over all other classes. The surrogate
    :math:`\psi` is

    - ``cross_entropy``: :math:`-\log p_{ik}` and :math:`-\log(1 - p_{ik})` (the paper's LWC, the default here), or
    - ``sigmoid``: :math:`\sigma(-z_{ik})` and :math:`\sigma(z_{ik})` (the paper's LWS). It depends on the scale of
      the logits and saturates at CLIP's, about 100 times a cosine, where hardly anything is learned; it is computed on
      logits less their mean over the classes.

    Source: Wen et al., "Leveraged Weighted Loss for Partial Label Learning", ICML 2021, the loss and its weight
    updates; the authors' code. Assumed: the weights of the candidates are kept from the sample's last forward and start
    as the candidate strategy's (the authors' code: 1/C for all classes); those of the other classes are the present
    forward's, so that no N x C table is needed; weights come from the same forward as the loss; the sigmoid's logits
    are centred.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: the candidates' weights, ``(N, K)``.

    Args:
        beta: Weight of the classes outside of the set, 0 or more; the paper uses 1 and 2.
        surrogate: ``cross_entropy`` or ``sigmoid``.

    Raises:
        FgvrError: ``beta`` is negative, or ``surrogate`` is neither of the two.
    """

    def __init__(self, beta: float = 1.0, surrogate: Literal["cross_entropy", "sigmoid"] = "cross_entropy") -> None:
        super().__init__()
        if not beta >= 0:
            raise FgvrError(f"loss.beta is {beta}: it must be 0 or more.")
        if surrogate not in ("cross_entropy", "sigmoid"):
            raise FgvrError(f"loss.surrogate is {surrogate!r}: it must be cross_entropy or sigmoid.")
        self.beta = beta
        self.surrogate = surrogate

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        logits = logits.float()
        others = outside_softmax(logits.detach(), non_candidates(logits, labels))
        if self.surrogate == "sigmoid":
            centred = logits - logits.mean(dim=1, keepdim=True)
            inside, outside = torch.sigmoid(-centred), torch.sigmoid(centred)
        else:
            log_probs = torch.log_softmax(logits, dim=1)
            inside, outside = -log_probs, -log_complement(log_probs)
        pull = (self.rows(labels) * inside.gather(1, labels.candidates)).sum(dim=1)
        return pull + self.beta * (others * outside).sum(dim=1)

    def init_state(self, labels: PartialLabels) -> Tensor:
        """The candidate strategy's weights, shape ``(N, K)``."""
        return labels.weights.clone()

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """Softmax over the candidates alone, shape ``(B, K)``."""
        return inside_softmax(logits, labels)
