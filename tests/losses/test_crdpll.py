import math

import pytest
import torch

from fgvr.losses.crdpll import CrdpllLoss


def softmax(z):
    return [math.exp(value) / sum(math.exp(other) for other in z) for value in z]


def reference(batches, sets, further=(), momentum=0.0, weight=1.0, ramp=0.5, epochs=4):
    """-sum_{not S} log(1 - p) + lambda(t) sum_v KL(q || p_v), one number at a time; ``further`` are views' logits."""
    sets, targets = sets
    steps = []
    for epoch, logits in enumerate(batches.tolist()):
        losses = []
        for i, candidates in enumerate(sets):
            views = [softmax(logits[i]), *(softmax(view[i]) for view in further)]
            loss = -sum(math.log(1 - p) for k, p in enumerate(views[0]) if k not in candidates)
            for p in views:
                divergence = sum(q * math.log(q / p[c]) for q, c in zip(targets[i], candidates, strict=True))
                loss += weight * min(epoch / (ramp * epochs), 1) * divergence
            losses.append(loss)
            mean = [math.prod(p[c] for p in views) ** (1 / len(views)) for c in candidates]
            mean = [value / sum(mean) for value in mean]
            targets[i] = [momentum * q + (1 - momentum) * value for q, value in zip(targets[i], mean, strict=True)]
        steps.append(losses)
    return torch.tensor(steps)


@pytest.mark.parametrize(("weight", "ramp", "momentum"), [(1.0, 0.5, 0.9), (2.0, 0.75, 0.0)])
def test_with_one_view_the_target_is_a_running_average(labels, sets, batches, train, weight, ramp, momentum):
    found = train(CrdpllLoss(weight, ramp, momentum), labels, batches)
    expected = reference(torch.stack(batches), sets, momentum=momentum, weight=weight, ramp=ramp)
    torch.testing.assert_close(found, expected)


def test_with_further_views_the_target_is_their_geometric_mean(labels, sets, batches, train):
    further = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(9))
    found = train(CrdpllLoss(), labels, batches, view_logits=further)
    torch.testing.assert_close(found, reference(torch.stack(batches), sets, further.tolist()))


def test_every_view_gets_a_gradient_of_its_own(labels, batches, train):
    further = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(9), requires_grad=True)
    train(CrdpllLoss(), labels, batches, view_logits=further)[-1].sum().backward()
    assert (further.grad != 0).any(dim=2).all()


def test_half_precision_views_are_computed_on_in_float32(labels, batches, train):
    further = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(9)).half()
    found = train(CrdpllLoss(), labels, batches, view_logits=further)
    assert torch.equal(found, train(CrdpllLoss(), labels, batches, view_logits=further.float()))
