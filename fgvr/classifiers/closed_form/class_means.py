"""Classification by the nearest class mean."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.classifiers.closed_form.base import ALONE, ClosedForm
from fgvr.classifiers.closed_form.soft_names import SoftNames

_TINY = 1e-12


class ClassMeans(ClosedForm):
    r"""Cosines with the mean of each class, which may be drawn towards the class's text.

    .. math:: w_c = \mathrm{normalise}(\kappa t_c + \sum_i q_{ic} x_i)

    Without photo i, with :math:`S_c` the sum and :math:`P_{ic} = x_i \cdot S_c`, the score is

    .. math:: \frac{P_{ic} - q_{ic} |x_i|^2}{\sqrt{|S_c|^2 - 2 q_{ic} P_{ic} + q_{ic}^2 |x_i|^2}}

    Source: Snell et al. 2017 (means as prototypes); the anchor is the posterior mean under a Gaussian prior around the
    text.

    Args:
        features: Centred features of length 1, shape ``(N, D)``.
        names: What the photos are said to show.
        texts: Text features in the same space, centred and of length 1, shape ``(C, D)``.
        anchor: :math:`\kappa`, at least 0: how many photos the text counts as.

    Example:
        >>> names = SoftNames(torch.tensor([[0], [0], [1]]), torch.ones((3, 1)).double(), num_classes=2)
        >>> means = ClassMeans(F.normalize(torch.tensor([[1.0, 0.2], [1.0, -0.2], [0.0, 1.0]]), dim=1), names)
        >>> means.weight.round().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
        >>> means.leave_one_out(torch.tensor([2])).tolist()[0][1]
        -inf
    """

    def __init__(self, features: Tensor, names: SoftNames, texts: Tensor | None = None, anchor: float = 0.0) -> None:
        super().__init__(features, names)
        self.sums = names.sums(features)
        self.anchored = texts is not None and anchor > 0
        if texts is not None and anchor > 0:
            self.sums += anchor * texts.double()
            self.missing = torch.zeros_like(self.missing)
        self.weight = F.normalize(self.sums, dim=1)
        self.bias = torch.zeros(len(self.sums), dtype=torch.float64)

    def leave_one_out(self, rows: Tensor) -> Tensor:
        """See the base class."""
        weights = self.names.dense(rows)
        scores = leave_one_out_scores(self.features[rows].double(), self.sums, weights)
        if self.anchored:
            return scores
        return scores.masked_fill(self.counts - weights <= ALONE, -torch.inf)


def leave_one_out_scores(images: Tensor, sums: Tensor, weights: Tensor) -> Tensor:
    """Cosines of photos with class means that each of them is left out of; see :class:`ClassMeans`.

    Args:
        images: Features, float64, shape ``(B, D)``.
        sums: The sum of each class, these photos in it, shape ``(C, D)``.
        weights: How far each photo counts in each class, shape ``(B, C)``.

    Returns:
        Shape ``(B, C)``; of no meaning for a class that no other photo has.
    """
    products = images @ sums.T
    squares = images.square().sum(1, keepdim=True)
    left = (sums.square().sum(1) - 2 * weights * products + weights.square() * squares).clamp(min=0)
    return (products - weights * squares) / left.sqrt().clamp(min=_TINY)
