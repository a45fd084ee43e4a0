"""Adjusted label importance for candidate sets that may miss the truth (ALIM)."""

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import non_candidates, outside_softmax


class AlimLoss(Loss):
    r"""Cross entropy against targets that may lie outside of the candidate set, at a price.

    .. math::
        \ell_i = -\sum_{k=1}^{C} t_{ik} \log p_{ik}, \qquad
        t_{ik} \propto \bigl(\mathbb{1}[k \in S_i]\, p_{ik} + \lambda\, \mathbb{1}[k \notin S_i]\, p_{ik}\bigr)^{1/\tau}

    :math:`\lambda = 0` trusts every set, :math:`\lambda = 1` ignores them. After the warm-up :math:`\lambda` is the
    ``noise_rate`` quantile of :math:`\max_{k \in S_i} p_{ik} / \max_{k \notin S_i} p_{ik}` over all photos, each at its
    last visit, and at most 1: so about that share of the photos finds a better class outside of its set than inside.

    Source: Xu et al., "ALIM: Adjusting Label Importance Mechanism for Noisy Partial Label Learning", NeurIPS 2023: the
    adjusted targets with the paper's "Scale" normalisation and the adaptive weight. **Not here:** its PiCO branch
    (prototypes, contrastive loss, averaged one-hot targets) and its mixup. Assumed: p is the classifier's, not the
    prototypes'; :math:`\lambda` is taken anew at every step; it is at most 1; how the mass outside of the set is
    divided is the present forward's, so that no N x C table is needed, while its amount and the candidates' shares are
    of the sample's last forward; 5 epochs of warm-up and the noise rate, which the paper takes as known.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: the candidates' weights, the mass outside
    of the set and the logarithm of the ratio, ``(N, K + 2)``.

    Args:
        noise_rate: Expected share of photos whose set misses the truth, in [0, 1).
        warmup_epochs: Epochs in which every set is trusted, at least 1: all photos must have been seen once.
        temperature: :math:`\tau`, above 0; below 1 sharpens the targets.

    Raises:
        FgvrError: An argument is out of its range.
    """

    def __init__(self, noise_rate: float = 0.2, warmup_epochs: int = 5, temperature: float = 1.0) -> None:
        super().__init__()
        if not 0 <= noise_rate < 1:
            raise FgvrError(f"loss.noise_rate is {noise_rate}: it must be at least 0 and below 1.")
        if warmup_epochs < 1:
            raise FgvrError(f"loss.warmup_epochs is {warmup_epochs}: it must be 1 or more.")
        if not temperature > 0:
            raise FgvrError(f"loss.temperature is {temperature}: it must be above 0.")
        self.noise_rate = noise_rate
        self.warmup_epochs = warmup_epochs
        self.temperature = temperature

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        log_probs = torch.log_softmax(logits.float(), dim=1)
        state = self.rows(labels)
        weights, mass = state[:, :-2], state[:, -2]
        others = outside_softmax(log_probs.detach() / self.temperature, non_candidates(logits, labels))
        inside = (weights * log_probs.gather(1, labels.candidates)).sum(dim=1)
        return -inside - mass * (others * log_probs).sum(dim=1)

    def init_state(self, labels: PartialLabels) -> Tensor:
        """The candidate strategy's weights, no mass outside of the set, and a ratio of one."""
        return torch.nn.functional.pad(labels.weights, (0, 2))

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """The targets over the candidates, the mass outside and the log ratio, shape ``(B, K + 2)``."""
        logits = logits.float()
        outside = non_candidates(logits, labels)
        best_inside = logits.masked_fill(outside, -torch.inf).amax(dim=1)
        best_outside = logits.masked_fill(~outside, -torch.inf).amax(dim=1)  # -inf where the set has all classes
        weight = self._log_weight(logits.device)
        target = torch.where(outside, logits + weight, logits).div(self.temperature).softmax(dim=1)
        weights = target.gather(1, labels.candidates) * labels.mask
        mass = (target * outside).sum(dim=1)
        return torch.cat([weights, mass[:, None], (best_inside - best_outside)[:, None]], dim=1)

    def _log_weight(self, device: torch.device) -> float:
        """Logarithm of lambda."""
        if self.step.epoch < self.warmup_epochs:
            return -torch.inf
        ratios = self._state_on(device)[:, -1]
        rank = min(int(self.noise_rate * len(ratios)), len(ratios) - 1)
        return min(ratios.kthvalue(rank + 1).values.item(), 0.0)
