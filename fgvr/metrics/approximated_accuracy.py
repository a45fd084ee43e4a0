"""Approximated accuracy: what the accuracy would be if the classifier were right about its candidates."""

from typing import ClassVar

import torch
from torch import Tensor

from fgvr.metrics.covering_rate import CoveringRate


class ApproximatedAccuracy(CoveringRate):
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

    nothing: ClassVar[float] = 0.0

    def credit(self, logits: Tensor, candidates: Tensor, mask: Tensor, predicted: Tensor) -> Tensor:
        """The probabilities of the predicted classes among their candidates."""
        share = logits.float().gather(-1, candidates).masked_fill(~mask, -torch.inf).softmax(-1)
        return share[predicted].sum()
