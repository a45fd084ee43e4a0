import math

import torch

from fgvr.losses.ce import CELoss
from fgvr.losses.nll_avg import NllAvgLoss


def reference(logits, sets):
    """-1/s sum_{k in S} log p_k, one number at a time."""
    losses = []
    for z, candidates in zip(logits.tolist(), sets, strict=True):
        total = sum(math.exp(value) for value in z)
        losses.append(-sum(math.log(math.exp(z[c]) / total) for c in candidates) / len(candidates))
    return torch.tensor(losses)


def test_it_is_the_formula(labels, sets, batches):
    for logits in batches:
        torch.testing.assert_close(NllAvgLoss()(logits, labels), reference(logits, sets[0]))


def test_it_differs_from_cross_entropy_where_the_weights_are_not_uniform(labels, batches):
    difference = (NllAvgLoss()(batches[0], labels) - CELoss()(batches[0], labels)).abs()
    assert (difference > 1e-3).tolist() == [False, True, True, False]
