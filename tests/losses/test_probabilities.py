import pytest
import torch

from fgvr.losses.probabilities import log_complement


@pytest.mark.parametrize("scale", [1.0, 10.0, 300.0])
def test_log_complement_and_its_gradient_are_those_of_double_precision(scale):
    logits = scale * torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    found = log_complement(torch.log_softmax(logits, dim=1))
    found.sum().backward()
    double = logits.detach().double().requires_grad_()
    others = double[:, None].masked_fill(torch.eye(6, dtype=torch.bool), -torch.inf)  # row k: all classes but k
    exact = others.logsumexp(dim=2) - double.logsumexp(dim=1, keepdim=True)
    exact.sum().backward()
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits.grad.double(), double.grad, rtol=1e-4, atol=1e-6)


def test_one_class_alone_is_finite():
    logits = torch.zeros(2, 1, requires_grad=True)
    values = log_complement(torch.log_softmax(logits, dim=1))
    values.sum().backward()
    assert values.isfinite().all()
    assert logits.grad.isfinite().all()
