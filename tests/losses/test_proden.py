import math

import pytest
import torch

from fgvr.errors import FgvrError
from fgvr.losses.base import PartialLabels
from fgvr.losses.ce import CELoss
from fgvr.losses.proden import ProdenLoss

SETS = [[4], [2, 1], [3, 0, 1], [1, 4]]
WEIGHTS = [[1.0], [0.75, 0.25], [0.5, 0.3, 0.2], [0.5, 0.5]]


@pytest.fixture
def labels():
    candidates, weights = (torch.tensor([row + [0] * (3 - len(row)) for row in rows]) for rows in (SETS, WEIGHTS))
    return PartialLabels(torch.arange(4), candidates, weights > 0, weights)


def reference(batches, momentum):
    """Losses of every step from the formulas of the paper, one number at a time."""
    weights = [list(row) for row in WEIGHTS]
    steps = []
    for logits in batches:
        losses = []
        for i, candidates in enumerate(SETS):
            exp = [math.exp(z) for z in logits[i].tolist()]
            losses.append(-sum(weights[i][k] * math.log(exp[c] / sum(exp)) for k, c in enumerate(candidates)))
            inside = sum(exp[c] for c in candidates)
            for k, c in enumerate(candidates):
                weights[i][k] = momentum * weights[i][k] + (1 - momentum) * exp[c] / inside
        steps.append(losses)
    return torch.tensor(steps)


def step(loss, logits, labels):
    values = loss(logits, labels)
    loss.write_state(labels.rows, loss.new_state(logits, labels))
    return values


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_losses_and_weights_are_the_formulas(labels, momentum):
    batches = [2 * torch.randn(4, 5, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    loss = ProdenLoss(momentum)
    loss.setup(labels, key="")
    losses = torch.stack([step(loss, logits, labels) for logits in batches])
    torch.testing.assert_close(losses, reference(batches, momentum))


def test_the_first_step_is_cross_entropy_against_the_candidate_weights(labels):
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    loss = ProdenLoss()
    loss.setup(labels, key="")
    assert torch.equal(loss(logits, labels), CELoss()(logits, labels))


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


def test_an_update_that_nobody_knows_is_refused():
    with pytest.raises(FgvrError, match=r"loss\.update is 'later'"):
        ProdenLoss(update="later")


@pytest.mark.parametrize("momentum", [-0.1, 1.0, math.nan])
def test_a_momentum_that_makes_no_sense_is_refused(momentum):
    with pytest.raises(FgvrError, match=r"loss\.momentum"):
        ProdenLoss(momentum)
