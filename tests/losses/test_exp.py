import math

import torch

from fgvr.losses.base import PartialLabels
from fgvr.losses.exp import ExpLoss


def reference(logits, sets):
    """(C - 1) / (C - s) exp(-sum_{k in S} p_k), one number at a time."""
    losses = []
    for z, candidates in zip(logits.tolist(), sets, strict=True):
        total = sum(math.exp(value) for value in z)
        mass = sum(math.exp(z[c]) / total for c in candidates)
        losses.append((len(z) - 1) / (len(z) - len(candidates)) * math.exp(-mass))
    return torch.tensor(losses)


def test_it_is_the_formula(labels, sets, batches):
    for logits in batches:
        torch.testing.assert_close(ExpLoss()(logits, labels), reference(logits, sets[0]))


def test_a_set_of_all_classes_is_finite():
    sets = PartialLabels(
        torch.tensor([0]), torch.tensor([[1, 0]]), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2)
    )
    assert ExpLoss()(torch.tensor([[0.0, 2.0]]), sets).isfinite().all()
