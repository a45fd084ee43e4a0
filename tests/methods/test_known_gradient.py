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
    class Scaler:
        def get_scale(self):
            return 1024.0

    class Plugin:
        scaler = Scaler()

    class Runner:
        precision_plugin = Plugin()

    weight = torch.ones(2, requires_grad=True)
    known = KnownGradient([weight], Runner())
    known.add((weight * 3).sum())
    assert known.gradients[0].tolist() == [3, 3]
    assert known.value.item() == 6
