import math

import torch

from fgvr.losses.proden import ProdenLoss
from fgvr.losses.rc import RCLoss


def reference(batches, sets):
    """Losses of every step: sum_{k in S} (p_k / sum_{j in S} p_j) (-log p_k), with the last step's probabilities."""
    sets, weights = sets
    steps = []
    for logits in batches.tolist():
        losses = []
        for i, candidates in enumerate(sets):
            total = sum(math.exp(value) for value in logits[i])
            p = [math.exp(value) / total for value in logits[i]]
            losses.append(-sum(w * math.log(p[c]) for w, c in zip(weights[i], candidates, strict=True)))
            weights[i] = [p[c] / sum(p[j] for j in candidates) for c in candidates]
        steps.append(losses)
    return torch.tensor(steps)


def test_losses_and_weights_are_the_formula(labels, sets, batches, train):
    torch.testing.assert_close(train(RCLoss(), labels, batches), reference(torch.stack(batches), sets))


def test_its_weights_come_from_a_forward_after_the_step():
    assert RCLoss().refresh
    assert ProdenLoss(update="refresh").refresh
    assert not ProdenLoss().refresh
