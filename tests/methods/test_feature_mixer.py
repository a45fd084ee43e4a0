import math

import pytest
import torch
import torch.nn.functional as F

from fgvr.methods.feature_mixer import mix_texts, text_weights


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def slow_weight(text, prototypes):
    """Equation 1, for one text."""
    cosines = [dot(text, p) / math.sqrt(dot(text, text) * dot(p, p)) for p in prototypes]
    first, second = sorted(cosines, reverse=True)[:2]
    return first - second


def slow_mix(texts, weights, prototype, alpha):
    """Equation 2, for one photo with the texts that it has."""
    if not texts:
        return prototype
    if sum(weights) == 0:
        weights = [1.0] * len(texts)
    mean = [sum(w * t[d] for w, t in zip(weights, texts, strict=True)) / sum(weights) for d in range(len(prototype))]
    return [(1 - alpha) * m + alpha * p for m, p in zip(mean, prototype, strict=True)]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_weights_are_equation_1(classes):
    texts, prototypes = drawn(9, 12), 3 * drawn(classes, 12, seed=1)
    expected = [slow_weight(text, prototypes.tolist()) for text in texts.tolist()]
    found = text_weights(texts, prototypes)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-6)
    assert (found >= 0).all()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("images", [1, 7])
def test_mix_is_equation_2(alpha, images):
    texts, weights, prototypes = drawn(images, 3, 8), drawn(images, 3, seed=1).abs(), drawn(images, 8, seed=2)
    found = mix_texts(texts, weights, torch.ones(images, 3, dtype=torch.bool), prototypes, alpha)
    expected = [slow_mix(*each, alpha) for each in zip(texts.tolist(), weights.tolist(), prototypes.tolist())]  # noqa: B905
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-6)


def test_a_photo_may_lack_texts():
    texts, weights, prototypes = drawn(8, 3, 5), drawn(8, 3, seed=1).abs(), drawn(8, 5, seed=2)
    present = torch.tensor([[bool(n & 4), bool(n & 2), bool(n & 1)] for n in range(8)])
    weights[1] = weights[6] = 0  # and so may those that it has count nothing
    expected = []
    for n in range(8):
        there = present[n].nonzero().flatten().tolist()
        expected.append(
            slow_mix(texts[n, there].tolist(), weights[n, there].tolist(), prototypes[n].tolist(), alpha=0.2)
        )
    torch.testing.assert_close(mix_texts(texts, weights, present, prototypes, 0.2), torch.tensor(expected))


def test_weights_of_absent_texts_do_not_count():
    texts, prototypes = drawn(1, 2, 5), drawn(1, 5, seed=2)
    present = torch.tensor([[True, False]])
    found = mix_texts(texts, torch.tensor([[0.0, 0.7]]), present, prototypes, 0.2)
    torch.testing.assert_close(found, 0.8 * texts[:, 0] + 0.2 * prototypes)


def test_one_class_has_no_second_cosine():
    assert text_weights(drawn(4, 5), drawn(1, 5)).tolist() == [1.0] * 4


def test_two_equal_prototypes_make_a_weight_of_zero():
    prototypes = drawn(3, 5)
    prototypes[1] = prototypes[0]
    assert text_weights(prototypes[:1], prototypes).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_features_and_autocast(dtype):
    # two cosines that are one number in half precision
    prototypes = torch.tensor([[0.7003, math.sqrt(1 - 0.7003**2)], [0.7001, -math.sqrt(1 - 0.7001**2)]])
    text = torch.tensor([[1.0, 0.0]])
    with torch.autocast("cpu", dtype=dtype):
        assert text_weights(text, prototypes).item() == pytest.approx(2e-4, abs=1e-6)
        assert text_weights(text.to(dtype), prototypes).item() == pytest.approx(2e-4, abs=1e-6)
        texts, weights, present = (
            drawn(4, 3, 8).to(dtype),
            drawn(4, 3, seed=1).abs(),
            torch.ones(4, 3, dtype=torch.bool),
        )
        mixed = mix_texts(texts, weights, present, drawn(4, 8, seed=2), 0.99)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(
        mixed, mix_texts(texts.float(), weights, present, drawn(4, 8, seed=2), 0.99), rtol=0, atol=1e-7
    )


def test_gradients_reach_the_texts_that_are_there_and_nothing_else():
    texts = F.normalize(drawn(4, 3, 6), dim=-1).requires_grad_()
    prototypes = drawn(5, 6, seed=1).requires_grad_()
    weights = text_weights(texts.flatten(0, 1), prototypes).view(4, 3)
    present = torch.tensor([[True, True, True], [True, False, False], [False, True, True], [False, False, False]])
    mix_texts(texts, weights, present, prototypes[:4], 0.9).square().sum().backward()
    assert not weights.requires_grad
    assert prototypes.grad is None
    assert torch.equal(texts.grad.abs().sum(-1) > 0, present)
    assert texts.grad.isfinite().all()
