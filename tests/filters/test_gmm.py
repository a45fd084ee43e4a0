import math

import pytest
import torch
from drawn_pseudo_labels import drawn

from fgvr.filters.base import PseudoLabels
from fgvr.filters.gmm import GmmFilter


def two_heaps(apart=6.0, seed=0):
    """Confidences of two models: 80 sure photos and 40 unsure ones, with overlap."""
    generator = torch.Generator().manual_seed(seed)
    rows = [
        torch.cat([torch.randn(80, generator=generator) + apart, torch.randn(40, generator=generator)])
        for _ in range(2)
    ]
    return PseudoLabels(torch.zeros((2, 120), dtype=torch.int64), torch.stack(rows))


def slow_posteriors(losses, steps=200):
    """Of the lower of two normal distributions, by EM on standardised values in pure Python."""
    mean = sum(losses) / len(losses)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in losses) / len(losses))
    values = [(x - mean) / deviation for x in losses]
    lower = [float(x <= 0) for x in values]
    for _ in range(steps):
        parts = []
        for share in (lower, [1 - p for p in lower]):
            mass = sum(share)
            centre = sum(p * x for p, x in zip(share, values, strict=True)) / mass
            variance = sum(p * (x - centre) ** 2 for p, x in zip(share, values, strict=True)) / mass + 0.01
            parts.append((mass, centre, variance))
        densities = [[m / math.sqrt(v) * math.exp(-((x - c) ** 2) / (2 * v)) for m, c, v in parts] for x in values]
        before, lower = lower, [a / (a + b) for a, b in densities]
        if max(abs(p - q) for p, q in zip(lower, before, strict=True)) < 1e-6:
            break
    # the lower distribution is the narrow one here: below its highest odds, the odds stay as they are there
    (_, c0, v0), (_, c1, v1) = parts
    turn = (c0 * v1 - c1 * v0) / (v1 - v0)
    best = max(lower)
    return [best if x < turn else p for x, p in zip(values, lower, strict=True)]


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_it_keeps_what_a_mixture_on_the_losses_takes_for_low(threshold):
    said = two_heaps(apart=2.5)
    kept = GmmFilter(threshold).keep(said)
    for model in range(2):
        losses = [math.log1p(math.exp(-c)) for c in said.confidence[model].double().tolist()]
        expected = [p > threshold for p in slow_posteriors(losses)]
        assert kept[model].tolist() == expected
        assert 0 < sum(expected) < 120


def test_each_model_has_a_mixture_of_its_own():
    said = two_heaps()
    alone = PseudoLabels(said.labels[1:], said.confidence[1:])
    assert torch.equal(GmmFilter().keep(said)[1:], GmmFilter().keep(alone))


def test_what_is_kept_is_surer_than_what_is_not():
    said = drawn(1)
    kept = GmmFilter().keep(said)[0]
    assert said.confidence[0, kept].min() > said.confidence[0, ~kept].max()


def test_of_equal_losses_none_is_kept():
    said = PseudoLabels(torch.zeros((1, 5), dtype=torch.int64), torch.full((1, 5), 3.0))
    assert not GmmFilter().keep(said).any()


def test_a_confidence_without_bound_is_kept():
    confidence = torch.tensor([[torch.inf, 200.0, 150.0, -5.0, -6.0]])
    said = PseudoLabels(torch.zeros((1, 5), dtype=torch.int64), confidence)
    assert GmmFilter().keep(said)[0].tolist() == [True, True, True, False, False]
