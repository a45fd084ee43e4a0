"""The most confident photos of each class that is predicted."""

from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.filters.base import Filter, PseudoLabels
from fgvr.filters.confidence import least_sure, rank_in_class


class TopKFilter(Filter):
    r"""Keeps, of each class that a model predicts, the K photos that it is surest of.

    .. math::
        \mathrm{keep}_{mi} = \left|\{\, j : y_{mj} = y_{mi},\; c_{mj} > c_{mi} \,\}\right| < K

    with the label y and the confidence c (log-odds of the label) of model m. Equal confidence: the lower row comes
    first (derived). A class that fewer photos are predicted as has these, so every predicted class is learned of,
    however unsure; what is not a number is never kept.

    Its doubt is the confidence of the model that is least sure of the photo, negated.

    Source: Huang, Chu and Wei, "Unsupervised prompt learning for vision-language models" (UPL), arXiv 2204.03649, which
    takes 16; phase 1 of CoFT, arXiv 2602.04337.

    Args:
        k: Most photos of a class, at least 1.

    Raises:
        FgvrError: ``k`` is below 1.

    Example:
        >>> import torch
        >>> said = PseudoLabels(torch.tensor([[0, 0, 1, 0]]), torch.tensor([[2.0, 3.0, 1.0, 4.0]]))
        >>> TopKFilter(2).keep(said)
        tensor([[False,  True,  True,  True]])
    """

    def __init__(self, k: int = 16) -> None:
        if k < 1:
            raise FgvrError(f"filter.k is {k}; expected 1 photo of a class or more, for instance 16.")
        self.k = k

    def keep(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        kept = said.confidence.isnan().logical_not()
        for model, (labels, confidence) in enumerate(zip(said.labels, said.confidence, strict=True)):
            kept[model] &= rank_in_class(labels, confidence) < self.k
        return kept

    def doubt(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        return least_sure(said)
