import math

import torch

from fgvr.losses.base import PartialLabels
from fgvr.losses.scl_nl import SclNlLoss


def reference(logits, sets):
    """-sum_{k not in S} log(1 - p_k), one number at a time."""
    losses = []
    for z, candidates in zip(logits.tolist(), sets, strict=True):
        total = sum(math.exp(value) for value in z)
        others = [k for k in range(len(z)) if k not in candidates]
        losses.append(-sum(math.log(1 - math.exp(z[k]) / total) for k in others))
    return torch.tensor(losses)


def test_it_is_the_formula(labels, sets, batches):
    for logits in batches:
        torch.testing.assert_close(SclNlLoss()(logits, labels), reference(logits, sets[0]))


def test_a_wrong_class_that_is_certain_is_pushed_down(labels):
    # p rounds to 1 in float32: log(1 - p + 1e-7), as public code has it, gives 16 whatever the margin, and no gradient
    logits = torch.tensor([[200.0, 0.0, 0.0, 0.0, 0.0]], requires_grad=True)
    value = SclNlLoss()(logits, labels[:1])
    value.backward()
    torch.testing.assert_close(value, torch.tensor([200 - math.log(4)]))
    torch.testing.assert_close(logits.grad, torch.tensor([[1.0, -0.25, -0.25, -0.25, -0.25]]))


def test_a_set_of_all_classes_has_no_loss():
    sets = PartialLabels(
        torch.tensor([0]), torch.tensor([[1, 0]]), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2)
    )
    logits = torch.tensor([[0.0, 200.0]], requires_grad=True)
    value = SclNlLoss()(logits, sets)
    value.backward()
    assert value.tolist() == [0.0]
    assert logits.grad.tolist() == [[0.0, 0.0]]
