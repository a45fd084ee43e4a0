"""Pseudo-labels of a low loss, by a mixture of two normal distributions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.filters.base import Filter, PseudoLabels
from fgvr.filters.confidence import least_sure
from fgvr.filters.threshold import check_threshold
from fgvr.losses.near import clean_probability


class GmmFilter(Filter):
    r"""Keeps photos whose loss is of the lower of two normal distributions.

    .. math::
        \ell_{mi} = -\log p_{mi} = \log(1 + e^{-c_{mi}}), \qquad
        \mathrm{keep}_{mi} = P(\text{lower} \mid \ell_{mi}) > \tau

    with the confidence c of model m (log-odds of its label, :math:`p = \sigma(c)`). The losses of each model have a
    mixture of their own, fitted as that of :class:`~fgvr.losses.near.NearLoss`: made monotone in the loss, zero where
    nothing tells two distributions apart (fewer than two finite losses, all losses equal, less than half a photo in a
    component) and of a loss that is not finite. Nothing is kept there.

    Its doubt is the confidence of the model that is least sure of the photo, negated: the order of the losses, in which
    posteriors that round to 0 or 1 stay apart.

    Source: Li et al., "DivideMix: Learning with Noisy Labels as Semi-supervised Learning", ICLR 2020, section 3.1,
    where the loss is against given names. That it is the model's own label here is derived.

    Args:
        threshold: Posterior above which a photo is kept, above 0 and below 1; 0.5 is DivideMix's.

    Raises:
        FgvrError: ``threshold`` is out of its range.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = check_threshold(threshold)

    def keep(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        losses = F.softplus(-said.confidence.float())
        return torch.stack([clean_probability(of_model) > self.threshold for of_model in losses])

    def doubt(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        return least_sure(said)
