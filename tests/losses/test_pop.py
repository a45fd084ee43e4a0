import math

import pytest
import torch

from fgvr.errors import FgvrError
from fgvr.losses.pop import PopLoss
from fgvr.losses.proden import ProdenLoss


def reference(batches, sets, window, warmup, theta, growth, theta_max):
    """Losses of every step and what is left of the sets, one number at a time."""
    sets, initial = sets
    left = [set(candidates) for candidates in sets]
    weights = [dict(zip(candidates, row, strict=True)) for candidates, row in zip(sets, initial, strict=True)]
    visits = [[row] * window for row in weights]
    steps = []
    for epoch, logits in enumerate(batches.tolist()):
        losses = []
        for i, candidates in enumerate(sets):
            p = [math.exp(z) / sum(math.exp(other) for other in logits[i]) for z in logits[i]]
            losses.append(-sum(weights[i][c] * math.log(p[c]) for c in candidates))
            inside = sum(p[c] for c in left[i])
            weights[i] = {c: p[c] / inside if c in left[i] else 0.0 for c in candidates}
            visits[i] = [weights[i], *visits[i][:-1]]
            if epoch >= warmup:
                average = {c: sum(visit[c] for visit in visits[i]) / window for c in left[i]}
                threshold = min(theta * (1 + growth) ** (epoch - warmup), theta_max) * max(average.values())
                left[i] = {c for c in left[i] if average[c] >= threshold}
                total = sum(average[c] for c in left[i])
                weights[i] = {c: average[c] / total if c in left[i] else 0.0 for c in candidates}
        steps.append(losses)
    return torch.tensor(steps), left


@pytest.mark.parametrize(
    ("window", "warmup", "theta", "growth", "theta_max"),
    [(2, 1, 0.1, 1.0, 0.4), (1, 0, 0.01, 0.0, 0.4), (5, 2, 0.3, 9.0, 0.5), (3, 0, 0.0, 0.0, 0.0)],
)
def test_losses_and_purification_are_the_formula(
    labels, sets, batches, train, window, warmup, theta, growth, theta_max
):
    options = (window, warmup, theta, growth, theta_max)
    loss = PopLoss(*options)
    found = train(loss, labels, batches)
    expected, left = reference(torch.stack(batches), sets, *options)
    torch.testing.assert_close(found, expected)
    rows = loss.state.unflatten(1, (2 + window, 3))[:, 1].tolist()
    assert [{c for c, kept in zip(s, row, strict=False) if kept} for s, row in zip(sets[0], rows, strict=True)] == left


def test_a_dropped_candidate_does_not_come_back_and_the_mask_stays(labels, train):
    mask = labels.mask.clone()
    loss = PopLoss(window=1, warmup_epochs=0)
    against = torch.tensor([[0.0, 0.0, 50.0, 0.0, 0.0]]).repeat(4, 1)
    train(loss, labels, [against, -against, -against])
    assert loss.state.unflatten(1, (3, 3))[1, 1].tolist() == [1.0, 0.0, 0.0]
    assert torch.equal(labels.mask, mask)


def test_before_the_first_candidate_is_dropped_it_is_proden(labels, batches, train):
    assert torch.equal(train(PopLoss(), labels, batches), train(ProdenLoss(), labels, batches))


def test_a_checkpoint_with_another_window_is_refused(labels):
    saved, loss = PopLoss(window=2), PopLoss(window=3)
    for each in (saved, loss):
        each.setup(labels, key="")
    with pytest.raises(FgvrError, match=r"PopLoss had other options: its state is \(4, 12\) and this run's \(4, 15\)"):
        loss.load_state_dict(saved.state_dict())
