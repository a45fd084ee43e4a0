import pytest
import torch

from fgvr.losses.probabilities import inside_softmax, log_complement, non_candidates, outside_softmax, uniform_weights


def test_non_candidates_are_what_the_sets_leave_out(labels, sets):
    outside = non_candidates(torch.zeros(4, 5), labels)
    assert [[k for k in range(5) if not row[k]] for row in outside.tolist()] == [sorted(row) for row in sets[0]]


def test_uniform_weights(labels):
    assert uniform_weights(labels)[:2].tolist() == [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]


def test_softmax_inside_and_outside_are_shares_of_the_softmax(labels, batches):
    probs, outside = batches[0].softmax(dim=1), non_candidates(batches[0], labels)
    inside = probs.gather(1, labels.candidates) * labels.mask
    torch.testing.assert_close(inside_softmax(batches[0], labels), inside / inside.sum(dim=1, keepdim=True))
    others = probs * outside
    torch.testing.assert_close(outside_softmax(batches[0], outside), others / others.sum(dim=1, keepdim=True))


def test_no_class_outside_gives_zeros():
    assert not outside_softmax(torch.randn(2, 3), torch.zeros(2, 3, dtype=torch.bool)).any()


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
