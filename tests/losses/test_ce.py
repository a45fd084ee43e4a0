import math

import torch
from torch.nn import functional as F

from fgvr.losses.base import PartialLabels
from fgvr.losses.ce import CELoss


def reference(logits, labels):
    """-sum_k w_ik log p_ik, one number at a time."""
    losses = []
    for z, candidates, mask, weights in zip(logits, labels.candidates, labels.mask, labels.weights, strict=True):
        total = sum(math.exp(value) for value in z.tolist())
        losses.append(
            -sum(
                weights[k].item() * math.log(math.exp(z[candidates[k]].item()) / total)
                for k in range(len(candidates))
                if mask[k]
            )
        )
    return torch.tensor(losses)


def test_it_is_the_formula():
    labels = PartialLabels(
        rows=torch.arange(3),
        candidates=torch.tensor([[4, 0, 0], [2, 1, 0], [3, 0, 1]]),
        mask=torch.tensor([[True, False, False], [True, True, False], [True, True, True]]),
        weights=torch.tensor([[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.5, 0.3, 0.2]]),
    )
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(CELoss()(logits, labels), reference(logits, labels))


def test_with_single_candidates_it_is_the_usual_cross_entropy():
    names = torch.tensor([3, 0, 1, 1])
    labels = PartialLabels(torch.arange(4), names[:, None], torch.ones(4, 1, dtype=torch.bool), torch.ones(4, 1))
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(CELoss()(logits, labels), F.cross_entropy(logits, names, reduction="none"))
