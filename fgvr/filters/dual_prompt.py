"""A model's own negative prompts as its threshold."""

from torch import Tensor

from fgvr.filters.base import Filter, PseudoLabels
from fgvr.filters.confidence import without_nan
from fgvr.filters.threshold import check_threshold, log_odds


class DualPromptFilter(Filter):
    r"""Keeps photos that a model finds nearer to the positive prompt of its label than to the negative one.

    .. math::
        p^{clean}_{mi} = \sigma(z^+_{m i y} - z^-_{m i y}), \quad y = y_{mi}, \qquad
        \mathrm{keep}_{mi} = p^{clean}_{mi} > \tau

    Its doubt is the margin :math:`z^+ - z^-` negated, of the model where it is least; of one model, the order of
    :math:`1 - p^{clean}`. The least of several models is derived.

    Source: Wei et al., "Vision-Language Models are Strong Noisy Label Detectors" (DeFT), NeurIPS 2024, which keeps what
    is above 0.5; dual-prompt active CLIP, arXiv 2602.04340, which asks about the lowest of each predicted class.

    Args:
        threshold: :math:`\tau`, above 0 and below 1.

    Raises:
        FgvrError: ``threshold`` is out of its range; or, later, the models have no negative prompts.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = check_threshold(threshold)

    def keep(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        return _own_margins(said) > log_odds(self.threshold)

    def doubt(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        return -without_nan(_own_margins(said)).amin(dim=0)


def _own_margins(said: PseudoLabels) -> Tensor:
    """Of each model about its own label, shape ``(M, N)``."""
    return said.required_margins("dual_prompt").diagonal(dim1=0, dim2=1).T
