"""A model's pseudo-labels that the other models hold for clean."""

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.filters.base import Filter, PseudoLabels
from fgvr.filters.confidence import without_nan
from fgvr.filters.threshold import check_threshold, log_odds


class PeerFilter(Filter):
    r"""Keeps photos whose label every other model finds clean: CoFT's check in phase 2.

    .. math::
        p^{clean}_{jmi} = \sigma(z^+_{j i y} - z^-_{j i y}), \quad y = y_{mi}, \qquad
        \mathrm{keep}_{mi} = \min_{j \neq m} p^{clean}_{jmi} > \tau

    with the logits of the positive and negative prompts of model j about the label of model m. The models need not
    give the same label, and what a model thinks of its own label does not count.

    Its doubt is the margin :math:`z^+ - z^-` negated, of the pair of models (j, m) where it is least (derived).

    Source: Wang et al., "CoFT" (arXiv 2602.04337), phase 2, with two models and 0.5. More models, of which every one
    has to hold the label for clean, are derived.

    Args:
        threshold: :math:`\tau`, above 0 and below 1.

    Raises:
        FgvrError: ``threshold`` is out of its range; or, later, the models have no negative prompts, or there is one.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = check_threshold(threshold)

    def keep(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        return _least_of_others(said) > log_odds(self.threshold)

    def doubt(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        return -without_nan(_least_of_others(said)).amin(dim=0)


def _least_of_others(said: PseudoLabels) -> Tensor:
    """The least margin of the other models about each model's label, shape ``(M, N)``; NaN where one of them is."""
    margins = said.required_margins("peer")
    if len(margins) < 2:
        raise FgvrError(
            "The filter peer lets models check one another's labels, and there is one model: expected two or more, or "
            "the filter dual_prompt, by which a model checks its own."
        )
    own = torch.eye(len(margins), dtype=torch.bool, device=margins.device)
    return margins.masked_fill(own.unsqueeze(2), torch.inf).amin(dim=0)
