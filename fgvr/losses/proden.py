"""Progressive identification of the true label (PRODEN)."""

from typing import Literal

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels
from fgvr.losses.probabilities import candidate_log_probs, inside_softmax


class ProdenLoss(Loss):
    r"""Cross entropy against weights that follow the model's own confidence within the candidate set.

    .. math::
        \ell_i = -\sum_{k \in S_i} w_{ik} \log p_{ik}, \qquad
        w_{ik} \leftarrow \frac{\exp z_{ik}}{\sum_{j \in S_i} \exp z_{ij}}, \quad k \in S_i

    The weights start as the candidate strategy's (uniform: :math:`1 / |S_i|`) and are replaced at every step from the
    same forward that the loss was computed on, as in the authors' code. The candidate mask never shrinks, so a weight
    that underflows to zero comes back as soon as the logits say so; in the authors' code it is lost for good.

    Source: Lv et al., "Progressive Identification of True Labels for Partial-Label Learning", ICML 2020, the
    section on progressive identification with the cross entropy; ``utils/utils_loss.py`` of the authors' code.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: the weights, ``(N, K)``.

    Args:
        momentum: Share of the old weights that is kept at an update, in [0, 1): ``w <- momentum * w + (1 - momentum) *
            softmax``. 0 is PRODEN; more damps the noise of the augmentation, which is not in the paper.
        update: Which forward the new weights come from: ``same_forward``, the one that the loss was computed on, or
            ``refresh``, a second one after the optimiser's step, as in public code of RC and in benchmarks of
            partial-label learning. A refresh costs one more forward without gradients at every step.

    Raises:
        FgvrError: ``momentum`` is outside [0, 1), or ``update`` is neither of the two.

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
        >>> loss = ProdenLoss()
        >>> loss.setup(labels, key="two photos")
        >>> loss(logits, labels)
        tensor([0.5514, 1.2395])
        >>> loss.write_state(labels.rows, loss.new_state(logits, labels))
        >>> loss.state
        tensor([[1.0000, 0.0000],
                [0.1192, 0.8808]])
        >>> loss(logits, labels)
        tensor([0.5514, 0.4780])
    """

    def __init__(self, momentum: float = 0.0, update: Literal["same_forward", "refresh"] = "same_forward") -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise FgvrError(f"loss.momentum is {momentum}: it must be at least 0 (plain PRODEN) and below 1.")
        if update not in ("same_forward", "refresh"):
            raise FgvrError(f"loss.update is {update!r}: it must be same_forward or refresh.")
        self.momentum = momentum
        self.update = update
        self.refresh = update == "refresh"

    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """See the class."""
        return -(self.rows(labels) * candidate_log_probs(logits, labels)).sum(dim=1)

    def init_state(self, labels: PartialLabels) -> Tensor:
        """The candidate strategy's weights, shape ``(N, K)``."""
        return labels.weights.clone()  # write_state works in place

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """Softmax over the candidates alone, shape ``(B, K)``."""
        return torch.lerp(inside_softmax(logits, labels), self.rows(labels), self.momentum)
