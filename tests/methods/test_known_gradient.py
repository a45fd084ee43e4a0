from types import SimpleNamespace

import torch
from torch import nn

from fgvr.methods.known_gradient import KnownGradient


def test_parts_have_the_gradient_of_the_whole():
    model, inputs = nn.Linear(3, 2), torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    whole = model(inputs).square().sum()
    expected = torch.autograd.grad(whole, list(model.parameters()))
    known = KnownGradient(list(model.parameters()))
    for part in inputs.split(3):
        known.add(model(part).square().sum())
    loss = known.loss()
    torch.testing.assert_close(loss, whole)
    loss.backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_nothing_of_a_part_is_kept():
    weight = torch.ones(2, requires_grad=True)
    known = KnownGradient([weight])
    known.add((weight * 3).sum())
    assert known.value.grad_fn is None
    assert known.gradients[0].tolist() == [3, 3]


def test_a_scale_that_keeps_float16_from_vanishing_is_taken_out_again():
    weight = torch.ones(2, requires_grad=True)
    known = KnownGradient([weight], runner())
    known.add((weight * 3).sum())
    assert known.gradients[0].tolist() == [3, 3]
    assert known.value.item() == 6


def test_what_a_parameter_was_computed_from_has_its_gradient():
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    source = weight**2
    leaf = source.detach().requires_grad_()
    other = torch.ones(2, requires_grad=True)
    known = KnownGradient([leaf, other])
    known.add((3 * leaf * other).sum())
    known.pass_on(source, [weight])
    known.loss().backward()
    assert weight.grad.tolist() == [6, 12]
    assert other.grad.tolist() == [3, 12]


def test_its_gradient_does_not_vanish_in_float16_either():
    weight = torch.ones(2, requires_grad=True)
    source = weight.half().float()
    leaf = source.detach().requires_grad_()
    known = KnownGradient([leaf], runner())
    known.add((1e-8 * leaf).sum())
    known.pass_on(source, [weight])
    torch.testing.assert_close(known.gradients[0], torch.full((2,), 1e-8), rtol=1e-2, atol=0)


def runner():
    """A trainer whose precision scales losses by 1,024."""
    return SimpleNamespace(precision_plugin=SimpleNamespace(scaler=SimpleNamespace(get_scale=lambda: 1024.0)))
