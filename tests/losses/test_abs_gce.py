import math

import pytest
import torch

from fgvr.errors import FgvrError
from fgvr.losses.abs_gce import AbsGCELoss
from fgvr.losses.abs_mae import AbsMAELoss
from fgvr.losses.nll_avg import NllAvgLoss


def reference(logits, sets, gamma):
    """1/s sum_{k in S} (1 - p_k^gamma) / gamma, one number at a time."""
    losses = []
    for z, candidates in zip(logits.tolist(), sets, strict=True):
        total = sum(math.exp(value) for value in z)
        errors = [(1 - (math.exp(z[c]) / total) ** gamma) / gamma for c in candidates]
        losses.append(sum(errors) / len(candidates))
    return torch.tensor(losses)


@pytest.mark.parametrize("gamma", [0.3, 0.7, 1.0])
def test_it_is_the_formula(labels, sets, batches, gamma):
    for logits in batches:
        torch.testing.assert_close(AbsGCELoss(gamma)(logits, labels), reference(logits, sets[0], gamma))


def test_its_ends_are_the_log_likelihood_and_the_absolute_error(labels, batches):
    torch.testing.assert_close(AbsGCELoss(1.0)(batches[0], labels), AbsMAELoss()(batches[0], labels) / 2)
    near = AbsGCELoss(1e-4)(batches[0], labels)
    torch.testing.assert_close(near, NllAvgLoss()(batches[0], labels), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("gamma", [0.0, 1.1, math.nan])
def test_a_gamma_that_makes_no_sense_is_refused(gamma):
    with pytest.raises(FgvrError, match=r"loss\.gamma"):
        AbsGCELoss(gamma)
