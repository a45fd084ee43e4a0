"""Consistency regularisation for partial labels (CRDPLL)."""

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import inside_softmax, log_complement, non_candidates


class CrdpllLoss(Loss):
    r"""Push down what is not a candidate, and keep all views of a photo near one common distribution.

    .. math::
        \ell_i = -\sum_{k \notin S_i} \log(1 - p_{ik})
                 + \lambda(t) \sum_{v=0}^{V} \mathrm{KL}\bigl(q_i \,\Vert\, p_i^{(v)}\bigr), \qquad
        q_{ik} \leftarrow \frac{\prod_v (p_{ik}^{(v)})^{1/(V+1)}}{\sum_{j \in S_i} \prod_v (p_{ij}^{(v)})^{1/(V+1)}}

    View 0 is the one that the logits come from, and :math:`\lambda(t) = \lambda \min(t / (\rho T), 1)` rises with the
    epoch t of T.

    The further views are ``step.view_logits``: with ``data.augment`` and ``data.views: V``, a method on stored image
    features gives all V of them in every step, view 0 being another one in each epoch. **With one view (assumed, not
    in the paper)**, which is what there is without ``data.views``, there is nothing to be consistent with but the
    past: the target is the running average
    :math:`q_i \leftarrow m\, q_i + (1 - m)\, \mathrm{softmax}_{S_i}(z_i)` of the sample's own predictions. The
    augmentations, which are much of the method, are then missing.

    Source: Wu et al., "Revisiting Consistency Regularization for Deep Partial Label Learning", ICML 2022: the
    supervised loss on non-candidates, the consistency term and its ramp. Assumed: the weights start as the candidate
    strategy's (the paper's are uniform); targets come from the same forward as the loss (public code: a second one
    after the step); the ramp moves with the epoch, not with the step.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: the targets, ``(N, K)``.

    Args:
        weight: :math:`\lambda`, 0 or more.
        ramp: :math:`\rho`, the share of the epochs after which the full weight is reached, in (0, 1].
        momentum: m, share of the old target that is kept where there is one view, in [0, 1).

    Raises:
        FgvrError: An argument is out of its range.
    """

    needs_views = True

    def __init__(self, weight: float = 1.0, ramp: float = 0.5, momentum: float = 0.9) -> None:
        super().__init__()
        if not weight >= 0:
            raise FgvrError(f"loss.weight is {weight}: it must be 0 or more.")
        if not 0 < ramp <= 1:
            raise FgvrError(f"loss.ramp is {ramp}: it must be above 0 and at most 1.")
        if not 0 <= momentum < 1:
            raise FgvrError(f"loss.momentum is {momentum}: it must be at least 0 and below 1.")
        self.weight = weight
        self.ramp = ramp
        self.momentum = momentum

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        log_probs = torch.log_softmax(self._views(logits), dim=2)
        negative = -(log_complement(log_probs[0]) * non_candidates(logits, labels)).sum(dim=1)
        target = self.rows(labels)
        inside = log_probs.gather(2, labels.candidates.expand(len(log_probs), -1, -1))
        divergence = (torch.xlogy(target, target) - target * inside).sum(dim=(0, 2))
        ramp = min(self.step.epoch / (self.ramp * self.step.epochs), 1.0)
        return negative + self.weight * ramp * divergence

    def init_state(self, labels: PartialLabels) -> Tensor:
        """The candidate strategy's weights, shape ``(N, K)``."""
        return labels.weights.clone()

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """The views' normalised geometric mean over the candidates, or the running average; shape ``(B, K)``."""
        # a geometric mean of softmaxes, normalised, is the softmax of the mean logits
        mean = inside_softmax(self._views(logits).mean(dim=0), labels)
        return mean if self.step.view_logits is not None else torch.lerp(mean, self.rows(labels), self.momentum)

    def _views(self, logits: Tensor) -> Tensor:
        """Logits of all views in float32, shape ``(1 + V, B, C)``."""
        further = self.step.view_logits
        return logits.float()[None] if further is None else torch.cat([logits.float()[None], further.float()])
