import math

import pytest
import torch

from fgvr.losses.alim import AlimLoss
from fgvr.losses.proden import ProdenLoss


def reference(batches, sets, noise_rate, warmup, temperature):
    """-sum_k t_k log p_k over all classes, one number at a time."""
    sets, weights = sets
    masses, ratios = [0.0] * 4, [1.0] * 4
    steps = []
    for epoch, logits in enumerate(batches.tolist()):
        factor = 0.0 if epoch < warmup else min(sorted(ratios)[int(noise_rate * 4)], 1.0)
        losses, new_ratios = [], []
        for i, candidates in enumerate(sets):
            p = [math.exp(z) / sum(math.exp(other) for other in logits[i]) for z in logits[i]]
            others = [k for k in range(5) if k not in candidates]
            spread = [p[k] ** (1 / temperature) for k in others]
            target = dict(zip(candidates, weights[i], strict=True))
            target |= {k: masses[i] * share / sum(spread) for k, share in zip(others, spread, strict=True)}
            losses.append(-sum(t * math.log(p[k]) for k, t in target.items()))
            raw = [((1.0 if k in candidates else factor) * p[k]) ** (1 / temperature) for k in range(5)]
            weights[i] = [raw[c] / sum(raw) for c in candidates]
            masses[i] = sum(raw[k] for k in others) / sum(raw)
            new_ratios.append(max(p[c] for c in candidates) / max(p[k] for k in others))
        ratios = new_ratios
        steps.append(losses)
    return torch.tensor(steps)


@pytest.mark.parametrize(
    ("noise_rate", "warmup", "temperature"), [(0.25, 1, 1.0), (0.0, 1, 1.0), (0.5, 2, 0.5), (0.9, 1, 2.0)]
)
def test_losses_and_targets_are_the_formula(labels, sets, batches, train, noise_rate, warmup, temperature):
    found = train(AlimLoss(noise_rate, warmup, temperature), labels, batches)
    torch.testing.assert_close(found, reference(torch.stack(batches), sets, noise_rate, warmup, temperature))


def test_in_the_warm_up_it_is_proden(labels, batches, train):
    torch.testing.assert_close(train(AlimLoss(), labels, batches), train(ProdenLoss(), labels, batches))


def test_a_set_that_misses_the_truth_is_left(labels, train):
    loss = AlimLoss(noise_rate=0.25, warmup_epochs=1)
    # three photos find their best class in the set and the first one, whose set is {4}, outside, at class 0
    logits = torch.tensor([[6.0, 0, 0, 0, 0], [0, 0, 6, 0, 0], [0, 0, 0, 6, 0], [0, 6, 0, 0, 0]])
    train(loss, labels, [logits] * 2)
    assert (loss.state[:, -2] > 0.5).tolist() == [True, False, False, False]
    logits = torch.tensor([[1.0, 0, 0, 0, 1.0]], requires_grad=True)
    loss(logits, labels[:1]).sum().backward()
    assert logits.grad[0, 0] < 0 < logits.grad[0, 4], "the class outside is pulled up, the candidate down"


def test_a_set_of_all_classes_is_finite(everything):
    loss = AlimLoss(warmup_epochs=1)
    loss.setup(everything, key="")
    logits = torch.tensor([[0.0, 2.0]], requires_grad=True)
    for epoch in (0, 1, 2):
        loss.step = type(loss.step)(epoch=epoch, epochs=4)
        value = loss(logits, everything)
        loss.write_state(everything.rows, loss.new_state(logits.detach(), everything))
    value.backward()
    assert value.isfinite().all()
    assert logits.grad.isfinite().all()
    assert loss.state[0, 2] == 0
