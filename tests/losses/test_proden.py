import math

import pytest
import torch

from fgvr.losses.ce import CELoss
from fgvr.losses.proden import ProdenLoss
from fgvr.losses.rc import RCLoss


def reference(batches, sets, momentum):
    """Losses of every step from the formulas of the paper, one number at a time."""
    sets, weights = sets
    steps = []
    for logits in batches:
        losses = []
        for i, candidates in enumerate(sets):
            exp = [math.exp(z) for z in logits[i].tolist()]
            losses.append(-sum(weights[i][k] * math.log(exp[c] / sum(exp)) for k, c in enumerate(candidates)))
            inside = sum(exp[c] for c in candidates)
            for k, c in enumerate(candidates):
                weights[i][k] = momentum * weights[i][k] + (1 - momentum) * exp[c] / inside
        steps.append(losses)
    return torch.tensor(steps)


@pytest.mark.parametrize(("loss", "momentum"), [(ProdenLoss(0.0), 0.0), (ProdenLoss(0.9), 0.9), (RCLoss(), 0.0)])
def test_losses_and_weights_are_the_formulas(labels, sets, batches, train, loss, momentum):
    torch.testing.assert_close(train(loss, labels, batches), reference(batches, sets, momentum))


def test_the_weights_of_rc_come_from_a_forward_after_the_step():
    assert RCLoss().refresh
    assert ProdenLoss(update="refresh").refresh
    assert not ProdenLoss().refresh


def test_the_first_step_is_cross_entropy_against_the_candidate_weights(labels, batches, train):
    assert torch.equal(train(ProdenLoss(), labels, batches[:1])[0], CELoss()(batches[0], labels))


def test_a_weight_that_underflowed_comes_back(labels):
    loss = ProdenLoss()
    loss.setup(labels, key="")
    loss.write_state(torch.tensor([1]), loss.new_state(torch.tensor([[0.0, 500.0, -500.0, 0.0, 0.0]]), labels[1:2]))
    assert loss.state[1].tolist() == [0.0, 1.0, 0.0]
    loss.write_state(torch.tensor([1]), loss.new_state(torch.zeros(1, 5), labels[1:2]))
    assert loss.state[1].tolist() == [0.5, 0.5, 0.0]


def test_no_gradient_flows_through_the_weights(labels):
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = ProdenLoss()
    loss.setup(labels, key="")
    loss(logits, labels).sum().backward()
    target = torch.zeros(4, 5).scatter_add_(1, labels.candidates, labels.weights)
    torch.testing.assert_close(logits.grad, logits.detach().softmax(dim=1) - target)


def test_setup_is_needed(labels):
    with pytest.raises(RuntimeError, match="setup"):
        ProdenLoss()(torch.zeros(4, 5), labels)
