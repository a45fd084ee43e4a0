"""Clustering accuracy (cACC): how well photos are told apart, whatever the groups are called."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from fgvr.metrics.matching import best_matching


def _name_id(name: str) -> int:
    """64-bit id of a name, the same in every process."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)


class ClusteringAccuracy(Metric):
    r"""Clustering accuracy: share of photos that are right under the best one-to-one matching of names.

    .. math::
        \text{cACC} = \frac{100}{N} \max_{m} \sum_{i=1}^{N} 1(m(\hat{y}_i) = y_i)

    where :math:`m` maps predicted names to true names one to one, as :func:`fgvr.metrics.matching.best_matching` finds
    it. Predicted names that are left without a true one are wrong for all of their photos. A cluster is a predicted
    string as it is: ``"Whippet"`` and ``"whippet"`` are two, and all photos without a name (``""``) are one. Names that
    are never predicted change nothing.

    As input to ``forward`` and ``update`` the metric takes:

    - ``preds``: a sequence of N predicted names.
    - ``target``: a sequence of N true names.

    As output of ``forward`` and ``compute`` it gives a float scalar from 0 to 100; NaN where it has seen no photo.

    Source:
        FineR (Liu et al., ICLR 2024, ``cluster_acc``), over compacted strings as in CaSED's
        ``SemanticClusterAccuracy`` (Conti et al., NeurIPS 2023).

    Args:
        kwargs: Keyword arguments of :class:`torchmetrics.Metric`.

    Example:
        >>> metric = ClusteringAccuracy()
        >>> metric(["dog a", "dog a", "dog b", "dog c"], ["Borzoi", "Borzoi", "Whippet", "Whippet"])
        tensor(75.)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 100.0

    pairs: list[Tensor]

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.add_state("pairs", default=[], dist_reduce_fx="cat")

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:
        """Adds a batch.

        Args:
            preds: Predicted names.
            target: True names, as many.
        """
        ids = [(_name_id(predicted), _name_id(true)) for predicted, true in zip(preds, target, strict=True)]
        self.pairs.append(torch.tensor(ids, dtype=torch.int64, device=self.device).reshape(-1, 2))

    def compute(self) -> Tensor:
        """The clustering accuracy of all photos so far."""
        if len(self.pairs) == 0:
            return torch.tensor(torch.nan, device=self.device)
        pairs = dim_zero_cat(self.pairs)
        predicted, true = (names.unique(return_inverse=True)[1].cpu().numpy() for names in pairs.unbind(1))
        matched = torch.tensor(best_matching(predicted, true)[2].sum())
        return (100 * matched / len(pairs)).to(self.device)

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gathers the pairs of all processes; see :meth:`torchmetrics.Metric.sync`."""
        if len(self.pairs) == 0:  # torchmetrics would send a float vector for it, which the others cannot concatenate
            self.pairs.append(torch.empty((0, 2), dtype=torch.int64, device=self.device))
        super().sync(*args, **kwargs)
