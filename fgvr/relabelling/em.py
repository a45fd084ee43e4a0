"""Expectation maximisation in which a photo has no say about itself."""

import math
from typing import Any

import torch
from torch import Tensor

from fgvr.classifiers.closed_form.base import ALONE, blocks
from fgvr.classifiers.closed_form.class_means import leave_one_out_scores
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.relabelling.base import Relabelling

_LEAST_OTHERS = 1e-6
"""Photos (of weight 1) that others must amount to, for their mean to be more than rounding."""


class EmRelabelling(Relabelling):
    r"""Names of photos by class means, and class means by names, in turn; a photo is left out of its own means.

    From the candidate sets :math:`q^0`, with the scores :math:`s_{ic}` that class means give photo i when it is left
    out (:class:`fgvr.classifiers.closed_form.class_means.ClassMeans`), repeat

    .. math:: q_{ic} \propto \left( b \, q^0_{ic} + \frac{1 - b}{C} \right) \exp(s_{ic} / \tau)

    A photo without a name starts with :math:`1 / C` in place of the bracket. Plain EM confirms itself, since a photo is
    part of the mean that judges it. A class that no other photo was given cannot be judged, and counts as the average
    of the others do: such a name stays with about weight b.

    Source: EM of a mixture of von Mises-Fisher distributions with a noisy-label prior; leaving photos out, the
    constants and the treatment of names that only one photo has are fgvr's own (docs/explanation/relabelling.md).

    Args:
        name_weight: b, from 0 to below 1: how far a photo's own name is trusted. 0 asks looks alone.
        temperature: :math:`\tau`, above 0: differences of cosines that count.
        steps: How often names and means are made, at least 1.
        **kwargs: Arguments of ``Relabelling``.

    Raises:
        FgvrError: An option is out of its range.

    Example:
        >>> features = torch.nn.functional.normalize(torch.tensor([[1, 0.1], [1, 0], [1, -0.1], [-1, 0.0]]), dim=1)
        >>> names = SoftNames(torch.tensor([[0], [0], [1], [1]]), torch.ones((4, 1)).double(), num_classes=2)
        >>> EmRelabelling(name_weight=0.5).relabel(features, names).indices[:, 0].tolist()
        [0, 0, 0, 1]
    """

    def __init__(self, name_weight: float = 0.8, temperature: float = 0.1, steps: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= name_weight < 1:
            raise FgvrError(f"relabelling.name_weight is {name_weight}: it must be from 0 to below 1; 0.8 is usual.")
        if not 0 < temperature < math.inf:
            raise FgvrError(f"relabelling.temperature is {temperature}: it must be above 0; 0.1 is usual.")
        if steps < 1:
            raise FgvrError(f"relabelling.steps is {steps}: it must be at least 1; 10 is usual.")
        self.name_weight = name_weight
        self.temperature = temperature
        self.steps = steps

    def relabel(self, features: Tensor, names: SoftNames) -> SoftNames:
        """See the base class."""
        present = names.present
        given, classes = names.among(present), len(present)
        # as names were given: later, photos that look like this one hold a little of its name, and would confirm it
        counts_given = given.counts
        # float32: the one array of all photos by all classes
        soft = torch.zeros((len(given), classes), dtype=torch.float32)
        for rows in blocks(len(given), classes):
            soft[rows] = given.dense(rows).float()
        for _ in range(self.steps):
            counts = soft.sum(0, dtype=torch.float64)
            sums = torch.zeros((classes, features.shape[1]), dtype=torch.float64)
            for rows in blocks(len(given), max(classes, features.shape[1])):
                sums += soft[rows].double().T @ features[rows].double()
            for rows in blocks(len(given), 4 * classes):
                own = given.dense(rows)
                held = soft[rows].double()
                alone = (counts_given - own <= ALONE) | (counts - held <= _LEAST_OTHERS)
                soft[rows] = self._step(features[rows], held, sums, own, alone).float()
        return self._strongest(soft, present, names.num_classes)

    def _strongest(self, soft: Tensor, present: Tensor, num_classes: int) -> SoftNames:
        """The m classes of the largest weights; of equal ones that of the lower index."""
        width = min(self.m, soft.shape[1])
        indices = torch.zeros((len(soft), width), dtype=torch.int64)
        shares = torch.zeros((len(soft), width), dtype=torch.float64)
        for rows in blocks(len(soft), soft.shape[1]):
            order = torch.argsort(soft[rows], dim=1, descending=True, stable=True)[:, :width]
            indices[rows], shares[rows] = present[order], soft[rows].gather(1, order).double()
        return SoftNames.from_shares(indices, shares, num_classes)

    def _step(self, features: Tensor, soft: Tensor, sums: Tensor, given: Tensor, alone: Tensor) -> Tensor:
        evidence = leave_one_out_scores(features.double(), sums, soft).clamp(-1, 1) / self.temperature
        judged = evidence.masked_fill(alone, -torch.inf)
        average = judged.logsumexp(1, keepdim=True) - (~alone).sum(1, keepdim=True).clamp(min=1).log()
        evidence = torch.where(alone, average.nan_to_num(neginf=0.0), evidence)
        trust = torch.where(given.sum(1, keepdim=True) > 0, self.name_weight, 0.0)
        prior = trust * given + (1 - trust) / given.shape[1]
        return (prior.log() + evidence).softmax(1)
