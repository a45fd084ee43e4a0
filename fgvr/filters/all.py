"""Every pseudo-label, right or wrong."""

import torch
from torch import Tensor

from fgvr.filters.base import Filter, PseudoLabels
from fgvr.filters.confidence import least_sure


class AllFilter(Filter):
    """Keeps every photo: what a filter is compared with.

    Its doubt is the confidence of the model that is least sure of the photo, negated.
    """

    def keep(self, said: PseudoLabels) -> Tensor:
        """See the base class; a label whose confidence is not a number is kept, too."""
        return torch.ones_like(said.labels, dtype=torch.bool)

    def doubt(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        return least_sure(said)
