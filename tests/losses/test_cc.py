import math

import pytest
import torch

from fgvr.losses.base import PartialLabels
from fgvr.losses.cc import CCLoss


def reference(logits, labels):
    """-log sum_{k in S} p_ik, one number at a time."""
    losses = []
    for z, candidates, mask in zip(logits, labels.candidates, labels.mask, strict=True):
        total = sum(math.exp(value) for value in z.tolist())
        inside = sum(math.exp(z[candidates[k]].item()) for k in range(len(candidates)) if mask[k])
        losses.append(-math.log(inside / total))
    return torch.tensor(losses)


@pytest.fixture
def labels():
    return PartialLabels(
        rows=torch.arange(3),
        candidates=torch.tensor([[4, 0, 0], [2, 1, 0], [3, 0, 1]]),
        mask=torch.tensor([[True, False, False], [True, True, False], [True, True, True]]),
        weights=torch.tensor([[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.5, 0.3, 0.2]]),
    )


def test_it_is_the_formula(labels):
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(CCLoss()(logits, labels), reference(logits, labels))


def test_it_keeps_its_precision_for_large_logits(labels):
    # LSE(z) - LSE(z_S) in float32 would round to multiples of 0.001 here
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).mul(8).round().div(8)
    torch.testing.assert_close(CCLoss()(logits + 16384, labels), CCLoss()(logits, labels))


def test_it_does_not_ask_where_in_the_set_the_mass_is(labels):
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    CCLoss()(logits, labels)[2].backward()
    inside = logits[2, [3, 0, 1]].softmax(dim=0)
    share = logits.grad[2, [3, 0, 1]] / logits.grad[2, [3, 0, 1]].sum()
    torch.testing.assert_close(share, inside)  # what is there already decides how the pull is shared
