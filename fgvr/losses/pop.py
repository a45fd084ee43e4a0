"""Progressive purification of candidate sets (POP)."""

from dataclasses import replace

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs, inside_softmax


class PopLoss(Loss):
    r"""The loss of PRODEN and RC, while candidates that stay improbable are dropped for good.

    .. math::
        \ell_i = -\sum_{k \in S_i'} w_{ik} \log p_{ik}, \qquad
        S_i' \leftarrow S_i' \setminus \{k : \bar w_{ik} < \theta(t)\, \max_j \bar w_{ij}\}

    The weights w are the softmax over the candidates that are left, :math:`\bar w` is its average over the sample's
    last ``window`` visits, and the threshold :math:`\theta(t) = \min(\theta (1 + g)^{t - t_0}, \theta_{max})` grows
    from the end of the warm-up, epoch :math:`t_0`, on. From then on the weights are :math:`\bar w` over the candidates
    that are left. A set never loses its most probable candidate. The candidate mask stays as it is: what is left is
    part of the state.

    Source: Xu et al., "Progressive Purification for Instance-Dependent Partial Label Learning", ICML 2023. Here is its
    loss with the purification and none of its training recipe. What differs from the authors' code, which purifies at
    the end of every fifth epoch (as many as its window has): here it happens at each visit of a sample, so about five
    times as often; the threshold grows every epoch, there at a purification that dropped fewer than one entry in ten
    thousand of the table; 5 epochs of warm-up, there 20 of several hundred. Assumed: weights come from the same forward
    as the loss; visits before the first count as the candidate strategy's weights.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: weights, what is left, and the window,
    ``(N, (2 + window) K)``.

    Args:
        window: Visits that are averaged over, at least 1.
        warmup_epochs: Epochs before the first candidate is dropped, 0 or more.
        theta: Threshold at first: a candidate's average weight over the largest of its set, in [0, 1).
        growth: Growth of the threshold in an epoch, 0 or more.
        theta_max: Largest threshold, in [0, 1).

    Raises:
        FgvrError: An argument is out of its range.
    """

    def __init__(
        self,
        window: int = 5,
        warmup_epochs: int = 5,
        theta: float = 1e-3,
        growth: float = 1e-3,
        theta_max: float = 0.4,
    ) -> None:
        super().__init__()
        if window < 1 or warmup_epochs < 0:
            raise FgvrError(
                f"loss.window is {window} and loss.warmup_epochs {warmup_epochs}: expected 1 or more, and 0 or more."
            )
        for name, value in (("theta", theta), ("theta_max", theta_max)):
            if not 0 <= value < 1:
                raise FgvrError(f"loss.{name} is {value}: it must be at least 0 and below 1.")
        if not growth >= 0:
            raise FgvrError(f"loss.growth is {growth}: it must be 0 or more.")
        self.window = window
        self.warmup_epochs = warmup_epochs
        self.theta = theta
        self.growth = growth
        self.theta_max = theta_max

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        weights, *_ = self._blocks(labels)
        return -(weights * candidate_log_probs(logits, labels)).sum(dim=1)

    def init_state(self, labels: PartialLabels) -> Tensor:
        """The candidate strategy's weights, all candidates, and the weights for each visit of the window."""
        return torch.cat([labels.weights, labels.mask.float(), labels.weights.repeat(1, self.window)], dim=1)

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """Weights, what is left, and the window with this visit first; shape ``(B, (2 + window) K)``."""
        _, left, *visits = self._blocks(labels)
        weights = inside_softmax(logits, replace(labels, mask=left > 0))
        visits = [weights, *visits[:-1]]
        if self.step.epoch >= self.warmup_epochs:
            average = torch.stack(visits).mean(dim=0) * left
            exponent = self.step.epoch - self.warmup_epochs
            theta = min(self.theta * (1 + self.growth) ** exponent, self.theta_max)
            left = left * (average >= theta * average.amax(dim=1, keepdim=True))
            weights = average * left
            weights = weights / weights.sum(dim=1, keepdim=True)
        return torch.cat([weights, left, *visits], dim=1)

    def _blocks(self, labels: PartialLabels) -> tuple[Tensor, ...]:
        """Weights, what is left, and each visit of the window, shape ``(B, K)`` each."""
        return self.rows(labels).chunk(2 + self.window, dim=1)
