"""Covering rate: how often a classifier stays inside the candidate sets; needs no true name."""

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

    inside: Tensor
    photos: Tensor

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.add_state("inside", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("photos", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, candidates: Tensor, mask: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: Shape ``(B, C)``.
            candidates: Class indices, shape ``(B, K)``.
            mask: True where there is a candidate, shape ``(B, K)``.
        """
        predicted = logits.argmax(-1, keepdim=True)
        self.inside += ((candidates == predicted) & mask).any(-1).sum()
        self.photos += len(logits)

    def compute(self) -> Tensor:
        """The covering rate of all photos so far."""
        return 100 * self.inside / self.photos
