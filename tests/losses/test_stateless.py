"""The losses that keep nothing of a photo, each against its formula, computed one number at a time."""

from math import exp, log

import pytest
import torch
from torch.nn import functional as F

from fgvr.losses.abs_gce import AbsGCELoss
from fgvr.losses.abs_mae import AbsMAELoss
from fgvr.losses.base import PartialLabels
from fgvr.losses.cc import CCLoss
from fgvr.losses.ce import CELoss
from fgvr.losses.exp import ExpLoss
from fgvr.losses.nll_avg import NllAvgLoss
from fgvr.losses.scl_nl import SclNlLoss

# what follows gets the probabilities p of all classes, the candidates s and their weights w


def abs_mae(p, s, w):
    """1/s sum_{k in S} || e_k - p ||_1"""
    return sum(sum(abs((j == k) - p[j]) for j in range(len(p))) for k in s) / len(s)


def abs_gce(gamma):
    """1/s sum_{k in S} (1 - p_k^gamma) / gamma"""
    return lambda p, s, w: sum((1 - p[c] ** gamma) / gamma for c in s) / len(s)


FORMULAS = [
    (CCLoss(), lambda p, s, w: -log(sum(p[c] for c in s))),
    (CELoss(), lambda p, s, w: -sum(weight * log(p[c]) for weight, c in zip(w, s, strict=True))),
    (NllAvgLoss(), lambda p, s, w: -sum(log(p[c]) for c in s) / len(s)),
    (ExpLoss(), lambda p, s, w: (len(p) - 1) / (len(p) - len(s)) * exp(-sum(p[c] for c in s))),
    (SclNlLoss(), lambda p, s, w: -sum(log(1 - p[k]) for k in range(len(p)) if k not in s)),
    (AbsMAELoss(), abs_mae),
    *((AbsGCELoss(gamma), abs_gce(gamma)) for gamma in (0.3, 0.7, 1.0)),
]


@pytest.mark.parametrize(("loss", "formula"), FORMULAS)
def test_it_is_the_formula(labels, sets, batches, loss, formula):
    for logits in batches:
        expected = [
            formula([exp(value) / sum(map(exp, z)) for value in z], candidates, weights)
            for z, candidates, weights in zip(logits.tolist(), *sets, strict=True)
        ]
        torch.testing.assert_close(loss(logits, labels), torch.tensor(expected))


def test_the_ends_of_abs_gce_are_the_log_likelihood_and_the_absolute_error(labels, batches):
    torch.testing.assert_close(AbsGCELoss(1.0)(batches[0], labels), AbsMAELoss()(batches[0], labels) / 2)
    near = AbsGCELoss(1e-4)(batches[0], labels)
    torch.testing.assert_close(near, NllAvgLoss()(batches[0], labels), rtol=1e-3, atol=1e-3)


def test_abs_mae_is_bounded(labels):
    logits = torch.full((4, 5), 1e4).scatter(1, labels.candidates, -1e4)
    assert (AbsMAELoss()(logits, labels) <= 2).all()


def test_cc_keeps_its_precision_for_large_logits(labels, batches):
    # LSE(z) - LSE(z_S) in float32 would round to multiples of 0.001 here
    logits = batches[0].mul(4).round().div(8)
    torch.testing.assert_close(CCLoss()(logits + 16384, labels), CCLoss()(logits, labels))


def test_cc_does_not_ask_where_in_the_set_the_mass_is(labels, batches):
    logits = batches[0].requires_grad_()
    CCLoss()(logits, labels)[2].backward()
    inside = logits[2, [3, 0, 1]].softmax(dim=0)
    share = logits.grad[2, [3, 0, 1]] / logits.grad[2, [3, 0, 1]].sum()
    torch.testing.assert_close(share, inside)  # what is there already decides how the pull is shared


def test_with_single_candidates_ce_is_the_usual_cross_entropy(batches):
    names = torch.tensor([3, 0, 1, 1])
    labels = PartialLabels(torch.arange(4), names[:, None], torch.ones(4, 1, dtype=torch.bool), torch.ones(4, 1))
    torch.testing.assert_close(CELoss()(batches[0], labels), F.cross_entropy(batches[0], names, reduction="none"))


def test_nll_avg_differs_from_cross_entropy_where_the_weights_are_not_uniform(labels, batches):
    difference = (NllAvgLoss()(batches[0], labels) - CELoss()(batches[0], labels)).abs()
    assert (difference > 1e-3).tolist() == [False, True, True, False]


def test_exp_of_a_set_of_all_classes_is_finite(everything):
    assert ExpLoss()(torch.tensor([[0.0, 2.0]]), everything).isfinite().all()


def test_scl_nl_pushes_down_a_wrong_class_that_is_certain(labels):
    # p rounds to 1 in float32: log(1 - p + 1e-7), as public code has it, gives 16 whatever the margin, and no gradient
    logits = torch.tensor([[200.0, 0.0, 0.0, 0.0, 0.0]], requires_grad=True)
    value = SclNlLoss()(logits, labels[:1])
    value.backward()
    torch.testing.assert_close(value, torch.tensor([200 - log(4)]))
    torch.testing.assert_close(logits.grad, torch.tensor([[1.0, -0.25, -0.25, -0.25, -0.25]]))


def test_scl_nl_of_a_set_of_all_classes_is_zero(everything):
    logits = torch.tensor([[0.0, 200.0]], requires_grad=True)
    value = SclNlLoss()(logits, everything)
    value.backward()
    assert value.tolist() == [0.0]
    assert logits.grad.tolist() == [[0.0, 0.0]]
