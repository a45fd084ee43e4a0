"""Clean and noisy names split by their losses, and noisy ones refined: a derivation of NeaR."""

import logging

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs, inside_softmax
from fgvr.text import counted

log = logging.getLogger(__name__)

_MAX_STEPS = 200
_TOLERANCE = 1e-6
"""Of the posterior, between two steps of EM."""
_MIN_VARIANCE = 0.01
"""Added to each component's, in units of the variance of all losses."""
_MIN_MASS = 0.5
"""Photos that a component must have."""
_EQUAL = 1e-5
"""Losses whose standard deviation is below this share of the largest are equal: the rest is rounding."""


class NearLoss(Loss):
    r"""Cross entropy against targets that trust a photo's name as far as a mixture on the losses says that it is clean.

    .. math::
        \ell_i = -\sum_{k \in S_i} t_{ik} \log p_{ik}, \qquad
        t_i = c_i \, \mathrm{onehot}(y_i) + (1 - c_i) \, q_i, \qquad
        q_{ik} = \frac{\exp(z_{ik} / T)}{\sum_{j \in S_i} \exp(z_{ij} / T)}

    **Derived, not reproduced.** What is public of NeaR is a figure's caption, at second hand: a Gaussian mixture on the
    loss, a split into clean and noisy, label refinement. These three steps and their order are the caption's. How each
    is done is assumed:

    1. Warm-up epochs train as :class:`~fgvr.losses.proden.ProdenLoss`, the FGVR paper's method. (Ours; that there is a
       warm-up: DivideMix, section 3.1.)
    2. Mixture: at the end of each epoch, from the last of the warm-up on, :math:`e_i = -\log p_{i y_i}`, the losses
       against the photos' own names y in their last forward, are fitted by two normal distributions. (DivideMix,
       section 3.1, where two networks do it for one another; the fit's details are ours.)
    3. Split: :math:`c_i` is the posterior of the distribution with the lower mean. (DivideMix, section 3.1.) It is made
       monotone in the loss: where a broad distribution would take photos back beyond a narrow one, c stays at its
       extreme. (Ours.)
    4. Refinement: t is what the next epoch trains with. (DivideMix, section 3.2, for clean samples; there the sum is
       sharpened, predictions are averages over augmented views, and noisy samples are guessed by both networks. One
       formula for all photos is ours, the restriction of q to the candidates PRODEN's.)

    The own name :math:`y_i` is the candidate that the strategy weighs most, the first of equals. That is the first
    name that the labeler gave the photo wherever weights are uniform; with ``label_propagation``, and ``knn`` with
    other weights, it is the name that has the most behind it; of a photo without a name it is a neighbour's. A photo
    with one candidate keeps it and takes part in the fit. No co-training, no mixup, no consistency of views.

    Where nothing tells clean from noisy, :math:`c_i = 0`, so that the prediction decides, as in the warm-up: for all
    photos if fewer than two have a finite loss, if all losses are equal, or if a component is left with less than half
    a photo; and for a photo whose loss is not finite, which the fit leaves out.

    Source: the caption, of arXiv 2505.01064. Li et al., "DivideMix: Learning with Noisy Labels as
    Semi-supervised Learning", ICLR 2020. Lv et al., "Progressive Identification of True Labels for Partial-Label
    Learning", ICML 2020.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: targets, sharpened predictions, the loss
    against the own name, and c, ``(N, 2 K + 2)``.

    Args:
        warmup_epochs: Epochs before names are trusted, 1 or more: the first fit is at the end of the last of them. With
            as many epochs in all, or fewer, nothing is trained after a fit, which is warned of.
        temperature: T, above 0; below 1 sharpens what noisy photos learn. 0.5 is DivideMix's.

    Raises:
        FgvrError: An argument is out of its range.

    Example:
        >>> import torch
        >>> from fgvr.losses.base import PartialLabels
        >>> labels = PartialLabels(
        ...     rows=torch.arange(4),
        ...     candidates=torch.tensor([[0, 1], [0, 1], [1, 0], [1, 0]]),
        ...     mask=torch.ones(4, 2, dtype=torch.bool),
        ...     weights=torch.full((4, 2), 0.5),
        ... )
        >>> logits = torch.tensor([[3.0, 0.0], [2.8, 0.0], [0.1, 3.0], [3.0, 0.0]])
        >>> loss = NearLoss(warmup_epochs=1)
        >>> loss.setup(labels, key="four photos, of which the last one's name is wrong")
        >>> loss.write_state(labels.rows, loss.new_state(logits, labels))
        >>> loss.end_epoch(labels)
        >>> loss.state[:, :2]
        tensor([[1.0000, 0.0000],
                [1.0000, 0.0000],
                [1.0000, 0.0000],
                [0.0025, 0.9975]])
    """

    def __init__(self, warmup_epochs: int = 5, temperature: float = 0.5) -> None:
        super().__init__()
        if warmup_epochs < 1:
            raise FgvrError(f"loss.warmup_epochs is {warmup_epochs}: it must be 1 or more.")
        if not temperature > 0:
            raise FgvrError(f"loss.temperature is {temperature}: it must be above 0.")
        self.warmup_epochs = warmup_epochs
        self.temperature = temperature
        self._warned = False

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        if self.step.epochs <= self.warmup_epochs and not self._warned:
            self._warned = True
            log.warning(
                "loss.warmup_epochs is %d and trainer.max_epochs %d: no epoch is trained after the names are split, "
                "so NeaR is PRODEN. Give fewer warm-up epochs, or more epochs.",
                self.warmup_epochs,
                self.step.epochs,
            )
        targets, *_ = self._blocks(self.rows(labels))
        return -(targets * candidate_log_probs(logits, labels)).sum(dim=1)

    def init_state(self, labels: PartialLabels) -> Tensor:
        """The candidate strategy's weights as targets and as predictions, an infinite loss, and c = 0."""
        losses = torch.full_like(labels.weights[:, :1], torch.inf)  # of photos that no epoch has seen
        return torch.cat([labels.weights, labels.weights, losses, torch.zeros_like(losses)], dim=1)

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """New targets in the warm-up and the old ones later, predictions, loss and the old c; ``(B, 2 K + 2)``."""
        targets, _, _, clean = self._blocks(self.rows(labels))
        if self.step.epoch < self.warmup_epochs:
            targets = inside_softmax(logits, labels)
        predictions = inside_softmax(logits.float() / self.temperature, labels)
        losses = -candidate_log_probs(logits, labels).gather(1, _own(labels))
        return torch.cat([targets, predictions, losses, clean], dim=1)

    def end_epoch(self, labels: PartialLabels) -> None:
        """Split the photos by their losses and refine the targets, after the warm-up."""
        if self.step.epoch < self.warmup_epochs - 1:
            return
        _, predictions, losses, _ = self._blocks(self._state_on(labels.rows.device))
        clean = clean_probability(losses[:, 0])[:, None]
        own = torch.zeros_like(predictions).scatter_(1, _own(labels), 1.0)
        self.state = torch.cat([torch.lerp(predictions, own, clean), predictions, losses, clean], dim=1)
        count, seen = int((clean > 0.5).sum()), int(losses.isfinite().sum())
        log.info("NeaR, epoch %d: %d of %s count as clean", self.step.epoch + 1, count, counted(seen, "name"))

    def _blocks(self, state: Tensor) -> tuple[Tensor, ...]:
        """Targets and predictions, K columns each; loss and c, a column each."""
        width = (state.shape[1] - 2) // 2
        parts: tuple[Tensor, ...] = state.split([width, width, 1, 1], dim=1)
        return parts


def _own(labels: PartialLabels) -> Tensor:
    """Which candidate is the photo's own name, int64, shape ``(B, 1)``."""
    return labels.weights.argmax(dim=1, keepdim=True)


def clean_probability(losses: Tensor) -> Tensor:
    """How probably each loss is of the lower of two normal distributions, float32, shape ``(N,)``; never rising.

    Fitted by EM from the losses below and above their mean, in float64 on the CPU, so that all processes find the same.
    Zeros where there are no two distributions, or for losses that are not finite; see :class:`NearLoss`.

    Args:
        losses: Shape ``(N,)``.

    Example:
        >>> clean_probability(torch.tensor([0.1, 0.2, 0.1, 3.0, 2.5, torch.inf]))
        tensor([1., 1., 1., 0., 0., 0.])
    """
    finite = losses.isfinite()
    values = losses[finite].cpu().double()
    clean = torch.zeros(losses.shape, device=losses.device)
    if len(values) < 2:
        return clean
    deviation = values.std(correction=0)
    if deviation <= _EQUAL * values.abs().amax():
        return clean
    values = (values - values.mean()) / deviation
    mass, means, variances = _two_normals(values)
    if mass.amin() >= _MIN_MASS:
        clean[finite] = _lower(values, mass, means, variances).to(clean)
    return clean


def _two_normals(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number of values, mean and variance of two normal distributions, each of shape ``(2,)``, the lower mean first."""
    lower = (values <= 0).double()
    for _ in range(_MAX_STEPS):
        parts = torch.stack([lower, 1 - lower])
        mass = parts.sum(dim=1).clamp(min=1e-12)
        means = parts @ values / mass
        variances = (parts * (values - means[:, None]).square()).sum(dim=1) / mass + _MIN_VARIANCE
        before, lower = lower, _log_odds(values, mass, means, variances).sigmoid()
        if (lower - before).abs().amax() < _TOLERANCE:
            break
    order = means.argsort()
    return mass[order], means[order], variances[order]


def _log_odds(values: Tensor, mass: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """Logarithm of the first component's density over the second's, shape ``(N,)``."""
    each = mass.log() - 0.5 * variances.log() - 0.5 * (values[:, None] - means).square() / variances
    return each[:, 0] - each[:, 1]


def _lower(values: Tensor, mass: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """Posterior of the first component, held at its extreme from there on where it would rise with the value."""
    if variances[0] != variances[1]:
        turn = (means[0] * variances[1] - means[1] * variances[0]) / (variances[1] - variances[0])
        # a narrow lower component has its highest odds at the turn, a broad one its lowest
        values = values.clamp(min=turn) if variances[0] < variances[1] else values.clamp(max=turn)
    return _log_odds(values, mass, means, variances).sigmoid()
