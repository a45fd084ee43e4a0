import math

import pytest
import torch
from torch.nn import functional as F

from fgvr.methods.contrast_queue import ContrastQueue


def unit(*shape, seed=0):
    return F.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_losses_are_the_equation_and_no_photo_is_its_own_negative():
    queue, earlier, rows = ContrastQueue(8, 5), unit(6, 5), [3, 1, 4, 1, 5, 9]
    queue.add(earlier, torch.tensor(rows))
    queries, keys, own = unit(4, 5, seed=1).requires_grad_(), unit(4, 5, seed=2), torch.tensor([1, 2, 9, 3])
    found = queue.losses(queries, keys, own, 0.3)
    for i, row in enumerate(own.tolist()):
        positive = math.exp((queries[i] @ keys[i]).item() / 0.3)
        negative = [math.exp((queries[i] @ k).item() / 0.3) for k, r in zip(earlier, rows, strict=True) if r != row]
        assert found[i].item() == pytest.approx(-math.log(positive / (positive + sum(negative))), abs=1e-5)
    assert torch.autograd.grad(found.sum(), queries)[0].isfinite().all()


def test_an_empty_queue_has_nothing_to_say():
    queue = ContrastQueue(4, 5)
    queries = unit(2, 5).requires_grad_()
    losses = queue.losses(queries, unit(2, 5, seed=1), torch.tensor([0, 1]), 0.07)
    assert losses.tolist() == [0, 0]
    assert not torch.autograd.grad(losses.sum(), queries)[0].any()


@pytest.mark.parametrize("sizes", [[3, 3, 3], [5, 5], [12], [1] * 9])
def test_the_oldest_keys_go_first(sizes):
    queue, expected, row = ContrastQueue(5, 2), [], 0
    for size in sizes:
        rows = torch.arange(row, row + size)
        queue.add(rows.unsqueeze(1).expand(-1, 2).float(), rows)
        expected, row = [*expected, *rows.tolist()][-5:], row + size
    assert sorted(queue.rows.tolist()) == expected
    assert torch.equal(queue.keys[:, 0].long(), queue.rows)


def test_a_state_goes_on_as_if_unbroken():
    one, two = ContrastQueue(5, 3), ContrastQueue(5, 3)
    one.add(unit(4, 3), torch.arange(4))
    two.take_back(one.state())
    for queue in (one, two):
        queue.add(unit(3, 3, seed=1), torch.arange(3))
    assert torch.equal(one.keys, two.keys)
    assert torch.equal(one.rows, two.rows)
