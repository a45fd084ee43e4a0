"""Approximated accuracy: what the accuracy would be if the classifier were right about its candidates."""

import torch
from torch import Tensor
from torchmetrics import Metric


class ApproximatedAccuracy(Metric):
    r"""Approximated accuracy: mean probability of the predicted class among the candidates.

    .. math::
        \text{AA} = \frac{100}{N} \sum_{i=1}^{N} \sum_{k \in S_i} 1\big(k = \arg\max_j z_{ij}\big)
        \frac{\exp z_{ik}}{\sum_{j \in S_i} \exp z_{ij}}

    for logits :math:`z` and candidate sets :math:`S`: a photo whose predicted class is outside its set counts 0. Where
    the classifier's probabilities are right and the set holds the truth, this is the expected accuracy. It needs no
    true name, so it may choose a checkpoint; it is never above the covering rate.

    As input to ``forward`` and ``update`` the metric takes:

    - ``logits``: shape ``(B, C)``. Computed on in float32 whatever their dtype.
    - ``candidates``: int64, shape ``(B, K)``: class indices, none twice where ``mask`` is true.
    - ``mask``: bool, shape ``(B, K)``: true where there is a candidate; at least one in a row.

    As output of ``forward`` and ``compute`` it gives a float scalar from 0 to 100; NaN where it has seen no photo.

    Source:
        PLENCH (Wang et al., "Realistic Evaluation of Deep Partial-Label Learning Algorithms", ICLR 2025).

    Args:
        kwargs: Keyword arguments of :class:`torchmetrics.Metric`.

    Example:
        >>> metric = ApproximatedAccuracy()
        >>> logits = torch.tensor([[3.0, 3.0, 0.0], [2.0, 1.0, 0.0]])
        >>> metric(logits, torch.tensor([[0, 1], [2, 0]]), torch.tensor([[True, True], [True, False]]))
        tensor(25.)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 100.0

    total: Tensor
    photos: Tensor

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.add_state("total", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("photos", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, candidates: Tensor, mask: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: Shape ``(B, C)``.
            candidates: Class indices, shape ``(B, K)``.
            mask: True where there is a candidate, shape ``(B, K)``.
        """
        logits = logits.float()
        share = logits.gather(-1, candidates).masked_fill(~mask, -torch.inf).softmax(-1)
        predicted = (candidates == logits.argmax(-1, keepdim=True)) & mask
        self.total += share[predicted].sum()
        self.photos += len(logits)

    def compute(self) -> Tensor:
        """The approximated accuracy of all photos so far."""
        return 100 * self.total / self.photos
