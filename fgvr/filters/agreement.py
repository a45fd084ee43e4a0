"""Pseudo-labels on which models, and views of a photo, agree."""

from typing import Literal, get_args

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.filters.base import Filter, PseudoLabels
from fgvr.filters.confidence import least_sure

Scope = Literal["both", "between", "within"]


class AgreementFilter(Filter):
    r"""Keeps photos that all models, or all views of a photo, give one label.

    .. math::
        \mathrm{between}_{mi} = [\, y_{1i} = \dots = y_{Mi} \,], \qquad
        \mathrm{within}_{mi} = [\, y_{mi} = y'_{mi} \,]

    with the label y of model m, and the one y' that it gives another view of the photo. ``both`` asks for the first,
    and where there are other views for the second of *each* model, so that all models keep the same photos. A label
    whose confidence is not a number is not kept.

    Its doubt counts the models and views that contradict: :math:`\sum_m [y_{mi} \neq y_{1i}] + \sum_m [y_{mi} \neq
    y'_{mi}]`, each sum where it is asked for. Of equal counts, the photo whose least sure model is less sure is the
    more doubtful one. Only the order has a meaning: values are places in it (derived).

    Source: the idea, as its abstract has it, of Bi-CoG (arXiv 2510.20477): agreement between and within models. **Not
    Bi-CoG**: its equations were not at hand, and its third part, a threshold for each class by estimated errors, is
    missing.

    Args:
        scope: ``between`` models, ``within`` each of them (of each photo by two views), or ``both``.

    Raises:
        FgvrError: ``scope`` is none of these; or, later, there is nothing to compare.
    """

    def __init__(self, scope: Scope = "both") -> None:
        if scope not in get_args(Scope):
            raise FgvrError(f"filter.scope is {scope!r}; expected one of {', '.join(get_args(Scope))}.")
        self.scope = scope
        self.needs_views = scope != "between"

    def keep(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        agrees = torch.ones_like(said.labels, dtype=torch.bool)
        for disagrees in (*self._compared(said), said.confidence.isnan()):
            agrees &= ~disagrees if self.scope == "within" else ~disagrees.any(dim=0)
        return agrees

    def doubt(self, said: PseudoLabels) -> Tensor:
        """See the base class."""
        counts = torch.stack([disagrees.sum(dim=0) for disagrees in self._compared(said)]).sum(dim=0)
        # sorted by count and then by doubt: no weight of the one could hide the other
        places: Tensor = torch.stack([counts.float(), least_sure(said)], dim=1).unique(dim=0, return_inverse=True)[1]
        return places.float().masked_fill(said.confidence.isnan().any(dim=0), torch.inf)

    def _compared(self, said: PseudoLabels) -> list[Tensor]:
        """Which labels contradict, of each comparison that is asked for, bool, shape ``(M, N)``."""
        compared = []
        if self.scope != "within" and len(said.labels) > 1:
            compared.append(said.labels != said.labels[:1])
        if self.scope != "between" and said.view_labels is not None:
            compared.append(said.labels != said.view_labels)
        if not compared:
            wanted = {
                "between": "two models",
                "within": "labels of another view of the photos",
                "both": "two models, or labels of another view of the photos",
            }
            raise FgvrError(
                f"The filter agreement (scope {self.scope}) has nothing to compare: expected {wanted[self.scope]}. "
                "Choose another scope, or the filter top_k, for which one model and one view are enough."
            )
        return compared
