"""Covering rate: how often a classifier stays inside the candidate sets; needs no true name."""

from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric


class CoveringRate(Metric):
    r"""Covering rate: share of photos whose predicted class is in their candidate set.

    .. math::
        \text{CR} = \frac{100}{N} \sum_{i=1}^{N} 1\big(\arg\max_k z_{ik} \in S_i\big)

    for logits :math:`z` and candidate sets :math:`S`. It needs no true name, so it may choose a checkpoint.

    As input to ``forward`` and ``update`` the metric takes:

    - ``logits``: shape ``(B, C)``.
    - ``candidates``: int64, shape ``(B, K)``: class indices.
    - ``mask``: bool, shape ``(B, K)``: true where there is a candidate.

    As output of ``forward`` and ``compute`` it gives a float scalar from 0 to 100; NaN where it has seen no photo.

    Source:
        PLENCH (Wang et al., "Realistic Evaluation of Deep Partial-Label Learning Algorithms", ICLR 2025).

    Args:
        kwargs: Keyword arguments of :class:`torchmetrics.Metric`.

    Example:
        >>> metric = CoveringRate()
        >>> logits = torch.tensor([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
        >>> metric(logits, torch.tensor([[0, 1], [2, 0]]), torch.tensor([[True, True], [True, False]]))
        tensor(50.)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 100.0

    nothing: ClassVar[float] = 0
    """What is counted from: a whole number where whole photos are counted."""

    total: Tensor
    images: Tensor

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.add_state("total", default=torch.tensor(self.nothing), dist_reduce_fx="sum")
        self.add_state("images", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, candidates: Tensor, mask: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: Shape ``(B, C)``.
            candidates: Class indices, shape ``(B, K)``.
            mask: True where there is a candidate, shape ``(B, K)``.
        """
        predicted = (candidates == logits.argmax(-1, keepdim=True)) & mask
        self.total += self.credit(logits, candidates, mask, predicted)
        self.images += len(logits)

    def credit(self, logits: Tensor, candidates: Tensor, mask: Tensor, predicted: Tensor) -> Tensor:
        """What the photos of a batch count for, all together.

        Args:
            logits: As for ``update``.
            candidates: As for ``update``.
            mask: As for ``update``.
            predicted: True where the candidate is the predicted class, shape ``(B, K)``.
        """
        return predicted.any(-1).sum()

    def compute(self) -> Tensor:
        """The figure of all photos so far."""
        return 100 * self.total / self.images
