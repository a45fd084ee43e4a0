import math

import pytest
import torch

from fgvr.losses.lws import LwsLoss


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def reference(batches, sets, beta, surrogate):
    """Losses of every step: sum_S w psi(z) + beta sum_{not S} v psi(-z), one number at a time."""
    sets, weights = sets
    steps = []
    for logits in batches.tolist():
        losses = []
        for i, candidates in enumerate(sets):
            z = logits[i]
            p = [math.exp(value) / sum(math.exp(other) for other in z) for value in z]
            others = [k for k in range(len(z)) if k not in candidates]
            v = {k: p[k] / sum(p[j] for j in others) for k in others}
            centred = [value - sum(z) / len(z) for value in z]
            if surrogate == "sigmoid":
                up, down = [sigmoid(-value) for value in centred], [sigmoid(value) for value in centred]
            else:
                up, down = [-math.log(value) for value in p], [-math.log(1 - value) for value in p]
            pull = sum(w * up[c] for w, c in zip(weights[i], candidates, strict=True))
            losses.append(pull + beta * sum(v[k] * down[k] for k in others))
            weights[i] = [p[c] / sum(p[j] for j in candidates) for c in candidates]
        steps.append(losses)
    return torch.tensor(steps)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("surrogate", ["cross_entropy", "sigmoid"])
def test_losses_and_weights_are_the_formula(labels, sets, batches, train, beta, surrogate):
    found = train(LwsLoss(beta, surrogate), labels, batches)
    torch.testing.assert_close(found, reference(torch.stack(batches), sets, beta, surrogate))


def test_no_gradient_flows_through_the_weights_of_the_others(labels):
    logits = torch.tensor([[3.0, 1.0, -1.0, 0.0, 0.5]], requires_grad=True)
    loss = LwsLoss(surrogate="sigmoid")
    loss.setup(labels, key="")
    loss(logits, labels[:1]).backward()
    others = logits.detach()[0, :4].softmax(dim=0)
    slope = torch.sigmoid(logits.detach()[0] - 0.7) * (1 - torch.sigmoid(logits.detach()[0] - 0.7))
    slope[:4] *= others
    slope[4] *= -1
    torch.testing.assert_close(logits.grad[0], slope - slope.mean())


def test_a_set_of_all_classes_has_no_others(labels):
    everything = labels[2:3]
    logits = torch.randn(1, 3, generator=torch.Generator().manual_seed(0))
    sets = type(labels)(torch.tensor([0]), torch.tensor([[2, 0, 1]]), everything.mask, everything.weights)
    loss = LwsLoss(beta=2.0)
    loss.setup(sets, key="")
    expected = -(everything.weights[0] * logits.log_softmax(dim=1)[0, [2, 0, 1]]).sum()
    torch.testing.assert_close(loss(logits, sets)[0], expected)
