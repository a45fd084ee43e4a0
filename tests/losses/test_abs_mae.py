import math

import torch

from fgvr.losses.abs_mae import AbsMAELoss


def reference(logits, sets):
    """1/s sum_{k in S} || e_k - p ||_1, one number at a time."""
    losses = []
    for z, candidates in zip(logits.tolist(), sets, strict=True):
        total = sum(math.exp(value) for value in z)
        p = [math.exp(value) / total for value in z]
        distances = [sum(abs((j == k) - p[j]) for j in range(len(p))) for k in candidates]
        losses.append(sum(distances) / len(candidates))
    return torch.tensor(losses)


def test_it_is_the_formula(labels, sets, batches):
    for logits in batches:
        torch.testing.assert_close(AbsMAELoss()(logits, labels), reference(logits, sets[0]))


def test_it_is_bounded(labels):
    logits = torch.full((4, 5), 1e4).scatter(1, labels.candidates, -1e4)
    assert (AbsMAELoss()(logits, labels) <= 2).all()
