"""CoFT's first phase against references that are loops over the paper's equations."""

import math

import pytest
import torch

from fgvr.errors import FgvrError
from fgvr.methods.coft_losses import (
    clean_loss,
    clean_probabilities,
    draw_other_classes,
    label_loss,
    phase_one_loss,
)

PHOTOS, CLASSES = 12, 5


def drawn(seed=0, photos=PHOTOS, classes=CLASSES, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    positive, negative = (scale * torch.randn(photos, classes, generator=generator) for _ in range(2))
    labels = torch.randint(classes, (photos,), generator=generator)
    return positive.requires_grad_(), negative.requires_grad_(), labels, draw_other_classes(labels, classes, generator)


def softmax(row):
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def p_clean(positive, negative):
    return math.exp(positive) / (math.exp(positive) + math.exp(negative))


def reference(positive, negative, labels, others):
    """L1 and L2, photo by photo."""
    positive, negative, labels, others = (part.tolist() for part in (positive, negative, labels, others))
    first = second = 0.0
    for plus, minus, label, other in zip(positive, negative, labels, others, strict=True):
        first -= math.log(softmax(plus)[label])
        second -= math.log(p_clean(plus[label], minus[label])) + math.log(1 - p_clean(plus[other], minus[other]))
    return first / len(labels), second / len(labels)


@pytest.mark.parametrize("seed", range(3))
def test_losses_are_those_of_the_equations(seed):
    parts = drawn(seed)
    first, second = reference(*parts)
    assert label_loss(parts[0], parts[2]).item() == pytest.approx(first, rel=1e-6)
    assert clean_loss(*parts).item() == pytest.approx(second, rel=1e-6)
    assert phase_one_loss(*parts, weight=0.3).item() == pytest.approx(first + 0.3 * second, rel=1e-6)
    assert torch.equal(phase_one_loss(*parts), phase_one_loss(*parts, weight=1.0))


def test_clean_probabilities_are_a_softmax_over_a_pair():
    positive, negative, *_ = drawn()
    found = clean_probabilities(positive, negative)
    rows = zip(positive.tolist(), negative.tolist(), strict=True)
    expected = [[p_clean(plus, minus) for plus, minus in zip(*pair, strict=True)] for pair in rows]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-6, rtol=0)
    assert torch.equal(found > 0.5, positive > negative)


def test_gradients_of_both_branches_are_those_of_the_equations():
    positive, negative, labels, others = parts = drawn()
    for_positive, for_negative = torch.autograd.grad(phase_one_loss(*parts, weight=0.7), (positive, negative))
    expected_positive, expected_negative = torch.zeros(2, PHOTOS, CLASSES)
    for i in range(PHOTOS):
        label, other = labels[i].item(), others[i].item()
        for k, probability in enumerate(softmax(positive[i].tolist())):
            expected_positive[i, k] += (probability - (k == label)) / PHOTOS
        at_label, at_other = (p_clean(positive[i, k].item(), negative[i, k].item()) for k in (label, other))
        for k, slope in ((label, at_label - 1), (other, at_other)):
            expected_positive[i, k] += 0.7 * slope / PHOTOS
            expected_negative[i, k] -= 0.7 * slope / PHOTOS
    torch.testing.assert_close(for_positive, expected_positive, atol=1e-6, rtol=0)
    torch.testing.assert_close(for_negative, expected_negative, atol=1e-6, rtol=0)


def test_the_bracket_is_around_both_logarithms():
    # derived: the paper's text, and not its equation 6 as printed
    positive, negative, labels, others = drawn()
    (gradient,) = torch.autograd.grad(clean_loss(positive, negative, labels, others), negative)
    rows = torch.arange(PHOTOS)
    assert (gradient[rows, labels] > 0).all()
    assert (gradient[rows, others] < 0).all()


def test_extreme_logits_and_half_precision_stay_finite():
    positive, negative, labels, others = drawn(scale=1e4)
    loss = phase_one_loss(positive, negative, labels, others)
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, (positive, negative)))
    half = phase_one_loss(*(part.detach().bfloat16() for part in drawn()[:2]), labels, others)
    assert half.dtype == torch.float32


def test_other_classes_are_uniform_and_never_the_label():
    labels = torch.arange(CLASSES).repeat(20_000)
    others = draw_other_classes(labels, CLASSES, torch.Generator().manual_seed(0))
    counts = torch.zeros(CLASSES, CLASSES).index_put_((labels, others), torch.ones(len(labels)), accumulate=True)
    assert (counts.diag() == 0).all()
    expected = 20_000 / (CLASSES - 1)
    assert (counts[~torch.eye(CLASSES, dtype=torch.bool)] - expected).abs().max() < 5 * math.sqrt(expected)
    again = draw_other_classes(labels, CLASSES, torch.Generator().manual_seed(0))
    assert torch.equal(again, others)


def test_what_cannot_be_is_one_line():
    with pytest.raises(FgvrError, match="the vocabulary has one class"):
        draw_other_classes(torch.zeros(3, dtype=torch.int64), 1)
